"""The colour behind splats in this study."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor


def background_of(views: xr.DataTree) -> Tensor | None:
    """[3] white where that is the habit of the capture's layout; None is black."""
    import torch

    white = bool(views["images"].attrs.get("white_background", False))
    return torch.ones(3) if white else None
