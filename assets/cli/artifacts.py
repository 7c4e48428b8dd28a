"""Commands about artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets.cli.output import emit
from assets.freshness import scene_status
from assets.graph import find_scene, scenes_of, select
from assets.scenes import Scene
from ops.errors import InputError
from storage.artifact import Version
from storage.home import Home
from storage.store import Store


def status(selection: list[str] | None, as_json: bool) -> None:
    """Show the state of artifacts."""
    home = Home.find()
    store = Store(home.store)
    everything = scenes_of(home)
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
