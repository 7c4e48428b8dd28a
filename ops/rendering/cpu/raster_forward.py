"""Blending from front to back, tile by tile (Kerbl et al. 2023, eq. 3), with gsplat's rules.

Per pixel, for its Gaussians from near to far: alpha below 1/255 is skipped, above 0.999 it is cut;
the pixel is finished before transmittance would fall to 1e-4. A block of 4 x 4 pixels is one
vector; a Gaussian visits only the blocks that its ellipse reaches and that are not finished.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import (
    BLUE,
    DEPTH,
    FOOTPRINT,
    GREEN,
    KX,
    KY,
    LOG2_MIN_ALPHA,
    LOG2_OPACITY,
    MX,
    MY,
    RED,
    SLOPE,
)
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    exp2_of_two,
    fma,
    fnma,
    ge,
    gt,
    select,
    splat,
    vabs,
    vmin,
    vneg,
)
from ops.rendering.cpu.simd_matrix import add_outer, load16, store16
from ops.rendering.cpu.simd_memory import align_stack, next_of, prefetch, vfill, vload, vstore
from ops.rendering.cpu.team import finish
from ops.rendering.cpu.tiles import (
    BIT,
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    LANE_X,
    LANE_Y,
    TILE,
    blocks_in_image,
    inside_image,
    lowest_block,
    read_block3,
    write_block,
    write_block3,
)

_f = np.float32
MAX_ALPHA = _f(0.999)
STOP = _f(1e-4)  # transmittance
AHEAD = 12  # Gaussians; neighbours in a tile's list lie far apart in memory
CHECK_EVERY = 16  # Gaussians between two looks at which blocks are finished


MANY = 12  # extras that are not blended one by one
CHUNK = 128  # Gaussians whose weights are kept until their extras are blended; many CHECK_EVERY
_SLOTS = (BLOCKS + 1) * CHUNK


def padded_extras(n_extras: int) -> int:
    """How many extras a block has room for: where they are many, whole vectors of them."""
    return n_extras if n_extras < MANY else -(-n_extras // LANES) * LANES


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_forward` works in."""
    size = (BLOCKS + 1) * (5 + padded_extras(n_extras)) * LANES + 3 * LANES
    if n_extras < MANY:
        return size
    # Weights; whose they are, and how many a block has; extras of a chunk.
    return size + _SLOTS * LANES + _SLOTS + (BLOCKS + 1) + CHUNK * LANES + 3 * LANES


@helper
def footprint_in_tile(i: int, footprints: Any, tile_x: int, tile_y: int) -> Any:
    """Of Gaussian i: u = dx - slope dy and dy at the pixels of the tile's first block, slope,
    the factors of u^2 and dy^2 in log2(alpha), and log2 of the opacity."""
    o = i * FOOTPRINT
    slope = vfill(footprints, o + SLOPE)
    dy = (vload(LANE_Y, 0) + (_f(tile_y) + _f(0.5))) - vfill(footprints, o + MY)
    dx = (vload(LANE_X, 0) + (_f(tile_x) + _f(0.5))) - vfill(footprints, o + MX)
    kx, ky = vfill(footprints, o + KX), vfill(footprints, o + KY)
    return fnma(slope, dy, dx), dy, slope, kx, ky, vfill(footprints, o + LOG2_OPACITY)


@helper
def color_of(i: int, footprints: Any) -> Any:
    """Red, green and blue of Gaussian i."""
    o = i * FOOTPRINT
    return vfill(footprints, o + RED), vfill(footprints, o + GREEN), vfill(footprints, o + BLUE)


@helper
def exponent_in_block(block: int, footprint: Any) -> Any:
    """u and dy of a block's pixels, and log2(alpha) there before it is cut at 0.999."""
    first_u, first_dy, slope, kx, ky, log2_opacity = footprint
    across, down = vfill(BLOCK_X, block), vfill(BLOCK_Y, block)
    u = fnma(slope, down, first_u + across)
    dy = first_dy + down
    return u, dy, fma(u * kx, u, fma(ky * dy, dy, log2_opacity))


@helper
def opacities(exponent0: Any, exponent1: Any) -> Any:
    """Of two blocks: alpha before it is cut, and cut, and 0 where it is too small to count."""
    full0, full1 = exp2_of_two(exponent0, exponent1)
    alpha0 = select(ge(exponent0, LOG2_MIN_ALPHA), vmin(full0, MAX_ALPHA), _f(0))
    alpha1 = select(ge(exponent1, LOG2_MIN_ALPHA), vmin(full1, MAX_ALPHA), _f(0))
    return (full0, alpha0), (full1, alpha1)


@helper
def absorb(alpha: Any, T: Any) -> Any:
    """What a Gaussian does to the transmittance T of a block, which is negative where finished.

    Returns the lanes that go on, and T behind the Gaussian.
    """
    next_T = fnma(alpha, T, T)
    going_on = gt(next_T, STOP)
    return going_on, select(going_on, next_T, vneg(vabs(T)))


@helper
def blend(o: int, alpha: Any, rgb: Any, scratch: Any) -> Any:
    """Adds a Gaussian to the block at ``o``; returns the lanes that go on, its weights, and
    transmittance before and behind it."""
    T = vload(scratch, o)
    going_on, after = absorb(alpha, T)
    weight = select(going_on, alpha * T, _f(0))
    vstore(scratch, o, after)
    vstore(scratch, o + LANES, fma(weight, rgb[0], vload(scratch, o + LANES)))
    vstore(scratch, o + 2 * LANES, fma(weight, rgb[1], vload(scratch, o + 2 * LANES)))
    vstore(scratch, o + 3 * LANES, fma(weight, rgb[2], vload(scratch, o + 3 * LANES)))
    return going_on, weight, T, after


@helper
def note_median(o: int, T: Any, after: Any, depth: Any, scratch: Any) -> None:
    """Notes the depth where transmittance falls below 1/2 in the block at ``o``."""
    half = both(both(ge(T, _f(0.5)), gt(_f(0.5), after)), gt(after, _f(0)))
    vstore(scratch, o + 4 * LANES, select(half, depth, vload(scratch, o + 4 * LANES)))


@helper
def blend_extras(o: int, weight: Any, i: int, extras: Any, scratch: Any) -> None:
    """Adds whatever else Gaussian i has to the block that lies at ``o``."""
    n_extras = extras.shape[1]
    at = o + 5 * LANES
    for k in range(i * n_extras, (i + 1) * n_extras):
        vstore(scratch, at, fma(weight, vfill(extras, k), vload(scratch, at)))
        at += LANES


@helper
def keep_weight(block: int, number: int, weight: Any, weights: Any, whose: Any) -> None:
    """Keeps a block's weights of a Gaussian of the chunk, unless they are 0."""
    count = whose[_SLOTS + block]
    slot = block * CHUNK + count
    vstore(weights, slot * LANES, weight)
    whose[slot] = number
    whose[_SLOTS + block] = count + np.int32(any_lane(gt(weight, splat(_f(0)))))


@helper
def copy_extras(i: int, first: int, extras: Any, to: Any, at: int) -> None:
    """Sixteen extras of Gaussian i from ``first``; 0 behind the last."""
    n_extras = extras.shape[1]
    if first + LANES <= n_extras:
        vstore(to, at, vload(extras, i * n_extras + first))
        return
    for k in range(LANES):
        to[at + k] = extras[i, first + k] if first + k < n_extras else _f(0)


@helper
def blend_chunk(
    start: int,
    stop: int,
    entries: Any,
    extras: Any,
    stride: int,
    scratch: Any,
    weights: Any,
    whose: Any,
    local: Any,
) -> None:
    """Adds the extras of the Gaussians from start to stop to all blocks, and forgets the weights.

    For sixteen extras at a time a block is the product of its weights with the extras: what is
    blended stays in registers, and the extras of a chunk in the nearest cache.
    """
    for first in range(0, extras.shape[1], LANES):
        for e in range(start, stop):
            copy_extras(entries[e, 0], first, extras, local, (e - start) * LANES)
        for block in range(BLOCKS):
            count = whose[_SLOTS + block]
            if count > 0:
                o = block * stride + (5 + first) * LANES
                sums = load16(scratch, o)
                for slot in range(block * CHUNK, block * CHUNK + count):
                    sums = add_outer(sums, vload(weights, slot * LANES), local, whose[slot] * LANES)
                store16(scratch, o, sums)
    for block in range(BLOCKS + 1):
        whose[_SLOTS + block] = 0


_SIGNATURE = (
    "void(i8, i8, f4[:,::1], i8[::1], i8, i8, i8[::1], i4[:,::1], i8[::1], f4[:,::1], {extras},"
    " f4[:,:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,::1], f4[:,::1], {median}, i8[::1])"
)


@kernel(  # what is needed for colours only is a kernel of its own, which more registers are left to
    _SIGNATURE.format(extras="f4[:,::1]", median="f4[:,::1]"),
    _SIGNATURE.format(extras="none", median="none"),
)
def raster_forward(
    part: int,
    parts: int,
    space: Any,
    counter: Any,
    width: int,
    height: int,
    offsets: Any,
    entries: Any,
    masks: Any,
    footprints: Any,
    extras: Any,
    background: Any,
    image: Any,
    planes: Any,
    transmittance: Any,
    alphas: Any,
    median: Any,
    ends: Any,
) -> None:
    """Images, tile after tile, each by the thread that comes to it.

    Args:
        part: Which row of ``space`` to work in; no result depends on it.
        parts: Not used.
        space: [parts, workspace_size(E)].
        counter: [1] the next tile, counted up by all threads.
        width: Of the image.
        height: Of the image.
        offsets: [tiles + 1] where each tile's list starts in ``entries``.
        entries: [intersections, 2] from :func:`binning.place`.
        masks: [intersections] from :func:`binning.place`.
        footprints: [N, 16].
        extras: [N, E] whatever else is to be blended; or, and then no median either, None.
        background: [1, 1, 3] or [H, W, 3] colour behind everything.
        image: [H, W, 3] out.
        planes: [E, H, W] out, the blended extras.
        transmittance: [H, W] out, what of the background is seen.
        alphas: [H, W] out, 1 minus it.
        median: [H, W] out, depth where transmittance falls below 1/2; or [0, 0], or None.
        ends: [tiles] out, the end of the entries that a tile looked at before it was finished.
    """
    align_stack()
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_extras, with_median = 0, False
    if extras is not None:
        n_extras = extras.shape[1]
    if median is not None:
        with_median = median.shape[0] > 0
    # Of a block: transmittance (negative once a pixel is finished), red, green, blue, median depth,
    # extras.
    many = n_extras >= MANY
    stride = (5 + n_extras) * LANES
    if many:
        stride = (5 + (n_extras + LANES - 1) // LANES * LANES) * LANES
    scratch = space[part]
    edge = scratch[(BLOCKS + 1) * stride :]
    weights = edge[3 * LANES :]
    local = weights[_SLOTS * LANES :]
    whose = local[CHUNK * LANES :].view(np.int32)
    if many:
        for block in range(BLOCKS + 1):
            whose[_SLOTS + block] = 0
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            inside = inside_image(block, tile_x, tile_y, width, height)
            vstore(scratch, block * stride, select(inside, _f(1), _f(-1)))
            for o in range(block * stride + LANES, (block + 1) * stride, LANES):
                vstore(scratch, o, splat(_f(0)))
        live = blocks_in_image(tile_x, tile_y, width, height)
        at = offsets[tile]
        end = offsets[tile + 1]
        finished = 0
        chunk = at
        while at < end and live != 0:
            # The mask is renewed now and then only: waiting for it would hold up every Gaussian.
            stop = min(at + CHECK_EVERY, end)
            for e in range(at, stop):
                i = entries[e, 0]
                todo = masks[e] & live
                prefetch(footprints, entries[min(e + AHEAD, end - 1), 0] * FOOTPRINT)
                footprint = footprint_in_tile(i, footprints, tile_x, tile_y)
                rgb = color_of(i, footprints)
                depth = footprints[i, DEPTH]
                while todo != 0:
                    block0 = lowest_block(todo)
                    todo &= todo - 1
                    block1 = lowest_block(todo)
                    todo &= todo - 1
                    _, _, exponent0 = exponent_in_block(block0, footprint)
                    _, _, exponent1 = exponent_in_block(block1, footprint)
                    (_, alpha0), (_, alpha1) = opacities(exponent0, exponent1)
                    going_on0, weight0, T0, after0 = blend(block0 * stride, alpha0, rgb, scratch)
                    going_on1, weight1, T1, after1 = blend(block1 * stride, alpha1, rgb, scratch)
                    if not any_lane(going_on0):
                        finished |= BIT[block0]
                    if not any_lane(going_on1):
                        finished |= BIT[block1]
                    if with_median:
                        note_median(block0 * stride, T0, after0, depth, scratch)
                        note_median(block1 * stride, T1, after1, depth, scratch)
                    if extras is not None:
                        if many:
                            keep_weight(block0, e - chunk, weight0, weights, whose)
                            keep_weight(block1, e - chunk, weight1, weights, whose)
                        else:
                            blend_extras(block0 * stride, weight0, i, extras, scratch)
                            blend_extras(block1 * stride, weight1, i, extras, scratch)
            at = stop
            live &= ~finished
            chunk_ends = many and (at == end or live == 0 or at - chunk == CHUNK)
            if extras is not None and chunk_ends:
                blend_chunk(chunk, at, entries, extras, stride, scratch, weights, whose, local)
                chunk = at
        ends[tile] = at
        shown = blocks_in_image(tile_x, tile_y, width, height)
        while shown != 0:
            block = lowest_block(shown)
            shown &= shown - 1
            Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
            o = block * stride
            T = vabs(vload(scratch, o))
            write_block(transmittance, Y, X, T, edge)
            write_block(alphas, Y, X, _f(1) - T, edge)
            r, g, b = (
                vload(scratch, o + LANES),
                vload(scratch, o + 2 * LANES),
                vload(scratch, o + 3 * LANES),
            )
            if background.shape[0] * background.shape[1] == 1:
                r = fma(T, background[0, 0, 0], r)
                g = fma(T, background[0, 0, 1], g)
                b = fma(T, background[0, 0, 2], b)
            else:
                behind = read_block3(background, Y, X, edge)
                r, g, b = fma(T, behind[0], r), fma(T, behind[1], g), fma(T, behind[2], b)
            write_block3(image, Y, X, (r, g, b), edge)
            if median is not None and with_median:
                write_block(median, Y, X, vload(scratch, o + 4 * LANES), edge)
        for k in range(n_extras):  # plane by plane: they lie far apart in memory
            plane = planes[k]
            shown = blocks_in_image(tile_x, tile_y, width, height)
            while shown != 0:
                block = lowest_block(shown)
                shown &= shown - 1
                Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
                value = vload(scratch, block * stride + (5 + k) * LANES)
                write_block(plane, Y, X, value, edge)
        tile = next_of(counter)
    finish(part, parts)
