"""Undistorted photos are those of a pinhole camera, to a small part of a pixel."""

import math

import numpy as np
import pytest

from ops.capture.model import Intrinsics
from ops.capture.undistort import WIDEST, distort, undistort_points, undistorted, undistortion


def lens(model: str, *distortion: float, focal: float = 220.0) -> Intrinsics:
    return Intrinsics(
        model=model,
        width=320,
        height=240,
        fx=focal,
        fy=focal * 1.01,
        cx=163.3,
        cy=117.9,
        distortion=distortion,
    )


LENSES = [
    lens("opencv", -0.25, 0.08, 0.001, -0.002),
    lens("opencv", 0.2, -0.05, -0.003, 0.001),
    lens("opencv", 0.05, -0.08, 0.001, 0.0002, 0.01),
    lens("opencv_fisheye", 0.05, 0.01, -0.003, 0.001),
    lens("opencv_fisheye", -0.02, 0.004, 0.0, 0.0, focal=110.0),  # more than 150 degrees wide
]


def textbook(lens: Intrinsics, x: float, y: float) -> tuple[float, float]:
    """Pixel of the ray (x, y, 1), from the models' definitions."""
    d = lens.distortion
    if lens.model == "opencv_fisheye":
        r = math.hypot(x, y)
        a = math.atan(r)
        stated = a * (1 + d[0] * a**2 + d[1] * a**4 + d[2] * a**6 + d[3] * a**8)
        u, v = (x * stated / r, y * stated / r) if r else (0.0, 0.0)
    else:
        k1, k2, p1, p2, k3 = (*d, 0.0)[:5]
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return lens.fx * u + lens.cx, lens.fy * v + lens.cy


@pytest.mark.parametrize("lens", LENSES)
def test_distort_follows_the_definition_with_centres_at_a_half(lens):
    rays = np.array([[0.3, -0.2], [-0.4, 0.1], [1e-9, 0], [0.25, 0.35]])
    expected = [textbook(lens, x, y) for x, y in rays]
    np.testing.assert_allclose(distort(lens, rays), expected, atol=1e-9)
    np.testing.assert_allclose(undistort_points(lens, distort(lens, rays)), rays, atol=1e-5)


@pytest.mark.parametrize("lens", LENSES)
def test_the_photo_covers_every_pixel(lens):
    target = undistorted(lens)
    assert (target.model, target.width, target.height) == ("pinhole", 320, 240)
    xs, ys = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    rays = np.stack([(xs - target.cx) / target.fx, (ys - target.cy) / target.fy], axis=-1)
    pixels = distort(lens, rays)
    assert pixels.min() >= 0.5 - 0.02
    assert pixels[..., 0].max() <= 319.5 + 0.02
    assert pixels[..., 1].max() <= 239.5 + 0.02
    assert np.abs(np.arctan(np.linalg.norm(rays, axis=-1))).max() <= WIDEST + 1e-6


@pytest.mark.parametrize("lens", LENSES[:4])
def test_little_of_the_photo_is_lost(lens):
    """Some side of the view touches the border of the photo on each axis."""
    target = undistorted(lens)
    corners = np.array([[0.5, 0.5], [319.5, 0.5], [0.5, 239.5], [319.5, 239.5]])
    middles = np.array([[0.5, 120], [319.5, 120], [160, 0.5], [160, 239.5]])
    rays = (np.vstack([corners, middles]) - (target.cx, target.cy)) / (target.fx, target.fy)
    pixels = distort(lens, rays)
    gap_x = np.minimum(pixels[:, 0] - 0.5, 319.5 - pixels[:, 0]).min()
    gap_y = np.minimum(pixels[:, 1] - 0.5, 239.5 - pixels[:, 1]).min()
    assert max(gap_x, gap_y) < 3


@pytest.mark.parametrize("lens", LENSES)
def test_every_pixel_shows_what_the_lens_saw_there(lens):
    """A photo whose values are its own coordinates, undistorted, tells for every pixel where its
    value came from: it must be where the lens sees the ray of that pixel."""
    xs, ys = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    target, remap = undistorted(lens), undistortion(lens)
    came_from = np.stack(
        [remap.apply(xs.astype(np.float32)), remap.apply(ys.astype(np.float32))], axis=-1
    )
    for row, column in [(0, 0), (3, 310), (120, 160), (77, 203), (239, 319), (200, 4)]:
        x = (column + 0.5 - target.cx) / target.fx
        y = (row + 0.5 - target.cy) / target.fy
        assert np.abs(came_from[row, column] - textbook(lens, x, y)).max() < 0.01
    rays = np.stack([(xs - target.cx) / target.fx, (ys - target.cy) / target.fy], axis=-1)
    assert np.abs(came_from - distort(lens, rays)).max() < 0.02


def test_a_pinhole_is_left_alone():
    pinhole = Intrinsics(model="pinhole", width=8, height=8, fx=9, fy=9, cx=4, cy=4)
    assert undistorted(pinhole) is pinhole
    assert undistortion(pinhole) is None


def test_masks_keep_only_what_is_certain():
    remap = undistortion(LENSES[0])
    usable = np.full((240, 320), 255, np.uint8)
    assert (remap.apply_mask(usable) == 255).all()
    usable[100:110, 100:110] = 0
    moved = remap.apply_mask(usable)
    assert set(np.unique(moved)) == {0, 255}
    assert (moved == 0).sum() > 100  # at least as much as went in
