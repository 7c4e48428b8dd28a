"""What is fresh, stale or missing, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from assets.fingerprint import code_of, fingerprint
from assets.graph import stages_of
from assets.scenes import Scene
from assets.settings import as_json
from assets.sources import source_hash
from assets.stage import Stage
from ops.errors import InputError
from storage.artifact import Version
from storage.home import Home
from storage.provenance import Provenance
from storage.store import Store


@dataclass(frozen=True)
class Status:
    """The state of one artifact."""

    key: str
    """``scene/topic/name``."""
    state: Literal["fresh", "stale", "missing"]
    reasons: tuple[str, ...]
    """Why it is not fresh, in words."""
    version: Version | None
    """The current version, if there is one."""


def recipe(
    scene: Scene, stage: Stage, home: Home, current: Mapping[str, Version | None]
) -> Provenance:
    """What a version made now would be made from: code, settings and inputs.

    Args:
        scene: The scene.
        stage: One of its stages.
        home: The home folder, for the cache of hashes of source files.
        current: The current versions of at least the stage's inputs, by ``scene/topic/name``.

    Raises:
        InputError: If the settings or the source cannot be read.
    """
    modules = code_of(stage.run)
    inputs = {}
    for name in stage.inputs:
        version = current.get(f"{scene.name}/{name}")
        inputs[f"{scene.name}/{name}"] = {
            "content": version.content_hash if version else "",
            "version": version.tag if version else "",
        }
    if stage.reads_source:
        inputs["source"] = {"content": source_hash(scene, home), "version": ""}
    settings = scene.settings(stage.settings, stage.section) if stage.settings else None
    if stage.also_depends_on is not None:
        for name, fact in stage.also_depends_on(settings).items():
            inputs[name] = {"content": fact, "version": fact}
    return Provenance(
        code=fingerprint(modules),
        modules=modules,
        settings={stage.section: as_json(settings)} if settings else {},
        seed=getattr(settings, "seed", None),
        inputs=inputs,
    )


def code_version(scene: Scene, stage: Stage) -> str:
    """Dagster's code version: the fingerprint of the code with the resolved settings."""
    settings = scene.settings(stage.settings, stage.section) if stage.settings else None
    return fingerprint(code_of(stage.run) | {"settings": repr(sorted(as_json(settings).items()))})


def scene_status(scene: Scene, home: Home, store: Store) -> dict[str, Status]:
    """The state of every artifact of a scene, by ``topic/name``, in topological order."""
    stages = stages_of(scene)
    current = store.current([f"{scene.name}/{key}" for key in stages])
    found: dict[str, Status] = {}
    for key, stage in stages.items():
        full = f"{scene.name}/{key}"
        version = current.get(full)
        reasons = _reasons(scene, stage, home, current, version, found)
        state: Literal["fresh", "stale", "missing"] = "fresh" if not reasons else "stale"
        found[key] = Status(full, state if version else "missing", tuple(reasons), version)
    return found


def _reasons(
    scene: Scene,
    stage: Stage,
    home: Home,
    current: Mapping[str, Version | None],
    version: Version | None,
    upstream: Mapping[str, Status],
) -> list[str]:
    if version is None:
        return ["never made"]
    try:
        now = recipe(scene, stage, home, current)
    except InputError as error:
        return [str(error)]
    if version.damage:
        return [f"damaged: {version.damage}"]
    reasons = version.provenance.stale_against(now)
    for name in stage.inputs:
        if upstream[name].state != "fresh":
            reasons.append(f"input: {scene.name}/{name} is {upstream[name].state}")
    if not reasons and stage.files is not None:
        tree = Store(home.store).artifact(f"{scene.name}/{stage.key}").open()
        gone = [path for path in stage.files(tree, home, scene.name) if not path.is_file()]
        if gone:
            reasons.append(f"files: {', '.join(p.name for p in gone)} not there")
    return reasons
