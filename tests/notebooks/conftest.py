"""A home folder with a very small built-in scene, made once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from assets.graph import find_scene, stages_of
from assets.produce import produce
from ops.progress import silent
from storage.home import Home

TINY = """\
[capture]
width = 64
height = 48
train_views = 12
test_views = 3
samples = 4
[points]
count = 800
[train]
preset = "preview"
iterations = 60
[evaluation]
metrics = ["psnr", "ssim"]
no_reference = []
"""
READ = ("capture/views", "capture/points", "splats/trained", "evaluation/held_out")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with what notebooks read of the scene ``demo``, and a scene ``empty`` without any."""
    home = Home(Path(tmp_path_factory.mktemp("home"))).create()
    (home.scenes / "demo.toml").write_text(TINY)
    (home.scenes / "empty.toml").write_text('[source]\nkind = "demo"\n')
    scene = find_scene("demo", home)
    for key in READ:
        produce(scene, stages_of(scene)[key], home, silent, lambda sentence: None)
    return home


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in found}


@pytest.fixture(scope="session")
def execute() -> Callable[[Path, Home, Path], Any]:
    """Runs a notebook of the project on this Python and a home, which it must not write to."""

    def run(file: Path, home: Home, private: Path) -> Any:
        notebook = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
        notebook.cells.append(new_code_cell("import sys; print(sys.executable)"))
        environment = {**os.environ, "SPLATWORKS_HOME": str(home.root), "IPYTHONDIR": str(private)}
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            resources={"metadata": {"path": str(file.parent)}},  # as JupyterLab starts it
        )
        before = _files(home.store)
        client.execute(env=environment)
        assert _files(home.store) == before, "the notebook wrote to the store"
        return notebook

    return run
