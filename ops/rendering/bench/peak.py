"""The most fused multiply-adds that this machine does, measured with the renderer's vector type."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from ops.rendering.bench.timing import run_timed
from ops.rendering.cpu.jit import kernel
from ops.rendering.cpu.simd import LANES, fma, splat
from ops.rendering.cpu.simd_memory import vload, vstore

_f = np.float32

# Chains of dependent operations. A wide machine (two units, four cycles each) needs eight vectors
# of 16 at once and has registers for 32; a machine that takes two or four registers for each of
# our vectors needs fewer and would run out of registers with so many. The better one counts.
_MANY, _FEW = 12, 6
_STEPS = 2_000_000  # of every chain in one call: some milliseconds
_SECONDS = 0.25


@kernel("void(i8, i8, i8, f4[::1], f4[:,::1])")
def _many_chains(part: int, parts: int, steps: int, factors: Any, out: Any) -> None:
    a = splat(factors[0])
    b = splat(factors[1])
    c0 = vload(out, part * LANES)  # chains that start alike could become one
    c1 = c0 + _f(1)
    c2 = c0 + _f(2)
    c3 = c0 + _f(3)
    c4 = c0 + _f(4)
    c5 = c0 + _f(5)
    c6 = c0 + _f(6)
    c7 = c0 + _f(7)
    c8 = c0 + _f(8)
    c9 = c0 + _f(9)
    c10 = c0 + _f(10)
    c11 = c0 + _f(11)
    for _ in range(steps):
        c0 = fma(c0, a, b)
        c1 = fma(c1, a, b)
        c2 = fma(c2, a, b)
        c3 = fma(c3, a, b)
        c4 = fma(c4, a, b)
        c5 = fma(c5, a, b)
        c6 = fma(c6, a, b)
        c7 = fma(c7, a, b)
        c8 = fma(c8, a, b)
        c9 = fma(c9, a, b)
        c10 = fma(c10, a, b)
        c11 = fma(c11, a, b)
    total = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11
    vstore(out, part * LANES, total)


@kernel("void(i8, i8, i8, f4[::1], f4[:,::1])")
def _few_chains(part: int, parts: int, steps: int, factors: Any, out: Any) -> None:
    a = splat(factors[0])
    b = splat(factors[1])
    c0 = vload(out, part * LANES)  # chains that start alike could become one
    c1 = c0 + _f(1)
    c2 = c0 + _f(2)
    c3 = c0 + _f(3)
    c4 = c0 + _f(4)
    c5 = c0 + _f(5)
    for _ in range(steps):
        c0 = fma(c0, a, b)
        c1 = fma(c1, a, b)
        c2 = fma(c2, a, b)
        c3 = fma(c3, a, b)
        c4 = fma(c4, a, b)
        c5 = fma(c5, a, b)
    vstore(out, part * LANES, c0 + c1 + c2 + c3 + c4 + c5)


class Peak(NamedTuple):
    """What the machine gave in the best of many short runs."""

    gflops: float  # of float32, an fma counted as two; by wall time
    cores: float  # processor time per wall time: less than the threads where others had a share


def fma_peak(threads: int, seconds: float = _SECONDS) -> Peak:
    """The peak of float32 arithmetic.

    Args:
        threads: How many threads work at the same time.
        seconds: How long to go on trying, for each of two kernels.
    """
    factors = np.array([0.999, 1e-3], np.float32)
    best = Peak(0.0, 0.0)
    for compiled, chains in ((_many_chains, _MANY), (_few_chains, _FEW)):
        flops = 2 * LANES * chains * _STEPS * threads
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            out = np.ones((threads, LANES), np.float32)
            wall, cpu = run_timed(threads, compiled, _STEPS, factors, out)
            best = max(best, Peak(flops / wall / 1e9, cpu / wall))
    return best
