"""Training splats on the views of a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.splats.looks import (
    finite,
    opacity_not_collapsed,
    training_preview,
)
from assets.splats.training import train_on
from assets.stage import Work, stage
from ops.splats.settings import TrainSettings
from storage.schemas import TRAINING

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="splats",
    schema=TRAINING,
    inputs=("capture/views", "capture/points"),
    settings=TrainSettings,
    section="train",
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=training_preview,
    checks={"finite": finite, "opacity_not_collapsed": opacity_not_collapsed},
)
def trained(
    work: Work, settings: TrainSettings, views: xr.DataTree, points: xr.DataTree
) -> xr.DataTree:
    """3D Gaussians optimised on the training views, with the curves of their training.

    Renders with gsplat on CUDA and with the project's own rasteriser on the CPU; grows and prunes
    with gsplat's strategies. Interrupted training goes on from its last checkpoint, and on the CPU
    ends in the same bytes.
    """
    from assets.bridge.views import StoredViews

    return train_on(work, settings, StoredViews(views), points)
