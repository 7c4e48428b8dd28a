"""All of J^T J of every Gaussian, from sums over pixels.

Every parameter theta has nine numbers: how much of each monomial it makes alpha change by, and how
it changes red, green and blue. With the 9 x 9 Gram matrix of these over all pixels and channels,
which :mod:`raster_gram` summed, an entry of J^T J is z^T Gram z'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.camera import ANTIALIASED
from ops.rendering.cpu.geometry import geometry, sigmoid, to_world
from ops.rendering.cpu.jit import kernel, scalar_helper
from ops.rendering.cpu.projection import finite
from ops.rendering.cpu.projection_backward import from_image, log_alpha_changes
from ops.rendering.cpu.projection_fisher import (
    color_change,
    lit_channels,
    shape_changes,
    write_colors,
    write_nothing,
)
from ops.rendering.cpu.raster_gram import COLUMNS as ROW
from ops.rendering.cpu.raster_gram import MIXED, POWERS, WEIGHTS
from ops.rendering.cpu.rows import sum_rows
from ops.rendering.cpu.simd import LANES, any_lane, both, fma, gt, select, splat
from ops.rendering.cpu.simd_memory import store3, store4, vload, vstore
from ops.rendering.cpu.spherical_harmonics import SCRATCH, basis_where, coefficients

_f = np.float32
ONE, U, Y, UU, UY, YY, BY_RED, BY_GREEN, BY_BLUE = range(9)
NUMBERS = 9
PARAMETERS = 11  # means, quats, log-scales, opacity logit
MEANS, QUATS, LOG_SCALES, OPACITY = 0, 3, 7, 10

TOTALS = SCRATCH
NUMBERS_AT = TOTALS + ROW * LANES
PRODUCTS = NUMBERS_AT + PARAMETERS * NUMBERS * LANES
SHADES = PRODUCTS + NUMBERS * LANES
WORKSPACE = SHADES + 16 * LANES


def _gram() -> np.ndarray:
    """[9, 9] which column of a row is an entry of the Gram matrix; -1 where it is 0."""
    where = np.full((NUMBERS, NUMBERS), -1)
    monomials = POWERS[:6]
    for k, (i, j) in enumerate(monomials):
        for m, (p, q) in enumerate(monomials):
            where[k, m] = POWERS.index((i + p, j + q))
        for c in range(3):
            where[k, BY_RED + c] = where[BY_RED + c, k] = MIXED + 6 * c + k
    for c in range(3):
        where[BY_RED + c, BY_RED + c] = WEIGHTS
    return where


GRAM = _gram()


@scalar_helper
def _note(number: int, g_mx: Any, g_my: Any, g_U: Any, geo: Any, cam: Any, space: Any) -> None:
    """One of the nine numbers of means, log-scales and quats: a gradient taken back to them."""
    point, _, g_scales, g_quats = from_image(g_mx, g_my, g_U, splat(_f(0)), geo, cam)
    m0, m1, m2 = to_world(point[0], point[1], point[2], cam)
    o = NUMBERS_AT + number * LANES
    step = NUMBERS * LANES
    vstore(space, o + MEANS * step, m0)
    vstore(space, o + (MEANS + 1) * step, m1)
    vstore(space, o + (MEANS + 2) * step, m2)
    vstore(space, o + QUATS * step, g_quats[0])
    vstore(space, o + (QUATS + 1) * step, g_quats[1])
    vstore(space, o + (QUATS + 2) * step, g_quats[2])
    vstore(space, o + (QUATS + 3) * step, g_quats[3])
    vstore(space, o + LOG_SCALES * step, g_scales[0])
    vstore(space, o + (LOG_SCALES + 1) * step, g_scales[1])
    vstore(space, o + (LOG_SCALES + 2) * step, g_scales[2])


@scalar_helper
def _note_color(
    i: int, degree: int, channel: int, lit: Any, means: Any, cam: Any, space: Any
) -> None:
    """How one channel of the colour changes as the mean moves, by way of the viewing direction."""
    o = NUMBERS_AT + (BY_RED + channel) * LANES
    step = NUMBERS * LANES
    for k in range(PARAMETERS):
        vstore(space, o + k * step, splat(_f(0)))
    if degree == 0:
        return
    x, y, z = color_change(i, degree, channel, lit, means, cam, space)
    vstore(space, o + MEANS * step, x)
    vstore(space, o + (MEANS + 1) * step, y)
    vstore(space, o + (MEANS + 2) * step, z)


@scalar_helper
def numbers(
    i: int,
    degree: int,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    lit: Any,
    cam: Any,
    space: Any,
) -> None:
    """The nine numbers of all eleven parameters of sixteen Gaussians, into the work space.

    ``space`` holds the columns of shN where ``degree`` is at least 1.
    """
    geo = geometry(i, means, quats, log_scales, cam)
    zero = splat(_f(0))
    by_u, by_y, _ = log_alpha_changes(geo[6], cam)
    still = (zero, zero, zero, zero, zero, zero)
    _note(U, by_u[0], by_u[1], still, geo, cam, space)
    _note(Y, zero, by_y, still, geo, cam, space)
    by_uu, by_uy, by_yy, by_one = shape_changes(geo, cam)
    _note(UU, zero, zero, by_uu, geo, cam, space)
    _note(UY, zero, zero, by_uy, geo, cam, space)
    _note(YY, zero, zero, by_yy, geo, cam, space)
    if cam[ANTIALIASED] > _f(0):
        _note(ONE, zero, zero, by_one, geo, cam, space)
    else:
        for k in range(PARAMETERS):
            vstore(space, NUMBERS_AT + (k * NUMBERS + ONE) * LANES, zero)
    red, green, blue = lit
    _note_color(i, degree, 0, red, means, cam, space)
    _note_color(i, degree, 1, green, means, cam, space)
    _note_color(i, degree, 2, blue, means, cam, space)
    o = NUMBERS_AT + OPACITY * NUMBERS * LANES
    for k in range(NUMBERS):
        vstore(space, o + k * LANES, zero)
    vstore(space, o, sigmoid(zero - vload(opacity_logits, i)))


@scalar_helper
def _products(parameter: int, space: Any) -> None:
    """Gram times the nine numbers of a parameter."""
    for k in range(NUMBERS):
        total = splat(_f(0))
        for m in range(NUMBERS):
            where = GRAM[k, m]
            if where >= 0:
                number = vload(space, NUMBERS_AT + (parameter * NUMBERS + m) * LANES)
                total = fma(vload(space, TOTALS + where * LANES), number, total)
        vstore(space, PRODUCTS + k * LANES, total)


@scalar_helper
def _entry(parameter: int, kept: Any, space: Any) -> Any:
    """The numbers of a parameter times the products; 0 where the result is not finite."""
    total = splat(_f(0))
    for k in range(NUMBERS):
        number = vload(space, NUMBERS_AT + (parameter * NUMBERS + k) * LANES)
        total = fma(number, vload(space, PRODUCTS + k * LANES), total)
    return select(both(kept, finite(total)), total, splat(_f(0)))


@kernel(
    "void(i8, i8, f4[:,::1], f4[::1], i4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " f4[::1], f4[:,::1], f4[:,::1], i8, f4[::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1],"
    " f4[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1])",
    scalar_maths=True,
)
def project_gram(
    part: int,
    parts: int,
    work: Any,
    depths: Any,
    spans: Any,
    table: Any,
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
    blocks: Any,
) -> None:
    """Sums every Gaussian's rows and writes diag(J^T J), 0 for Gaussians that are not seen.

    The outputs are named after the parameters. ``blocks`` [N, 11, 11] gets J^T J of each
    Gaussian's mean, quaternion, log-scales and opacity logit.
    """
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    space = work[part]
    shades = space[SHADES:]
    zero = splat(_f(0))
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        i = min(group * LANES, n - LANES)
        seen = gt(vload(depths, i), _f(0))
        if not any_lane(seen):
            write_nothing(
                i, h_means, h_quats, h_log_scales, h_opacity_logits, h_sh0, h_shN, h_features, space
            )
            for row in range(i, i + LANES):
                for j in range(PARAMETERS):
                    for k in range(PARAMETERS):
                        blocks[row, j, k] = _f(0)
            continue
        for first in range(0, ROW, LANES):
            sum_rows(i, spans, table, first, space, TOTALS + first * LANES)
        lit = lit_channels(i, footprints, shades)
        if degree > 0:
            basis_where(seen, i, degree, means, cam, space)
            coefficients(i, degree, shN, space)
        numbers(i, degree, means, quats, log_scales, opacity_logits, lit, cam, space)

        _products(MEANS, space)
        h0 = _entry(MEANS, seen, space)
        _products(MEANS + 1, space)
        h1 = _entry(MEANS + 1, seen, space)
        _products(MEANS + 2, space)
        store3(h_means, 3 * i, (h0, h1, _entry(MEANS + 2, seen, space)))
        _products(QUATS, space)
        h0 = _entry(QUATS, seen, space)
        _products(QUATS + 1, space)
        h1 = _entry(QUATS + 1, seen, space)
        _products(QUATS + 2, space)
        h2 = _entry(QUATS + 2, seen, space)
        _products(QUATS + 3, space)
        store4(h_quats, 4 * i, (h0, h1, h2, _entry(QUATS + 3, seen, space)))
        _products(LOG_SCALES, space)
        h0 = _entry(LOG_SCALES, seen, space)
        _products(LOG_SCALES + 1, space)
        h1 = _entry(LOG_SCALES + 1, seen, space)
        _products(LOG_SCALES + 2, space)
        store3(h_log_scales, 3 * i, (h0, h1, _entry(LOG_SCALES + 2, seen, space)))
        _products(OPACITY, space)
        vstore(h_opacity_logits, i, _entry(OPACITY, seen, space))
        for j in range(PARAMETERS):
            _products(j, space)
            for k in range(j + 1):
                vstore(shades, 0, _entry(k, seen, space))
                for lane in range(LANES):
                    blocks[i + lane, j, k] = shades[lane]
                    blocks[i + lane, k, j] = shades[lane]

        squares = select(seen, vload(space, TOTALS + WEIGHTS * LANES), zero)
        write_colors(i, degree, squares, lit, h_sh0, h_shN, h_features, space, shades)
