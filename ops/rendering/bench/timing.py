"""How long something takes, in wall time and in processor time of the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import torch

from ops.rendering.cpu.team import run

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """Milliseconds of repeated work: the least is what it costs, the median what one meets."""

    wall_ms: float
    wall_ms_median: float
    cpu_ms: float  # of all threads of the process, other processes do not count
    cpu_ms_median: float


def run_timed(parts: int, compiled: Callable[..., None], *arguments: object) -> tuple[float, float]:
    """Runs a kernel with the team; seconds of wall time, and of processor time in its parts.

    Every thread looks at its own clock: the process's counts a thread that runs without a break
    now and then only, some milliseconds late.
    """
    used = [0.0] * parts

    def timed(part: int, parts: int, *arguments: object) -> None:
        start = time.thread_time()
        compiled(part, parts, *arguments)
        used[part] = time.thread_time() - start

    start = time.perf_counter()
    run(parts, timed, *arguments)
    return time.perf_counter() - start, sum(used)


def summary(seconds: list[tuple[float, float]]) -> Timing:
    """The timing of repeats, each (wall, cpu) in seconds; at least one."""
    wall, cpu = ([1e3 * v for v in column] for column in zip(*seconds, strict=True))
    return Timing(min(wall), median(wall), min(cpu), median(cpu))


def measure(
    work: Callable[[], object],
    repeats: int,
    device: torch.device,
    before: Callable[[], object] | None = None,
    around: Callable[[], AbstractContextManager[T | None]] = nullcontext,
) -> tuple[Timing, list[T | None]]:
    """Times ``work``, once more than ``repeats``: the first time is not counted.

    Args:
        work: What is timed.
        repeats: At least 1.
        device: Where it works; what is queued on a GPU is waited for.
        before: Called before each ``work``, not timed.
        around: Gives a context to do each ``work`` in; entering it is not timed.

    Returns:
        The timing, and what the contexts gave.
    """
    seconds, given = [], []
    for _ in range(1 + repeats):
        if before is not None:
            before()
        with around() as context:
            _wait(device)
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            _wait(device)
            seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        given.append(context)
    return summary(seconds[1:]), given[1:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch, and with it the renderer, works with so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
