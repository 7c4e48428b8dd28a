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
from ops.rendering.cpu.team import finish, run
from ops.threads import threads

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
    counted = height * width if weights is None else float(weights.sum(dtype=np.float64))
    counted *= channels
    if counted == 0:
        return Similarity(0.0, 0.0, 1.0, np.zeros_like(image))
    length = width * channels
    kept = _workspace(height, length)
    x, y, spread = kept.x, kept.y, kept.ones if weights is None else kept.spread
    given = _NO_WEIGHTS if weights is None else np.ascontiguousarray(weights)
    gradient = np.empty((height, length), np.float32)
    sums = np.zeros((3, height))
    flat = (np.ascontiguousarray(v).reshape(height, length) for v in (image, target))
    parts = min(threads(), height)
    run(parts, _keep, *flat, given, channels, x, y, spread, sums)
    lines = workspace(parts, ROWS * 4 * _line_length(spread.shape[1], channels) + LANES)
    run(parts, _similarity, lines, x, y, spread, channels, kept.adjoints, sums)
    slope_l1 = np.float32((1 - ssim_weight) / counted)
    slope_ssim = np.float32(-ssim_weight / counted)
    slopes = (slope_l1, slope_ssim)
    run(parts, _gradient, lines, x, y, kept.adjoints, spread, channels, *slopes, gradient)
    # cumsum adds in order, whatever the length; sum does not promise to.
    l1, mse, ssim = (float(total) / counted for total in np.cumsum(sums, axis=1)[:, -1])
    return Similarity(l1, mse, ssim, gradient.reshape(height, width, channels))


_NO_WEIGHTS = np.empty((0, 0), np.float32)
_kept = threading.local()


@dataclass(frozen=True)
class _Workspace:
    """Rows of whole vectors, 0 behind the image. Planes have rows of zeros above and below, as far
    as a window reaches."""

    x: Floats  # [rows, length]
    y: Floats
    adjoints: Floats  # [3, rows, length]
    spread: Floats  # [height, length] the weight of every value
    ones: Floats  # the same where all count


def _workspace(height: int, length: int) -> _Workspace:
    """That of the calling thread, kept while the shape stays: fresh memory costs as much as the
    kernels do."""
    if getattr(_kept, "shape", None) != (height, length):
        whole = -(-length // LANES) * LANES
        rows = height + 2 * RADIUS + ROWS - 1
        shapes = ((rows, whole), (rows, whole), (3, rows, whole), (height, whole), (height, whole))
        arrays = [aligned(*shape) for shape in shapes]
        for array in arrays:
            array.fill(0)
        arrays[-1][:, :length] = 1
        _kept.workspace, _kept.shape = _Workspace(*arrays), (height, length)
    found: _Workspace = _kept.workspace
    return found


ROWS = 2  # worked on at once: most of what a window reads is read for both
_G0, _G1, _G2, _G3, _G4, _G5 = (np.float32(g) for g in window()[: RADIUS + 1])
_WINDOW = window().astype(np.float32)
_C1, _C2 = np.float32(C1), np.float32(C2)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


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
def _down(plane: Any, at: Any, step: Any) -> Any:
    """The windows over the values at, at + step, ..., at + 10 step, and over those a step on."""
    row = vload(plane, at)
    upper = row * _WINDOW[0]
    row = vload(plane, at + step)
    upper, lower = fma(row, _WINDOW[1], upper), row * _WINDOW[0]
    for tap in range(2, TAPS):
        row = vload(plane, at + tap * step)
        upper, lower = fma(row, _WINDOW[tap], upper), fma(row, _WINDOW[tap - 1], lower)
    return upper, fma(vload(plane, at + TAPS * step), _WINDOW[TAPS - 1], lower)


@helper
def _moments(x: Any, y: Any, weight: Any, sums: Any) -> Any:
    """Adds x, y, x^2 + y^2 and xy."""
    m, n, q, p = sums
    wx, wy = x * weight, y * weight
    return m + wx, n + wy, fma(wx, x, fma(wy, y, q)), fma(wx, y, p)


@helper
def _moments_down(x: Any, y: Any, at: Any, step: Any) -> Any:
    """As :func:`_down` of the four moments."""
    zero = splat(_ZERO)
    upper = _moments(vload(x, at), vload(y, at), _WINDOW[0], (zero, zero, zero, zero))
    lower = (zero, zero, zero, zero)
    for tap in range(1, TAPS):
        a, b = vload(x, at + tap * step), vload(y, at + tap * step)
        upper = _moments(a, b, _WINDOW[tap], upper)
        lower = _moments(a, b, _WINDOW[tap - 1], lower)
    a, b = vload(x, at + TAPS * step), vload(y, at + TAPS * step)
    return upper, _moments(a, b, _WINDOW[TAPS - 1], lower)


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
    "void(i8, i8, f4[:,::1], f4[:,::1], f4[:,::1], i8, f4[:,::1], f4[:,::1], f4[:,::1], f8[:,::1])",
    scalar_maths=True,
    allocates=True,
)
def _keep(
    part: Any,
    parts: Any,
    image: Any,
    target: Any,
    weights: Any,
    channels: Any,
    x: Any,
    y: Any,
    spread: Any,
    sums: Any,
) -> None:
    """Both images with what does not count set to 0, weights per value, and sums of L1 and MSE."""
    height, n = image.shape
    edge = np.empty(3 * LANES, np.float32)
    whole = spread.shape[1]
    for row in range(height * part // parts, height * (part + 1) // parts):
        for column in range(weights.shape[1]):
            for c in range(channels):
                spread[row, column * channels + c] = weights[row, column]
        l1, squares = splat(_ZERO), splat(_ZERO)
        for i in range(0, whole, LANES):
            if i + LANES <= n:
                a, b = vload(image, row * n + i), vload(target, row * n + i)
            else:
                for k in range(LANES):
                    edge[k] = image[row, i + k] if i + k < n else _ZERO
                    edge[LANES + k] = target[row, i + k] if i + k < n else _ZERO
                a, b = vload(edge, 0), vload(edge, LANES)
            # Chosen, not multiplied: a value that does not count may be NaN.
            counts = gt(vload(spread, row * whole + i), _ZERO)
            a, b = select(counts, a, _ZERO), select(counts, b, _ZERO)
            o = (row + RADIUS) * whole + i
            vstore(x, o, a)
            vstore(y, o, b)
            difference = a - b
            l1 = l1 + vabs(difference)
            squares = squares + difference * difference
        sums[0, row] = _total(l1, edge)
        sums[1, row] = _total(squares, edge)
    finish(part, parts)


@kernel(
    "void(i8, i8, f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], i8, f4[:,:,::1], f8[:,::1])",
    scalar_maths=True,
)
def _similarity(
    part: Any,
    parts: Any,
    space: Any,
    x: Any,
    y: Any,
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
    last = height * (part + 1) // parts
    for first in range(height * part // parts, last, ROWS):
        for i in range(0, length, LANES):
            upper, lower = _moments_down(x, y, first * length + i, length)
            o = margin + i
            vstore(lines, o, upper[0])
            vstore(lines, o + size, upper[1])
            vstore(lines, o + 2 * size, upper[2])
            vstore(lines, o + 3 * size, upper[3])
            vstore(lines, o + 4 * size, lower[0])
            vstore(lines, o + 5 * size, lower[1])
            vstore(lines, o + 6 * size, lower[2])
            vstore(lines, o + 7 * size, lower[3])
        for row in range(first, min(first + ROWS, last)):
            start = (row - first) * 4 * size + margin - RADIUS * channels
            total = splat(_ZERO)
            for i in range(0, length, LANES):
                m = _window(lines, start + i, channels)
                n = _window(lines, start + i + size, channels)
                q = _window(lines, start + i + 2 * size, channels)
                p = _window(lines, start + i + 3 * size, channels)
                mn, mm = m * n, m * m + n * n
                A1, A2 = mn * _TWO + _C1, (p - mn) * _TWO + _C2
                B1, B2 = mm + _C1, q - mm + _C2
                inverse = _ONE / (B1 * B2)
                weighted = vload(spread, row * length + i) * inverse
                ssim = A1 * A2 * weighted
                by_q = _ZERO - ssim * B1 * inverse
                by_p = A1 * weighted * _TWO
                by_m = (n * A2 * weighted - m * ssim * B2 * inverse) * _TWO
                o = (row + RADIUS) * length + i
                vstore(by0, o, by_m - m * by_q * _TWO - n * by_p)
                vstore(by1, o, by_q)
                vstore(by2, o, by_p)
                total = total + ssim
            sums[2, row] = _total(total, lines[8 * size :])
    finish(part, parts)


@kernel(
    "void(i8, i8, f4[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1], f4[:,::1], i8, f4, f4, f4[:,::1])",
    scalar_maths=True,
)
def _gradient(
    part: Any,
    parts: Any,
    space: Any,
    x: Any,
    y: Any,
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
    edge = lines[8 * size :]
    _clear(lines)
    by0, by1, by2 = adjoints[0], adjoints[1], adjoints[2]
    one, minus = splat(_ONE), splat(-_ONE)
    last = height * (part + 1) // parts
    for first in range(height * part // parts, last, ROWS):
        for i in range(0, length, LANES):
            at, o = first * length + i, margin + i
            upper0, lower0 = _down(by0, at, length)
            upper1, lower1 = _down(by1, at, length)
            upper2, lower2 = _down(by2, at, length)
            vstore(lines, o, upper0)
            vstore(lines, o + size, upper1)
            vstore(lines, o + 2 * size, upper2)
            vstore(lines, o + 3 * size, lower0)
            vstore(lines, o + 4 * size, lower1)
            vstore(lines, o + 5 * size, lower2)
        for row in range(first, min(first + ROWS, last)):
            start = (row - first) * 3 * size + margin - RADIUS * channels
            for i in range(0, length, LANES):
                a = vload(x, (row + RADIUS) * length + i)
                b = vload(y, (row + RADIUS) * length + i)
                sign = select(gt(a, b), one, select(gt(b, a), minus, _ZERO))
                by_ssim = _window(lines, start + i, channels)
                by_ssim = by_ssim + a * _window(lines, start + i + size, channels) * _TWO
                by_ssim = by_ssim + b * _window(lines, start + i + 2 * size, channels)
                value = by_ssim * slope_ssim + sign * slope_l1
                value = value * vload(spread, row * length + i)
                if i + LANES <= n:
                    vstore(gradient, row * n + i, value)
                else:
                    vstore(edge, 0, value)
                    for k in range(n - i):
                        gradient[row, i + k] = edge[k]
    finish(part, parts)
