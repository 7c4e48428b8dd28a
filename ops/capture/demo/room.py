"""The room and its furniture. Metres; the window is in the wall at -x, the shelf at +y."""

from __future__ import annotations

import numpy as np

from ops.capture.demo import materials as kinds
from ops.capture.demo.build import Array, Builder, Material, Place, Vec, toward, turn

LOW, HIGH = (-2.6, -2.3, 0.0), (2.6, 2.3, 2.6)
PANES = [
    (y, y + 0.77, z, z + 0.62) for z in (0.95, 1.63) for y in (-0.2, 0.63)
]  # y0, y1, z0, z1 in the plane x = -2.6

OAK = Material(kind=kinds.WOOD, colors=("#c99c6a", "#9c6c3e", "#4a2e1a"), sizes=(0.022,), seed=1)
WALNUT = Material(kind=kinds.WOOD, colors=("#a8743f", "#6d4223", "#2c190d"), sizes=(0.016,), seed=2)
WHITE = Material(kind=kinds.PLASTER, colors=("#efe9dc", "#e2dac8", "#d6ccb8"), sizes=(0.06, 0.05))
BRASS = Material(kind=kinds.BRASS, colors=("#d8a94e", "#8d6428"), gloss=0.8, seed=3)
TERRACOTTA = Material(
    kind=kinds.GLAZE, colors=("#c4694a", "#a4492f", "#e0a684"), sizes=(0.09, 0.013, 0.0), seed=4
)
SOIL = Material(kind=kinds.PLASTER, colors=("#4a3524", "#23170e", "#8a7a64"), sizes=(0.03, 0.5))
LINEN = Material(
    kind=kinds.CLOTH, colors=("#ece3cd", "#d8a55c", "#b8543a"), sizes=(0.002, 0.5, 0.3), seed=5
)
FACING = {  # columns: u, v and the normal of each side of the room
    "floor": np.eye(3),
    "ceiling": np.diag([1.0, -1.0, -1.0]),
    "-x": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float),
    "+x": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]], float),
    "-y": np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], float),
    "+y": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
}
BINDINGS = (
    ("#8f2f2a", "#e2b866"),
    ("#1f4e5f", "#e8d9a8"),
    ("#c98a2b", "#3b2412"),
    ("#3d5a3a", "#e6cf8e"),
    ("#5b3a63", "#dcc27a"),
    ("#d9cdb4", "#7a3328"),
    ("#27374d", "#d7a86e"),
    ("#a5532f", "#f0e0b8"),
)


def binding(which: int, half: Vec, seed: int) -> Material:
    """The material of a book of half size ``half`` (depth, height, thickness)."""
    cover, gold = BINDINGS[which % len(BINDINGS)]
    return Material(
        kind=kinds.BOOK, colors=(cover, gold, "#ece0c4"), sizes=tuple(half), seed=100 + seed
    )


def rod(b: Builder, material: Material, start: Vec, end: Vec, r0: float, r1: float) -> None:
    """A straight rod from one point to another, tapering from radius r0 to r1."""
    a, c = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(c - a))
    b.lathe(material, a, [(0.0, r0), (length, r1)], toward(c - a), smooth=False)


def shell(b: Builder) -> None:
    """Floor, ceiling and four walls, with skirting and picture rail."""
    floor = Material(
        kind=kinds.PARQUET, colors=("#c08d58", "#94622f", "#3a2312"), sizes=(0.09,), seed=11
    )
    b.start("floor")
    b.plane(floor, (0, 0, 0), FACING["floor"])
    b.start("ceiling")
    b.plane(WHITE.but(sizes=(0.35, 0.06), seed=12), (0, 0, HIGH[2]), FACING["ceiling"])
    for y in (-1.15, 0.0, 1.15):
        b.box(OAK.but(seed=13), (0, y, HIGH[2] - 0.05), (5.2, 0.12, 0.1))
    b.start("wall")
    paper = Material(
        kind=kinds.WALL, colors=("#8fa590", "#b9c6ae", "#e9e2d2"), sizes=(0.92, 0.24), seed=14
    )
    warm = paper.but(colors=("#c9a27e", "#dcc09c", "#e9e2d2"), seed=15)
    for side, x in (("-x", LOW[0]), ("+x", HIGH[0])):
        b.plane(warm, (x, 0, 0), FACING[side])
    for side, y in (("-y", LOW[1]), ("+y", HIGH[1])):
        b.plane(paper, (0, y, 0), FACING[side])
    for z, h, d in ((0.06, 0.12, 0.03), (0.92, 0.05, 0.04)):
        for y in (LOW[1], HIGH[1]):
            b.box(WHITE, (0, y, z), (5.2, d, h))
        for x in (LOW[0], HIGH[0]):
            b.box(WHITE, (x, 0, z), (d, 4.6, h))


def window(b: Builder) -> None:
    """The window with its frame, sill and curtains."""
    sky = Material(kind=kinds.VIEW, emission=1.15, seed=21)
    b.start("window", casts=False)
    x, y, z = LOW[0], 0.6, 1.6
    b.box(sky, (x, y, z), (1.6, 1.3, 0.01), FACING["-x"])
    for dy in (-0.83, 0.0, 0.83):
        b.box(WHITE, (x, y + dy, z), (0.09, 0.06, 1.42))
    for dz in (-0.68, 0.0, 0.68):
        b.box(WHITE, (x, y, z + dz), (0.08, 1.72, 0.06))
    b.box(OAK.but(seed=22), (x + 0.08, y, 0.895), (0.2, 1.86, 0.035))
    b.start("curtain")
    rod(b, BRASS, (x + 0.1, y - 1.45, 2.42), (x + 0.1, y + 1.45, 2.42), 0.012, 0.012)
    for side in (-1, 1):
        for k in range(5):
            at = y + side * (0.93 + 0.085 * k)
            r = 0.05 + 0.008 * ((k * 3) % 4)
            b.lathe(
                LINEN.but(seed=23 + k),
                (x + 0.09 + 0.012 * ((k * 2) % 3), at, 0.06),
                [(0.0, r * 1.15), (0.8, r * 0.95), (1.7, r * 0.85), (2.34, r * 0.75)],
            )
        b.blob((x + 0.1, y + side * 1.1, 0.6), 0.2)


def lantern(b: Builder) -> tuple[Array, float]:
    """The paper lantern above the table; returns its centre and radius."""
    center, radius = np.array([0.0, 0.0, 2.16]), 0.2
    b.start("lantern", casts=False)
    paper = Material(
        kind=kinds.PAPER_LAMP, colors=("#fff1d6", "#f0cf9a"), sizes=(radius,), emission=1.05
    )
    b.ball(paper, center, radius)
    rod(b, BRASS, np.add(center, (0, 0, radius - 0.005)), (0, 0, HIGH[2]), 0.006, 0.006)
    return center, radius


def rug(b: Builder) -> None:
    """A rug under the table."""
    knots = Material(
        kind=kinds.RUG, colors=("#9c3a30", "#25405c", "#e6d5ae"), sizes=(1.5, 1.1), seed=31
    )
    b.start("rug")
    b.box(knots, (0.1, -0.05, 0.006), (3.0, 2.2, 0.012))


def shelf(b: Builder, rng: np.random.Generator) -> None:
    """A bookshelf at +y."""
    x, y, w, d, h = 0.85, 2.13, 1.7, 0.3, 1.95
    b.start("bookshelf")
    for side in (-1, 1):
        b.box(OAK.but(seed=41), (x + side * w / 2, y, h / 2), (h, d, 0.03), turn("y", 90), True)
    levels = [0.08, 0.52, 0.96, 1.4, h]
    for z in levels:
        b.box(OAK.but(seed=42), (x, y, z), (w, d, 0.028), dims=True)
    b.box(OAK.but(seed=43), (x, HIGH[1] - 0.01, h / 2), (w, 0.02, h))
    b.start("books")
    number = 0
    for z in levels[:-1]:
        at = x - w / 2 + 0.03
        stop = x + w / 2 - (0.05 if number % 2 else 0.4)
        while True:
            thick = float(rng.uniform(0.025, 0.06))
            tall, deep = float(rng.uniform(0.24, 0.37)), float(rng.uniform(0.17, 0.23))
            if at + thick > stop:
                break
            half = (deep / 2, tall / 2, thick / 2)
            # Spine (-x of the book) to the room (-y), height up, thickness along the shelf.
            axes = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
            lean = turn("y", float(rng.normal(0, 0.8)))
            middle = (at + thick / 2, y - 0.13 + deep / 2, z + 0.015 + tall / 2)
            cover = binding(int(rng.integers(8)), half, number)
            b.box(cover, middle, 2 * np.array(half), lean @ axes)
            at += thick + 0.002
            number += 1
        number += 1
    b.start("pottery")
    jug = Material(
        kind=kinds.GLAZE,
        colors=("#dfd3bd", "#b7a184", "#5a3d28"),
        sizes=(0.05, 0.012, 0.0),
        seed=44,
    )
    profile = [(0.0, 0.05), (0.05, 0.085), (0.12, 0.09), (0.19, 0.05), (0.24, 0.045)]
    b.lathe(jug, (x - 0.5, y, h + 0.014), profile)
    b.lathe(
        TERRACOTTA, (x - 0.2, y, h + 0.014), [(0, 0.06), (0.06, 0.1), (0.1, 0.11), (0.15, 0.06)]
    )
    b.blob((x - 0.5, y, h + 0.1), 0.085)
    b.blob((x - 0.2, y, h + 0.08), 0.1)


def sideboard(b: Builder) -> None:
    """A sideboard at -y with a globe and a lamp-black vase on it."""
    x, y = -0.35, -2.05
    b.start("sideboard", Place((x, y, 0)))
    b.box(WALNUT.but(seed=51), (0, 0, 0.42), (1.7, 0.44, 0.56), dims=True)
    b.box(WALNUT.but(seed=52), (0, 0, 0.715), (1.78, 0.48, 0.03))
    for k, side in enumerate((-0.56, 0.0, 0.56)):
        b.box(OAK.but(seed=53 + k), (side, 0.225, 0.42), (0.5, 0.02, 0.48))
        b.ball(BRASS, (side + 0.18, 0.25, 0.46), 0.016)
    for sx in (-0.75, 0.75):
        for sy in (-0.16, 0.16):
            rod(b, WALNUT, (sx, sy, 0.0), (sx * 0.95, sy, 0.15), 0.016, 0.024)
    b.start("globe", Place((x - 0.5, y, 0.73), turn("z", 40)))
    earth = Material(
        kind=kinds.GLOBE,
        colors=("#c8b26a", "#3f7896", "#7a8f4f"),
        sizes=(0.15,),
        gloss=0.5,
        seed=56,
    )
    tilt = turn("x", 23)
    b.ball(earth, (0, 0, 0.25), 0.15, tilt)
    b.ring(BRASS, (0, 0, 0.25), 0.17, 0.007, turn("y", 90))
    b.lathe(
        WALNUT, (0, 0, 0), [(0, 0.1), (0.02, 0.095), (0.035, 0.03), (0.06, 0.018), (0.09, 0.02)]
    )
    b.blob((0, 0, 0.25), 0.15)
    b.start("pottery", Place((x + 0.45, y, 0.73)))
    tall = Material(
        kind=kinds.GLAZE,
        colors=("#31424c", "#52707a", "#d8c9a8"),
        sizes=(0.07, 0.02, 0.009),
        gloss=0.8,
        seed=57,
    )
    b.lathe(tall, (0, 0, 0), [(0, 0.06), (0.1, 0.1), (0.22, 0.08), (0.32, 0.035), (0.4, 0.05)])
    b.blob((0, 0, 0.12), 0.1)


def picture(
    b: Builder, side: str, center: Vec, size: tuple[float, float], material: Material
) -> None:
    """A framed painting on a wall; ``material`` gets its half size."""
    axes = FACING[side]
    w, h = size
    b.start("picture", Place(center, axes))
    b.box(material.but(sizes=(w / 2, h / 2, material.sizes[0])), (0, 0, 0.012), (w, h, 0.02))
    edge = 0.045
    for s in (-1, 1):
        b.box(WALNUT.but(seed=61), (0, s * (h + edge) / 2, 0.02), (w + 2 * edge, edge, 0.045))
        b.box(WALNUT.but(seed=62), (s * (w + edge) / 2, 0, 0.02), (h, edge, 0.045), turn("z", 90))


def pictures(b: Builder) -> None:
    """Paintings on three walls."""
    landscape = Material(kind=kinds.PAINTING, sizes=(0.0,), seed=63)
    fields = Material(
        kind=kinds.PAINTING, colors=("#e7d9bd", "#c8502f", "#2f5d73"), sizes=(1.0,), seed=64
    )
    picture(b, "-y", (-0.2, LOW[1], 1.62), (1.1, 0.72), landscape)
    picture(b, "+x", (HIGH[0], 0.55, 1.62), (0.62, 0.82), fields)
    picture(b, "+x", (HIGH[0], -0.42, 1.66), (0.55, 0.42), landscape.but(seed=65))
    rose = fields.but(colors=("#ead9c9", "#3e6b5a", "#d59a3a"), seed=66)
    picture(b, "+y", (-1.2, HIGH[1], 1.6), (0.8, 0.6), rose)


def plant(b: Builder, rng: np.random.Generator) -> None:
    """A rubber plant in the corner at +x, -y."""
    b.start("plant", Place((2.08, -1.78, 0)))
    b.lathe(TERRACOTTA, (0, 0, 0), [(0, 0.13), (0.15, 0.165), (0.3, 0.19)], ends=(True, False))
    b.ring(TERRACOTTA, (0, 0, 0.3), 0.19, 0.018)
    b.lathe(SOIL, (0, 0, 0.2), [(0, 0.172), (0.07, 0.172)], smooth=False)
    b.blob((0, 0, 0.17), 0.18)
    bark = WALNUT.but(colors=("#7c8a52", "#5a6a3a", "#3a3a20"), seed=71)
    green = Material(
        kind=kinds.LEAF,
        colors=("#3f7a3c", "#1f5230", "#b5cf86"),
        sizes=(0.17,),
        gloss=0.35,
        seed=72,
    )
    for k in range(4):
        a = 2 * np.pi * k / 4 + 0.5
        top = np.array([0.14 * np.cos(a), 0.14 * np.sin(a), 1.05 + 0.16 * k])
        rod(b, bark, (0.04 * np.cos(a), 0.04 * np.sin(a), 0.25), top, 0.012, 0.006)
        for j in range(6):
            s = 0.3 + 0.7 * j / 5
            at = np.array([0.14 * np.cos(a) * s, 0.14 * np.sin(a) * s, 0.25 + (top[2] - 0.25) * s])
            around = np.degrees(a) + 137.5 * j + float(rng.normal(0, 8))
            tip = float(rng.uniform(5, 40)) - 25 * (j == 5)
            length = 0.17 - 0.012 * j
            axes = turn("z", around) @ turn("y", tip) @ turn("x", float(rng.normal(0, 12)))
            center = at + axes @ [length, 0, 0]
            b.ball(green.but(sizes=(length,)), center, (length, 0.42 * length, 0.006), axes)
    b.blob((0, 0, 0.9), 0.2)


def stool(b: Builder) -> None:
    """A stool with a basket of yarn."""
    x, y = -1.62, -1.35
    b.start("stool", Place((x, y, 0)))
    seat = [(0.0, 0.17), (0.012, 0.19), (0.03, 0.19), (0.04, 0.175)]
    b.lathe(OAK.but(seed=81), (0, 0, 0.41), seat, ends=(True, True))
    for k in range(3):
        a = 2 * np.pi * k / 3
        c, s = np.cos(a), np.sin(a)
        rod(b, OAK.but(seed=82), (0.2 * c, 0.2 * s, 0), (0.11 * c, 0.11 * s, 0.415), 0.014, 0.02)
    b.blob((0, 0, 0.43), 0.16)
    b.start("basket", Place((x, y, 0.45)))
    for k in range(9):
        s = k / 8
        major = 0.115 + 0.045 * np.sin(np.pi * (0.15 + 0.6 * s))
        straw = Material(
            kind=kinds.STRAW,
            colors=("#d9b876", "#a87c3e", "#8a4a2c"),
            sizes=(major, 0.0135),
            seed=83 + k,
        )
        b.ring(straw, (0, 0, 0.0135 + 0.022 * k), major, 0.0135, turn("z", 37.0 * k))
    b.lathe(SOIL, (0, 0, 0.002), [(0, 0.115), (0.02, 0.115)], smooth=False)
    b.blob((0, 0, 0.1), 0.13)
    for k, (dx, dy, dz, r, c0, c1) in enumerate(
        (
            (-0.055, 0.03, 0.16, 0.068, "#c8553d", "#e08a6a"),
            (0.06, 0.045, 0.155, 0.062, "#e3c16f", "#f0dca0"),
            (0.01, -0.065, 0.16, 0.066, "#4f7f8c", "#86aeb4"),
        )
    ):
        b.start("yarn", Place((x, y, 0.45)))
        b.ball(Material(kind=kinds.YARN, colors=(c0, c1), sizes=(r,), seed=93 + k), (dx, dy, dz), r)
        b.blob((dx, dy, dz), r)
