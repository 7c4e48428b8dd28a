"""How long something takes, in wall time and in processor time of the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from ops.rendering.cpu.team import run


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


@dataclass(frozen=True)
class Task:
    """What is timed."""

    work: Callable[[], object]
    before: Callable[[], object] | None = None  # called before each ``work``, not timed
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    """Gives a context to do each ``work`` in; entering it is not timed."""


@dataclass(frozen=True)
class Measured:
    """What came of timing a task."""

    timing: Timing
    repeats: int
    given: list[Any]  # by the contexts


def measure(
    tasks: Sequence[Task], repeats: int, device: torch.device, seconds: float = 0.0
) -> list[Measured]:
    """Times tasks in turns, so that a neighbour who slows the machine down slows no task alone.

    The first time is not counted.

    Args:
        tasks: What is timed.
        repeats: How often each is, at least; at least 1.
        device: Where they work; what is queued on a GPU is waited for.
        seconds: How long to go on, at least; what is short is then timed more often.
    """
    times: list[list[tuple[float, float]]] = [[] for _ in tasks]
    given: list[list[Any]] = [[] for _ in tasks]
    done, end = -1, time.perf_counter() + seconds
    while done < repeats or time.perf_counter() < end:
        for k, task in enumerate(tasks):
            if task.before is not None:
                task.before()
            with task.around() as context:
                _wait(device)
                wall, cpu = time.perf_counter(), time.process_time()
                task.work()
                _wait(device)
                used = (time.perf_counter() - wall, time.process_time() - cpu)
            if done >= 0:
                times[k].append(used)
                given[k].append(context)
        done += 1
    return [Measured(summary(t), done, g) for t, g in zip(times, given, strict=True)]


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
