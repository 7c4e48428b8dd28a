"""Coloured points of PLY files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import plyfile
import pytest

from ops.errors import InputError
from ops.splats.files.dispatch import write_splats
from ops.splats.files.points import read_points
from ops.splats.model import Splats, sh0_to_rgb

XYZ = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.float32)
RGB = np.array([[0, 128, 255], [10, 20, 30], [255, 255, 255]], np.uint8)


def write(path: Path, colour: str, values: np.ndarray, names: str = "red green blue") -> None:
    fields = [(n, "f4") for n in "xyz"] + [(n, colour) for n in names.split()]
    rows = np.empty(3, fields)
    for i, name in enumerate("xyz"):
        rows[name] = XYZ[:, i]
    for i, name in enumerate(names.split()):
        rows[name] = values[:, i]
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(path)


@pytest.mark.parametrize(
    ("kind", "values"),
    [("u1", RGB), ("f4", RGB / 255), ("f8", RGB / 255), ("f4", RGB), ("u2", RGB * 257.0)],
)
def test_colours_of_any_kind(tmp_path: Path, kind: str, values: np.ndarray) -> None:
    write(tmp_path / "a.ply", kind, values)
    points = read_points(tmp_path / "a.ply")
    assert np.array_equal(points.xyz, XYZ)
    assert np.array_equal(points.rgb, RGB)


def test_faces_after_the_points_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "a.ply", "u1", RGB)
    vertex = plyfile.PlyData.read(tmp_path / "a.ply")["vertex"]
    faces = np.empty(1, [("vertex_indices", "i4", (3,))])
    faces["vertex_indices"] = [[0, 1, 2]]
    face = plyfile.PlyElement.describe(faces, "face")
    plyfile.PlyData([vertex, face]).write(tmp_path / "b.ply")
    assert np.array_equal(read_points(tmp_path / "b.ply").xyz, XYZ)
    plyfile.PlyData([face, vertex]).write(tmp_path / "c.ply")
    with pytest.raises(InputError, match="'face' holds lists"):
        read_points(tmp_path / "c.ply")


def test_points_without_colour_are_grey_and_bad_points_dropped(tmp_path: Path) -> None:
    rows = np.zeros(3, [(n, "f8") for n in "xyz"])
    rows["x"] = [0, np.nan, 1]
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(tmp_path / "a.ply")
    points = read_points(tmp_path / "a.ply")
    assert points.rgb.tolist() == [[128] * 3] * 2
    assert points.notes == (
        "The points have no colour; they are taken as grey.",
        "1 points were left out because they are not finite.",
    )


def test_splats_as_points(make_splats: Callable[..., Splats], tmp_path: Path) -> None:
    splats = make_splats(20, 1)
    write_splats(tmp_path / "a.ply", splats)
    points = read_points(tmp_path / "a.ply")
    expected = (sh0_to_rgb(splats.sh0[:, 0]).clamp(0, 1) * 255).round().numpy()
    assert np.abs(points.rgb - expected).max() <= 1
    assert np.array_equal(points.xyz, splats.means.numpy())


def test_a_real_file(shared_splats: Path) -> None:
    points = read_points(shared_splats / "brush_init.ply")
    assert points.xyz.shape == (100, 3)
    assert points.notes == ()


def test_missing_coordinates(tmp_path: Path) -> None:
    rows = np.zeros(3, [("x", "f4"), ("w", "f4")])
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(tmp_path / "a.ply")
    with pytest.raises(InputError, match="lacks y, z; found x, w"):
        read_points(tmp_path / "a.ply")
