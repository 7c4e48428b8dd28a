"""Several pictures at once: a thread for each, with the same result as one by one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from ops.cameras import Cameras
from ops.threads import one_torch_thread, threads

_SMALL = 2**21  # pixels; a network needs some hundred bytes for each


@contextmanager
def pictures_at_once(cameras: Cameras) -> Iterator[ThreadPoolExecutor]:
    """A thread for each picture, as many as torch has; large ones one by one, to save memory.

    torch itself works with one thread inside, so what a picture becomes is the same either way.
    """
    sizes = zip(cameras.widths, cameras.heights, strict=True)
    small = all(width * height <= _SMALL for width, height in sizes)
    workers = threads() if small else 1
    with one_torch_thread(), ThreadPoolExecutor(workers, initializer=_one_thread) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    torch.set_num_threads(1)
