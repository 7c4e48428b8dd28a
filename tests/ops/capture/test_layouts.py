"""Every layout of the same cameras gives the same cameras."""

import json
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ops.capture.model import Dataset, Intrinsics
from ops.capture.readers.detect import layouts_in, read_dataset
from ops.errors import InputError


def poses_of(dataset: Dataset) -> np.ndarray:
    return np.stack([f.camtoworld for f in dataset.frames])


def rotations() -> st.SearchStrategy[np.ndarray]:
    numbers = hnp.arrays(np.float64, 4, elements=st.floats(-1, 1))
    return numbers.filter(lambda q: np.linalg.norm(q) > 0.1).map(_rotation)


def _rotation(q: np.ndarray) -> np.ndarray:
    w, x, y, z = q / np.linalg.norm(q)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


@settings(max_examples=20)
@given(
    turns=st.lists(rotations(), min_size=3, max_size=3),
    centres=hnp.arrays(np.float64, (3, 3), elements=st.floats(-100, 100)),
)
def test_all_layouts_agree(tmp_path_factory, new_shot, turns, centres):
    centres[1] += 1.0  # never all at one place
    poses = []
    for R, c in zip(turns, centres, strict=True):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = R, c
        poses.append(pose)
    found = {}
    for layout in ("transforms", "blender", "colmap", "llff"):
        shot = new_shot(tmp_path_factory.mktemp(layout), poses)
        getattr(shot, layout)()
        dataset = read_dataset(shot.root)
        assert dataset.layout == layout
        found[layout] = dataset
    expected = Intrinsics(model="pinhole", width=16, height=12, fx=20, fy=20, cx=8, cy=6)
    for dataset in found.values():
        np.testing.assert_allclose(poses_of(dataset), poses, atol=1e-9)
        for frame in dataset.frames:
            assert frame.intrinsics is not None
            assert frame.intrinsics.fx == pytest.approx(20, abs=1e-9)
            assert frame.intrinsics.fy == pytest.approx(20, abs=1e-9)
    assert found["transforms"].frames[0].intrinsics == expected
    assert found["colmap"].frames[0].intrinsics == expected
    assert found["llff"].frames[0].intrinsics == expected


def test_transforms_frames_are_sorted_and_named_by_path(shot):
    content = shot.transforms()
    content["frames"].reverse()
    (shot.root / "transforms.json").write_text(json.dumps(content))
    dataset = read_dataset(shot.root)
    assert [f.name for f in dataset.frames] == [f"images/{n}" for n in shot.names]
    np.testing.assert_allclose(poses_of(dataset), shot.camtoworlds, atol=1e-12)
    assert shot.root / "transforms.json" in dataset.files
    assert len(dataset.files) == 5


def test_transforms_frame_fields_win_over_shared_ones(shot):
    content = shot.transforms()
    content["frames"][1].update({"fl_x": 25.0, "cx": 7.0})
    (shot.root / "transforms.json").write_text(json.dumps(content))
    frames = read_dataset(shot.root).frames
    assert [f.intrinsics.fx for f in frames] == [20, 25, 20, 20]
    assert frames[1].intrinsics.cx == 7


def test_transforms_field_of_view_instead_of_focal_length(shot):
    content = shot.transforms()
    for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        del content[key]
    content["camera_angle_x"] = 2 * np.arctan(8 / 20)
    (shot.root / "transforms.json").write_text(json.dumps(content))
    lens = read_dataset(shot.root).frames[0].intrinsics
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((20, 20, 8, 6))


@pytest.mark.parametrize(
    ("fields", "model", "distortion"),
    [
        ({"k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4}, "opencv", (0.1, 0.2, 0.3, 0.4)),
        ({"k1": 0.1, "k3": 0.5, "camera_model": "OPENCV"}, "opencv", (0.1, 0, 0, 0, 0.5)),
        (
            {"k1": 0.1, "k4": 0.4, "camera_model": "OPENCV_FISHEYE"},
            "opencv_fisheye",
            (0.1, 0, 0, 0.4),
        ),
        ({"k1": 0.1, "is_fisheye": True}, "opencv_fisheye", (0.1, 0, 0, 0)),
        ({"camera_model": "PINHOLE"}, "pinhole", ()),
        ({"k1": 0.0, "k2": 0}, "pinhole", ()),
    ],
)
def test_transforms_distortion_is_in_opencv_order(shot, fields, model, distortion):
    shot.transforms(**fields)
    lens = read_dataset(shot.root).frames[0].intrinsics
    assert (lens.model, lens.distortion) == (model, distortion)


def test_transforms_masks_points_and_times(shot):
    content = shot.transforms(ply_file_path="cloud.ply")
    (shot.root / "masks").mkdir()
    for i, frame in enumerate(content["frames"]):
        Image.new("L", (16, 12), 255).save(shot.root / f"masks/{i}.png")
        frame.update({"mask_path": f"masks/{i}.png", "time": i / 3})
    (shot.root / "transforms.json").write_text(json.dumps(content))
    (shot.root / "cloud.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty uchar blue\nproperty float x\n"
        "property float y\nproperty float z\nproperty uchar red\nproperty uchar green\n"
        "end_header\n3 0.5 1.5 2.5 1 2\n6 -1 -2 -3 4 5\n0 nan 0 0 0 0\n"
    )
    dataset = read_dataset(shot.root)
    assert [f.time for f in dataset.frames] == [0, 1 / 3, 2 / 3, 1]
    assert dataset.frames[2].mask_path == shot.root / "masks/2.png"
    assert dataset.points.source == "dataset"
    np.testing.assert_array_equal(dataset.points.xyz, [[0.5, 1.5, 2.5], [-1, -2, -3]])
    np.testing.assert_array_equal(dataset.points.rgb, [[1, 2, 3], [4, 5, 6]])
    assert np.isnan(dataset.points.errors).all()
    notes = " ".join(dataset.notes)
    assert "cloud.ply: 1 points were left out because they are not finite" in notes


def test_transforms_states_its_own_split(shot):
    names = [f"images/{n}" for n in shot.names]
    shot.transforms(train_filenames=names[:2], test_filenames=[names[3]])
    dataset = read_dataset(shot.root)
    assert [(f.name, f.split) for f in dataset.frames] == [
        (names[0], "train"),
        (names[1], "train"),
        (names[3], "test"),
    ]
    assert "1 frames are in neither" in " ".join(dataset.notes)


def test_blender_split_alpha_and_validation(shot):
    shot.blender("train")
    shot.blender("test")
    shot.blender("val")
    dataset = read_dataset(shot.root)
    assert dataset.white_background
    assert [f.split for f in dataset.frames] == ["test"] * 4 + ["train"] * 4
    assert dataset.frames[0].name == "test/000.png"
    assert "transforms_val.json are not used" in " ".join(dataset.notes)


def test_blender_validation_is_held_out_without_a_test_set(shot):
    shot.blender("train")
    shot.blender("val")
    dataset = read_dataset(shot.root)
    assert {f.name.split("/")[0]: f.split for f in dataset.frames} == {
        "train": "train",
        "val": "test",
    }


def test_blender_training_file_alone_states_no_split(shot):
    shot.blender("train")
    assert {f.split for f in read_dataset(shot.root).frames} == {None}


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", ".", "my_model"])
def test_colmap_is_found_in_every_usual_place(shot, place):
    shot.colmap(place)
    dataset = read_dataset(shot.root)
    assert dataset.layout == "colmap"
    np.testing.assert_allclose(poses_of(dataset), shot.camtoworlds, atol=1e-9)
    assert [f.name for f in dataset.frames] == [f"images/{n}" for n in shot.names]
    np.testing.assert_array_equal(dataset.points.xyz, [[4, 5, 6], [1, 2, 3]])  # by id
    np.testing.assert_array_equal(dataset.points.errors, np.float32([1.5, 0.5]))


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "my_model"])
def test_colmap_model_given_directly_finds_photos_beside_it(shot, place):
    dataset = read_dataset(shot.colmap(place))
    assert dataset.root == shot.root
    assert dataset.frames[0].image_path == shot.root / "images/000.png"


def test_colmap_model_and_photos_together_in_a_sub_folder(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path / "export", orbit_poses(3))
    shot.colmap(".")
    dataset = read_dataset(tmp_path)
    assert dataset.frames[0].name == "export/images/000.png"


def test_colmap_binary_as_pycolmap_writes_it_equals_text(shot):
    model = shot.colmap(camera="1 OPENCV 16 12 20 21 8.5 6.5 0.1 0.01 0.001 0.002")
    text = read_dataset(shot.root)
    # pycolmap wants consistent tracks, of which these points have none.
    (model / "points3D.txt").write_text("3 4 5 6 40 50 60 1.5\n7 1 2 3 10 20 30 0.5\n")
    reconstruction = pycolmap.Reconstruction(model)
    for path in model.iterdir():
        path.unlink()
    reconstruction.write_binary(model)
    binary = read_dataset(shot.root)
    assert [f.intrinsics for f in binary.frames] == [f.intrinsics for f in text.frames]
    assert text.frames[0].intrinsics.distortion == (0.1, 0.01, 0.001, 0.002)
    np.testing.assert_allclose(poses_of(binary), poses_of(text), atol=1e-12)
    np.testing.assert_array_equal(binary.points.xyz, text.points.xyz)
    np.testing.assert_array_equal(binary.points.rgb, text.points.rgb)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SIMPLE_PINHOLE 16 12 20 8 6", ("pinhole", 20, 20, ())),
        ("SIMPLE_RADIAL 16 12 20 8 6 0.1", ("opencv", 20, 20, (0.1, 0, 0, 0))),
        ("RADIAL 16 12 20 8 6 0.1 0.2", ("opencv", 20, 20, (0.1, 0.2, 0, 0))),
        (
            "OPENCV_FISHEYE 16 12 20 21 8 6 0.1 0.2 0.3 0.4",
            ("opencv_fisheye", 20, 21, (0.1, 0.2, 0.3, 0.4)),
        ),
    ],
)
def test_colmap_camera_models(shot, line, expected):
    shot.colmap(camera=f"1 {line}")
    lens = read_dataset(shot.root).frames[0].intrinsics
    assert (lens.model, lens.fx, lens.fy, lens.distortion) == expected


def test_colmap_takes_the_largest_of_several_models(shot, new_shot):
    shot.colmap("sparse/1")
    small = new_shot(shot.root, shot.camtoworlds[:2])
    small.colmap("sparse/0")
    dataset = read_dataset(shot.root)
    assert len(dataset.frames) == 4
    assert "1 with 4 images; not used: 0 (2 images)" in " ".join(dataset.notes)


def test_colmap_without_points_and_with_names_with_spaces(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path, orbit_poses(2), names=["a b.png", "c d.png"])
    (shot.colmap() / "points3D.txt").unlink()
    dataset = read_dataset(tmp_path)
    assert [f.name for f in dataset.frames] == ["images/a b.png", "images/c d.png"]
    assert dataset.points is None
    assert "no points3D" in " ".join(dataset.notes)


@pytest.mark.parametrize("pattern", ["{}.png", "{stem}.png"])
def test_masks_beside_colmap_photos_are_found(shot, pattern):
    shot.colmap()
    (shot.root / "masks").mkdir()
    for name in shot.names:
        mask = pattern.format(name, stem=Path(name).stem)
        Image.new("L", (16, 12), 255).save(shot.root / "masks" / mask)
    assert all(f.mask_path is not None for f in read_dataset(shot.root).frames)


def test_photos_smaller_than_stated_scale_the_intrinsics(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path, orbit_poses(3), width=64, height=48, focal=80.0)
    shot.llff()
    for name in shot.names:
        Image.new("RGB", (16, 12)).save(tmp_path / "images" / name)
    dataset = read_dataset(tmp_path)
    lens = dataset.frames[0].intrinsics
    assert (lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy) == (16, 12, 20, 20, 8, 6)
    assert "3 photos are scaled versions" in " ".join(dataset.notes)


def test_several_layouts_precedence_and_choice(shot):
    shot.llff()
    shot.colmap()
    shot.transforms()
    assert layouts_in(shot.root) == ["transforms", "colmap", "llff", "photos"]
    dataset = read_dataset(shot.root)
    assert dataset.layout == "transforms"
    assert "it also has colmap, llff" in dataset.notes[0]
    assert read_dataset(shot.root, "llff").layout == "llff"
    with pytest.raises(InputError, match="expected the blender layout, found transforms"):
        read_dataset(shot.root, "blender")


@pytest.mark.parametrize("folder", ["images", "input", "photos", "."])
def test_plain_photos(shot, folder):
    shot.photos(folder)
    dataset = read_dataset(shot.root)
    assert dataset.layout == "photos"
    assert len(dataset.frames) == 4
    assert dataset.frames[0].intrinsics is None
    assert dataset.frames[0].camtoworld is None


def test_listed_photos_that_do_not_exist_are_named_and_left_out(shot):
    shot.transforms()
    (shot.root / "images/001.png").unlink()
    dataset = read_dataset(shot.root)
    assert dataset.missing == ("images/001.png",)
    assert [f.name for f in dataset.frames] == [
        "images/000.png",
        "images/002.png",
        "images/003.png",
    ]


def test_reading_changes_nothing(shot):
    shot.colmap()
    before = {p: p.stat().st_mtime_ns for p in shot.root.rglob("*")}
    read_dataset(shot.root)
    assert {p: p.stat().st_mtime_ns for p in shot.root.rglob("*")} == before
