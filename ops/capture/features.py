"""SIFT features of photos, by pycolmap."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pycolmap

from ops.capture.matching import Features
from ops.capture.model import Array
from ops.progress import Progress, silent

UPSAMPLED = 1200  # pixels; photos whose longer side is at most this are searched at double size
_MARGIN = 16  # pixels around what may be used; descriptors reach that far


@dataclass(frozen=True)
class Search:
    """A photo to look for features in."""

    rgb: Array  # [H, W, 3] uint8
    usable: Array | None = None  # [H, W] bool: features elsewhere are dropped
    opacity: Array | None = None  # [H, W] uint8: the photo is laid over grey with it


@dataclass(frozen=True)
class Found:
    """Features and the colours at their places."""

    features: Features
    rgb: Array  # [n, 3] uint8


def find_features(
    count: int,
    photo: Callable[[int], Search],
    max_features: int,
    progress: Progress = silent,
) -> list[Found]:
    """SIFT features of photos (COLMAP's settings; RootSIFT descriptors).

    A few photos are held at a time. pycolmap extracts from files on several threads (and from
    arrays on one only, while Python waits), so they pass through a temporary folder.

    Args:
        count: Number of photos.
        photo: Gives the photo at a position; called once each, in order.
        max_features: Per photo; the coarsest are kept.
        progress: Told after every few photos.
    """
    what = "finding features"
    batch = 4 * (os.cpu_count() or 1)
    found: list[Found] = []
    progress(0, count, what)
    for start in range(0, count, batch):
        searches = [photo(i) for i in range(start, min(start + batch, count))]
        found.extend(_find(searches, max_features))
        progress(len(found), count, what)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """COLMAP logs every step to standard error; here only what went wrong."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = int(pycolmap.logging.ERROR)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before


def _find(searches: Sequence[Search], max_features: int) -> list[Found]:
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.sift.max_num_features = max_features
    crops = [_crop(search) for search in searches]
    longest = max(max(grey.shape) for grey, _ in crops)
    options.sift.first_octave = -1 if longest <= UPSAMPLED else 0
    names = [f"{i:06d}.png" for i in range(len(crops))]
    with tempfile.TemporaryDirectory(prefix="features-") as temporary, quiet():
        folder = Path(temporary)
        for name, (grey, _) in zip(names, crops, strict=True):
            cv2.imwrite(str(folder / name), grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        pycolmap.extract_features(
            folder / "features.db",
            folder,
            image_names=names,
            camera_mode=pycolmap.CameraMode.PER_IMAGE,
            extraction_options=options,
            device=pycolmap.Device.cpu,
        )
        with pycolmap.Database.open(folder / "features.db") as database:
            # Numbers of images depend on which thread was first; names do not.
            images = {image.name: image.image_id for image in database.read_all_images()}
            raw = [
                (
                    np.asarray(database.read_keypoints(images[name]), np.float32),
                    np.asarray(database.read_descriptors(images[name]).data, np.uint8),
                )
                if name in images
                else (np.empty((0, 6), np.float32), np.empty((0, 128), np.uint8))
                for name in names
            ]
    return [
        _kept(search, keypoints, descriptors, corner)
        for search, (keypoints, descriptors), (_, corner) in zip(searches, raw, crops, strict=True)
    ]


def _crop(search: Search) -> tuple[Array, tuple[int, int]]:
    """The grey photo around what may be used, and its top left corner as x, y."""
    grey = cv2.cvtColor(search.rgb, cv2.COLOR_RGB2GRAY)
    if search.opacity is not None:
        weight = search.opacity.astype(np.float32) / 255
        grey = np.rint(grey * weight + 128 * (1 - weight)).astype(np.uint8)
    if search.usable is None:
        return grey, (0, 0)
    ys, xs = np.flatnonzero(search.usable.any(axis=1)), np.flatnonzero(search.usable.any(axis=0))
    if not len(ys):
        return np.zeros((_MARGIN, _MARGIN), np.uint8), (0, 0)
    top, left = max(ys[0] - _MARGIN, 0), max(xs[0] - _MARGIN, 0)
    return grey[top : ys[-1] + 1 + _MARGIN, left : xs[-1] + 1 + _MARGIN], (int(left), int(top))


def _kept(search: Search, keypoints: Array, descriptors: Array, corner: tuple[int, int]) -> Found:
    xy = keypoints[:, :2] + np.array(corner, np.float32)
    height, width = search.rgb.shape[:2]
    column = np.clip(np.floor(xy[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.floor(xy[:, 1]).astype(int), 0, height - 1)
    keep = slice(None) if search.usable is None else np.flatnonzero(search.usable[row, column])
    return Found(
        Features(np.ascontiguousarray(xy[keep]), np.ascontiguousarray(descriptors[keep])),
        search.rgb[row, column][keep],
    )
