"""Gradients of blending, from front to back again.

With T the transmittance before a Gaussian, c its channels and g the loss gradient of the pixel,

    dL/dalpha = T (g . c) - R / (1 - alpha),

where R is what the Gaussians and the background behind contribute to g . pixel (and to the gradient
of transmittance). R starts as the whole pixel and has every Gaussian's part taken off in turn, so
one number per pixel replaces the colours behind, and the rules that stop a pixel are the same code
as in the forward pass.

Every intersection writes its own row of a table, and a second pass sums the rows of a Gaussian in
a fixed order: the result has the same bytes whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.projection import FOOTPRINT, LOG2E
from ops.rendering.cpu.raster_forward import (
    AHEAD,
    CHECK_EVERY,
    MAX_ALPHA,
    absorb,
    color_of,
    exponent_in_block,
    footprint_in_tile,
)
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    fma,
    fnma,
    ge,
    select,
    splat,
    vabs,
    vsum,
)
from ops.rendering.cpu.simd_memory import (
    aligned_empty,
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
    inside_image,
    lowest_block,
    read_block,
    read_block3,
)

_f = np.float32

# Columns of a row: sums over pixels of q = alpha dL/dalpha times 1, u, dy, u^2, u dy, dy^2, where
# u = dx - slope dy; gradients of the colour; where asked for, sums of |dL/dmean2d|. From EXTRAS on,
# gradients of the extras.
Q, Q_U, Q_Y, Q_UU, Q_UY, Q_YY, RED, GREEN, BLUE, ABS_X, ABS_Y = range(11)
EXTRAS = 16


def columns(n_extras: int) -> int:
    """How long a row is: whole vectors."""
    return EXTRAS + -(-n_extras // LANES) * LANES


@kernel(
    "void(i8, i8, i8[::1], i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], f4[:,::1], f4[:,::1],"
    " f4[:,:,::1], f4[:,:,::1], f4[:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,::1], b1,"
    " f4[:,::1])"
)
def raster_backward(
    part: int,
    parts: int,
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
    """
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_extras = extras.shape[1]
    n_columns = table.shape[1]
    with_alphas = v_alphas.shape[0] > 0
    # Of a block: transmittance, R, gradient of each channel. Behind all: a vector per extra to sum.
    stride = (5 + n_extras) * LANES
    sums = BLOCKS * stride
    scratch = aligned_empty(sums + (n_columns - EXTRAS) * LANES)
    edge = np.empty(3 * LANES, np.float32)
    zero = splat(_f(0))
    for k in range(n_columns - EXTRAS):
        vstore(scratch, sums + k * LANES, zero)
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS):
            inside = inside_image(block, tile_x, tile_y, width, height)
            o = block * stride
            vstore(scratch, o, select(inside, _f(1), _f(-1)))
            Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
            if height <= Y or width <= X:
                continue
            c0, c1, c2 = read_block3(image, Y, X, edge)
            v0, v1, v2 = read_block3(v_image, Y, X, edge)
            R = fma(v0, c0, fma(v1, c1, v2 * c2))
            if with_alphas:
                v = read_block(v_alphas, Y, X, edge)
                R = fnma(v, read_block(transmittance, Y, X, edge), R)
            vstore(scratch, o + 2 * LANES, v0)
            vstore(scratch, o + 3 * LANES, v1)
            vstore(scratch, o + 4 * LANES, v2)
            for k in range(n_extras):
                v = read_block(v_planes[k], Y, X, edge)
                vstore(scratch, o + (5 + k) * LANES, v)
                R = fma(v, read_block(planes[k], Y, X, edge), R)
            vstore(scratch, o + LANES, R)
        live = blocks_in_image(tile_x, tile_y, width, height)
        end = ends[tile]
        finished = 0
        for at in range(offsets[tile], end):
            if at % CHECK_EVERY == 0:  # see the forward pass
                live &= ~finished
            i = entries[at, 0]
            row = entries[at, 1] * n_columns
            todo = masks[at] & live
            prefetch(footprints, entries[min(at + AHEAD, end - 1), 0] * FOOTPRINT)
            footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
            _, _, slope, kx, ky, _ = footprint
            red, green, blue = color_of(i, footprints)
            q0, qu, qy, quu, quy, qyy = zero, zero, zero, zero, zero, zero
            g0, g1, g2, ax, ay = zero, zero, zero, zero, zero
            while todo != 0:
                block = lowest_block(todo)
                todo &= todo - 1
                o = block * stride
                u, dy, exponent = exponent_in_block(block, footprint)
                T = vload(scratch, o)
                full, alpha, going_on, after = absorb(exponent, T)
                vstore(scratch, o, after)
                if not any_lane(going_on):
                    finished |= 1 << block
                weight = select(going_on, alpha * T, _f(0))
                v0 = vload(scratch, o + 2 * LANES)
                v1 = vload(scratch, o + 3 * LANES)
                v2 = vload(scratch, o + 4 * LANES)
                gc = fma(v2, blue, fma(v1, green, v0 * red))
                g0 = fma(weight, v0, g0)
                g1 = fma(weight, v1, g1)
                g2 = fma(weight, v2, g2)
                plane = o + 5 * LANES
                to = sums
                for k in range(i * n_extras, (i + 1) * n_extras):
                    v = vload(scratch, plane)
                    gc = fma(v, vfill(extras, k), gc)
                    vstore(scratch, to, fma(weight, v, vload(scratch, to)))
                    plane += LANES
                    to += LANES
                R = fnma(weight, gc, vload(scratch, o + LANES))
                vstore(scratch, o + LANES, R)
                by_alpha = T * gc - R / (_f(1) - alpha)
                q = select(both(going_on, ge(MAX_ALPHA, full)), by_alpha * alpha, _f(0))
                q0 = q0 + q
                t = q * u
                qu = qu + t
                quu = fma(t, u, quu)
                quy = fma(t, dy, quy)
                s = q * dy
                qy = qy + s
                qyy = fma(s, dy, qyy)
                if with_abs:
                    t = t * kx
                    ax = ax + vabs(t)
                    ay = ay + vabs(fnma(slope, t, s * ky))
            ax = ax * (_f(2) / LOG2E)
            ay = ay * (_f(2) / LOG2E)
            sum16(
                table,
                row,
                (q0, qu, qy, quu, quy, qyy, g0, g1, g2, ax, ay, zero, zero, zero, zero, zero),
            )
            for k in range(n_extras):
                table[entries[at, 1], EXTRAS + k] = vsum(vload(scratch, sums + k * LANES))
                vstore(scratch, sums + k * LANES, zero)
        for e in range(end, offsets[tile + 1]):  # behind what is seen
            row = entries[e, 1] * n_columns
            for k in range(0, n_columns, LANES):
                vstore(table, row + k, zero)
        tile = next_of(counter)
