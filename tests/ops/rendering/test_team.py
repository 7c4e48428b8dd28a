"""Several threads: every part is done once, whatever happens."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ops.rendering.cpu import team
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.team import finish


@kernel("void(i8, i8, i8[::1])")
def _count_up(part, parts, counts):
    counts[part] += parts
    finish(part, parts)


def _note(part, parts, out):
    assert parts == len(out)
    out[part] += 1


@pytest.mark.parametrize("cores", [1, 64])  # fewer than parts: nobody looks before going to sleep
def test_every_part_runs_once_and_errors_come_through(monkeypatch, cores):
    monkeypatch.setattr(team, "_cores", lambda: cores)
    seen = np.zeros(5, int)
    team.run(5, _note, seen)
    assert (seen == 1).all()
    team.run(1, _note, seen[:1])
    assert seen[0] == 2

    def fail(part, parts):
        if part == parts - 1:
            raise MemoryError("part 2")

    with pytest.raises(MemoryError, match="part 2"):
        team.run(3, fail)

    def fail_here(part, parts, out):
        if part == 0:
            raise MemoryError("part 0")
        time.sleep(0.02)
        out[part] = 7

    with pytest.raises(MemoryError, match="part 0"):
        team.run(3, fail_here, seen)
    assert (seen[1:3] == 7).all()  # waited for, so that nobody writes behind the caller's back
    team.run(5, _note, seen)
    assert seen.tolist() == [3, 8, 8, 2, 2]


def test_many_short_kernels():
    counts = np.zeros(3, np.int64)
    for repeat in range(2000):
        if repeat % 500 == 0:
            time.sleep(0.005)  # until the workers have gone to sleep
        team.run(3, _count_up, counts)
    assert counts.tolist() == [6000] * 3


def test_from_several_threads_at_once():
    def work(_):
        counts = np.zeros(2, np.int64)
        for _ in range(200):
            team.run(2, _count_up, counts)
        return counts.tolist()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == [[400, 400]] * 8


def test_after_an_interruption_the_next_job_is_done():
    """As Ctrl+C does it: the caller leaves while a worker is still busy."""
    begun, let_go = threading.Event(), threading.Event()

    def slow(part, parts, out):
        if part == 0:
            assert begun.wait(10)
            return
        begun.set()
        let_go.wait(10)
        out[part] += 100

    class Interrupted(team._Team):
        def run(self, *arguments):
            wait = team._Worker.wait
            team._Worker.wait = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            try:
                super().run(*arguments)
            finally:
                team._Worker.wait = wait

    busy, seen = np.zeros(2, int), np.zeros(2, int)
    interrupted, before = Interrupted(), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        interrupted.run(2, slow, (busy,))
    [left_behind] = set(threading.enumerate()) - before
    team._Team.run(interrupted, 2, _note, (seen,))
    assert seen.tolist() == [1, 1]
    assert busy.tolist() == [0, 0]
    let_go.set()
    left_behind.join(10)  # it ends by itself: many interruptions do not pile threads up
    assert not left_behind.is_alive()
    assert busy.tolist() == [0, 100]
    for worker in interrupted.workers:
        worker.end()


def _in_child(queue):
    seen = np.zeros(2, int)
    team.run(2, _note, seen)
    queue.put(seen.tolist())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork():
    team.run(2, _note, np.zeros(2, int))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == [1, 1]
    child.join(30)
    assert child.exitcode == 0


def test_the_interpreter_ends_while_workers_look():
    code = (
        "import numpy as np\n"
        "from ops.rendering.cpu import team\n"
        "seen = np.zeros(3)\n"
        "def note(part, parts, out): out[part] += 1\n"
        "team.run(3, note, seen)\n"
        "print(seen.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, text=True, capture_output=True, timeout=60
    )
    assert done.stdout.strip() == "[1.0, 1.0, 1.0]"
    assert not done.stderr
