"""L1 and SSIM between two photos with the gradient, compiled for the CPU.

SSIM as 3DGS trains with it (Wang et al. 2004; Kerbl et al. 2023): an 11 x 11 Gaussian window of
standard deviation 1.5, zeros outside the image, the mean over pixels and channels.

Images are rows of interleaved colour, so a horizontal blur is a sum over every ``channels``-th
value and every loop below runs over one contiguous row, which LLVM vectorises. A row's result
does not depend on which thread computes it, and sums over rows are taken in order: the same bytes
for any number of threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.rendering.cpu.jit import helper, kernel, run, threads

RADIUS = 5
TAPS = 2 * RADIUS + 1
C1 = 0.01**2
C2 = 0.03**2

Floats = NDArray[np.float32]


def window(sigma: float = 1.5) -> NDArray[np.float64]:
    """[11] the normalised Gaussian whose outer product with itself is SSIM's window."""
    g = np.exp(-((np.arange(TAPS) - RADIUS) ** 2) / (2 * sigma**2))
    return np.asarray(g / g.sum())


@dataclass(frozen=True)
class Similarity:
    """How alike two images are over the pixels that count, and the loss's gradient."""

    l1: float  # mean absolute difference over pixels and channels
    mse: float  # mean squared difference over pixels and channels
    ssim: float  # mean structural similarity over pixels and channels
    gradient: Floats  # [H, W, C] of (1 - weight) l1 + weight (1 - ssim) by the first image


def compare(
    image: Floats, target: Floats, weights: Floats | None, ssim_weight: float
) -> Similarity:
    """L1, MSE and SSIM of ``image`` against ``target``, and the gradient of the training loss.

    A pixel of weight 0 counts as one outside the image does: it is 0 in both images where the
    window reaches it, and no mean includes it.

    Args:
        image: [H, W, C] float32.
        target: [H, W, C] float32.
        weights: [H, W] float32, 1 where a pixel counts and 0 where not; None: all count.
        ssim_weight: lambda of ``(1 - lambda) L1 + lambda (1 - SSIM)``.
    """
    height, width, channels = image.shape
    if weights is None:
        weights = np.ones((height, width), np.float32)
    counted = float(weights.sum(dtype=np.float64)) * channels
    if counted == 0:
        return Similarity(0.0, 0.0, 1.0, np.zeros_like(image))
    shape = (height, width * channels)
    planes, adjoints, spread = _workspace(shape)
    gradient = np.empty(shape, np.float32)
    sums = np.zeros((3, height))
    image, target, weights = (np.ascontiguousarray(v) for v in (image, target, weights))
    parts = min(threads(), height)
    run(parts, _moments, image.reshape(shape), target.reshape(shape), weights, planes, spread, sums)
    run(parts, _similarity, planes, spread, channels, adjoints, sums)
    slope_l1 = np.float32((1 - ssim_weight) / counted)
    slope_ssim = np.float32(-ssim_weight / counted)
    run(parts, _gradient, planes, adjoints, spread, channels, slope_l1, slope_ssim, gradient)
    # cumsum adds in order, whatever the length; sum does not promise to.
    l1, mse, ssim = (float(np.cumsum(rows)[-1]) / counted for rows in sums)
    return Similarity(l1, mse, ssim, gradient.reshape(height, width, channels))


_kept = threading.local()


def _workspace(shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Images with five rows of zeros above and below, and one without.

    Each thread keeps those of the last shape: fresh memory costs as much as the kernels do.
    """
    if getattr(_kept, "shape", None) != shape:
        height, length = shape
        _kept.arrays = (
            np.zeros((4, height + 2 * RADIUS, length), np.float32),
            np.zeros((3, height + 2 * RADIUS, length), np.float32),
            np.zeros(shape, np.float32),
        )
        _kept.shape = shape
    arrays: tuple[Floats, Floats, Floats] = _kept.arrays
    return arrays


_G0, _G1, _G2, _G3, _G4, _G5 = (np.float32(g) for g in window()[: RADIUS + 1])
_C1, _C2 = np.float32(C1), np.float32(C2)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_LANES = 16


@helper
def _blur_columns(plane: Any, y: Any, out: Any) -> None:
    """Blur rows y .. y + 10 of a padded plane into one; the window is symmetric."""
    r0, r1, r2, r3 = plane[y], plane[y + 1], plane[y + 2], plane[y + 3]
    r4, r5, r6, r7 = plane[y + 4], plane[y + 5], plane[y + 6], plane[y + 7]
    r8, r9, r10 = plane[y + 8], plane[y + 9], plane[y + 10]
    # Two loops, because LLVM vectorises none that has more than eight pointers to compare.
    for i in range(len(out)):
        out[i] = _G0 * (r0[i] + r10[i]) + _G1 * (r1[i] + r9[i]) + _G2 * (r2[i] + r8[i])
    for i in range(len(out)):
        out[i] += _G3 * (r3[i] + r7[i]) + _G4 * (r4[i] + r6[i]) + _G5 * r5[i]


@helper
def _blur_row(row: Any, step: Any, out: Any) -> None:
    """Blur a row that has ``5 step`` zeros on both sides over every ``step``-th value."""
    n = len(out)
    r0, r1, r2, r3 = row[:n], row[step : n + step], row[2 * step :], row[3 * step :]
    r4, r5, r6, r7 = row[4 * step :], row[5 * step :], row[6 * step :], row[7 * step :]
    r8, r9, r10 = row[8 * step :], row[9 * step :], row[10 * step :]
    for i in range(n):
        out[i] = _G0 * (r0[i] + r10[i]) + _G1 * (r1[i] + r9[i]) + _G2 * (r2[i] + r8[i])
    for i in range(n):
        out[i] += _G3 * (r3[i] + r7[i]) + _G4 * (r4[i] + r6[i]) + _G5 * r5[i]


@helper
def _total(row: Any) -> Any:
    """The sum of a row in float64, in an order that does not stand in the way of vectors."""
    lanes = np.zeros(_LANES)
    whole = len(row) // _LANES
    for block in range(whole):
        piece = row[block * _LANES : (block + 1) * _LANES]
        for lane in range(_LANES):
            lanes[lane] += np.float64(piece[lane])
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    for i in range(whole * _LANES, len(row)):
        total += np.float64(row[i])
    return total


@kernel(
    "void(int64, int64, float32[:,::1], float32[:,::1], float32[:,::1], float32[:,:,::1],"
    " float32[:,::1], float64[:,::1])",
    scalar_maths=True,
)
def _moments(
    part: Any,
    parts: Any,
    image: Any,
    target: Any,
    weights: Any,
    planes: Any,
    spread: Any,
    sums: Any,
) -> None:
    """x, y, x^2 + y^2 and xy with what does not count set to 0, weights per value, L1 and MSE."""
    height, n = image.shape
    channels = n // weights.shape[1]
    error = np.empty(n, np.float32)
    for y in range(height * part // parts, height * (part + 1) // parts):
        w = spread[y]
        for x in range(weights.shape[1]):
            for c in range(channels):
                w[x * channels + c] = weights[y, x]
        a, b = image[y], target[y]
        x0, y0 = planes[0, y + RADIUS], planes[1, y + RADIUS]
        squares, product = planes[2, y + RADIUS], planes[3, y + RADIUS]
        for i in range(n):
            # Chosen, not multiplied: a value that does not count may be NaN.
            x0[i] = a[i] if w[i] > _ZERO else _ZERO
            y0[i] = b[i] if w[i] > _ZERO else _ZERO
        for i in range(n):
            squares[i] = x0[i] * x0[i] + y0[i] * y0[i]
            product[i] = x0[i] * y0[i]
        for i in range(n):
            error[i] = abs(x0[i] - y0[i])
        sums[0, y] = _total(error)
        for i in range(n):
            error[i] *= error[i]
        sums[1, y] = _total(error)


@kernel(
    "void(int64, int64, float32[:,:,::1], float32[:,::1], int64, float32[:,:,::1], float64[:,::1])",
    scalar_maths=True,
)
def _similarity(
    part: Any, parts: Any, planes: Any, spread: Any, channels: Any, adjoints: Any, sums: Any
) -> None:
    """The sum of SSIM, and its derivatives by the three blurs that depend on x.

    With m = blur(x), n = blur(y), q = blur(x^2 + y^2), p = blur(xy):
    SSIM = A1 A2 / (B1 B2), A1 = 2mn + C1, A2 = 2(p - mn) + C2, B1 = m^2 + n^2 + C1 and
    B2 = q - m^2 - n^2 + C2.
    """
    height, length = spread.shape
    pad = RADIUS * channels
    scratch = np.zeros((5, length + 2 * pad), np.float32)
    column = scratch[4]
    m, n = scratch[0, pad : pad + length], scratch[1, pad : pad + length]
    q, p = scratch[2, pad : pad + length], scratch[3, pad : pad + length]
    for y in range(height * part // parts, height * (part + 1) // parts):
        for k in range(4):
            _blur_columns(planes[k], y, column[pad : pad + length])
            _blur_row(column, channels, scratch[k, pad : pad + length])
        w = spread[y]
        for i in range(length):
            mn, mm = m[i] * n[i], m[i] * m[i] + n[i] * n[i]
            A1, A2 = _TWO * mn + _C1, _TWO * (p[i] - mn) + _C2
            B1, B2 = mm + _C1, q[i] - mm + _C2
            inverse = w[i] / (B1 * B2)
            ssim = A1 * A2 * inverse
            by_q = -ssim / B2
            by_p = _TWO * A1 * inverse
            by_m = _TWO * n[i] * A2 * inverse - _TWO * m[i] * ssim / B1
            m[i] = by_m - _TWO * m[i] * by_q - n[i] * by_p
            q[i] = by_q
            p[i] = by_p
            n[i] = ssim
        adjoints[0, y + RADIUS, :] = m
        adjoints[1, y + RADIUS, :] = q
        adjoints[2, y + RADIUS, :] = p
        sums[2, y] = _total(n)


@kernel(
    "void(int64, int64, float32[:,:,::1], float32[:,:,::1], float32[:,::1], int64, float32,"
    " float32, float32[:,::1])",
    scalar_maths=True,
)
def _gradient(
    part: Any,
    parts: Any,
    planes: Any,
    adjoints: Any,
    spread: Any,
    channels: Any,
    slope_l1: Any,
    slope_ssim: Any,
    gradient: Any,
) -> None:
    """The loss's gradient by x: the window is symmetric, so its adjoint is itself."""
    height, length = spread.shape
    pad = RADIUS * channels
    scratch = np.zeros((4, length + 2 * pad), np.float32)
    column = scratch[3]
    by_m, by_q = scratch[0, pad : pad + length], scratch[1, pad : pad + length]
    by_p = scratch[2, pad : pad + length]
    for y in range(height * part // parts, height * (part + 1) // parts):
        for k in range(3):
            _blur_columns(adjoints[k], y, column[pad : pad + length])
            _blur_row(column, channels, scratch[k, pad : pad + length])
        w = spread[y]
        a, b, out = planes[0, y + RADIUS], planes[1, y + RADIUS], gradient[y]
        for i in range(length):
            d = a[i] - b[i]
            sign = _ONE if d > _ZERO else (-_ONE if d < _ZERO else _ZERO)
            by_ssim = by_m[i] + _TWO * a[i] * by_q[i] + b[i] * by_p[i]
            out[i] = (slope_ssim * by_ssim + slope_l1 * sign) * w[i]
