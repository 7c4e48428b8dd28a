"""A user edits code, settings and photos: exactly what is affected is computed again.

The code is a copy of this project, so that it can be edited; commands run in it as processes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assets.graph import known_sections
from assets.instance import instance
from assets.scenes import load_scene
from storage.home import Home

ROOT = Path(__file__).parents[2]
SHED = """\
[source]
path = "{path}"
layout = "transforms"

[capture]
max_size = 32

[points]
source = "random"
random_points = 300

[train]
iterations = 15

[evaluation]
metrics = ["psnr"]
no_reference = []
"""
DOWN = ["evaluation/held_out", "evaluation/contact_sheet", "splats/exports"]
ALL = ["capture/views", "capture/points", "splats/trained", *DOWN]
Function = Callable[..., Any]


class User:
    """Somebody with a checkout and a home of their own."""

    def __init__(self, checkout: Path, home: Home, photos: Path) -> None:
        self.checkout, self.home, self.photos = checkout, home, photos

    def run(self, *arguments: str) -> Any:
        """A command with ``--json``, and what it prints."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout),
            "SPLATWORKS_HOME": str(self.home.root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [
            sys.executable,
            "-c",
            "from assets.cli import main; main()",
            *arguments,
            "--json",
        ]
        done = subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stale(self) -> dict[str, list[str]]:
        """What is not fresh for reasons of its own, by key, with the reasons."""
        steps = self.run("refresh", "--dry-run")["steps"]
        return {
            s["artifact"]: s["why"]
            for s in steps
            if not all(word.startswith("input:") for word in s["why"])
        }

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file of the checkout or of the home."""
        path = self.checkout / file if (self.checkout / file).is_file() else self.home.root / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def materialized(self) -> list[str]:
        """Keys of all materializations in Dagster's log, oldest first."""
        with instance(self.home) as dagster:
            found = [
                (event.storage_id, "/".join(key.path))
                for key in dagster.get_asset_keys()
                for event in dagster.fetch_materializations(key, limit=1000).records
            ]
        return [key for _, key in sorted(found)]

    def versions(self) -> dict[str, str]:
        """The current version by key."""
        return {row["artifact"]: row["version"] for row in self.run("status")}


@pytest.fixture(scope="module")
def made(
    made_home: Home, make_all: Function, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Home, Path]:
    """A checkout, a home with two complete scenes, and the photos of the second."""
    folder = tmp_path_factory.mktemp("user")
    checkout, home, photos = folder / "checkout", Home(folder / "home"), folder / "photos"
    for room in ("ops", "storage", "assets"):
        shutil.copytree(ROOT / room, checkout / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(ROOT / file, checkout / file)
    shutil.copytree(made_home.root, home.root)
    rng = np.random.default_rng(0)
    frames = []
    (photos / "images").mkdir(parents=True)
    for i in range(9):
        name = f"images/{i:03}.png"
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(photos / name)
        pose = np.eye(4)
        pose[0, 3] = 0.3 * i
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    camera = {"fl_x": 30, "fl_y": 30, "cx": 16, "cy": 12, "w": 32, "h": 24}
    (photos / "transforms.json").write_text(json.dumps({**camera, "frames": frames}))
    file = home.scenes / "shed.toml"
    file.write_text(SHED.format(path=photos))
    make_all(home, load_scene(file, known_sections()))
    return checkout, home, photos


@pytest.fixture
def user(made: tuple[Path, Home, Path], tmp_path: Path) -> User:
    """A user whose scenes are complete."""
    checkout, home, photos = made
    mine = tmp_path / "user"
    shutil.copytree(checkout, mine / "checkout")
    shutil.copytree(home.root, mine / "home")
    shutil.copytree(photos, mine / "photos")
    shed = mine / "home" / "scenes" / "shed.toml"
    shed.write_text(shed.read_text().replace(str(photos), str(mine / "photos")))
    return User(mine / "checkout", Home(mine / "home"), mine / "photos")


def both(*keys: str) -> set[str]:
    return {f"{scene}/{key}" for scene in ("demo", "shed") for key in keys}


def test_edits_of_code(user: User) -> None:
    assert user.stale() == {}
    # What does not change what runs: comments, docstrings, layout, types, names for readers.
    user.edit("ops/splats/losses.py", "import torch\n", "import torch\n\n# A comment.\n")
    user.edit("ops/splats/losses.py", '"""', '"""Other words. ')
    user.edit("assets/splats/trained.py", ") -> xr.DataTree:", ") -> 'xr.DataTree':")
    user.edit("ops/rendering/bench/scenes.py", "import", "import sys  # noqa: F401\nimport")
    user.edit("assets/cli/output.py", "import json\n", "import json\n\nUNRELATED = 1\n")
    assert user.stale() == {}
    # A helper two modules away.
    helper = "def _added() -> int:\n    return 1\n"
    path = user.checkout / "ops/evaluation/protocols.py"
    path.write_text(path.read_text() + f"\n\n{helper}")
    found = user.stale()
    assert set(found) == both("evaluation/held_out", "evaluation/contact_sheet")
    said = ["code: ops.evaluation.protocols changed"]
    assert found["shed/evaluation/held_out"] == said
    path.write_text(path.read_text().replace(f"\n\n{helper}", ""))
    assert user.stale() == {}
    # The function of one stage, and of one that only one of the scenes has.
    user.edit("assets/evaluation/contact_sheet.py", "held-out views of {name}", "views of {name}")
    assert set(user.stale()) == both("evaluation/contact_sheet")
    user.edit("assets/capture/demo.py", "Exact points", "True points")
    assert set(user.stale()) == {*both("evaluation/contact_sheet"), "demo/capture/points"}


def test_edits_of_settings(user: User) -> None:
    assert user.stale() == {}
    user.edit("scenes/shed.toml", "iterations = 15", "iterations = 16")
    found = user.stale()
    assert set(found) == {"shed/splats/trained"}
    assert "settings: train.iterations 15 -> 16" in found["shed/splats/trained"]
    user.edit("scenes/demo.toml", "count = 600", "count = 500")
    assert set(user.stale()) == {"shed/splats/trained", "demo/capture/points"}
    user.edit("scenes/demo.toml", "count = 500", "count = 600")
    user.edit("scenes/shed.toml", "iterations = 16", "iterations = 15  # as it was")
    assert user.stale() == {}
    # A default in the code counts where the scene does not set it, by its value.
    user.edit("assets/evaluation/contact_sheet.py", "cell_width: int = 340", "cell_width: int = 34")
    found = user.stale()
    assert set(found) == both("evaluation/contact_sheet")
    assert found["shed/evaluation/contact_sheet"] == [
        "settings: contact_sheet.cell_width 340 -> 34"
    ]


def test_edits_of_photos(user: User) -> None:
    assert user.stale() == {}
    photo = user.photos / "images" / "003.png"
    photo.touch()
    (user.photos / "notes.txt").write_text("not read by anything")
    assert user.stale() == {}
    original = photo.read_bytes()
    shutil.copy(user.photos / "images" / "004.png", photo)
    found = user.stale()
    assert set(found) == {"shed/capture/views", "shed/capture/points"}
    assert found["shed/capture/views"] == ["inputs: source changed (images/003.png changed)"]
    photo.unlink()
    assert "images/003.png gone" in user.stale()["shed/capture/views"][0]
    photo.write_bytes(original)
    assert user.stale() == {}


def test_a_photo_replaced_with_the_old_times_is_seen(user: User) -> None:
    photo = user.photos / "images" / "003.png"
    assert user.stale() == {}
    stat, data = photo.stat(), bytearray(photo.read_bytes())
    data[60] ^= 1
    photo.write_bytes(bytes(data))
    os.utime(photo, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert set(user.stale()) == {"shed/capture/views", "shed/capture/points"}


def test_what_runs_is_what_was_stale(user: User) -> None:
    before, log = user.versions(), user.materialized()
    user.edit(
        "scenes/shed.toml", "[evaluation]", "[contact_sheet]\ncell_width = 99\n\n[evaluation]"
    )
    user.edit("scenes/shed.toml", "max_size = 32", "max_size = 32\n# a comment")
    summary = user.run("refresh")
    assert summary["ran"] == ["shed/evaluation/contact_sheet"]
    new = user.materialized()[len(log) :]
    # Dagster is told of what was made without it, too, before something that needs it runs.
    assert new[-1] == "shed/evaluation/contact_sheet"
    assert set(new) == {"shed/evaluation/contact_sheet", "shed/evaluation/held_out"}
    after = user.versions()
    assert {k for k in before if before[k] != after[k]} == {"shed/evaluation/contact_sheet"}
    assert user.run("refresh")["ran"] == []
    user.edit("scenes/shed.toml", "cell_width = 99", "cell_width = 340")
    summary = user.run("refresh")
    assert (summary["ran"], summary["restored"]) == ([], ["shed/evaluation/contact_sheet"])
    assert user.versions() == before


def test_a_scene_renamed_with_artifacts_in_the_store(user: User) -> None:
    (user.home.scenes / "shed.toml").rename(user.home.scenes / "barn.toml")
    rows = {row["artifact"]: row["state"] for row in user.run("status")}
    assert {k: v for k, v in rows.items() if k.startswith("shed/")} == {
        f"shed/{key}": "orphan" for key in ALL
    }
    assert {v for k, v in rows.items() if k.startswith("barn/")} == {"missing"}
    assert {v for k, v in rows.items() if k.startswith("demo/")} == {"fresh"}
    (user.home.scenes / "barn.toml").rename(user.home.scenes / "shed.toml")
    assert user.stale() == {}


def test_why_tells_what_would_run(user: User) -> None:
    user.edit("scenes/demo.toml", "iterations = 40", "iterations = 41")
    told = user.run("why", "demo/splats/exports")
    assert told["state"] == "stale"
    assert told["reasons"] == ["input: demo/splats/trained is stale"]
    steps = [(s["artifact"], s["to do"]) for s in told["would run"]]
    assert steps == [("demo/splats/trained", "compute"), ("demo/splats/exports", "check")]
    assert told["made from"]["packages"]["torch"]
    told = user.run("why", "demo/capture/views")
    assert (told["state"], told["would run"]) == ("fresh", [])
    assert told["depends on it"] == [f"demo/{key}" for key in ALL[1:]]
