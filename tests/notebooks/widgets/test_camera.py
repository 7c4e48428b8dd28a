"""The camera that all viewers share; its tests are in JavaScript, run where Node is."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from notebooks.widgets.bundle import FOLDER


def test_camera_in_node() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine; tests in the browser still move the camera")
    done = subprocess.run(
        [node, "--test", "test/"], cwd=FOLDER / "js", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "# pass 11" in done.stdout
