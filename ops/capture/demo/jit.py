"""How the kernels of the scene are compiled and where their machine code is kept."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from ops.kernel_cache import cache_folder

Vec = tuple[float, float, float]
Array = np.ndarray
_Function = TypeVar("_Function", bound=Callable[..., object])
_log = logging.getLogger("splatworks.demo")
_config: Any = importlib.import_module("numba.core.config")

# None of the functions allocates. Without Numba's reference counts (_nrt) a scene of twenty arrays
# is passed on for free; with them it costs forty atomic operations at every call, half of the time
# on one thread and more when threads fight over the counters. LLVM may not fuse or reorder
# arithmetic: which of several compiled copies of a helper runs depends on what a process loaded
# first, so all copies must round alike. Fusing would not make it faster.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": False,
    "_nrt": False,
}


def _folder() -> str:
    return cache_folder(Path(__file__).parent, "demo")


def announce_compiling() -> None:
    """Say that kernels will be compiled, where no machine code of them is kept yet."""
    if not any(Path(_folder()).rglob("*.nbc")):
        _log.info("compiling the built-in scene, once per machine (about 20 seconds) ...")


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
