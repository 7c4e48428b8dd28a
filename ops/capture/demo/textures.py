"""Building blocks of solid textures, each filtered for the size of what one sample covers.

Every function takes the footprint ``w`` of a sample in the unit of its coordinates and returns
(nearly) the mean over that footprint: octaves of noise below the sampling limit fade out, edges of
patterns get as soft as the footprint, and features too small to be seen turn into their mean. So a
picture never shows moire, and a nearer camera always sees further octaves.
"""

from __future__ import annotations

import math

import numpy as np

from ops.capture.demo.jit import Vec, helper

# Odd 64-bit multipliers with well spread bits (golden ratio, and primes found by search).
_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0xD6E8FEB86659FD93)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_TEN = np.uint64(10)
_TWENTY = np.uint64(20)
_LOW = np.uint64(1023)
_NOISE_SCALE = 1.45 / 511.5  # makes the standard deviation of the noise about 1/3


@helper
def _mix(h: np.uint64) -> np.uint64:
    h ^= h >> np.uint64(32)
    h *= _MIX
    h ^= h >> np.uint64(29)
    return h


@helper
def lattice(i: int, j: int, k: int, seed: float) -> np.uint64:
    """A well mixed 64-bit number for an integer lattice point."""
    h = np.uint64(i) * _P1 + np.uint64(j) * _P2 + np.uint64(k) * _P3 + np.uint64(seed) * _P4
    return _mix(_mix(h))


@helper
def uniform(i: int, j: int, k: int, seed: float) -> float:
    """A number in [0, 1) for an integer lattice point."""
    return np.float64(np.int64(lattice(i, j, k, seed) >> np.uint64(34))) / 1073741824.0


@helper
def _corner(h: np.uint64, u: float, v: float, w: float) -> float:
    h = _mix(h)
    gx = np.float64(np.int64(h & _LOW)) - 511.5
    gy = np.float64(np.int64((h >> _TEN) & _LOW)) - 511.5
    gz = np.float64(np.int64((h >> _TWENTY) & _LOW)) - 511.5
    return gx * u + gy * v + gz * w


@helper
def noise(x: float, y: float, z: float, seed: float) -> float:
    """Gradient noise of period-free unit lattice: mean 0, standard deviation about 1/3."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = x - fx, y - fy, z - fz
    h = (
        np.uint64(np.int64(fx)) * _P1
        + np.uint64(np.int64(fy)) * _P2
        + np.uint64(np.int64(fz)) * _P3
        + np.uint64(seed) * _P4
    )
    a = u * u * u * (u * (u * 6.0 - 15.0) + 10.0)
    b = v * v * v * (v * (v * 6.0 - 15.0) + 10.0)
    c = w * w * w * (w * (w * 6.0 - 15.0) + 10.0)
    n00 = _corner(h, u, v, w)
    n00 += a * (_corner(h + _P1, u - 1.0, v, w) - n00)
    n10 = _corner(h + _P2, u, v - 1.0, w)
    n10 += a * (_corner(h + _P1 + _P2, u - 1.0, v - 1.0, w) - n10)
    n01 = _corner(h + _P3, u, v, w - 1.0)
    n01 += a * (_corner(h + _P1 + _P3, u - 1.0, v, w - 1.0) - n01)
    n11 = _corner(h + _P2 + _P3, u, v - 1.0, w - 1.0)
    n11 += a * (_corner(h + _P1 + _P2 + _P3, u - 1.0, v - 1.0, w - 1.0) - n11)
    n0 = n00 + b * (n10 - n00)
    n1 = n01 + b * (n11 - n01)
    return (n0 + c * (n1 - n0)) * _NOISE_SCALE


@helper
def fade(size: float, w: float) -> float:
    """How much of a feature of this size a footprint still resolves: 0 below 2 w, 1 above 4 w."""
    return min(max(0.5 * size / w - 1.0, 0.0), 1.0)


@helper
def fractal(p: Vec, size: float, w: float, gain: float, seed: float) -> float:
    """Noise of ``size`` and of every size below it down to the footprint.

    Octave k has wavelength ``size / 2**k`` and amplitude ``gain**k``; the lattice is turned
    between octaves so that no direction stands out.
    """
    x, y, z = p[0] / size, p[1] / size, p[2] / size
    total, amplitude = 0.0, 1.0
    while True:
        seen = fade(size, w)
        if seen <= 0.0:
            return total
        total += amplitude * seen * noise(x, y, z, seed)
        x, y, z = (
            (4.0 * x - 2.0 * y + 4.0 * z) / 3.0 + 0.37,
            (4.0 * x + 4.0 * y - 2.0 * z) / 3.0 - 0.11,
            (-2.0 * x + 4.0 * y + 4.0 * z) / 3.0 + 0.73,
        )
        amplitude *= gain
        size *= 0.5


@helper
def ridges(p: Vec, size: float, w: float, gain: float, sharpness: float, seed: float) -> float:
    """Thin branching lines (veins, cracks) of every size: 1 on a line, 0 away from it.

    Lines too thin to be seen count with their mean, so that stone keeps its tone from afar.
    """
    total, amplitude = 0.0, 1.0
    mean = 0.93 / sharpness
    x, y, z = p[0] / size, p[1] / size, p[2] / size
    while True:
        seen = fade(size, w)
        if seen <= 0.0:
            return total + amplitude * mean / (1.0 - gain)
        line = 1.0 - min(abs(noise(x, y, z, seed)) * sharpness, 1.0)
        total += amplitude * (mean + seen * (line * line - mean))
        x, y, z = (
            (4.0 * x - 2.0 * y + 4.0 * z) / 3.0 + 0.37,
            (4.0 * x + 4.0 * y - 2.0 * z) / 3.0 - 0.11,
            (-2.0 * x + 4.0 * y + 4.0 * z) / 3.0 + 0.73,
        )
        amplitude *= gain
        size *= 0.5


@helper
def _pulse_integral(x: float, duty: float) -> float:
    whole = math.floor(x)
    return whole * duty + min(x - whole, duty)


@helper
def stripe(x: float, duty: float, w: float) -> float:
    """A wave of period 1 that is 1 on [0, duty) and 0 elsewhere, averaged over a width ``w``."""
    w = max(w, 1e-6)
    return (_pulse_integral(x + 0.5 * w, duty) - _pulse_integral(x - 0.5 * w, duty)) / w


@helper
def checker(x: float, y: float, w: float) -> float:
    """Unit squares of 0 and 1 in turn, averaged over a square of side ``w``."""
    a = 2.0 * stripe(0.5 * x, 0.5, 0.5 * w) - 1.0
    b = 2.0 * stripe(0.5 * y, 0.5, 0.5 * w) - 1.0
    return 0.5 - 0.5 * a * b


@helper
def cosine(x: float, w: float) -> float:
    """cos(2 pi x) averaged over a width ``w``, without the side lobes of the box."""
    if w >= 1.0:
        return 0.0
    a = math.pi * max(w, 1e-6)
    return math.cos(2.0 * math.pi * x) * math.sin(a) / a


@helper
def above(x: float, edge: float, w: float) -> float:
    """1 where ``x`` is above ``edge``, 0 below, with a ramp as wide as the footprint."""
    return min(max((x - edge) / max(w, 1e-9) + 0.5, 0.0), 1.0)


@helper
def within(x: float, lo: float, hi: float, w: float) -> float:
    """1 where ``x`` is between ``lo`` and ``hi``."""
    return above(x, lo, w) - above(x, hi, w)


@helper
def spots(p: Vec, cell: float, radius: float, w: float, seed: float) -> tuple[float, float]:
    """Round spots, at most one per cell of a lattice: (coverage, random number of the spot).

    ``radius`` is in cells, below 0.4. Spots too small to be seen become their mean coverage.
    """
    seen = fade(cell, w)
    mean = 2.1 * radius * radius * radius  # share of space, with the radii drawn below
    if seen <= 0.0:
        return mean, 0.5
    x, y, z = p[0] / cell, p[1] / cell, p[2] / cell
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    h = lattice(i, j, k, seed)
    a = np.float64(np.int64(h & _LOW)) / 1023.0
    b = np.float64(np.int64((h >> _TEN) & _LOW)) / 1023.0
    c = np.float64(np.int64((h >> _TWENTY) & _LOW)) / 1023.0
    e = np.float64(np.int64((h >> np.uint64(30)) & _LOW)) / 1023.0
    r = radius * (0.5 + 0.5 * e)
    room = 1.0 - 2.0 * r
    dx, dy, dz = x - i - r - a * room, y - j - r - b * room, z - k - r - c * room
    inside = above(r, math.sqrt(dx * dx + dy * dy + dz * dz), w / cell)
    return mean + seen * (inside - mean), a


@helper
def cells(p: Vec, size: float, w: float, seed: float) -> tuple[float, float]:
    """Random cells as of dried mud: (1 on the cracks and 0 inside, random number of the cell)."""
    seen = fade(size, w)
    if seen <= 0.0:
        return 0.18, 0.5
    x, y, z = p[0] / size, p[1] / size, p[2] / size
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    first, second, name = 9.0, 9.0, 0.5
    for di in range(-1, 2):
        for dj in range(-1, 2):
            for dk in range(-1, 2):
                h = lattice(i + di, j + dj, k + dk, seed)
                a = np.float64(np.int64(h & _LOW)) / 1023.0
                b = np.float64(np.int64((h >> _TEN) & _LOW)) / 1023.0
                c = np.float64(np.int64((h >> _TWENTY) & _LOW)) / 1023.0
                dx, dy, dz = i + di + a - x, j + dj + b - y, k + dk + c - z
                d = dx * dx + dy * dy + dz * dz
                if d < first:
                    first, second, name = d, first, b
                elif d < second:
                    second = d
    gap = math.sqrt(second) - math.sqrt(first)
    line = 1.0 - above(gap, 0.06, max(w / size, 0.06))
    return 0.18 + seen * (line - 0.18), 0.5 + seen * (name - 0.5)


@helper
def weave(u: float, v: float, pitch: float, w: float, seed: float) -> tuple[float, float]:
    """A plain weave of threads ``pitch`` apart, with fibres: brightness about 1, in [0.5, 1.3].

    Also returns which thread is on top, from 0 (along u) to 1 (along v); 0.5 where unresolved.
    """
    seen = fade(pitch, w)
    if seen <= 0.0:
        return 1.0, 0.5
    x, y = u / pitch, v / pitch
    i, j = math.floor(x), math.floor(y)
    a, b = x - i - 0.5, y - j - 0.5
    over = (i + j) % 2 == 0
    across, along = (a, b) if over else (b, a)  # the thread on top runs along the second
    bulge = math.sqrt(max(1.0 - 3.6 * across * across, 0.0)) * (0.72 + 0.28 * math.cos(2.8 * along))
    # Fibres wind around the thread: noise stretched along the twisted direction.
    t = along + 2.0 * across
    thread = i if over else j
    fibre = fractal(
        (t * pitch * 0.35, across * pitch * 1.6, thread * 3.7), 0.5 * pitch, w, 0.8, seed
    )
    shade = 0.45 + 0.8 * bulge + 0.32 * fibre
    return 1.0 + seen * (shade - 1.0), 0.5 + seen * ((1.0 if over else 0.0) - 0.5)


@helper
def _glyph(h: np.uint64, i: int, j: int) -> float:
    """Whether dot (i, j) of a 5 x 7 character is ink: strokes of four bars and a diagonal."""
    if i < 0 or i > 4 or j < 0 or j > 6:
        return 0.0
    ink = (j == 0 and h & np.uint64(1)) or (j == 3 and h & np.uint64(2))
    ink = ink or (j == 6 and h & np.uint64(4)) or (i == 0 and h & np.uint64(8))
    ink = ink or (i == 4 and h & np.uint64(16)) or (i == 2 and h & np.uint64(32))
    ink = ink or (i * 3 == j * 2 and h & np.uint64(64))
    return 1.0 if ink else 0.0


@helper
def writing(u: float, v: float, height: float, length: float, w: float, seed: float) -> float:
    """Ink of lines of text-like marks in a made-up alphabet, in [0, 1].

    ``u`` runs along a line from its start to at most ``length`` and ``v`` down the page; lines are
    ``height`` apart. Words have random lengths and the last line of a paragraph is short.
    """
    row = math.floor(v / height)
    y = (v / height - row) * 10.0 - 1.5  # in dots; 7 dots of a character, 3 of space
    advance = 0.62 * height
    column = math.floor(u / advance)
    end = length * (0.35 + 0.6 * uniform(row, 1, 0, seed)) if row % 5 == 4 else length
    if u < 0.0 or column * advance + advance > end:
        return 0.0
    if uniform(column, row, 2, seed) < 0.17:
        return 0.0
    x = (u / advance - column) * 6.2 - 0.6
    dot = height / 10.0
    mean = 0.36 * within(y, 0.0, 7.0, w / dot)
    seen = fade(3.0 * dot, w)
    if seen <= 0.0:
        return mean
    h = lattice(column, row, 3, seed)
    # Bilinear blend of the dots around, then a threshold: strokes with round corners.
    fx, fy = x - 0.5, y - 0.5
    i, j = math.floor(fx), math.floor(fy)
    a, b = fx - i, fy - j
    top = (1.0 - a) * _glyph(h, i, j) + a * _glyph(h, i + 1, j)
    bottom = (1.0 - a) * _glyph(h, i, j + 1) + a * _glyph(h, i + 1, j + 1)
    ink = above((1.0 - b) * top + b * bottom, 0.45, max(w / dot, 0.12))
    return mean + seen * (ink - mean)
