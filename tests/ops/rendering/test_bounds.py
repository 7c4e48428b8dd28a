"""Kernels stay inside their arrays: with NUMBA_BOUNDSCHECK=1 every index is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent

# One load in bounds, then one that is not, by sys.argv[1] numbers.
_BEYOND = """
import sys
import numpy as np
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.simd_memory import vload, vstore

@kernel("void(f4[::1], i8, f4[::1])")
def copy(array, at, out):
    vstore(out, 0, vload(array, at))

array, out = np.arange(40, dtype=np.float32), np.empty(16, np.float32)
copy(array, 24, out)
assert (out == array[24:]).all()
print("in bounds", flush=True)
copy(array, int(sys.argv[1]), out)
"""

pytestmark = pytest.mark.slow


def _checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("at", [25, -1])
def test_an_index_out_of_bounds_ends_the_process(tmp_path, at):
    script = tmp_path / "beyond.py"  # Numba caches what comes from a file
    script.write_text(_BEYOND)
    done = _checked(str(script), str(at))
    assert done.stdout == "in bounds\n"
    assert done.returncode < 0  # by a signal
    assert f"16 elements at {at} of 40" in done.stderr


def test_kernels_stay_in_bounds():
    tests = [
        *("test_against_reference.py", "test_binning.py", "test_fisher.py", "test_numerics.py"),
        *("test_screen_space.py", "../splats/training/test_adam.py"),
        "../splats/training/test_losses.py",
    ]
    done = _checked("-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(HERE / t) for t in tests))
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
