"""Materials of the objects, and the table of all materials.

A row of ``Scene.materials`` holds: 0 the kind (below), 1..9 the colours A, B and C (linear RGB),
10..13 the numbers s0..s3, 14 gloss, 15 emission (radiance of white, 0 for what does not shine), 16
the seed. Lengths are metres in the texture frame of the shape.
"""

from __future__ import annotations

import math

from ops.capture.demo.jit import Array, Vec, helper
from ops.capture.demo.surroundings import (
    book,
    cloth,
    colour,
    flat,
    flowers,
    mix,
    painting,
    paper,
    parquet,
    plaster,
    rug,
    times,
    view,
    wall,
    wood,
)
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
    within,
)

WOOD, PARQUET, WALL, PLASTER, VIEW, RUG, CLOTH, PAPER, BOOK, PAINTING = range(10)
MARBLE, GLAZE, PORCELAIN, LEAF, STRAW, CHEQUER, WAX, BALL_STRIPES = range(10, 18)
FRUIT, ICING, PAPER_LAMP, BRASS, GLOBE, YARN = range(18, 24)


@helper
def _marble(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Veins of size s0 and smaller in a clouded stone."""
    seed = m[16]
    bend = 0.5 * m[10] * fractal(p, 1.5 * m[10], w, 0.55, seed)
    q = (p[0] + bend, p[1] - 0.6 * bend, p[2] + 0.8 * bend)
    vein = ridges(q, m[10], w, 0.66, 5.0, seed + 1)
    cloud = fractal(q, 2.0 * m[10], w, 0.6, seed + 2)
    crystal = fractal(p, 0.005, w, 0.92, seed + 3)
    c = mix(colour(m, 0), colour(m, 1), 0.45 + 0.9 * cloud)
    return times(mix(c, colour(m, 2), 0.85 * vein), 1.0 + 0.1 * crystal)


@helper
def _glaze(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Stoneware glaze: mottling of size s0, iron specks of size s1, crackle of size s2."""
    seed = m[16]
    mottle = fractal(p, m[10], w, 0.7, seed)
    c = mix(colour(m, 0), colour(m, 1), 0.4 + 0.8 * mottle)
    cell = m[11]
    speck = 0.0
    for k in range(4):  # specks of ever smaller sizes
        speck = max(speck, spots(p, cell, 0.34, w, seed + 1 + k)[0])
        cell *= 0.31
    c = mix(c, colour(m, 2), 0.8 * speck)
    if m[12] > 0.0:
        c = times(c, 1.0 - 0.35 * cells(p, m[12], w, seed + 7)[0])
        c = times(c, 1.0 - 0.2 * cells(p, 0.13 * m[12], w, seed + 8)[0])
    return times(c, 1.0 + 0.06 * fractal(p, 0.004, w, 0.9, seed + 9))


@helper
def _porcelain(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """White ware painted in B: flowers in rows of height s0, s1 of them around, between lines."""
    seed = m[16]
    rho = max(math.hypot(p[0], p[1]), 1e-4)
    s = rho if abs(n[2]) > 0.8 else p[2]
    hand = 0.05 * fractal(p, 0.02, w, 0.6, seed)  # the unsteady brush
    a = math.atan2(p[1], p[0]) / (2.0 * math.pi) * m[11] + hand
    b = s / m[10] + 0.4 * hand
    f = max(w / m[10], w * m[11] / (2.0 * math.pi * rho))
    blue = max(flowers(a, b, f), stripe(b + 0.53, 0.05, w / m[10]))
    wash = 0.65 + 0.5 * fractal(p, 0.012, w, 0.85, seed + 1)
    body = times(colour(m, 0), 1.0 + 0.05 * fractal(p, 0.03, w, 0.85, seed + 2))
    body = mix(body, colour(m, 2), 0.4 * spots(p, 0.006, 0.2, w, seed + 3)[0])
    body = times(body, 1.0 - 0.12 * cells(p, 0.0028, w, seed + 4)[0])
    return mix(body, colour(m, 1), blue * wash)


@helper
def _leaf(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A leaf along x of half length s0: midrib, side veins and the net between them."""
    seed = m[16]
    f = w / m[10]
    x, y = p[0] / m[10], p[1] / m[10]
    rib = 1.0 - above(abs(y), 0.018, max(f, 0.01))
    side = stripe(5.0 * (x - 0.9 * abs(y)) + 0.1 * uniform(1, 2, 3, seed), 0.1, 5.0 * f)
    net = cells((p[0], p[1], 0.0), 0.07 * m[10], w, seed)[0]
    fine = cells((p[0], p[1], 3.0), 0.012 * m[10], w, seed + 1)[0]
    patch = fractal(p, 0.6 * m[10], w, 0.8, seed + 2)
    c = mix(colour(m, 0), colour(m, 1), 0.4 + 0.6 * patch + 0.25 * x)
    c = mix(c, colour(m, 2), 0.8 * rib + 0.4 * side + 0.2 * net)
    return times(c, 1.0 - 0.2 * fine)


@helper
def _straw(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A coil of straw about z of radii s0 (major) and s1 (minor), bound by a wrapping strip."""
    seed = m[16]
    rho = math.hypot(p[0], p[1])
    run = math.atan2(p[1], p[0]) * m[10]
    turn = math.atan2(p[2], rho - m[10]) * m[11]
    straw = fractal((0.08 * run, turn, 0.3 * p[2]), 0.008, w, 0.85, seed)
    slit = ridges((0.03 * run, turn, 0.0), 0.006, w, 0.75, 6.0, seed + 1)
    pitch = 0.024
    k = (run + 0.5 * turn) / pitch
    wrap = stripe(k, 0.3, w / pitch)
    c = mix(colour(m, 0), colour(m, 1), 0.4 + 0.8 * straw)
    c = times(c, 1.0 - 0.4 * min(slit, 1.0))
    strip = times(colour(m, 2), 0.9 + 0.3 * fractal((run, 0.2 * turn, 0.0), 0.005, w, 0.85, seed))
    return mix(c, strip, wrap)


@helper
def _chequer(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Inlaid squares of side s0, light and dark wood, with fine lines around each."""
    seed = m[16]
    u, v = flat(p, n)
    a, b = u / m[10], v / m[10]
    dark = checker(a, b, w / m[10])
    fibre = fractal((0.1 * p[0], p[1], p[2]), 0.012, w, 0.85, seed)
    fibre2 = fractal((p[0], 0.1 * p[1], p[2]), 0.012, w, 0.85, seed + 1)
    c = mix(times(colour(m, 0), 1.0 + 0.25 * fibre), times(colour(m, 1), 1.0 + 0.4 * fibre2), dark)
    i, j = a - math.floor(a) - 0.5, b - math.floor(b) - 0.5
    inset = 0.5 - max(abs(i), abs(j))
    f = max(w / m[10], 0.004)
    line = within(inset, 0.1, 0.14, f)
    dots = above(0.09, math.hypot(abs(i) - 0.27, abs(j) - 0.27), f)
    return mix(c, colour(m, 2), 0.9 * max(line, dots))


@helper
def _wax(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Candle wax that glows towards its top at s0."""
    seed = m[16]
    run = fractal((p[0], p[1], 0.25 * p[2]), 0.02, w, 0.75, seed)
    bubble = spots(p, 0.0035, 0.3, w, seed + 1)[0]
    glow = math.exp((p[2] - m[10]) / 0.03)
    return mix(times(colour(m, 0), 1.0 + 0.12 * run - 0.2 * bubble), colour(m, 1), 0.7 * glow)


@helper
def _ball_stripes(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A toy ball of radius s0: wedges of colour, caps and printed stars."""
    seed = m[16]
    rho = max(math.hypot(p[0], p[1]), 1e-5)
    turn = math.atan2(p[1], p[0]) / (2.0 * math.pi)
    f = w / rho
    wedge = stripe(3.0 * turn, 0.5, f)
    c = mix(colour(m, 0), colour(m, 1), wedge)
    c = mix(c, colour(m, 2), stripe(6.0 * turn + 0.05, 0.1, 2.0 * f))
    h = p[2] / m[10]
    c = mix(c, colour(m, 2), above(abs(h), 0.86, w / m[10]) + within(abs(h), 0.0, 0.06, w / m[10]))
    k = 6.0 * turn + 0.25 - math.floor(6.0 * turn + 0.25) - 0.5
    x, y = k * rho, abs(p[2]) - 0.45 * m[10]
    star = 0.10 * m[10] * (1.0 + 0.45 * math.cos(5.0 * math.atan2(y, x)))
    c = mix(c, colour(m, 2), above(star, math.hypot(x, y), w))
    scuff = ridges(p, 0.03, w, 0.75, 9.0, seed)
    return times(c, (1.0 - 0.16 * scuff) * (1.0 + 0.12 * fractal(p, 0.012, w, 0.88, seed + 1)))


@helper
def _fruit(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Fruit skin: ground A, blush B of size s0, pores C of size s1."""
    seed = m[16]
    blush = fractal((p[0], p[1], 0.4 * p[2]), m[10], w, 0.65, seed)
    streak = fractal((p[0], p[1], 0.12 * p[2]), 0.012, w, 0.8, seed + 1)
    c = mix(colour(m, 0), colour(m, 1), 0.45 + 1.1 * blush + 0.2 * streak)
    pore = spots(p, m[11], 0.36, w, seed + 2)[0]
    c = mix(c, colour(m, 2), 0.55 * pore)
    return times(c, (1.0 - 0.12 * cells(p, 0.0011, w, seed + 3)[0]) * (1.0 + 0.08 * streak))


@helper
def _icing(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Dough A below, icing B above a wavy edge, sprinkles of many colours on it."""
    seed = m[16]
    crumb = fractal(p, 0.012, w, 0.85, seed)
    hole = max(spots(p, 0.006, 0.35, w, seed + 1)[0], spots(p, 0.0017, 0.35, w, seed + 2)[0])
    dough = times(colour(m, 0), (1.0 + 0.25 * crumb) * (1.0 - 0.4 * hole))
    edge = m[10] + 0.006 * fractal((p[0], p[1], 0.0), 0.03, w, 0.5, seed + 3)
    iced = above(p[2], edge, max(w, 0.0006))
    icing = times(colour(m, 1), 1.0 + 0.1 * fractal(p, 0.01, w, 0.85, seed + 4))
    for k in range(2):
        q = (
            (p[0] + 0.37 * p[1], 0.45 * p[1] - 0.2 * p[0], p[2])
            if k == 0
            else (0.45 * p[0] - 0.1 * p[1], p[1] + 0.3 * p[0], p[2] + 0.1)
        )
        seen, key = spots(q, 0.0085, 0.4, w, seed + 5 + k)
        hue = 6.2832 * key * 3.0
        tint = (
            0.5 + 0.45 * math.cos(hue),
            0.5 + 0.45 * math.cos(hue - 2.1),
            0.5 + 0.45 * math.cos(hue + 2.1),
        )
        icing = mix(icing, tint, seen)
    return mix(dough, icing, iced)


@helper
def _paper_lamp(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A paper lantern of radius s0 with ribs; it shines."""
    h = math.asin(min(max(p[2] / m[10], -1.0), 1.0))
    rib = stripe(h / 0.16, 0.09, w / m[10] / 0.16)
    fibre = ridges((p[0], p[1], p[2]), 0.05, w, 0.75, 8.0, m[16])
    c = mix(colour(m, 0), colour(m, 1), 0.55 * abs(p[2] / m[10]))
    return times(c, (1.0 - 0.3 * rib) * (1.0 - 0.12 * fibre))


@helper
def _brass(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Turned metal: fine grooves around z, and tarnish."""
    seed = m[16]
    rho = math.hypot(p[0], p[1])
    groove = fractal((rho, p[2], 0.0), 0.012, w, 0.88, seed)
    stain = fractal(p, 0.03, w, 0.75, seed + 1)
    c = mix(colour(m, 0), colour(m, 1), 0.35 + 0.7 * stain)
    return times(c, 1.0 + 0.3 * groove)


@helper
def _globe(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A globe of radius s0 of a world that is not ours: land with coasts of every size."""
    seed = m[16]
    f = w / m[10]
    height = fractal(p, 1.1 * m[10], w, 0.6, seed)
    land = above(height, 0.08, max(0.6 * f, 0.01))
    depth = mix(colour(m, 1), times(colour(m, 1), 0.55), -1.6 * height)
    ground = mix(colour(m, 0), colour(m, 2), 2.2 * (height - 0.12))
    c = mix(depth, ground, land)
    c = mix(c, (0.25, 0.18, 0.1), 0.7 * within(height, 0.055, 0.085, max(0.5 * f, 0.01)))
    lat = math.asin(min(max(p[2] / m[10], -1.0), 1.0)) * 6.0 / math.pi
    lon = math.atan2(p[1], p[0]) * 6.0 / math.pi
    rho = max(math.hypot(p[0], p[1]) / m[10], 0.05)
    line = stripe(lat + 0.01, 0.02, 2.0 * f) + stripe(lon + 0.01, 0.02 / rho, 2.0 * f / rho)
    return times(mix(c, (0.2, 0.15, 0.1), 0.5 * line), 1.0 + 0.1 * fractal(p, 0.01, w, 0.88, seed))


@helper
def _yarn(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """A ball of yarn: three windings about slanted axes, each shown where it lies on top."""
    seed = m[16]
    level = fractal(p, 1.2 * m[10], w, 0.5, seed)
    if level < -0.12:
        a = 0.8 * p[0] + 0.6 * p[2]
    elif level < 0.13:
        a = 0.7 * p[1] - 0.6 * p[2] + 0.4 * p[0]
    else:
        a = 0.9 * p[2] + 0.3 * p[1]
    pitch = 0.006
    strand = 0.62 + 0.38 * cosine(a / pitch, 1.2 * w / pitch)
    key = uniform(math.floor(a / pitch + 0.5), 1, 0, seed)
    twist = cosine((p[0] + p[1] - p[2] + 2.0 * a) / 0.0022, 3.0 * w / 0.0022)
    fluff = fractal(p, 0.006, w, 0.88, seed + 1)
    c = mix(colour(m, 0), colour(m, 1), key if w < pitch else 0.5)
    return times(c, strand * (1.0 + 0.15 * twist) * (1.0 + 0.3 * fluff))


@helper
def albedo(m: Array, p: Vec, n: Vec, w: float) -> Vec:
    """Linear RGB of a material at a point of its texture frame (colour of the glow for lamps)."""
    kind = int(m[0])
    if kind < MARBLE:
        if kind == WOOD:
            return wood(m, p, n, w)
        if kind == PARQUET:
            return parquet(m, p, n, w)
        if kind == WALL:
            return wall(m, p, n, w)
        if kind == PLASTER:
            return plaster(m, p, n, w)
        if kind == VIEW:
            return view(m, p, n, w)
        if kind == RUG:
            return rug(m, p, n, w)
        if kind == CLOTH:
            return cloth(m, p, n, w)
        if kind == PAPER:
            return paper(m, p, n, w)
        if kind == BOOK:
            return book(m, p, n, w)
        return painting(m, p, n, w)
    if kind == MARBLE:
        return _marble(m, p, n, w)
    if kind == GLAZE:
        return _glaze(m, p, n, w)
    if kind == PORCELAIN:
        return _porcelain(m, p, n, w)
    if kind == LEAF:
        return _leaf(m, p, n, w)
    if kind == STRAW:
        return _straw(m, p, n, w)
    if kind == CHEQUER:
        return _chequer(m, p, n, w)
    if kind == WAX:
        return _wax(m, p, n, w)
    if kind == BALL_STRIPES:
        return _ball_stripes(m, p, n, w)
    if kind == FRUIT:
        return _fruit(m, p, n, w)
    if kind == ICING:
        return _icing(m, p, n, w)
    if kind == PAPER_LAMP:
        return _paper_lamp(m, p, n, w)
    if kind == BRASS:
        return _brass(m, p, n, w)
    if kind == GLOBE:
        return _globe(m, p, n, w)
    return _yarn(m, p, n, w)
