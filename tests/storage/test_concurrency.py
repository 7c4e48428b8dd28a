"""Several writers at once, and writers that are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from storage.artifact import ArtifactRepository
from storage.errors import LockedError
from storage.provenance import Provenance
from storage.schemas import SPLATS
from storage.store import Store
from storage.testing import assert_same
from storage.version import Version

KILLS = int(os.environ.get("SPLATWORKS_TEST_KILLS", "6"))
WRITER = Path(__file__).with_name("writer_process.py")


def start(store: Path, first: int, last: int, rows: int, *more: str) -> subprocess.Popen[str]:
    numbers = [str(n) for n in (first, last, rows)]
    command = [sys.executable, str(WRITER), str(store), "a/b", *numbers, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait(process: subprocess.Popen[str]) -> list[str]:
    """What it printed, after it succeeded."""
    printed = process.communicate(timeout=120)[0].split()
    assert process.returncode == 0
    return printed


@pytest.fixture
def assert_is_seed(writer_module: ModuleType) -> Callable[..., None]:
    """Asserts that a version of an artifact is exactly what the writer made of a seed."""

    def check(artifact: ArtifactRepository, version: Version, rows: int) -> None:
        seed = int(version.provenance.code.removeprefix("seed-"))
        tree = artifact.open(version.tag, schema=writer_module.SCHEMA)
        assert_same(tree, writer_module.data(seed, rows))

    return check


def test_two_processes_lose_nothing(tmp_path, assert_is_seed):
    each, rows = 15, 50
    writers = [start(tmp_path, 100 * i, 100 * i + each - 1, rows) for i in (1, 2)]
    printed = [wait(w) for w in writers]
    artifact = Store(tmp_path).artifact("a/b")
    acknowledged = [tag for lines in printed for tag in lines if tag != "writing"]
    history = artifact.history()
    assert sorted(acknowledged, key=lambda t: int(t[1:])) == [v.tag for v in history]
    assert [v.number for v in history] == list(range(1, 2 * each + 1))
    made = {v.provenance.code for v in history}
    assert made == {f"seed-{100 * i + k}" for i in (1, 2) for k in range(each)}
    for version in history:
        assert_is_seed(artifact, version, rows)
    assert history[-1].current


def test_threads_of_one_process_wait_for_each_other(artifact, splats):
    threads = [
        threading.Thread(
            target=artifact.write, args=(splats(5, seed=i), SPLATS, Provenance(code=f"{i}"))
        )
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(v.provenance.code for v in artifact.history()) == list("012345")


def test_reading_while_writing_sees_whole_versions(tmp_path, assert_is_seed):
    rows = 20_000
    artifact = Store(tmp_path).artifact("a/b")
    writer = start(tmp_path, 1, 15, rows)
    seen = set()
    while writer.poll() is None:
        if (version := artifact.current()) is not None and version.tag not in seen:
            seen.add(version.tag)
            assert_is_seed(artifact, version, rows)
    wait(writer)
    assert len(seen) >= 2


def test_who_holds_it(tmp_path, splats):
    artifact = Store(tmp_path).artifact("a/b")
    holder = start(tmp_path, 0, 0, 0, "--hold", "60")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(LockedError) as caught:
            artifact.write(splats(2), SPLATS, Provenance(), lock_timeout=0.1)
        assert f"another writer holds it (process {holder.pid} on " in str(caught.value)
        assert " since 20" in str(caught.value)
        assert caught.value.kind == "locked"
        assert artifact.current() is None  # reading does not wait
    finally:
        holder.kill()
        holder.communicate()
    assert artifact.write(splats(2), SPLATS, Provenance(), lock_timeout=5).tag == "v1"
    assert not (artifact.folder / "writer.json").exists()


def test_a_note_that_cannot_be_read_is_no_obstacle(artifact, splats):
    artifact.write(splats(2), SPLATS, Provenance())
    (artifact.folder / "writer.json").write_text(json.dumps(["?"]))
    assert artifact.write(splats(3), SPLATS, Provenance()).tag == "v2"


def test_killed_at_any_moment(tmp_path, assert_is_seed):
    """kill -9 of the writer, again and again: the current version is exact, nothing is lost."""
    rows, rng = 300_000, np.random.default_rng(0)
    artifact = Store(tmp_path).artifact("a/b")
    wait(start(tmp_path, 1, 1, rows))
    acknowledged, seed, during = 1, 2, 0
    for i in range(KILLS):
        writer = start(tmp_path, seed, seed + 50, rows, *(["--lazy"] if i % 2 else []))
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        time.sleep(float(rng.uniform(0, 0.25)))
        writer.kill()
        lines = writer.communicate()[0].split()
        acknowledged += sum(line.startswith("v") for line in lines)
        during += (artifact.folder / "writer.json").exists()
        seed += 51

        version = artifact.verify()
        assert version.damage == ""
        assert_is_seed(artifact, version, rows)
        # All that was acknowledged is there; the last may be there without.
        assert len(artifact.history()) in (acknowledged, acknowledged + 1)
        acknowledged = len(artifact.history())
    assert during >= KILLS // 3
    # The next writer removes what the dead ones left.
    wait(start(tmp_path, 1000, 1000, rows))
    kept = sum(f.stat().st_size for f in (artifact.repository / "chunks").iterdir())
    assert kept < (len(artifact.history()) + 0.1) * rows * 24
    for version in artifact.history():
        artifact.verify(version.tag)
