"""The arrays that a compiled scene consists of, as the kernels read them."""

from __future__ import annotations

from typing import NamedTuple

from numpy import ndarray


class Scene(NamedTuple):
    """N shapes in a room; world in metres, z up, the table top around the origin of x and y.

    The tree is a list of nodes in depth-first order. The planes of the room are not in it: every
    ray meets one of them, and they throw no shadow.
    """

    shapes: ndarray  # [N, 23] float64, see shapes
    planes: ndarray  # [6] int64, the shapes that are sides of the room
    tree: ndarray  # [T, 6] float64, bounding boxes: low corner, high corner
    links: ndarray  # [T, 2] int64: the node after a missed box; the shape of a leaf, else -1
    frames: ndarray  # [N, 12] float64, world to texture frame: rotation by rows, origin
    materials: ndarray  # [N, 17] float64, see materials
    labels: ndarray  # [N] uint8, index into the label names
    objects: ndarray  # [N] int64, shapes of one object have the same number
    convex: ndarray  # [N] bool, a shape that cannot shade itself
    blobs: ndarray  # [B, 5] float64, spheres that dim the ambient light: centre, radius, object
    blocks: ndarray  # [K] int64, boxes that dim the ambient light
    room: ndarray  # [2, 3] float64, lowest and highest corner
    sun: ndarray  # [7] direction to the sun, its angular radius, RGB irradiance
    panes: ndarray  # [Q, 4] openings of the window in the plane x = room[0, 0]: y0, y1, z0, z1
    window: ndarray  # [3] RGB radiance of the sky light that comes through the panes
    lamp: ndarray  # [7] centre, radius, RGB radiance
    ambient: ndarray  # [2, 3] RGB radiance from above and from below
