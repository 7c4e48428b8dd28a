"""Compiling once per machine, wherever there is room for it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ops.rendering.cpu import autograd, jit  # noqa: F401  (compiles what is not yet cached)


def test_another_process_finds_everything_compiled():
    code = """
import time
import torch, numba
start = time.perf_counter()
import ops.rendering.cpu.autograd, ops.rendering.cpu.projection_backward
took = time.perf_counter() - start
from numba.core.dispatcher import Dispatcher
import sys
missed = [
    f"{m.__name__}.{name}"
    for m in list(sys.modules.values()) if m.__name__.startswith("ops.rendering.cpu")
    for name, f in vars(m).items()
    if isinstance(f, Dispatcher) and f.nopython_signatures and f.stats.cache_misses
]
assert not missed, missed
"""
    import ops.rendering.cpu.projection_backward  # noqa: F401

    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_cache_folder_where_others_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "in the way"
    file.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))  # not a folder
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "nowhere" / "jit.py"))
    monkeypatch.setattr(Path, "home", lambda: file)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "__pycache__").touch()  # a file: cannot hold folders either
    folder = Path(jit._cache_folder())
    assert folder.is_dir()
    assert tmp_path not in folder.parents
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert Path(jit._cache_folder()).parent == tmp_path / "given"


def test_any_changed_file_gives_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    (tmp_path / "simd.py").write_text("a = 1")
    before = jit._cache_folder()
    assert jit._cache_folder() == before
    (tmp_path / "simd.py").write_text("a = 2")
    assert jit._cache_folder() != before


def test_folders_of_old_versions_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    for i in range(9):
        (tmp_path / "simd.py").write_text(f"a = {i}")
        newest = Path(jit._cache_folder())
        os.utime(newest, (i, i))
    left = list(newest.parent.glob("rendering-*"))
    assert 5 <= len(left) <= 6
    assert newest in left


def test_compiling_is_announced_when_it_takes_long(caplog):
    with caplog.at_level(logging.INFO, "splatworks.rendering"):
        with jit.announced("drawing", after_s=0.05):
            pass
        time.sleep(0.1)
        assert not caplog.records
        with jit.announced("drawing", after_s=0.01):
            time.sleep(0.2)
    assert [r.getMessage() for r in caplog.records] == [
        "compiling the CPU renderer (drawing), once per machine; this takes about 10 seconds ..."
    ]


def test_every_part_runs_once_and_errors_come_through():
    seen = np.zeros(5, int)

    def work(part, parts, out):
        assert parts == len(out)
        out[part] += 1

    jit.run(5, work, seen)
    assert (seen == 1).all()
    jit.run(1, work, seen[:1])
    assert seen[0] == 2

    def fail(part, parts):
        if part == parts - 1:
            raise MemoryError("part 2")

    with pytest.raises(MemoryError, match="part 2"):
        jit.run(3, fail)
