"""What people's folders have wrong with them, and what they are told."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.capture.prepare import prepare
from ops.capture.readers.detect import read_dataset
from ops.capture.settings import CaptureSettings
from ops.errors import InputError


def rewrite(shot, content):
    (shot.root / "transforms.json").write_text(json.dumps(content))


def refused(folder: Path, *parts: str) -> None:
    """The message holds all the parts."""
    with pytest.raises(InputError) as caught:
        read_dataset(folder)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def test_no_such_folder(tmp_path):
    refused(tmp_path / "nowhere", "expected a dataset folder, found nothing")


def test_unknown_layout_lists_what_is_expected_and_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path, "no known layout", "transforms.json", "poses_bounds.npy", "notes.txt")


def test_a_folder_too_high_points_to_the_one_below(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path / "below", orbit_poses(2))
    shot.transforms()
    refused(tmp_path, "no known layout", f"Did you mean {shot.root}?")


def test_a_folder_of_videos_says_what_to_do(tmp_path):
    (tmp_path / "walk.mp4").write_bytes(b"")
    refused(tmp_path, "Videos are not read", "ffmpeg")


def test_a_folder_of_heic_photos_says_what_to_do(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"")
    refused(tmp_path, "HEIC photos are not read", "JPEG")


def test_unknown_layout_name(shot):
    shot.transforms()
    with pytest.raises(InputError, match="found 'nerf'"):
        read_dataset(shot.root, "nerf")


def test_broken_json_names_line_and_column(shot):
    shot.transforms()
    (shot.root / "transforms.json").write_text('{\n "frames": [}\n')
    refused(shot.root, "transforms.json, line 2, column 13", "broken", "export it again")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([1, 2], "expected a JSON object"),
        ({"fl_x": 1}, 'expected a list "frames"'),
        ({"frames": {"a": 1}}, 'expected a list "frames"'),
        ({"frames": []}, '"frames" is empty'),
        ({"frames": [{"file_path": "a.png"}]}, 'expected "transform_matrix"'),
        ({"frames": [{"transform_matrix": np.eye(4).tolist()}]}, 'expected "file_path"'),
        ({"frames": [{"file_path": 3}]}, "expected file_path to be a string, found 3"),
    ],
)
def test_json_of_another_shape(shot, content, part):
    shot.transforms()
    rewrite(shot, content)
    refused(shot.root, part)


def test_binary_rubbish_as_json(shot):
    shot.transforms()
    (shot.root / "transforms.json").write_bytes(b"\xff\xfe\x00garbage")
    refused(shot.root, "expected a JSON file")


def test_all_listed_photos_missing(shot):
    shot.transforms()
    for name in shot.names:
        (shot.root / "images" / name).unlink()
    refused(shot.root, "none of the 4 photos", "images/000.png", "Copy the photos")


def test_photos_of_differing_sizes_under_one_camera(shot):
    shot.transforms()
    Image.new("RGB", (8, 6)).save(shot.root / "images/002.png")
    refused(shot.root, "one size", "3 of 16x12", "1 of 8x6 (images/002.png)")


def test_photos_of_another_shape_than_the_camera(shot):
    shot.transforms()
    for name in shot.names:
        Image.new("RGB", (12, 16)).save(shot.root / "images" / name)
    refused(shot.root, "expected a photo of 16x12", "found 12x16", "turned by a quarter")


def test_unreadable_photo_is_named(shot):
    shot.transforms()
    (shot.root / "images/001.png").write_bytes(b"no image")
    refused(shot.root, "1 of 4 photos are not readable", "images/001.png", "intact copies")


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_truncated_photos_are_named_before_any_work(tmp_path, new_shot, orbit_poses, kind):
    names = [f"{i}.{kind}" for i in range(3)]
    shot = new_shot(tmp_path, orbit_poses(3), 160, 120, 200.0, names)
    shot.transforms()
    for name in names[1:]:
        path = tmp_path / "images" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    dataset = read_dataset(tmp_path)
    with pytest.raises(InputError) as caught:
        prepare(dataset, CaptureSettings())
    message = str(caught.value)
    assert "2 of 3 photos and masks cannot be decoded" in message
    assert f"images/1.{kind}" in message
    assert f"images/2.{kind}" in message
    assert f"images/0.{kind}" not in message
    assert "Remove them or replace them" in message


POSE = np.eye(4)
BAD_POSES = {
    "nan": (np.where(POSE == 1, np.nan, POSE), "NaN"),
    "scaled": (np.diag([2, 2, 2, 1.0]), "scaled by 2; expected a rotation"),
    "stretched": (np.diag([1.5, 1, 1, 1.0]), "not orthonormal"),
    "sheared": (POSE + np.eye(4, k=1) * [[0.2], [0], [0], [0]], "not orthonormal"),
    "mirrored": (np.diag([-1, 1, 1, 1.0]), "mirrors"),
    "transposed": (POSE + np.eye(4, k=-3) * 2, "transposed"),
    "small": (np.eye(3), "4x4 numbers"),
    "words": ([["a"]], "4x4 numbers"),
    "huge": ([[10**400] * 4] * 4, "4x4 numbers"),
}


@pytest.mark.parametrize("case", BAD_POSES)
def test_bad_poses_name_the_frame(shot, case):
    pose, part = BAD_POSES[case]
    content = shot.transforms()
    content["frames"][2]["transform_matrix"] = pose.tolist() if hasattr(pose, "tolist") else pose
    rewrite(shot, content)
    refused(shot.root, "frame 2 (images/002.png)", part)


def test_rotations_off_by_rounding_are_repaired(shot):
    content = shot.transforms()
    for frame in content["frames"]:
        frame["transform_matrix"] = np.round(frame["transform_matrix"], 3).tolist()
    rewrite(shot, content)
    dataset = read_dataset(shot.root)
    for frame, pose in zip(dataset.frames, shot.camtoworlds, strict=True):
        R = frame.camtoworld[:3, :3]
        np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(R, pose[:3, :3], atol=2e-3)
    assert "were made orthonormal" in " ".join(dataset.notes)


def test_all_cameras_at_one_place(shot):
    content = shot.transforms()
    for frame in content["frames"]:
        for row, value in zip(frame["transform_matrix"], (1, 2, 3), strict=False):
            row[3] = value
    rewrite(shot, content)
    refused(shot.root, "all 4 cameras are at one place (1, 2, 3)")


def test_unsupported_camera_model_names_the_supported(shot):
    shot.transforms(camera_model="EQUIRECTANGULAR")
    refused(shot.root, "EQUIRECTANGULAR is not supported", "OPENCV_FISHEYE", "Undistort")


def test_unsupported_colmap_camera_model(shot):
    shot.colmap(camera="1 FOV 16 12 20 20 8 6 0.9")
    refused(shot.root, "FOV is not supported", "SIMPLE_RADIAL", "image_undistorter")


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"fl_x": -3}, "fx to be a finite number above 0, found -3"),
        ({"fl_x": "wide"}, "expected fl_x to be a finite number, found 'wide'"),
        ({"cx": float("nan")}, "expected cx to be a finite number"),
        ({"cx": 10**400}, "expected cx to be a finite number"),
        ({"cx": 0.5, "cy": 4000}, "principal point"),
        ({"w": 0}, "expected w to be a whole number above 0"),
        ({"fl_x": None, "fl_y": None}, "expected a focal length in pixels (fl_x)"),
        ({"k1": 0.1, "k4": 0.1}, "k4 = 0.1 is only supported for OPENCV_FISHEYE"),
    ],
)
def test_bad_intrinsics(shot, fields, part):
    shot.transforms(**fields)
    refused(shot.root, part)


def test_distortion_that_cannot_be_undone(shot):
    shot.transforms(k1=-9.0)
    with pytest.raises(InputError, match="folds the image over itself"):
        prepare(read_dataset(shot.root), CaptureSettings())


def test_mask_of_another_size(shot):
    content = shot.transforms()
    Image.new("L", (8, 6)).save(shot.root / "mask.png")
    content["frames"][1]["mask_path"] = "mask.png"
    rewrite(shot, content)
    refused(shot.root, "mask.png", "photo 001.png, 16x12", "found 8x6")


def test_missing_masks_are_noted_and_refused_where_they_are_the_object(shot):
    content = shot.transforms()
    content["frames"][1]["mask_path"] = "mask.png"
    rewrite(shot, content)
    dataset = read_dataset(shot.root)
    assert "1 listed masks do not exist: mask.png" in dataset.notes
    with pytest.raises(InputError, match="needs a mask for every photo; 4 of 4 have none"):
        prepare(dataset, CaptureSettings(masks="object"))


LEADING_OUT = [
    "../secret.png",
    "images/../../secret.png",
    "{outside}/secret.png",
    "link/secret.png",
]


@pytest.mark.parametrize("stated", LEADING_OUT)
@pytest.mark.parametrize("what", ["photo", "mask", "points", "split"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, new_shot, orbit_poses, stated, what):
    outside, inside = tmp_path / "outside", tmp_path / "outside" / "dataset"
    shot = new_shot(inside, orbit_poses(3))
    content = shot.transforms()
    Image.new("RGB", (16, 12)).save(outside / "secret.png")
    (inside / "link").symlink_to(outside)
    stated = stated.format(outside=outside)
    if what == "photo":
        content["frames"][0]["file_path"] = stated
    elif what == "mask":
        content["frames"][0]["mask_path"] = stated
    elif what == "split":
        content["test_filenames"] = [stated]
    else:
        content["ply_file_path"] = stated
    rewrite(shot, content)
    refused(inside, "leads out of the dataset folder", "Copy the file into the folder")


def test_a_photo_that_is_a_link_to_elsewhere_is_refused(tmp_path, new_shot, orbit_poses):
    for layout in ("colmap", "llff", "transforms", "photos"):
        shot = new_shot(tmp_path / layout, orbit_poses(3))
        getattr(shot, layout)()
        outside = tmp_path / f"{layout}.png"
        (shot.root / "images/001.png").rename(outside)
        (shot.root / "images/001.png").symlink_to(outside)
        refused(shot.root, "leads out of the dataset folder")


def test_links_inside_the_folder_and_to_the_folder_are_fine(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path / "real", orbit_poses(3))
    shot.transforms()
    (shot.root / "images").rename(shot.root / "photos")
    (shot.root / "images").symlink_to(shot.root / "photos")
    (tmp_path / "alias").symlink_to(shot.root)
    assert [f.name for f in read_dataset(tmp_path / "alias").frames] == [
        "images/000.png",
        "images/001.png",
        "images/002.png",
    ]


def test_colmap_image_name_that_leaves_the_folder(tmp_path, new_shot, orbit_poses):
    shot = new_shot(tmp_path / "set", orbit_poses(3))
    images = shot.colmap() / "images.txt"
    images.write_text(images.read_text().replace("001.png", "../../secret.png"))
    refused(shot.root, "leads out of the dataset folder", "images.txt")


def test_repeated_frames(shot):
    content = shot.transforms()
    content["frames"].append({**content["frames"][0], "file_path": "./images/000.png"})
    rewrite(shot, content)
    dataset = read_dataset(shot.root)
    assert len(dataset.frames) == 4
    assert "1 photos are listed twice" in " ".join(dataset.notes)
    content["frames"][-1]["transform_matrix"] = content["frames"][1]["transform_matrix"]
    rewrite(shot, content)
    refused(shot.root, "images/000.png is listed twice with different cameras", "frame 4")


def test_times_for_some_frames_only(shot):
    content = shot.transforms()
    content["frames"][0]["time"] = 0.5
    rewrite(shot, content)
    refused(shot.root, "1 of 4 frames have a time")
    for frame in content["frames"]:
        frame["time"] = 7
    rewrite(shot, content)
    refused(shot.root, "expected a time between 0 and 1, found 7")


@pytest.mark.parametrize(
    ("file", "damage", "part"),
    [
        ("cameras.txt", "1 PINHOLE 16 12 20 20 8\n", "PINHOLE has 4 parameters, found 3"),
        ("cameras.txt", "1 PINHOLE 16 twelve 20 20 8 6\n", "cameras.txt, line 1"),
        ("cameras.txt", "2 PINHOLE 16 12 20 20 8 6\n", "its camera 1 is not in cameras.txt"),
        ("images.txt", "1 1 0 0 0 0 0 0 1\n", "images.txt, line 1"),
        ("images.txt", "1 nan 0 0 0 0 0 0 1 000.png\n\n", "NaN"),
        ("images.txt", "1 0 0 0 0 0 0 0 1 000.png\n\n", "quaternion of length 0"),
        ("images.txt", "# nothing\n", "lists no photos"),
        ("points3D.txt", "1 0 0 0 300 0 0 1\n", "points3D.txt, line 1"),
    ],
)
def test_damaged_colmap_text(shot, file, damage, part):
    model = shot.colmap()
    (model / file).write_text(damage)
    refused(shot.root, part)


def test_truncated_colmap_binary_at_every_length(shot):
    """Cut anywhere, a model is refused and never read as something else."""
    model = shot.colmap()
    cameras = struct.pack("<QIiQQ4d", 1, 1, 1, 16, 12, 20, 20, 8, 6)
    images = struct.pack("<Q", 1) + struct.pack("<I7dI", 1, 1, 0, 0, 0, 0, 0, 0, 1)
    images += b"000.png\0" + struct.pack("<Q2dQ", 1, 3.0, 4.0, 2**64 - 1)
    points = struct.pack("<QQ3d3BdQ2I", 1, 5, 1, 2, 3, 9, 8, 7, 0.5, 1, 1, 0)
    whole = {"cameras": cameras, "images": images, "points3D": points}
    for name, data in whole.items():
        (model / f"{name}.txt").unlink()
        (model / f"{name}.bin").write_bytes(data)
    assert len(read_dataset(shot.root).frames) == 1
    for name, data in whole.items():
        path = model / f"{name}.bin"
        for cut in range(0, len(data), 5):
            path.write_bytes(data[:cut])
            refused(shot.root, f"{name}.bin", "Export the model again")
        path.write_bytes(data + b"more")
        refused(shot.root, "4 bytes are left over")
        path.write_bytes(struct.pack("<Q", 2**62) + data[8:])  # a count that lies
        refused(shot.root, f"{name}.bin")
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((4, 15)), "expected an array of N x 17 numbers"),
        (np.zeros((0, 17)), "expected an array of N x 17 numbers"),
        (np.zeros((3, 17)), "found 3 rows and 4 photos"),
        (np.array([{}]), "cannot be read"),
        (np.full((4, 17), np.nan), "expected height, width and focal length"),
    ],
)
def test_bad_llff(shot, array, part):
    shot.llff()
    np.save(shot.root / "poses_bounds.npy", array)
    refused(shot.root, "poses_bounds.npy", part)


def test_llff_of_videos_says_what_to_do(shot):
    shot.llff()
    for name in shot.names:
        (shot.root / "images" / name).unlink()
        (shot.root / f"{name}.mp4").write_bytes(b"")
    refused(shot.root, "4 rows and 0 photos", "4 videos lie there", "ffmpeg")


@pytest.mark.parametrize(
    "content",
    [
        b"not a ply",
        b"ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
        b"property float z\nend_header\n1 2 3\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\nproperty float x\n"
        b"property float y\nproperty float z\nend_header\n1234",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
    ],
    ids=["rubbish", "short", "lying", "no-y"],
)
def test_bad_point_file(shot, content):
    shot.transforms(ply_file_path="points.ply")
    (shot.root / "points.ply").write_bytes(content)
    refused(shot.root, "points.ply", "expected a PLY file of points")


def test_settings_that_make_no_sense(shot):
    shot.transforms()
    dataset = read_dataset(shot.root)
    with pytest.raises(InputError, match="downscale to be a whole number"):
        prepare(dataset, CaptureSettings(downscale=0))
    with pytest.raises(InputError, match="16x12 would shrink to 4x3"):
        prepare(dataset, CaptureSettings(downscale=4))


def test_photos_without_cameras_cannot_be_prepared(shot):
    shot.photos()
    with pytest.raises(InputError, match="4 photos have no camera"):
        prepare(read_dataset(shot.root), CaptureSettings())
