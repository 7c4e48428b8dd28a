"""Which Gaussians each tile of the image has to look at, from near to far, and in which blocks.

Gaussians are sorted by depth once. In that order each writes a record per tile that it reaches;
then every tile's records are put into its list, stably, so that lists are in depth order without
sorting intersections.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import (
    BOUND,
    FOOTPRINT,
    HIGH,
    INVERSE_C,
    MX,
    MY,
    SLOPE,
    WIDE,
    WIDEST,
    V,
)
from ops.rendering.cpu.simd import (
    LANES,
    both,
    fma,
    ge,
    gt,
    highest,
    select,
    splat,
    vabs,
    vfloor,
    vmax,
    vmin,
    vsqrt,
)
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import item, prefetch, put, vload, vstore
from ops.rendering.cpu.team import finish
from ops.rendering.cpu.tiles import ACROSS, BLOCK, TILE, mask_of_rows

_f = np.float32
_SLACK = _f(0.002)  # pixels by which an ellipse is taken larger, against rounding
_LARGEST_DIGIT = 13  # bits

# Of the right (eight lanes) and the left end of an interval of block columns: to which side it is;
# a block's last pixel centre on the other side, from where the block begins (or ends, seen from the
# right); and by how many blocks the end lies behind the last block. And an end that is before all.
_SIDE = np.repeat(np.array([1, -1], np.float32), ACROSS)
_ROW = np.tile(np.arange(ACROSS, dtype=np.float32) * BLOCK, 2)
_CENTRE = np.repeat(np.array([-0.5, BLOCK - 0.5], np.float32), ACROSS)
_BEHIND = np.repeat(np.array([1, 0], np.float32), ACROSS)
_NEVER = _f(-1e6)

# What :func:`bin_gaussians` works in: sixteen footprints, and the same in columns; then of each the
# first and last tile of its bounding box across and down, half of the ellipse's height, and by how
# many pixels ellipses are taken larger, against rounding.
_COLUMNS = LANES * FOOTPRINT
_LEFT, _RIGHT, _TOP, _BOTTOM, _HALF_HEIGHT, _LARGER = (
    _COLUMNS + (FOOTPRINT + k) * LANES for k in range(6)
)
WORKSPACE = _LARGER + LANES


@kernel("void(i8, i8, f4[::1], f4[::1], i4[::1], i8[::1], i8[::1])", allocates=True)
def sort_by_depth(
    part: int, parts: int, depths: Any, reach: Any, order: Any, count: Any, at_most: Any
) -> None:
    """The indices of the Gaussians that are seen, from near to far; ``count[0]`` of them.

    A stable radix sort of the bits of positive floats, which are ordered like the floats, above
    those of the nearest. ``at_most[p]`` gets how many records :func:`bin_gaussians` will write at
    most for share p of them.
    """
    n = depths.shape[0]
    keys, keys2 = np.empty(n, np.uint64), np.empty(n, np.uint64)  # depth, index
    bits = depths.view(np.uint32)
    seen = 0
    nearest, farthest = np.uint32(0xFFFFFFFF), np.uint32(0)
    for i in range(n):
        key = bits[i]
        keys[seen] = (np.uint64(key) << np.uint64(32)) | np.uint64(i)
        seen += key != 0
        nearest = min(nearest, key - np.uint32(1))  # not seen: the largest number
        farthest = max(farthest, key)
    count[0] = seen
    base = np.uint64(nearest + np.uint32(1)) << np.uint64(32)
    width = 1
    while seen > 0 and (np.uint64(farthest) - (base >> np.uint64(32))) >> np.uint64(width) != 0:
        width += 1
    passes = 2 if width <= 2 * _LARGEST_DIGIT else 3
    digit_bits = (width + passes - 1) // passes
    digits = 1 << digit_bits
    mask = np.uint64(digits - 1)
    starts = np.zeros((3, digits), np.int32)
    for m in range(seen):
        key = (keys[m] - base) >> np.uint64(32)
        for digit in range(passes):
            starts[digit, (key >> np.uint64(digit * digit_bits)) & mask] += 1
    for digit in range(passes):
        total = 0
        for value in range(digits):
            size = starts[digit, value]
            starts[digit, value] = total
            total += size
    for digit in range(passes):
        shift = np.uint64(32 + digit * digit_bits)
        for m in range(seen):
            key = keys[m]
            value = ((key - base) >> shift) & mask
            at = starts[digit, value]
            starts[digit, value] = at + 1
            keys2[at] = key
        keys, keys2 = keys2, keys
    for p in range(at_most.shape[0]):
        total = 0
        for m in range(seen * p // at_most.shape[0], seen * (p + 1) // at_most.shape[0]):
            order[m] = np.int32(keys[m] & np.uint64(0xFFFFFFFF))
            total += int(reach[order[m]])
        at_most[p] = total


@helper
def _tile_range(middle: Any, reach: Any, tiles: int) -> tuple[Any, Any]:
    """The first and the last tile along an axis whose pixel centres intervals may reach."""
    low = vmax((middle - reach - _f(0.5)) * _f(1 / TILE), _f(0))
    high = vmin((middle + reach - _f(0.5)) * _f(1 / TILE), _f(tiles - 1))
    any_tile = both(ge(high, _f(0)), ge(_f(tiles), low))
    return select(any_tile, vfloor(low), _f(0)), select(any_tile, vfloor(high), _f(-1))


@helper
def _boxes(
    first: int, last: int, order: Any, footprints: Any, across: int, down: int, space: Any
) -> None:
    """Into ``space`` the footprints of sixteen Gaussians, those at places ``first`` and behind it
    in the order, and which tiles their bounding boxes touch.

    Together, since how often the loops over tiles go round is then known long before: what a
    processor guesses wrong costs it little.
    """
    for lane in range(LANES):
        i = item(order, min(first + lane, last))
        prefetch(footprints, item(order, min(first + lane + LANES, last)) * FOOTPRINT)
        vstore(space, lane * FOOTPRINT, vload(footprints, i * FOOTPRINT))
    transpose(space, 0, FOOTPRINT, space, _COLUMNS, LANES)
    mx, my = vload(space, _COLUMNS + MX * LANES), vload(space, _COLUMNS + MY * LANES)
    wide, high = vload(space, _COLUMNS + WIDE * LANES), vload(space, _COLUMNS + HIGH * LANES)
    slack = (vabs(mx) + vabs(my) + wide + high) * _f(1e-6) + _SLACK
    high = high + slack
    left, right = _tile_range(mx, wide + slack, across)
    top, bottom = _tile_range(my, high, down)
    vstore(space, _LEFT, left)
    vstore(space, _RIGHT, right)
    vstore(space, _TOP, top)
    vstore(space, _BOTTOM, bottom)
    vstore(space, _HALF_HEIGHT, high)
    vstore(space, _LARGER, slack)


@helper
def _columns_of_rows(lane: int, space: Any, tile_row: int, width: int, height: int) -> Any:
    """Which block columns of the image the ellipse of a Gaussian reaches in the eight block rows
    of a tile row: the end of the interval in lanes 0 to 7, and minus its begin in lanes 8 to 15;
    where there is none it ends before it begins.

    In a strip of pixel rows the ellipse reaches farthest right at the y nearest to where it is
    widest, and farthest left nearest to the opposite of it.
    """
    at = lane * FOOTPRINT
    mx, my = item(space, at + MX), item(space, at + MY)
    slope, v = item(space, at + SLOPE), item(space, at + V)
    inverse_c, bound = item(space, at + INVERSE_C), item(space, at + BOUND)
    high, slack = item(space, _HALF_HEIGHT + lane), item(space, _LARGER + lane)
    side = vload(_SIDE, 0)
    row = vload(_ROW, 0) + _f(tile_row * TILE)
    top = vmax(row + (_f(0.5) - my), -high)
    bottom = vmin(row + (_f(BLOCK - 0.5) - my), high)
    y = vmin(vmax(top, side * item(space, at + WIDEST)), bottom)
    half = vsqrt(vmax(bound - y * y * inverse_c, _f(0)) * v)
    reached = fma(side, y * slope + mx, half) + slack  # to the right, or minus that to the left
    last = vfloor((reached + vload(_CENTRE, 0)) * _f(1 / BLOCK))
    there = both(ge(bottom, top), ge(_f(height - 1), row))
    end = vmin(last + vload(_BEHIND, 0), _f((width + BLOCK - 1) // BLOCK))
    return select(there, end, _NEVER)


@kernel(
    "void(i8, i8, f4[:,::1], i4[::1], f4[:,::1], i8, i8, i8[::1], b1, i4[:,::1], i8[::1],"
    " i4[:,::1], i4[:,::1], i8[::1])"
)
def bin_gaussians(
    part: int,
    parts: int,
    work: Any,
    order: Any,
    footprints: Any,
    width: int,
    height: int,
    starts: Any,
    keep: bool,
    records: Any,
    masks: Any,
    counts: Any,
    spans: Any,
    ends: Any,
) -> None:
    """A record per seen Gaussian, in depth order, and tile that it reaches.

    Args:
        part: Which share of the Gaussians.
        parts: Number of shares.
        work: [parts, WORKSPACE].
        order: [M] from :func:`sort_by_depth`.
        footprints: [N, 16].
        width: Of the image.
        height: Of the image.
        starts: [parts] where the records of each share begin.
        keep: Whether to write records and spans, or only to count.
        records: [.., 2] out: tile, Gaussian.
        masks: [..] out: the blocks of the tile that the Gaussian reaches.
        counts: [parts, tiles] out: how many records of a share a tile has.
        spans: [N, 2] out: first record of each seen Gaussian, and how many it has.
        ends: [parts] out: where the records of each share end.
    """
    seen = order.shape[0]
    across = (width + TILE - 1) // TILE
    down = (height + TILE - 1) // TILE
    for tile in range(counts.shape[1]):
        counts[part, tile] = 0
    at = starts[part]
    tally = part * counts.shape[1]
    space = work[part]
    start, stop = seen * part // parts, seen * (part + 1) // parts
    for m in range(start, stop):
        lane = (m - start) & (LANES - 1)
        if lane == 0:
            _boxes(m, seen - 1, order, footprints, across, down, space)
        i = item(order, m)
        before = at
        left, right = int(item(space, _LEFT + lane)), int(item(space, _RIGHT + lane))
        top, bottom = int(item(space, _TOP + lane)), int(item(space, _BOTTOM + lane))
        for row in range(top, bottom + 1):
            ends_of_rows = _columns_of_rows(lane, space, row, width, height)
            c0, c1 = left, right
            if c1 - c0 > 3:  # long and slanted: most of its bounding box may be empty
                rightwards = gt(vload(_SIDE, 0), _f(0))
                c0 = max(c0, -int(highest(select(rightwards, _NEVER, ends_of_rows))) // ACROSS)
                c1 = min(c1, (int(highest(select(rightwards, ends_of_rows, _f(0)))) - 1) // ACROSS)
            for column in range(c0, c1 + 1):
                inside = fma(vload(_SIDE, 0), ends_of_rows, splat(_f(-column * ACROSS)))
                mask = mask_of_rows(vmin(vmax(inside, _f(0)), _f(ACROSS)))
                tile = row * across + column
                # Written in any case and kept where there are blocks: fewer branches to guess.
                if keep:
                    put(records, 2 * at, tile)
                    put(records, 2 * at + 1, i)
                    put(masks, at, mask)
                put(counts, tally + tile, item(counts, tally + tile) + (mask != 0))
                at += mask != 0
        if keep:
            put(spans, 2 * i, before)
            put(spans, 2 * i + 1, at - before)
    ends[part] = at
    finish(part, parts)


@kernel("void(i8, i8, i4[:,::1], i8[::1])")
def scan(part: int, parts: int, counts: Any, offsets: Any) -> None:
    """Running sums: where each tile's list starts, and where each share's part of it does."""
    total = 0
    tiles = offsets.shape[0] - 1
    for tile in range(tiles):
        offsets[tile] = total
        for p in range(counts.shape[0]):
            size = counts[p, tile]
            counts[p, tile] = total
            total += size
    offsets[tiles] = total


@kernel("void(i8, i8, i8[::1], i8[::1], i4[:,::1], i8[::1], i4[:,::1], i4[:,::1], i8[::1])")
def place(
    part: int,
    parts: int,
    starts: Any,
    ends: Any,
    records: Any,
    masks: Any,
    counts: Any,
    entries: Any,
    entry_masks: Any,
) -> None:
    """The tiles' lists: entries (Gaussian, its record) and the blocks that it reaches."""
    tally = part * counts.shape[1]
    for at in range(starts[part], ends[part]):
        tile = tally + item(records, 2 * at)
        slot = item(counts, tile)
        put(counts, tile, slot + 1)
        put(entries, 2 * slot, item(records, 2 * at + 1))
        put(entries, 2 * slot + 1, at)
        put(entry_masks, slot, item(masks, at))
    finish(part, parts)


assert LANES == 2 * ACROSS
