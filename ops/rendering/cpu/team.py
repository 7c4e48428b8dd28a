"""Kernels on several threads.

A team of our own rather than Numba's or torch's: no second OpenMP runtime beside torch's, no
trouble with forks, and it may be called from several threads at once.

A training step calls a dozen kernels, of which some take a tenth of a millisecond, and waking a
thread that sleeps costs as much as that. So whoever waits looks for a moment before it goes to
sleep: a worker for its next job, the caller for the workers' last. All hand-overs happen while
both sides hold the interpreter's lock in turn, which orders memory between them.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.simd import vector_intrinsic

# How long to look before going to sleep: a worker between jobs, and the caller for workers that are
# late, which on a busy machine may be those that wait for the caller's core.
_IDLE_S = 400e-6
_LATE_S = 100e-6
# The other side writes its word before it lets go of the interpreter's lock; to ask for the lock
# while it is held means to sleep. So long it takes a caller to get into its own part of a kernel,
# and a worker from the end of its part to looking for the next job.
_STARTING_S = 8e-6
_ENDING_S = 4e-6
_I64 = ir.IntType(64)


# Of the job that the team is at: how many workers are not done, and how often to look for that.
_JOB = np.zeros(16, np.int64)[:3]
_SYMBOL = "splatworks_team_job"
llvmlite.binding.add_symbol(_SYMBOL, _JOB.ctypes.data)


def _loaded(builder: Any, address: Any) -> Any:
    """A number as another thread wrote it last, after a short pause."""
    if builder.module.triple.startswith(("x86", "amd64", "i686")):
        kind = ir.FunctionType(ir.VoidType(), [])
        pause = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
        builder.call(pause, [])
    return builder.load_atomic(address, "acquire", 8)


@vector_intrinsic
def _look(typingctx: Any, word: Any) -> Any:
    """The first number of an int64 array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return _loaded(builder, data)

    return types.int64(word), codegen


@vector_intrinsic
def _job(typingctx: Any, index: Any) -> Any:
    """A number of ``_JOB``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = builder.module.globals.get(_SYMBOL)
        if start is None:
            start = ir.GlobalVariable(builder.module, _I64, _SYMBOL)
            start.linkage = "external"
        at = context.cast(builder, arguments[0], signature.args[0], types.intp)
        return _loaded(builder, builder.gep(start, [at]))

    return types.int64(index), codegen


@kernel("void(i8[::1], i8, i8, i8)")
def _watch(word: Any, wanted: int, looks: int, settle: int) -> None:
    """Looks at a word until it has come to ``wanted``, so many times, and then a few times more."""
    for _ in range(looks):
        if _look(word) >= wanted:
            break
    for _ in range(settle):
        _look(word)


@helper
def finish(part: int, parts: int) -> None:
    """The end of a kernel: the caller's part looks whether the others are done.

    Without it nothing is wrong, but threads that are done at the same time would all ask for the
    interpreter's lock, and those that do not get it go to sleep.
    """
    if part == 0 and parts > 1 and _job(0) > 0:
        for _ in range(_job(1)):
            if _job(0) <= 0:
                break
        for _ in range(_job(2)):
            _job(0)


@functools.cache
def _looks(seconds: float) -> int:
    """How many looks take so long."""
    word, count = np.zeros(1, np.int64), 2000
    _watch(word, 1, 1, 0)
    start = time.perf_counter()
    _watch(word, 1, count, 0)
    return max(1, int(count * seconds / (time.perf_counter() - start)))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Word:
    """A number that one thread counts up and another waits for."""

    def __init__(self) -> None:
        self._value = np.zeros(8, np.int64)[:1]  # little else in its cache line
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = False

    def set(self, value: int) -> None:
        self._value[0] = value
        if self._asleep:
            self._bell.put(None)

    def wait(self, wanted: int, looks: int, settle_s: float) -> None:
        if looks > 0 and self._value[0] < wanted:
            _watch(self._value, wanted, looks, _looks(settle_s))
        if self._value[0] < wanted:
            # Said before looking again: either this sees the number, or `set` sees this.
            self._asleep = True
            while self._value[0] < wanted:
                self._bell.get()
            self._asleep = False


class _Worker:
    """A thread that does a part of one job after another."""

    def __init__(self, part: int) -> None:
        self._part = part
        self._jobs = 0
        self._given, self._done = _Word(), _Word()
        self._job: tuple[Any, ...] = ()
        self._dismissed = False
        self._error: BaseException | None = None
        self._looks = 0
        name = f"splatworks-render-{part}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def give(self, job: tuple[Any, ...], looks: int) -> None:
        """Have the part of (compiled, parts, arguments) done, and the thread look so many times for
        the next job then."""
        self._job, self._looks = job, looks
        self._jobs += 1
        self._given.set(self._jobs)

    def wait(self, looks: int) -> BaseException | None:
        """Until the job is done; what it raised."""
        self._done.wait(self._jobs, looks, _ENDING_S)
        error, self._error = self._error, None
        return error

    def dismiss(self) -> None:
        """Ends the thread, after what it is at."""
        self._dismissed = True
        self._jobs += 1
        self._given.set(self._jobs)

    def end(self) -> None:
        self.dismiss()
        self._thread.join()

    def _work(self) -> None:
        number = 1
        while True:
            self._given.wait(number, self._looks, _STARTING_S)
            if self._dismissed:
                return
            compiled, parts, arguments = self._job
            try:
                compiled(self._part, parts, *arguments)
            except BaseException as error:
                self._error = error
            del compiled, arguments
            self._job = ()
            self._done.set(number)
            _JOB[0] -= 1
            number += 1


class _Team:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.workers: list[_Worker] = []

    def run(self, parts: int, compiled: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """With the lock held."""
        while len(self.workers) < parts - 1:
            self.workers.append(_Worker(len(self.workers) + 1))
        idle, late = (_looks(_IDLE_S), _looks(_LATE_S)) if parts <= _cores() else (0, 0)
        workers = self.workers[: parts - 1]
        finished = False
        _JOB[:] = len(workers), late, _looks(_ENDING_S)
        try:
            for worker in workers:
                worker.give((compiled, parts, arguments), idle)
            try:
                compiled(0, parts, *arguments)
            finally:
                errors = [worker.wait(late) for worker in workers]
                finished = True
        finally:
            if not finished:  # interrupted: whoever is still at work ends by itself
                left, self.workers = self.workers, []
                for worker in left:
                    worker.dismiss()
        for error in errors:
            if error is not None:
                raise error


_team = _Team()


def _forget_team() -> None:
    global _team
    _team = _Team()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)  # threads do not survive a fork


@atexit.register
def _end_team() -> None:
    with _team.lock:
        for worker in _team.workers:
            worker.end()
        _team.workers.clear()


def run(parts: int, compiled: Callable[..., None], *arguments: Any) -> None:
    """Calls ``compiled(part, parts, *arguments)`` for every part, on as many threads.

    While the team works for another thread, the caller does all parts by itself, one after another:
    no part may wait for another.
    """
    if parts <= 1:
        compiled(0, 1, *arguments)
        return
    team = _team
    if team.lock.locked():
        for part in range(parts):
            compiled(part, parts, *arguments)
        return
    # Not acquire and release: an interruption between the two would leave the team locked.
    with team.lock:
        team.run(parts, compiled, arguments)
