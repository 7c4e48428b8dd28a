"""From Gaussians in the world to Gaussians in the image (EWA splatting, Zwicker et al. 2001).

A projected Gaussian is kept as a *footprint*: its covariance [[a, b], [b, c]] taken apart into the
variance c of y and, given y, the mean ``slope * y`` and the variance v of x:

    alpha(dx, dy) = opacity * exp(-(dx - slope dy)^2 / (2 v) - dy^2 / (2 c)),
    slope = b / c,  v = (a c - b^2) / c.

It is evaluated in powers of two: with lengths in which alpha falls to a half,

    alpha = opacity * 2^(-u^2 - y^2),  u = (dx - slope dy) / sqrt(2 ln2 v),  y = dy / sqrt(2 ln2 c).

Unlike the inverse covariance this form does not cancel for long thin Gaussians, and it is never
negative. The determinant comes from Cauchy-Binet, as a sum of squares, for the same reason.

Gaussians are handled in their own order, sixteen at a time. The last sixteen may have been done
before in part; they come out the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.rendering.cpu.camera import ANTIALIASED, CX, CY, EPS2D, FAR, FX, FY, HEIGHT, NEAR, WIDTH
from ops.rendering.cpu.geometry import covariance2d, geometry, sigmoid
from ops.rendering.cpu.jit import kernel, scalar_helper
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    ge,
    gt,
    log2,
    select,
    splat,
    vabs,
    vceil,
    vfloor,
    vmax,
    vmin,
    vsqrt,
)
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import (
    load3,
    prefetch_rows,
    prefetch_rows_to_write,
    store2,
    store2_whole,
    vload,
    vstore,
)
from ops.rendering.cpu.spherical_harmonics import SCRATCH, color
from ops.rendering.cpu.team import finish
from ops.rendering.cpu.tiles import TILE

_f = np.float32
LOG2E = _f(1.4426950408889634)
LN2 = _f(0.6931471805599453)
MIN_ALPHA = _f(1 / 255)
LOG2_MIN_ALPHA = _f(-math.log2(255.0))
LARGEST = _f(1e37)  # of a variance in pixels squared; beyond it float32 is about to overflow
_LARGEST_RADIUS = _f(1 << 30)
_MOST = _f(1e9)  # tiles
_SHARPEST = _f(1e20)  # of a variance's inverse; thinner than float32 can tell from a line

# Columns of a footprint: mean; slope; the factors 1 / sqrt(2 ln2 v) and 1 / sqrt(2 ln2 c); log2 of
# the opacity in this view; depth; colour. Then, of the ellipse in which alpha is at least 1/255, a
# little too large: v; 1 / c; the bound of the squared Mahalanobis distance; half width and height;
# and the y at which it is widest. Sixteen columns are a cache line.
MX, MY, SLOPE, PER_U, PER_Y, LOG2_OPACITY, DEPTH, RED, GREEN, BLUE = range(10)
V, INVERSE_C, BOUND, WIDE, HIGH, WIDEST = range(10, 16)
FOOTPRINT = 16
WORKSPACE = SCRATCH + FOOTPRINT * LANES


@scalar_helper
def finite(x: Any) -> Any:
    """Lanes that are neither infinite nor NaN."""
    return gt(_f(math.inf), vabs(x))


@scalar_helper
def _row_is_finite(array: Any, row: int) -> bool:
    total = _f(0)
    for k in range(array.shape[1]):
        total += array[row, k] * _f(0)
    return total == _f(0)


@scalar_helper
def per_half(inverse_variance: Any) -> Any:
    """1 over the length in which alpha falls to a half, along an axis of a footprint."""
    return vsqrt(vmin(inverse_variance, _SHARPEST) * (_f(0.5) * LOG2E))


@scalar_helper
def _tiles_across(middle: Any, half: Any, size: Any) -> Any:
    """How many tiles an interval touches along an axis of the image, at most."""
    slack = vabs(middle) * _f(2e-6) + half * _f(2e-6) + _f(0.01)
    last = vceil(vmin(middle + half + slack, size) * _f(1 / TILE))
    first = vfloor(vmax(middle - half - slack, _f(0)) * _f(1 / TILE))
    return vmax(last - first, _f(0))


@scalar_helper
def project_group(i: int, given: Any, degree: int, cam: Any, found: Any, scratch: Any) -> Any:
    """Projects the Gaussians i to i + 15, as :func:`project` says, whose arguments ``given`` and
    ``found`` are: from means to features, and from footprints to radii.

    Returns their :func:`geometry`; scratch holds what :func:`color` leaves there, and from SCRATCH
    on their footprints in columns, unless none is seen.
    """
    means, quats, log_scales, opacity_logits, sh0, shN, features = given
    footprints, depths, reach, means2d, radii = found
    columns = scratch[SCRATCH:]
    zero = splat(_f(0))
    for array in (shN, means, quats, log_scales, sh0):
        prefetch_rows(array, i + LANES)
    prefetch_rows_to_write(footprints, i)
    geo = geometry(i, means, quats, log_scales, cam)
    xyz, _, _, q, _, _, U = geo
    x, y, z = xyz
    logits = vload(opacity_logits, i)
    opacity = sigmoid(logits)
    seen = both(both(ge(z, cam[NEAR]), ge(cam[FAR], z)), gt(z, _f(0)))
    seen = both(seen, ge(opacity, MIN_ALPHA))
    a, b, c, det, sharp = covariance2d(U, cam[EPS2D])
    seen = both(seen, both(gt(LARGEST, a), gt(LARGEST, c)))
    seen = both(seen, both(gt(det, _f(0)), gt(LARGEST, det)))
    # The quaternion is neither 0 nor infinite.
    seen = both(seen, both(gt(q[0], _f(0)), gt(LARGEST, q[0])))
    l0, l1, l2 = load3(log_scales, 3 * i)
    seen = both(seen, finite(l0 + l1 + l2 + logits))
    compensation = splat(_f(1))
    if cam[ANTIALIASED] > _f(0):
        compensation = vsqrt(sharp / det)
    opacity = opacity * compensation
    seen = both(seen, ge(opacity, MIN_ALPHA))
    rz = _f(1) / z
    mx = cam[FX] * x * rz + cam[CX]
    my = cam[FY] * y * rz + cam[CY]
    # Where alpha falls to 1/255; with opacity at most 1 this is at most 3.33 deviations.
    log2_opacity = log2(opacity)
    deviations = vsqrt(vmax(log2_opacity - LOG2_MIN_ALPHA, _f(0)) * (_f(2) * LN2))
    rx = vmin(vceil(deviations * vsqrt(a)), _LARGEST_RADIUS)
    ry = vmin(vceil(deviations * vsqrt(c)), _LARGEST_RADIUS)
    seen = both(seen, both(gt(mx + rx, _f(0)), gt(cam[WIDTH], mx - rx)))
    seen = both(seen, both(gt(my + ry, _f(0)), gt(cam[HEIGHT], my - ry)))
    seen = both(seen, both(gt(rx, _f(0)), gt(ry, _f(0))))
    if any_lane(seen):
        red, green, blue = color(i, degree, means, cam, sh0, shN, scratch)
        seen = both(seen, finite(red + green + blue))
        inverse_c = _f(1) / c
        vstore(columns, MX * LANES, mx)
        vstore(columns, MY * LANES, my)
        vstore(columns, SLOPE * LANES, b * inverse_c)
        vstore(columns, PER_U * LANES, per_half(c / det))
        vstore(columns, PER_Y * LANES, per_half(inverse_c))
        vstore(columns, LOG2_OPACITY * LANES, log2_opacity)
        vstore(columns, DEPTH * LANES, z)
        vstore(columns, RED * LANES, vmax(red, _f(0)))
        vstore(columns, GREEN * LANES, vmax(green, _f(0)))
        vstore(columns, BLUE * LANES, vmax(blue, _f(0)))
        above = vmax(log2_opacity - LOG2_MIN_ALPHA, _f(0))
        bound = above * (_f(2) * LN2 * _f(1 + 1e-5)) + _f(1e-5)
        wide, high = vsqrt(bound * a), vsqrt(bound * c)
        vstore(columns, V * LANES, det * inverse_c)
        vstore(columns, INVERSE_C * LANES, inverse_c)
        vstore(columns, BOUND * LANES, bound)
        vstore(columns, WIDE * LANES, wide)
        vstore(columns, HIGH * LANES, high)
        vstore(columns, WIDEST * LANES, b / a * wide)
        tiles = _tiles_across(mx, wide, cam[WIDTH]) * _tiles_across(my, high, cam[HEIGHT])
        vstore(reach, i, vmin(tiles, _MOST))
        transpose(columns, 0, LANES, footprints, FOOTPRINT * i, FOOTPRINT)
    vstore(depths, i, select(seen, z, zero))
    store2_whole(radii, 2 * i, (select(seen, rx, zero), select(seen, ry, zero)))
    store2(means2d, 2 * i, (select(seen, mx, zero), select(seen, my, zero)))
    if features.shape[1] > 0:
        for row in range(i, i + LANES):
            if depths[row] > _f(0) and not _row_is_finite(features, row):
                depths[row] = _f(0)  # nothing may turn pixels into NaN
                radii[row, 0] = 0
                radii[row, 1] = 0
                means2d[row, 0] = _f(0)
                means2d[row, 1] = _f(0)
    return geo


@kernel(
    "void(i8, i8, f4[:,::1],"
    " f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " i8, f4[::1], f4[:,::1], f4[::1], f4[::1], f4[:,::1], i4[:,::1])",
    scalar_maths=True,
)
def project(
    part: int,
    parts: int,
    space: Any,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    sh0: Any,
    shN: Any,
    features: Any,
    degree: int,
    cam: Any,
    footprints: Any,
    depths: Any,
    reach: Any,
    means2d: Any,
    radii: Any,
) -> None:
    """Footprints [N, 16], depths [N], reach [N], means2d [N, 2] and radii [N, 2]; N >= 16.

    A Gaussian that is not seen gets a depth and radii of 0; its footprint
    and reach are not to be read. Reach is the number of tiles that a bounding box touches.
    Every test is written so that NaN fails it.
    """
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    given = (means, quats, log_scales, opacity_logits, sh0, shN, features)
    found = (footprints, depths, reach, means2d, radii)
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        i = min(group * LANES, n - LANES)
        project_group(i, given, degree, cam, found, space[part])
    finish(part, parts)
