"""Drawing: blending from front to back, tile by tile.

A block of 4 x 4 pixels is one vector. Sixty-four Gaussians of a tile's list are a round: block
after block takes those of them whose ellipse reaches it, and keeps its pixels in registers
meanwhile. What gradients and Fisher information need is summed per Gaussian, so their kernels go
through Gaussians first, and through the blocks of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.blending import (
    STOP,
    blend,
    color_of,
    exponent_at,
    opacity_of,
    origin_in_tile,
)
from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import (
    DEPTH,
    FOOTPRINT,
    LOG2_OPACITY,
    MX,
    MY,
    PER_U,
    PER_Y,
    SLOPE,
)
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    fma,
    gt,
    select,
    splat,
    unless,
)
from ops.rendering.cpu.simd_matrix import add_outer, load16, store16
from ops.rendering.cpu.simd_memory import (
    align_stack,
    item,
    next_of,
    prefetch,
    put,
    vfill,
    vload,
    vstore,
)
from ops.rendering.cpu.team import finish
from ops.rendering.cpu.tiles import (
    BIT,
    BLOCK_X,
    BLOCK_Y,
    BLOCKS,
    TILE,
    blocks_in_image,
    inside_image,
    lowest_block,
    pixels_of,
    read_block3,
    transpose_masks,
    write_block,
    write_block3,
)

_f = np.float32


MANY = 12  # extras that are not blended one by one
CHUNK = 128  # Gaussians whose weights are kept until their extras are blended; whole rounds
_SLOTS = (BLOCKS + 1) * CHUNK

# What is known of a block: transmittance, which goes on to fall where a pixel is finished; what of
# it is left in the end; red, green, blue; where they are asked for, median depth and extras.
LEFT = 1
RED_AT, GREEN_AT, BLUE_AT, MEDIAN_AT, EXTRAS_AT = (k * LANES for k in (2, 3, 4, 5, 6))
PLAIN = 5  # vectors of a block without median depth and extras


ROUND = 64  # Gaussians that a block blends before the next block has its turn


def padded_extras(n_extras: int) -> int:
    """How many extras a block has room for: where they are many, whole vectors of them."""
    return n_extras if n_extras < MANY else -(-n_extras // LANES) * LANES


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_forward` works in."""
    size = (BLOCKS + 1) * (EXTRAS_AT + padded_extras(n_extras) * LANES) + (3 + ROUND + 8) * LANES
    if n_extras < MANY:
        return size
    # Weights; whose they are, and how many a block has; extras of a chunk.
    return size + _SLOTS * LANES + _SLOTS + (BLOCKS + 1) + CHUNK * LANES + 3 * LANES


@helper
def line_up(
    start: int,
    stop: int,
    end: int,
    tile_x: int,
    tile_y: int,
    entries: Any,
    footprints: Any,
    queue: Any,
) -> None:
    """Copies the footprints of the entries from ``start`` to ``stop`` behind each other, with u and
    y at the tile's first pixel in place of the mean, and how u falls per pixel down in place of the
    slope."""
    for e in range(start, stop):
        i = item(entries, 2 * e)
        prefetch(footprints, item(entries, 2 * min(e + ROUND, end - 1)) * FOOTPRINT)
        u, y, down_u = origin_in_tile(i, footprints, tile_x, tile_y)
        o = (e - start) * FOOTPRINT
        vstore(queue, o, vload(footprints, i * FOOTPRINT))
        put(queue, o + MX, u)
        put(queue, o + MY, y)
        put(queue, o + SLOPE, down_u)


@helper
def footprint_in_line(place: int, queue: Any) -> Any:
    """What :func:`footprint_in_tile` returns, of a place in the queue."""
    o = place * FOOTPRINT
    return (
        vfill(queue, o + MX),
        vfill(queue, o + MY),
        vfill(queue, o + PER_U),
        vfill(queue, o + SLOPE),
        vfill(queue, o + PER_Y),
        vfill(queue, o + LOG2_OPACITY),
    )


@helper
def load_pixels(scratch: Any, o: int) -> Any:
    """What :func:`blend` takes of the block at ``o``."""
    T, left = vload(scratch, o), vload(scratch, o + LEFT * LANES)
    red, green = vload(scratch, o + RED_AT), vload(scratch, o + GREEN_AT)
    return T, left, red, green, vload(scratch, o + BLUE_AT)


@helper
def store_pixels(scratch: Any, o: int, pixels: Any) -> None:
    """What :func:`load_pixels` loads."""
    vstore(scratch, o, pixels[0])
    vstore(scratch, o + LEFT * LANES, pixels[1])
    vstore(scratch, o + RED_AT, pixels[2])
    vstore(scratch, o + GREEN_AT, pixels[3])
    vstore(scratch, o + BLUE_AT, pixels[4])


@helper
def note_median(o: int, going_on: Any, T: Any, after: Any, depth: Any, scratch: Any) -> None:
    """Notes the depth where transmittance falls below 1/2 in the block at ``o``: once in a pixel,
    where 0 was noted before."""
    half = both(unless(going_on, gt(_f(0.5), T)), gt(_f(0.5), after))
    vstore(scratch, o + MEDIAN_AT, vload(scratch, o + MEDIAN_AT) + select(half, depth, _f(0)))


@helper
def blend_extras(o: int, weight: Any, i: int, extras: Any, scratch: Any) -> None:
    """Adds whatever else Gaussian i has to the block that lies at ``o``."""
    n_extras = extras.shape[1]
    at = o + EXTRAS_AT
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
                o = block * stride + EXTRAS_AT + first * LANES
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
    many = n_extras >= MANY
    stride = PLAIN * LANES
    if extras is not None:
        stride = EXTRAS_AT + n_extras * LANES
        if many:
            stride = EXTRAS_AT + (n_extras + LANES - 1) // LANES * LANES * LANES
    scratch = space[part]
    edge = scratch[(BLOCKS + 1) * stride :]
    queue = edge[3 * LANES :]
    reached_by = queue[ROUND * FOOTPRINT :].view(np.int64)
    weights = queue[ROUND * FOOTPRINT + 2 * BLOCKS :]
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
            T = select(inside, _f(1), _f(0))
            vstore(scratch, block * stride, T)
            vstore(scratch, block * stride + LEFT * LANES, T)
            for o in range(block * stride + RED_AT, (block + 1) * stride, LANES):
                vstore(scratch, o, splat(_f(0)))
        live = blocks_in_image(tile_x, tile_y, width, height)
        at = offsets[tile]
        end = offsets[tile + 1]
        chunk = at
        while at < end and live != 0:
            # Block after block, whose pixels stay in registers meanwhile.
            stop = min(at + ROUND, end)
            line_up(at, stop, end, tile_x, tile_y, entries, footprints, queue)
            transpose_masks(masks, at, reached_by)
            here = -1 if stop - at == ROUND else (1 << (stop - at)) - 1
            todo = live
            while todo != 0:
                block = lowest_block(todo)
                todo &= todo - 1
                who = item(reached_by, block) & here
                if who == 0:
                    continue
                o = block * stride
                x, y = pixels_of(block)
                pixels = load_pixels(scratch, o)
                while who != 0:
                    place = lowest_block(who)
                    who &= who - 1
                    _, _, exponent = exponent_at(x, y, footprint_in_line(place, queue))
                    _, alpha = opacity_of(exponent)
                    T = pixels[0]
                    going_on, weight, pixels = blend(alpha, color_of(place, queue), pixels)
                    if with_median:
                        depth = vfill(queue, place * FOOTPRINT + DEPTH)
                        note_median(o, going_on, T, pixels[0], depth, scratch)
                    if extras is not None:
                        e = at + place
                        if many:
                            keep_weight(block, e - chunk, weight, weights, whose)
                        else:
                            blend_extras(o, weight, item(entries, 2 * e), extras, scratch)
                going_on = gt(pixels[0], STOP)
                # 0 where finished, before it becomes so small that arithmetic with it is slow.
                T = select(going_on, pixels[0], _f(0))
                store_pixels(scratch, o, (T, pixels[1], pixels[2], pixels[3], pixels[4]))
                if not any_lane(going_on):
                    live &= ~BIT[block]
            at = stop
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
            T = vload(scratch, o + LEFT * LANES)
            write_block(transmittance, Y, X, T, edge)
            write_block(alphas, Y, X, _f(1) - T, edge)
            r, g, b = (
                vload(scratch, o + RED_AT),
                vload(scratch, o + GREEN_AT),
                vload(scratch, o + BLUE_AT),
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
                write_block(median, Y, X, vload(scratch, o + MEDIAN_AT), edge)
        for k in range(n_extras):  # plane by plane: they lie far apart in memory
            plane = planes[k]
            shown = blocks_in_image(tile_x, tile_y, width, height)
            while shown != 0:
                block = lowest_block(shown)
                shown &= shown - 1
                Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
                value = vload(scratch, block * stride + EXTRAS_AT + k * LANES)
                write_block(plane, Y, X, value, edge)
        tile = next_of(counter)
    finish(part, parts)
