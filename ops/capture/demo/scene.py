"""The built-in scene as a whole: a sunlit room around a set table."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ops.capture.demo import room, still_life
from ops.capture.demo.build import Builder, linear
from ops.capture.demo.model import KIND, Scene
from ops.capture.demo.shapes import PLANE
from ops.errors import InputError

LOOK_AT = (0.0, 0.0, 0.84)  # the middle of the set table, where cameras look


@lru_cache(maxsize=4)
def demo_scene(seed: int, time: float = 0.0) -> tuple[Scene, tuple[str, ...]]:
    """The scene at a moment, and the names of its labels in the order of their numbers.

    Args:
        seed: Changes textures and the way loose objects lie; 0 or greater.
        time: Where the rolling ball is, from 0 to 1.

    Raises:
        InputError: ``time`` or ``seed`` is out of range.
    """
    if not 0.0 <= time <= 1.0:
        raise InputError(f"demo scene: time should be in [0, 1], found {time}")
    if seed < 0:
        raise InputError(f"demo scene: seed should be 0 or greater, found {seed}")
    rng = np.random.default_rng(seed)
    b = Builder(seed)
    room.shell(b)
    room.window(b)
    room.rug(b)
    still_life.table(b)
    still_life.teapot(b)
    still_life.cup(b)
    still_life.vase(b, rng)
    still_life.stack(b, rng)
    still_life.marble(b)
    still_life.bowl(b, rng)
    still_life.candle(b)
    still_life.cube(b)
    still_life.doughnut(b)
    still_life.letter(b, rng)
    room.shelf(b, rng)
    room.sideboard(b)
    room.pictures(b)
    room.plant(b, rng)
    room.stool(b)
    lamp, radius = room.lantern(b)
    still_life.ball(b, time)

    direction = np.array([-1.0, 0.34, 0.42])
    shapes = np.array(b.shapes)
    tree, links = b.tree()
    scene = Scene(
        shapes=shapes,
        frames=np.array(b.frames),
        materials=np.array(b.materials),
        planes=np.flatnonzero(shapes[:, KIND] == PLANE),
        tree=tree,
        links=links,
        blobs=np.array(b.blobs),
        blocks=np.array(b.blocks),
        light=np.concatenate(
            [
                [*room.LOW, *room.HIGH],
                [*direction / np.linalg.norm(direction), 0.014, *2.1 * linear("#ffe2b4")],
                2.6 * linear("#dceaff"),
                [*lamp, radius, *6.0 * linear("#ffd9a6")],
                [*0.56 * linear("#f4efe6"), *0.36 * linear("#f0d2b0")],
                np.ravel(room.PANES),
            ]
        ),
    )
    return scene, tuple(b.label_names)
