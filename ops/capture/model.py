"""What a capture is, before and after it is prepared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from ops.cameras import Cameras

Split = Literal["train", "test"]  # "test" views are the held-out ones
Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """A camera as a dataset states it, for the size ``width`` x ``height`` of its photos.

    ``distortion`` holds OpenCV's coefficients in OpenCV's order: (k1, k2, p1, p2[, k3, ...]) for
    ``opencv`` and (k1, k2, k3, k4) for ``opencv_fisheye``; empty for ``pinhole``. Pixel centres
    are at +0.5, as in COLMAP.
    """

    model: Literal["pinhole", "opencv", "opencv_fisheye"]
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One photo of a dataset folder, with what the dataset says of it."""

    name: str  # unique; path inside the dataset folder, posix separators
    image_path: Path
    intrinsics: Intrinsics | None  # None where the dataset has no cameras
    camtoworld: Array | None  # [4, 4] float64, OpenCV axes; None where the dataset has no poses
    mask_path: Path | None = None  # grey image: 0 = not to be used
    split: Split | None = None  # the dataset's own, where it has one
    time: float | None = None


@dataclass(frozen=True, kw_only=True)
class Points:
    """A coloured point cloud to start splats from."""

    xyz: Array  # [P, 3] float32, world frame of the capture
    rgb: Array  # [P, 3] uint8
    errors: Array  # [P] float32, mean reprojection error in pixels; NaN where not known
    source: Literal["dataset", "triangulated", "random", "exact"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset folder as a reader found it. No photo has been decoded beyond its header."""

    root: Path
    layout: str  # "transforms", "blender", "colmap", "llff" or "photos"
    frames: tuple[Frame, ...]  # sorted by name
    points: Points | None = None
    white_background: bool = False  # the layout's habit for photos with alpha
    missing: tuple[str, ...] = ()  # photos that the dataset lists and that do not exist
    notes: tuple[str, ...] = ()  # what else a user should know, one sentence each
    files: tuple[Path, ...] = field(default=())  # every file read or to be read, for fingerprints


class Views(Protocol):
    """Prepared views: undistorted, scaled photos and their cameras, decoded one at a time."""

    @property
    def cameras(self) -> Cameras:
        """One camera per view."""
        ...

    @property
    def splits(self) -> tuple[Split, ...]:
        """The split of each view."""
        ...

    def __len__(self) -> int: ...

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB; colour of a photo with alpha is not premultiplied."""
        ...

    def alpha(self, index: int) -> Tensor | None:
        """[H, W] uint8 coverage by the object, or None where the capture has no alpha."""
        ...

    def mask(self, index: int) -> Tensor | None:
        """[H, W] uint8, 255 where a pixel may be used, 0 where not; None: all may be used."""
        ...


def indices_of(splits: tuple[Split, ...], split: Split) -> list[int]:
    """Positions of the views of one split, in order."""
    return [i for i, s in enumerate(splits) if s == split]
