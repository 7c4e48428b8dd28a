"""LLFF's ``poses_bounds.npy`` beside a folder of photos.

One row of 17 numbers per photo in the order of their names: a 3x5 matrix [R | t | (h, w, f)] with
camera axes down, right, backwards, then the nearest and farthest depth (Mildenhall et al. 2019).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ops.capture.images import photos_in
from ops.capture.model import Array, Dataset
from ops.capture.paths import inside, name_of
from ops.capture.readers.assemble import Entry, Listing, assemble
from ops.capture.readers.lens import Lens
from ops.capture.readers.masks import mask_beside
from ops.errors import InputError

FILE = "poses_bounds.npy"
FOLDERS = ("images", "images_2", "images_4", "images_8")


def read_llff(root: Path) -> Dataset:
    """Read a folder with ``poses_bounds.npy`` and ``images/``.

    Photos that are smaller than the size in the file are taken as scaled versions.

    Raises:
        InputError: The array, a pose or a photo cannot be used; the message says which and why.
    """
    path = root / FILE
    rows = _rows(path)
    folder = next((root / f for f in FOLDERS if photos_in(root / f)), root)
    photos = photos_in(folder)
    if len(photos) != len(rows):
        videos = len(list(root.glob("*.mp4")))
        hint = (
            f" {videos} videos lie there: take one frame out of each, for example with ffmpeg, "
            "into images/."
            if videos
            else " Rows belong to photos in the order of their names; restore the missing photos "
            "or export again."
        )
        raise InputError(
            f"{path}: expected one photo per row, found {len(rows)} rows and {len(photos)} photos "
            f"in {folder}.{hint}"
        )
    entries = []
    for i, (row, photo) in enumerate(zip(rows, photos, strict=True)):
        told_by = f"{FILE}, row {i} ({photo.name})"
        entries.append(
            Entry(
                path=inside(root, name_of(photo, root), told_by=told_by),
                told_by=told_by,
                lens=_lens(row, told_by),
                lens_id=hashlib.sha256(row[4:15:5].tobytes()).hexdigest(),
                camtoworld=_pose(row),
                mask=mask_beside(root, photo, folder),
            )
        )
    return assemble(Listing(root=root, layout="llff", entries=entries, files=[path]))


def _rows(path: Path) -> Array:
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: expected a NumPy array, which cannot be read: {error}"
        ) from error
    if rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu" or not len(rows):
        raise InputError(
            f"{path}: expected an array of N x 17 numbers (3x5 pose and two depths per photo), "
            f"found shape {rows.shape} of {rows.dtype}"
        )
    return rows.astype(np.float64)


def _pose(row: Array) -> Array:
    matrix = row[:15].reshape(3, 5)
    down, right, back, centre = matrix[:, 0], matrix[:, 1], matrix[:, 2], matrix[:, 3]
    return np.stack([right, down, -back, centre], axis=-1)


def _lens(row: Array, told_by: str) -> Lens:
    height, width, focal = row[4:15:5]
    if not (np.isfinite([height, width, focal]).all() and min(height, width) >= 1):
        raise InputError(
            f"{told_by}: expected height, width and focal length in pixels, found "
            f"{height:g}, {width:g}, {focal:g}"
        )
    return Lens(width=round(width), height=round(height), fx=float(focal))
