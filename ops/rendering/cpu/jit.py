"""How kernels of this folder are compiled, cached and run on several threads.

Kernels have explicit signatures, so what is compiled is settled when a module is imported and no
array layout or integer width can cause another compilation in the middle of a training run.

Helpers are always inlined. Numba exports one that is not as a weak symbol, and of several copies
(its own, one in each kernel that calls it) all kernels run the one that their process saw first:
while compiling the helper's own, when loading from the cache that of the first kernel. LLVM may
fuse and schedule each copy differently, so the last bits would depend on where a kernel came from.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import torch

from ops.kernel_cache import cache_folder

log = logging.getLogger("splatworks.rendering")
config: Any = importlib.import_module("numba.core.config")

# Numba puts these flags on every instruction, so kernels of vectors have none of them: forward and
# backward must round alike, and "reassoc" would optimise the rounding trick inside `simd.exp2` away
# without a word. Scalar kernels may fuse multiply and add.
SCALAR_MATHS = frozenset({"contract", "nsz"})


def _cache_folder() -> str:
    return cache_folder(Path(__file__).parent, "rendering")


_folder: str | None = None


@contextmanager
def _own_cache() -> Iterator[None]:
    """Lets Numba cache in our folder while one of our kernels is being compiled."""
    global _folder
    _folder = _folder or _cache_folder()
    before = config.CACHE_DIR
    config.CACHE_DIR = _folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


def kernel(
    signature: str, *, scalar_maths: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compiles a kernel now, or loads it from the cache; it runs without the interpreter's lock.

    By convention its first two arguments are ``part`` and ``parts``: :func:`run` calls it once
    for every part. What it writes must not depend on ``parts``.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        with _own_cache():
            compiled: Callable[..., None] = numba.njit(
                signature,
                cache=True,
                nogil=True,
                error_model="numpy",
                fastmath=set(SCALAR_MATHS) if scalar_maths else False,
            )(function)
        return compiled

    return decorate


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a function of scalars that kernels call; it rounds the same in all of them."""
    # Left unsaid, fastmath would be that of whichever kernel calls.
    made: Callable[..., Any] = numba.njit(error_model="numpy", fastmath=False, forceinline=True)(
        function
    )
    return made


def scalar_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like :func:`helper`, where the last bit does not matter and fusing is welcome."""
    made: Callable[..., Any] = numba.njit(
        error_model="numpy", fastmath=set(SCALAR_MATHS), forceinline=True
    )(function)
    return made


@contextmanager
def announced(what: str, after_s: float = 2.0) -> Iterator[None]:
    """Logs one line when the imports inside take long, which means that kernels are compiled."""
    message = "compiling the CPU renderer (%s), once per machine; this takes about 10 seconds ..."
    timer = threading.Timer(after_s, log.info, (message, what))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_pool_lock = threading.Lock()


def _workers(count: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _pool_lock:
        if _pool is None or _pool_size < count:
            _pool = ThreadPoolExecutor(count, thread_name_prefix="splatworks-render")
            _pool_size = count
        return _pool


def _forget_workers() -> None:
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)  # threads do not survive a fork


def threads() -> int:
    """How many threads a rendering uses: as many as torch (``torch.set_num_threads``)."""
    return torch.get_num_threads()


def run(parts: int, compiled: Callable[..., None], *arguments: Any) -> None:
    """Calls ``compiled(part, parts, *arguments)`` for every part, on as many threads.

    A thread pool of our own rather than Numba's: no second OpenMP runtime beside torch's, no
    trouble with forks, and it may be called from several threads at once.
    """
    if parts <= 1:
        compiled(0, 1, *arguments)
        return
    pool = _workers(parts - 1)
    others = [pool.submit(compiled, part, parts, *arguments) for part in range(1, parts)]
    try:
        compiled(0, parts, *arguments)
    finally:
        for other in others:
            other.result()
