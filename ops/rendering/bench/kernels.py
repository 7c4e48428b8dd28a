"""What the kernels of the CPU renderer do: how long each runs, and on how many lanes.

All that the benchmark knows of the inside of ``ops.rendering.cpu`` stands here. When kernels visit
pixels in another way, :func:`evaluated_lanes` has to follow, and the FLOP constants with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba.core.dispatcher import Dispatcher

from ops.rendering.cpu import autograd, jit
from ops.rendering.cpu.binning import TILE
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.projection import KX, KY, LOG2_MIN_ALPHA, LOG2_OPACITY, MX, MY, SLOPE
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
    vload,
    vmin,
    vneg,
    vstore,
    vsum,
)
from ops.rendering.interface import Rendering

_f = np.float32

FORWARD, BACKWARD = "raster_forward", "raster_backward"

# Floating point operations per lane with three channels; one fma is two of them, comparisons,
# selections and integer operations are none. Every lane that is looked at costs the exponent and
# the step to the next row:
TEST_FLOPS = 4
# Where some lane of a vector is above 1/255, all of its lanes are blended as well: exp2 (13), the
# next transmittance (2), the weight (1) and three channels (6);
# or exp2 (13), transmittance and weight (3), the gradients of three channels and their product
# with the colour (11), R (2), dL/dalpha (4), and q with its sums over rows (6).
BLEND_FLOPS = {FORWARD: 22, BACKWARD: 39}


@dataclass
class KernelTime:
    """Seconds in one kernel, summed over its calls."""

    wall: float = 0.0
    cpu: float = 0.0  # of all threads of the process


class Lanes(NamedTuple):
    """How many lanes (a Gaussian at a pixel) the vector loops of one view go through."""

    evaluated: int
    """Lanes whose exponent is computed."""
    shaded: int
    """Lanes of the vectors that are blended, because at least one of their lanes needs it."""
    blended: int
    """Lanes that change their pixel. The rest is the price of working on 16 at once."""

    @property
    def useful(self) -> float:
        """The part of the evaluated lanes that blend."""
        return self.blended / max(1, self.evaluated)


@dataclass(frozen=True)
class ViewFacts:
    """What makes one view cheap or expensive to render."""

    visible: float  # part of the Gaussians that reach the image
    entries_per_tile: float  # length of a tile's list
    blended_per_pixel: float  # Gaussians that a pixel blends before it is finished
    lanes: Lanes


@contextmanager
def recorded() -> Iterator[dict[str, KernelTime]]:
    """Within it, the time of every kernel of the CPU renderer is added up, by kernel name.

    Not for renderings on several threads at once.
    """
    times: dict[str, KernelTime] = {}
    before = {k: v for k, v in vars(autograd).items() if isinstance(v, Dispatcher)}

    def run(parts: int, compiled: Callable[..., None], *arguments: Any) -> None:
        inner = compiled.kernel if isinstance(compiled, _Timed) else compiled
        with _timed(times, inner.__name__):
            jit.run(parts, inner, *arguments)

    autograd.run = run
    for name, compiled in before.items():
        setattr(autograd, name, _Timed(compiled, times))
    try:
        yield times
    finally:
        autograd.run = jit.run
        for name, compiled in before.items():
            setattr(autograd, name, compiled)


class _Timed:
    """A kernel that is called directly, where one thread is all it can use."""

    def __init__(self, kernel: Callable[..., None], times: dict[str, KernelTime]) -> None:
        self.kernel, self._times = kernel, times

    def __call__(self, *arguments: Any) -> None:
        with _timed(self._times, self.kernel.__name__):
            self.kernel(*arguments)


@contextmanager
def _timed(times: dict[str, KernelTime], name: str) -> Iterator[None]:
    total = times.setdefault(name, KernelTime())
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        total.wall += time.perf_counter() - wall
        total.cpu += time.process_time() - cpu


def view_of(rendering: Rendering) -> Any:
    """What the renderer prepared for one view: lists of tiles and footprints.

    Args:
        rendering: On the CPU, of splats that require gradients; backward need not have run.
    """
    return rendering.colors.grad_fn.view  # type: ignore[union-attr]


def view_facts(view: Any) -> ViewFacts:
    """The numbers that say how expensive a view is."""
    lanes = evaluated_lanes(view)
    return ViewFacts(
        visible=len(view.order) / max(1, len(view.parameters.means)),
        entries_per_tile=len(view.entries) / (len(view.offsets) - 1),
        blended_per_pixel=lanes.blended / (view.width * view.height),
        lanes=lanes,
    )


def nominal_flops(name: str, lanes: Lanes) -> int:
    """Floating point operations that a raster kernel spends on lanes with three channels.

    What it spends on entries and tiles is not counted.
    """
    return TEST_FLOPS * lanes.evaluated + BLEND_FLOPS[name] * lanes.shaded


def evaluated_lanes(view: Any) -> Lanes:
    """Walks the lists of a view as the raster kernels do, and counts lanes.

    Forward and backward go through the same lanes.
    """
    parts = jit.threads()
    counts = np.zeros((parts, 3), np.int64)
    arrays = (view.offsets, view.entries, view.footprints)
    jit.run(parts, _walk, view.width, view.height, *arrays, counts)
    return Lanes(*counts.sum(axis=0).tolist())


@kernel("void(i8, i8, i8, i8, i8[::1], i4[:,::1], f4[:,::1], i8[:,::1])")
def _walk(
    part: int,
    parts: int,
    width: int,
    height: int,
    offsets: Any,
    entries: Any,
    footprints: Any,
    counts: Any,
) -> None:
    """Adds evaluated, shaded and blended lanes of every ``parts``-th tile to ``counts[part]``."""
    across = (width + TILE - 1) // TILE
    scratch = aligned_empty(PLANE)  # transmittance, negative once a pixel is finished
    for tile in range(part, offsets.shape[0] - 1, parts):
        tile_y = tile // across
        tile_x = tile - tile_y * across
        rows = min(TILE, height - tile_y * TILE)
        px = iota() + _f(tile_x * TILE + 0.5)
        py = _f(tile_y * TILE) + _f(0.5)
        for y in range(rows):
            vstore(scratch, y * TILE, select(gt(_f(width), px), _f(1), _f(-1)))
        at = offsets[tile]
        end = offsets[tile + 1]
        first_row = 0
        end_row = rows
        while at < end and first_row < end_row:
            stop = min(at + CHECK_EVERY, end)
            for e in range(at, stop):
                m = entries[e, 0]
                y0 = max(entries[e, 1] >> 8, first_row)
                y1 = min(entries[e, 1] & 255, end_row)
                kx = splat(footprints[m, KX])
                slope = splat(footprints[m, SLOPE])
                dy = py + _f(y0) - footprints[m, MY]
                u = fnma(slope, dy, px - footprints[m, MX])
                for y in range(y0, y1):
                    row = footprints[m, LOG2_OPACITY] + footprints[m, KY] * dy * dy
                    exponent = fma(u * kx, u, row)
                    T = vload(scratch, y * TILE)
                    hit = both(ge(exponent, LOG2_MIN_ALPHA), gt(T, _f(0)))
                    counts[part, 0] += TILE
                    if any_lane(hit):
                        next_T = fnma(vmin(exp2(exponent), MAX_ALPHA), T, T)
                        going_on = gt(next_T, STOP)
                        after = select(going_on, next_T, vneg(T))
                        vstore(scratch, y * TILE, select(hit, after, T))
                        counts[part, 1] += TILE
                        blended = select(both(hit, going_on), splat(_f(1)), splat(_f(0)))
                        counts[part, 2] += int(vsum(blended))
                    u = u - slope
                    dy += _f(1)
            at = stop
            while first_row < end_row and not any_lane(gt(vload(scratch, first_row * TILE), _f(0))):
                first_row += 1
            while end_row > first_row and not any_lane(
                gt(vload(scratch, (end_row - 1) * TILE), _f(0))
            ):
                end_row -= 1
