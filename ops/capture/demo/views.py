"""The built-in scene as a capture: views, their exact geometry, and points to start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.demo.cameras import demo_cameras
from ops.capture.demo.jit import announce_compiling
from ops.capture.demo.render import render_demo
from ops.capture.demo.scene import demo_scene
from ops.capture.demo.settings import DemoSettings
from ops.capture.model import Array, Points, Split, indices_of
from ops.errors import InputError
from ops.progress import Progress, silent


@dataclass(frozen=True, kw_only=True)
class DemoViews:
    """All views of the built-in scene, rendered (a ``Views``), with what is known exactly."""

    cameras: Cameras
    splits: tuple[Split, ...]
    colors: Array  # [C, H, W, 3] uint8 sRGB
    depths: Array  # [C, H, W] float32, metres along the optical axis at pixel centres
    normals: Array  # [C, H, W, 3] float32, world, unit, towards the camera
    labels: Array  # [C, H, W] uint8, index into ``label_names``
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.cameras)

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB."""
        return torch.from_numpy(self.colors[index])

    def alpha(self, index: int) -> Tensor | None:
        """None: the room is closed, every pixel shows something."""
        return None

    def mask(self, index: int) -> Tensor | None:
        """None: all pixels may be used."""
        return None


def demo_views(settings: DemoSettings, progress: Progress = silent) -> DemoViews:
    """Render the default capture.

    Raises:
        InputError: A setting is out of range.
    """
    cameras, splits = demo_cameras(settings)
    announce_compiling()
    pictures = list(
        render_demo(
            cameras,
            seed=settings.seed,
            time=settings.time,
            samples=settings.samples,
            exposure=settings.exposure,
            progress=progress,
        )
    )
    return DemoViews(
        cameras=cameras,
        splits=splits,
        colors=np.stack([v.color for v in pictures]),
        depths=np.stack([v.depth for v in pictures]),
        normals=np.stack([v.normal for v in pictures]),
        labels=np.stack([v.label for v in pictures]),
        label_names=demo_scene(settings.seed, settings.time)[1],
    )


def demo_points(views: DemoViews, *, count: int = 12_000, seed: int = 0) -> Points:
    """Points on the surfaces, drawn evenly from the pixels of the training views.

    Positions are exact (up to float32); colours are those of the pixels. Held-out views are not
    looked at.

    Raises:
        InputError: ``count`` is not between 1 and the number of training pixels.
    """
    train = np.array(indices_of(views.splits, "train"))
    height, width = views.depths.shape[1:]
    pixels = len(train) * height * width
    if not 1 <= count <= pixels:
        raise InputError(
            f"demo points: count should be from 1 to {pixels} (pixels of the training views), "
            f"found {count}"
        )
    chosen = np.sort(np.random.default_rng([seed, 11]).choice(pixels, count, replace=False))
    which, rest = np.divmod(chosen, height * width)
    view, (y, x) = train[which], np.divmod(rest, width)
    z = views.depths[view, y, x].astype(np.float64)
    K = views.cameras.Ks.double().numpy()[view]
    own = np.stack(
        [
            (x + 0.5 - K[:, 0, 2]) / K[:, 0, 0] * z,
            (y + 0.5 - K[:, 1, 2]) / K[:, 1, 1] * z,
            z,
        ],
        axis=1,
    )
    poses = views.cameras.camtoworlds.double().numpy()[view]
    # Written out: a batched matrix product may round differently on other thread counts.
    xyz = (poses[:, :3, :3] * own[:, None, :]).sum(-1) + poses[:, :3, 3]
    return Points(
        xyz=xyz.astype(np.float32),
        rgb=views.colors[view, y, x],
        errors=np.zeros(count, np.float32),
        source="exact",
    )
