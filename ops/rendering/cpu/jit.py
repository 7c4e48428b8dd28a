"""How kernels of this folder are compiled and cached; `team.py` runs them.

Kernels have explicit signatures, so what is compiled is settled when a module is imported and no
array layout or integer width can cause another compilation in the middle of a training run.

Helpers are always inlined. Numba exports one that is not as a weak symbol, and of several copies
(its own, one in each kernel that calls it) all kernels run the one that their process saw first:
while compiling the helper's own, when loading from the cache that of the first kernel. LLVM may
fuse and schedule each copy differently, so the last bits would depend on where a kernel came from.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from ops.kernel_cache import cache_folder

# `_nrt` is missing from Numba's type hints.
njit: Any = numba.njit
log = logging.getLogger("splatworks.rendering")
_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
config: Any = importlib.import_module("numba.core.config")

# Numba puts these flags on every instruction, so kernels of vectors have none of them: forward and
# backward must round alike, and "reassoc" would optimise the rounding trick inside `simd.exp2` away
# without a word. Scalar kernels may fuse multiply and add.
SCALAR_MATHS = frozenset({"contract", "nsz"})


def _cache_folder() -> str | None:
    return cache_folder(Path(__file__).parent, "rendering")


_folder = functools.cache(_cache_folder)  # looked for once in a process


@contextmanager
def _own_cache() -> Iterator[bool]:
    """Lets Numba cache in our folder while one of our kernels is compiled, if there is one."""
    folder, before = _folder(), config.CACHE_DIR
    config.CACHE_DIR = folder or before
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before


def kernel(
    *signatures: str, scalar_maths: bool = False, allocates: bool = False
) -> Callable[[_Kernel], _Kernel]:
    """Compiles a kernel now, or loads it from the cache; it runs without the interpreter's lock.

    By convention its first two arguments are ``part`` and ``parts``: :func:`team.run` calls it once
    for every part. What it writes must not depend on ``parts``.

    Args:
        signatures: Numba's. With several there is machine code for each of them: where an argument
            is ``none``, what is done with it is left out.
        scalar_maths: Multiplications and additions may be fused.
        allocates: It makes arrays of its own. Without that Numba need not count references, which
            costs two atomic operations for every array at every call of a helper; arrays to work
            in come from :func:`workspace`.
    """

    def decorate(function: _Kernel) -> _Kernel:
        with _own_cache() as cached:
            compiled: _Kernel = njit(
                list(signatures),
                cache=cached,
                nogil=True,
                error_model="numpy",
                fastmath=set(SCALAR_MATHS) if scalar_maths else False,
                _nrt=allocates,
            )(function)
        return compiled

    return decorate


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a function that kernels call; it rounds the same in all of them."""
    # Left unsaid, fastmath would be that of whichever kernel calls.
    made: Callable[..., Any] = njit(
        error_model="numpy", fastmath=False, forceinline=True, _nrt=False
    )(function)
    return made


def scalar_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like :func:`helper`, where the last bit does not matter and fusing is welcome."""
    made: Callable[..., Any] = njit(
        error_model="numpy", fastmath=set(SCALAR_MATHS), forceinline=True, _nrt=False
    )(function)
    return made


def _keep_freed_memory(size: int = 256 << 20) -> None:
    """Let the C library keep up to so many bytes that were freed, where it is glibc.

    Every training step takes and frees the same few megabytes. Given back to the system and taken
    again, page by page, they cost a fifth of the step.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    trim_threshold, mmap_threshold, largest = -1, -3, 32 << 20
    mallopt(trim_threshold, size)
    mallopt(mmap_threshold, largest)


_keep_freed_memory()


@kernel("i8(f4[::1])")
def _to_cache_line(array: Any) -> int:
    """How many numbers lie before the first that starts a cache line. NumPy is asked for the
    address in Python no faster than in a microsecond."""
    return -(array.ctypes.data // 4) % 16


def aligned(*shape: int) -> NDArray[np.float32]:
    """An array of uninitialised float32 that starts at a cache line."""
    size = math.prod(shape)
    raw = np.empty(size + 16, np.float32)
    start = _to_cache_line(raw)
    return raw[start : start + size].reshape(shape)


def workspace(parts: int, size: int) -> NDArray[np.float32]:
    """[parts, at least size] float32 for kernels to work in; every row starts at a cache line."""
    return aligned(parts, -(-size // 16) * 16)


@contextmanager
def announced(what: str, after_s: float = 2.0) -> Iterator[None]:
    """Says so when the imports inside take long, which means that kernels are compiled."""
    timer = threading.Timer(after_s, _announce, (what,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _announce(what: str) -> None:
    """To whom listens to the log; else to the terminal or notebook that waits."""
    once = ", once per machine" if _folder() else ""
    sentence = f"compiling the CPU renderer ({what}){once}; this takes about 10 seconds ..."
    if log.hasHandlers():
        log.info(sentence)
    else:
        sys.stderr.write(sentence + "\n")
