"""What all of J^T J of every Gaussian needs to know of the pixels, in one pass.

In the terms of :mod:`raster_fisher`, which does with less where the diagonal is all that is wanted:
sums over pixels of s^2 times the monomials of u and y up to degree 4, of s_c alpha w times those
up to degree 2, and of w^2 hold all products of any two parameters of one Gaussian.
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
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.projection import FOOTPRINT
from ops.rendering.cpu.raster_backward import blend_again
from ops.rendering.cpu.raster_fisher import look_through, open_block
from ops.rendering.cpu.simd import LANES, both, fma, ge, note_lanes, splat
from ops.rendering.cpu.simd_memory import next_of, prefetch, sum16, vstore
from ops.rendering.cpu.tiles import BLOCKS, TILE, blocks_in_image, forget_lanes, lowest_block

_f = np.float32

# Columns of a row: 15 moments of the alpha part, by powers of u and y; the sum of squared weights;
# and for red, green and blue the 6 moments of the mixed part.
POWERS = (
    *((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)),
    *((4, 0), (3, 1), (2, 2), (1, 3), (0, 4)),
)
WEIGHTS = 15
MIXED = 16  # from here on, 6 for each colour
COLUMNS = 48


@kernel(
    "void(i8, i8, f4[:,::1], i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1],"
    " f4[:,::1], f4[:,:,::1], f4[:,:,::1], b1, f4[:,::1])"
)
def raster_gram(
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
    extras: Any,
    image: Any,
    planes: Any,
    extras_count: bool,
    table: Any,
) -> None:
    """Fills the table [records, 48] with a row per intersection.

    Takes what :func:`raster_forward` took and gave; ``extras_count`` says whether the channels
    beside colour are among those that alpha is looked at through.
    """
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_extras = extras.shape[1] if extras_count else 0
    # Of a block: transmittance, and what is behind in each channel.
    stride = (4 + n_extras) * LANES
    scratch = space[part]
    edge = scratch[(BLOCKS + 1) * stride :]
    lanes = edge[3 * LANES :]
    zero = splat(_f(0))
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            open_block(
                block, block * stride, tile_x, tile_y, image, planes, n_extras, scratch, edge
            )
        live = blocks_in_image(tile_x, tile_y, width, height)
        end = ends[tile]
        forget_lanes(lanes)
        for at in range(offsets[tile], end):
            if at % CHECK_EVERY == 0:  # see the forward pass
                live = still_live(live, lanes, stride, scratch)
            i = entries[at, 0]
            row = entries[at, 1] * COLUMNS
            todo = masks[at] & live
            ahead_at = min(at + AHEAD, end - 1)
            prefetch(footprints, entries[ahead_at, 0] * FOOTPRINT)
            prefetch(table, entries[ahead_at, 1] * COLUMNS)
            footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
            rgb = color_of(i, footprints)
            m00, m10, m01, m20, m11, m02 = zero, zero, zero, zero, zero, zero
            m30, m21, m12, m03, m40, m31 = zero, zero, zero, zero, zero, zero
            m22, m13, m04, ww = zero, zero, zero, zero
            r0, r1, r2, r3, r4, r5 = zero, zero, zero, zero, zero, zero
            g0, g1, g2, g3, g4, g5 = zero, zero, zero, zero, zero, zero
            b0, b1, b2, b3, b4, b5 = zero, zero, zero, zero, zero, zero
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
                ww = fma(weight, weight, ww)
                su, sy, suu, syy = s * u, s * y, s * uu, s * yy
                m00, m10, m01 = m00 + s, m10 + su, m01 + sy
                m20, m11, m02 = m20 + suu, fma(s, uy, m11), m02 + syy
                m30, m21 = fma(su, uu, m30), fma(sy, uu, m21)
                m12, m03 = fma(su, yy, m12), fma(sy, yy, m03)
                m40, m31, m22 = fma(suu, uu, m40), fma(suu, uy, m31), fma(suu, yy, m22)
                m13, m04 = fma(syy, uy, m13), fma(syy, yy, m04)
                scale = weight * odds  # times the contrast: w alpha s_c
                red, green, blue = red * scale, green * scale, blue * scale
                r0, g0, b0 = r0 + red, g0 + green, b0 + blue
                r1, g1, b1 = fma(red, u, r1), fma(green, u, g1), fma(blue, u, b1)
                r2, g2, b2 = fma(red, y, r2), fma(green, y, g2), fma(blue, y, b2)
                r3, g3, b3 = fma(red, uu, r3), fma(green, uu, g3), fma(blue, uu, b3)
                r4, g4, b4 = fma(red, uy, r4), fma(green, uy, g4), fma(blue, uy, b4)
                r5, g5, b5 = fma(red, yy, r5), fma(green, yy, g5), fma(blue, yy, b5)
            moments = (m00, m10, m01, m20, m11, m02, m30, m21, m12, m03, m40, m31, m22, m13, m04)
            sum16(table, row, (*moments, ww))
            mixed = (r0, r1, r2, r3, r4, r5, g0, g1, g2, g3, g4, g5, b0, b1, b2, b3)
            sum16(table, row + LANES, mixed)
            sum16(
                table,
                row + 2 * LANES,
                (b4, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5, b5),
            )
        for e in range(end, offsets[tile + 1]):  # behind what is seen
            row = entries[e, 1] * COLUMNS
            for k in range(0, COLUMNS, LANES):
                vstore(table, row + k, zero)
        tile = next_of(counter)
