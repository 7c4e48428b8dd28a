"""Pseudo ground truth: what a scale should look like, made of the model's own base renders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.at_once import pictures_at_once
from ops.mipmap.prior.interface import Upscaler
from ops.mipmap.resample import quantise, resize, to_float
from ops.mipmap.scales import scale_name
from ops.mipmap.settings import PseudoSettings
from ops.mipmap.targets import Targets
from ops.progress import Progress, silent
from ops.rendering.render import render
from ops.splats.model import Splats


@dataclass(frozen=True, kw_only=True)
class PseudoTruth:
    """Pictures of V views at one scale that no photo was needed for."""

    scale: Fraction
    cameras: Cameras  # V, at the scale
    colors: tuple[Tensor, ...]  # V times [H, W, 3], uint8, or float32 where not quantised
    label: str  # how they were made, to stand beside every number that depends on it
    seconds: float  # wall time

    def targets(self, which: Sequence[int]) -> Targets:
        """Some of the views, to adapt to."""
        return Targets(cameras=self.cameras[which], colors=tuple(self.colors[i] for i in which))


def base_renders(
    base: Splats,
    cameras: Cameras,
    *,
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> tuple[Tensor, ...]:
    """What the base shows at the scale it was trained at, where nothing has degraded.

    Args:
        base: As trained.
        cameras: Views to be adapted to and scored, at the base size.
        background: [3] RGB; None is black.
        device: Where to render.
        progress: Told after each view.

    Returns:
        [H, W, 3] float32 on the CPU each; values are as rendered and may exceed 1.
    """
    model = base.detach().to(device, torch.float32)
    images = []
    for c in range(len(cameras)):
        progress(c, len(cameras), "rendering the base")
        with torch.no_grad():
            images.append(render(model, cameras[c], None, background)[0].colors.detach().cpu())
    progress(len(cameras), len(cameras), "rendering the base")
    return tuple(images)


def pseudo_truth(
    renders: Sequence[Tensor],
    cameras: Cameras,
    scale: Fraction,
    settings: PseudoSettings,
    upscaler: Upscaler | None = None,
    progress: Progress = silent,
    *,
    source: str = "base renders",
) -> PseudoTruth:
    """Bring base renders to a scale: the mipmap operator r(.) of Mipmap-GS.

    Below 1 the filter of the settings shrinks them, to the exact size of the cameras at the scale.
    Above 1 the upscaler enlarges them by the least of its factors that is enough, always from the
    base and not from another scale, and what is too much is averaged away. Where sizes were
    rounded, the few rows or columns that are then missing come from bicubic interpolation.

    Args:
        renders: Renders, see :func:`base_renders`, or photos at that size; float or uint8.
        cameras: Theirs, at the scale, see :func:`ops.mipmap.protocol.cameras_at`.
        scale: The scale.
        settings: Their ``shrink`` and ``quantise``.
        upscaler: Needed above 1.
        source: What the pictures are, for the label.
        progress: Told after each view.

    Raises:
        InputError: Another number of pictures than of cameras, no upscaler where one is needed, or
            one that cannot enlarge so far.
    """
    if len(renders) != len(cameras):
        raise InputError(
            f"mipmap: expected a render for each of {len(cameras)} cameras, found {len(renders)}"
        )
    began = time.monotonic()
    factor, how = _how(scale, settings, upscaler)

    def picture(i: int) -> Tensor:
        image = to_float(renders[i].cpu()).clamp(0, 1)
        if factor > 1:
            assert upscaler is not None
            image = upscaler(image, factor)
        filter_ = settings.shrink if factor == 1 else "area"
        image = resize(image, cameras.widths[i], cameras.heights[i], filter_).clamp(0, 1)
        return quantise(image) if settings.quantise else image

    colors: list[Tensor] = []
    what = f"making pseudo ground truth {scale_name(scale)}"
    progress(0, len(renders), what)
    with pictures_at_once(cameras) as pool:
        for color in pool.map(picture, range(len(renders))):
            colors.append(color)
            progress(len(colors), len(renders), what)
    return PseudoTruth(
        scale=scale,
        cameras=cameras,
        colors=tuple(colors),
        label=f"{source}, {how}",
        seconds=time.monotonic() - began,
    )


def _how(scale: Fraction, settings: PseudoSettings, upscaler: Upscaler | None) -> tuple[int, str]:
    """The factor to enlarge by, and what by."""
    if scale <= 1:
        return 1, f"{settings.shrink} filter"
    if upscaler is None:
        raise InputError(f"mipmap: {scale_name(scale)} needs a prior to enlarge with, found none")
    enough = [factor for factor in upscaler.factors if factor >= scale]
    if not enough:
        raise InputError(
            f"mipmap: {scale_name(scale)} is beyond the prior ({upscaler.label}), which enlarges "
            f"by {', '.join(map(str, upscaler.factors))}; leave the scale out or choose another"
        )
    return enough[0], upscaler.label
