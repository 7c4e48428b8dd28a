"""From the built-in scene to files: freshness, restoring, interruption, damage."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from assets.bridge.camera_files import write_cameras, write_photos
from assets.bridge.evaluation import mean_scores
from assets.bridge.points import points_from
from assets.bridge.splats import splats_from, splats_in_dataset_frame, training_tree
from assets.bridge.trees import group
from assets.bridge.views import StoredViews
from assets.freshness import scene_status
from assets.graph import stages_of
from assets.produce import produce
from ops.capture.prepare import prepare
from ops.capture.readers.detect import read_dataset
from ops.capture.settings import CaptureSettings
from ops.errors import UnavailableError
from ops.splats.files.dispatch import read_splats
from ops.splats.transform import transform_splats
from storage.attachments import digest_of
from storage.home import Home
from storage.store import Store

ORDER = [
    "capture/views",
    "capture/points",
    "splats/trained",
    "evaluation/held_out",
    "evaluation/contact_sheet",
    "splats/exports",
]
Function = Callable[..., Any]


def states(home: Home, scene: Any) -> dict[str, str]:
    return {k: s.state for k, s in scene_status(scene, home, Store(home.store)).items()}


def reasons(home: Home, scene: Any, key: str) -> str:
    return "; ".join(scene_status(scene, home, Store(home.store))[key].reasons)


def tree(home: Home, key: str) -> Any:
    return Store(home.store).artifact(f"demo/{key}").open()


def test_everything_is_made_and_then_nothing(
    home: Home, demo_scene: Function, make_all: Function
) -> None:
    scene = demo_scene(home)
    assert states(home, scene) == dict.fromkeys(ORDER, "fresh")
    assert {o.action for o in make_all(home, scene).values()} == {"fresh"}


def test_a_missing_input_is_named(tmp_path: Any, demo_scene: Function) -> None:
    home = Home(tmp_path / "home")
    scene = demo_scene(home)
    stage = stages_of(scene)["splats/trained"]
    with pytest.raises(UnavailableError, match="demo/splats/trained needs demo/capture/views"):
        produce(scene, stage, home, lambda *_: None, lambda _: None)


def test_a_setting_makes_stale_what_depends_on_it_and_says_why(
    home: Home, demo_scene: Function, make_all: Function, tiny: str
) -> None:
    changed = demo_scene(home, tiny.replace("iterations = 40", "iterations = 41"))
    assert "settings: train.iterations 40 -> 41" in reasons(home, changed, "splats/trained")
    assert reasons(home, changed, "splats/exports") == "input: demo/splats/trained is stale"
    expected = dict.fromkeys(ORDER, "stale") | dict.fromkeys(ORDER[:2], "fresh")
    assert states(home, changed) == expected
    actions = {k: o.action for k, o in make_all(home, changed).items()}
    assert actions == {k: "fresh" if k in ORDER[:2] else "computed" for k in ORDER}

    back = demo_scene(home, tiny)
    outcomes = make_all(home, back)
    assert outcomes["splats/trained"].action == "restored"
    assert outcomes["splats/trained"].version.tag == "v1"
    assert states(home, back) == dict.fromkeys(ORDER, "fresh")
    expected = {k: "fresh" if k in ORDER[:2] else "restored" for k in ORDER}
    assert {k: o.action for k, o in outcomes.items()} == expected
    sheet = home.exports / "demo" / "contact_sheet.png"
    kept = outcomes["evaluation/contact_sheet"].version.provenance.files
    assert kept == {"exports/demo/contact_sheet.png": digest_of(sheet)}


def test_a_setting_that_changes_no_bytes_stops_there(
    home: Home, demo_scene: Function, make_all: Function, tiny: str
) -> None:
    changed = demo_scene(home, tiny.replace("checkpoint_every = 10", "checkpoint_every = 20"))
    outcomes = make_all(home, changed)
    assert outcomes["splats/trained"].action == "computed"
    versions = Store(home.store).artifact("demo/splats/trained").history()
    assert versions[0].content_hash == versions[1].content_hash
    assert {outcomes[k].action for k in ORDER[3:]} == {"fresh"}


def test_a_lost_export_is_written_again(
    home: Home, demo_scene: Function, make_all: Function
) -> None:
    scene = demo_scene(home)
    # the copy of the home has its exports; the table names them relative to its folder
    (home.exports / "demo" / "splats.ply").unlink()
    assert reasons(home, scene, "splats/exports") == "files: splats.ply not there"
    assert make_all(home, scene)["splats/exports"].action == "restored"
    assert states(home, scene)["splats/exports"] == "fresh"
    # One that was edited in place took the kept copy with it, so it is written anew.
    with (home.exports / "demo" / "splats.ply").open("ab") as file:
        file.write(b"more")
    said = "files: splats.ply is not what was written"
    assert reasons(home, scene, "splats/exports") == said
    assert make_all(home, scene)["splats/exports"].action == "computed"
    assert states(home, scene)["splats/exports"] == "fresh"


def test_interrupted_training_goes_on_to_the_same_bytes(
    home: Home, demo_scene: Function, tiny: str
) -> None:
    stage = stages_of(demo_scene(home))["splats/trained"]
    scene = demo_scene(home, tiny.replace("seed = 0", "").replace("[train]", "[train]\nseed = 3"))
    before = Store(home.store).artifact("demo/splats/trained").resolve()

    def stop(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
        if what == "training" and done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(scene, stage, home, stop, lambda _: None)
    assert Store(home.store).artifact("demo/splats/trained").resolve() == before
    assert list(home.checkpoints.iterdir()), "no checkpoint was left"

    started: list[int] = []

    def listen(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
        if what == "training":
            started.append(done)

    resumed = produce(scene, stage, home, listen, lambda _: None)
    assert started[0] >= 20, "training began again from the start"
    assert not list(home.checkpoints.iterdir())
    whole = produce(scene, stage, home, lambda *_: None, lambda _: None, force=True)
    assert whole.action == "computed"
    assert whole.version.content_hash == resumed.version.content_hash


def test_the_stored_capture_is_what_was_rendered(home: Home) -> None:
    stored = tree(home, "capture/views")
    views = StoredViews(stored)
    assert len(views) == 12
    assert views.splits.count("test") == 2
    assert views.image(3).shape == (48, 64, 3)
    depth = group(stored, "images")["depth"].values
    assert (depth > 0).all()
    points = points_from(tree(home, "capture/points"))
    assert points.source == "exact"
    assert len(points.xyz) == 600


def test_exports_hold_the_trained_splats_and_the_cameras(home: Home) -> None:
    splats = splats_from(tree(home, "splats/trained"))
    folder = home.exports / "demo"
    assert (folder / "contact_sheet.png").stat().st_size > 1000
    read = read_splats(folder / "splats.ply").splats
    for name, values in splats.tensors().items():
        np.testing.assert_array_equal(values.numpy(), read.tensors()[name].numpy())
    table = group(tree(home, "splats/exports"))
    assert {"splats.ply", "splats.spz"} <= set(table["path"].values)
    assert all((folder / str(p)).is_file() for p in table["path"].values)


@pytest.mark.parametrize("layout", ["transforms", "colmap"])
def test_exported_cameras_and_photos_read_back(home: Home, tmp_path: Path, layout: Any) -> None:
    stored = tree(home, "capture/views")
    views = StoredViews(stored)
    folder = tmp_path / "out"
    write_cameras(folder, stored, layout)
    write_photos(folder, stored)
    found = prepare(read_dataset(folder, layout), CaptureSettings())
    assert len(found) == len(views)
    for i in (0, 5, 11):
        name = Path(views.cameras.names[i]).with_suffix("").as_posix().removeprefix("images/")
        j = [Path(n).with_suffix("").as_posix().endswith(name) for n in found.cameras.names].index(
            True
        )
        np.testing.assert_array_equal(found.image(j).numpy(), views.image(i).numpy())
        np.testing.assert_allclose(
            found.cameras.camtoworlds[j].numpy(), views.cameras.camtoworlds[i].numpy(), atol=1e-5
        )
        np.testing.assert_allclose(
            found.cameras.Ks[j].numpy(), views.cameras.Ks[i].numpy(), rtol=1e-6
        )


def test_a_moved_world_is_moved_back_on_export(home: Home) -> None:
    splats = splats_from(tree(home, "splats/trained"))
    angle = 0.7
    T = np.eye(4)
    T[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    T[:3, :3] *= 2.5
    T[:3, 3] = [1, -2, 3]
    moved = transform_splats(splats, torch.from_numpy(T))
    assert not np.allclose(moved.shN.numpy(), splats.shN.numpy())
    stored = training_tree(moved, "classic", world_transform=T)
    back = splats_in_dataset_frame(stored)
    for name in ("means", "log_scales", "sh0", "shN"):
        expected, found = splats.tensors()[name].numpy(), back.tensors()[name].numpy()
        np.testing.assert_allclose(found, expected, atol=2e-5, err_msg=name)


def test_metrics_are_there_or_say_how_to_get_them(home: Home) -> None:
    evaluation = tree(home, "evaluation/held_out")
    scores = mean_scores(evaluation)
    assert 5 < scores["psnr"] < 60
    assert 0 < scores["ssim"] <= 1
    attrs = evaluation["metrics"].attrs
    assert attrs["protocol"] == "splatworks"
    wanted = {"lpips_alex[-1,1]", "lpips_vgg[-1,1]"}
    assert wanted <= set(attrs["unavailable"]) | set(scores)
    for sentence in attrs["unavailable"].values():
        assert "ops.evaluation.weights" in sentence


def test_checks_and_previews_are_made_for_every_artifact(home: Home, demo_scene: Function) -> None:
    scene = demo_scene(home)
    store = Store(home.store)
    judged = []
    for key, stage in stages_of(scene).items():
        inputs = [store.artifact(f"demo/{name}").open() for name in stage.inputs]
        for name, check in stage.checks.items():
            verdict = check(tree(home, key), *inputs)
            judged.append(name)
            assert verdict.message, name
            if name != "beats_blurred_mean":  # 40 iterations need not
                assert verdict.passed, f"{name}: {verdict.message}"
        assert stage.preview is not None, f"{key} shows nothing"
        preview = stage.preview(tree(home, key), "demo")
        assert preview.markdown or preview.tables, f"{key} shows no picture or table"
    assert {"finite", "opacity_not_collapsed", "cameras_look_at_the_scene"} <= set(judged)


def test_checks_can_fail(home: Home) -> None:
    from assets.splats.looks import finite, opacity_not_collapsed

    splats = group(tree(home, "splats/trained"), "splats").load()
    assert opacity_not_collapsed(xr.DataTree.from_dict({"/splats": splats})).passed
    splats["opacity_logits"][:] = -9
    assert not opacity_not_collapsed(xr.DataTree.from_dict({"/splats": splats})).passed
    assert finite(xr.DataTree.from_dict({"/splats": splats})).passed
    splats["means"][0, 0] = np.nan
    assert not finite(xr.DataTree.from_dict({"/splats": splats})).passed
