"""Cameras that look at the scene, and cameras in other tools' files."""

from dataclasses import replace

import numpy as np
import pycolmap
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ops.cameras import Cameras
from ops.capture.checks import check_cameras
from ops.capture.model import Points
from ops.capture.readers.detect import read_dataset
from ops.capture.writers import quaternion, write_colmap, write_transforms


def points_at(xyz):
    xyz = np.asarray(xyz, np.float32)
    n = len(xyz)
    return Points(
        xyz=xyz,
        rgb=np.arange(3 * n, dtype=np.uint8).reshape(n, 3),
        errors=np.linspace(0.1, 1, n).astype(np.float32),
        source="triangulated",
    )


CLOUD = points_at(np.random.default_rng(0).uniform(0.3, 1.3, (50, 3)))


def test_good_cameras_pass(corner_views):
    check = check_cameras(corner_views.cameras, CLOUD)
    assert check.passed
    assert check.seeing == 1
    assert check.seen_by_two == 1
    assert 3 < check.distance < 5
    assert check.blind == ()


def test_cameras_that_look_away_fail_and_are_named(corner_views):
    away = corner_views.cameras.viewmats.clone()
    away[:, 1:3] *= -1  # OpenGL axes taken for OpenCV's
    check = check_cameras(replace(corner_views.cameras, viewmats=away), CLOUD)
    assert not check.passed
    assert check.seeing == 0
    assert check.blind == corner_views.cameras.names
    assert "8 of 8 cameras see no point" in check.verdict
    assert "axes" in check.verdict


def test_points_elsewhere_and_none_fail(corner_views):
    check = check_cameras(corner_views.cameras, points_at(CLOUD.xyz + 50))
    assert not check.passed
    assert "0% of the points" in check.verdict
    assert not check_cameras(corner_views.cameras, points_at(np.empty((0, 3)))).passed


def test_cameras_almost_at_one_place_fail(corner_views):
    viewmats = corner_views.cameras.viewmats[:1].repeat(8, 1, 1)
    check = check_cameras(replace(corner_views.cameras, viewmats=viewmats), CLOUD)
    assert not check.passed
    assert "almost at one place" in check.verdict


def test_some_points_seen_by_one_camera_only(corner_views):
    """Shares are counted, against a plain loop."""
    xyz = np.random.default_rng(1).uniform(-1, 4, (200, 3)).astype(np.float32)
    check = check_cameras(corner_views.cameras, points_at(xyz))
    counts = np.zeros(200)
    for viewmat, K in zip(corner_views.cameras.viewmats, corner_views.cameras.Ks, strict=True):
        for n, x in enumerate(xyz):
            c = viewmat.double().numpy() @ [*x, 1]
            u, v, w = K.double().numpy() @ c[:3]
            counts[n] += w > 0 and 0 <= u / w < 320 and 0 <= v / w < 240
    assert 0 < (counts >= 2).mean() < 1
    assert check.seen_by_two == pytest.approx((counts >= 2).mean())


def write_photos(root, cameras):
    for name in cameras.names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (320, 240)).save(root / name)


@pytest.fixture
def named(corner_views):
    names = tuple(f"images/{i}.png" for i in range(8))
    Ks = corner_views.cameras.Ks.clone()
    Ks[3:, 0, 0] = 301.25
    return replace(corner_views.cameras, names=names, Ks=Ks)


@pytest.mark.parametrize("write", ["transforms", "colmap"])
def test_written_cameras_read_back(tmp_path, named, corner_views, write):
    write_photos(tmp_path, named)
    if write == "transforms":
        write_transforms(tmp_path, named, CLOUD, corner_views.splits)
    else:
        model = tmp_path / "sparse" / "0"
        model.mkdir(parents=True)
        write_colmap(model, named, CLOUD)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == write
    assert tuple(f.name for f in dataset.frames) == named.names
    found = np.stack([f.camtoworld for f in dataset.frames])
    np.testing.assert_allclose(found, named.camtoworlds.numpy(), atol=2e-6)
    for frame, K in zip(dataset.frames, named.Ks, strict=True):
        lens = frame.intrinsics
        assert lens.model == "pinhole"
        assert [lens.fx, lens.fy, lens.cx, lens.cy] == K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    np.testing.assert_array_equal(dataset.points.xyz, CLOUD.xyz)
    np.testing.assert_array_equal(dataset.points.rgb, CLOUD.rgb)
    if write == "transforms":
        assert tuple(f.split for f in dataset.frames) == corner_views.splits
    else:
        np.testing.assert_array_equal(dataset.points.errors, CLOUD.errors)
        lines = (model / "cameras.txt").read_text().splitlines()
        assert len(lines) == 3  # a comment and two cameras


def test_pycolmap_reads_what_is_written(tmp_path, named):
    write_colmap(tmp_path, named, CLOUD)
    model = pycolmap.Reconstruction(tmp_path)
    assert model.num_reg_images() == 8
    assert model.num_points3D() == 50
    image = next(i for i in model.images.values() if i.name == "5.png")
    np.testing.assert_allclose(
        image.cam_from_world().matrix(), named.viewmats[5, :3].numpy(), atol=2e-6
    )


def test_times_are_kept(tmp_path, named):
    write_photos(tmp_path, named)
    moving = replace(named, times=tuple(i / 7 for i in range(8)))
    write_transforms(tmp_path, moving)
    assert tuple(f.time for f in read_dataset(tmp_path).frames) == moving.times


@settings(max_examples=100)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.dot(q, q) > 0.01))
def test_quaternions_of_all_rotations(numbers):
    w, x, y, z = np.array(numbers) / np.linalg.norm(numbers)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    q = quaternion(R)
    assert q[0] >= 0
    assert abs(abs(np.dot(q, [w, x, y, z])) - 1) < 1e-9


def test_a_single_camera_is_checked_too():
    one = Cameras(
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor([[[10.0, 0, 5], [0, 10, 5], [0, 0, 1]]]),
        widths=(10,),
        heights=(10,),
        names=("a",),
    )
    assert check_cameras(one, points_at([[0, 0, 3]])).passed
