"""What the Fisher information of every Gaussian needs to know of the pixels, in one pass.

With y_c a channel of a pixel, w = alpha T the weight of a Gaussian there and s_c = dy_c / dalpha,

    dy_c/dtheta = s_c dalpha/dtheta + w dcolor_c/dtheta,
    dalpha/dtheta = alpha (a_1 + a_u u + a_y dy + a_uu u^2 + a_uy u dy + a_yy dy^2),

where the six numbers a depend on the Gaussian and the view only. So sums over pixels of
(sum_c s_c^2) alpha^2 times the monomials up to degree 4, of s_c alpha w times those up to degree 2,
and of w^2 hold everything that J^T J of one Gaussian consists of: a Gaussian enters a pixel once.
s_c = T color_c - B_c / (1 - alpha) with B_c what is behind the Gaussian in the pixel; B starts as
the whole pixel and has every Gaussian's part taken off in turn, as in the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import FOOTPRINT
from ops.rendering.cpu.raster_backward import blend_again
from ops.rendering.cpu.raster_forward import (
    AHEAD,
    CHECK_EVERY,
    MAX_ALPHA,
    color_of,
    exponent_in_block,
    footprint_in_tile,
    opacities,
)
from ops.rendering.cpu.simd import LANES, any_lane, both, fma, fnma, ge, select, splat
from ops.rendering.cpu.simd_memory import next_of, prefetch, sum16, vfill, vload, vstore
from ops.rendering.cpu.tiles import (
    BIT,
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    TILE,
    blocks_in_image,
    inside_image,
    lowest_block,
    read_block,
    read_block3,
)

_f = np.float32

# Columns of a row: 15 moments of the alpha part, by powers of u and dy; the sum of squared weights;
# and for red, green and blue the 6 moments of the mixed part.
POWERS = (
    *((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)),
    *((4, 0), (3, 1), (2, 2), (1, 3), (0, 4)),
)
WEIGHTS = 15
MIXED = 16  # from here on, 6 for each colour
COLUMNS = 48


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_fisher` works in."""
    return ((BLOCKS + 1) * (4 + n_extras) + 3) * LANES


@helper
def behind_in(o: int, weight: Any, color: Any, scratch: Any) -> Any:
    """What is behind a Gaussian in one channel of a block, brought up to date."""
    behind = fnma(weight, color, vload(scratch, o))
    vstore(scratch, o, behind)
    return behind


@helper
def open_block(
    block: int,
    o: int,
    tile_x: int,
    tile_y: int,
    image: Any,
    planes: Any,
    n_extras: int,
    scratch: Any,
    edge: Any,
) -> None:
    """Before any Gaussian: transmittance at ``o``, then the whole pixel in each channel."""
    height, width = image.shape[0], image.shape[1]
    inside = inside_image(block, tile_x, tile_y, width, height)
    vstore(scratch, o, select(inside, _f(1), _f(-1)))
    Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
    if height <= Y or width <= X:
        for k in range(1, 4 + n_extras):
            vstore(scratch, o + k * LANES, splat(_f(0)))
        return
    c0, c1, c2 = read_block3(image, Y, X, edge)
    vstore(scratch, o + LANES, c0)
    vstore(scratch, o + 2 * LANES, c1)
    vstore(scratch, o + 3 * LANES, c2)
    for k in range(n_extras):
        vstore(scratch, o + (4 + k) * LANES, read_block(planes[k], Y, X, edge))


@helper
def look_through(
    o: int,
    free: Any,
    alpha: Any,
    T: Any,
    weight: Any,
    rgb: Any,
    i: int,
    extras: Any,
    n_extras: int,
    scratch: Any,
) -> Any:
    """alpha s_c of Gaussian i in the block at ``o``, and the sum of its squares over all channels.

    It is 0 outside ``free``, where alpha is cut and does not move.
    """
    moving = select(free, alpha, splat(_f(0)))
    through = moving / (_f(1) - alpha)
    ahead = moving * T
    red = fnma(behind_in(o + LANES, weight, rgb[0], scratch), through, ahead * rgb[0])
    green = fnma(behind_in(o + 2 * LANES, weight, rgb[1], scratch), through, ahead * rgb[1])
    blue = fnma(behind_in(o + 3 * LANES, weight, rgb[2], scratch), through, ahead * rgb[2])
    squares = fma(red, red, fma(green, green, blue * blue))
    for k in range(n_extras):
        value = vfill(extras, i * n_extras + k)
        behind = behind_in(o + (4 + k) * LANES, weight, value, scratch)
        other = fnma(behind, through, ahead * value)
        squares = fma(other, other, squares)
    return (red, green, blue), squares


@kernel(
    "void(i8, i8, f4[:,::1], i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1],"
    " f4[:,::1], f4[:,:,::1], f4[:,:,::1], b1, f4[:,::1])"
)
def raster_fisher(
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
        finished = 0
        for at in range(offsets[tile], end):
            if at % CHECK_EVERY == 0:  # see the forward pass
                live &= ~finished
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
                (full, alpha), _ = opacities(exponent, exponent)
                going_on, T, weight = blend_again(o, alpha, scratch)
                if not any_lane(going_on):
                    finished |= BIT[block]
                free = both(going_on, ge(MAX_ALPHA, full))
                (red, green, blue), s = look_through(
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
                red, green, blue = red * weight, green * weight, blue * weight
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
