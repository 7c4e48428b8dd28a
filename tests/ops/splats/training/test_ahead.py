"""Compiling before anything has to wait for it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from ops import kernel_cache
from ops.splats.ahead import compile_ahead


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="nothing is compiled where there is a GPU")
def test_all_that_training_runs_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    process = compile_ahead()
    assert process is not None
    assert process.wait() == 0
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbc")}
    assert {
        *("projection.project", "raster_forward.raster_forward", "binning.place"),
        *("raster_backward.raster_backward", "projection_backward.project_backward"),
        *("ssim._similarity", "ssim._gradient", "adam._step_together"),
    } <= kept
    assert compile_ahead() is None


def test_nothing_is_compiled_that_could_not_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_cache, "_user_cache", list)
    monkeypatch.setattr(Path, "mkdir", _refused)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    kernel_cache._warn.cache_clear()
    with caplog.at_level(logging.WARNING, "splatworks.kernels"):
        assert compile_ahead() is None
    assert "compiled kernels cannot be kept" in caplog.text


def _refused(*_: object, **__: object) -> None:
    raise PermissionError
