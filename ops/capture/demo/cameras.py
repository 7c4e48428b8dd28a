"""Where the built-in scene is photographed from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from ops.cameras import Cameras, look_at
from ops.capture.demo.render import surface_points
from ops.capture.demo.scene import LOOK_AT
from ops.capture.demo.settings import DemoSettings
from ops.capture.model import Split
from ops.errors import InputError

# Rounds of the table: share of the views, radii along x and y, height, and how far from the middle
# of the table a view may look. The last round is near the walls and shows more of the room.
_ROUNDS = (
    (0.36, 1.5, 1.42, 1.16, 0.06),
    (0.28, 1.12, 1.08, 1.66, 0.06),
    (0.36, 2.02, 1.62, 1.45, 0.30),
)


def _check(settings: DemoSettings) -> None:
    for name, low, high in (
        ("width", 16, 8192),
        ("height", 16, 8192),
        ("field_of_view", 10, 120),
        ("train_views", 1, 10_000),
        ("test_views", 0, 10_000),
    ):
        found = getattr(settings, name)
        if not low <= found <= high:
            raise InputError(f"demo settings: {name} should be from {low} to {high}, found {found}")


def _round_sizes(total: int) -> list[int]:
    """How many views each round gets; together ``total``."""
    ends = np.rint(np.cumsum([r[0] for r in _ROUNDS]) * total).astype(int)
    return [int(n) for n in np.diff(ends, prepend=0)]


def demo_cameras(settings: DemoSettings) -> tuple[Cameras, tuple[Split, ...]]:
    """The path of the default capture: three rounds of the table, in the order they are walked.

    Held-out views are spread evenly over the path, between training views. Cameras are float64,
    metres, z up, all of one pinhole model with the principal point in the middle.

    Raises:
        InputError: A setting is out of range.
    """
    _check(settings)
    rng = np.random.default_rng([settings.seed, 7])
    total = settings.train_views + settings.test_views
    eyes, targets = [], []
    for (_, rx, ry, height, wander), count in zip(_ROUNDS, _round_sizes(total), strict=True):
        offset = rng.uniform(0, 2 * math.pi)
        for k in range(count):
            a = offset + 2 * math.pi * (k + rng.uniform(-0.2, 0.2)) / count
            stretch = 1 + rng.uniform(-0.05, 0.05)
            up = rng.uniform(-0.08, 0.08)
            eyes.append((rx * stretch * math.cos(a), ry * stretch * math.sin(a), height + up))
            targets.append(np.array(LOOK_AT) + rng.uniform(-wander, wander, 3))
    viewmats = look_at(
        torch.tensor(np.array(eyes), dtype=torch.float64),
        torch.tensor(np.array(targets), dtype=torch.float64),
        torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64),
    )
    focal = settings.width / 2 / math.tan(math.radians(settings.field_of_view) / 2)
    K = torch.tensor(
        [[focal, 0, settings.width / 2], [0, focal, settings.height / 2], [0, 0, 1]],
        dtype=torch.float64,
    )
    held_out = {int((k + 0.5) * total / settings.test_views) for k in range(settings.test_views)}
    splits: tuple[Split, ...] = tuple("test" if i in held_out else "train" for i in range(total))
    names = tuple(f"{s}/{splits[:i].count(s):03d}.png" for i, s in enumerate(splits))
    cameras = Cameras(
        viewmats=viewmats,
        Ks=K.expand(total, 3, 3).clone(),
        widths=(settings.width,) * total,
        heights=(settings.height,) * total,
        names=names,
    )
    return cameras, splits


def close_up_cameras(
    cameras: Cameras, factor: float, *, seed: int = 0, time: float = 0.0
) -> Cameras:
    """The same cameras moved ``factor`` times nearer to what they see in the middle of the image.

    Each camera goes straight towards the exact surface point at its image centre, until its
    distance is divided by ``factor``; direction, intrinsics and size stay. Names get a folder
    such as ``x27``.

    Raises:
        InputError: ``factor`` is not above 0, or a camera is outside the room.
    """
    if not factor > 0:
        raise InputError(f"close-ups: factor should be above 0, found {factor}")
    points = torch.from_numpy(surface_points(cameras, seed=seed, time=time))
    centers = cameras.centers.double()
    moved = points + (centers - points) / factor
    viewmats = cameras.viewmats.double().clone()
    viewmats[:, :3, 3] = -(viewmats[:, :3, :3] @ moved[:, :, None])[:, :, 0]
    names = tuple(f"x{factor:g}/{name}" for name in cameras.names)
    return replace(cameras, viewmats=viewmats.to(cameras.viewmats), names=names)
