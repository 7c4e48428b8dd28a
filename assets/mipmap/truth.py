"""Exact pictures of the built-in scene at scales beyond its photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.mipmap.looks import pictures_preview
from assets.stage import Reads, Work, stage
from ops.capture.demo.settings import DemoSettings
from ops.mipmap.settings import ProtocolSettings
from storage.schemas import SCALED_PICTURES

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="mipmap",
    schema=SCALED_PICTURES,
    inputs=("capture/views",),
    also_reads=(
        Reads(DemoSettings, "capture", ("seed", "samples", "exposure", "time")),
        Reads(ProtocolSettings, "mipmap", ("enlarge_base_by",)),
    ),
    heavy=True,
    preview=pictures_preview,
)
def truth(work: Work, settings: None, views: xr.DataTree) -> xr.DataTree:
    """The held-out views rendered larger than the photos: what there is to see at this scale."""
    import torch

    from assets.bridge.mipmap import pictures_tree
    from assets.bridge.views import StoredViews
    from ops.capture.demo.jit import announce_compiling
    from ops.capture.demo.render import render_demo
    from ops.mipmap.protocol import cameras_at, scored_views
    from ops.mipmap.scales import parse_scale

    stored, demo = StoredViews(views), work.also["capture"]
    scale = parse_scale(work.variant)
    shown = scored_views(stored.splits)
    cameras = cameras_at(stored.cameras, scale, work.also["mipmap"].enlarge_base_by)[shown]
    announce_compiling()
    rendered = render_demo(
        cameras,
        seed=demo.seed,
        time=demo.time,
        samples=demo.samples,
        exposure=demo.exposure,
        progress=work.progress,
    )
    colors = [torch.from_numpy(view.color) for view in rendered]
    splits = [stored.splits[i] for i in shown]
    return pictures_tree(colors, cameras, splits, shown, scale, "rendered exactly")
