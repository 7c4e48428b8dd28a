"""Settings of the stages that turn a dataset folder into prepared views and first points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SplitProtocol = Literal["auto", "dataset", "every_8th", "fraction_0.9", "all_train"]
MaskUse = Literal["exclude", "object", "none"]


@dataclass(frozen=True, kw_only=True)
class CaptureSettings:
    """How photos become prepared views. Photos are always shrunk with an area filter."""

    downscale: int = 1
    """Photos are shrunk by this factor; the size is rounded, the intrinsics follow exactly."""
    max_size: int = 0
    """The longer side of a prepared view is at most this many pixels; 0 sets no limit."""
    split: SplitProtocol = "auto"
    """Which views are held out. ``auto``: the dataset's own split, else ``every_8th``."""
    masks: MaskUse = "exclude"
    """``exclude``: pixels where a mask is 0 do not count. ``object``: a mask is the object's
    alpha. ``none``: masks are ignored."""


@dataclass(frozen=True, kw_only=True)
class StructureSettings:
    """How cameras are found for photos that come without."""

    camera_model: Literal["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"] = (
        "SIMPLE_RADIAL"
    )
    """COLMAP's name of the lens model to fit."""
    shared_camera: Literal["auto", "all", "each"] = "auto"
    """``all``: one lens for all photos. ``each``: one per photo. ``auto``: photos of the same size
    and stated focal length share one."""
    max_size: int = 3200
    """Features are looked for in photos shrunk to this longer side, in pixels."""
    max_features: int = 8192
    """Features per photo."""
    neighbours: int = 0
    """Each photo is matched with this many that follow it by name; 0 matches all pairs, which
    takes long for more than a few hundred photos."""
    min_share: float = 0.5
    """Fewer registered photos than this share of all is an error."""
    seed: int = 0
    """For the random choices of COLMAP's estimators."""


@dataclass(frozen=True, kw_only=True)
class PointsSettings:
    """Where the points come from that splats start from."""

    source: Literal["auto", "dataset", "triangulated", "random"] = "auto"
    """``auto``: the dataset's own points, else triangulated ones, else random ones."""
    max_features: int = 8192
    """SIFT features per photo."""
    max_size: int = 1920
    """Features are looked for in photos shrunk to this longer side, in pixels."""
    neighbours: int = 20
    """Each photo is matched with this many that look alike, at growing distance."""
    min_angle: float = 1.5
    """Degrees; points whose rays meet at less are dropped."""
    max_error: float = 2.0
    """Pixels of the photos that features were found in; points that reproject worse are dropped."""
    min_points: int = 500
    """With fewer triangulated points than this, ``auto`` takes random points instead."""
    random_points: int = 20_000
    """Number of random points."""
    seed: int = 0
    """For random points."""
