"""Whether the cameras of a capture look at its scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.cameras import Cameras
from ops.capture.model import Points

FEW_CAMERAS = 0.9  # less of the cameras seeing points is suspicious
FEW_POINTS = 0.5  # less of the points being in two views is suspicious
NARROW = 1e-3  # spread of the cameras as a share of their distance to the points


@dataclass(frozen=True, kw_only=True)
class CameraCheck:
    """Numbers about cameras and points, and what they amount to."""

    cameras: int
    points: int
    seen_by_two: float  # share of the points that lie in the images of at least two cameras
    seeing: float  # share of the cameras with points in their image
    spread: float  # world units: largest distance of a camera from the middle of all
    distance: float  # world units: median depth of the points in the cameras that see them
    blind: tuple[str, ...]  # cameras that see no point
    passed: bool
    verdict: str  # one sentence; if not passed, what to look at


def check_cameras(cameras: Cameras, points: Points) -> CameraCheck:
    """Project the points into the cameras and count.

    Points that are hidden behind others count as seen. A wrong convention of the poses (transposed,
    world-to-camera for camera-to-world, OpenGL for OpenCV axes) shows at once: cameras look away.

    Args:
        cameras: Any number.
        points: Points in the world of the cameras, from whatever source.
    """
    viewmats = cameras.viewmats.double().cpu().numpy()
    Ks = cameras.Ks.double().cpu().numpy()
    centres = cameras.centers.double().cpu().numpy()
    views_of_point = np.zeros(len(points.xyz), np.int64)
    points_of_view = np.zeros(len(cameras), np.int64)
    depths = []
    for i, (viewmat, K) in enumerate(zip(viewmats, Ks, strict=True)):
        x = points.xyz.astype(np.float64) @ viewmat[:3, :3].T + viewmat[:3, 3]
        front = x[:, 2] > 0
        pixel = (x @ K.T)[:, :2] / np.where(front, x[:, 2], 1)[:, None]
        size = np.array([cameras.widths[i], cameras.heights[i]])
        seen = front & ((pixel >= 0) & (pixel < size)).all(axis=-1)
        views_of_point += seen
        points_of_view[i] = seen.sum()
        depths.append(x[seen, 2])
    all_depths = np.concatenate(depths) if depths else np.empty(0)
    distance = float(np.median(all_depths)) if len(all_depths) else float("nan")
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max())
    seeing = float((points_of_view > 0).mean())
    seen_by_two = float((views_of_point >= min(2, len(cameras))).mean()) if len(points.xyz) else 0.0
    blind = tuple(n for n, k in zip(cameras.names, points_of_view, strict=True) if k == 0)
    doubts = []
    if not len(points.xyz):
        doubts.append("there are no points to look at")
    else:
        if seeing < FEW_CAMERAS:
            doubts.append(f"{len(blind)} of {len(cameras)} cameras see no point")
        if seen_by_two < FEW_POINTS:
            doubts.append(f"only {seen_by_two:.0%} of the points lie in two or more views")
        if len(cameras) > 1 and spread < NARROW * distance:
            doubts.append("the cameras stand almost at one place, so depth is hardly known")
    if doubts:
        verdict = "; ".join(doubts)
        verdict += ". Check the convention of the poses (camera-to-world, axes) and the points."
    else:
        verdict = (
            f"{seeing:.0%} of {len(cameras)} cameras see points, and {seen_by_two:.0%} of "
            f"{len(points.xyz)} points lie in two or more views."
        )
    return CameraCheck(
        cameras=len(cameras),
        points=len(points.xyz),
        seen_by_two=seen_by_two,
        seeing=seeing,
        spread=spread,
        distance=distance,
        blind=blind,
        passed=not doubts,
        verdict=verdict,
    )
