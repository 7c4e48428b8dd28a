"""Which Gaussians each tile of the image has to look at, from near to far, and in which blocks.

Gaussians are sorted by depth once. In that order each writes a record per tile that it reaches;
then every tile's records are put into its list, stably, so that lists are in depth order without
sorting intersections.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper, kernel, scalar_helper
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
_SAMPLES, _LARGEST_SAMPLE = 64, 256  # depths that are looked at to tell shares: of each, and of all

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


@scalar_helper
def _depth_range(part: int, parts: int, bits: Any, sample: Any) -> tuple[Any, Any]:
    """Where the depths of a share begin and end, as bits: about the same number of Gaussians has
    depths between them. Those that are not seen, of depth 0, are in no share.

    Taken from a sample, by every part for itself; they say who sorts what, not how it is sorted.
    """
    n, wanted, taken = bits.shape[0], min(_SAMPLES * parts, sample.shape[0]), 0
    for k in range(wanted):
        key = bits[n * k // wanted]
        if key != 0:
            at = taken
            while at > 0 and sample[at - 1] > key:
                sample[at] = sample[at - 1]
                at -= 1
            sample[at] = key
            taken += 1
    if taken == 0:  # whoever is seen is left to the last part
        sample[0], taken = np.uint32(1), 1
    first, last = np.uint32(1), np.uint32(0xFFFFFFFF)
    if part > 0:
        first = sample[taken * part // parts]
    if part < parts - 1:
        last = sample[taken * (part + 1) // parts]
    return first, last


@scalar_helper
def _gather_keys(bits: Any, first: Any, last: Any, keys: Any) -> tuple[int, int]:
    """Keys of the depths inside a range: how far behind its begin, above the index.

    Returns how many depths lie before the range, and inside. Without branches, which nobody could
    guess; one below 0 is above all numbers, so that one comparison tells what is inside.
    """
    before, span = np.uint32(first - np.uint32(1)), np.uint32(last - first)
    start, count = 0, 0
    for i in range(bits.shape[0]):
        key = item(bits, i)
        behind = np.uint32(key - first)
        put(keys, count, (np.uint64(behind) << np.uint64(32)) | np.uint64(i))
        count += int(behind < span)
        start += int(np.uint32(key - np.uint32(1)) < before)
    return start, count


@scalar_helper
def _count_digits(
    count: int, keys: Any, base: Any, passes: int, digit_bits: int, starts: Any
) -> None:
    """Into ``starts``, for each digit of the keys less ``base`` and each of its values, where keys
    with it begin in the order by that digit."""
    digits = 1 << digit_bits
    for m in range(count):
        depth: Any = np.int64((item(keys, m) - base) >> np.uint64(32))
        for digit in range(passes):
            at = digit * digits + ((depth >> (digit * digit_bits)) & (digits - 1))
            put(starts, at, item(starts, at) + 1)
    for digit in range(passes):
        total = 0
        for at in range(digit * digits, (digit + 1) * digits):
            size = item(starts, at)
            put(starts, at, total)
            total += size


@scalar_helper
def _order_by_digit(
    count: int, keys: Any, base: Any, digit: int, digit_bits: int, starts: Any, to: Any
) -> None:
    """The keys in the order by one digit of what they are above ``base``, stably."""
    digits = 1 << digit_bits
    for m in range(count):
        key = item(keys, m)
        value = np.int64((key - base) >> np.uint64(32 + digit * digit_bits)) & (digits - 1)
        place = item(starts, digit * digits + value)
        put(starts, digit * digits + value, place + 1)
        put(to, place, key)


@kernel("void(i8, i8, f4[::1], f4[::1], i4[::1], i8[::1], i8[::1])", allocates=True)
def sort_by_depth(
    part: int, parts: int, depths: Any, reach: Any, order: Any, shares: Any, at_most: Any
) -> None:
    """The Gaussians that are seen, from near to far: each part sorts those of a range of depths.

    A stable radix sort of the bits of positive floats, which are ordered like the floats.

    Args:
        part: Which share.
        parts: Number of shares.
        depths: [N] 0 where a Gaussian is not seen.
        reach: [N] how many tiles the bounding box of a seen Gaussian touches.
        order: [N] out: indices of the Gaussians that are seen.
        shares: [parts + 1] out: where each share begins in the order, and where the last one ends.
        at_most: [parts] out: how many records :func:`bin_gaussians` writes at most for a share.
    """
    n = depths.shape[0]
    bits = depths.view(np.uint32)
    keys, keys2 = np.empty(n, np.uint64), np.empty(n, np.uint64)
    sample = np.empty(_LARGEST_SAMPLE, np.uint32)
    first, last = _depth_range(part, parts, bits, sample)
    start, count = _gather_keys(bits, first, last, keys)
    base, largest = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    for m in range(count):
        base, largest = min(base, item(keys, m)), max(largest, item(keys, m))
    base &= np.uint64(0xFFFFFFFF00000000)
    width = 1
    while count > 0 and (largest - base) >> np.uint64(32 + width) != 0:
        width += 1
    passes = 2 if width <= 2 * _LARGEST_DIGIT else 3
    digit_bits = (width + passes - 1) // passes
    starts = np.zeros(passes << digit_bits, np.int32)
    _count_digits(count, keys, base, passes, digit_bits, starts)
    for digit in range(passes):
        _order_by_digit(count, keys, base, digit, digit_bits, starts, keys2)
        keys, keys2 = keys2, keys
    total = 0
    for m in range(count):
        i = np.int64(item(keys, m) & np.uint64(0xFFFFFFFF))
        put(order, start + m, i)
        total += int(item(reach, i))
    at_most[part] = total
    shares[part] = start
    if part == parts - 1:
        shares[parts] = start + count
    finish(part, parts)


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
    "void(i8, i8, f4[:,::1], i4[::1], i8[::1], f4[:,::1], i8, i8, i8[::1], b1, i4[:,::1], i8[::1],"
    " i4[:,::1], i4[:,::1], i8[::1])"
)
def bin_gaussians(
    part: int,
    parts: int,
    work: Any,
    order: Any,
    shares: Any,
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
        shares: [parts + 1] from there.
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
    start, stop = shares[part], shares[part + 1]
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
