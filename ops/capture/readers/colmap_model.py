"""The files of a COLMAP model: cameras, images and points3D, binary and text.

Format: https://colmap.github.io/format.html. They are read here and not with
``pycolmap.Reconstruction``, which wants points3D to be there and takes a truncated
``cameras.bin`` without complaint, with whatever numbers memory held.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ops.capture.model import Array
from ops.errors import InputError

# COLMAP's models by id: name and number of parameters (src/colmap/sensor/models.h).
MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}
T = TypeVar("T")


@dataclass(frozen=True)
class ModelCamera:
    """A line of cameras.txt."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True)
class ModelImage:
    """A line of images.txt without its 2D points."""

    name: str
    camera_id: int
    quaternion: tuple[float, ...]  # wxyz, world to camera
    translation: tuple[float, ...]  # world to camera


@dataclass(frozen=True)
class ModelPoints:
    """points3D, sorted by id."""

    xyz: Array  # [P, 3] float64
    rgb: Array  # [P, 3] uint8
    errors: Array  # [P] float64 pixels


def model_file(folder: Path, stem: str) -> Path | None:
    """``stem.bin`` or, where it is not there, ``stem.txt``."""
    return next((p for s in ("bin", "txt") if (p := folder / f"{stem}.{s}").is_file()), None)


def is_model(folder: Path) -> bool:
    """Whether a folder holds cameras and images of COLMAP."""
    return all(model_file(folder, stem) is not None for stem in ("cameras", "images"))


def read_cameras(path: Path) -> dict[int, ModelCamera]:
    """Cameras by id.

    Raises:
        InputError: The file is truncated or not in the format.
    """
    return _read(path, _cameras_bin, _cameras_txt)


def read_images(path: Path) -> list[ModelImage]:
    """Images in the order of the file.

    Raises:
        InputError: The file is truncated or not in the format.
    """
    return _read(path, _images_bin, _images_txt)


def read_points(path: Path) -> ModelPoints:
    """The point cloud.

    Raises:
        InputError: The file is truncated or not in the format.
    """
    rows = sorted(_read(path, _points_bin, _points_txt))
    xyz = np.array([r[1:4] for r in rows], dtype=np.float64).reshape(-1, 3)
    rgb = np.array([r[4:7] for r in rows], dtype=np.uint8).reshape(-1, 3)
    return ModelPoints(xyz, rgb, np.array([r[7] for r in rows], dtype=np.float64))


class _Bytes:
    """A binary file, read from front to back; struct.error past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, layout: str) -> tuple[int | float, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def count(self) -> int:
        return int(self.take("Q")[0])

    def skip(self, size: int) -> None:
        if self._at + size > len(self._data):
            raise struct.error("it ends too early")
        self._at += size

    def name(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise struct.error("it ends in a name")
        name = self._data[self._at : end].decode("utf-8")
        self._at = end + 1
        return name

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes are left over at its end")


class _Lines:
    """A text file line by line, with the number of the line for messages."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.decode("utf-8").splitlines()
        self.number = 0

    def next_line(self) -> str | None:
        if self.number >= len(self._lines):
            return None
        self.number += 1
        return self._lines[self.number - 1].strip()

    def records(self) -> Iterator[list[str]]:
        """The words of each line that is neither empty nor a comment."""
        while (line := self.next_line()) is not None:
            if line and not line.startswith("#"):
                yield line.split()


def _read(path: Path, binary: Callable[[_Bytes], T], text: Callable[[_Lines], T]) -> T:
    data = path.read_bytes()
    lines = None
    try:
        if path.suffix == ".bin":
            source = _Bytes(data)
            result = binary(source)
            source.finish()
            return result
        lines = _Lines(data)
        return text(lines)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        where = f"{path}, line {lines.number}" if lines else str(path)
        raise InputError(
            f"{where}: expected a file of a COLMAP model, which cannot be read ({error}); it may "
            "be truncated. Export the model again."
        ) from error


def _cameras_bin(data: _Bytes) -> dict[int, ModelCamera]:
    cameras = {}
    for _ in range(data.count()):
        camera_id, model_id, width, height = (int(v) for v in data.take("IiQQ"))
        if model_id not in MODELS:
            raise ValueError(f"camera {camera_id} has the unknown model number {model_id}")
        name, n = MODELS[model_id]
        cameras[camera_id] = ModelCamera(name, width, height, data.take(f"{n}d"))
    return cameras


def _cameras_txt(lines: _Lines) -> dict[int, ModelCamera]:
    cameras = {}
    expected = dict(MODELS.values())
    for words in lines.records():
        model, params = words[1], tuple(float(w) for w in words[4:])
        if model in expected and len(params) != expected[model]:
            raise ValueError(
                f"camera model {model} has {expected[model]} parameters, found {len(params)}"
            )
        cameras[int(words[0])] = ModelCamera(model, int(words[2]), int(words[3]), params)
    return cameras


def _images_bin(data: _Bytes) -> list[ModelImage]:
    images = []
    for _ in range(data.count()):
        values = data.take("I7dI")
        name = data.name()
        data.skip(24 * data.count())  # x, y and point id of each 2D point
        images.append(ModelImage(name, int(values[8]), values[1:5], values[5:8]))
    return images


def _images_txt(lines: _Lines) -> list[ModelImage]:
    images = []
    while (line := lines.next_line()) is not None:
        if not line or line.startswith("#"):
            continue
        words = line.split(maxsplit=9)
        pose = tuple(float(w) for w in words[1:8])
        images.append(ModelImage(words[9], int(words[8]), pose[:4], pose[4:]))
        lines.next_line()  # the 2D points, often empty
    return images


def _points_bin(data: _Bytes) -> list[tuple[float, ...]]:
    rows = []
    for _ in range(data.count()):
        row = data.take("Q3d3Bd")
        data.skip(8 * data.count())  # the track
        rows.append(row)
    return rows


def _points_txt(lines: _Lines) -> list[tuple[float, ...]]:
    rows = []
    for words in lines.records():
        rgb = tuple(int(w) for w in words[4:7])
        if len(rgb) != 3 or not all(0 <= c <= 255 for c in rgb):
            raise ValueError(f"expected a colour of three numbers from 0 to 255, found {rgb}")
        rows.append((int(words[0]), *(float(w) for w in words[1:4]), *rgb, float(words[7])))
    return rows
