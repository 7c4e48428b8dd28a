"""Cameras and points in the files that other tools read.

The files belong to undistorted, prepared photos: the names in them are those of the cameras.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
from plyfile import PlyData, PlyElement

from ops.atomic import write_atomically
from ops.cameras import Cameras
from ops.capture.model import Array, Points, Split
from ops.capture.readers.transforms import pose_rows
from ops.errors import InputError

POINTS_FILE = "points.ply"


def write_transforms(
    folder: Path,
    cameras: Cameras,
    points: Points | None = None,
    splits: tuple[Split, ...] | None = None,
) -> Path:
    """Write ``transforms.json`` (nerfstudio: OpenGL camera-to-world, PINHOLE) and its points.

    Args:
        folder: Existing folder; files of the same names are replaced.
        cameras: Each with its own intrinsics in the file.
        points: Written to ``points.ply``, if given.
        splits: Written as train_filenames and test_filenames, if given.

    Returns:
        The JSON file.
    """
    camtoworlds = cameras.camtoworlds.double().cpu().numpy()
    Ks = cameras.Ks.double().cpu().numpy()
    content: dict[str, object] = {"camera_model": "PINHOLE"}
    if points is not None:
        content["ply_file_path"] = POINTS_FILE
        write_points_ply(folder / POINTS_FILE, points)
    if splits is not None:
        for split in ("train", "test"):
            content[f"{split}_filenames"] = [
                n for n, s in zip(cameras.names, splits, strict=True) if s == split
            ]
    frames = []
    for i, name in enumerate(cameras.names):
        frame: dict[str, object] = {
            "file_path": name,
            "w": cameras.widths[i],
            "h": cameras.heights[i],
            "fl_x": float(Ks[i, 0, 0]),
            "fl_y": float(Ks[i, 1, 1]),
            "cx": float(Ks[i, 0, 2]),
            "cy": float(Ks[i, 1, 2]),
            "transform_matrix": pose_rows(camtoworlds[i]),
        }
        if cameras.times is not None:
            frame["time"] = cameras.times[i]
        frames.append(frame)
    content["frames"] = frames
    path = folder / "transforms.json"
    write_atomically(path, [json.dumps(content, indent=2).encode()])
    return path


def write_colmap(folder: Path, cameras: Cameras, points: Points | None = None) -> list[Path]:
    """Write a COLMAP text model: ``cameras.txt``, ``images.txt``, ``points3D.txt``.

    Cameras with equal intrinsics share one PINHOLE camera. Points have no tracks. Image names lose
    a leading ``images/``, because COLMAP counts them from the folder of photos.

    Args:
        folder: Existing folder, usually ``sparse/0``; files of the same names are replaced.
        cameras: Each becomes an image.
        points: Become points3D; an error that is not known is written as -1.

    Returns:
        The three files.
    """
    viewmats = cameras.viewmats.double().cpu().numpy()
    Ks = cameras.Ks.double().cpu().numpy()
    lenses: dict[str, int] = {}
    image_lines = []
    for i, name in enumerate(cameras.names):
        K = Ks[i]
        numbers = " ".join(repr(float(v)) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        lens = f"PINHOLE {cameras.widths[i]} {cameras.heights[i]} {numbers}"
        camera_id = lenses.setdefault(lens, len(lenses) + 1)
        pose = [*quaternion(viewmats[i, :3, :3]), *viewmats[i, :3, 3]]
        words = " ".join(repr(float(v)) for v in pose)
        image_lines.append(f"{i + 1} {words} {camera_id} {_image_name(name)}\n\n")
    point_lines = []
    if points is not None:
        for n, (xyz, rgb, error) in enumerate(
            zip(points.xyz, points.rgb, points.errors, strict=True), start=1
        ):
            place = " ".join(repr(float(v)) for v in xyz)
            known = repr(float(error)) if np.isfinite(error) else "-1"
            point_lines.append(f"{n} {place} {rgb[0]} {rgb[1]} {rgb[2]} {known}\n")
    camera_lines = [f"{camera_id} {lens}\n" for lens, camera_id in lenses.items()]
    files = {
        "cameras.txt": "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n" + "".join(camera_lines),
        "images.txt": "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME, then POINTS2D[]\n"
        + "".join(image_lines),
        "points3D.txt": "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]\n" + "".join(point_lines),
    }
    for name, text in files.items():
        write_atomically(folder / name, [text.encode()])
    return [folder / name for name in files]


def write_points_ply(path: Path, points: Points) -> None:
    """Write points as a binary PLY with x, y, z, red, green, blue."""
    fields = [(a, "<f4") for a in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")]
    vertices = np.empty(len(points.xyz), dtype=fields)
    for i, (axis, colour) in enumerate(zip("xyz", ("red", "green", "blue"), strict=True)):
        vertices[axis] = points.xyz[:, i]
        vertices[colour] = points.rgb[:, i]
    PlyData([PlyElement.describe(vertices, "vertex")], byte_order="<").write(path)


def quaternion(R: Array) -> Array:
    """[4] unit quaternion wxyz with w >= 0 of a rotation [3, 3].

    It is the eigenvector of the largest eigenvalue of Bar-Itzhack's symmetric matrix (2000),
    which has no special cases.
    """
    (a, b, c), (d, e, f), (g, h, i) = R
    N = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    q = np.linalg.eigh(N)[1][:, -1]
    return -q if q[0] < 0 else q


def _image_name(name: str) -> str:
    parts = PurePosixPath(name).parts
    if any(c in name for c in "\r\n"):
        raise InputError(f"{name!r}: a COLMAP text model cannot name a photo with a line break")
    return "/".join(parts[1:]) if len(parts) > 1 and parts[0] == "images" else name
