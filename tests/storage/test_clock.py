"""A clock that was set back, or ahead, while versions were written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.artifact import ArtifactRepository
from storage.provenance import Provenance
from storage.store import Store
from storage.testing import assert_same

WRITER = Path(__file__).with_name("writer_process.py")
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
static long ahead(void) {
    const char *seconds = getenv("CLOCK_AHEAD");
    return seconds ? atol(seconds) : 0;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += ahead();
    return failed;
}
int statx(int folder, const char *path, int flags, unsigned int mask, struct statx *found) {
    static int (*real)(int, const char *, int, unsigned int, struct statx *);
    if (!real) real = dlsym(RTLD_NEXT, "statx");
    int failed = real(folder, path, flags, mask, found);
    if (!failed) found->stx_mtime.tv_sec += ahead();
    return failed;
}
"""  # the times of files too: those that it writes would be by that clock
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that gives a process a clock of its own."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux to give a process another clock")
    source = tmp_path_factory.mktemp("clock") / "clock.c"
    source.write_text(CLOCK)
    library = source.with_suffix(".so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def artifact(tmp_path: Path) -> ArtifactRepository:
    return Store(tmp_path).artifact("a/b")


def write(
    artifact: ArtifactRepository, shim: Path, first: int, last: int, ahead: timedelta
) -> tuple[int, str]:
    """Write seeds in a process whose clock is ``ahead``; its exit code and what it printed."""
    numbers = [str(first), str(last), "50"]
    command = [sys.executable, str(WRITER), str(artifact.folder.parents[1]), "a/b", *numbers]
    seconds = str(int(ahead.total_seconds()))
    environment = {**os.environ, "LD_PRELOAD": str(shim), "CLOCK_AHEAD": seconds}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("ahead", [-2 * DAY, 2 * DAY])
def test_versions_keep_their_order(artifact, shim, writer_module, ahead):
    steps = ((1, 1, -5 * DAY), (2, 2, 0 * DAY), (3, 4, ahead), (5, 5, 0 * DAY), (6, 6, ahead))
    for first, last, clock in steps:
        assert write(artifact, shim, first, last, clock)[0] == 0
    history = artifact.history()
    assert [v.number for v in history] == [1, 2, 3, 4, 5, 6]
    assert [v.provenance.code for v in history] == [f"seed-{i}" for i in range(1, 7)]
    assert [v.current for v in history] == 5 * [False] + [True]
    off = [abs(v.created - datetime.now(UTC)) > DAY for v in history]
    assert off == [True, False, True, True, False, True]  # each had its clock
    for i, version in enumerate(history):
        assert_same(
            artifact.open(version.tag, schema=writer_module.SCHEMA), writer_module.data(i + 1, 50)
        )
    assert artifact.find(history[3].provenance.recipe).tag == "v4"
    # What looks older than the span goes, and so does what looks as if it were not made yet.
    assert [v.tag for v in artifact.prune().versions] == ["v1", "v3", "v4"]
    assert [v.tag for v in artifact.history()] == ["v2", "v5", "v6"]
    artifact.set_current("v2")
    assert [v.tag for v in artifact.prune(keep=1, spare=timedelta(0)).versions] == ["v5"]
    assert artifact.verify().tag == "v2"
    assert artifact.write(writer_module.data(7, 9), writer_module.SCHEMA, Provenance()).tag == "v7"


def test_the_content_of_a_version_from_the_future(artifact, shim, writer_module):
    """Its chunks are not shared then, which Icechunk would refuse; it is written anew."""
    assert write(artifact, shim, 1, 1, -DAY)[0] == 0
    assert write(artifact, shim, 2, 2, 2 * DAY)[0] == 0
    version = artifact.write(writer_module.data(2, 50), writer_module.SCHEMA, Provenance(code="b"))
    assert version.tag == "v3"
    assert version.content_hash == artifact.resolve("v2").content_hash
    artifact.verify()


def test_a_clock_from_before_the_artifact_was_begun(artifact, shim, writer_module):
    assert write(artifact, shim, 1, 2, 0 * DAY)[0] == 0
    files = {f for f in artifact.repository.rglob("*") if f.is_file()}
    code, printed = write(artifact, shim, 3, 3, -2 * DAY)
    assert code == 1
    assert "clock a/b: the clock of this machine says" in printed
    assert "Set the clock right, then run again" in printed
    assert {f for f in artifact.repository.rglob("*") if f.is_file()} == files
    artifact.set_current("v1")
    assert write(artifact, shim, 3, 3, 0 * DAY)[0] == 0
    assert [v.tag for v in artifact.history()] == ["v1", "v2", "v3"]


def test_a_clock_that_was_set_back_a_little(artifact, shim):
    """It is waited for."""
    assert write(artifact, shim, 1, 1, timedelta(seconds=4))[0] == 0
    code, printed = write(artifact, shim, 2, 2, 0 * DAY)
    assert code == 0, printed
