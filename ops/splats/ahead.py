"""Compiling what training on the CPU needs ahead of its first use, beside other work."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from ops import rendering
from ops.kernel_cache import cache_folder

_LAST = "raster_backward"  # of the kernels below, so where it is kept all are


def compile_ahead() -> subprocess.Popen[bytes] | None:
    """Start a process that compiles the kernels of training, where they are not kept yet.

    For the start of a run whose first steps do not render: they leave time to the compiler, which
    works on one thread. What renders before that process is done compiles for itself.

    Returns:
        The process, which ends by itself; None where there is nothing to do. Where there is a GPU
        to render on it ends without having compiled anything.
    """
    folder = cache_folder(Path(rendering.__file__).parent / "cpu", "rendering")
    if folder is None or any(Path(folder).rglob(f"{_LAST}*.nbc")):
        return None
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _compile() -> None:
    import torch

    if torch.cuda.is_available():
        return
    for name in ("splats.ssim", "splats.adam", "rendering.cpu.view", "rendering.cpu.gradients"):
        importlib.import_module(f"ops.{name}")
    for name in ("projection_backward", "raster_backward"):
        importlib.import_module(f"ops.rendering.cpu.{name}")


if __name__ == "__main__":
    _compile()
