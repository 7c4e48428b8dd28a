"""Renders along a path of cameras, by the renderer that trained the splats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from notebooks.style import Animation
from ops.cameras import Cameras
from ops.device import pick_device
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

if TYPE_CHECKING:
    import xarray as xr

Colour = tuple[float, float, float]


def render_frames(
    splats: Splats | xr.DataTree,
    cameras: Cameras,
    background: Colour = (0.0, 0.0, 0.0),
    mode: Literal["classic", "antialiased"] | None = None,
) -> list[np.ndarray]:
    """[H, W, 3] uint8 renders of splats from every camera, on the GPU where there is one.

    Args:
        splats: A model, or an artifact that holds one.
        cameras: Where to look from.
        background: RGB in [0, 1] behind the splats.
        mode: How to render; None takes what an artifact says, and ``classic`` for a model.
    """
    model, mode = _model(splats, mode)
    device = pick_device()
    model, behind = model.to(device), torch.tensor(background)
    frames = []
    with torch.inference_mode():
        for i in range(len(cameras)):
            seen = render(model, cameras[i].to(device), RenderSettings(mode=mode), behind)[0]
            frames.append((seen.colors.clamp(0, 1) * 255).round().byte().cpu().numpy())
    return frames


def film(
    splats: Splats | xr.DataTree,
    cameras: Cameras,
    background: Colour = (0.0, 0.0, 0.0),
    frames_per_second: float = 12,
) -> Animation:
    """A moving picture of splats along a closed path; see :func:`render_frames`."""
    frames = render_frames(splats, cameras, background)
    return Animation(frames, frames_per_second, f"an orbit of {len(frames)} renders")


def backdrop(capture: xr.DataTree) -> Colour:
    """What is behind the photos of a capture: white for layouts that have it so, else black."""
    white = "images" in capture.children and capture["images"].attrs.get("white_background", False)
    return (1.0, 1.0, 1.0) if white else (0.0, 0.0, 0.0)


def _model(splats: Any, mode: Any) -> tuple[Splats, Any]:
    if isinstance(splats, Splats):
        return splats, mode or "classic"
    from assets.bridge.splats import render_mode, splats_from

    return splats_from(splats), mode or render_mode(splats)
