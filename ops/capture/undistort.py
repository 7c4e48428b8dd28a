"""Undistorting photos: once, to a pinhole camera whose every pixel the photo covers.

OpenCV has the centre of the top left pixel at (0, 0), the rest of the workbench at (0.5, 0.5):
principal points lose 0.5 on the way into OpenCV and gain it on the way back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from ops.capture.model import Array, Intrinsics
from ops.errors import InputError

WIDEST = math.radians(75)
"""A ray farther from the optical axis than this is left out of the undistorted photo: a pinhole
image stretches without bound towards 90 degrees."""
_BORDER_SAMPLES = 65  # along each side of the photo
_SHRINK = 0.99  # step of the search for a view that the photo covers
_INVERSE_TOLERANCE = 0.05  # pixels


@dataclass(frozen=True)
class Undistortion:
    """How the pixels of an undistorted photo are found in the distorted one."""

    intrinsics: Intrinsics  # of the undistorted photo: a pinhole of the same size
    map_x: Array  # [H, W] float32, in OpenCV's pixel coordinates
    map_y: Array

    def apply(self, image: Array) -> Array:
        """Undistort an image [H, W] or [H, W, C] by linear interpolation.

        OpenCV's cubic and Lanczos kernels do not keep linear ramps: they would move detail by up
        to a twentieth of a pixel.
        """
        return cv2.remap(
            image, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def apply_mask(self, usable: Array) -> Array:
        """Undistort a mask [H, W] of 0 and 255; a pixel stays usable if all it touches is."""
        moved = self.apply(usable)
        return np.where(moved == 255, 255, 0).astype(np.uint8)


def undistortion(intrinsics: Intrinsics) -> Undistortion | None:
    """The undistortion of a camera, or None where it has no distortion.

    Raises:
        InputError: The distortion folds the image, so it cannot be undone.
    """
    if intrinsics.model == "pinhole":
        return None
    target = undistorted(intrinsics)
    return Undistortion(target, *_maps(intrinsics, target))


@lru_cache(maxsize=4096)
def undistorted(intrinsics: Intrinsics) -> Intrinsics:
    """The pinhole camera of the undistorted photo; a pinhole stays as it is.

    It has the size of the photo and sees the largest axis-parallel rectangle that fits between
    the undistorted borders of the photo (as OpenCV's ``getOptimalNewCameraMatrix`` with
    alpha = 0, but for fisheye lenses too, and up to ``WIDEST``), so no pixel is invented.

    Raises:
        InputError: The distortion folds the image, so it cannot be undone.
    """
    if intrinsics.model == "pinhole":
        return intrinsics
    left, top, right, bottom = _inner_rectangle(intrinsics)
    w, h = intrinsics.width, intrinsics.height
    for _ in range(200):
        if right <= left or bottom <= top:
            break
        # The centres of the outermost pixels look along the borders of the rectangle.
        fx, fy = (w - 1) / (right - left), (h - 1) / (bottom - top)
        target = Intrinsics(
            model="pinhole",
            width=w,
            height=h,
            fx=fx,
            fy=fy,
            cx=0.5 - left * fx,
            cy=0.5 - top * fy,
        )
        if _is_covered(intrinsics, target):
            return target
        left, right = _shrunk(left, right)
        top, bottom = _shrunk(top, bottom)
    raise InputError(
        f"the distortion {intrinsics.distortion} of the {w}x{h} camera with focal length "
        f"{intrinsics.fx:g} folds the image over itself and cannot be undone. "
        "Check the coefficients, or calibrate the camera again."
    )


def distort(intrinsics: Intrinsics, rays: Array) -> Array:
    """Where a camera sees directions.

    Args:
        intrinsics: Any model.
        rays: [..., 2] x / z and y / z in the camera.

    Returns:
        [..., 2] pixels, centres at +0.5.
    """
    K, d = _opencv(intrinsics)
    flat = np.ascontiguousarray(rays, dtype=np.float64).reshape(-1, 1, 2)
    if intrinsics.model == "opencv_fisheye":
        pixels = cv2.fisheye.distortPoints(flat, K, d)
    else:
        zero = np.zeros(3)
        pixels, _ = cv2.projectPoints(cv2.convertPointsToHomogeneous(flat), zero, zero, K, d)
    return np.asarray(pixels).reshape(rays.shape) + 0.5


def undistort_points(intrinsics: Intrinsics, pixels: Array) -> Array:
    """The inverse of :func:`distort`, by iteration; NaN where it does not converge.

    Args:
        intrinsics: Any model.
        pixels: [..., 2] pixels, centres at +0.5.
    """
    K, d = _opencv(intrinsics)
    flat = np.ascontiguousarray(pixels - 0.5, dtype=np.float64).reshape(-1, 1, 2)
    if intrinsics.model == "opencv_fisheye":
        rays = _undistort_fisheye(intrinsics, flat.reshape(-1, 2))
    else:
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
        rays = np.asarray(cv2.undistortPoints(flat, K, d, criteria=criteria)).reshape(-1, 2)
    back = distort(intrinsics, rays)
    off = np.linalg.norm(back - pixels.reshape(-1, 2), axis=-1)
    rays[~(off < _INVERSE_TOLERANCE)] = np.nan
    return rays.reshape(pixels.shape)


def _opencv(intrinsics: Intrinsics) -> tuple[Array, Array]:
    K = np.array(
        [
            [intrinsics.fx, 0, intrinsics.cx - 0.5],
            [0, intrinsics.fy, intrinsics.cy - 0.5],
            [0, 0, 1],
        ]
    )
    return K, np.array(intrinsics.distortion or (0.0,) * 4, dtype=np.float64)


def _undistort_fisheye(intrinsics: Intrinsics, pixels: Array) -> Array:
    """Rays of OpenCV's fisheye, each no farther from the axis than ``WIDEST``.

    ``pixels`` [n, 2] have OpenCV's centres, at +0.
    """
    x = (pixels[:, 0] - intrinsics.cx + 0.5) / intrinsics.fx
    y = (pixels[:, 1] - intrinsics.cy + 0.5) / intrinsics.fy
    stated = np.hypot(x, y)
    # Kannala-Brandt: stated radius as a polynomial of the angle. Angles count up to where the
    # polynomial turns back.
    angles = np.linspace(0, WIDEST, 20_001)
    k1, k2, k3, k4 = intrinsics.distortion
    square = angles**2
    radii = angles * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    turn = int(np.argmax(np.diff(radii) <= 0)) if (np.diff(radii) <= 0).any() else len(radii) - 1
    angle = np.interp(stated, radii[: turn + 1], angles[: turn + 1])
    scale = np.tan(angle) / np.maximum(stated, 1e-12)
    return np.stack([x * scale, y * scale], axis=-1)


def _border(intrinsics: Intrinsics) -> list[Array]:
    """Rays of the centres of the outermost pixels: left, top, right, bottom, each [n, 2]."""
    xs = np.linspace(0.5, intrinsics.width - 0.5, _BORDER_SAMPLES)
    ys = np.linspace(0.5, intrinsics.height - 0.5, _BORDER_SAMPLES)
    sides = [
        np.stack([np.full_like(ys, xs[0]), ys], axis=-1),
        np.stack([xs, np.full_like(xs, ys[0])], axis=-1),
        np.stack([np.full_like(ys, xs[-1]), ys], axis=-1),
        np.stack([xs, np.full_like(xs, ys[-1])], axis=-1),
    ]
    if intrinsics.model == "opencv_fisheye":
        # Beyond WIDEST the border of the view is the cone of WIDEST, not the photo's.
        return [_undistort_fisheye(intrinsics, side - 0.5) for side in sides]
    return [undistort_points(intrinsics, side) for side in sides]


def _inner_rectangle(intrinsics: Intrinsics) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a rectangle of rays between the undistorted borders."""
    sides = [side[np.isfinite(side).all(axis=-1)] for side in _border(intrinsics)]
    limit = math.tan(WIDEST)
    (left, top, right, bottom) = (
        max((float(s[:, 0].max()) for s in sides[:1] if len(s)), default=-limit),
        max((float(s[:, 1].max()) for s in sides[1:2] if len(s)), default=-limit),
        min((float(s[:, 0].min()) for s in sides[2:3] if len(s)), default=limit),
        min((float(s[:, 1].min()) for s in sides[3:] if len(s)), default=limit),
    )
    return left, top, right, bottom


def _is_covered(source: Intrinsics, target: Intrinsics) -> bool:
    """Whether the photo covers all that ``target`` sees, without folding."""
    xs = (np.linspace(0.5, target.width - 0.5, 33) - target.cx) / target.fx
    ys = (np.linspace(0.5, target.height - 0.5, 33) - target.cy) / target.fy
    rays = np.stack(np.meshgrid(xs, ys), axis=-1)
    pixels = distort(source, rays)
    along_x, along_y = np.diff(pixels, axis=1)[:-1], np.diff(pixels, axis=0)[:, :-1]
    area = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    slack = 0.01  # pixels; the inner rectangle touches the border
    inside = (pixels >= 0.5 - slack).all() and (
        pixels <= np.array([source.width, source.height]) - 0.5 + slack
    ).all()
    return bool(inside and (area > 0).all())


def _shrunk(low: float, high: float) -> tuple[float, float]:
    middle, half = (low + high) / 2, (high - low) / 2 * _SHRINK
    return middle - half, middle + half


def _maps(source: Intrinsics, target: Intrinsics) -> tuple[Array, Array]:
    K, d = _opencv(source)
    new_K, _ = _opencv(replace(target, distortion=()))
    size = (target.width, target.height)
    make = (
        cv2.fisheye.initUndistortRectifyMap
        if source.model == "opencv_fisheye"
        else cv2.initUndistortRectifyMap
    )
    map_x, map_y = make(K, d, np.eye(3), new_K, size, cv2.CV_32FC1)
    return map_x, map_y
