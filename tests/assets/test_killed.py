"""Killed at any moment, the store stays readable and exact, and the next run completes."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from storage.home import Home
from storage.store import Store

MOMENTS = 50
SCRIPT = Path(__file__).with_name("toy_step.py")
_spec = importlib.util.spec_from_file_location("toy_step", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
toy_step = sys.modules["toy_step"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toy_step)
make, values = toy_step.make, toy_step.values


def start(home: Home, number: int) -> "tuple[subprocess.Popen[str], int]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(SCRIPT), "parent", str(home.root), str(number)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def exact(home: Home) -> int:
    """The setting that the current version was made with, after comparing all its values."""
    artifact = Store(home.store).artifact("demo/toy/made")
    version = artifact.verify()
    number = int(version.provenance.settings["toy"]["number"])
    np.testing.assert_array_equal(
        artifact.open(schema=toy_step.SCHEMA)["values"].values, values(number)
    )
    return number


@pytest.mark.parametrize("victim", ["step", "parent"])
def test_killed_at_any_moment(tmp_path: Path, victim: str) -> None:
    home = Home(tmp_path / "home").create()
    assert make(home, 0) == "computed"
    rng = np.random.default_rng(["step", "parent"].index(victim))
    with start(home, 1)[0] as process:
        began = time.monotonic()
        process.wait()
        latest = 1.3 * (time.monotonic() - began)
    before, completed = 1, 0
    for number in range(2, MOMENTS // 2 + 2):
        process, step = start(home, number)
        with process:
            time.sleep(float(rng.uniform(0, latest)))
            with suppress(ProcessLookupError):  # it may be done by now
                os.kill(step if victim == "step" else process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not gone(step):
            assert time.monotonic() < deadline, "the step outlived its parent"
            time.sleep(0.01)
        found = exact(home)
        assert found in (before, number), "neither the version of before nor the new one"
        completed += found == number
        before = found
    assert 0 < completed < MOMENTS // 2, f"{completed} completed: the moments are not spread"
    last = MOMENTS + 2
    assert make(home, last) == "computed"
    assert exact(home) == last
    history = Store(home.store).artifact("demo/toy/made").history()
    assert len(history) == completed + 3, "a version was lost"
    assert not list((home.root / "cache").glob("*.new"))


def test_two_at_once_compute_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    with ExitStack() as stack:
        processes = [stack.enter_context(start(home, 7)[0]) for _ in range(3)]
        assert [p.wait() for p in processes] == [0, 0, 0]
    assert len(Store(home.store).artifact("demo/toy/made").history()) == 1
    assert exact(home) == 7
