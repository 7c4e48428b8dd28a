"""What the panel of the store shows, as plain data: states, versions, origins, differences."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.freshness import Status, scene_status
from assets.graph import find_scene, scenes_of, stages_of
from assets.plan import Selection, make_plan
from assets.scenes import Scene
from assets.stage import Stage
from ops.errors import InputError
from storage import touched
from storage.artifact import ArtifactRepository, Version
from storage.errors import StorageError
from storage.home import Home
from storage.lock import held, holder
from storage.store import Store

_DEPTHS = ("*/*/*", "*/*/*/*")  # where artifacts lie below the store
Report = dict[str, Any]


def report(home: Home, scene: str = "") -> Report:
    """All artifacts of a scene, or of all scenes: state, reasons, versions.

    Raises:
        InputError: There is no such scene, or its file cannot be read.
    """
    store = Store(home.store)
    everything = {scene: find_scene(scene, home)} if scene else scenes_of(home)
    broken = {n: str(s) for n, s in everything.items() if isinstance(s, InputError)}
    artifacts = []
    for found in everything.values():
        if isinstance(found, Scene):
            stages = stages_of(found)
            for key, status in scene_status(found, home, store).items():
                artifacts.append(_artifact(stages[key], status, store.artifact(status.key)))
    return {"scenes": list(everything), "broken": broken, "artifacts": artifacts}


def stamp(home: Home, scene: str = "") -> str:
    """Something that changes when the report does: made of looks at files, in milliseconds."""
    from assets.follow import definitions_now, store_now

    store = Store(home.store)
    told: list[object] = [definitions_now(home), store_now(home)]
    for key in store.keys():  # noqa: SIM118
        if not scene or key.startswith(f"{scene}/"):
            artifact = store.artifact(key)
            told.append(
                (key, touched.is_untouched(artifact), _changed(artifact.repository / "refs"))
            )
    for name in ("failed.json", "maker.json"):
        found = (file for depth in _DEPTHS for file in home.store.glob(f"{depth}/{name}"))
        told += sorted((str(file), _changed(file)) for file in found)
    return repr(told)


def details(key: str, tag: str, home: Home) -> Report:
    """What made a version, in words and by section.

    Raises:
        VersionNotFoundError: There is no such version.
    """
    version = _repository(key, home).resolve(tag)
    made = version.provenance
    facts = {
        "content": version.content_hash,
        "code": f"{made.code} ({len(made.modules)} modules and functions)",
        "device": made.device or "unknown",
        "seed": "" if made.seed is None else str(made.seed),
        "schema": f"{version.schema} {version.schema_version}",
        "names": ", ".join(version.names),
        **{f"note {i}": note for i, note in enumerate(made.notes, 1)},
    }
    return {
        "facts": {k: v for k, v in facts.items() if v},
        "settings": {k: _flat(v) for k, v in made.settings.items()},
        "inputs": [
            {"key": k, "version": v.get("version", ""), "content": v.get("content", "")}
            for k, v in made.inputs.items()
        ],
        "packages": dict(made.packages),
        "files": list(made.files),
    }


def plan(selection: Sequence[str], home: Home) -> Report:
    """What a refresh of a selection would do, and the command for it.

    Raises:
        InputError: The selection names nothing.
    """
    chosen = Selection.of(selection, home)
    found = make_plan(chosen, home)
    steps = [
        {
            "key": step.key,
            "how": step.how,
            "state": step.status.state,
            "seconds": step.seconds,
            "from": "" if step.duration is None else str(step.duration),
            "why": list(step.status.reasons),
        }
        for step in found.steps
    ]
    return {
        "command": " ".join(["splatworks refresh", *chosen.names]),
        "selection": list(chosen.names),
        "steps": steps,
        "fresh": len(found.fresh),
        "broken": dict(found.broken),
        "seconds": found.seconds,
        "estimate": found.estimate if steps else "",
    }


def difference(key: str, old: str, new: str, home: Home) -> tuple[Report, bytes | None]:
    """What differs between two versions, as ``splatworks diff`` shows it, and a PNG of pictures.

    Raises:
        VersionNotFoundError: There is no such version.
        DamagedError: One of them cannot be read.
    """
    from assets.comparison import metric_changes, most_different

    stored = _repository(key, home)
    found = stored.diff(old, new)
    told: Report = {
        "old": found.old,
        "new": found.new,
        "same": found.same_content,
        "provenance": list(found.provenance),
        "attributes": list(found.attributes),
        "counts": [
            {"name": c.dimension, "old": c.old, "new": c.new}
            for c in found.counts
            if c.old != c.new
        ],
        "variables": [],
        "metrics": [],
        "remarks": [],
    }
    if found.same_content:
        return told, None
    trees = stored.open(found.old, as_stored=True), stored.open(found.new, as_stored=True)
    told["metrics"] = [
        {"name": m.metric, "old": m.old, "new": m.new, "change": m.change}
        for m in metric_changes(*trees)
    ]
    told["variables"] = [
        {
            "name": c.variable,
            "kind": c.kind,
            "form": " → ".join(
                dict.fromkeys(f"{f.dtype} {list(f.shape)}" for f in (c.old, c.new) if f)
            ),
            "old": None if c.old is None else c.old.mean,
            "new": None if c.new is None else c.new.mean,
            "differing": c.differing,
            "of": math.prod(c.new.shape) if c.new else 0,
            "largest": c.largest,
        }
        for c in found.content
    ]
    pictures = most_different(*trees, [c.variable for c in found.content if c.kind == "changed"])
    told["remarks"] = list(pictures.remarks)
    return _plain(told), _sheet(pictures.sections, f"{key}: {found.old} to {found.new}", found)


def _sheet(sections: Sequence[Any], title: str, found: Any) -> bytes | None:
    if not sections:
        return None
    from notebooks.pixels import as_pixels, png
    from ops.evaluation.difference_sheet import difference_sheet

    sheet = difference_sheet(sections, title=title, labels=(found.old, found.new))
    return png(as_pixels(sheet))


def _artifact(stage: Stage, status: Status, repository: ArtifactRepository) -> Report:
    version = status.version
    topic, _, name = stage.key.partition("/")
    busy = ""
    if held(repository.folder, "maker"):
        busy = f"being made by {holder(repository.folder, 'maker')}"
    return {
        "key": status.key,
        "scene": status.key.partition("/")[0],
        "topic": topic,
        "name": name,
        "about": stage.description,
        "state": status.state,
        "reasons": list(status.reasons),
        "remarks": list(status.remarks),
        "version": version.tag if version else "",
        "made": version.created.isoformat() if version else "",
        "seconds": version.provenance.seconds if version else None,
        "bytes": version.nbytes if version else None,
        "versions": _versions(repository),
        "busy": busy,
    }


def _versions(repository: ArtifactRepository) -> list[Report]:
    """All of them, oldest first, and what was changed to make each."""
    try:
        history = repository.history()
    except StorageError:  # damaged: the status says so
        return []
    rows: list[Report] = []
    before: Version | None = None
    for version in history:
        since = [] if before is None else before.provenance.stale_against(version.provenance)
        rows.append(
            {
                "tag": version.tag,
                "current": version.current,
                "names": list(version.names),
                "made": version.created.isoformat(),
                "seconds": version.provenance.seconds,
                "bytes": version.nbytes,
                "since": since,
                "same": before is not None and before.content_hash == version.content_hash,
                "damage": version.damage,
            }
        )
        before = version
    return rows


def _repository(key: str, home: Home) -> ArtifactRepository:
    return Store(home.store).artifact(key)


def _flat(settings: Any) -> dict[str, str]:
    """Settings of a section as lines, nested ones by their path."""
    found: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk(f"{prefix}.{name}" if prefix else name, inner)
        else:
            found[prefix] = json.dumps(value, ensure_ascii=False)

    walk("", settings)
    return found


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
