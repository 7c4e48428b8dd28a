"""What the diagonal of J^T J needs to know of the pixels, in one pass.

With y_c a channel of a pixel, w = alpha T the weight of a Gaussian there and s_c = dy_c / dalpha,

    dy_c/dtheta = s_c dalpha/dtheta + w dcolor_c/dtheta,
    dalpha/dtheta = alpha P,  P = a_1 + a_u u + a_y y + a_uu u^2 + a_uy u y + a_yy y^2,

where u and y are those of a footprint, and the six numbers a depend on the Gaussian and the view
only. A Gaussian enters a pixel once, so
sums over pixels hold its whole diagonal. With s^2 = sum_c (alpha s_c)^2:

- opacity, log-scales and quats have no part in u and y alone and none in the colour: sums of s^2
  times 1, the five monomials of degree 4 and, where antialiasing gives shapes an a_1, the three
  of degree 2 are enough;
- colours and features need the sum of w^2;
- a coordinate of the mean has all parts. Its own polynomial P and what it does to the colour are
  evaluated at every pixel, and sum_c (alpha s_c P + w dcolor_c)^2 less w^2 sum_c dcolor_c^2 is
  summed. That takes fewer sums than the 30 that hold all products of the parts, and less room.

s_c = T color_c - B_c / (1 - alpha) with B_c what is behind the Gaussian in the pixel; B starts as
the whole pixel and has every Gaussian's part taken off in turn, as in the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.blending import (
    AHEAD,
    CHECK_EVERY,
    MAX_ALPHA,
    color_of,
    footprint_in_tile,
    still_live,
)
from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import FOOTPRINT
from ops.rendering.cpu.raster_backward import begin_two, blend_again
from ops.rendering.cpu.simd import LANES, both, fma, fms, fnma, ge, note_lanes, select, splat
from ops.rendering.cpu.simd_memory import (
    align_stack,
    next_of,
    prefetch,
    sum16,
    vfill,
    vload,
    vstore,
)
from ops.rendering.cpu.tiles import (
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    TILE,
    blocks_in_image,
    forget_lanes,
    inside_image,
    read_block,
    read_block3,
)

_f = np.float32

# Columns of a row of sums: of s^2 times 1, u^2, u y, y^2, u^4, u^3 y, u^2 y^2, u y^3, y^4; of
# squared weights; and one for each coordinate of the mean.
S, S_UU, S_UY, S_YY, S_40, S_31, S_22, S_13, S_04, WW, BY_MEAN = range(11)
COLUMNS = 16

# Columns of how the three coordinates of a mean move alpha and colour: for each the six numbers a;
# then for each twice the change of red, green and blue. Two cache lines.
POLYNOMIAL = 6
COLORS = 3 * POLYNOMIAL
MOVES = 32


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_fisher` works in."""
    return ((BLOCKS + 1) * (4 + n_extras) + 6) * LANES


@helper
def contrast(o: int, T: Any, weight: Any, color: Any, scratch: Any) -> Any:
    """(1 - alpha) s_c of a Gaussian in one channel of a block; takes its part off what is behind.

    With B the rest of the pixel, this Gaussian included: T color_c - B_c.
    """
    rest = vload(scratch, o)
    vstore(scratch, o, fnma(weight, color, rest))
    return fms(T, color, rest)


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
    vstore(scratch, o, select(inside, _f(1), _f(0)))
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
    """What moving the opacity of Gaussian i does in the block at ``o``.

    Returns (1 - alpha) s_c of the three colours, alpha / (1 - alpha), and the sum of (alpha s_c)^2
    over all channels. The last two are 0 outside ``free``, where alpha is cut and does not move.
    """
    odds = select(free, alpha, splat(_f(0))) / (_f(1) - alpha)
    red = contrast(o + LANES, T, weight, rgb[0], scratch)
    green = contrast(o + 2 * LANES, T, weight, rgb[1], scratch)
    blue = contrast(o + 3 * LANES, T, weight, rgb[2], scratch)
    squares = fma(red, red, fma(green, green, blue * blue))
    for k in range(n_extras):
        value = vfill(extras, i * n_extras + k)
        other = contrast(o + (4 + k) * LANES, T, weight, value, scratch)
        squares = fma(other, other, squares)
    return (red, green, blue), odds, squares * (odds * odds)


@helper
def shape_sums(s: Any, u: Any, y: Any, antialiased: bool, sums: Any) -> Any:
    """The nine sums that a row begins with, those of a block added; without antialiasing the
    second to the fourth are not needed, and left."""
    m00, m20, m11, m02, m40, m31, m22, m13, m04 = sums
    uu, uy, yy = u * u, u * y, y * y
    suu, syy = s * uu, s * yy
    if antialiased:
        m20, m11, m02 = m20 + suu, fma(s, uy, m11), m02 + syy
    return (
        m00 + s,
        m20,
        m11,
        m02,
        fma(suu, uu, m40),
        fma(suu, uy, m31),
        fma(suu, yy, m22),
        fma(syy, uy, m13),
        fma(syy, yy, m04),
    )


@helper
def mean_sum(at: int, k: int, one: Any, two: Any, antialiased: bool, moves: Any, total: Any) -> Any:
    """The sum of coordinate k of the mean, those of two blocks added.

    Its moves are at ``at``. A block is s^2; (1 - alpha) s_c of the three colours, and by what to
    take them to be w alpha s_c; u and y.
    """
    s0, through0, scale0, u0, y0 = one
    s1, through1, scale1, u1, y1 = two
    a = at + POLYNOMIAL * k
    a_u, a_uu, a_uy = vfill(moves, a + 1), vfill(moves, a + 3), vfill(moves, a + 4)
    inner0 = fma(a_uy, y0, fma(a_uu, u0, a_u))
    inner1 = fma(a_uy, y1, fma(a_uu, u1, a_u))
    a_y, a_yy = vfill(moves, a + 2), vfill(moves, a + 5)
    P0 = fma(inner0, u0, fma(a_yy, y0, a_y) * y0)
    P1 = fma(inner1, u1, fma(a_yy, y1, a_y) * y1)
    if antialiased:
        a_1 = vfill(moves, a)
        P0, P1 = P0 + a_1, P1 + a_1
    c = at + COLORS + 3 * k
    red, green, blue = vfill(moves, c), vfill(moves, c + 1), vfill(moves, c + 2)
    color0 = fma(red, through0[0], fma(green, through0[1], blue * through0[2]))
    color1 = fma(red, through1[0], fma(green, through1[1], blue * through1[2]))
    total = fma(fma(s0, P0, scale0 * color0), P0, total)
    return fma(fma(s1, P1, scale1 * color1), P1, total)


@helper
def look_through_tile(
    start: int,
    end: int,
    live: int,
    tile_x: int,
    tile_y: int,
    entries: Any,
    masks: Any,
    footprints: Any,
    moves: Any,
    extras: Any,
    n_extras: int,
    antialiased: bool,
    scratch: Any,
    lanes: Any,
    table: Any,
) -> None:
    """Writes the rows of the entries from ``start`` to ``end``, which are those of one tile."""
    stride = (4 + n_extras) * LANES
    zero = splat(_f(0))
    for at in range(start, end):
        if at % CHECK_EVERY == 0:  # see the forward pass
            live = still_live(live, lanes, stride, scratch)
        i = entries[at, 0]
        moves_at = i * MOVES
        ahead_at = min(at + AHEAD, end - 1)
        ahead = entries[ahead_at, 0]
        prefetch(footprints, ahead * FOOTPRINT)
        prefetch(moves, ahead * MOVES)
        prefetch(moves, ahead * MOVES + LANES)
        prefetch(table, entries[ahead_at, 1] * COLUMNS)
        footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
        rgb = color_of(i, footprints)
        sums = (zero, zero, zero, zero, zero, zero, zero, zero, zero)
        x, y, z, ww = zero, zero, zero, zero
        one, two, todo = begin_two(masks[at] & live, footprint)
        while one[0] < BLOCKS:
            # Begun before these two are done: a processor does not look far enough ahead.
            next_one, next_two, todo = begin_two(todo, footprint)
            block0, u0, y0, full0, alpha0 = one
            block1, u1, y1, full1, alpha1 = two
            o0, o1 = block0 * stride, block1 * stride
            going_on0, T0, weight0 = blend_again(o0, alpha0, scratch)
            going_on1, T1, weight1 = blend_again(o1, alpha1, scratch)
            note_lanes(lanes, block0, going_on0)
            note_lanes(lanes, block1, going_on1)
            free0 = both(going_on0, ge(MAX_ALPHA, full0))
            free1 = both(going_on1, ge(MAX_ALPHA, full1))
            through0, odds0, s0 = look_through(
                o0, free0, alpha0, T0, weight0, rgb, i, extras, n_extras, scratch
            )
            through1, odds1, s1 = look_through(
                o1, free1, alpha1, T1, weight1, rgb, i, extras, n_extras, scratch
            )
            ww = fma(weight1, weight1, fma(weight0, weight0, ww))
            seen0 = (s0, through0, weight0 * odds0, u0, y0)
            seen1 = (s1, through1, weight1 * odds1, u1, y1)
            x = mean_sum(moves_at, 0, seen0, seen1, antialiased, moves, x)
            y = mean_sum(moves_at, 1, seen0, seen1, antialiased, moves, y)
            z = mean_sum(moves_at, 2, seen0, seen1, antialiased, moves, z)
            sums = shape_sums(s0, u0, y0, antialiased, sums)
            sums = shape_sums(s1, u1, y1, antialiased, sums)
            one, two = next_one, next_two
        sum16(table, entries[at, 1] * COLUMNS, (*sums, ww, x, y, z, zero, zero, zero))


@kernel(
    "void(i8, i8, f4[:,::1], i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1], f4[:,:,::1], f4[:,:,::1], b1, b1, f4[:,::1])"
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
    moves: Any,
    extras: Any,
    image: Any,
    planes: Any,
    extras_count: bool,
    antialiased: bool,
    table: Any,
) -> None:
    """Fills the table [records, 16] with a row per intersection.

    Takes what :func:`raster_forward` took and gave, and ``moves`` [N, 32] of the means.
    ``extras_count`` says whether the channels beside colour are among those that alpha is looked at
    through; ``antialiased`` whether opacities depend on shapes, without which some sums stay 0.
    """
    align_stack()
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
        forget_lanes(lanes)
        live = blocks_in_image(tile_x, tile_y, width, height)
        start, end = offsets[tile], ends[tile]
        if n_extras > 0 or antialiased:
            look_through_tile(
                *(start, end, live, tile_x, tile_y, entries, masks, footprints, moves),
                *(extras, n_extras, True, scratch, lanes, table),
            )
        else:  # compiled apart: what is not needed would slow the loop down, or take registers
            look_through_tile(
                *(start, end, live, tile_x, tile_y, entries, masks, footprints, moves),
                *(extras, 0, False, scratch, lanes, table),
            )
        for e in range(end, offsets[tile + 1]):  # behind what is seen
            vstore(table, entries[e, 1] * COLUMNS, zero)
        tile = next_of(counter)


assert BY_MEAN + 3 <= COLUMNS
