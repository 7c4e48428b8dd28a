"""The process that compiles the built-in scene gives the bytes of those that load it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

DEMO = """
import hashlib
from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import demo_views

views = demo_views(DemoSettings(width=40, height=30, train_views=2, test_views=1))
arrays = (views.colors, views.depths, views.normals, views.labels)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def _output(code: str, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_built_in_scene_has_the_same_bytes_compiled_and_loaded(tmp_path):
    compiled = _output(DEMO, tmp_path)
    assert list(tmp_path.rglob("*.nbc"))
    assert compiled == _output(DEMO, tmp_path)
