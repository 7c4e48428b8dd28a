"""What goes into a rendering and what comes out of it, the same on every device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ops.rendering.settings import RenderSettings

__all__ = ["OneView", "RenderSettings", "Rendering", "ScreenSpace"]


class OneView(NamedTuple):
    """One camera, and how splats are drawn from it; checked, and on their device."""

    viewmat: Tensor  # [4, 4] float32, world to camera
    K: Tensor  # [3, 3] float32, intrinsics in pixels
    width: int  # pixels
    height: int  # pixels
    settings: RenderSettings
    degree: int  # of the spherical harmonics to use, at most what the splats hold
    background: Tensor | None  # [3] or [H, W, 3]; None is black


@dataclass(frozen=True, kw_only=True)
class ScreenSpace:
    """What densification needs to know of one view. After ``backward`` the gradients are there."""

    means2d: Tensor  # [N, 2] pixels; holds ``.grad`` (and ``.absgrad``) of the loss after backward
    radii: Tensor  # [N, 2] int32 pixels; 0 where a Gaussian is not seen


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One view. Pixels that nothing covers show the background and depth 0."""

    colors: Tensor  # [H, W, 3]
    alphas: Tensor  # [H, W] in [0, 1]
    features: Tensor | None  # [H, W, F] blended features over a background of 0
    expected_depth: Tensor | None  # [H, W] world units along the optical axis
    median_depth: Tensor | None  # [H, W] world units along the optical axis, no gradient
    screen: ScreenSpace
