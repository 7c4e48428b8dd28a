"""How uncertain every pixel is, given how uncertain every parameter is.

With J_pc the Jacobian of channel c of a pixel and D the variances of the parameters, the variance
sum_c J_pc D J_pc^T is a sum over the Gaussians of the pixel. What one of them adds is, in the terms
of :mod:`raster_gram`, a polynomial in u and y whose 34 coefficients depend on the Gaussian and
the view only. They are laid out like a row of sums there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.blending import (
    AHEAD,
    CHECK_EVERY,
    MAX_ALPHA,
    color_of,
    exponent_in_block,
    footprint_in_tile,
    opacity_of,
    still_live,
)
from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import FOOTPRINT, finite
from ops.rendering.cpu.projection_fisher import lit_channels
from ops.rendering.cpu.projection_gram import (
    BY_RED,
    GRAM,
    NUMBERS,
    NUMBERS_AT,
    PARAMETERS,
    SHADES,
    TOTALS,
    numbers,
)
from ops.rendering.cpu.projection_gram import WORKSPACE as NUMBERS_WORKSPACE
from ops.rendering.cpu.raster_backward import blend_again
from ops.rendering.cpu.raster_fisher import look_through, open_block
from ops.rendering.cpu.raster_gram import COLUMNS as ROW
from ops.rendering.cpu.raster_gram import MIXED, WEIGHTS
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    fma,
    ge,
    gt,
    note_lanes,
    select,
    splat,
    vmax,
)
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import (
    load3,
    load4,
    next_of,
    prefetch,
    vfill,
    vload,
    vstore,
)
from ops.rendering.cpu.spherical_harmonics import (
    BASES,
    C0,
    basis,
    coefficients,
    direction,
)
from ops.rendering.cpu.tiles import (
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    TILE,
    blocks_in_image,
    forget_lanes,
    lowest_block,
    write_block,
)

_f = np.float32
VARIANCES = NUMBERS_WORKSPACE
WORKSPACE = VARIANCES + PARAMETERS * LANES


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_uncertainty` works in."""
    return ((BLOCKS + 1) * (5 + n_extras) + 6) * LANES


@kernel(
    "void(i8, i8, f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1],"
    " f4[:,::1], i8, f4[::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1])",
    scalar_maths=True,
)
def project_uncertainty(
    part: int,
    parts: int,
    work: Any,
    depths: Any,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    shN: Any,
    footprints: Any,
    degree: int,
    cam: Any,
    d_means: Any,
    d_quats: Any,
    d_log_scales: Any,
    d_opacity_logits: Any,
    d_sh0: Any,
    d_shN: Any,
    d_features: Any,
    coefs: Any,
) -> None:
    """The coefficients [N, 48] of every Gaussian; ``d_...`` are the parameters' variances."""
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    n_features = d_features.shape[1]
    space = work[part]
    shades = space[SHADES:]
    zero = splat(_f(0))
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        i = min(group * LANES, n - LANES)
        seen = gt(vload(depths, i), _f(0))
        if not any_lane(seen):
            continue
        red, green, blue = lit_channels(i, footprints, shades)
        if degree > 0:
            x, y, z, _ = direction(i, means, cam)
            basis(degree, x, y, z, space)
            coefficients(i, degree, shN, space)
        lit = (red, green, blue)
        numbers(i, degree, means, quats, log_scales, opacity_logits, lit, cam, space)
        a, b, c = load3(d_means, 3 * i)
        d, e, f, g = load4(d_quats, 4 * i)
        h, k, m = load3(d_log_scales, 3 * i)
        vstore(space, VARIANCES, a)
        vstore(space, VARIANCES + LANES, b)
        vstore(space, VARIANCES + 2 * LANES, c)
        vstore(space, VARIANCES + 3 * LANES, d)
        vstore(space, VARIANCES + 4 * LANES, e)
        vstore(space, VARIANCES + 5 * LANES, f)
        vstore(space, VARIANCES + 6 * LANES, g)
        vstore(space, VARIANCES + 7 * LANES, h)
        vstore(space, VARIANCES + 8 * LANES, k)
        vstore(space, VARIANCES + 9 * LANES, m)
        vstore(space, VARIANCES + 10 * LANES, vload(d_opacity_logits, i))
        for o in range(ROW):
            vstore(space, TOTALS + o * LANES, zero)
        for first in range(NUMBERS):
            for second in range(NUMBERS):
                where = GRAM[first, second]
                if where < 0:
                    continue
                total = vload(space, TOTALS + where * LANES)
                for j in range(PARAMETERS):
                    at = NUMBERS_AT + j * NUMBERS * LANES
                    variance = vload(space, VARIANCES + j * LANES)
                    product = vload(space, at + first * LANES) * vload(space, at + second * LANES)
                    total = fma(variance, product, total)
                vstore(space, TOTALS + where * LANES, total)
        # Colours by way of their own coefficients, and features, only through the weight.
        d0, d1, d2 = load3(d_sh0, 3 * i)
        own_red, own_green, own_blue = d0 * (C0 * C0), d1 * (C0 * C0), d2 * (C0 * C0)
        if degree > 0:
            coefficients(i, degree, d_shN, space)
            for q in range(1, (degree + 1) * (degree + 1)):
                value = vload(space, BASES + q * LANES)
                value = value * value
                o = 3 * (q - 1) * LANES
                own_red = fma(value, vload(space, o), own_red)
                own_green = fma(value, vload(space, o + LANES), own_green)
                own_blue = fma(value, vload(space, o + 2 * LANES), own_blue)
        total = vload(space, TOTALS + WEIGHTS * LANES)
        total = total + select(red, own_red, zero) + select(green, own_green, zero)
        total = total + select(blue, own_blue, zero)
        vstore(space, TOTALS + WEIGHTS * LANES, total)
        for lane in range(LANES):
            for q in range(n_features):
                space[TOTALS + WEIGHTS * LANES + lane] += d_features[i + lane, q]
        for o in range(ROW):
            value = vload(space, TOTALS + o * LANES)
            value = select(both(seen, finite(value)), value, zero)
            vstore(space, TOTALS + o * LANES, value)
        for o in range(0, ROW, LANES):
            transpose(space, TOTALS + o * LANES, LANES, coefs, i * ROW + o, ROW)


assert BY_RED == NUMBERS - 3


@helper
def _shape_part(o: int, u: Any, y: Any, uu: Any, uy: Any, yy: Any, coefs: Any) -> Any:
    """The polynomial of degree 4."""
    value = fma(vfill(coefs, o + 1), u, vfill(coefs, o))
    value = fma(vfill(coefs, o + 2), y, value)
    value = fma(vfill(coefs, o + 3), uu, value)
    value = fma(vfill(coefs, o + 4), uy, value)
    value = fma(vfill(coefs, o + 5), yy, value)
    inner = fma(vfill(coefs, o + 6), u, vfill(coefs, o + 7) * y)
    inner = fma(vfill(coefs, o + 10), uu, fma(vfill(coefs, o + 11), uy, inner))
    value = fma(inner, uu, value)
    inner = fma(vfill(coefs, o + 8), u, vfill(coefs, o + 9) * y)
    inner = fma(vfill(coefs, o + 12), uu, fma(vfill(coefs, o + 13), uy, inner))
    return fma(fma(vfill(coefs, o + 14), yy, inner), yy, value)


@helper
def _mixed_part(o: int, u: Any, y: Any, uu: Any, uy: Any, yy: Any, coefs: Any) -> Any:
    """A polynomial of degree 2."""
    value = fma(vfill(coefs, o + 1), u, vfill(coefs, o))
    value = fma(vfill(coefs, o + 2), y, value)
    value = fma(vfill(coefs, o + 3), uu, value)
    value = fma(vfill(coefs, o + 4), uy, value)
    return fma(vfill(coefs, o + 5), yy, value)


@kernel(
    "void(i8, i8, f4[:,::1], i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1], f4[:,:,::1], f4[:,:,::1], b1, f4[:,::1])"
)
def raster_uncertainty(
    part: int,
    parts: int,
    space: Any,
    counter: Any,
    width: int,
    height: int,
    offsets: Any,
    ends: Any,
    entries: Any,
    masks: Any,
    footprints: Any,
    coefs: Any,
    extras: Any,
    image: Any,
    planes: Any,
    extras_count: bool,
    variance: Any,
) -> None:
    """The variance [H, W] of the pixels; takes what :func:`raster_fisher` takes, and ``coefs``."""
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_extras = extras.shape[1] if extras_count else 0
    # Of a block: transmittance, what is behind in each channel, variance.
    stride = (5 + n_extras) * LANES
    result = (4 + n_extras) * LANES
    scratch = space[part]
    edge = scratch[(BLOCKS + 1) * stride :]
    lanes = edge[3 * LANES :]
    zero = splat(_f(0))
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            o = block * stride
            open_block(block, o, tile_x, tile_y, image, planes, n_extras, scratch, edge)
            vstore(scratch, o + result, zero)
        live = blocks_in_image(tile_x, tile_y, width, height)
        end = ends[tile]
        forget_lanes(lanes)
        for at in range(offsets[tile], end):
            if at % CHECK_EVERY == 0:  # see the forward pass
                live = still_live(live, lanes, stride, scratch)
            i = entries[at, 0]
            todo = masks[at] & live
            prefetch(footprints, entries[min(at + AHEAD, end - 1), 0] * FOOTPRINT)
            footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
            rgb = color_of(i, footprints)
            row = i * ROW
            while todo != 0:
                block = lowest_block(todo)
                todo &= todo - 1
                o = block * stride
                u, y, exponent = exponent_in_block(block, footprint)
                full, alpha = opacity_of(exponent)
                going_on, T, weight = blend_again(o, alpha, scratch)
                note_lanes(lanes, block, going_on)
                free = both(going_on, ge(MAX_ALPHA, full))
                (red, green, blue), odds, s = look_through(
                    o, free, alpha, T, weight, rgb, i, extras, n_extras, scratch
                )
                uu, uy, yy = u * u, u * y, y * y
                shape = _shape_part(row, u, y, uu, uy, yy, coefs)
                mixed = red * _mixed_part(row + MIXED, u, y, uu, uy, yy, coefs)
                mixed = fma(green, _mixed_part(row + MIXED + 6, u, y, uu, uy, yy, coefs), mixed)
                mixed = fma(blue, _mixed_part(row + MIXED + 12, u, y, uu, uy, yy, coefs), mixed)
                own = weight * weight * vfill(coefs, row + WEIGHTS)
                part_of = fma(s, shape, fma(weight * odds, mixed, own))
                # Rounding may leave a little less than nothing.
                sum_ = vload(scratch, o + result) + vmax(select(going_on, part_of, zero), _f(0))
                vstore(scratch, o + result, sum_)
        shown = blocks_in_image(tile_x, tile_y, width, height)
        while shown != 0:
            block = lowest_block(shown)
            shown &= shown - 1
            Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
            write_block(variance, Y, X, vload(scratch, block * stride + result), edge)
        tile = next_of(counter)
