"""Materials of the room: floor, walls, window view, rug, paintings, cloth, paper and books.

Each function gives the linear RGB albedo at a point ``p`` of the texture frame (metres) with normal
``n`` for a sample that covers ``w`` metres. ``m`` is a row of ``Scene.materials`` (see
``materials``): colours A, B, C in 1..9, numbers s0..s3 in 10..13 and the seed in 16.
"""

from __future__ import annotations

import math

from ops.capture.demo.jit import Array, Vec, helper
from ops.capture.demo.textures import (
    above,
    cells,
    checker,
    cosine,
    fractal,
    ridges,
    spots,
    stripe,
    uniform,
    weave,
    within,
    writing,
)


@helper
def colour(m: Array, i: int) -> Vec:
    """Colour 0, 1 or 2 of a material."""
    return (m[1 + 3 * i], m[2 + 3 * i], m[3 + 3 * i])


@helper
def mix(a: Vec, b: Vec, t: float) -> Vec:
    t = min(max(t, 0.0), 1.0)
    return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))


@helper
def times(a: Vec, s: float) -> Vec:
    s = max(s, 0.0)
    return (a[0] * s, a[1] * s, a[2] * s)


@helper
def flat(p: Vec, n: Vec) -> tuple[float, float]:
    """Coordinates (u, v) on the face of a box that has normal ``n``."""
    ax, ay, az = abs(n[0]), abs(n[1]), abs(n[2])
    if az >= ax and az >= ay:
        return p[0], p[1]
    if ax >= ay:
        return p[1], p[2]
    return p[0], p[2]


@helper
def wood(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Rings of spacing s0 about the x axis, fibres and pores along it."""
    x, y, z = p
    seed = m[16]
    drift = fractal((0.22 * x, y, z), 0.16, w, 0.5, seed)
    rings = math.hypot(y + 0.06, z + 0.09) / m[10] + 1.3 * drift
    f = w / m[10]
    late = 0.375 + 0.5 * cosine(rings, f) + 0.125 * cosine(2.0 * rings, 2.0 * f)  # a squared wave
    fibre = fractal((0.07 * x, y, z), 0.014, w, 0.82, seed + 1)
    pore = ridges((0.03 * x, y, z), 0.005, w, 0.8, 5.0, seed + 2)
    c = mix(colour(m, 0), colour(m, 1), 0.12 + 0.62 * late + 0.3 * drift)
    return times(mix(c, colour(m, 2), 0.3 * pore), 1.0 + 0.22 * fibre)


@helper
def parquet(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A herringbone floor of oak blocks, s0 wide and five times as long."""
    width = m[10]
    long = 5
    x, y = p[0] / width, p[1] / width
    i, j = math.floor(x), math.floor(y)
    # Along a row the blocks repeat every 2 * long squares, moved by one square per row.
    k = (i - j) % (2 * long)
    if k < long:  # this block lies along x; it starts k squares to the left
        bi, bj = i - k, j
        a, b = x - bi, y - j
    else:  # this block lies along y; it ends above
        k2 = 2 * long - 1 - k
        bi, bj = i, j - k2
        a, b = y - bj, x - i
    key = uniform(bi, bj, 5, m[16])
    key2 = uniform(bi, bj, 6, m[16])
    q = (a * width + 3.0 * key, (b - 0.5) * width + 0.5 * key2, 2.0 * key)
    drift = fractal((0.2 * q[0], q[1], q[2]), 0.05, w, 0.6, m[16])
    late = 0.5 + 0.5 * cosine((q[1] + 0.35 * drift * width) / 0.013, w / 0.013)
    fibre = fractal((0.06 * q[0], q[1], q[2]), 0.012, w, 0.85, m[16] + 1)
    c = mix(colour(m, 0), colour(m, 1), 0.8 * key + 0.3 * late + 0.25 * drift)
    edge = min(min(a, long - a), min(b, 1.0 - b)) * width
    joint = 1.0 - above(edge, 0.0012, max(w, 0.0006)) * 1.0
    joint *= min(1.0, 0.0025 / max(w, 0.0025))
    return times(mix(c, colour(m, 2), 0.75 * joint), 1.0 + 0.2 * fibre)


@helper
def flowers(a: float, b: float, f: float) -> float:
    """Flowers with two leaves each on a staggered lattice, printed on paper or painted on china."""
    f = max(f, 0.01)
    shown = 0.0
    for k in range(2):
        x, y = a + 0.5 * k, b + 0.5 * k
        x, y = x - math.floor(x + 0.5), 1.5 * (y - math.floor(y + 0.5))
        r, angle = math.hypot(x, y - 0.1), math.atan2(y - 0.1, x)
        petal = 0.15 + 0.05 * math.cos(6.0 * angle)
        shown = max(shown, within(r, 0.07, petal, f) + 1.0 - above(r, 0.035, f))
        s, t = abs(x) - 0.13, y + 0.24
        turned, across = 0.8 * s + 0.6 * t, 0.8 * t - 0.6 * s
        blade = 0.055 * (1.0 - (turned / 0.16) ** 2)
        shown = max(shown, above(blade, abs(across), f) * above(abs(across), 0.006, f))
        stem = above(0.012, abs(x), f) * within(y, -0.42, -0.05, f)
        shown = max(shown, stem)
    # Far away the print is one tone.
    clear = 1.0 - within(f, 0.12, 9.0, 0.12)
    return 0.24 + clear * (shown - 0.24)


@helper
def wall(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Panelling up to s0, wallpaper of period s1 above it."""
    u, z = p[0], p[1]  # along the wall, height
    seed = m[16]
    q = (u, z, 0.0)
    if z < m[10]:
        board = u / 0.11
        groove = stripe(board + 0.04, 0.08, w / 0.11)
        key = uniform(math.floor(board), 1, 0, seed)
        brush = fractal((u, 0.06 * z, 0.0), 0.03, w, 0.85, seed)
        worn = spots(q, 0.02, 0.2, w, seed + 4)[0]
        c = times(colour(m, 2), 0.96 + 0.06 * key + 0.06 * brush)
        shadow = above(m[10] - z, 0.02, 0.02)
        return times(c, (1.0 - 0.45 * groove) * (0.8 + 0.2 * shadow) * (1.0 - 0.25 * worn))
    motif = flowers(u / m[11], z / (1.5 * m[11]), w / m[11])
    paper = fractal(q, 0.4, w, 0.75, seed)
    c = mix(colour(m, 0), colour(m, 1), motif * (0.85 + 0.2 * fractal(q, 0.02, w, 0.9, seed + 1)))
    thread, _ = weave(u, z, 0.0016, w, seed)
    return times(c, (1.0 + 0.1 * paper) * (0.6 + 0.4 * thread))


@helper
def plaster(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Rough plaster or soil: mottling of size s0 and contrast s1, with fine pits of colour C."""
    mottle = fractal(p, m[10], w, 0.78, m[16])
    pits = spots(p, 0.3 * m[10], 0.25, w, m[16] + 1)[0]
    pits = max(pits, 0.8 * spots(p, 0.02 * m[10], 0.3, w, m[16] + 2)[0])
    c = mix(colour(m, 0), colour(m, 1), 0.5 + 0.5 * mottle)
    return times(mix(c, colour(m, 2), pits), 1.0 + m[11] * mottle)


@helper
def view(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """What is seen through the window: sky with clouds, hills and trees. Coordinates in panes."""
    u, v = p[0], p[1] + 0.62  # v from the lower edge
    q = (u, 2.2 * v, 0.0)
    cloud = above(fractal(q, 0.7, w, 0.55, m[16]), 0.05, 0.5)
    sky = mix((0.78, 0.9, 1.0), (0.30, 0.55, 0.95), v - 0.25)
    sky = mix(sky, (1.0, 0.98, 0.95), cloud * above(v, 0.4, 0.5))
    far = 0.42 + 0.1 * fractal((u, 0.0, 0.0), 0.9, w, 0.5, m[16] + 1)
    near = 0.24 + 0.16 * fractal((u, 0.0, 5.0), 0.35, w, 0.6, m[16] + 2)
    rough = fractal((u, v, 0.0), 0.12, w, 0.75, m[16] + 3)
    c = mix(sky, times((0.30, 0.42, 0.42), 1.0 + 0.15 * rough), 1.0 - above(v, far, 0.01 + w))
    return mix(c, times((0.13, 0.24, 0.07), 1.0 + 0.6 * rough), 1.0 - above(v, near, 0.004 + w))


@helper
def rug(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A knotted rug of half size s0 x s1: borders, a field of lozenges and a medallion."""
    x, y = p[0], p[1]
    seed = m[16]
    # Knots: the pattern is drawn on a grid of them, each with its own tone.
    pitch = 0.005
    tone = 1.0
    knot = fractal((x, y, p[2]), 0.008, w, 0.85, seed)
    ix, iy = math.floor(x / pitch), math.floor(y / pitch)
    seen = min(max(0.5 * pitch / w - 1.0, 0.0), 1.0)
    tone += seen * (0.3 * uniform(ix, iy, 0, seed) - 0.15)
    fx, fy = x / pitch - ix - 0.5, y / pitch - iy - 0.5
    tone *= 1.0 - seen * 1.1 * (fx * fx + fy * fy - 1.0 / 6.0)
    edge = min(m[10] - abs(x), m[11] - abs(y))
    c = colour(m, 0)
    # Field: lozenges within lozenges.
    a, b = (x + y) / 0.3, (x - y) / 0.3
    f = w / 0.21
    field = checker(a, b, f)
    c = mix(c, times(colour(m, 0), 0.62), field)
    inner = within(cosine(a, f) * cosine(b, f), 0.25, 0.62, max(5.0 * f, 0.05))
    c = mix(c, colour(m, 2), inner)
    r = math.hypot(x / m[10], y / m[11]) + 0.014 * math.cos(16.0 * math.atan2(y, x))
    fr = max(w / m[11], 0.002)
    c = mix(c, colour(m, 1), within(r, 0.0, 0.52, fr))
    c = mix(c, colour(m, 2), within(r, 0.44, 0.49, fr) + within(r, 0.2, 0.3, fr))
    c = mix(c, colour(m, 0), within(r, 0.0, 0.12, fr) + within(r, 0.34, 0.38, fr))
    # Borders.
    run = y if m[10] - abs(x) < m[11] - abs(y) else x
    c = mix(c, colour(m, 1), 1.0 - above(edge, 0.2, max(w, 0.004)))
    zig = edge - 0.11 + 0.045 * (4.0 * abs(run / 0.14 - math.floor(run / 0.14 + 0.5)) - 1.0)
    c = mix(c, colour(m, 2), within(zig, -0.022, 0.022, max(1.6 * w, 0.003)))
    c = mix(c, colour(m, 0), within(edge, 0.185, 0.215, max(w, 0.003)))
    c = mix(c, colour(m, 2), 1.0 - above(edge, 0.025, max(w, 0.003)))
    return times(c, tone * (1.0 + 0.28 * knot))


@helper
def cloth(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A woven cloth: threads s0 apart, stripes of period s1 and share s2, fine lines in C."""
    u, v = flat(p, n)
    shade, top = weave(u, v, m[10], w, m[16])
    f = w / m[11]
    band = stripe(u / m[11] - 0.5 * m[12], m[12], f)
    line = stripe(u / m[11] + 0.30, 0.05, f) + stripe(u / m[11] + 0.76, 0.05, f)
    cross = stripe(v / m[11], 0.12, f)
    c = mix(colour(m, 0), colour(m, 1), band * (0.75 + 0.5 * (top - 0.5)))
    c = mix(c, colour(m, 2), line)
    c = mix(c, colour(m, 1), 0.35 * cross * (1.0 - band))
    slub = fractal((0.15 * u, v, 0.0), 0.02, w, 0.8, m[16] + 1)
    slub += fractal((u, 0.15 * v, 9.0), 0.02, w, 0.8, m[16] + 2)
    return times(c, shade * (1.0 + 0.12 * slub))


@helper
def paper(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A written page of half size s0 x s1 with lines s2 apart."""
    fibre = fractal((p[0], p[1], p[2]), 0.03, w, 0.9, m[16])
    c = times(colour(m, 0), 1.0 + 0.06 * fibre)
    if n[2] < 0.5:
        return c
    u, v = p[0] + 0.82 * m[10], 0.8 * m[11] - p[1]
    ink = 0.0
    if 0.0 < v < 1.6 * m[11]:
        ink = writing(u, v, m[12], 1.64 * m[10], w, m[16])
    blot = 0.85 + 0.3 * fractal(p, 0.001, w, 0.9, m[16] + 1)
    return mix(c, colour(m, 1), ink * blot)


@helper
def book(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A bound book of half size s0 (spine at -x), s1 (height along y), s2 (thickness)."""
    hx, hy, hz = m[10], m[11], m[12]
    seed = m[16]
    board = 0.0025
    open_side = n[0] > 0.5 or abs(n[1]) > 0.5
    if open_side and abs(p[2]) < hz - board and p[0] > -hx + board:  # the edges of the pages
        leaves = fractal((0.03 * p[0], 0.03 * p[1], p[2]), 0.006, w, 0.95, seed)
        return times(colour(m, 2), 0.86 + 0.16 * leaves)
    grain = fractal(p, 0.02, w, 0.8, seed)
    thread, _ = weave(p[0] + p[2], p[1], 0.0009, w, seed)
    rub = cells(p, 0.004, w, seed + 3)[0]
    c = times(colour(m, 0), (1.0 + 0.14 * grain) * (0.5 + 0.5 * thread) * (1.0 - 0.12 * rub))
    gold = 0.0
    if abs(n[2]) > 0.5:  # cover: frame, title and lines
        inset = min(hx - abs(p[0]), hy - abs(p[1]))
        gold = within(inset, 0.012, 0.015, max(w, 0.0004))
        gold = max(gold, within(inset, 0.018, 0.0192, max(w, 0.0004)))
        u, v = p[0] + 0.6 * hx, 0.62 * hy - p[1]
        if 0.0 < v < 0.42 * hy:
            gold = max(gold, writing(u, v, 0.21 * hy, 1.2 * hx, w, seed))
        if 0.49 * hy < v < 0.7 * hy:
            gold = max(gold, writing(u, v, 0.07 * hy, 1.2 * hx, w, seed + 9))
        x, y = p[0] / hy, p[1] / hy + 0.45
        r, f = math.hypot(x, y), max(w / hy, 0.004)
        gold = max(gold, within(r, 0.19, 0.22, f))
        gold = max(gold, above(0.14 * math.cos(5.0 * math.atan2(x, y)), r, f))
    elif n[0] < -0.5:  # spine: bands, and the title along it
        s = abs(p[1]) / hy
        gold = within(s, 0.72, 0.75, w / hy) + within(s, 0.9, 0.93, w / hy)
        size = min(1.3 * hz, 0.022)
        v = p[2] + 0.5 * size
        if 0.0 < v < size:
            gold = max(gold, writing(p[1] + 0.6 * hy, v, size, 1.2 * hy, w, seed))
    wear = 0.8 + 0.35 * fractal(p, 0.006, w, 0.8, seed + 5)
    return mix(c, colour(m, 1), min(gold, 1.0) * wear)


@helper
def painting(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """An oil painting of half size s0 x s1: a landscape (s2 = 0) or coloured fields (s2 = 1)."""
    seed = m[16]
    q = (p[0], p[1], 0.0)
    # Brush strokes move the picture about and leave ridges of paint.
    sx, sy = fractal(q, 0.05, w, 0.6, seed), fractal(q, 0.05, w, 0.6, seed + 1)
    bristle = fractal((p[0] + 0.4 * p[1], 4.0 * p[1] - p[0], 0.0), 0.024, w, 0.85, seed + 2)
    u, v = (p[0] + 0.012 * sx) / m[10], (p[1] + 0.012 * sy) / m[11]
    f = max(w / m[11], 0.006)
    if m[12] == 0.0:
        c = mix((0.95, 0.55, 0.28), (0.16, 0.33, 0.60), 0.75 * v + 0.35)
        glow = math.hypot(u - 0.3, 0.8 * (v - 0.28))
        c = mix(c, (1.0, 0.85, 0.5), 0.8 * max(1.0 - glow / 0.7, 0.0) ** 2)
        c = mix(c, (1.0, 0.93, 0.72), 1.0 - above(glow, 0.14, f))
        for layer in range(4):
            rise = 0.18 - 0.27 * layer
            hill = rise + (0.2 + 0.03 * layer) * fractal((u, 7.0 * layer, 0.0), 1.1, f, 0.45, seed)
            depth = layer / 3.0
            tint = mix((0.33, 0.30, 0.48), (0.03, 0.12, 0.05), depth)
            tint = mix(tint, (0.75, 0.50, 0.12), 0.5 * depth * above(sx, 0.15, 0.3))
            c = mix(c, tint, 1.0 - above(v, hill, f))
    else:
        c = colour(m, 0)
        c = mix(c, colour(m, 1), 1.0 - above(math.hypot(u + 0.25, 0.9 * v - 0.3), 0.5, f))
        c = mix(c, colour(m, 2), within(u + 0.3 * v, 0.1, 0.55, f) * (1.0 - above(v, 0.35, f)))
        arc = math.hypot(u - 0.35, v + 0.5)
        c = mix(c, (0.02, 0.03, 0.06), within(arc, 0.5, 0.56, f) + within(arc, 0.68, 0.70, f))
        c = mix(c, (0.9, 0.75, 0.35), 1.0 - above(arc, 0.22, f))
        c = mix(c, (0.02, 0.03, 0.06), within(v + 0.15 * u, -0.83, -0.8, f))
    canvas, _ = weave(p[0], p[1], 0.0013, w, seed)
    return times(c, (1.0 + 0.2 * bristle) * (0.75 + 0.25 * canvas))
