"""How the kernels of the scene are compiled and where their machine code is kept."""

from __future__ import annotations

import functools
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


@functools.cache
def _folder() -> str | None:
    return cache_folder(Path(__file__).parent, "demo")


def announce_compiling() -> None:
    """Say that kernels will be compiled, where no machine code of them is kept yet."""
    folder = _folder()
    if folder is None or not any(Path(folder).rglob("*.nbc")):
        _log.info("compiling the built-in scene, once per machine (about 20 seconds) ...")


def helper(function: _Function) -> _Function:
    """Compile a function that kernels call, each time one of them is compiled."""
    return cast(_Function, njit(**_OPTIONS)(function))


def kernel(function: _Function) -> _Function:
    """Compile a function when it is first called, and keep its machine code where there is room."""
    folder, before = _folder(), _config.CACHE_DIR
    _config.CACHE_DIR = folder or before
    try:
        return cast(_Function, njit(cache=folder is not None, **_OPTIONS)(function))
    finally:
        _config.CACHE_DIR = before
