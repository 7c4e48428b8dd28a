"""The diagonal of J^T J by parameter, from sums over pixels.

Before the pixels are walked, :func:`project_with_moves` finds what moving a mean does to alpha and
to the colour; after it, :func:`project_fisher` weighs the sums by what the other parameters do. The
terms are those of :mod:`raster_fisher`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.camera import ANTIALIASED, FX, FY
from ops.rendering.cpu.geometry import geometry, sigmoid, to_world
from ops.rendering.cpu.jit import kernel, scalar_helper
from ops.rendering.cpu.projection import BLUE, FOOTPRINT, GREEN, RED, finite, project_group
from ops.rendering.cpu.projection_backward import (
    axes_gradient,
    from_image,
    log_alpha_changes,
)
from ops.rendering.cpu.raster_fisher import (
    BY_MEAN,
    COLORS,
    MOVES,
    POLYNOMIAL,
    S_04,
    S_13,
    S_22,
    S_31,
    S_40,
    S_UU,
    S_UY,
    S_YY,
    WW,
    S,
)
from ops.rendering.cpu.rows import sum_rows, write_columns
from ops.rendering.cpu.simd import LANES, any_lane, both, fma, gt, select, splat, vmax
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import (
    prefetch_rows,
    prefetch_rows_to_write,
    store3,
    store4,
    vload,
    vstore,
)
from ops.rendering.cpu.spherical_harmonics import (
    ALONG,
    BASES,
    C0,
    COLUMNS,
    SCRATCH,
    basis_where,
    direction,
    direction_gradient,
)
from ops.rendering.cpu.team import finish

_f = np.float32
TOTALS = SCRATCH  # where project_group keeps footprints
SHADES = TOTALS + LANES * LANES
AT_MOVES = SHADES + FOOTPRINT * LANES
WORKSPACE = AT_MOVES + MOVES * LANES


@scalar_helper
def lit_channels(i: int, footprints: Any, shades: Any) -> Any:
    """The lanes of sixteen Gaussians where red, green and blue are not cut at 0."""
    transpose(footprints, i * FOOTPRINT, FOOTPRINT, shades, 0, LANES)
    red = gt(vload(shades, RED * LANES), _f(0))
    green = gt(vload(shades, GREEN * LANES), _f(0))
    return red, green, gt(vload(shades, BLUE * LANES), _f(0))


@scalar_helper
def _mean_by_place(g_mx: Any, g_my: Any, geo: Any, cam: Any) -> tuple[Any, Any, Any]:
    """The gradient of a mean in the image, taken back to the mean in the world."""
    (x, y, z), _, _, _, _, _, _ = geo
    rz = _f(1) / z
    gx, gy = cam[FX] * rz * g_mx, cam[FY] * rz * g_my
    return to_world(gx, gy, _f(0) - (gx * x + gy * y) * rz, cam)


@scalar_helper
def _mean_by_shape(g_U: Any, geo: Any, cam: Any) -> tuple[Any, Any, Any]:
    """The gradient of U, taken back to the mean in the world."""
    zero = splat(_f(0))
    point, _, _, _ = from_image(zero, zero, g_U, zero, geo, cam)
    return to_world(point[0], point[1], point[2], cam)


@scalar_helper
def shape_changes(geo: Any, cam: Any) -> Any:
    """Gradients by U of a_uu, a_uy and a_yy, and with antialiasing of a_1."""
    zero = splat(_f(0))
    _, _, (by_uu, by_uy, by_yy) = log_alpha_changes(geo[6], cam)
    return (
        axes_gradient(by_uu, zero, zero, zero, geo[6], cam),
        axes_gradient(zero, by_uy, zero, zero, geo[6], cam),
        axes_gradient(zero, zero, by_yy, zero, geo[6], cam),
        axes_gradient(zero, zero, zero, splat(_f(1)), geo[6], cam),
    )


@scalar_helper
def color_change(
    i: int, degree: int, channel: int, lit: Any, means: Any, cam: Any, space: Any
) -> tuple[Any, Any, Any]:
    """How a channel of the colour changes as the mean moves, by way of the viewing direction.

    ``space`` holds the columns of shN; ``degree`` is at least 1.
    """
    dx, dy, dz, inverse = direction(i, means, cam)
    for k in range(1, (degree + 1) * (degree + 1)):
        vstore(space, ALONG + k * LANES, vload(space, (3 * (k - 1) + channel) * LANES))
    tx, ty, tz = direction_gradient(degree, dx, dy, dz, space)
    radial = tx * dx + ty * dy + tz * dz
    zero = splat(_f(0))
    return (
        select(lit, (tx - radial * dx) * inverse, zero),
        select(lit, (ty - radial * dy) * inverse, zero),
        select(lit, (tz - radial * dz) * inverse, zero),
    )


@scalar_helper
def _keep3(space: Any, at: int, step: int, values: Any) -> None:
    """Three vectors, ``step`` columns apart."""
    vstore(space, at, values[0])
    vstore(space, at + step * LANES, values[1])
    vstore(space, at + 2 * step * LANES, values[2])


@scalar_helper
def _add_up(space: Any, k: int) -> None:
    """The changes of red, green and blue by coordinate k: red gets their sum, the others 0."""
    at = AT_MOVES + (COLORS + 3 * k) * LANES
    zero = splat(_f(0))
    total = vload(space, at) + vload(space, at + LANES) + vload(space, at + 2 * LANES)
    _keep3(space, at, 1, (total, zero, zero))


@scalar_helper
def _write_moves(
    i: int, degree: int, geo: Any, means: Any, cam: Any, one_channel: bool, moves: Any, space: Any
) -> None:
    """The rows of ``moves`` of sixteen Gaussians; ``space`` as :func:`project_group` leaves it."""
    zero = splat(_f(0))
    two = _f(2)
    by_u, by_y, _ = log_alpha_changes(geo[6], cam)
    at, step = AT_MOVES, POLYNOMIAL
    by_uu, by_uy, by_yy, by_one = shape_changes(geo, cam)
    if cam[ANTIALIASED] > _f(0):
        _keep3(space, at, step, _mean_by_shape(by_one, geo, cam))
    _keep3(space, at + LANES, step, _mean_by_place(by_u[0], by_u[1], geo, cam))
    _keep3(space, at + 2 * LANES, step, _mean_by_place(zero, by_y, geo, cam))
    _keep3(space, at + 3 * LANES, step, _mean_by_shape(by_uu, geo, cam))
    _keep3(space, at + 4 * LANES, step, _mean_by_shape(by_uy, geo, cam))
    _keep3(space, at + 5 * LANES, step, _mean_by_shape(by_yy, geo, cam))
    if degree > 0:
        at = AT_MOVES + COLORS * LANES
        for channel in range(3):
            lit = gt(vload(space, SCRATCH + (RED + channel) * LANES), _f(0))
            x, y, z = color_change(i, degree, channel, lit, means, cam, space)
            _keep3(space, at + channel * LANES, 3, (x * two, y * two, z * two))
        if one_channel:
            for k in range(3):
                _add_up(space, k)
    for k in range(0, MOVES, LANES):
        transpose(space, AT_MOVES + k * LANES, LANES, moves, i * MOVES + k, MOVES)


@kernel(
    "void(i8, i8, f4[:,::1],"
    " f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " i8, f4[::1], f4[:,::1], f4[::1], f4[::1], f4[:,::1], i4[:,::1], b1, f4[:,::1])",
    scalar_maths=True,
)
def project_with_moves(
    part: int,
    parts: int,
    work: Any,
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
    one_channel: bool,
    moves: Any,
) -> None:
    """:func:`project`, and what moving the mean of every Gaussian that is seen does in the image:
    ``moves`` [N, 32], of red, green and blue added up if there is ``one_channel``."""
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    space = work[part]
    for k in range(MOVES):
        vstore(space, AT_MOVES + k * LANES, splat(_f(0)))
    given = (means, quats, log_scales, opacity_logits, sh0, shN, features)
    found = (footprints, depths, reach, means2d, radii)
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        i = min(group * LANES, n - LANES)
        prefetch_rows_to_write(moves, i)
        geo = project_group(i, given, degree, cam, found, space)
        if any_lane(gt(vload(depths, i), _f(0))):
            _write_moves(i, degree, geo, means, cam, one_channel, moves, space)
    finish(part, parts)


@scalar_helper
def _mean_entry(k: int, kept: Any, moved: Any, totals: Any) -> Any:
    """The entry of coordinate k of the mean; ``moved`` holds the columns of its moves."""
    at = (COLORS + 3 * k) * LANES
    red, green, blue = vload(moved, at), vload(moved, at + LANES), vload(moved, at + 2 * LANES)
    color = fma(red, red, fma(green, green, blue * blue)) * _f(0.25)  # they are twice the changes
    total = fma(color, vload(totals, WW * LANES), vload(totals, (BY_MEAN + k) * LANES))
    return _kept(kept, total)


@scalar_helper
def _kept(kept: Any, total: Any) -> Any:
    """An entry; 0 where it is not finite. Rounding may leave a little less than nothing."""
    zero = splat(_f(0))
    return select(both(kept, finite(total)), vmax(total, zero), zero)


@scalar_helper
def _shape_entry(kept: Any, uu: Any, uy: Any, yy: Any, one: Any, totals: Any) -> Any:
    """The entry of a parameter that alpha depends on by u^2, u y, y^2 and 1 alone."""
    two = _f(2)
    inner = fma(uu, vload(totals, S_31 * LANES), yy * vload(totals, S_13 * LANES))
    total = two * uy * inner
    total = fma(uu * uu, vload(totals, S_40 * LANES), total)
    total = fma(uy * uy + two * uu * yy, vload(totals, S_22 * LANES), total)
    total = fma(yy * yy, vload(totals, S_04 * LANES), total)
    inner = fma(uu, vload(totals, S_UU * LANES), uy * vload(totals, S_UY * LANES))
    inner = fma(yy, vload(totals, S_YY * LANES), inner)
    total = fma(two * one, inner, total)
    return _kept(kept, fma(one * one, vload(totals, S * LANES), total))


@scalar_helper
def write_colors(
    i: int,
    degree: int,
    squares: Any,
    lit: Any,
    h_sh0: Any,
    h_shN: Any,
    h_features: Any,
    space: Any,
    shades: Any,
) -> None:
    """The entries of colours and features; ``squares`` are sums of squared weights.

    ``space`` holds the values of the bases, finite also where a Gaussian is not seen.
    """
    zero = splat(_f(0))
    red = select(lit[0], squares, zero)
    green = select(lit[1], squares, zero)
    blue = select(lit[2], squares, zero)
    store3(h_sh0, 3 * i, (red * (C0 * C0), green * (C0 * C0), blue * (C0 * C0)))
    held = (degree + 1) * (degree + 1)
    for k in range(1, held):
        value = vload(space, BASES + k * LANES)
        value = value * value
        o = 3 * (k - 1) * LANES
        vstore(space, o, value * red)
        vstore(space, o + LANES, value * green)
        vstore(space, o + 2 * LANES, value * blue)
    for k in range(3 * (held - 1), COLUMNS):
        vstore(space, k * LANES, zero)
    write_columns(i, h_shN, space)
    n_features = h_features.shape[1]
    if n_features > 0:
        vstore(shades, 0, squares)
        for lane in range(LANES):
            for k in range(n_features):
                h_features[i + lane, k] = shades[lane]


@scalar_helper
def write_nothing(
    i: int,
    h_means: Any,
    h_quats: Any,
    h_log_scales: Any,
    h_opacity_logits: Any,
    h_sh0: Any,
    h_shN: Any,
    h_features: Any,
    space: Any,
) -> None:
    """Zeros for sixteen Gaussians of which none is seen."""
    zero = splat(_f(0))
    store3(h_means, 3 * i, (zero, zero, zero))
    store4(h_quats, 4 * i, (zero, zero, zero, zero))
    store3(h_log_scales, 3 * i, (zero, zero, zero))
    vstore(h_opacity_logits, i, zero)
    store3(h_sh0, 3 * i, (zero, zero, zero))
    for k in range(COLUMNS):
        vstore(space, k * LANES, zero)
    write_columns(i, h_shN, space)
    for row in range(i, i + LANES):
        for k in range(h_features.shape[1]):
            h_features[row, k] = _f(0)


@kernel(
    "void(i8, i8, f4[:,::1], f4[::1], i4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], i8, f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " f4[::1], f4[:,::1], f4[:,::1], f4[:,::1])",
    scalar_maths=True,
)
def project_fisher(
    part: int,
    parts: int,
    work: Any,
    depths: Any,
    spans: Any,
    table: Any,
    moves: Any,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    shN: Any,
    footprints: Any,
    degree: int,
    cam: Any,
    h_means: Any,
    h_quats: Any,
    h_log_scales: Any,
    h_opacity_logits: Any,
    h_sh0: Any,
    h_shN: Any,
    h_features: Any,
) -> None:
    """Sums every Gaussian's rows and writes diag(J^T J), 0 for Gaussians that are not seen.

    The outputs are named after the parameters.
    """
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    space = work[part]
    shades, moved, totals = space[SHADES:], space[AT_MOVES:], space[TOTALS:]
    zero = splat(_f(0))
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        i = min(group * LANES, n - LANES)
        seen = gt(vload(depths, i), _f(0))
        for array in (moves, footprints, means, quats, log_scales):
            prefetch_rows(array, i + LANES)
        for array in (h_shN, h_means, h_quats, h_log_scales, h_sh0):
            prefetch_rows_to_write(array, i)
        if not any_lane(seen):
            write_nothing(
                i, h_means, h_quats, h_log_scales, h_opacity_logits, h_sh0, h_shN, h_features, space
            )
            continue
        sum_rows(i, spans, table, 0, space, TOTALS)
        transpose(moves, i * MOVES + LANES, MOVES, moved, LANES * LANES, LANES)
        x, y, z = (
            _mean_entry(0, seen, moved, totals),
            _mean_entry(1, seen, moved, totals),
            _mean_entry(2, seen, moved, totals),
        )
        store3(h_means, 3 * i, (x, y, z))

        geo = geometry(i, means, quats, log_scales, cam)
        by_uu, by_uy, by_yy, by_one = shape_changes(geo, cam)
        _, _, s_uu, q_uu = from_image(zero, zero, by_uu, zero, geo, cam)
        _, _, s_uy, q_uy = from_image(zero, zero, by_uy, zero, geo, cam)
        _, _, s_yy, q_yy = from_image(zero, zero, by_yy, zero, geo, cam)
        s_one, q_one = (zero, zero, zero), (zero, zero, zero, zero)
        if cam[ANTIALIASED] > _f(0):
            _, _, s_one, q_one = from_image(zero, zero, by_one, zero, geo, cam)
        x, y, z = (
            _shape_entry(seen, s_uu[0], s_uy[0], s_yy[0], s_one[0], totals),
            _shape_entry(seen, s_uu[1], s_uy[1], s_yy[1], s_one[1], totals),
            _shape_entry(seen, s_uu[2], s_uy[2], s_yy[2], s_one[2], totals),
        )
        store3(h_log_scales, 3 * i, (x, y, z))
        w, x, y, z = (
            _shape_entry(seen, q_uu[0], q_uy[0], q_yy[0], q_one[0], totals),
            _shape_entry(seen, q_uu[1], q_uy[1], q_yy[1], q_one[1], totals),
            _shape_entry(seen, q_uu[2], q_uy[2], q_yy[2], q_one[2], totals),
            _shape_entry(seen, q_uu[3], q_uy[3], q_yy[3], q_one[3], totals),
        )
        store4(h_quats, 4 * i, (w, x, y, z))
        still = sigmoid(zero - vload(opacity_logits, i))  # dlog(alpha) / dlogit
        vstore(h_opacity_logits, i, _kept(seen, still * still * vload(totals, S * LANES)))

        lit = lit_channels(i, footprints, shades)
        squares = select(seen, vload(totals, WW * LANES), zero)
        if degree > 0:
            basis_where(seen, i, degree, means, cam, space)
        write_colors(i, degree, squares, lit, h_sh0, h_shN, h_features, space, shades)
