"""What several tests of storage use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from storage.artifact import ArtifactRepository
from storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def artifact(store: Store) -> ArtifactRepository:
    """An artifact without versions."""
    return store.artifact("fox/splats/trained")


def _splats(count: int, seed: int = 0, degree: int = 1) -> xr.Dataset:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    return xr.Dataset(
        {
            "means": (("gaussian", "xyz"), normal(count, 3)),
            "quats": (("gaussian", "wxyz"), normal(count, 4)),
            "log_scales": (("gaussian", "axis"), normal(count, 3)),
            "opacity_logits": (("gaussian",), normal(count)),
            "sh0": (("gaussian", "sh_constant", "rgb"), normal(count, 1, 3)),
            "shN": (("gaussian", "sh_higher", "rgb"), normal(count, (degree + 1) ** 2 - 1, 3)),
        },
        attrs={"world_transform": np.eye(4).tolist()},
    )


@pytest.fixture
def splats() -> Callable[..., xr.Dataset]:
    """Random splats: ``splats(count, seed=0, degree=1)``."""
    return _splats


@pytest.fixture(scope="session")
def writer_module() -> ModuleType:
    """The script ``writer_process.py``: its ``SCHEMA`` and ``data(seed, rows)``."""
    file = Path(__file__).with_name("writer_process.py")
    spec = importlib.util.spec_from_file_location("writer_process", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
