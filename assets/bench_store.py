"""How fast artifacts are written and read, beside ``torch.save`` and ``torch.load`` of the same.

Both write whole new files and read all of them into new arrays. What was written before is
deleted first, also for PyTorch: pages of the disk cache that were in use before cost nothing new,
fresh ones cost a virtual machine more than all the rest, and would hide what is compared. Times
are of the processor, over all threads, the least of several repeats.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.provenance import Provenance
from storage.schema import Schema, Variable
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

MEGABYTES = 200


@dataclass(frozen=True)
class Row:
    """One case: seconds of processor time, each the least of several repeats."""

    case: str
    megabytes: float
    write: float
    torch_save: float
    read: float
    torch_load: float
    stored_megabytes: float

    @property
    def ratio(self) -> float:
        """Writing and reading together, as a multiple of PyTorch's."""
        return (self.write + self.read) / (self.torch_save + self.torch_load)


def bench(
    megabytes: float = MEGABYTES,
    repeats: int = 5,
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Measure all cases.

    Args:
        megabytes: About so much data in each, except in that of small variables.
        repeats: How often each is done.
        folder: Where files are written for the time being; by default that of the system.
        tell: Told the name of each case before it runs.
    """
    rows = []
    for name, make in CASES.items():
        tell(name)
        with tempfile.TemporaryDirectory(prefix="splatworks-bench-", dir=folder) as scratch:
            rows.append(_measure(name, make(megabytes * 1e6), repeats, Path(scratch)))
    return rows


def _measure(name: str, data: xr.Dataset, repeats: int, folder: Path) -> Row:
    import torch

    tensors = {str(n): torch.from_numpy(v.values) for n, v in data.variables.items()}
    file, store = folder / "tensors.pt", folder / "store"
    artifact = Store(store).artifact("bench/data")
    declared = (Variable(str(n), tuple(map(str, v.dims)), v.dtype.name) for n, v in data.items())
    schema = Schema(name="bench", version=1, variables=tuple(declared))

    def read() -> None:
        for variable in artifact.open(schema=schema).variables.values():
            variable.to_numpy()

    return Row(
        case=name,
        megabytes=data.nbytes / 1e6,
        torch_save=_least(
            lambda: torch.save(tensors, file), repeats, lambda: file.unlink(missing_ok=True)
        ),
        torch_load=_least(lambda: torch.load(file), repeats),
        write=_least(
            lambda: artifact.write(data, schema, Provenance()),
            repeats,
            lambda: shutil.rmtree(store, ignore_errors=True),
        ),
        read=_least(read, repeats),
        stored_megabytes=sum(f.stat().st_size for f in store.rglob("*") if f.is_file()) / 1e6,
    )


def _least(
    work: Callable[[], object], repeats: int, before: Callable[[], object] = lambda: None
) -> float:
    found = []
    for _ in range(max(repeats, 1)):
        before()
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def _dataset(**arrays: np.ndarray) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            name: ((f"{name}_row", *(f"{name}_{i}" for i in range(1, value.ndim))), value)
            for name, value in arrays.items()
        }
    )


def _splats(size: float) -> xr.Dataset:
    """Gaussians of SH degree 3, as noisy as trained ones: nothing to compress."""
    count = max(1, round(size / (59 * 4)))
    rng = np.random.default_rng(0)
    shapes = {"means": (3,), "quats": (4,), "log_scales": (3,), "opacity_logits": ()}
    shapes |= {"sh0": (1, 3), "shN": (15, 3)}
    return _dataset(
        **{n: rng.standard_normal((count, *s), np.float32) for n, s in shapes.items()},
    )


def _round_numbers(size: float) -> xr.Dataset:
    """Floats of a few values each, and labels: they shrink to a fraction."""
    rng = np.random.default_rng(0)
    count = max(1, round(size / (12 * 4 + 4)))
    values = rng.integers(-20, 20, (count, 12)).astype(np.float32) / 8
    labels = np.repeat(rng.integers(0, 9, -(-count // 500)), 500)[:count].astype(np.int32)
    return _dataset(values=values, labels=labels)


_VIEW = (270, 480, 3)


def _photos(size: float) -> xr.Dataset:
    """Views with the noise of a camera in them."""
    rng = np.random.default_rng(0)
    count = max(1, round(size / np.prod(_VIEW)))
    return _dataset(images=rng.integers(0, 256, (count, *_VIEW), np.uint8))


def _smooth_pictures(size: float) -> xr.Dataset:
    """Views with large even surfaces, as rendered ones have them."""
    rng = np.random.default_rng(0)
    count = max(1, round(size / np.prod(_VIEW)))
    coarse = rng.integers(0, 256, (count, _VIEW[0] // 15, _VIEW[1] // 15, 3), np.uint8)
    return _dataset(images=coarse.repeat(15, axis=1).repeat(15, axis=2))


def _many_variables(size: float) -> xr.Dataset:
    """A hundred variables that share the size."""
    rng = np.random.default_rng(0)
    rows = max(1, round(size / 100 / 16))
    shape = (rows, 4)
    return _dataset(**{f"v{i:03}": rng.standard_normal(shape, np.float32) for i in range(100)})


def _small_variables(_size: float) -> xr.Dataset:
    """Many variables of a few numbers each; what is measured is what each of them costs."""
    rng = np.random.default_rng(0)
    return _dataset(**{f"v{i:03}": rng.standard_normal((100, 4)) for i in range(100)})


CASES: dict[str, Callable[[float], xr.Dataset]] = {
    "trained Gaussians": _splats,
    "round numbers": _round_numbers,
    "photos": _photos,
    "smooth pictures": _smooth_pictures,
    "100 variables": _many_variables,
    "100 small variables": _small_variables,
}
