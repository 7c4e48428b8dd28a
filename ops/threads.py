"""How many threads are at work: torch's, and those of the renderer and its like."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_held = threading.local()  # of each thread: how many there were before torch was told to use one


def threads() -> int:
    """How many threads the renderer uses: as many as torch (``torch.set_num_threads``)."""
    return getattr(_held, "count", 0) or torch.get_num_threads()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Torch works with one thread inside, and with as many as before afterwards.

    What has :func:`threads` of its own keeps them. Long work is done inside for two reasons. Some
    operations (exp, sigmoid, sums) round differently depending on how many threads share them,
    because the last few values of a thread's share take another path. And after each operation
    torch's other threads go on looking for work for milliseconds, on the cores that the renderer's
    threads need, wherever torch was loaded before this package could forbid it (see ``ops``):
    a training step on two threads then took three times as long as on one.
    """
    before, held = torch.get_num_threads(), getattr(_held, "count", 0)
    _held.count = held or before
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _held.count = held
