"""The set table. Metres; heights are above the table top, which is at ``TOP``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.capture.demo import materials as kinds
from ops.capture.demo.build import Array, Builder, Material, Place, Vec, toward, turn
from ops.capture.demo.room import BRASS, OAK, WALNUT, binding, rod

TOP = 0.74
RADIUS = 0.72
CLOTH = 0.002  # thickness of the runner

CELADON = Material(
    kind=kinds.GLAZE,
    colors=("#2f7f7c", "#5fa79a", "#173a3a"),
    sizes=(0.06, 0.016, 0.012),
    gloss=1.0,
    seed=201,
)
DELFT = Material(
    kind=kinds.PORCELAIN,
    colors=("#f1ede2", "#2b4fa0", "#8a8f98"),
    sizes=(0.08, 9.0),
    gloss=0.9,
    seed=202,
)
FRUITS = {
    "orange": Material(
        kind=kinds.FRUIT, colors=("#f0902a", "#e0701a", "#f8b860"), sizes=(0.07, 0.004), seed=211
    ),
    "lemon": Material(
        kind=kinds.FRUIT, colors=("#f2d24a", "#e0b52c", "#f8e68a"), sizes=(0.06, 0.0036), seed=212
    ),
    "apple": Material(
        kind=kinds.FRUIT,
        colors=("#c8d060", "#c0302a", "#f0d890"),
        sizes=(0.09, 0.007),
        gloss=0.4,
        seed=213,
    ),
    "plum": Material(
        kind=kinds.FRUIT,
        colors=("#5a2c58", "#33173c", "#9a7ca8"),
        sizes=(0.05, 0.003),
        gloss=0.3,
        seed=214,
    ),
}


def vessel(
    b: Builder,
    outside: Material,
    inside: Material,
    profile: Sequence[tuple[float, float]],
    wall: float,
    base: Vec = (0, 0, 0),
) -> None:
    """An open pot with a wall of some thickness and a round rim."""
    z0, z1, r1 = profile[0][0], profile[-1][0], profile[-1][1]
    b.lathe(outside, base, profile, ends=(True, False))
    bottom = z0 + 1.5 * wall
    hollow = [(bottom + (z - z0) * (z1 - bottom) / (z1 - z0), r - wall) for z, r in profile]
    b.lathe(inside, base, hollow, ends=(True, False))
    b.ring(outside, np.add(base, (0, 0, z1)), r1 - wall / 2, wall / 2)


def table(b: Builder) -> None:
    """A round walnut table with a linen runner."""
    b.start("table")
    top = WALNUT.but(colors=("#b98150", "#8a5630", "#3c2212"), sizes=(0.02,), seed=203)
    edge = 0.0175
    b.lathe(
        top, (0, 0, TOP - 2 * edge), [(0, RADIUS - edge), (2 * edge, RADIUS - edge)], smooth=False
    )
    b.ring(top, (0, 0, TOP - edge), RADIUS - edge, edge)
    for k in range(4):
        a = np.pi / 4 + np.pi / 2 * k
        foot, head = 0.55 * np.array([np.cos(a), np.sin(a)]), 0.4 * np.array([np.cos(a), np.sin(a)])
        rod(b, WALNUT, (*foot, 0.0), (*head, TOP - 0.03), 0.018, 0.032)
    b.box(WALNUT.but(seed=204), (0, 0, TOP - 0.07), (0.8, 0.05, 0.07), turn("z", 45))
    b.box(WALNUT.but(seed=205), (0, 0, TOP - 0.07), (0.8, 0.05, 0.07), turn("z", -45))
    b.start("runner")
    linen = Material(
        kind=kinds.CLOTH,
        colors=("#ece4d0", "#4d7391", "#b5533c"),
        sizes=(0.0016, 0.127, 0.22),
        seed=206,
    )
    b.box(linen, (0, 0, TOP + CLOTH / 2), (0.38, 1.2, CLOTH), turn("z", 90))


def teapot(b: Builder) -> None:
    """A celadon teapot."""
    b.start("teapot", Place((-0.1, 0.07, TOP + CLOTH), turn("z", -28)))
    body = [(0.0, 0.06), (0.02, 0.093), (0.06, 0.116), (0.1, 0.104), (0.13, 0.07), (0.14, 0.052)]
    b.lathe(CELADON, (0, 0, 0), body)
    b.lathe(CELADON, (0, 0, 0.139), [(0, 0.056), (0.012, 0.05), (0.024, 0.028), (0.03, 0.01)])
    b.ball(CELADON, (0, 0, 0.178), 0.0145)
    b.lathe(
        CELADON,
        (0.085, 0, 0.05),
        [(0, 0.034), (0.05, 0.024), (0.09, 0.0155), (0.125, 0.013)],
        toward((0.8, 0, 0.75)),
    )
    b.ring(CELADON, (-0.118, 0, 0.078), 0.046, 0.0095, turn("x", 90))
    b.ring(CELADON, (0, 0, 0.003), 0.06, 0.005)
    b.blob((0, 0, 0.075), 0.1)


def cup(b: Builder) -> None:
    """A cup of tea on a saucer."""
    place = Place((0.22, -0.075, TOP + CLOTH), turn("z", 35))
    b.start("cup", place)
    saucer = [(0.0, 0.04), (0.004, 0.05), (0.01, 0.068), (0.014, 0.077)]
    vessel(b, DELFT.but(sizes=(0.037, 15.0)), DELFT.but(sizes=(0.037, 15.0)), saucer, 0.004)
    side = [(0.0, 0.026), (0.012, 0.036), (0.035, 0.044), (0.055, 0.047)]
    white = DELFT.but(colors=("#f1ede2", "#dfe4ea", "#8a8f98"))
    vessel(b, DELFT.but(sizes=(0.055, 7.0)), white, side, 0.003, (0, 0, 0.007))
    b.ring(DELFT.but(sizes=(0.03, 3.0)), (0.0605, 0, 0.036), 0.0148, 0.004, turn("x", 90))
    tea = Material(
        kind=kinds.PLASTER, colors=("#8a4a18", "#6a3410", "#b8793a"), sizes=(0.02, 0.15), gloss=1.0
    )
    b.lathe(tea, (0, 0, 0.03), [(0, 0.0405), (0.018, 0.0425)], smooth=False)
    b.blob((0, 0, 0.032), 0.042)


def vase(b: Builder, rng: np.random.Generator) -> None:
    """A tall blue and white vase with poppies and twigs."""
    place = Place((0.17, 0.34, TOP))
    b.start("vase", place)
    profile = [
        (0.0, 0.052),
        (0.05, 0.078),
        (0.12, 0.09),
        (0.19, 0.062),
        (0.24, 0.036),
        (0.28, 0.05),
    ]
    vessel(b, DELFT, DELFT.but(colors=("#d8d4ca", "#d8d4ca", "#8a8f98")), profile, 0.005)
    for z, r in ((0.06, 0.075), (0.14, 0.08), (0.22, 0.045)):
        b.blob((0, 0, z), r)
    b.start("flowers", place)
    stem = WALNUT.but(colors=("#7d9a52", "#56783c", "#3c5a2a"), seed=221)
    green = Material(
        kind=kinds.LEAF, colors=("#6f9a55", "#3f6f3c", "#cfe0a0"), sizes=(0.05,), seed=222
    )
    petals = (
        ("#e8623c", "#f29a5a"),
        ("#f3c14e", "#f8e08a"),
        ("#d9405a", "#f08a8e"),
        ("#f4ead8", "#f0c8a0"),
    )
    for k in range(9):
        a = 2.399963 * k + 0.4
        out = 0.05 + 0.024 * k**0.75
        top = np.array([out * np.cos(a), out * np.sin(a), 0.56 - 0.021 * k + 0.02 * rng.normal()])
        low = np.array([0.012 * np.cos(a), 0.012 * np.sin(a), 0.2])
        rod(b, stem, low, top, 0.0028, 0.002)
        c0, c1 = petals[k % 4]
        bloom = Material(kind=kinds.LEAF, colors=(c0, c1, "#fff0c8"), sizes=(0.022,), seed=223 + k)
        lean = toward(top - low) @ turn("z", float(rng.uniform(0, 72)))
        for j in range(5):
            axes = lean @ turn("z", 72.0 * j) @ turn("y", -38)
            b.ball(bloom, top + axes @ [0.019, 0, 0], (0.021, 0.0165, 0.0045), axes)
        eye = Material(
            kind=kinds.FRUIT, colors=("#6a3a18", "#3a2010", "#e8b030"), sizes=(0.01, 0.003)
        )
        b.ball(eye, top + lean @ [0, 0, 0.004], (0.009, 0.009, 0.007), lean)
        if k % 2:
            mid = 0.5 * low + 0.5 * top
            axes = turn("z", np.degrees(a) + 50) @ turn("y", -30)
            b.ball(green, mid + axes @ [0.05, 0, 0], (0.05, 0.015, 0.002), axes)
        b.blob(top, 0.02)


def stack(b: Builder, rng: np.random.Generator) -> None:
    """Three books with an apple on top."""
    z = 0.0
    for k, (deep, tall, thick, angle) in enumerate(
        ((0.17, 0.235, 0.034, 24), (0.15, 0.21, 0.027, 9), (0.13, 0.185, 0.03, 38))
    ):
        lie = turn("z", angle - 115 + float(rng.normal(0, 2)))
        b.start("books", Place((-0.43, -0.17, TOP + z), lie))
        half = (deep / 2, tall / 2, thick / 2)
        b.box(binding((0, 1, 2)[k], half, 40 + k), (0, 0, thick / 2), 2 * np.array(half), dims=True)
        z += thick
    b.start("fruit", Place((-0.42, -0.17, TOP + z)))
    b.ball(FRUITS["apple"], (0, 0, 0.034), (0.038, 0.038, 0.034))
    rod(b, WALNUT, (0, 0, 0.062), (0.006, 0.002, 0.082), 0.0016, 0.0022)
    b.blob((0, 0, 0.034), 0.036)


def marble(b: Builder) -> None:
    """A ball of marble on a turned ring."""
    b.start("marble", Place((0.46, 0.22, TOP)))
    stone = Material(
        kind=kinds.MARBLE,
        colors=("#efece4", "#cfd4d2", "#4b5a52"),
        sizes=(0.09,),
        gloss=0.7,
        seed=231,
    )
    b.ball(stone, (0, 0, 0.095), 0.08)
    foot = [(0.0, 0.062), (0.01, 0.06), (0.018, 0.046), (0.028, 0.048)]
    b.lathe(WALNUT.but(seed=232), (0, 0, 0), foot, ends=(True, True))
    b.blob((0, 0, 0.095), 0.08)
    b.blob((0, 0, 0.012), 0.05)


def bowl(b: Builder, rng: np.random.Generator) -> None:
    """A turned bowl of fruit."""
    place = Place((0.13, -0.37, TOP))
    b.start("bowl", place)
    wood = OAK.but(colors=("#c98e58", "#9a5c30", "#4a2814"), sizes=(0.011,), seed=241)
    side = [(0.0, 0.06), (0.012, 0.085), (0.035, 0.118), (0.06, 0.138), (0.078, 0.145)]
    vessel(b, wood, wood, side, 0.007)
    b.blob((0, 0, 0.04), 0.09)
    heap = (
        ("orange", (-0.055, 0.03, 0.062), (0.045, 0.045, 0.043)),
        ("orange", (0.04, 0.06, 0.06), (0.042, 0.042, 0.041)),
        ("lemon", (0.06, -0.035, 0.056), (0.046, 0.034, 0.034)),
        ("plum", (-0.03, -0.062, 0.052), (0.033, 0.033, 0.036)),
        ("apple", (0.005, 0.0, 0.108), (0.041, 0.041, 0.037)),
        ("plum", (-0.088, -0.028, 0.066), (0.03, 0.03, 0.032)),
    )
    for k, (name, center, radii) in enumerate(heap):
        b.start("fruit", place)
        axes = turn("z", float(rng.uniform(0, 360))) @ turn("y", float(rng.uniform(-30, 30)))
        b.ball(FRUITS[name].but(seed=242 + k), center, radii, axes)
        b.blob(center, min(radii))


def candle(b: Builder) -> None:
    """A candle in a brass holder, burning."""
    place = Place((-0.27, 0.36, TOP))
    b.start("candle", place)
    foot = [(0, 0.055), (0.006, 0.056), (0.014, 0.03), (0.05, 0.012), (0.085, 0.016), (0.1, 0.03)]
    b.lathe(BRASS, (0, 0, 0), foot)
    b.ring(BRASS, (0, 0, 0.1), 0.03, 0.004)
    wax = Material(kind=kinds.WAX, colors=("#efe2c4", "#ffd9a0"), sizes=(0.14,), seed=251)
    b.lathe(wax, (0, 0, 0.1), [(0, 0.0175), (0.12, 0.0168), (0.135, 0.016), (0.14, 0.0145)])
    b.blob((0, 0, 0.02), 0.04)
    b.blob((0, 0, 0.16), 0.02)
    b.start("candle", place, casts=False)
    rod(b, WALNUT, (0, 0, 0.238), (0.001, 0, 0.25), 0.0012, 0.001)
    glow = Material(
        kind=kinds.PLASTER,
        colors=("#ffe9a8", "#ffc860", "#fff6d8"),
        sizes=(0.03, 0.1),
        emission=1.2,
    )
    flame = [(0, 0.001), (0.006, 0.0062), (0.014, 0.006), (0.03, 0.0015), (0.034, 0.0004)]
    b.lathe(glow, (0, 0, 0.243), flame)


def cube(b: Builder) -> None:
    """An inlaid cube."""
    b.start("cube", Place((-0.5, 0.14, TOP + CLOTH), turn("z", 32)))
    inlay = Material(
        kind=kinds.CHEQUER, colors=("#e8cf9c", "#5a2f1a", "#b03a2a"), sizes=(0.025,), seed=261
    )
    b.box(inlay, (0, 0, 0.05), (0.1, 0.1, 0.1), dims=True)


def doughnut(b: Builder) -> None:
    """An iced ring on a plate."""
    place = Place((-0.18, -0.4, TOP))
    b.start("plate", place)
    rim = [(0.0, 0.065), (0.005, 0.08), (0.011, 0.1), (0.015, 0.112)]
    china = DELFT.but(sizes=(0.05, 17.0), seed=271)
    vessel(b, china, china, rim, 0.004)
    b.blob((0, 0, 0.0), 0.05)
    b.start("doughnut", place)
    ice = Material(
        kind=kinds.ICING, colors=("#c98a4a", "#e58aa0"), sizes=(-0.002,), gloss=0.3, seed=272
    )
    b.ring(ice, (0, 0, 0.03), 0.04, 0.023, turn("x", 4))
    b.blob((0, 0, 0.03), 0.045)


def letter(b: Builder, rng: np.random.Generator) -> None:
    """A written sheet with a pencil on it."""
    z = TOP + CLOTH
    b.start("letter", Place((0.44, -0.04, z), turn("z", -78 + float(rng.normal(0, 3)))))
    sheet = Material(
        kind=kinds.PAPER, colors=("#f4edda", "#22304a"), sizes=(0.075, 0.055, 0.0075), seed=281
    )
    b.box(sheet, (0, 0, 0.0004), (0.19, 0.135, 0.0008))
    b.start("pencil", Place((0.5, -0.04, z + 0.0008), turn("z", 62)))
    paint = OAK.but(colors=("#d8a21e", "#c98a12", "#8a5a08"), seed=282)
    rod(b, paint, (-0.07, 0, 0.0036), (0.055, 0, 0.0036), 0.0036, 0.0036)
    rod(b, OAK, (0.055, 0, 0.0036), (0.07, 0, 0.0036), 0.0036, 0.0006)


def ball(b: Builder, time: float) -> None:
    """The ball that rolls along the edge of the table as ``time`` goes from 0 to 1."""
    radius, path = 0.045, 0.615
    start, end = np.radians(-152.0), np.radians(-38.0)
    a = start + (end - start) * time
    # It rolls without slipping: about the radial axis by the way it has gone, then around.
    spin = -np.degrees(path * (a - start) / radius)
    axes: Array = turn("z", np.degrees(a)) @ turn("x", spin) @ turn("y", 62) @ turn("x", 25)
    b.start("ball", Place((path * np.cos(a), path * np.sin(a), TOP + radius)))
    paint = Material(
        kind=kinds.BALL_STRIPES,
        colors=("#d8402e", "#2f66a8", "#f6efe0"),
        sizes=(radius,),
        gloss=0.5,
        seed=291,
    )
    b.ball(paint, (0, 0, 0), radius, axes)
    b.blob((0, 0, 0), radius)
