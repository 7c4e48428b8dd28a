"""The arrays that a compiled scene consists of, as the kernels read them."""

from __future__ import annotations

from typing import NamedTuple

from numpy import ndarray

# Columns of ``Scene.shapes`` after the geometry (see shapes).
KIND, CASTS, CONVEX, OBJECT, LABEL = 21, 22, 23, 24, 25

# Where ``Scene.light`` has what; RGB is linear.
ROOM = 0  # lowest corner of the room in 0..2, highest in 3..5
SUN = 6  # direction to the sun, its angular radius (9), RGB irradiance (10..12)
WINDOW = 13  # RGB radiance of the sky light that comes through the panes
LAMP = 16  # centre, radius (19), RGB radiance (20..22)
ABOVE, BELOW = 23, 26  # RGB radiance of the room from above and from below
PANES = 29  # openings of the window in the plane of the lowest x: y0, y1, z0, z1 each


class Scene(NamedTuple):
    """N shapes in a room; world in metres, z up, the table top around the origin of x and y.

    The tree is a list of nodes in depth-first order. The planes of the room are not in it: every
    ray meets one of them, and they throw no shadow.
    """

    shapes: ndarray  # [N, 26] float64: geometry (see shapes), then the columns above: CASTS a
    #   shadow, is CONVEX (cannot shade itself), number of its OBJECT, LABEL
    frames: ndarray  # [N, 12] float64, world to texture frame: rotation by rows, origin
    materials: ndarray  # [N, 17] float64, see materials
    planes: ndarray  # [6] int64, the shapes that are sides of the room
    tree: ndarray  # [T, 6] float64, bounding boxes: low corner, high corner
    links: ndarray  # [T, 2] int64: the node after a missed box; the shape of a leaf, else -1
    blobs: ndarray  # [B, 5] float64, spheres that dim the ambient light: centre, radius, object
    blocks: ndarray  # [K] int64, boxes that dim the ambient light
    light: ndarray  # [29 + 4 Q] float64, see the constants above
