"""Steps die with their parent and heavy ones take turns."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from assets.process import turn
from storage.home import Home

STEP = """
from assets.process import die_with_parent
die_with_parent(0.05)
print("ready", flush=True)
while True:
    sum(range(10000))
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
assert child.stdout.readline() == "ready\\n"
print(child.pid, flush=True)
time.sleep(60)
"""
ASKED = """
import multiprocessing, os, sys, time
from assets.process import die_with_parent

def step(pipe):
    die_with_parent()
    pipe.send(os.getpid())
    while True:
        sum(range(10000))

if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    start = multiprocessing.get_context(sys.argv[1])
    start.Process(target=step, args=(theirs,)).start()
    print(ours.recv(), flush=True)
    time.sleep(60)
"""
HOLDER = """
import sys, time
from pathlib import Path
from assets.process import turn
from storage.home import Home
with turn(Home(Path(sys.argv[1])), heavy=True, say=print):
    print("held", flush=True)
    time.sleep(60)
"""


def start(folder: Path, text: str, *arguments: str) -> "subprocess.Popen[str]":
    script = folder / f"script{len(list(folder.iterdir()))}.py"
    script.write_text(text)
    command = [sys.executable, str(script), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_and_see_its_step_end(parent: "subprocess.Popen[str]") -> None:
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the step outlived its parent"
        time.sleep(0.05)


def test_a_step_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    step = tmp_path / "step.py"
    step.write_text(STEP)
    with start(tmp_path, PARENT, str(step)) as parent:
        kill_and_see_its_step_end(parent)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_step_ends_when_who_asked_for_it_is_killed(tmp_path: Path, method: str) -> None:
    """A fork server stays while one of its children does, so it is no parent to watch."""
    with start(tmp_path, ASKED, method) as parent:
        kill_and_see_its_step_end(parent)


def test_a_heavy_step_waits_and_goes_on_when_the_holder_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    with start(tmp_path, HOLDER, str(tmp_path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def say(sentence: str) -> None:
            said.append(sentence)
            holder.kill()

        with turn(Home(tmp_path), heavy=True, say=say):
            assert said == ["waiting for another heavy step on this machine to finish"]


def test_light_steps_do_not_wait(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        turn(Home(tmp_path), heavy=True, say=said.append),
        turn(Home(tmp_path), heavy=False, say=said.append),
    ):
        pass
    assert said == []
