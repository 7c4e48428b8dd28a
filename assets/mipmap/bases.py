"""What scales start from: bases at two sizes, what they show, and the baseline tuned on them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from assets.mipmap.at_base import FIELDS, base_from, views_at_base
from assets.mipmap.looks import pictures_preview
from assets.splats.looks import finite, opacity_not_collapsed, training_preview
from assets.splats.training import train_on
from assets.stage import Reads, Work, stage
from ops.mipmap.settings import ProtocolSettings
from ops.splats.settings import TrainSettings
from storage.schemas import SCALED_PICTURES, TRAINING

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="mipmap",
    schema=TRAINING,
    inputs=("capture/views", "capture/points"),
    settings=TrainSettings,
    section="mipmap_base",
    also_reads=(Reads(ProtocolSettings, "mipmap", FIELDS),),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=training_preview,
    checks={"finite": finite, "opacity_not_collapsed": opacity_not_collapsed},
)
def base(
    work: Work, settings: TrainSettings, views: xr.DataTree, points: xr.DataTree
) -> xr.DataTree:
    """Splats trained on the photos at another size, which other scales start from.

    Above x1 the base is trained on small photos, so that the photos at their own size are the
    truth that larger renders are compared with.
    """
    from assets.bridge.views import StoredViews
    from ops.mipmap.protocol import check_sizes

    sides = {"zoom_out": Fraction(1, 2), "zoom_in": Fraction(2)}
    check_sizes(StoredViews(views), work.also["mipmap"], (sides[work.variant],))
    return train_on(work, settings, views_at_base(work, views), points)


@stage(
    topic="mipmap",
    schema=SCALED_PICTURES,
    also_reads=(
        Reads(ProtocolSettings, "mipmap", (*FIELDS, "views", "extra_every", "train_pictures")),
    ),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=pictures_preview,
)
def base_renders(
    work: Work, settings: None, views: xr.DataTree, splats: xr.DataTree
) -> xr.DataTree:
    """What the base shows at the size it was trained at, where nothing has degraded.

    At training poses the photos it was trained on, where the settings say so. Held-out photos are
    never looked at.
    """
    from assets.bridge.mipmap import pictures_tree
    from assets.mipmap.background import background_of
    from ops.mipmap.protocol import view_roles
    from ops.mipmap.study import pictures_at_base, source_of

    protocol, base = work.also["mipmap"], base_from(work, views, splats, work.variant)
    at_base = base.views
    roles = view_roles(at_base.splits, protocol, above=work.variant == "zoom_in")
    pictures = pictures_at_base(
        base,
        roles,
        protocol,
        background=background_of(views),
        device=work.device,
        progress=work.progress,
    )
    cameras = at_base.cameras[list(roles.pictures)]
    splits = [at_base.splits[i] for i in roles.pictures]
    return pictures_tree(
        pictures, cameras, splits, roles.pictures, Fraction(1), source_of(protocol)
    )


@stage(
    topic="mipmap",
    schema=TRAINING,
    also_reads=(Reads(ProtocolSettings, "mipmap", (*FIELDS, "tune_iterations")),),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=training_preview,
    checks={"finite": finite},
)
def mip_tuned(work: Work, settings: None, views: xr.DataTree, splats: xr.DataTree) -> xr.DataTree:
    """The base fine-tuned behind Mip-Splatting's two filters: the baseline to beat at all scales.

    Filters put on a model that was trained without them make it darker; this is their fair form.
    """
    from assets.bridge.splats import splats_from, training_tree
    from assets.mipmap.background import background_of
    from ops.mipmap.baselines import mip_tuned as tune

    result = tune(
        splats_from(splats),
        views_at_base(work, views),
        iterations=work.also["mipmap"].tune_iterations,
        background=background_of(views),
        checkpoint_path=work.checkpoint,
        progress=work.progress,
    )
    return training_tree(result.splats, "classic", result.history)
