"""Cameras for photos that come without."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ops.capture.prepare import prepare
from ops.capture.readers.detect import read_dataset
from ops.capture.settings import CaptureSettings, StructureSettings
from ops.capture.structure import find_cameras
from ops.errors import InputError

QUICK = StructureSettings(max_features=1500, camera_model="SIMPLE_PINHOLE", shared_camera="all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corner_views):
    root = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(corner_views.images):
        Image.fromarray(image.numpy()).save(root / f"photo {i}.png")
    return root


@pytest.fixture(scope="module")
def found(folder):
    return find_cameras(read_dataset(folder), QUICK)


def test_cameras_are_those_that_took_the_photos(found, corner_views):
    """Up to the similarity that photos cannot tell."""
    assert len(found.frames) == len(corner_views)
    true = corner_views.cameras.centers.double().numpy()
    ours = np.stack([f.camtoworld[:3, 3] for f in found.frames])
    a, b = ours - ours.mean(0), true - true.mean(0)
    U, S, Vt = np.linalg.svd(b.T @ a)
    R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    scale = S.sum() / (a**2).sum()
    assert np.abs(scale * a @ R.T - b).max() < 0.05
    turned = np.stack([R @ f.camtoworld[:3, :3] for f in found.frames])
    assert np.abs(turned - corner_views.cameras.camtoworlds[:, :3, :3].numpy()).max() < 0.03
    assert found.frames[0].intrinsics.fx == pytest.approx(300, rel=0.03)
    assert found.frames[0].intrinsics.model == "pinhole"
    assert "arbitrary" in " ".join(found.notes)
    assert len(found.points.xyz) > 200
    assert found.points.source == "triangulated"


def test_the_result_can_be_prepared(found):
    views = prepare(found, CaptureSettings(downscale=2))
    assert views.image(0).shape == (120, 160, 3)


def test_the_same_bytes_again_and_the_folder_is_left_alone(found, folder, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    again = find_cameras(read_dataset(folder), QUICK, workspace=tmp_path)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []
    for a, b in zip(found.frames, again.frames, strict=True):
        assert a.camtoworld.tobytes() == b.camtoworld.tobytes()
        assert a.intrinsics == b.intrinsics
    assert again.points.xyz.tobytes() == found.points.xyz.tobytes()


def test_photos_that_do_not_fit_are_named(folder, tmp_path, corner_views):
    rng = np.random.default_rng(0)
    for i in (1, 2, 3, 4):
        Image.fromarray(corner_views.images[i].numpy()).save(tmp_path / f"{i}.png")
    Image.fromarray(rng.integers(0, 255, (240, 320, 3)).astype(np.uint8)).save(tmp_path / "9.png")
    dataset = find_cameras(read_dataset(tmp_path), QUICK)
    assert [f.name for f in dataset.frames] == ["1.png", "2.png", "3.png", "4.png"]
    assert "could not be registered: 9.png" in " ".join(dataset.notes)
    with pytest.raises(InputError, match="4 of 5 photos fit together, expected at least 5"):
        find_cameras(read_dataset(tmp_path), replace(QUICK, min_share=1.0))


def test_photos_of_nothing(tmp_path):
    for i in range(4):
        Image.new("RGB", (64, 48), (i, i, i)).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match=r"cameras could not be found: no two.*overlap"):
        find_cameras(read_dataset(tmp_path), QUICK)


def test_too_few_photos(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "only.png")
    with pytest.raises(InputError, match="at least 3 photos to find cameras from, found 1"):
        find_cameras(read_dataset(tmp_path), QUICK)
