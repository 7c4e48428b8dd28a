"""Gradients of blending, from front to back again.

With T the transmittance before a Gaussian, c its channels and g the loss gradient of the pixel,

    dL/dalpha = T (g . c) - R / (1 - alpha),
    alpha dL/dalpha = w (g . c) - R alpha / (1 - alpha),

where w = alpha T is the weight and R is what the Gaussians and the background behind contribute to
g . pixel (and to the gradient of transmittance). R starts as the whole pixel and has every
Gaussian's part taken off in turn, so one number per pixel replaces the colours behind, and the
rules that stop a pixel are the same code as in the forward pass.

Every intersection writes its own row of a table, and a second pass sums the rows of a Gaussian in
a fixed order: the result has the same bytes whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.blending import (
    AHEAD,
    CHECK_EVERY,
    MAX_ALPHA,
    absorb,
    color_of,
    exponent_in_block,
    footprint_in_tile,
    opacity_of,
    still_live,
)
from ops.rendering.cpu.extras import (
    BACK_CHUNK,
    MANY,
    ROW,
    backward_space,
    chunk_gradients,
    chunk_products,
    extra_gradients,
    padded_extras,
)
from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import FOOTPRINT, LOG2E
from ops.rendering.cpu.simd import (
    LANES,
    both,
    fma,
    fnma,
    ge,
    note_lanes,
    select,
    splat,
    vabs,
    vsum,
)
from ops.rendering.cpu.simd_memory import (
    align_stack,
    next_of,
    prefetch,
    sum16,
    vload,
    vstore,
)
from ops.rendering.cpu.team import finish
from ops.rendering.cpu.tiles import (
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    TILE,
    blocks_in_image,
    forget_lanes,
    inside_image,
    lowest_block,
    read_block,
    read_block3,
)

_f = np.float32

# Columns of a row: sums over pixels of q = alpha dL/dalpha times 1, u, y, u^2, u y, y^2, where u
# and y are those of a footprint; gradients of the colour; where asked for, sums of |dL/dmean2d|.
# From EXTRAS on, gradients of the extras.
Q, Q_U, Q_Y, Q_UU, Q_UY, Q_YY, RED, GREEN, BLUE, ABS_X, ABS_Y = range(11)
EXTRAS = 16

# What is known of a block: transmittance; R; the loss gradients of red, green and blue. From
# EXTRAS_AT on, those of the extras.
OWN = 5
R_AT, RED_AT, GREEN_AT, BLUE_AT, EXTRAS_AT = (k * LANES for k in (1, 2, 3, 4, OWN))


def columns(n_extras: int) -> int:
    """How long a row is: whole vectors."""
    return EXTRAS + -(-n_extras // LANES) * LANES


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_backward` works in."""
    blocks = (BLOCKS + 1) * (OWN + padded_extras(n_extras))
    return (blocks + columns(n_extras) - EXTRAS + 6) * LANES + backward_space(n_extras)


@helper
def begin_two(todo: int, footprint: Any) -> Any:
    """The two lowest blocks of a mask, and the mask without them.

    Each is its number, u and y, and alpha before and after it is cut.
    """
    block0 = lowest_block(todo)
    todo &= todo - 1
    block1 = lowest_block(todo)
    todo &= todo - 1
    u0, y0, exponent0 = exponent_in_block(block0, footprint)
    u1, y1, exponent1 = exponent_in_block(block1, footprint)
    full0, alpha0 = opacity_of(exponent0)
    full1, alpha1 = opacity_of(exponent1)
    return (block0, u0, y0, full0, alpha0), (block1, u1, y1, full1, alpha1), todo


@helper
def blend_again(o: int, alpha: Any, scratch: Any) -> Any:
    """What the forward pass did to the transmittance of the block at ``o``: the lanes that go on,
    transmittance before it, and weights."""
    T = vload(scratch, o)
    going_on, after = absorb(alpha, T)
    vstore(scratch, o, after)
    return going_on, T, select(going_on, alpha * T, _f(0))


@helper
def color_gradients(o: int, rgb: Any, scratch: Any) -> Any:
    """The loss gradients of a block's colours, and their products with a Gaussian's, summed."""
    v0, v1 = vload(scratch, o + RED_AT), vload(scratch, o + GREEN_AT)
    v2 = vload(scratch, o + BLUE_AT)
    return (v0, v1, v2), fma(v2, rgb[2], fma(v1, rgb[1], v0 * rgb[0]))


@helper
def alpha_gradient(o: int, free: Any, alpha: Any, weight: Any, gc: Any, scratch: Any) -> Any:
    """alpha dL/dalpha in a block, whose R is brought up to date; 0 outside ``free``, where alpha
    is cut and does not move."""
    own = weight * gc
    R = vload(scratch, o + R_AT) - own
    vstore(scratch, o + R_AT, R)
    return select(free, fnma(R, alpha / (_f(1) - alpha), own), _f(0))


@helper
def add_moments(q: Any, u: Any, y: Any, sums: Any) -> Any:
    """The six sums of q that a row begins with, those of a block added."""
    q0, qu, qy, quu, quy, qyy = sums
    by_u, by_y = q * u, q * y
    return (
        q0 + q,
        qu + by_u,
        qy + by_y,
        fma(by_u, u, quu),
        fma(by_u, y, quy),
        fma(by_y, y, qyy),
    )


@helper
def open_block(
    block: int,
    n_extras: int,
    stride: int,
    tile_x: int,
    tile_y: int,
    image: Any,
    transmittance: Any,
    v_image: Any,
    v_alphas: Any,
    scratch: Any,
    edge: Any,
) -> None:
    """Before any Gaussian: transmittance 1, the loss gradients, and as R the whole pixel with its
    colours."""
    height, width = image.shape[0], image.shape[1]
    o = block * stride
    vstore(scratch, o, select(inside_image(block, tile_x, tile_y, width, height), _f(1), _f(0)))
    Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
    if height <= Y or width <= X:
        for k in range(o + R_AT, o + stride, LANES):
            vstore(scratch, k, splat(_f(0)))
        return
    c0, c1, c2 = read_block3(image, Y, X, edge)
    v0, v1, v2 = read_block3(v_image, Y, X, edge)
    R = fma(v0, c0, fma(v1, c1, v2 * c2))
    if v_alphas.shape[0] > 0:
        v = read_block(v_alphas, Y, X, edge)
        R = fnma(v, read_block(transmittance, Y, X, edge), R)
    vstore(scratch, o + R_AT, R)
    vstore(scratch, o + RED_AT, v0)
    vstore(scratch, o + GREEN_AT, v1)
    vstore(scratch, o + BLUE_AT, v2)
    for k in range(o + EXTRAS_AT + n_extras * LANES, o + stride, LANES):
        vstore(scratch, k, splat(_f(0)))


@helper
def open_plane(
    k: int,
    stride: int,
    tile_x: int,
    tile_y: int,
    plane: Any,
    v_plane: Any,
    scratch: Any,
    edge: Any,
) -> None:
    """Before any Gaussian: the loss gradients of extra k, and its part of R, in all blocks."""
    todo = blocks_in_image(tile_x, tile_y, plane.shape[1], plane.shape[0])
    while todo != 0:
        block = lowest_block(todo)
        todo &= todo - 1
        o = block * stride
        Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
        v = read_block(v_plane, Y, X, edge)
        vstore(scratch, o + EXTRAS_AT + k * LANES, v)
        R = fma(v, read_block(plane, Y, X, edge), vload(scratch, o + R_AT))
        vstore(scratch, o + R_AT, R)


@helper
def blend_back(
    todo: int,
    i: int,
    row: int,
    kept_at: int,
    tile_x: int,
    tile_y: int,
    footprints: Any,
    extras: Any,
    sums: int,
    with_abs: Any,
    stride: int,
    scratch: Any,
    lanes: Any,
    kept: Any,
    table: Any,
) -> None:
    """Takes Gaussian i off the blocks of ``todo``, and writes what a row of the table at ``row``
    begins with.

    With few extras their gradients are added to the vectors at ``sums``; with many, ``kept`` holds
    at ``kept_at`` what :func:`chunk_products` put there, and then weights.
    """
    many = False
    if extras is not None:
        many = extras.shape[1] >= MANY
    zero = splat(_f(0))
    footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
    _, _, across_u, down_u, down_y, _ = footprint
    rgb = color_of(i, footprints)
    moments = (zero, zero, zero, zero, zero, zero)
    g0, g1, g2, ax, ay = zero, zero, zero, zero, zero
    one, two, todo = begin_two(todo, footprint)
    while one[0] < BLOCKS:
        # Begun before these two are done: a processor does not look far enough ahead.
        next_one, next_two, todo = begin_two(todo, footprint)
        block0, u0, y0, full0, alpha0 = one
        block1, u1, y1, full1, alpha1 = two
        one, two = next_one, next_two
        o0, o1 = block0 * stride, block1 * stride
        going_on0, _, weight0 = blend_again(o0, alpha0, scratch)
        going_on1, _, weight1 = blend_again(o1, alpha1, scratch)
        note_lanes(lanes, block0, going_on0)
        note_lanes(lanes, block1, going_on1)
        v, gc0 = color_gradients(o0, rgb, scratch)
        g0, g1, g2 = fma(weight0, v[0], g0), fma(weight0, v[1], g1), fma(weight0, v[2], g2)
        v, gc1 = color_gradients(o1, rgb, scratch)
        g0, g1, g2 = fma(weight1, v[0], g0), fma(weight1, v[1], g1), fma(weight1, v[2], g2)
        if extras is not None:
            if many:
                slot0, slot1 = kept_at + block0 * LANES, kept_at + block1 * LANES
                gc0, gc1 = gc0 + vload(kept, slot0), gc1 + vload(kept, slot1)
                vstore(kept, slot0, weight0)
                vstore(kept, slot1, weight1)
            else:
                e0, e1 = o0 + EXTRAS_AT, o1 + EXTRAS_AT
                gc0 = gc0 + extra_gradients(e0, weight0, i, extras, sums, scratch)
                gc1 = gc1 + extra_gradients(e1, weight1, i, extras, sums, scratch)
        free0 = both(going_on0, ge(MAX_ALPHA, full0))
        free1 = both(going_on1, ge(MAX_ALPHA, full1))
        q0 = alpha_gradient(o0, free0, alpha0, weight0, gc0, scratch)
        q1 = alpha_gradient(o1, free1, alpha1, weight1, gc1, scratch)
        moments = add_moments(q1, u1, y1, add_moments(q0, u0, y0, moments))
        if with_abs is not None and with_abs:
            qu0, qu1 = q0 * u0, q1 * u1
            ax = ax + vabs(qu0) + vabs(qu1)
            ay = ay + vabs(fnma(down_u, qu0, q0 * y0 * down_y))
            ay = ay + vabs(fnma(down_u, qu1, q1 * y1 * down_y))
    ax = ax * across_u * (_f(2) / LOG2E)
    ay = ay * (_f(2) / LOG2E)
    sum16(table, row, (*moments, g0, g1, g2, ax, ay, zero, zero, zero, zero, zero))


_SIGNATURE = (
    "void(i8, i8, f4[:,::1],"
    " i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1], {extras},"
    " f4[:,:,::1], f4[:,:,::1], f4[:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,::1], {with_abs},"
    " f4[:,::1])"
)


@kernel(  # as in the forward pass
    _SIGNATURE.format(extras="f4[:,::1]", with_abs="b1"),
    _SIGNATURE.format(extras="none", with_abs="none"),
)
def raster_backward(
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
    transmittance: Any,
    v_image: Any,
    v_planes: Any,
    v_alphas: Any,
    with_abs: bool,
    table: Any,
) -> None:
    """Fills the table [records, columns] with a row per intersection.

    Takes what :func:`raster_forward` took and gave, and the loss gradients: ``v_image``
    [H, W, 3], ``v_planes`` [E, H, W] and ``v_alphas`` [H, W], or [0, 0] where it is 0.
    ``with_abs`` asks for the sums of |dL/dmean2d|; where there are no extras and it does not,
    ``extras`` and ``with_abs`` may both be None.
    """
    align_stack()
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_extras = 0
    if extras is not None:
        n_extras = extras.shape[1]
    n_columns = table.shape[1]
    many = n_extras >= MANY
    room = n_columns - EXTRAS if many else n_extras
    stride = EXTRAS_AT + room * LANES
    # Behind the blocks: a vector per extra to sum, and what chunks of many extras need.
    sums = (BLOCKS + 1) * stride
    scratch = space[part]
    edge = scratch[sums + (n_columns - EXTRAS) * LANES :]
    lanes = edge[3 * LANES :]
    kept = edge[6 * LANES :]
    local = kept[BACK_CHUNK * ROW :]
    visited = local[BACK_CHUNK * LANES :].view(np.int64)
    reached_by = visited[BACK_CHUNK:]
    zero = splat(_f(0))
    for k in range(n_columns - EXTRAS):
        vstore(scratch, sums + k * LANES, zero)
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            open_block(
                *(block, n_extras, stride, tile_x, tile_y, image, transmittance),
                *(v_image, v_alphas, scratch, edge),
            )
        for k in range(n_extras):  # plane by plane: they lie far apart in memory
            open_plane(k, stride, tile_x, tile_y, planes[k], v_planes[k], scratch, edge)
        live = blocks_in_image(tile_x, tile_y, width, height)
        end = ends[tile]
        forget_lanes(lanes)
        for at in range(offsets[tile], end):
            if at % CHECK_EVERY == 0:  # see the forward pass
                live = still_live(live, lanes, stride, scratch)
            number = (at - offsets[tile]) % BACK_CHUNK
            if extras is not None and many and number == 0:
                chunk_products(
                    *(at, min(at + BACK_CHUNK, end), live, entries, masks, extras),
                    *(EXTRAS_AT, stride, scratch, kept, local, reached_by),
                )
            todo = masks[at] & live
            if many:
                visited[number] = todo
            ahead_at = min(at + AHEAD, end - 1)
            prefetch(footprints, entries[ahead_at, 0] * FOOTPRINT)
            prefetch(table, entries[ahead_at, 1] * n_columns)
            blend_back(
                *(todo, entries[at, 0], entries[at, 1] * n_columns, number * ROW),
                *(tile_x, tile_y, footprints, extras, sums, with_abs),
                *(stride, scratch, lanes, kept, table),
            )
            if many:
                if number == BACK_CHUNK - 1 or at == end - 1:
                    chunk_gradients(
                        *(at - number, at + 1, visited, entries, EXTRAS_AT, stride, scratch),
                        *(kept, table, EXTRAS),
                    )
                continue
            for k in range(n_extras):
                table[entries[at, 1], EXTRAS + k] = vsum(vload(scratch, sums + k * LANES))
                vstore(scratch, sums + k * LANES, zero)
        for e in range(end, offsets[tile + 1]):  # behind what is seen
            row = entries[e, 1] * n_columns
            for k in range(0, n_columns, LANES):
                vstore(table, row + k, zero)
        tile = next_of(counter)
    finish(part, parts)
