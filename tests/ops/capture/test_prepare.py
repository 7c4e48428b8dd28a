"""Prepared views: sizes, intrinsics, colours, alpha and masks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ops.capture import prepare as module
from ops.capture.prepare import prepare
from ops.capture.readers.detect import read_dataset
from ops.capture.settings import CaptureSettings


@pytest.fixture
def wide(tmp_path, new_shot, orbit_poses):
    """Four photos of 100x62."""
    return new_shot(tmp_path, orbit_poses(4), width=100, height=62, focal=120.0)


def test_cameras_project_as_stated(wide):
    wide.transforms()
    views = prepare(read_dataset(wide.root), CaptureSettings())
    x = torch.tensor([0.1, -0.2, 0.3, 1.0])
    for i, pose in enumerate(wide.camtoworlds):
        camera = np.linalg.inv(pose) @ x.double().numpy()
        expected = 120 * camera[:2] / camera[2] + (50, 31)
        found = views.cameras.Ks[i] @ (views.cameras.viewmats[i] @ x)[:3]
        np.testing.assert_allclose((found[:2] / found[2]).numpy(), expected, atol=1e-3)
    assert views.splits == ("test", "train", "train", "train")
    assert views.cameras.names[0] == "images/000.png"
    np.testing.assert_array_equal(
        views.image(2).numpy(), np.asarray(Image.open(wide.root / "images/002.png"))
    )
    assert views.alpha(0) is None
    assert views.mask(0) is None


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (CaptureSettings(downscale=2), (50, 31)),
        (CaptureSettings(downscale=3), (33, 21)),
        (CaptureSettings(max_size=40), (40, 25)),
        (CaptureSettings(downscale=2, max_size=400), (50, 31)),
    ],
)
def test_downscaling_takes_area_means_and_scales_intrinsics_exactly(wide, settings, size):
    wide.transforms(cx=47.0, cy=33.0)
    views = prepare(read_dataset(wide.root), settings)
    assert (views.cameras.widths[0], views.cameras.heights[0]) == size
    sx, sy = size[0] / 100, size[1] / 62
    expected = torch.tensor([[120 * sx, 0, 47 * sx], [0, 120 * sy, 33 * sy], [0, 0, 1]])
    torch.testing.assert_close(views.cameras.Ks[1], expected, rtol=1e-6, atol=0)
    image = views.image(1).numpy()
    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == np.uint8
    if settings.downscale == 2 and not settings.max_size:
        photo = np.asarray(Image.open(wide.root / "images/001.png"), dtype=float)
        means = photo.reshape(31, 2, 50, 2, 3).mean(axis=(1, 3))
        assert np.abs(image - means).max() <= 0.5
    [record] = views.record()["lenses"]
    assert record["prepared"]["fx"] == pytest.approx(120 * sx)
    assert record["photo"]["fx"] == 120
    assert record["views"] == [0, 1, 2, 3]
    assert json.loads(json.dumps(views.record()))["downscale"] == settings.downscale


def test_colour_is_weighted_by_alpha(wide):
    wide.transforms()
    pixels = np.zeros((62, 100, 4), np.uint8)
    pixels[:, ::2] = (200, 100, 50, 255)
    pixels[:, 1::2] = (0, 255, 0, 0)  # hidden green must not show
    pixels[:30, 20:40, 3] = 0
    for name in wide.names:
        Image.fromarray(pixels, "RGBA").save(wide.root / "images" / name)
    views = prepare(read_dataset(wide.root), CaptureSettings(downscale=2))
    alpha, image = views.alpha(0).numpy(), views.image(0).numpy()
    assert set(np.unique(alpha)) == {0, 128}
    assert (image[alpha > 0] == (200, 100, 50)).all()
    assert (image[alpha == 0] == 0).all()


def test_one_photo_with_alpha_makes_all_answer(wide):
    wide.transforms()
    Image.new("RGBA", (100, 62), (9, 9, 9, 100)).save(wide.root / "images/002.png")
    views = prepare(read_dataset(wide.root), CaptureSettings())
    assert (views.alpha(2) == 100).all()
    assert (views.alpha(0) == 255).all()


def with_mask(wide, value=255):
    content = wide.transforms()
    mask = np.full((62, 100), value, np.uint8)
    mask[:20, :51] = 0
    Image.fromarray(mask).save(wide.root / "mask.png")
    for frame in content["frames"]:
        frame["mask_path"] = "mask.png"
    (wide.root / "transforms.json").write_text(json.dumps(content))
    return mask


@pytest.mark.parametrize("value", [255, 1, 40])
def test_masks_exclude_every_pixel_they_touch(wide, value):
    with_mask(wide, value)
    views = prepare(read_dataset(wide.root), CaptureSettings(downscale=2))
    mask = views.mask(0).numpy()
    assert (mask[:10, :26] == 0).all()  # pixel 25 is half masked
    assert (mask[10:] == 255).all()
    assert (mask[:, 26:] == 255).all()
    assert views.alpha(0) is None


def test_masks_as_alpha_and_not_at_all(wide):
    with_mask(wide)
    dataset = read_dataset(wide.root)
    views = prepare(dataset, CaptureSettings(downscale=2, masks="object"))
    alpha = views.alpha(0).numpy()
    assert views.mask(0) is None
    assert (alpha[:10, :25] == 0).all()
    assert (alpha[:10, 25] == 128).all()
    assert (alpha[10:] == 255).all()
    views = prepare(dataset, CaptureSettings(masks="none"))
    assert views.mask(0) is None
    assert views.alpha(0) is None


def test_distorted_photos_fill_every_pixel(wide):
    wide.transforms(k1=-0.2, k2=0.05)
    for name in wide.names:
        Image.new("RGB", (100, 62), (200, 150, 100)).save(wide.root / "images" / name)
    views = prepare(read_dataset(wide.root), CaptureSettings(downscale=2))
    assert (views.image(0).numpy() == (200, 150, 100)).all()
    [record] = views.record()["lenses"]
    assert record["photo"]["distortion"] == [-0.2, 0.05, 0.0, 0.0]
    assert record["undistorted"]["model"] == "pinhole"
    assert record["prepared"]["fx"] == pytest.approx(record["undistorted"]["fx"] / 2)


def test_one_photo_is_decoded_at_a_time_and_once(wide, monkeypatch):
    with_mask(wide)
    views = prepare(read_dataset(wide.root), CaptureSettings())
    decoded = []
    original = module.decode
    monkeypatch.setattr(module, "decode", lambda path: decoded.append(path.name) or original(path))
    for i in range(len(views)):
        views.image(i), views.alpha(i), views.mask(i)
    assert decoded == wide.names


def test_progress_counts_every_photo(wide):
    wide.transforms()
    seen = []
    prepare(
        read_dataset(wide.root), CaptureSettings(), lambda d, t, what, _=None: seen.append((d, t))
    )
    assert seen == [(i, 4) for i in range(5)]


def test_other_sizes_of_the_same_views(wide):
    wide.transforms()
    views = prepare(read_dataset(wide.root), CaptureSettings(downscale=2))
    large = views.at_size(1, 80)
    assert large.cameras.widths[0] == 80
    assert large.cameras.names == views.cameras.names
    assert large.splits == views.splits


def test_a_world_far_from_the_origin_is_noted(wide):
    wide.transforms()
    dataset = read_dataset(wide.root)
    moved = []
    for frame in dataset.frames:
        pose = frame.camtoworld.copy()
        pose[:3, 3] += 1e6
        moved.append(replace(frame, camtoworld=pose))
    views = prepare(replace(dataset, frames=tuple(moved)), CaptureSettings())
    assert "far from the origin" in " ".join(views.notes)
    assert views.notes != prepare(dataset, CaptureSettings()).notes
