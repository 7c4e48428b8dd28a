"""``transforms.json`` of nerfstudio and instant-ngp.

Camera-to-world matrices with OpenGL axes; intrinsics for all frames or per frame; nerfstudio's
names (``docs/quickstart/data_conventions.md``). Principal points have pixel centres at +0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from ops.capture.images import SUFFIXES
from ops.capture.model import Array, Dataset, Points, Split
from ops.capture.paths import inside
from ops.capture.readers.assemble import Entry, Listing, assemble
from ops.capture.readers.jsonfile import frames_of, load_object, number, size, text
from ops.capture.readers.lens import Lens
from ops.capture.readers.points_file import read_points_ply
from ops.errors import InputError

FILE = "transforms.json"
SUPPORTED = "SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL, OPENCV, OPENCV_FISHEYE"
_PERSPECTIVE = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")


def read_transforms(root: Path) -> Dataset:
    """Read a folder with ``transforms.json``.

    Raises:
        InputError: The file, a camera or a photo cannot be used; the message says which and why.
    """
    path = root / FILE
    content = load_object(path)
    notes: list[str] = []
    splits = _stated_splits(content, path, root, notes)
    entries = []
    for i, frame in enumerate(frames_of(content, path)):
        entry = entry_of(frame, content, root, f"{path.name}, frame {i}")
        if splits is not None:
            split = splits.get(entry.path)
            if split is None:
                continue
            entry = Entry(**{**entry.__dict__, "split": split})
        entries.append(entry)
    points, files = points_of(content, path, notes)
    check_times(entries, path)
    return assemble(
        Listing(
            root=root,
            layout="transforms",
            entries=entries,
            points=points,
            notes=notes,
            files=[path, *files],
        )
    )


def entry_of(
    frame: Mapping[str, object],
    shared: Mapping[str, object],
    root: Path,
    told_by: str,
    split: Split | None = None,
) -> Entry:
    """One element of ``frames``; its own fields come before those shared by all frames."""
    stated = text(frame, "file_path", told_by)
    if stated is None:
        raise InputError(f'{told_by}: expected "file_path", found only {", ".join(frame) or "{}"}')
    told_by = f"{told_by} ({stated})"
    if frame.get("transform_matrix") is None:
        raise InputError(f'{told_by}: expected "transform_matrix", the camera-to-world matrix')
    lens = _lens({**shared, **frame}, told_by)
    mask = text(frame, "mask_path", told_by)
    return Entry(
        path=_with_suffix(inside(root, stated, told_by=told_by), root, told_by),
        told_by=told_by,
        lens=lens,
        lens_id=repr(lens),
        camtoworld=opencv_axes(frame["transform_matrix"]),
        mask=None if not mask else inside(root, mask, told_by=f"mask of {told_by}"),
        split=split,
        time=number(frame, "time", told_by),
    )


def opencv_axes(matrix: object) -> object:
    """Camera-to-world numbers from OpenGL to OpenCV axes; anything else is left for the checks."""
    try:
        converted = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return matrix
    if converted.shape not in ((4, 4), (3, 4)):
        return matrix
    converted[:3, 1:3] *= -1
    return converted


def points_of(
    content: Mapping[str, object], path: Path, notes: list[str]
) -> tuple[Points | None, list[Path]]:
    """The points under ``ply_file_path``, and the files they came from."""
    stated = text(content, "ply_file_path", path.name)
    if not stated:
        return None, []
    ply = inside(path.parent, stated, told_by=f"{path.name}, ply_file_path")
    if not ply.is_file():
        notes.append(f"the points that {path.name} names ({stated}) do not exist")
        return None, []
    points, more = read_points_ply(ply)
    notes.extend(more)
    return points, [ply]


def check_times(entries: list[Entry], path: Path) -> None:
    """Times lie in [0, 1], and either all frames have one or none."""
    with_time = [e for e in entries if e.time is not None]
    if with_time and len(with_time) < len(entries):
        raise InputError(
            f"{path}: {len(with_time)} of {len(entries)} frames have a time. Expected all or none."
        )
    for entry in with_time:
        if entry.time is not None and not 0 <= entry.time <= 1:
            raise InputError(
                f"{entry.told_by}: expected a time between 0 and 1, found {entry.time:g}"
            )


def _with_suffix(path: Path, root: Path, told_by: str) -> Path:
    """Blender's and some other tools leave the suffix out."""
    if path.is_file() or path.suffix.lower() in SUFFIXES:
        return path
    for suffix in (*SUFFIXES, *(s.upper() for s in SUFFIXES)):
        candidate = path.with_name(path.name + suffix)
        if candidate.is_file():
            return inside(root, candidate.relative_to(root).as_posix(), told_by=told_by)
    return path


def _lens(fields: Mapping[str, object], told_by: str) -> Lens:
    model, distortion = _distortion(fields, told_by)
    return Lens(
        model=model,
        width=size(fields, "w", told_by),
        height=size(fields, "h", told_by),
        fx=number(fields, "fl_x", told_by),
        fy=number(fields, "fl_y", told_by),
        cx=number(fields, "cx", told_by),
        cy=number(fields, "cy", told_by),
        angle_x=number(fields, "camera_angle_x", told_by),
        angle_y=number(fields, "camera_angle_y", told_by),
        distortion=distortion,
    )


def _distortion(
    fields: Mapping[str, object], told_by: str
) -> tuple[Literal["opencv", "opencv_fisheye"], tuple[float, ...]]:
    model = text(fields, "camera_model", told_by)
    k1, k2, k3, k4, p1, p2 = (
        number(fields, key, told_by) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    fisheye = model == "OPENCV_FISHEYE" or (model is None and bool(fields.get("is_fisheye")))
    if model is not None and model not in (*_PERSPECTIVE, "OPENCV_FISHEYE"):
        raise InputError(
            f"{told_by}: camera model {model} is not supported. Expected one of {SUPPORTED}. "
            "Undistort the photos (for example with COLMAP's image_undistorter) and export again."
        )
    if fisheye:
        return "opencv_fisheye", (k1, k2, k3, k4)
    if k4:
        raise InputError(
            f"{told_by}: k4 = {k4:g} is only supported for OPENCV_FISHEYE. Expected k1, k2, k3, "
            "p1 and p2; did the file lose its camera_model?"
        )
    return "opencv", (k1, k2, p1, p2, k3) if k3 else (k1, k2, p1, p2)


def _stated_splits(
    content: Mapping[str, object], path: Path, root: Path, notes: list[str]
) -> dict[Path, Split] | None:
    """nerfstudio's lists of file names per split; photos in none of them are not used."""
    lists: dict[str, list[Path]] = {}
    for key in ("train_filenames", "test_filenames", "val_filenames"):
        names = content.get(key)
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise InputError(f"{path}: expected {key} to be a list of file paths")
        lists[key] = [
            _with_suffix(inside(root, n, told_by=f"{path.name}, {key}"), root, path.name)
            for n in names
        ]
    if not any(lists.values()):
        return None
    held_out = lists.get("test_filenames") or lists.get("val_filenames") or []
    train = lists.get("train_filenames") or []
    both = set(train) & set(held_out)
    if both:
        raise InputError(
            f"{path}: {len(both)} photos are listed both for training and for testing "
            f"({min(p.name for p in both)}). Remove them from one of the lists."
        )
    splits: dict[Path, Split] = dict.fromkeys(train, "train")
    splits.update(dict.fromkeys(held_out, "test"))
    if lists.get("test_filenames") and lists.get("val_filenames"):
        notes.append("photos of val_filenames are not used; test_filenames are held out")
    unlisted = len(frames_of(content, path)) - len(splits)
    if unlisted > 0:
        notes.append(f"{unlisted} frames are in neither the training nor the test list: not used")
    return splits


def pose_rows(camtoworld: Array) -> list[list[float]]:
    """An OpenCV camera-to-world matrix as ``transform_matrix`` has it, with OpenGL axes."""
    converted = np.array(camtoworld, dtype=np.float64)
    converted[:3, 1:3] *= -1
    return [[float(v) + 0.0 for v in row] for row in converted]
