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

from ops.rendering.cpu.binning import TILE
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.projection import KX, KY, LOG2_MIN_ALPHA, LOG2_OPACITY, LOG2E, MX, MY, SLOPE
from ops.rendering.cpu.raster_forward import CHECK_EVERY, MAX_ALPHA, PLANE, STOP
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
    store_sums,
    vabs,
    vfill,
    vload,
    vmin,
    vneg,
    vstore,
    vsum,
)

_f = np.float32

# Columns of a row: sums over pixels of q = alpha dL/dalpha times 1, u, dy, u^2, u dy, dy^2, where
# u = dx - slope dy; the gradients of the channels; and, where asked for, sums of |dL/dmean2d|.
Q, Q_U, Q_Y, Q_UU, Q_UY, Q_YY, CHANNELS = range(7)


@kernel(
    "void(i8, i8, i8, i8, i8[::1], i8[::1], i4[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1],"
    " f4[:,::1], f4[:,:,:], f4[:,:,:], f4[:,:], f4[:,:], b1, f4[:,::1])"
)
def raster_backward(
    part: int,
    parts: int,
    width: int,
    height: int,
    offsets: Any,
    ends: Any,
    entries: Any,
    footprints: Any,
    channels: Any,
    image: Any,
    transmittance: Any,
    v_colors: Any,
    v_features: Any,
    v_depth: Any,
    v_alpha: Any,
    with_abs: bool,
    table: Any,
) -> None:
    """Fills the table [intersections, 6 + D, or 8 + D with_abs] of every ``parts``-th tile.

    Takes what :func:`raster_forward` took and gave, and the loss gradients: ``v_colors``
    [H, W, 3], ``v_features`` [H, W, F], ``v_depth`` [H, W] of the depth channel (there is one if
    D = 4 + F) and ``v_alpha`` [H, W], of any strides.
    """
    across = (width + TILE - 1) // TILE
    n_tiles = offsets.shape[0] - 1
    n_channels = channels.shape[1]
    n_features = v_features.shape[2]
    padded = image.shape[2]
    # Scratch of one tile: transmittance, R, gradient of each channel; and a row per channel to sum.
    scratch = aligned_empty((2 + n_channels) * PLANE + n_channels * TILE)
    sums = (2 + n_channels) * PLANE
    for tile in range(part, n_tiles, parts):
        tile_y = tile // across
        tile_x = tile - tile_y * across
        rows = min(TILE, height - tile_y * TILE)
        columns = min(TILE, width - tile_x * TILE)
        px = iota() + _f(tile_x * TILE + 0.5)
        py = _f(tile_y * TILE) + _f(0.5)
        inside = gt(_f(width), px)
        for y in range(rows):
            Y = tile_y * TILE + y
            for k in range(1 + n_channels):
                vstore(scratch, (1 + k) * PLANE + y * TILE, splat(_f(0)))
            for x in range(columns):
                X = tile_x * TILE + x
                o = y * TILE + x
                scratch[PLANE + o] = v_alpha[Y, X]
                for k in range(3):
                    scratch[(2 + k) * PLANE + o] = v_colors[Y, X, k]
                for k in range(n_features):
                    scratch[(5 + k) * PLANE + o] = v_features[Y, X, k]
                if n_channels > 3 + n_features:
                    scratch[(1 + n_channels) * PLANE + o] = v_depth[Y, X]
            o = y * TILE
            vstore(scratch, o, select(inside, _f(1), _f(-1)))
            R = vneg(vload(scratch, PLANE + o) * vload(transmittance, Y * padded + tile_x * TILE))
            for k in range(n_channels):
                g = vload(scratch, (2 + k) * PLANE + o)
                R = fma(g, vload(image, (k * height + Y) * padded + tile_x * TILE), R)
            vstore(scratch, PLANE + o, select(inside, R, _f(0)))
        at = offsets[tile]
        end = ends[tile]
        live_first = 0
        live_end = rows
        while at < end:
            stop = min(at + CHECK_EVERY, end)
            for e in range(at, stop):
                m = entries[e, 0]
                span = entries[e, 1]
                row = entries[e, 2]
                y0 = max(span >> 8, live_first)
                y1 = min(span & 255, live_end)
                kx = splat(footprints[m, KX])
                ky = footprints[m, KY]
                slope = splat(footprints[m, SLOPE])
                log2_opacity = footprints[m, LOG2_OPACITY]
                first_dy = py + _f(y0) - footprints[m, MY]
                first_u = fnma(slope, first_dy, px - footprints[m, MX])
                first_channel = m * n_channels
                c0 = vfill(channels, first_channel)
                c1 = vfill(channels, first_channel + 1)
                c2 = vfill(channels, first_channel + 2)
                dy = first_dy
                u = first_u
                # Sums over the rows of q, q r and q r^2, with r counted from row y0.
                q0 = splat(_f(0))
                q1 = splat(_f(0))
                q2 = splat(_f(0))
                g0 = splat(_f(0))
                g1 = splat(_f(0))
                g2 = splat(_f(0))
                ax = splat(_f(0))
                ay = splat(_f(0))
                for k in range(3, n_channels):
                    vstore(scratch, sums + k * TILE, splat(_f(0)))
                r = _f(0)
                for y in range(y0, y1):
                    exponent = fma(u * kx, u, log2_opacity + ky * dy * dy)
                    o = y * TILE
                    T = vload(scratch, o)
                    hit = both(ge(exponent, LOG2_MIN_ALPHA), gt(T, _f(0)))
                    if any_lane(hit):
                        full = exp2(exponent)
                        alpha = vmin(full, MAX_ALPHA)
                        next_T = fnma(alpha, T, T)
                        going_on = gt(next_T, STOP)
                        after = select(going_on, next_T, vneg(T))
                        vstore(scratch, o, select(hit, after, T))
                        blended = both(hit, going_on)
                        weight = select(blended, alpha * T, _f(0))
                        v0 = vload(scratch, 2 * PLANE + o)
                        v1 = vload(scratch, 3 * PLANE + o)
                        v2 = vload(scratch, 4 * PLANE + o)
                        gc = fma(v2, c2, fma(v1, c1, v0 * c0))
                        g0 = fma(weight, v0, g0)
                        g1 = fma(weight, v1, g1)
                        g2 = fma(weight, v2, g2)
                        from_plane = 5 * PLANE + o
                        to_sum = sums + 3 * TILE
                        for c in range(first_channel + 3, first_channel + n_channels):
                            v = vload(scratch, from_plane)
                            gc = fma(v, vfill(channels, c), gc)
                            vstore(scratch, to_sum, fma(weight, v, vload(scratch, to_sum)))
                            from_plane += PLANE
                            to_sum += TILE
                        R = fnma(weight, gc, vload(scratch, PLANE + o))
                        vstore(scratch, PLANE + o, R)
                        v_alpha_px = T * gc - R / (_f(1) - alpha)
                        q = select(both(blended, ge(MAX_ALPHA, full)), v_alpha_px * full, _f(0))
                        q0 = q0 + q
                        qr = q * r
                        q1 = q1 + qr
                        q2 = fma(qr, r, q2)
                        if with_abs:
                            qx = q * u * kx
                            ax = ax + vabs(qx)
                            ay = ay + vabs(fnma(slope, qx, q * (ky * dy)))
                    u = u - slope
                    dy += _f(1)
                    r += _f(1)
                # With u = first_u - slope r and dy = first_dy + r:
                qu = fnma(slope, q1, first_u * q0)
                qur = fnma(slope, q2, first_u * q1)
                quu = fnma(slope, qur, first_u * qu)
                base = row * table.shape[1]
                store_sums(table, base, q0, qu, q1, quu, qur, q2, g0, g1)
                sum_q = table[row, Q]
                sum_r = table[row, Q_Y]
                table[row, Q_Y] = first_dy * sum_q + sum_r
                table[row, Q_UY] += first_dy * table[row, Q_U]
                table[row, Q_YY] += first_dy * (first_dy * sum_q + _f(2) * sum_r)
                table[row, CHANNELS + 2] = vsum(g2)
                k = 3
                while k + 8 <= n_channels:
                    s = sums + k * TILE
                    store_sums(
                        table,
                        base + CHANNELS + k,
                        vload(scratch, s),
                        vload(scratch, s + TILE),
                        vload(scratch, s + 2 * TILE),
                        vload(scratch, s + 3 * TILE),
                        vload(scratch, s + 4 * TILE),
                        vload(scratch, s + 5 * TILE),
                        vload(scratch, s + 6 * TILE),
                        vload(scratch, s + 7 * TILE),
                    )
                    k += 8
                while k < n_channels:
                    table[row, CHANNELS + k] = vsum(vload(scratch, sums + k * TILE))
                    k += 1
                if with_abs:
                    table[row, CHANNELS + n_channels] = vsum(ax) * _f(2) / LOG2E
                    table[row, CHANNELS + n_channels + 1] = vsum(ay) * _f(2) / LOG2E
            at = stop
            while live_first < live_end and not any_lane(
                gt(vload(scratch, live_first * TILE), _f(0))
            ):
                live_first += 1
            while live_end > live_first and not any_lane(
                gt(vload(scratch, (live_end - 1) * TILE), _f(0))
            ):
                live_end -= 1
        for e in range(end, offsets[tile + 1]):  # behind what is seen
            row = entries[e, 2]
            for k in range(table.shape[1]):
                table[row, k] = _f(0)
