"""How the kernels of the scene are compiled and where their machine code is kept."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Vec = tuple[float, float, float]
Array = np.ndarray
_Function = TypeVar("_Function", bound=Callable[..., object])
_config: Any = importlib.import_module("numba.core.config")

# None of the functions allocates. Without Numba's reference counts (_nrt) a scene of twenty arrays
# is passed on for free; with them it costs forty atomic operations at every call, half of the time
# on one thread and more when threads fight over the counters.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz"},
    "_nrt": False,
}


def _folder() -> str:
    """Where machine code is kept: a folder named after the contents of this package.

    Numba itself only notices changes in the file of a kernel, not in helpers from other files.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(here.glob("*.py")):
        digest.update(file.read_bytes())
    place = Path(os.environ.get("NUMBA_CACHE_DIR") or here / "__pycache__")
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "splatworks"
    old = sorted(place.glob("demo-*"), key=lambda f: f.stat().st_mtime)[:-3]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return str(place / f"demo-{digest.hexdigest()[:16]}")


def helper(function: _Function) -> _Function:
    """Compile a function that kernels call, each time one of them is compiled."""
    return cast(_Function, njit(**_OPTIONS)(function))


def kernel(function: _Function) -> _Function:
    """Compile a function when it is first called, and keep its machine code on disk."""
    before = _config.CACHE_DIR
    _config.CACHE_DIR = _folder()
    try:
        return cast(_Function, njit(cache=True, **_OPTIONS)(function))
    finally:
        _config.CACHE_DIR = before
