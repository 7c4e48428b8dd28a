"""Which Gaussians each 16 x 16 tile of the image has to look at, from near to far.

Gaussians are sorted by depth once; two stable passes over them in that order (count, then fill)
give every tile its list in depth order without sorting intersections. Both passes must come to the
same tiles to the last one, so nothing here is compiled with freedom in rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.projection import (
    DEPTH,
    FOOTPRINT,
    KX,
    KY,
    LN2,
    LOG2_MIN_ALPHA,
    LOG2_OPACITY,
    LOG2E,
    MX,
    MY,
    SLOPE,
)
from ops.rendering.cpu.spherical_harmonics import color

_f = np.float32
TILE = 16  # pixels; a row of a tile is one vector


@kernel("void(i8, i8, f4[:,::1], i4[:,::1], i4[::1], i8[::1])")
def sort_by_depth(
    part: int, parts: int, footprints: Any, radii: Any, order: Any, count: Any
) -> None:
    """The indices of the Gaussians that are seen, from near to far; ``count[0]`` of them.

    A stable radix sort of the bits of positive floats, which are ordered like the floats.
    """
    n = radii.shape[0]
    keys = np.empty(n, np.uint32)
    ids = np.empty(n, np.int32)
    low = np.zeros(2048, np.int64)
    middle = np.zeros(2048, np.int64)
    high = np.zeros(1024, np.int64)
    value = np.empty(1, np.float32)
    bits = value.view(np.uint32)
    seen = 0
    for i in range(n):
        if radii[i, 0] > 0:
            value[0] = footprints[i, DEPTH]
            key = bits[0]
            keys[seen] = key
            ids[seen] = i
            seen += 1
            low[key & 2047] += 1
            middle[(key >> 11) & 2047] += 1
            high[key >> 22] += 1
    count[0] = seen
    keys2 = np.empty(seen, np.uint32)
    ids2 = np.empty(seen, np.int32)
    start0 = start1 = start2 = 0
    for digit in range(2048):
        size = low[digit]
        low[digit] = start0
        start0 += size
        size = middle[digit]
        middle[digit] = start1
        start1 += size
        if digit < 1024:
            size = high[digit]
            high[digit] = start2
            start2 += size
    for i in range(seen):
        digit = keys[i] & 2047
        at = low[digit]
        low[digit] = at + 1
        keys2[at] = keys[i]
        ids2[at] = ids[i]
    for i in range(seen):
        digit = (keys2[i] >> 11) & 2047
        at = middle[digit]
        middle[digit] = at + 1
        keys[at] = keys2[i]
        ids[at] = ids2[i]
    for i in range(seen):
        digit = keys[i] >> 22
        at = high[digit]
        high[digit] = at + 1
        order[at] = ids[i]


@helper
def _ellipse(m: int, footprints: Any) -> Any:
    """Of the pixels with alpha >= 1/255: mean, covariance, bound of the squared Mahalanobis
    distance, half width and half height, with a little to spare for rounding."""
    c = _f(-0.5) * LOG2E / footprints[m, KY]
    v = _f(-0.5) * LOG2E / footprints[m, KX]
    slope = footprints[m, SLOPE]
    b = slope * c
    a = v + slope * b
    bound = _f(2) * LN2 * max(footprints[m, LOG2_OPACITY] - LOG2_MIN_ALPHA, _f(0))
    wide = math.sqrt(bound * a)
    high = math.sqrt(bound * c)
    spread = v * c / a  # variance of y, given x
    return footprints[m, MX], footprints[m, MY], a, b, slope, spread, bound, wide, high


@helper
def _columns(ellipse: Any, across: int) -> tuple[int, int]:
    """The first and last tile column that an ellipse reaches."""
    mx, wide = ellipse[0], ellipse[7]
    slack = _f(0.002) + _f(1e-6) * (abs(mx) + wide)
    first = max(math.floor((mx - wide - _f(0.5) - slack) / _f(TILE)), _f(0))
    last = min(math.floor((mx + wide - _f(0.5) + slack) / _f(TILE)), _f(across - 1))
    if not first <= last:
        return 0, -1
    return int(first), int(last)


@helper
def _rows(ellipse: Any, column: int, height: int) -> tuple[int, int]:
    """The pixel rows [first, end) of an ellipse inside a tile column."""
    mx, my, a, b, slope, spread, bound, wide, high = ellipse
    left = max(_f(column * TILE) + _f(0.5) - mx, -wide)
    right = min(_f(column * TILE + TILE - 1) + _f(0.5) - mx, wide)
    if not left <= right:  # its tip lies between this column's last centre and the next one's first
        return 0, 0
    # The highest point of the ellipse is at dx = slope * high; within [left, right] the nearest
    # dx to it is the highest, and likewise the lowest.
    x = min(max(slope * high, left), right)
    top = b / a * x + math.sqrt(max(bound - x * x / a, _f(0)) * spread)
    x = min(max(-slope * high, left), right)
    bottom = b / a * x - math.sqrt(max(bound - x * x / a, _f(0)) * spread)
    slack = _f(0.002) + _f(1e-6) * (abs(my) + high)
    first = max(math.ceil(my + bottom - _f(0.5) - slack), _f(0))
    end = min(math.floor(my + top - _f(0.5) + slack) + _f(1), _f(height))
    if not first < end:
        return 0, 0
    return int(first), int(end)


@kernel(
    "void(i8, i8, i4[::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " i8, b1, i4[:,::1], f4[:,::1], f4[:,::1], i8, i8, i4[:,::1], i8[::1])"
)
def pack_and_count(
    part: int,
    parts: int,
    order: Any,
    all_footprints: Any,
    means: Any,
    center: Any,
    sh0: Any,
    shN: Any,
    features: Any,
    degree: int,
    with_depth: bool,
    radii: Any,
    footprints: Any,
    channels: Any,
    width: int,
    height: int,
    counts: Any,
    touched: Any,
) -> None:
    """Footprints and channels of the seen Gaussians in depth order, and how many tiles they reach.

    Channels are colour, features and (``with_depth``) depth. ``counts[part, tile]`` is the number
    of intersections that this part will put into a tile, ``touched[m]`` that of Gaussian m.
    """
    seen = order.shape[0]
    across = (width + TILE - 1) // TILE
    n_features = features.shape[1]
    bases = np.empty(16, np.float32)
    for tile in range(counts.shape[1]):
        counts[part, tile] = 0
    for m in range(seen * part // parts, seen * (part + 1) // parts):
        i = order[m]
        for k in range(FOOTPRINT):
            footprints[m, k] = all_footprints[i, k]
        red, green, blue = color(i, degree, means, center, sh0, shN, bases)
        total = red + green + blue
        channels[m, 0] = max(red, _f(0))
        channels[m, 1] = max(green, _f(0))
        channels[m, 2] = max(blue, _f(0))
        for k in range(n_features):
            channels[m, 3 + k] = features[i, k]
            total += features[i, k]
        if with_depth:
            channels[m, 3 + n_features] = all_footprints[i, DEPTH]
        touched[m] = 0
        if not math.isfinite(total):  # nothing may turn pixels into NaN
            radii[i, 0] = 0
            radii[i, 1] = 0
            continue
        ellipse = _ellipse(m, footprints)
        first, last = _columns(ellipse, across)
        reached = 0
        for column in range(first, last + 1):
            y0, y1 = _rows(ellipse, column, height)
            if y0 < y1:
                for row in range(y0 // TILE, (y1 - 1) // TILE + 1):
                    counts[part, row * across + column] += 1
                    reached += 1
        touched[m] = reached


@kernel("void(i8, i8, i4[:,::1], i8[::1], i8[::1], i8[::1])")
def scan(part: int, parts: int, counts: Any, touched: Any, offsets: Any, first_rows: Any) -> None:
    """Running sums: where each tile's list starts, where each part writes into it, and which
    rows of the gradient table belong to each Gaussian."""
    total = 0
    for tile in range(counts.shape[1]):
        offsets[tile] = total
        for p in range(counts.shape[0]):
            size = counts[p, tile]
            counts[p, tile] = total - offsets[tile]
            total += size
    offsets[counts.shape[1]] = total
    total = 0
    for m in range(touched.shape[0]):
        first_rows[m] = total
        total += touched[m]
    first_rows[touched.shape[0]] = total


@kernel("void(i8, i8, f4[:,::1], i8, i8, i4[:,::1], i8[::1], i8[::1], i8[::1], i4[:,::1])")
def fill(
    part: int,
    parts: int,
    footprints: Any,
    width: int,
    height: int,
    counts: Any,
    touched: Any,
    offsets: Any,
    first_rows: Any,
    entries: Any,
) -> None:
    """The tiles' lists. An entry is (Gaussian, rows of the tile as first << 8 | end, its row of the
    gradient table)."""
    seen = footprints.shape[0]
    across = (width + TILE - 1) // TILE
    for m in range(seen * part // parts, seen * (part + 1) // parts):
        if touched[m] == 0:
            continue
        ellipse = _ellipse(m, footprints)
        first, last = _columns(ellipse, across)
        at = first_rows[m]
        for column in range(first, last + 1):
            y0, y1 = _rows(ellipse, column, height)
            if y0 < y1:
                for row in range(y0 // TILE, (y1 - 1) // TILE + 1):
                    tile = row * across + column
                    slot = offsets[tile] + counts[part, tile]
                    counts[part, tile] += 1
                    entries[slot, 0] = m
                    top = max(y0 - row * TILE, 0)
                    entries[slot, 1] = (top << 8) | min(y1 - row * TILE, TILE)
                    entries[slot, 2] = at
                    at += 1
