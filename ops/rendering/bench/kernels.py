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

from ops.rendering.bench.timing import run_timed
from ops.rendering.cpu import fisher, gradients, team, view
from ops.rendering.cpu.blending import (
    CHECK_EVERY,
    absorb,
    exponent_in_block,
    footprint_in_tile,
    opacity_of,
    still_live,
)
from ops.rendering.cpu.jit import kernel, workspace
from ops.rendering.cpu.raster_forward import ROUND
from ops.rendering.cpu.simd import LANES, both, gt, note_lanes, select, splat, vsum
from ops.rendering.cpu.simd_memory import vload, vstore
from ops.rendering.cpu.tiles import (
    BLOCKS,
    TILE,
    blocks_in_image,
    count_blocks,
    forget_lanes,
    inside_image,
    lowest_block,
)
from ops.rendering.interface import Rendering
from ops.threads import threads

_f = np.float32

FORWARD, BACKWARD, FISHER = "raster_forward", "raster_backward", "raster_fisher"

# Floating point operations per lane with three channels; one fma is two of them, comparisons,
# selections and integer operations are none. All kernels: the exponent (10), exp2 (13), the cut of
# alpha (1), the next transmittance (2) and the weight (1). Then
# forward: three channels (6);
# backward: the gradients of three channels and their product with the colour (11), R (2),
# dL/dalpha (4), and q with its six sums (12);
# Fisher: contrast in three channels (12), alpha / (1 - alpha) (2), s^2 (7) and its six sums (16),
# the sum of squared weights (2), and the three sums of the mean (1 + 3 * 19).
# Where others count, they may count a row of pixels with what its lanes share (the exponent is then
# 4, the forward pass 26): shares of the peak compare only with the time for the same picture.
FLOPS = {FORWARD: 33, BACKWARD: 56, FISHER: 124}
_WATCHED = (view, gradients, fisher)


@dataclass
class KernelTime:
    """Seconds in one kernel, summed over its calls."""

    wall: float = 0.0
    cpu: float = 0.0  # of all threads that work on it


class Lanes(NamedTuple):
    """How many lanes (a Gaussian at a pixel) the vector loops of one view go through."""

    evaluated: int
    """Lanes that are computed for gradients and for Fisher information."""
    blended: int
    """Lanes that change their pixel. The rest is the price of working on 16 at once."""
    drawn: int
    """Lanes that are computed for drawing."""

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
    before = [
        (module, name, value)
        for module in _WATCHED
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) or value is team.run
    ]

    def run(parts: int, compiled: Callable[..., None], *arguments: Any) -> None:
        inner = compiled.kernel if isinstance(compiled, _Timed) else compiled
        _add(times, inner.__name__, *run_timed(parts, inner, *arguments))

    for module, name, value in before:
        setattr(module, name, run if value is team.run else _Timed(value, times))
    try:
        yield times
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class _Timed:
    """A kernel that is called directly, where one thread is all it can use."""

    def __init__(self, kernel: Callable[..., None], times: dict[str, KernelTime]) -> None:
        self.kernel, self._times = kernel, times

    def __call__(self, *arguments: Any) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        self.kernel(*arguments)
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        _add(self._times, self.kernel.__name__, wall, cpu)


def _add(times: dict[str, KernelTime], name: str, wall: float, cpu: float) -> None:
    total = times.setdefault(name, KernelTime())
    total.wall += wall
    total.cpu += cpu


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
        visible=float((view.depths > 0).mean()),
        entries_per_tile=len(view.entries) / (len(view.offsets) - 1),
        blended_per_pixel=lanes.blended / (view.width * view.height),
        lanes=lanes,
    )


def nominal_flops(name: str, lanes: Lanes) -> int:
    """Floating point operations that a raster kernel spends on lanes with three channels.

    What it spends on entries and tiles is not counted.
    """
    return FLOPS[name] * (lanes.drawn if name == FORWARD else lanes.evaluated)


def evaluated_lanes(view: Any) -> Lanes:
    """Walks the lists of a view as the raster kernels do, and counts lanes.

    Those for gradients and Fisher information go through the same lanes; those of the fellow of an
    odd block are counted.
    """
    parts = threads()
    counts = np.zeros((parts, 3), np.int64)
    space = workspace(parts, (BLOCKS + 1 + 3) * LANES)
    arrays = (view.offsets, view.entries, view.masks, view.footprints)
    team.run(parts, _walk, space, view.width, view.height, *arrays, counts)
    return Lanes(*counts.sum(axis=0).tolist())


@kernel("void(i8, i8, f4[:,::1], i8, i8, i8[::1], i4[:,::1], i8[::1], f4[:,::1], i8[:,::1])")
def _walk(
    part: int,
    parts: int,
    space: Any,
    width: int,
    height: int,
    offsets: Any,
    entries: Any,
    masks: Any,
    footprints: Any,
    counts: Any,
) -> None:
    """Adds evaluated, blended and drawn lanes of every ``parts``-th tile to ``counts[part]``."""
    across = (width + TILE - 1) // TILE
    scratch = space[part]  # transmittance, then which lanes go on
    lanes = scratch[(BLOCKS + 1) * LANES :].view(np.int16)
    one, zero = splat(_f(1)), splat(_f(0))
    for tile in range(part, offsets.shape[0] - 1, parts):
        tile_y = tile // across * TILE
        tile_x = tile % across * TILE
        for block in range(BLOCKS + 1):
            inside = inside_image(block, tile_x, tile_y, width, height)
            vstore(scratch, block * LANES, select(inside, one, zero))
        live = blocks_in_image(tile_x, tile_y, width, height)
        forget_lanes(lanes)
        drawn = live
        at = offsets[tile]
        end = offsets[tile + 1]
        while at < end and drawn != 0:
            stop = min(at + CHECK_EVERY, end)
            for e in range(at, stop):
                counts[part, 2] += count_blocks(masks[e] & drawn) * LANES
                todo = masks[e] & live
                footprint = footprint_in_tile(entries[e, 0], footprints, tile_x, tile_y)
                visited = 0
                while todo != 0:
                    block = lowest_block(todo)
                    todo &= todo - 1
                    visited += 1
                    _, _, exponent = exponent_in_block(block, footprint)
                    _, alpha = opacity_of(exponent)
                    going_on, after = absorb(alpha, vload(scratch, block * LANES))
                    vstore(scratch, block * LANES, after)
                    note_lanes(lanes, block, going_on)
                    counts[part, 1] += int(vsum(select(both(going_on, gt(alpha, zero)), one, zero)))
                counts[part, 0] += (visited + visited % 2) * LANES
            at = stop
            live = still_live(live, lanes, LANES, scratch)
            if (at - offsets[tile]) % ROUND == 0:
                drawn = live
