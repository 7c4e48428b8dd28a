"""Making one artifact: look whether it is there, run its stage, keep the result."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assets.freshness import recipe
from assets.graph import stages_of
from assets.process import turn
from assets.scenes import Scene
from assets.stage import Stage, Work
from ops.errors import UnavailableError
from ops.progress import Progress
from storage.artifact import Version
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

# Libraries whose version can change numbers; kept with every artifact.
PACKAGES = (
    *("torch", "torchvision", "gsplat", "numpy", "numba", "scipy", "pycolmap"),
    *("opencv-python-headless", "pillow", "lpips", "pyiqa", "diffusers"),
)


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
) -> Outcome:
    """Bring one artifact of a scene up to date.

    Nothing is computed where the current version was made from the same code, settings and
    inputs, nor where an earlier one was: that one becomes current again.

    Args:
        scene: The scene.
        stage: One of its stages.
        home: Where the store is.
        progress: Told of long work.
        say: Told, in a sentence, what happens.
        force: Compute in any case.

    Raises:
        InputError: If the settings or the source cannot be used.
        UnavailableError: If an input is missing.
    """
    store = Store(home.store)
    repository = store.artifact(f"{scene.name}/{stage.key}")
    keys = [f"{scene.name}/{name}" for name in (stage.key, *stage.inputs)]
    current = store.current(keys)
    for key in keys[1:]:
        if current[key] is None:
            raise UnavailableError(f"{keys[0]} needs {key}, which is not there; materialize it")
    made_from = recipe(scene, stage, home, current)
    inputs = tuple(store.artifact(k).open(current[k].tag) for k in keys[1:])  # type: ignore[union-attr]
    if not force:
        known, action = current[keys[0]], "fresh"
        if known is None or known.damage or known.provenance.recipe != made_from.recipe:
            known, action = repository.find(made_from.recipe), "restored"
        if known is not None:
            tree = repository.open(known.tag)
            gone = [] if stage.files is None else stage.files(tree, home, scene.name)
            if all(path.is_file() for path in gone):
                if action == "restored":
                    repository.set_current(known.tag)
                say(f"{action}: the same code, settings and inputs made {known.tag} before")
                return Outcome(known, action, tree, inputs, 0.0)  # type: ignore[arg-type]
    with turn(home, stage.heavy, say):
        return _compute(scene, stage, home, progress, made_from, inputs)


def _compute(
    scene: Scene,
    stage: Stage,
    home: Home,
    progress: Progress,
    made_from: Any,
    inputs: tuple[xr.DataTree, ...],
) -> Outcome:
    started = time.perf_counter()
    checkpoint = home.checkpoints / f"{scene.name}-{stage.topic}-{stage.name}-{made_from.recipe}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    device = _device() if stage.heavy else "cpu"
    settings = scene.settings(stage.settings, stage.section) if stage.settings else None
    repository = Store(home.store).artifact(f"{scene.name}/{stage.key}")
    cache = home.root / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=cache) as scratch:
        work = Work(scene, home, device, progress, checkpoint, Path(scratch))
        result = stage.run(work, settings, *inputs)
        provenance = replace(
            made_from,
            packages=_packages(),
            device=_device_name(device),
            seconds=round(time.perf_counter() - started, 3),
            notes=tuple(work.notes),
        )
        version = repository.write(result, stage.schema, provenance)
    checkpoint.unlink(missing_ok=True)
    seconds = time.perf_counter() - started
    return Outcome(version, "computed", repository.open(version.tag), inputs, seconds)


def _device() -> str:
    from ops.device import pick_device

    return str(pick_device())


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({platform.machine()})"


def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


__all__ = ["Outcome", "produce", "stages_of"]
