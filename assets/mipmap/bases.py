"""What scales start from: bases at two sizes, what they show, and the baseline tuned on them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from assets.mipmap.looks import pictures_preview
from assets.splats.looks import finite, opacity_not_collapsed, training_preview
from assets.splats.trained import train_on
from assets.stage import Reads, Work, stage
from ops.mipmap.settings import ProtocolSettings
from ops.splats.settings import TrainSettings
from storage.schemas import SCALED_PICTURES, TRAINING

if TYPE_CHECKING:
    import xarray as xr

    from ops.capture.model import Views
    from ops.mipmap.study import Base

SIZES = {"zoom_out": "shrink_base_by", "zoom_in": "enlarge_base_by"}
FIELDS = tuple(SIZES.values())
"""The settings of ``[mipmap]`` that say how large bases are."""


def views_at_base(work: Work, views: xr.DataTree, direction: str = "") -> Views:
    """The capture at the size that the base of a direction is trained at."""
    from assets.bridge.views import StoredViews
    from ops.mipmap.protocol import base_views

    return base_views(StoredViews(views), divisor_of(work, direction or work.variant))


def divisor_of(work: Work, direction: str) -> int:
    """How many times smaller than the capture the photos of a direction's base are."""
    return int(getattr(work.also["mipmap"], SIZES[direction]))


def base_from(work: Work, views: xr.DataTree, splats: xr.DataTree, direction: str) -> Base:
    """The base of a direction as operations want it."""
    from assets.bridge.splats import splats_from
    from assets.bridge.views import StoredViews
    from ops.mipmap.study import Base

    return Base(
        splats=splats_from(splats),
        capture=StoredViews(views),
        divisor=divisor_of(work, direction),
        iterations=iterations_of(splats),
    )


def iterations_of(trained: xr.DataTree) -> int:
    """Steps that splats were trained for."""
    from assets.bridge.trees import group

    return int(group(trained, "history")["iteration"].values.max())


def direction_of(scale: Fraction) -> str:
    """Which base a scale starts from: that for larger or that for smaller renderings."""
    return "zoom_in" if scale > 1 else "zoom_out"


def base_of(scale: Fraction, given: Mapping[str, xr.DataTree]) -> tuple[str, xr.DataTree]:
    """The direction of a scale, and its base among the inputs of a stage, by name."""
    direction = direction_of(scale)
    own = given.get(f"mipmap/{direction}/base")
    return direction, given["splats/trained"] if own is None else own


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
