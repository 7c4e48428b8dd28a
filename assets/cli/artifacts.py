"""Commands about artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from assets.cli.app import emit, out
from assets.cli.scenes import find_scene
from assets.freshness import scene_status
from assets.graph import known_sections, select
from assets.scenes import Scene, all_scenes
from ops.errors import InputError
from storage.artifact import ArtifactRepository, Version
from storage.home import Home
from storage.store import Store


def status(selection: list[str] | None, as_json: bool) -> None:
    """Show the state of artifacts."""
    home = Home.find()
    store = Store(home.store)
    everything = all_scenes(home, known_sections())
    rows: list[dict[str, Any]] = []
    for name in selection or list(everything):
        scene = find_scene(name, home) if selection else everything[name]
        if isinstance(scene, InputError):
            rows.append(_row(name, "broken", [str(scene)], None))
            continue
        rows += _scene_rows(scene, name if selection else scene.name, home, store)
    rows += _orphans(home, everything) if not selection else []
    if not as_json and not any(row["remarks"] for row in rows):
        rows = [{k: v for k, v in row.items() if k != "remarks"} for row in rows]
    emit(rows, as_json)


def _orphans(home: Home, scenes: Mapping[str, Scene | InputError]) -> list[dict[str, Any]]:
    """Artifacts in the store that no scene has any more: renamed or deleted scenes."""
    store = Store(home.store)
    there = [k for k in store.keys() if k.partition("/")[0] not in scenes]  # noqa: SIM118
    why = ["there is no scene of this name any more; `splatworks prune --orphans` removes it"]
    return [_row(key, "orphan", why, v) for key, v in store.current(there).items()]


def _scene_rows(scene: Scene, selection: str, home: Home, store: Store) -> list[dict[str, Any]]:
    wanted = None if selection == scene.name else {s.key for s in select(scene, selection)}
    return [
        _row(s.key, s.state, list(s.reasons), s.version, s.remarks)
        for key, s in scene_status(scene, home, store).items()
        if wanted is None or key in wanted
    ]


def _row(
    key: str,
    state: str,
    reasons: list[str],
    version: Version | None,
    remarks: tuple[str, ...] = (),
) -> dict[str, Any]:
    return {
        "artifact": key,
        "state": state,
        "version": version.tag if version else None,
        "made": version.created if version else None,
        "seconds": version.provenance.seconds if version else None,
        "bytes": version.nbytes if version else None,
        "why": reasons,
        "remarks": remarks,
    }


def repository(artifact: str) -> ArtifactRepository:
    """The repository of an artifact of an existing scene.

    Raises:
        InputError: If the scene has no such artifact.
    """
    home = Home.find()
    chosen = select(find_scene(artifact, home), artifact)
    if artifact.strip("/").count("/") != 2:
        names = ", ".join(f"{artifact.partition('/')[0]}/{s.key}" for s in chosen)
        raise InputError(f"{artifact!r} names more than one artifact; choose one of: {names}")
    return Store(home.store).artifact(artifact.strip("/"))


def history(artifact: str, as_json: bool) -> None:
    """List versions."""
    rows = [
        {
            "version": v.tag,
            "current": v.current,
            "made": v.created,
            "seconds": v.provenance.seconds,
            "bytes": v.nbytes,
            "content": v.content_hash,
            "code": v.provenance.code,
            "device": v.provenance.device,
            "notes": list(v.provenance.notes),
        }
        for v in reversed(repository(artifact).history())
    ]
    emit(rows, as_json)


def diff(artifact: str, old: str, new: str, as_json: bool) -> None:
    """Show what differs between two versions."""
    difference = repository(artifact).diff(old, new)
    if as_json:
        out.print_json(json.dumps(difference.as_json(), default=str))
        return
    out.print(difference.as_text(), highlight=False, markup=False)
