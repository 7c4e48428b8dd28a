"""L1 and SSIM between two photos with the gradient, compiled for the CPU.

SSIM as 3DGS trains with it (Wang et al. 2004; Kerbl et al. 2023): an 11 x 11 Gaussian window of
standard deviation 1.5, zeros outside the image, the mean over pixels and channels.

Images are rows of interleaved colour, so a horizontal blur is a sum over every ``channels``-th
value, and sixteen values are worked on at once. A row's result does not depend on which thread
computes it, and sums over rows are taken in order: the same bytes for any number of threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.rendering.cpu.jit import aligned, helper, kernel, workspace
from ops.rendering.cpu.simd import LANES, fma, gt, select, splat, vabs
from ops.rendering.cpu.simd_memory import vload, vstore
from ops.rendering.cpu.team import run, threads

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
    length = width * channels
    planes, adjoints, spread = _workspace(height, length)
    gradient = np.empty((height, length), np.float32)
    sums = np.zeros((3, height))
    image, target, weights = (np.ascontiguousarray(v) for v in (image, target, weights))
    parts = min(threads(), height)
    flat = (image.reshape(height, length), target.reshape(height, length))
    run(parts, _moments, *flat, weights, planes, spread, sums)
    lines = workspace(parts, _LINES * _line_length(spread.shape[1], channels))
    run(parts, _similarity, lines, planes, spread, channels, adjoints, sums)
    slope_l1 = np.float32((1 - ssim_weight) / counted)
    slope_ssim = np.float32(-ssim_weight / counted)
    slopes = (slope_l1, slope_ssim)
    run(parts, _gradient, lines, planes, adjoints, spread, channels, *slopes, gradient)
    # cumsum adds in order, whatever the length; sum does not promise to.
    l1, mse, ssim = (float(np.cumsum(rows)[-1]) / counted for rows in sums)
    return Similarity(l1, mse, ssim, gradient.reshape(height, width, channels))


_kept = threading.local()


def _workspace(height: int, length: int) -> tuple[Floats, Floats, Floats]:
    """Rows of whole vectors, 0 behind the image: four and three planes with five more rows of
    zeros above and below, and one without.

    Each thread keeps those of the last shape: fresh memory costs as much as the kernels do.
    """
    if getattr(_kept, "shape", None) != (height, length):
        whole = -(-length // LANES) * LANES
        rows = height + 2 * RADIUS
        _kept.arrays = (aligned(4, rows, whole), aligned(3, rows, whole), aligned(height, whole))
        for array in _kept.arrays:
            array.fill(0)
        _kept.shape = (height, length)
    arrays: tuple[Floats, Floats, Floats] = _kept.arrays
    return arrays


_G0, _G1, _G2, _G3, _G4, _G5 = (np.float32(g) for g in window()[: RADIUS + 1])
_C1, _C2 = np.float32(C1), np.float32(C2)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_LINES = 5  # rows that a part works in


@helper
def _margin(channels: int) -> int:
    """Zeros on both sides of a line, which a window reaches into: whole vectors."""
    return (RADIUS * channels + LANES - 1) // LANES * LANES


def _line_length(length: int, channels: int) -> int:
    return length + 2 * -(-RADIUS * channels // LANES) * LANES


@helper
def _window(array: Any, at: Any, step: Any) -> Any:
    """The window over the values at, at + step, ..., at + 10 step; it is symmetric."""
    total = (vload(array, at) + vload(array, at + 10 * step)) * _G0
    total = fma(vload(array, at + step) + vload(array, at + 9 * step), _G1, total)
    total = fma(vload(array, at + 2 * step) + vload(array, at + 8 * step), _G2, total)
    total = fma(vload(array, at + 3 * step) + vload(array, at + 7 * step), _G3, total)
    total = fma(vload(array, at + 4 * step) + vload(array, at + 6 * step), _G4, total)
    return fma(vload(array, at + 5 * step), _G5, total)


@helper
def _blur(plane: Any, y: Any, channels: Any, lines: Any, line: Any, to: Any) -> None:
    """Blur row y of a padded plane into the line at ``to``, by way of the one at ``line``."""
    length = plane.shape[1]
    margin = _margin(channels)
    for i in range(0, length, LANES):
        vstore(lines, line + margin + i, _window(plane, y * length + i, length))
    start = line + margin - RADIUS * channels
    for i in range(0, length, LANES):
        vstore(lines, to + margin + i, _window(lines, start + i, channels))


@helper
def _clear(lines: Any) -> None:
    for i in range(0, len(lines), LANES):
        vstore(lines, i, splat(_ZERO))


@helper
def _total(a: Any, edge: Any) -> Any:
    """The sum of the lanes in float64, in order."""
    vstore(edge, 0, a)
    total = 0.0
    for lane in range(LANES):
        total += np.float64(edge[lane])
    return total


@kernel(
    "void(int64, int64, float32[:,::1], float32[:,::1], float32[:,::1], float32[:,:,::1],"
    " float32[:,::1], float64[:,::1])",
    scalar_maths=True,
    allocates=True,
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
    width = weights.shape[1]
    channels = n // width
    edge = np.empty(3 * LANES, np.float32)
    planes0, planes1 = planes[0], planes[1]
    planes2, planes3 = planes[2], planes[3]
    whole = spread.shape[1]
    for y in range(height * part // parts, height * (part + 1) // parts):
        for x in range(width):
            w = weights[y, x]
            for c in range(channels):
                spread[y, x * channels + c] = w
        l1, squares = splat(_ZERO), splat(_ZERO)
        for i in range(0, whole, LANES):
            if i + LANES <= n:
                a, b = vload(image, y * n + i), vload(target, y * n + i)
            else:
                for k in range(LANES):
                    edge[k] = image[y, i + k] if i + k < n else _ZERO
                    edge[LANES + k] = target[y, i + k] if i + k < n else _ZERO
                a, b = vload(edge, 0), vload(edge, LANES)
            # Chosen, not multiplied: a value that does not count may be NaN.
            counts = gt(vload(spread, y * whole + i), _ZERO)
            a, b = select(counts, a, _ZERO), select(counts, b, _ZERO)
            o = (y + RADIUS) * whole + i
            vstore(planes0, o, a)
            vstore(planes1, o, b)
            vstore(planes2, o, a * a + b * b)
            vstore(planes3, o, a * b)
            difference = a - b
            l1 = l1 + vabs(difference)
            squares = squares + difference * difference
        sums[0, y] = _total(l1, edge)
        sums[1, y] = _total(squares, edge)


@kernel(
    "void(int64, int64, float32[:,::1], float32[:,:,::1], float32[:,::1], int64, float32[:,:,::1],"
    " float64[:,::1])",
    scalar_maths=True,
)
def _similarity(
    part: Any,
    parts: Any,
    space: Any,
    planes: Any,
    spread: Any,
    channels: Any,
    adjoints: Any,
    sums: Any,
) -> None:
    """The sum of SSIM, and its derivatives by the three blurs that depend on x.

    With m = blur(x), n = blur(y), q = blur(x^2 + y^2), p = blur(xy):
    SSIM = A1 A2 / (B1 B2), A1 = 2mn + C1, A2 = 2(p - mn) + C2, B1 = m^2 + n^2 + C1 and
    B2 = q - m^2 - n^2 + C2.
    """
    height, length = spread.shape
    margin = _margin(channels)
    size = length + 2 * margin
    lines = space[part]
    _clear(lines)
    by0, by1, by2 = adjoints[0], adjoints[1], adjoints[2]
    for y in range(height * part // parts, height * (part + 1) // parts):
        for k in range(4):
            _blur(planes[k], y, channels, lines, 4 * size, k * size)
        total = splat(_ZERO)
        for i in range(0, length, LANES):
            o = margin + i
            m, n = vload(lines, o), vload(lines, size + o)
            q, p = vload(lines, 2 * size + o), vload(lines, 3 * size + o)
            mn, mm = m * n, m * m + n * n
            A1, A2 = mn * _TWO + _C1, (p - mn) * _TWO + _C2
            B1, B2 = mm + _C1, q - mm + _C2
            inverse = vload(spread, y * length + i) / (B1 * B2)
            ssim = A1 * A2 * inverse
            by_q = _ZERO - ssim / B2
            by_p = A1 * inverse * _TWO
            by_m = (n * A2 * inverse - m * ssim / B1) * _TWO
            o = (y + RADIUS) * length + i
            vstore(by0, o, by_m - m * by_q * _TWO - n * by_p)
            vstore(by1, o, by_q)
            vstore(by2, o, by_p)
            total = total + ssim
        sums[2, y] = _total(total, lines[4 * size + margin :])


@kernel(
    "void(int64, int64, float32[:,::1], float32[:,:,::1], float32[:,:,::1], float32[:,::1], int64,"
    " float32, float32, float32[:,::1])",
    scalar_maths=True,
)
def _gradient(
    part: Any,
    parts: Any,
    space: Any,
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
    n = gradient.shape[1]
    margin = _margin(channels)
    size = length + 2 * margin
    lines = space[part]
    _clear(lines)
    planes0, planes1 = planes[0], planes[1]
    one, minus = splat(_ONE), splat(-_ONE)
    for y in range(height * part // parts, height * (part + 1) // parts):
        for k in range(3):
            _blur(adjoints[k], y, channels, lines, 4 * size, k * size)
        for i in range(0, length, LANES):
            o = margin + i
            a = vload(planes0, (y + RADIUS) * length + i)
            b = vload(planes1, (y + RADIUS) * length + i)
            sign = select(gt(a, b), one, select(gt(b, a), minus, _ZERO))
            by_ssim = vload(lines, o) + a * vload(lines, size + o) * _TWO
            by_ssim = by_ssim + b * vload(lines, 2 * size + o)
            value = (by_ssim * slope_ssim + sign * slope_l1) * vload(spread, y * length + i)
            if i + LANES <= n:
                vstore(gradient, y * n + i, value)
            else:
                vstore(lines, 3 * size + margin, value)
                for k in range(n - i):
                    gradient[y, i + k] = lines[3 * size + margin + k]
