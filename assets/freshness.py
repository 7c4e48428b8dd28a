"""What is fresh, stale, missing or failed, and why."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from assets.file_hashes import FileHashes
from assets.fingerprint import Code, fingerprint
from assets.graph import stages_of
from assets.scenes import Scene
from assets.sources import source_of
from assets.stage import Stage
from ops.errors import InputError
from storage import touched
from storage.artifact import ArtifactRepository, Version
from storage.attempts import Failure, last_failure
from storage.errors import DamagedError, NewerStoreError
from storage.home import Home
from storage.provenance import Provenance
from storage.schema import migrates
from storage.store import Store

# Libraries whose version can change numbers; kept with every artifact.
PACKAGES = (
    *("torch", "torchvision", "gsplat", "numpy", "numba", "scipy", "pycolmap"),
    *("opencv-python-headless", "pillow", "lpips", "pyiqa", "diffusers"),
)
State = Literal["fresh", "stale", "missing", "failed"]
_CODE = "code.json"
SOURCE = "source"
"""Name among a version's inputs of the files that a scene comes from."""


@dataclass(frozen=True)
class Status:
    """The state of one artifact."""

    key: str
    """``scene/topic/name``."""
    state: State
    """``failed``: it is stale or missing, and the last attempt to make exactly it failed."""
    reasons: tuple[str, ...]
    """Why it is not fresh, in words."""
    version: Version | None
    """The current version, if there is one."""
    waits_for: tuple[str, ...] = ()
    """Inputs that are not fresh themselves."""
    remarks: tuple[str, ...] = ()
    """What changed since it was made and does not count: versions of libraries."""
    now: Provenance | None = None
    """What it would be made from now; None where that cannot be told."""
    failure: Failure | None = None
    """The failed attempt, in state ``failed``."""


def recipe(
    scene: Scene,
    stage: Stage,
    home: Home,
    current: Mapping[str, Version | None],
    code: Code | None = None,
) -> Provenance:
    """What a version made now would be made from: code, settings and inputs.

    Args:
        scene: The scene.
        stage: One of its stages.
        home: The home folder, for the cache of hashes of source files.
        current: The current versions of at least the stage's inputs, by ``scene/topic/name``.
        code: The code, where it was read already.

    Raises:
        InputError: If the settings or the source cannot be read.
    """
    code = code or code_now(home)
    modules = code.of(stage.run)
    inputs = {}
    for name in stage.inputs:
        version = current.get(f"{scene.name}/{name}")
        inputs[f"{scene.name}/{name}"] = {
            "content": version.content_hash if version else "",
            "version": version.tag if version else "",
        }
    source = source_of(scene, home, code) if stage.reads_source else None
    if source is not None:
        inputs[SOURCE] = {"content": source.hash, "version": ""}
    settings = stage.settings_for(scene)
    read = stage.settings_read(scene) | ({"variant": stage.variant} if stage.variant else {})
    if stage.also_depends_on is not None:
        for name, fact in stage.also_depends_on(settings).items():
            inputs[name] = {"content": fact, "version": fact}
    return Provenance(
        code=fingerprint(modules),
        modules=modules,
        settings=read,
        seed=getattr(settings, "seed", None),
        inputs=inputs,
        sources={} if source is None else source.files,
    )


def code_now(home: Home) -> Code:
    """The code on the disk now, with what earlier processes found out about it."""
    code = Code.read()
    if not code.recalled:
        code.recall(home.cache / _CODE)
    return code


def code_version(made_from: Provenance) -> str:
    """Dagster's code version: all that a version is made from besides other artifacts.

    The fingerprint of the code with the resolved settings, the photos and facts of the machine, so
    that each of them makes an artifact unsynced in the UI.
    """
    own = {k: v.get("content", "") for k, v in made_from.inputs.items() if "/" not in k}
    parts = {
        "code": made_from.code,
        "settings": json.dumps(dict(made_from.settings), sort_keys=True),
        "inputs": json.dumps(own, sort_keys=True),
    }
    return fingerprint(parts)


def scene_status(scene: Scene, home: Home, store: Store) -> dict[str, Status]:
    """The state of every artifact of a scene, by ``topic/name``, in topological order."""
    looking = _Looking(scene, home, store)
    for key, stage in stages_of(scene).items():
        looking.found[key] = looking.status(stage)
    looking.outputs.save()
    looking.code.remember(home.cache / _CODE)
    return looking.found


def packages() -> dict[str, str]:
    """Versions of Python and of the installed libraries that can change numbers."""
    return dict(_packages())


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return tuple(found.items())


def outputs_of(scene: Scene, home: Home) -> FileHashes:
    """Remembered hashes of files that artifacts of a scene wrote outside the store."""
    return FileHashes(home.cache / f"{scene.name}.outputs.json")


def lost_files(version: Version, home: Home, outputs: FileHashes) -> dict[Path, str]:
    """A version's files outside the store that are not as it wrote them, and what became of them.

    In words, by path; empty where all are whole.
    """
    found = {}
    for name, expected in version.provenance.files.items():
        path = home.root / name
        try:
            if outputs.hash(path) != expected:
                found[path] = f"{path.name} is not what was written"
        except OSError:
            found[path] = f"{path.name} not there"
    return found


def unreadable(version: Version, stage: Stage) -> str:
    """Why the code cannot read what this version holds; empty where it can."""
    schema = stage.schema
    if version.schema != schema.name:
        return f"schema: {version.schema} -> {schema.name}"
    if version.schema_version > schema.version:
        return f"schema: written by a newer Splatworks ({version.schema_version})"
    if not migrates(version.schema_version, schema):
        return f"schema: {schema.name} {version.schema_version} -> {schema.version}"
    return ""


class _Looking:
    """One pass over a scene, in topological order."""

    def __init__(self, scene: Scene, home: Home, store: Store) -> None:
        self.scene, self.home, self.store = scene, home, store
        self.outputs = outputs_of(scene, home)
        self.code = code_now(home)
        self.current: dict[str, Version | None] = {}
        self.found: dict[str, Status] = {}

    def status(self, stage: Stage) -> Status:
        key = f"{self.scene.name}/{stage.key}"
        artifact = self.store.artifact(key)
        reasons: list[str] = []
        version = None
        try:
            version = artifact.current()
        except (DamagedError, NewerStoreError) as error:
            reasons.append(f"damaged: {error}")
        self.current[key] = version
        now = None
        try:
            now = recipe(self.scene, stage, self.home, self.current, self.code)
        except InputError as error:
            reasons.append(str(error))
        if version is None:
            reasons = reasons or ["never made"]
        elif now is not None:
            reasons += self._against(artifact, stage, version, now)
        waits = [k for k in stage.inputs if self.found[k].state != "fresh"]
        if version is not None:
            reasons += [f"input: {self.scene.name}/{k} is {self.found[k].state}" for k in waits]
        state: State = "missing" if version is None else "stale" if reasons else "fresh"
        failure = last_failure(artifact.folder)
        if state != "fresh" and failure and now and not waits and failure.recipe == now.recipe:
            state, reasons = "failed", [f"failed: {failure.message}", *reasons]
        else:
            failure = None
        return Status(
            key=key,
            state=state,
            reasons=tuple(reasons),
            version=version,
            waits_for=tuple(f"{self.scene.name}/{k}" for k in waits),
            remarks=_remarks(version) if version else (),
            now=now,
            failure=failure,
        )

    def _against(
        self, artifact: ArtifactRepository, stage: Stage, version: Version, now: Provenance
    ) -> list[str]:
        if damage := touched.damage(artifact, version):
            return [f"damaged: {damage}"]
        reasons = version.provenance.stale_against(now)
        if word := unreadable(version, stage):
            reasons.append(word)
        lost = lost_files(version, self.home, self.outputs)
        return [*reasons, f"files: {', '.join(lost.values())}"] if lost else reasons


def _remarks(version: Version) -> tuple[str, ...]:
    made, now = version.provenance.packages, packages()
    changed = (k for k in made if k in PACKAGES and made[k] != now.get(k))
    return tuple(f"made with {k} {made[k]}, now {now.get(k, 'not installed')}" for k in changed)
