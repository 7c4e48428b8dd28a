"""A tiny built-in scene, made once for all tests of this room."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.graph import known_sections, stages_of
from assets.produce import Outcome, produce
from assets.scenes import Scene, load_scene
from ops.progress import Progress, silent
from storage.home import Home

TINY = """\
studies = []

[capture]
width = 64
height = 48
train_views = 10
test_views = 2
samples = 4

[points]
count = 600

[train]
iterations = 40
checkpoint_every = 10

[evaluation]
metrics = ["psnr", "ssim", "lpips"]
no_reference = ["niqe", "piqe"]

[exports]
splats = ["ply", "spz"]
cameras = ["transforms", "colmap"]
"""
MakeAll = Callable[..., dict[str, Outcome]]


def demo_scene(home: Home, text: str = TINY) -> Scene:
    """The built-in scene with other settings."""
    home.create()
    file = home.scenes / "demo.toml"
    file.write_text(text)
    return load_scene(file, known_sections())


def make_all(
    home: Home, scene: Scene, progress: Progress = silent, force: bool = False
) -> dict[str, Outcome]:
    """Bring every artifact of a scene up to date, in order, in this process."""
    return {
        key: produce(scene, stage, home, progress, lambda _: None, force)
        for key, stage in stages_of(scene).items()
    }


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the tiny scene is complete. Only to be read; see ``home``."""
    home = Home(tmp_path_factory.mktemp("made") / "home")
    make_all(home, demo_scene(home))
    return home


@pytest.fixture
def home(made_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of the complete home, which a test may change; SPLATWORKS_HOME names it."""
    shutil.copytree(made_home.root, tmp_path / "home")
    monkeypatch.setenv("SPLATWORKS_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture(name="demo_scene", scope="session")
def demo_scene_fixture() -> Callable[..., Scene]:
    """The function ``demo_scene`` of this file."""
    return demo_scene


@pytest.fixture(name="make_all", scope="session")
def make_all_fixture() -> MakeAll:
    """The function ``make_all`` of this file."""
    return make_all


@pytest.fixture(scope="session")
def tiny() -> str:
    """The settings of the tiny scene."""
    return TINY


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, standard output, standard error."""

    from assets.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        code = caught.value.code
        return (0 if code is None else int(code)), captured.out, captured.err

    return call
