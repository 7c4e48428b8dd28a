"""Blending from front to back, tile by tile (Kerbl et al. 2023, eq. 3), with gsplat's rules.

Per pixel, for its Gaussians from near to far: alpha below 1/255 is skipped, above 0.999 it is cut;
the pixel is finished before transmittance would fall to 1e-4. One row of a tile is one vector; a
Gaussian visits only the rows that its ellipse reaches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.binning import TILE
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.projection import (
    DEPTH,
    KX,
    KY,
    LOG2_MIN_ALPHA,
    LOG2_OPACITY,
    MX,
    MY,
    SLOPE,
)
from ops.rendering.cpu.simd import (
    aligned_empty,
    any_lane,
    both,
    exp2,
    fma,
    fnma,
    ge,
    gt,
    iota,
    select,
    splat,
    vabs,
    vfill,
    vload,
    vmin,
    vneg,
    vstore,
)

_f = np.float32
MAX_ALPHA = _f(0.999)
STOP = _f(1e-4)  # transmittance
PLANE = TILE * TILE
CHECK_EVERY = 16  # entries between two looks at which rows are finished


@kernel(
    "void(i8, i8, i8, i8, i8[::1], i4[:,::1], f4[:,::1], f4[:,::1], f4[::1], i8, i8, i8,"
    " f4[:,:,::1], f4[:,::1], f4[:,::1], i8[::1])"
)
def raster_forward(
    part: int,
    parts: int,
    width: int,
    height: int,
    offsets: Any,
    entries: Any,
    footprints: Any,
    channels: Any,
    background: Any,
    background_plane: int,
    background_row: int,
    background_step: int,
    image: Any,
    transmittance: Any,
    median: Any,
    ends: Any,
) -> None:
    """Images of every ``parts``-th tile.

    Args:
        part: Which tiles: those with number ``part`` modulo ``parts``.
        parts: Into how many parts the tiles are divided.
        width: Of the image.
        height: Of the image.
        offsets: [tiles + 1] where each tile's list starts in ``entries``.
        entries: [intersections, 3] from :func:`binning.fill`.
        footprints: [M, 8] in depth order.
        channels: [M, D] in depth order; the first three are colour.
        background: Colour behind everything; value k of a pixel is at
            ``k * background_plane + y * background_row + x * background_step``.
        background_plane: See ``background``.
        background_row: See ``background``.
        background_step: 1 for an image of backgrounds, 0 for one colour, held 16 times.
        image: [D, height, padded width] out.
        transmittance: [height, padded width] out, what of the background is seen.
        median: [height, padded width] out, depth where transmittance falls below 1/2; or [0, 0].
        ends: [tiles] out, the end of the entries that a tile looked at before it was finished.
    """
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_channels = channels.shape[1]
    padded = image.shape[2]
    with_median = median.shape[0] > 0
    # Scratch of a tile: transmittance (negative once a pixel is finished), median depth, channels.
    scratch = aligned_empty((2 + n_channels) * PLANE)
    for tile in range(part, n_tiles, parts):
        tile_y = tile // across
        tile_x = tile - tile_y * across
        rows = min(TILE, height - tile_y * TILE)
        px = iota() + _f(tile_x * TILE + 0.5)
        py = _f(tile_y * TILE) + _f(0.5)
        inside = gt(_f(width), px)
        for y in range(rows):
            vstore(scratch, y * TILE, select(inside, _f(1), _f(-1)))
            for k in range(1 + n_channels):
                vstore(scratch, (1 + k) * PLANE + y * TILE, splat(_f(0)))
        at = offsets[tile]
        end = offsets[tile + 1]
        live_first = 0  # rows outside [live_first, live_end) are finished
        live_end = rows
        while at < end and live_first < live_end:
            stop = min(at + CHECK_EVERY, end)
            for e in range(at, stop):
                m = entries[e, 0]
                span = entries[e, 1]
                y0 = max(span >> 8, live_first)
                y1 = min(span & 255, live_end)
                kx = splat(footprints[m, KX])
                ky = footprints[m, KY]
                slope = splat(footprints[m, SLOPE])
                log2_opacity = footprints[m, LOG2_OPACITY]
                first_channel = m * n_channels
                dy = py + _f(y0) - footprints[m, MY]
                u = fnma(slope, dy, px - footprints[m, MX])
                for y in range(y0, y1):
                    exponent = fma(u * kx, u, log2_opacity + ky * dy * dy)
                    T = vload(scratch, y * TILE)
                    hit = both(ge(exponent, LOG2_MIN_ALPHA), gt(T, _f(0)))
                    if any_lane(hit):
                        alpha = vmin(exp2(exponent), MAX_ALPHA)
                        next_T = fnma(alpha, T, T)
                        going_on = gt(next_T, STOP)
                        after = select(going_on, next_T, vneg(T))
                        vstore(scratch, y * TILE, select(hit, after, T))
                        blended = both(hit, going_on)
                        weight = select(blended, alpha * T, _f(0))
                        o = 2 * PLANE + y * TILE
                        for c in range(first_channel, first_channel + n_channels):
                            value = fma(weight, vfill(channels, c), vload(scratch, o))
                            vstore(scratch, o, value)
                            o += PLANE
                        if with_median:
                            half = both(ge(T, _f(0.5)), gt(_f(0.5), next_T))
                            o = PLANE + y * TILE
                            depth = select(
                                both(blended, half), footprints[m, DEPTH], vload(scratch, o)
                            )
                            vstore(scratch, o, depth)
                    u = u - slope
                    dy += _f(1)
            at = stop
            while live_first < live_end and not any_lane(
                gt(vload(scratch, live_first * TILE), _f(0))
            ):
                live_first += 1
            while live_end > live_first and not any_lane(
                gt(vload(scratch, (live_end - 1) * TILE), _f(0))
            ):
                live_end -= 1
        ends[tile] = at
        for y in range(rows):
            Y = tile_y * TILE + y
            T = vabs(vload(scratch, y * TILE))
            vstore(transmittance, Y * padded + tile_x * TILE, T)
            if with_median:
                depth = vload(scratch, PLANE + y * TILE)
                vstore(median, Y * padded + tile_x * TILE, depth)
            for k in range(n_channels):
                value = vload(scratch, (2 + k) * PLANE + y * TILE)
                if k < 3:
                    o = k * background_plane + Y * background_row
                    behind = vload(background, o + tile_x * TILE * background_step)
                    value = fma(T, behind, value)
                vstore(image, (k * height + Y) * padded + tile_x * TILE, value)
