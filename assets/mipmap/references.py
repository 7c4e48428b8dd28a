"""What takes as long as a base and is made only where it is asked for: two more to compare with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from assets.mipmap.at_base import FIELDS, direction_of, divisor_of, views_at_base
from assets.splats.looks import finite, opacity_not_collapsed, training_preview
from assets.splats.training import train_on
from assets.stage import Reads, Work, stage
from ops.mipmap.settings import ProtocolSettings
from ops.splats.settings import TrainSettings
from storage.schemas import TRAINING

if TYPE_CHECKING:
    import xarray as xr

_DECLARED = {
    "topic": "mipmap",
    "schema": TRAINING,
    "inputs": ("capture/views", "capture/points"),
    "settings": TrainSettings,
    "section": "mipmap_base",
    "also_reads": (Reads(ProtocolSettings, "mipmap", FIELDS),),
    "kinds": frozenset({"pytorch"}),
    "heavy": True,
    "preview": training_preview,
    "checks": {"finite": finite, "opacity_not_collapsed": opacity_not_collapsed},
}


@stage(**_DECLARED)
def antialiased_base(
    work: Work, settings: TrainSettings, views: xr.DataTree, points: xr.DataTree
) -> xr.DataTree:
    """Another base, trained with gsplat's opacity compensation from the first step on.

    Trained as the base is in all else; shown in the same mode at every scale.
    """
    settings = replace(settings, mode="antialiased")
    return train_on(work, settings, views_at_base(work, views), points)


@stage(**_DECLARED)
def retrained(
    work: Work, settings: TrainSettings, views: xr.DataTree, points: xr.DataTree
) -> xr.DataTree:
    """Splats trained from the start on true photos at the scale: an upper reference.

    Trained as the base is. Adaptation has no photos of the scale and takes a fraction of the time.
    """
    from assets.bridge.views import StoredViews
    from ops.mipmap.protocol import true_views
    from ops.mipmap.scales import parse_scale

    scale = parse_scale(work.variant)
    there = true_views(StoredViews(views), scale, divisor_of(work, direction_of(scale)))
    assert there is not None  # scales beyond the photos have no such stage
    return train_on(work, settings, there, points)
