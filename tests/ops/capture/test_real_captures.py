"""Real captures beside the repository; skipped where they are not there."""

import numpy as np
import pytest

from ops.capture.checks import check_cameras
from ops.capture.prepare import prepare
from ops.capture.readers.detect import read_dataset
from ops.capture.settings import CaptureSettings


def test_fox_lists_photos_that_do_not_exist(capture_folder):
    dataset = read_dataset(capture_folder("fox"))
    assert dataset.layout == "transforms"
    assert len(dataset.frames) == 50
    assert len(dataset.missing) == 17
    assert all(not (dataset.root / name).exists() for name in dataset.missing)
    assert "17 of 67 listed photos do not exist" in dataset.notes
    views = prepare(dataset, CaptureSettings(downscale=8))
    assert views.image(0).shape == (240, 135, 3)
    assert views.splits.count("test") == 7
    assert len(views.record()["missing"]) == 17


def test_chair_has_alpha_and_its_own_split(capture_folder):
    dataset = read_dataset(capture_folder("chair"))
    assert dataset.layout == "blender"
    assert dataset.white_background
    views = prepare(dataset, CaptureSettings(downscale=4))
    assert views.protocol == "dataset"
    assert (views.splits.count("train"), views.splits.count("test")) == (100, 25)
    assert 0.05 < (views.alpha(30) > 127).float().mean() < 0.6
    assert views.cameras.Ks[0, 0, 0].item() == pytest.approx(1111.111 / 4, rel=1e-5)


def test_maryrose_is_the_same_in_both_its_layouts(capture_folder):
    first = read_dataset(capture_folder("maryrose"))
    second = read_dataset(capture_folder("maryrose"), "llff")
    assert (first.layout, second.layout) == ("transforms", "llff")
    assert len(first.frames) == 69
    for a, b in zip(first.frames, second.frames, strict=True):
        assert a.name == b.name
        assert a.mask_path == b.mask_path
        assert a.intrinsics.fx == pytest.approx(b.intrinsics.fx)
        np.testing.assert_allclose(a.camtoworld, b.camtoworld, atol=1e-6)
    views = prepare(second, CaptureSettings(downscale=8))
    assert 0.1 < (views.mask(3) > 0).float().mean() < 0.9


@pytest.mark.parametrize("folder", ["lund_door", "lund_door/colmap_ground_truth"])
def test_lund_door_brings_its_own_points(capture_folder, folder):
    dataset = read_dataset(capture_folder(folder))
    assert dataset.layout == "colmap"
    assert len(dataset.frames) == 12
    assert len(dataset.points.xyz) == 11384
    assert dataset.frames[0].intrinsics.distortion[0] == pytest.approx(-0.0336422)
    views = prepare(dataset, CaptureSettings(downscale=2))
    check = check_cameras(views.cameras, dataset.points)
    assert check.passed, check.verdict
    assert check.seen_by_two > 0.95
    # Points fall where the photo has their colour, and a few pixels beside it does not.
    x = dataset.points.xyz @ views.cameras.viewmats[4, :3, :3].T.numpy()
    x = (x + views.cameras.viewmats[4, :3, 3].numpy()) @ views.cameras.Ks[4].T.numpy()
    pixel = np.floor(x[:, :2] / x[:, 2:]).astype(int)
    inside = ((pixel >= 30) & (pixel < [618, 938])).all(axis=1)

    def difference(shift: int) -> float:
        u, v = (pixel[inside] + shift).T
        seen = views.image(4).numpy()[v, u].astype(float)
        return float(np.median(np.abs(seen - dataset.points.rgb[inside])))

    assert difference(0) < 0.6 * min(difference(5), difference(-5))


def test_berlin_has_photos_and_masks_without_cameras(capture_folder):
    dataset = read_dataset(capture_folder("berlin"))
    assert dataset.layout == "photos"
    assert [f.name for f in dataset.frames] == ["images/01.jpg", "images/02.jpg", "images/03.jpg"]
    assert all(f.mask_path is not None for f in dataset.frames)
