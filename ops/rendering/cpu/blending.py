"""The blending equation (Kerbl et al. 2023, eq. 3), with gsplat's rules, as all kernels have it.

Per pixel, for its Gaussians from near to far: alpha below 1/255 is skipped, above 0.999 it is cut;
the pixel is finished before transmittance would fall to 1e-4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper
from ops.rendering.cpu.projection import (
    BLUE,
    FOOTPRINT,
    GREEN,
    LOG2_MIN_ALPHA,
    LOG2_OPACITY,
    MX,
    MY,
    PER_U,
    PER_Y,
    RED,
    SLOPE,
)
from ops.rendering.cpu.simd import exp2_where, fma, fnma, ge, gt, not_equal64, select, splat, vmin
from ops.rendering.cpu.simd_memory import item, vfill, vload, vstore
from ops.rendering.cpu.tiles import lowest_block, pixels_of

_f = np.float32
MAX_ALPHA = _f(0.999)
STOP = _f(1e-4)  # transmittance
AHEAD = 12  # Gaussians; neighbours in a tile's list lie far apart in memory
CHECK_EVERY = 16  # Gaussians between two looks at which blocks are finished


@helper
def origin_in_tile(i: int, footprints: Any, tile_x: int, tile_y: int) -> Any:
    """u and y of Gaussian i at the first pixel of a tile, and how u falls per pixel down."""
    o = i * FOOTPRINT
    slope, per_u = item(footprints, o + SLOPE), item(footprints, o + PER_U)
    dx = _f(tile_x) + _f(0.5) - item(footprints, o + MX)
    dy = _f(tile_y) + _f(0.5) - item(footprints, o + MY)
    return per_u * (dx - slope * dy), item(footprints, o + PER_Y) * dy, per_u * slope


@helper
def footprint_in_tile(i: int, footprints: Any, tile_x: int, tile_y: int) -> Any:
    """Of Gaussian i what :func:`exponent_at` needs: u and y at the tile's first pixel; how u grows
    per pixel to the right and falls per pixel down, and how y grows per pixel down; and log2 of the
    opacity."""
    o = i * FOOTPRINT
    u, y, down_u = origin_in_tile(i, footprints, tile_x, tile_y)
    across_u, down_y = vfill(footprints, o + PER_U), vfill(footprints, o + PER_Y)
    log2_opacity = vfill(footprints, o + LOG2_OPACITY)
    return splat(u), splat(y), across_u, splat(down_u), down_y, log2_opacity


@helper
def exponent_at(x: Any, y: Any, footprint: Any) -> Any:
    """A Gaussian's u and y at pixels of a tile, and log2(alpha) there before it is cut at 0.999."""
    first_u, first_y, across_u, down_u, down_y, log2_opacity = footprint
    u = fnma(y, down_u, fma(x, across_u, first_u))
    y = fma(y, down_y, first_y)
    return u, y, fnma(u, u, fnma(y, y, log2_opacity))


@helper
def exponent_in_block(block: int, footprint: Any) -> Any:
    """:func:`exponent_at` the pixels of a block."""
    x, y = pixels_of(block)
    return exponent_at(x, y, footprint)


@helper
def color_of(i: int, footprints: Any) -> Any:
    """Red, green and blue of Gaussian i."""
    o = i * FOOTPRINT
    return vfill(footprints, o + RED), vfill(footprints, o + GREEN), vfill(footprints, o + BLUE)


@helper
def opacity_of(exponent: Any) -> Any:
    """Alpha, 0 where it is too small to count; before it is cut at 0.999, and cut."""
    full = exp2_where(ge(exponent, LOG2_MIN_ALPHA), exponent)
    return full, vmin(full, MAX_ALPHA)


@helper
def absorb(alpha: Any, T: Any) -> Any:
    """What a Gaussian does to the transmittance T of a block: the lanes that go on, and the next T.

    A lane is finished where that is too small to go on. There T only falls from then on and stays
    too small; what the pixel has left is the last T with which it went on.
    """
    next_T = fnma(alpha, T, T)
    return gt(next_T, STOP), next_T


@helper
def blend(alpha: Any, rgb: Any, pixels: Any) -> Any:
    """Adds a Gaussian to a block, which is transmittance, what of it is left in the end, red, green
    and blue; also returns the lanes that go on, and weights."""
    T, left, red, green, blue = pixels
    going_on, after = absorb(alpha, T)
    weight = select(going_on, alpha * T, _f(0))
    left = select(going_on, after, left)
    red, green, blue = (
        fma(weight, rgb[0], red),
        fma(weight, rgb[1], green),
        fma(weight, rgb[2], blue),
    )
    return going_on, weight, (after, left, red, green, blue)


@helper
def still_live(live: int, lanes: Any, stride: int, scratch: Any) -> int:
    """The blocks of ``live`` in which any lane goes on.

    ``lanes`` is what the last Gaussian in every block left going on. Finished lanes beside others
    that go on get a T of 0, before it becomes so small that arithmetic with it is slow.
    """
    live &= not_equal64(lanes, 0)
    mixed = live & not_equal64(lanes, -1)
    while mixed != 0:
        o = lowest_block(mixed) * stride
        mixed &= mixed - 1
        T = vload(scratch, o)
        # A product: what is loaded, selected and stored again becomes a masked store of AVX, which
        # takes longer than all of this on some processors.
        vstore(scratch, o, T * select(gt(T, STOP), splat(_f(1)), _f(0)))
    return live
