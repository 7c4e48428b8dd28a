"""The built-in scene has the same bytes wherever its machine code came from."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from ops.capture.demo import render

EYES = [(1.2, -1.0, 1.35), (-1.3, 1.1, 1.6)]
MIDDLE = [(0.0, 0.0, 0.82)] * 2

# Points are float64, so a difference anywhere on the way to a surface shows.
_POINTS = """
import pickle, sys
from ops.capture.demo.render import surface_points

with open(sys.argv[1], "rb") as file:
    print(surface_points(pickle.load(file)).tobytes().hex())
"""


def test_the_process_that_compiles_gives_the_bytes_of_one_that_loads(make_cameras, tmp_path):
    file = tmp_path / "cameras.pkl"
    file.write_bytes(pickle.dumps(make_cameras(EYES, MIDDLE)))

    def found() -> str:
        return subprocess.run(
            [sys.executable, "-c", _POINTS, str(file)],
            check=True,
            cwd=Path(__file__).parents[4],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            text=True,
            stdout=subprocess.PIPE,
        ).stdout

    compiled = found()
    assert len(compiled) > 2 * 3 * 8
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert found() == compiled


def test_no_arithmetic_may_be_fused_or_reordered(make_cameras):
    """Helpers exist in several compiled copies, any of which may be the one that runs."""
    cameras = make_cameras(EYES, MIDDLE, 8, 6)
    list(render.render_demo(cameras))
    render.surface_points(cameras)
    arithmetic = re.compile(r"= f(?:add|sub|mul|div|rem|neg) (\w+)")
    kernels = 0
    for function in vars(render).values():
        if not isinstance(function, Dispatcher) or function.stats.cache_path is None:
            continue
        for compiled in function.overloads.values():
            kernels += 1
            code = str(compiled.library._get_module_for_linking())
            assert set(arithmetic.findall(code)) <= {"double", "float"}, function.__name__
            assert "llvm.fm" not in code
    assert kernels == 4
