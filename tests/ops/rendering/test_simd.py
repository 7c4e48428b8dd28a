"""The vector type, one operation after the other."""

from __future__ import annotations

import numba
import numpy as np

from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    exp,
    exp2,
    exp2_where,
    fma,
    fnma,
    ge,
    gt,
    highest,
    iota,
    log2,
    lowest,
    select,
    splat,
    unless,
    vabs,
    vceil,
    vfloor,
    vmax,
    vmin,
    vneg,
    vsqrt,
    vsum,
)
from ops.rendering.cpu.simd_matrix import (
    add_outer,
    add_products,
    load16,
    store16,
    transpose,
    weighted_sum,
    zero16,
)
from ops.rendering.cpu.simd_memory import (
    load2,
    load3,
    load4,
    load_block,
    load_block3,
    next_of,
    prefetch,
    store2,
    store2_whole,
    store3,
    store4,
    store_block,
    store_block3,
    sum16,
    vfill,
    vload,
    vstore,
)
from ops.rendering.cpu.tiles import (
    BLOCKS,
    blocks_in_image,
    inside_image,
    lowest_block,
    mask_of_rows,
    read_block,
    read_block3,
    transpose_masks,
    write_block,
    write_block3,
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
    vstore(out, 192, vmax(x, y))
    vstore(out, 208, vsqrt(y))
    vstore(out, 224, vfloor(x))
    vstore(out, 240, vceil(x))
    vstore(out, 256, select(unless(gt(x, f4(0)), ge(y, f4(1))), x, f4(-7)))
    sums[0] = vsum(x)
    sums[1], sums[2] = lowest(x), highest(x)
    one = splat(f4(1))
    sum16(sums, 3, (x, y, x + y, x - y, iota(), one, vabs(x), vneg(y), x, x, y, y, x, one, y, x))
    flags[0] = any_lane(gt(x, f4(1e9)))
    flags[1] = any_lane(ge(x, x))


def test_operations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=16).astype(f4), rng.uniform(0.5, 2, 16).astype(f4)
    out, sums, flags = np.zeros(272, f4), np.zeros(19, f4), np.zeros(2, np.bool_)
    _every_operation(a, b, out, sums, flags)
    expected = [
        *(a + b, a - 2, 3 * b, a / b, a * b + 1, 1 - a * b, np.minimum(a, b), -a, abs(a)),
        *(np.where((a > 0) & (b >= 1), a, -7), np.arange(1, 17), np.full(16, a[3])),
        *(np.maximum(a, b), np.sqrt(b), np.floor(a), np.ceil(a)),
        np.where((a > 0) & ~(b >= 1), a, -7),
    ]
    np.testing.assert_allclose(out.reshape(17, 16), expected, rtol=1e-6, atol=1e-6)
    one = np.ones(16)
    vectors = [a, b, a + b, a - b, np.arange(16), one, abs(a), -b, a, a, b, b, a, one, b, a]
    totals = [a.sum(), a.min(), a.max(), *[v.sum() for v in vectors]]
    np.testing.assert_allclose(sums, totals, rtol=1e-5, atol=1e-5)
    assert flags.tolist() == [False, True]


@numba.njit
def _columns(a, out2, out3, out4, whole, turned):
    store2(out2, 0, load2(a, 0))
    store2_whole(whole, 0, load2(a, 0))
    x, y, z = load3(a, 0)
    store3(out3, 0, (z, x, y))
    store4(out4, 0, load4(a, 0))
    prefetch(a, 64)
    transpose(a, 1, 17, turned, 0, 16)


def test_columns():
    a = np.arange(300, dtype=f4)
    out2, out3, out4 = np.zeros(32, f4), np.zeros(48, f4), np.zeros(64, f4)
    whole, turned = np.zeros(32, np.int32), np.zeros(256, f4)
    _columns(a, out2, out3, out4, whole, turned)
    np.testing.assert_array_equal(out2, a[:32])
    np.testing.assert_array_equal(whole, a[:32])
    np.testing.assert_array_equal(out3.reshape(16, 3), a[:48].reshape(16, 3)[:, [2, 0, 1]])
    np.testing.assert_array_equal(out4, a[:64])
    rows = a[1 : 1 + 16 * 17].reshape(16, 17)[:, :16]
    np.testing.assert_array_equal(turned.reshape(16, 16), rows.T)


@numba.njit
def _turned_in_place(a):
    transpose(a, 3, 16, a, 3, 16)


def test_transpose_in_place():
    a = np.arange(300, dtype=f4)
    expected = a.copy()
    expected[3:259] = a[3:259].reshape(16, 16).T.ravel()
    _turned_in_place(a)
    np.testing.assert_array_equal(a, expected)


@numba.njit
def _blocks(plane, image, plane_out, image_out, edge, direct):
    height, width = plane.shape
    for Y in range(0, height, 4):
        for X in range(0, width, 4):
            write_block(plane_out, Y, X, read_block(plane, Y, X, edge), edge)
            write_block3(image_out, Y, X, read_block3(image, Y, X, edge), edge)
    store_block(direct, 0, 8, load_block(plane, 0, width))
    store_block3(direct, 32, 12, load_block3(image, 0, 3 * width))


def test_blocks_of_images():
    rng = np.random.default_rng(0)
    for height, width in ((8, 12), (6, 5), (4, 7)):
        plane, image = (rng.normal(size=(height, width, *c)).astype(f4) for c in ((), (3,)))
        plane_out, image_out = np.zeros_like(plane), np.zeros_like(image)
        direct = np.zeros(80, f4)
        _blocks(plane, image, plane_out, image_out, np.zeros(48, f4), direct)
        np.testing.assert_array_equal(plane_out, plane)
        np.testing.assert_array_equal(image_out, image)
        np.testing.assert_array_equal(direct[:32].reshape(4, 8)[:, :4], plane[:4, :4])
        np.testing.assert_array_equal(direct[32:].reshape(4, 4, 3), image[:4, :4])


@numba.njit
def _mask(ends_and_begins):
    return mask_of_rows(vload(ends_and_begins, 0))


@numba.njit
def _in_image(width, height):
    blocks, pixels = blocks_in_image(0, 0, width, height), 0
    out = np.zeros(16, f4)
    for block in range(BLOCKS):
        vstore(out, 0, select(inside_image(block, 0, 0, width, height), splat(f4(1)), f4(0)))
        pixels += int(out.sum())
    return blocks, pixels, lowest_block(blocks)


def test_masks_of_blocks():
    rng = np.random.default_rng(0)
    for _ in range(50):
        end, begin = rng.integers(0, 9, 8), rng.integers(0, 9, 8)
        expected = 0
        for row in range(8):
            for column in range(begin[row], end[row]):
                expected |= 1 << (row * 8 + column)
        assert _mask(np.concatenate([end, begin]).astype(f4)) & (2**64 - 1) == expected
    for width, height in ((32, 32), (40, 3), (1, 1), (30, 29)):
        blocks, pixels, lowest_one = _in_image(width, height)
        w, h = min(width, 32), min(height, 32)
        assert pixels == w * h
        assert lowest_one == 0
        assert (blocks & (2**64 - 1)).bit_count() == -(-w // 4) * -(-h // 4)


@numba.njit
def _count(counter):
    return next_of(counter)


def test_counting_up():
    counter = np.zeros(1, np.int64)
    assert [_count(counter) for _ in range(3)] == [0, 1, 2]
    assert counter[0] == 3


@numba.njit
def _exp_of(x, out):
    for i in range(0, len(x), 16):
        vstore(out, i, exp(vload(x, i)))


@numba.njit
def _log2_of(x, out):
    for i in range(0, len(x), 16):
        vstore(out, i, log2(vload(x, i)))


def test_exp_and_log2():
    x = np.linspace(-86.9, 86.9, 16 * 4000).astype(f4)
    out = np.empty_like(x)
    _exp_of(x, out)
    assert np.abs(out / np.exp(x.astype(np.float64)) - 1).max() < 4e-7
    extreme = np.array([-np.inf, -1e30, -88, 88, 1e30, np.inf, *[0.0] * 10], f4)
    _exp_of(extreme, out)
    assert (out[:16] > 0).all()
    assert np.isfinite(out[:16]).all()
    x = np.exp(np.linspace(-86, 86, 16 * 4000)).astype(f4)
    x[:32] = np.linspace(0.99, 1.01, 32)
    _log2_of(x, out)
    exact = np.log2(x.astype(np.float64))
    assert (np.abs(out - exact) / np.maximum(1, np.abs(exact))).max() < 2e-7


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


@numba.njit
def _exp2_above(x, low, out):
    for i in range(0, len(x), 16):
        exponent = vload(x, i)
        vstore(out, i, exp2_where(ge(exponent, low), exponent))


def test_exp2_where():
    """As this processor does it, and nothing outside the mask, whatever stands there."""
    x = np.linspace(-125, 1, 16 * 4000).astype(f4)
    x[::16], x[1::16], x[2::16] = np.nan, -np.inf, -1e30
    out = np.empty_like(x)
    low = f4(-20)
    _exp2_above(x, low, out)
    inside = x >= low
    assert inside.any()
    exact = np.exp2(x[inside].astype(np.float64))
    assert np.abs(out[inside] / exact - 1).max() < 3e-7
    assert (out[~inside] == 0).all()


@numba.njit
def _transposed(masks, at, out):
    transpose_masks(masks, at, out)


def test_transpose_masks():
    masks = np.random.default_rng(0).integers(-(2**63), 2**63, 70, np.int64)
    out = np.zeros(64, np.int64)
    _transposed(masks, 5, out)
    bits = (masks[5:69, None] >> np.arange(64)) & 1
    found = (out[None, :] >> np.arange(64)[:, None]) & 1
    np.testing.assert_array_equal(found, bits)


def test_alignment():
    from ops.rendering.cpu.jit import aligned, workspace

    for shape in ((1,), (3, 5), (7, 2, 16)):
        assert aligned(*shape).shape == shape
        assert aligned(*shape).ctypes.data % 64 == 0
    rows = workspace(3, 17)
    assert rows.shape[0] == 3
    assert rows.shape[1] >= 17
    assert all(row.ctypes.data % 64 == 0 for row in rows)


def test_a_vector_is_a_block():
    from ops.rendering.cpu.tiles import BLOCK

    assert LANES == BLOCK * BLOCK


@numba.njit
def _matrix_products(a, b, c, out):
    """Of 16 x 16 arrays: b + outer(a[1], c[0]); b * c[0]; the sum of a[1, k] b[k]."""
    sums = add_outer(load16(b, 0), vload(c, 0), a, 16)
    store16(out, 0, sums)
    store16(out, 256, add_products(zero16(), vload(c, 0), b, 0))
    vstore(out, 512, weighted_sum(load16(b, 0), a, 16))


def test_matrix_products():
    a, b, c = (np.random.default_rng(i).normal(size=(16, 16)).astype(np.float32) for i in range(3))
    out = np.zeros(528, np.float32)
    _matrix_products(a, b, c, out)
    exact = [v.astype(np.float64) for v in (a, b, c)]
    outer = exact[1] + exact[0][1][:, None] * exact[2][0]
    np.testing.assert_allclose(out[:256].reshape(16, 16), outer, atol=1e-6)
    np.testing.assert_allclose(out[256:512].reshape(16, 16), exact[1] * exact[2][0], atol=1e-6)
    np.testing.assert_allclose(out[512:], exact[0][1] @ exact[1], atol=1e-5)
