"""The vector type, one operation after the other."""

from __future__ import annotations

import numba
import numpy as np

from ops.rendering.cpu import simd
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

f4 = np.float32


@numba.njit
def _every_operation(a, b, out, sums, flags):
    x = vload(a, 0)
    y = vload(b, 0)
    vstore(out, 0, x + y)
    vstore(out, 16, x - f4(2))
    vstore(out, 32, f4(3) * y)
    vstore(out, 48, x / y)
    vstore(out, 64, fma(x, y, f4(1)))
    vstore(out, 80, fnma(x, y, f4(1)))
    vstore(out, 96, vmin(x, y))
    vstore(out, 112, vneg(x))
    vstore(out, 128, vabs(x))
    vstore(out, 144, select(both(gt(x, f4(0)), ge(y, f4(1))), x, f4(-7)))
    vstore(out, 160, iota() + splat(f4(1)))
    vstore(out, 176, vfill(a, 3))
    sums[0] = vsum(x)
    store_sums(sums, 1, x, y, x + y, x - y, iota(), splat(f4(1)), vabs(x), vneg(y))
    flags[0] = any_lane(gt(x, f4(1e9)))
    flags[1] = any_lane(ge(x, x))


def test_operations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=16).astype(f4), rng.uniform(0.5, 2, 16).astype(f4)
    out, sums, flags = np.zeros(192, f4), np.zeros(9, f4), np.zeros(2, np.bool_)
    _every_operation(a, b, out, sums, flags)
    expected = [
        *(a + b, a - 2, 3 * b, a / b, a * b + 1, 1 - a * b, np.minimum(a, b), -a, abs(a)),
        *(np.where((a > 0) & (b >= 1), a, -7), np.arange(1, 17), np.full(16, a[3])),
    ]
    np.testing.assert_allclose(out.reshape(12, 16), expected, rtol=1e-6, atol=1e-6)
    vectors = [a, a, b, a + b, a - b, np.arange(16), np.ones(16), abs(a), -b]
    np.testing.assert_allclose(sums, [v.sum() for v in vectors], rtol=1e-5, atol=1e-5)
    assert flags.tolist() == [False, True]


@numba.njit
def _exp2_of(x, out):
    for i in range(0, len(x), 16):
        vstore(out, i, exp2(vload(x, i)))


def test_exp2():
    x = np.linspace(-125, 125, 16 * 4000).astype(f4)
    out = np.empty_like(x)
    _exp2_of(x, out)
    exact = np.exp2(x.astype(np.float64))
    assert np.abs(out / exact - 1).max() < 3e-7


def test_alignment():
    @numba.njit
    def address(size):
        array = aligned_empty(size)
        return array.ctypes.data, len(array)

    for size in (1, 16, 1000):
        at, length = address(size)
        assert at % 64 == 0
        assert length == size


def test_width_is_that_of_a_tile():
    from ops.rendering.cpu.binning import TILE

    assert simd.LANES == TILE
