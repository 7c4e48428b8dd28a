"""What all stages that train splats do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.stage import Work
from ops.splats.settings import TrainSettings

if TYPE_CHECKING:
    import xarray as xr

    from ops.capture.model import Views


def train_on(work: Work, settings: TrainSettings, views: Views, points: xr.DataTree) -> xr.DataTree:
    """Train on views, with what a user should know of it noted."""
    from assets.bridge.points import points_from
    from assets.bridge.splats import training_tree
    from ops.splats.training import train

    result = train(
        views,
        points_from(points),
        settings,
        device=work.device,
        checkpoint_path=work.checkpoint,
        progress=work.progress,
    )
    notes = []
    if result.dropped:
        notes.append(f"{result.dropped} Gaussians with values that are not finite were removed.")
    if points.attrs["source"] == "random":
        notes.append("Training started from random points.")
    for note in notes:
        work.note(note)
    return training_tree(result.splats, settings.mode, result.history, notes=notes)
