"""kill -9 at random moments of everything that changes an artifact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from storage.artifact import ArtifactRepository
from storage.provenance import Provenance
from storage.store import Store
from storage.testing import assert_same

KILLS_EACH = int(os.environ.get("SPLATWORKS_TEST_KILLS_EACH", "15"))
VICTIM = Path(__file__).with_name("victim_process.py")
ROWS = 8_000
KEY = "a/b"
ZERO = timedelta(0)


class Victims:
    """Starts children that work on an artifact, and kills them."""

    def __init__(self) -> None:
        command = [sys.executable, str(VICTIM)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        assert line, "the process of the victims has died"
        return line

    def kill(
        self, artifact: ArtifactRepository, operation: str, number: int, step: int, delay: float
    ) -> list[str]:
        """Kill a child ``delay`` seconds into its ``step``-th step; what it had done."""
        assert self.process.stdin is not None
        store = artifact.folder.parents[1]
        self.process.stdin.write(f"{operation} {number} {store}\n")
        self.process.stdin.flush()
        pid = int(self._line().removeprefix("pid "))
        done: list[str] = []
        begun = 0
        while (line := self._line()) != "gone":
            begun += line == "begin"
            done += [line.removeprefix("end ")] if line.startswith("end ") else []
            if begun == step:
                break
        if line != "gone":
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            while (line := self._line()) != "gone":
                done += [line.removeprefix("end ")] if line.startswith("end ") else []
        return done


@pytest.fixture
def artifact(tmp_path: Path) -> ArtifactRepository:
    return Store(tmp_path / "store").artifact(KEY)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    found = Victims()
    yield found
    found.process.kill()
    found.process.communicate()


def write(artifact: ArtifactRepository, module: ModuleType, seed: int) -> str:
    data = module.data(seed, ROWS)
    return artifact.write(data, module.SCHEMA, Provenance(code=f"seed-{seed}")).tag


def assert_all_is_whole(artifact: ArtifactRepository, module: ModuleType) -> None:
    """There is a current version, and every version is exactly what its seed gives."""
    history = artifact.history()
    assert [v.current for v in history].count(True) == 1
    assert [v.number for v in history] == sorted({v.number for v in history})
    for version in history:
        assert artifact.verify(version.tag).damage == ""
        seed = int(version.provenance.code.removeprefix("seed-"))
        tree = artifact.open(version.tag, schema=module.SCHEMA)
        assert_same(tree, module.data(seed, ROWS))


def delays(most: float, seed: int) -> list[float]:
    """Moments from the begin of an operation to a little after its usual end."""
    return np.random.default_rng(seed).uniform(0, most, KILLS_EACH).tolist()


def test_killed_while_writing(artifact, victims, writer_module):
    write(artifact, writer_module, 1)
    during = 0
    for i, delay in enumerate(delays(0.06, 0)):
        before, current = artifact.history(), artifact.current().tag
        acknowledged = victims.kill(artifact, "write", 1000 * (i + 1), 1 + i % 2, delay)
        during += (artifact.folder / "writer.json").exists()
        tags = [v.tag for v in artifact.history()]
        expected = [v.tag for v in before] + acknowledged
        assert tags[: len(expected)] == expected
        assert len(tags) <= len(expected) + 1  # complete, but not acknowledged any more
        current = acknowledged[-1] if acknowledged else current
        assert artifact.current().tag in {current, *tags[len(expected) :]}
        if i % 5 == 4:
            assert_all_is_whole(artifact, writer_module)
            write(artifact, writer_module, 10 + i)  # removes what dead ones left
            artifact.prune(spare=ZERO)
        else:
            assert artifact.verify().damage == ""
    assert during >= KILLS_EACH // 3
    write(artifact, writer_module, 2)
    assert_all_is_whole(artifact, writer_module)
    kept = sum(f.stat().st_size for f in (artifact.repository / "chunks").iterdir())
    assert kept < (len(artifact.history()) + 0.1) * ROWS * 24


def test_killed_while_moving_the_current_version(artifact, victims, writer_module):
    during = 0
    tags = [write(artifact, writer_module, seed) for seed in range(3)]
    for i, delay in enumerate(delays(0.03, 1)):
        now = artifact.current().tag
        done = victims.kill(artifact, "set_current", i, 1 + i % 3, delay)
        during += (artifact.folder / "writer.json").exists()
        last = done[-1] if done else now
        following = tags[(i + len(done)) % len(tags)]
        assert artifact.current().tag in (last, following)
        assert [v.tag for v in artifact.history()] == tags
        assert artifact.verify().damage == ""
    assert during
    assert_all_is_whole(artifact, writer_module)
    assert artifact.set_current(tags[0], expected=artifact.current().tag).tag == tags[0]


def test_killed_while_naming(artifact, victims, writer_module):
    write(artifact, writer_module, 0)
    during = 0
    named: set[str] = set()
    for i, delay in enumerate(delays(0.01, 2)):
        done = victims.kill(artifact, "tag", i, 1 + i % 3, delay)
        during += (artifact.folder / "writer.json").exists()
        (version,) = artifact.history()
        assert {*named, *done} <= set(version.names)
        assert len(version.names) <= len(named) + len(done) + 1
        named = set(version.names)
        for name in version.names[:2]:
            assert artifact.resolve(name).tag == "v1"
    assert during
    assert_all_is_whole(artifact, writer_module)
    assert "last" in artifact.tag("last").names


def test_killed_while_pruning(artifact, victims, writer_module):
    write(artifact, writer_module, 0)
    artifact.tag("kept")
    during = 0
    gone: set[str] = set()
    for i, delay in enumerate(delays(0.03, 3)):
        old = {write(artifact, writer_module, 2 * i + k) for k in (1, 2)}
        assert not old & gone  # numbers are never used again
        current = artifact.current()
        before = {v.tag for v in artifact.history()}
        victims.kill(artifact, "prune", i, 1, delay)
        during += (artifact.folder / "writer.json").exists()
        left = {v.tag for v in artifact.history()}
        assert {"v1", current.tag} <= left <= before
        assert artifact.current() == current
        gone |= before - left
        assert artifact.verify().damage == ""
        if i % 3 == 0:
            assert_all_is_whole(artifact, writer_module)
    assert during
    artifact.prune(spare=ZERO)
    assert len(artifact.history()) == 2
    kept = sum(f.stat().st_size for f in (artifact.repository / "chunks").iterdir())
    assert kept < 2.1 * ROWS * 24  # whatever an interrupted one had not removed yet
