"""The command line as a user meets it: output, exit codes, and what stays as it was."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from assets.bridge.splats import splats_from
from assets.graph import known_sections, scenes_of, stages_of
from assets.instance import instance
from assets.produce import produce
from assets.scenes import Scene
from ops.mipmap.settings import AdaptSettings, PseudoSettings
from ops.splats.files.dispatch import read_splats
from ops.splats.settings import TrainSettings
from storage.home import Home
from storage.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A small transforms.json dataset of six photos, and one that is listed and missing."""
    folder = tmp_path / "My Shed"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    frames = []
    for i in range(7):
        name = f"images/{i:03}.png"
        if i < 6:
            pixels = rng.integers(0, 255, (24, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name)
        pose = np.eye(4)
        pose[0, 3] = 0.3 * i
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    camera = {"fl_x": 30, "fl_y": 30, "cx": 16, "cy": 12, "w": 32, "h": 24}
    (folder / "transforms.json").write_text(json.dumps({**camera, "frames": frames}))
    return folder


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in (
        *("add", "scenes", "materialize", "refresh", "why", "status", "history", "diff"),
        *("export", "import", "doctor", "bench", "ui", "lab"),
    ):
        assert command in out
        code, text, _ = run(command, "--help")
        assert code == 0
        assert len(text) > 300, f"{command} explains nothing"


def test_add_writes_a_scene_and_says_what_is_missing(run: Run, dataset: Path, home: Home) -> None:
    before = snapshot(dataset)
    code, out, _ = run("add", dataset)
    assert code == 0
    assert "my_shed: 6 photos, layout transforms" in out
    assert "images/006.png" in out
    assert out.count("do not exist") + out.count("not there") == 2  # how many, and which
    assert "1 of 7 listed photos do not exist" in out
    assert "splatworks materialize my_shed" in out
    assert snapshot(dataset) == before
    _, listed, _ = run("scenes", "--json")
    assert {r["scene"] for r in json.loads(listed)} == {"demo", "my_shed"}


def test_a_new_scene_lists_every_section_that_it_can_have(
    run: Run, dataset: Path, home: Home
) -> None:
    def sections(name: str) -> set[str]:
        text = (home.scenes / f"{name}.toml").read_text()
        comment = " ".join(line[2:] for line in text.splitlines() if line.startswith("# "))
        assert comment.endswith('studies = ["mipmap"]')
        listed = comment.partition("each at most once: ")[2].partition(". What")[0]
        return set(listed.replace("; of study mipmap:", ",").split(", "))

    assert run("add", dataset, "--name", "shed")[0] == 0
    assert sections("shed") == known_sections() - {"structure"}
    (dataset / "transforms.json").unlink()
    assert run("add", dataset, "--name", "bare", "--layout", "photos")[0] == 0
    assert sections("bare") == known_sections()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "transforms.json").write_text("{"), "transforms.json"),
        (lambda d: (d / "transforms.json").write_text('{"frames": []}'), "frames"),
        (lambda d: (d / "transforms.json").unlink(), "without cameras"),
    ],
)
def test_add_of_a_broken_folder(
    run: Run, dataset: Path, home: Home, damage: Callable[[Path], Any], words: str
) -> None:
    damage(dataset)
    before = snapshot(home.scenes)
    code, out, err = run("add", dataset)
    assert words in out + err
    if code:
        assert code == 2
        assert snapshot(home.scenes) == before


def test_add_refuses_what_is_not_there_or_taken(run: Run, dataset: Path, home: Home) -> None:
    code, _, err = run("add", dataset / "nowhere")
    assert code == 2
    assert "nothing of that name" in err
    assert run("add", dataset, "--name", "demo")[0] == 2
    assert run("add", dataset)[0] == 0
    before = snapshot(home.scenes)
    code, _, err = run("add", dataset)
    assert code == 2
    assert "exists already" in err
    assert snapshot(home.scenes) == before


def test_wrong_options_are_refused_before_the_folder_is_read(run: Run, dataset: Path) -> None:
    code, _, err = run("add", dataset, "--masks", "objekt")
    assert code == 2
    assert "did you mean 'object'" in err
    code, _, err = run("add", dataset, "--preset", "fast")
    assert code == 2
    assert "preview" in err


def test_a_study_and_its_preset_are_written_into_the_scene(
    run: Run, dataset: Path, home: Home
) -> None:
    arguments = ("--max-size", "0", "--preset", "full", "--study", "mipmap=paper")
    code, _, err = run("add", dataset, "--name", "paper", *arguments)
    assert code == 0, err
    scene = scenes_of(home)["paper"]
    assert isinstance(scene, Scene)
    assert scene.studies == ("mipmap",)
    assert scene.settings(TrainSettings, "train").iterations == 30_000
    assert scene.settings(TrainSettings, "mipmap_base").iterations == 30_000
    adapt = scene.settings(AdaptSettings, "mipmap_adapt", "x1_8")
    assert (adapt.preset, adapt.means_lr, adapt.start) == ("paper", 0.0, "base")
    assert scene.settings(PseudoSettings, "mipmap_pseudo", "x4").shrink == "bilinear"
    assert run("add", dataset, "--name", "plain", "--study", "mipmap")[0] == 0
    for wrong, words in (("mipmop", "there are: mipmap"), ("mipmap=papre", "paper")):
        code, _, err = run("add", dataset, "--name", "other", "--study", wrong)
        assert code == 2
        assert words in err
        assert not (home.scenes / "other.toml").exists()


def test_names_that_do_not_exist(run: Run) -> None:
    for command in ("materialize", "status", "history"):
        code, _, err = run(command, "attic/splats/trained")
        assert code == 2
        assert "no scene 'attic'; there are: demo" in err
    code, _, err = run("history", "demo/splats/trainde")
    assert code == 2
    assert "demo/splats/trained" in err
    assert run("frobnicate")[0] == 2


def test_status_and_history_as_json(run: Run) -> None:
    code, out, _ = run("status", "demo", "--json")
    rows = {r["artifact"]: r for r in json.loads(out)}
    assert code == 0
    assert rows["demo/splats/trained"]["state"] == "fresh"
    assert rows["demo/splats/trained"]["bytes"] > 1000
    code, out, _ = run("history", "demo/splats/trained", "--json")
    assert [r["version"] for r in json.loads(out)] == ["v1"]


def test_a_fresh_scene_is_not_made_again(run: Run) -> None:
    code, out, _ = run("materialize", "demo")
    assert code == 0
    assert "all 6 artifacts are fresh, nothing to do" in out
    assert "contact_sheet.png" in out
    assert "add FOLDER (your own photos)" in out


def test_who_has_brought_photos_is_not_told_to(
    run: Run, home: Home, demo_scene: Callable[..., Any], tiny: str, tmp_path: Path
) -> None:
    file = tmp_path / "one.ply"
    assert run("export", "demo", "--to", file)[0] == 0
    assert run("import", file)[0] == 0
    store, scene = Store(home.store), scenes_of(home)["one"]
    assert isinstance(scene, Scene)
    for stage in stages_of(scene).values():
        produce(scene, stage, home, lambda *_: None, lambda _: None)
        assert store.artifact(f"one/{stage.key}").current() is not None
    code, out, _ = run("materialize", "one")
    assert code == 0
    assert "nothing to do" in out
    assert "add FOLDER" not in out
    assert "export one --to one.ply" in out


def test_export_and_import_round_trip(run: Run, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "demo.ply"
    code, out, _ = run("export", "demo", "--to", file)
    assert code == 0
    assert "Gaussians" in out
    trained = splats_from(Store(home.store).artifact("demo/splats/trained").open())
    found = read_splats(file).splats
    np.testing.assert_array_equal(found.means.numpy(), trained.means.numpy())
    assert run("import", file, "--name", "copy")[0] == 0
    code, out, _ = run("status", "copy", "--json")
    assert {r["state"] for r in json.loads(out)} == {"missing"}


def test_export_refuses_unknown_formats(run: Run, tmp_path: Path) -> None:
    code, _, err = run("export", "demo", "--to", tmp_path / "demo.xyz")
    assert code == 2
    assert ".ply" in err
    assert list(tmp_path.glob("demo.xyz*")) == []
    assert run("export", "demo", "--to", tmp_path / "cams", "--cameras", "bundler")[0] == 2


@pytest.mark.parametrize("layout", ["transforms", "colmap"])
@pytest.mark.parametrize("name", ["cam.ply", "cam.compressed.ply", "CAM.SPZ", "cam.splat"])
def test_cameras_are_not_written_into_a_folder_called_like_a_splat_file(
    run: Run, tmp_path: Path, layout: str, name: str
) -> None:
    code, _, err = run("export", "demo", "--to", tmp_path / name, "--cameras", layout)
    assert code == 2
    assert "expected a folder" in err
    assert "leave --cameras out" in err
    assert not (tmp_path / name).exists()


def test_import_of_a_file_that_lies(run: Run, home: Home, tmp_path: Path) -> None:
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 9999999\n"
    file = tmp_path / "lies.ply"
    file.write_text(header + "property float x\nproperty float y\nproperty float z\nend_header\n")
    before = snapshot(home.scenes)
    code, _, err = run("import", file)
    assert code == 2
    assert "lies.ply" in err
    assert snapshot(home.scenes) == before


def test_doctor_says_what_each_missing_thing_gives(run: Run) -> None:
    _, out, _ = run("doctor", "--json")
    rows = {r["what"]: r for r in json.loads(out)}
    assert {"Python", "GPU", "gsplat", "home folder", "packages"} <= set(rows)
    for row in rows.values():
        assert row["state"] in ("ok", "missing", "broken")
        assert row["state"] == "ok" or len(row["without it"]) > 10


def test_bench_prints_json_and_draws(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "bench.png"
    options = ("--sizes", "tiny", "--repeats", "1", "--threads", "1", "--device", "cpu")
    code, out, err = run("bench", *options, "--json", "--chart", picture)
    assert code == 0, err
    found = json.loads(out)
    stages = {"forward", "backward", "iteration", "fisher"}
    assert {row["stage"] for row in found["stages"]} == stages
    with Image.open(picture) as image:
        assert image.size[0] > 1000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sizes", "3k"), "10k, 50k"),
        (("--threads", "two"), "whole numbers"),
        (("--threads", "0"), "at least 1"),
        (("--repeats", "0"), "at least 1"),
        (("--device", "tpu9"), "cuda"),
        (("--chart", "nowhere/bench.png"), "nowhere"),
        (("--chart", "bench.gif"), ".png"),
    ],
)
def test_bench_refuses_what_it_cannot_do(run: Run, options: tuple[str, str], words: str) -> None:
    code, _, err = run("bench", "--sizes", "tiny", "--device", "cpu", *options)
    assert code == 2
    assert words in err


def start(home: Home, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "SPLATWORKS_HOME": str(home.root)}
    command = [sys.executable, "-c", "from assets.cli import main; main()", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)  # type: ignore[call-overload, no-any-return]


def test_a_killed_run_goes_on_to_the_same_bytes(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 500"))
    artifact = Store(home.store).artifact("demo/splats/trained")
    before = artifact.resolve()
    with start(home, "materialize", "demo/splats/trained") as first:
        deadline = time.monotonic() + 120
        while not list(home.checkpoints.glob("*.pt")):
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        steps = psutil.Process(first.pid).children(recursive=True)
        os.kill(first.pid, signal.SIGKILL)
    assert psutil.wait_procs(steps, timeout=20)[1] == [], "a step outlived its run"
    assert artifact.resolve() == before
    with start(home, "materialize", "demo/splats/trained") as second:
        out, err = second.communicate(timeout=240)
    assert second.returncode == 0, err
    assert "demo/splats/trained: done" in out
    assert "training" in err  # a progress bar
    resumed = artifact.resolve()
    assert resumed.tag == "v2"
    with start(home, "materialize", "demo/splats/trained", "--force", "--json") as whole:
        out, err = whole.communicate(timeout=240)
    assert json.loads(out)["ran"] == ["demo/splats/trained"], err
    assert artifact.resolve().tag == "v3"
    assert artifact.resolve().content_hash == resumed.content_hash
    states = [run.status.value for run in instance(home).get_runs()]
    assert sorted(states) == ["FAILURE", "SUCCESS", "SUCCESS"]


def test_a_failed_run_says_why_and_changes_nothing(home: Home, run: Run, dataset: Path) -> None:
    assert run("add", dataset, "--name", "shed")[0] == 0
    (dataset / "images" / "003.png").write_bytes(b"not a photo")
    with start(home, "materialize", "shed") as process:
        _, err = process.communicate(timeout=240)
    assert process.returncode == 2, err
    assert "003.png" in err
    assert "Traceback" not in err
    assert not [k for k in Store(home.store).keys() if k.startswith("shed/")]  # noqa: SIM118


def test_two_refreshes_at_once_do_the_work_once(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 400"))
    with (
        start(home, "refresh", "demo/splats/trained") as first,
        start(home, "refresh", "demo/splats/trained") as second,
    ):
        told = [p.communicate(timeout=240) for p in (first, second)]
    assert [p.returncode for p in (first, second)] == [0, 0], told
    artifact = Store(home.store).artifact("demo/splats/trained")
    assert [v.tag for v in artifact.history()] == ["v1", "v2"]
    assert any("demo/splats/trained is being made by process" in err for _, err in told)


def test_lines_of_json_tell_plan_progress_and_outcome(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 60"))
    with start(home, "refresh", "demo/splats/trained", "--progress-json") as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    assert [s["artifact"] for s in told[0]["plan"]["steps"]] == ["demo/splats/trained"]
    bars = [e for e in told if "done" in e]
    assert {e["key"] for e in bars} == {"demo/splats/trained"}
    assert (bars[-1]["done"], bars[-1]["total"]) == (60, 60)
    assert any("demo/splats/trained" in e["say"] for e in told if e.get("style") == "good")
    assert told[-1]["outcome"]["ran"] == ["demo/splats/trained"]
    with start(home, "refresh", "demo/splats/trained", "--progress-json") as process:
        out, _ = process.communicate(timeout=240)
    first, last = (json.loads(line) for line in out.splitlines())
    assert first["plan"]["steps"] == []
    assert last["outcome"]["ran"] == []


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    # Far more than any machine does before the signal is there: fast ones finished 1,500.
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 100000"))
    artifact = Store(home.store).artifact("demo/splats/trained")
    with start(home, "refresh", "demo/splats/trained") as first:
        deadline = time.monotonic() + 120
        while not list(home.checkpoints.glob("*.pt")):
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        steps = psutil.Process(first.pid).children(recursive=True)
        os.kill(first.pid, signal.SIGINT)
        _, err = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "stopped; what was finished is kept" in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(steps, timeout=20)
    assert not alive
    assert artifact.resolve().tag == "v1"
    demo_scene(home, tiny)  # a change undone: nothing is left to do
    with start(home, "refresh", "--json") as second:
        out, err = second.communicate(timeout=240)
    told = json.loads(out)
    assert (told["ran"], told["restored"], told["failed"]) == ([], [], []), err
