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
from ops.rendering.cpu.extras import (
    CHUNK,
    MANY,
    SLOTS,
    blend_chunk,
    blend_extras,
    forget_weights,
    forward_space,
    keep_weight,
    padded_extras,
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


# What is known of a block: transmittance, which goes on to fall where a pixel is finished; what of
# it is left in the end; red, green, blue; where they are asked for, median depth and extras.
LEFT = 1
RED_AT, GREEN_AT, BLUE_AT, MEDIAN_AT, EXTRAS_AT = (k * LANES for k in (2, 3, 4, 5, 6))
PLAIN = 5  # vectors of a block without median depth and extras


ROUND = 64  # Gaussians that a block blends before the next block has its turn


def workspace_size(n_extras: int) -> int:
    """Floats that a part of :func:`raster_forward` works in."""
    blocks = (BLOCKS + 1) * (EXTRAS_AT + padded_extras(n_extras) * LANES)
    return blocks + 3 * LANES + ROUND * FOOTPRINT + 2 * BLOCKS + forward_space(n_extras)


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
def open_block(
    block: int, stride: int, tile_x: int, tile_y: int, width: int, height: int, scratch: Any
) -> None:
    """Before any Gaussian: transmittance 1 inside the image and 0 beside it, and nothing else."""
    o = block * stride
    T = select(inside_image(block, tile_x, tile_y, width, height), _f(1), _f(0))
    vstore(scratch, o, T)
    vstore(scratch, o + LEFT * LANES, T)
    for k in range(o + RED_AT, o + stride, LANES):
        vstore(scratch, k, splat(_f(0)))


@helper
def blend_round(
    at: int,
    count: int,
    chunk: int,
    live: int,
    queue: Any,
    reached_by: Any,
    entries: Any,
    extras: Any,
    with_median: bool,
    stride: int,
    scratch: Any,
    weights: Any,
    whose: Any,
) -> int:
    """Blends the ``count`` Gaussians of the queue, which are the entries from ``at`` on.

    Block after block, whose pixels stay in registers meanwhile. Weights for many extras are kept
    as those of Gaussians of the chunk that begins at entry ``chunk``. Returns the blocks of
    ``live`` that are not finished.
    """
    many = False
    if extras is not None:
        many = extras.shape[1] >= MANY
    here = -1 if count == ROUND else (1 << count) - 1
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
                    blend_extras(o + EXTRAS_AT, weight, item(entries, 2 * e), extras, scratch)
        going_on = gt(pixels[0], STOP)
        # 0 where finished, before it becomes so small that arithmetic with it is slow.
        T = select(going_on, pixels[0], _f(0))
        store_pixels(scratch, o, (T, pixels[1], pixels[2], pixels[3], pixels[4]))
        if not any_lane(going_on):
            live &= ~BIT[block]
    return live


@helper
def over_background(o: int, Y: int, X: int, background: Any, scratch: Any, edge: Any) -> Any:
    """What is left of the background in the block at ``o``, and its colours in front of it."""
    T = vload(scratch, o + LEFT * LANES)
    r, g, b = vload(scratch, o + RED_AT), vload(scratch, o + GREEN_AT), vload(scratch, o + BLUE_AT)
    if background.shape[0] * background.shape[1] == 1:
        r = fma(T, background[0, 0, 0], r)
        g = fma(T, background[0, 0, 1], g)
        b = fma(T, background[0, 0, 2], b)
    else:
        behind = read_block3(background, Y, X, edge)
        r, g, b = fma(T, behind[0], r), fma(T, behind[1], g), fma(T, behind[2], b)
    return T, (r, g, b)


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
        masks: [intersections + ROUND] from :func:`binning.place`; the last ROUND are not used.
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
    local = weights[SLOTS * LANES :]
    whose = local[CHUNK * LANES :].view(np.int32)
    if many:
        forget_weights(whose)
    tile = next_of(counter)
    while tile < n_tiles:
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            open_block(block, stride, tile_x, tile_y, width, height, scratch)
        live = blocks_in_image(tile_x, tile_y, width, height)
        at = offsets[tile]
        end = offsets[tile + 1]
        chunk = at
        while at < end and live != 0:
            stop = min(at + ROUND, end)
            line_up(at, stop, end, tile_x, tile_y, entries, footprints, queue)
            transpose_masks(masks, at, reached_by)
            live = blend_round(
                *(at, stop - at, chunk, live, queue, reached_by, entries, extras, with_median),
                *(stride, scratch, weights, whose),
            )
            at = stop
            chunk_ends = many and (at == end or live == 0 or at - chunk == CHUNK)
            if extras is not None and chunk_ends:
                blend_chunk(
                    *(chunk, at, entries, extras, EXTRAS_AT, stride, scratch),
                    *(weights, whose, local),
                )
                chunk = at
        ends[tile] = at
        shown = blocks_in_image(tile_x, tile_y, width, height)
        while shown != 0:
            block = lowest_block(shown)
            shown &= shown - 1
            Y, X = tile_y + int(BLOCK_Y[block]), tile_x + int(BLOCK_X[block])
            o = block * stride
            T, rgb = over_background(o, Y, X, background, scratch, edge)
            write_block(transmittance, Y, X, T, edge)
            write_block(alphas, Y, X, _f(1) - T, edge)
            write_block3(image, Y, X, rgb, edge)
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
