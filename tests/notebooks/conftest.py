"""A home folder with a very small built-in scene, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

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
