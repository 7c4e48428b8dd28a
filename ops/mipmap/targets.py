"""What adaptation aims at: pictures at one scale, and of each more that its base picture holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import cv2
import numpy as np
import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.filters import DILATION
from ops.mipmap.resample import Shrink, quantise, shrink, to_float
from ops.rendering.settings import RenderSettings


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Pictures to fit splats to."""

    cameras: Cameras  # V views at the size of their pictures
    colors: Sequence[Tensor]  # V times [H, W, 3], uint8 or float32 in [0, 1]
    weights: Sequence[Tensor | None] | None = None  # V times [H, W], 1 where a pixel counts
    at_base: Targets | None = None  # the same views at the size of the base, which they come from

    def __post_init__(self) -> None:
        if len(self.colors) != len(self.cameras) or not len(self.cameras):
            raise InputError(
                f"mipmap: expected a picture for each of at least one camera, found "
                f"{len(self.colors)} pictures and {len(self.cameras)} cameras"
            )
        for i, image in enumerate(self.colors):
            expected = (self.cameras.heights[i], self.cameras.widths[i], 3)
            if tuple(image.shape) != expected:
                raise InputError(
                    f"mipmap: the picture for {self.cameras.names[i]} should have shape {expected}"
                    f" like its camera, found {tuple(image.shape)}"
                )
        if self.at_base is not None and self.at_base.cameras.names != self.cameras.names:
            raise InputError(
                "mipmap: expected base-size pictures of the same views in the same order, found "
                f"{len(self.at_base.cameras)} of views {', '.join(self.at_base.cameras.names[:3])}"
            )

    def weight(self, which: int) -> Tensor | None:
        """[H, W] 1 where a pixel of a view counts, 0 where not; None: all count."""
        return None if self.weights is None else self.weights[which]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What one step renders, and what it should come out as."""

    camera: Cameras  # one view
    colors: Tensor  # [H, W, 3] float32
    weights: Tensor | None  # [H, W]
    fine: int = 1  # pixels of this picture to one of the scale, along each axis

    @property
    def settings(self) -> RenderSettings:
        """How splats are rendered to be compared with it: dilated as they will be at the scale."""
        return RenderSettings(eps2d=DILATION * self.fine**2)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Where the grid of a smaller picture lies on the base picture, and how fine it is.

    One picture at 1/s shows only one of the s x s grids that a base picture can be averaged on.
    All of them are equally true, and together they hold nearly everything that the base picture
    does. With ``fine`` f, f x f of them are taken at once: the picture has f times as many pixels,
    each the mean over f x f of its neighbours, which is what splats show there when their dilation
    is f x f times as many of its pixels.
    """

    x: int = 0  # base pixels from the left border
    y: int = 0  # base pixels from the top
    fine: int = 1

    def of(
        self, camera: Cameras, image: Tensor, small: tuple[int, int], how: Shrink
    ) -> tuple[Cameras, Tensor]:
        """A smaller picture of a view and its camera, from the picture at the base size.

        Where the grid does not come out even, the picture ends where the base picture does.

        Args:
            camera: One view at the base size.
            image: [H, W, C] float32 its picture.
            small: (width, height) of the picture of phase 0.
            how: The filter.
        """
        width, height = camera.widths[0], camera.heights[0]
        (left, right, columns) = _span(self.x, width, small[0])
        (top, bottom, rows) = _span(self.y, height, small[1])
        K = camera.Ks.clone()
        K[:, 0, 2] -= left
        K[:, 1, 2] -= top
        cut = replace(camera, Ks=K, widths=(right - left,), heights=(bottom - top,))
        rows, columns = rows * self.fine, columns * self.fine
        cut = cut.resized([columns], [rows])
        picture = shrink(image[top:bottom, left:right], columns, rows, how)
        if self.fine == 1:
            return cut, picture
        K, over = cut.Ks.clone(), self.fine - 1
        K[:, :2, 2] -= over / 2
        cut = replace(cut, Ks=K, widths=(columns - over,), heights=(rows - over,))
        return cut, _means(picture, self.fine)


class Shots:
    """The pictures of each view, one after the other."""

    def __init__(
        self,
        targets: Targets,
        scale: Fraction,
        *,
        phases: int = 1,
        fine: int = 1,
        how: Shrink = "area",
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepare what steps ask for.

        Args:
            targets: The pictures; for more than one phase, with those at the base size.
            scale: Of the pictures, by the base.
            phases: See :func:`phases_of`; 1 takes the pictures as they are.
            fine: See there. Means of ``bilinear`` pictures are none, so these come one by one.
            how: The filter that made the pictures.
            device: Where to render.
        """
        self._targets, self._how, self._device = targets, how, torch.device(device)
        fine = fine if how == "area" else 1
        self.phases = phases_of(scale, phases, fine)
        ready = targets.cameras.to(device, torch.float32)
        self._cameras = [ready[i] for i in range(len(ready))]

    def __len__(self) -> int:
        return len(self._cameras)

    def at(self, which: int, seen: int) -> Shot:
        """The next picture of a view; every pass over the views has it at another phase.

        Args:
            which: Position of the view.
            seen: How many pictures of all views came before.
        """
        phase = self.phases[(seen // len(self) + which) % len(self.phases)]
        targets = self._targets
        if phase == Phase():
            colors = to_float(targets.colors[which].to(self._device))
            weights = targets.weight(which)
            return Shot(camera=self._cameras[which], colors=colors, weights=weights)
        whole = targets.at_base
        assert whole is not None
        small = targets.cameras.widths[which], targets.cameras.heights[which]
        image = to_float(whole.colors[which])
        camera, picture = phase.of(whole.cameras[which], image, small, self._how)
        if targets.colors[which].dtype == torch.uint8:
            picture = to_float(quantise(picture))
        weights = whole.weight(which)
        if weights is not None:
            counts = (weights > 0).to(torch.float32)[..., None]
            _, counted = phase.of(whole.cameras[which], counts, small, "area")
            weights = (counted[..., 0] > 0.999).to(torch.float32).to(self._device)
        return Shot(
            camera=camera.to(self._device, torch.float32),
            colors=picture.to(self._device),
            weights=weights,
            fine=phase.fine,
        )


def phases_of(scale: Fraction, phases: int, fine: int = 1) -> list[Phase]:
    """The phases of a scale, phase 0 first.

    Args:
        scale: Pictures by base pictures; from 1 on there is one phase.
        phases: Along each axis; no more than there are base pixels to a pixel.
        fine: How many of them along each axis are taken at once, as long as pictures stay smaller
            than those of the base.
    """
    fine = max(1, min(fine, phases, ceil(1 / scale) - 1))
    apart = max(Fraction(1), 1 / scale / fine)  # base pixels between pixels of a fine picture
    count = max(1, min(int(apart), phases // fine))
    steps = [int(k * apart / count) for k in range(count)]
    found = [Phase(x=x, y=y, fine=fine) for y in steps for x in steps]
    order = torch.randperm(len(found) - 1, generator=torch.Generator().manual_seed(0)).tolist()
    return [found[0], *(found[1 + i] for i in order)]


def _span(first: int, size: int, small: int) -> tuple[int, int, int]:
    """[first, last) base pixels of a grid, and the number of its pixels.

    A picture of so few pixels that none is left beside ``first`` begins at the border.
    """
    count = (size - first) * small // size
    if not count:
        return 0, size, small
    return first, min(size, first + round(count * size / small)), count


def _means(image: Tensor, side: int) -> Tensor:
    """[H - side + 1, W - side + 1, C] the mean over every square."""
    values = np.ascontiguousarray(image.numpy())
    found = cv2.blur(values, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    height, width, channels = image.shape
    found = found.reshape(height, width, channels)  # OpenCV drops a single channel
    return torch.from_numpy(found[: height - side + 1, : width - side + 1].copy())
