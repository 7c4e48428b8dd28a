"""Rows of sixteen Gaussians: those of their intersections summed, and columns written as rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import scalar_helper
from ops.rendering.cpu.simd import LANES, splat
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import item, prefetch, vload, vstore

_f = np.float32


@scalar_helper
def sum_rows(i: int, spans: Any, table: Any, first: int, totals: Any, to: int) -> None:
    """Sixteen columns from ``first`` of the rows of sixteen Gaussians, a vector per column."""
    n_columns = table.shape[1]
    for lane in range(LANES):
        start = item(spans, 2 * (i + lane))
        ahead = item(spans, 2 * min(i + lane + LANES, spans.shape[0] - 1)) * n_columns + first
        for row in range(4):
            prefetch(table, ahead + row * n_columns)
        total = splat(_f(0))
        for row in range(start, start + item(spans, 2 * (i + lane) + 1)):
            total = total + vload(table, row * n_columns + first)
        vstore(totals, to + lane * LANES, total)
    transpose(totals, to, LANES, totals, to, LANES)


@scalar_helper
def write_columns(i: int, v_shN: Any, scratch: Any) -> None:
    """The columns in scratch, as rows of sixteen Gaussians."""
    held = v_shN.shape[1]
    if held < LANES:
        for lane in range(LANES):
            for k in range(held):
                v_shN[i + lane, k] = scratch[k * LANES + lane]
        return
    k = 0
    while k < held:
        start = min(k, held - LANES)
        transpose(scratch, start * LANES, LANES, v_shN, i * held + start, held)
        k += LANES
