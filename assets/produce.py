"""Making one artifact: look whether it is there, run its stage, keep the result."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assets import LOADING_SINCE
from assets.fingerprint import Code
from assets.freshness import lost_files, outputs_of, packages, recipe, unreadable
from assets.graph import stages_of
from assets.process import turn
from assets.scenes import Scene
from assets.stage import Stage, Work
from ops.errors import InputError, UnavailableError
from ops.progress import Progress
from storage import touched
from storage.artifact import ArtifactRepository, Version
from storage.attachments import bring_back, is_kept, keep
from storage.attempts import Failure, forget_failure, remember_failure
from storage.errors import DamagedError, LockedError
from storage.home import Home
from storage.lock import hold, holder
from storage.provenance import EDITED, Provenance
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Outcome:
    """What came of making an artifact."""

    version: Version
    action: Literal["computed", "restored", "fresh"]
    tree: xr.DataTree
    inputs: tuple[xr.DataTree, ...]
    seconds: float


def produce(
    scene: Scene,
    stage: Stage,
    home: Home,
    progress: Progress,
    say: Callable[[str], None],
    force: bool = False,
    by: str = "",
) -> Outcome:
    """Bring one artifact of a scene up to date.

    Nothing is computed where the current version was made from the same code, settings and
    inputs, nor where an earlier one was: that one becomes current again. One process makes an
    artifact at a time; another waits, and then finds it made.

    Args:
        scene: The scene.
        stage: One of its stages.
        home: Where the store is.
        progress: Told of long work.
        say: Told, in a sentence, what happens.
        force: Compute in any case.
        by: Who asked for it, for others that wait.

    Raises:
        InputError: If the settings or the source cannot be used.
        UnavailableError: If an input is missing.
        StorageError: If something stored is damaged, or the result cannot be stored.
    """
    store = Store(home.store)
    keys = [f"{scene.name}/{name}" for name in (stage.key, *stage.inputs)]
    artifact = store.artifact(keys[0])
    with making(artifact, say, by):
        current = store.current(keys)
        for key in keys[1:]:
            if current[key] is None:
                raise UnavailableError(f"{keys[0]} needs {key}, which is not there; materialize it")
        made_from = recipe(scene, stage, home, current)
        with _failures_kept(artifact, made_from):
            inputs = tuple(store.artifact(k).open(current[k].tag) for k in keys[1:])  # type: ignore[union-attr]
            known = None if force else reusable(artifact, stage, home, scene, made_from)
            if known is not None:
                known, action = restore(artifact, known, home, scene)
                say(f"{action}: the same code, settings and inputs made {known.tag} before")
                return Outcome(
                    known, action, artifact.open(known.tag, schema=stage.schema), inputs, 0.0
                )
            with turn(home, stage.heavy, say):
                return _compute(scene, stage, home, progress, made_from, inputs)


def reusable(
    artifact: ArtifactRepository, stage: Stage, home: Home, scene: Scene, made_from: Provenance
) -> Version | None:
    """A whole version made from just this, the current one first; None where there is none."""
    outputs = outputs_of(scene, home)
    alike = [v for v in artifact.history() if v.provenance.recipe == made_from.recipe]
    for version in sorted(alike, key=lambda v: (v.current, v.number), reverse=True):
        lost = lost_files(version, home, outputs)
        digests = version.provenance.files
        kept = [is_kept(artifact.folder, digests[_name(path, home)]) for path in lost]
        if unreadable(version, stage) or not all(kept) or touched.damage(artifact, version):
            continue
        outputs.save()
        return version
    return None


def restore(
    artifact: ArtifactRepository, version: Version, home: Home, scene: Scene
) -> tuple[Version, Literal["restored", "fresh"]]:
    """Make a version current again, with its files outside the store; ``fresh`` if it all was."""
    outputs = outputs_of(scene, home)
    lost = lost_files(version, home, outputs)
    if version.current and not lost:
        return version, "fresh"
    for path in lost:
        bring_back(artifact.folder, path, version.provenance.files[_name(path, home)])
    if not version.current:
        version = artifact.set_current(version.tag)
    return version, "restored"


def _name(path: Path, home: Home) -> str:
    return os.path.relpath(path, home.root)


@contextmanager
def making(
    artifact: ArtifactRepository, say: Callable[[str], None], by: str = ""
) -> Iterator[None]:
    """Be the one process that makes an artifact; says who does while it waits for another."""
    folder, key = artifact.folder, artifact.key
    with ExitStack() as held:
        try:
            held.enter_context(hold("maker", folder, key, 0, by))
        except LockedError:
            say(f"waiting: {key} is being made by {holder(folder, 'maker')}")
            held.enter_context(hold("maker", folder, key, -1, by))
        yield


@contextmanager
def _failures_kept(artifact: ArtifactRepository, made_from: Provenance) -> Iterator[None]:
    """Remember what fails in the body for the status; what is interrupted has not failed."""
    try:
        yield
    except DamagedError:
        raise  # what is damaged says so itself, and is made again before this one
    except Exception as error:
        bad = isinstance(error, InputError)
        words = str(error) if str(error) else type(error).__name__
        remember_failure(
            artifact.folder, Failure(recipe=made_from.recipe, message=words, bad_input=bad)
        )
        raise
    forget_failure(artifact.folder)


def _compute(
    scene: Scene,
    stage: Stage,
    home: Home,
    progress: Progress,
    made_from: Provenance,
    inputs: tuple[xr.DataTree, ...],
) -> Outcome:
    started = time.perf_counter()
    name = f"{scene.name}/{stage.key}".replace("/", "-")
    checkpoint = home.checkpoints / f"{name}-{made_from.recipe}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    device = _device() if stage.heavy else "cpu"
    settings = stage.settings_for(scene)
    artifact = Store(home.store).artifact(f"{scene.name}/{stage.key}")
    home.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=home.cache) as scratch:
        where = (checkpoint, Path(scratch))
        more = {"variant": stage.variant, "inputs": stage.inputs, "also": stage.also_for(scene)}
        work = Work(scene, home, device, progress, *where, **more)  # type: ignore[arg-type]
        result = stage.run(work, settings, *inputs)
        outputs = outputs_of(scene, home)
        files = [] if stage.files is None else stage.files(result, home, scene.name)
        provenance = replace(
            made_from,
            code=made_from.code + (EDITED if _edited(stage, made_from) else ""),
            packages=packages(),
            device=_device_name(device),
            seconds=round(time.perf_counter() - started, 3),
            notes=tuple(work.notes),
            files={_name(path, home): outputs.hash(path) for path in files},
        )
        for path in files:
            keep(artifact.folder, path, outputs.hash(path))
        version = artifact.write(result, stage.schema, provenance)
    outputs.save()
    checkpoint.unlink(missing_ok=True)
    seconds = time.perf_counter() - started
    return Outcome(
        version, "computed", artifact.open(version.tag, schema=stage.schema), inputs, seconds
    )


def _edited(stage: Stage, made_from: Provenance) -> bool:
    """Whether code that the stage reaches was edited since this process began to load it."""
    code = Code.read()
    changed = code.newest(dict(made_from.modules))
    return code.of(stage.run) != made_from.modules or LOADING_SINCE < changed <= time.time()


def _device() -> str:
    from ops.device import pick_device

    return str(pick_device())


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({platform.machine()})"


__all__ = ["Outcome", "making", "produce", "reusable", "stages_of"]
