"""What several stages ask of bases, and of the truth at a scale.

No stage stands here: what a stage reaches counts for its recipe, and modules of stages reach their
previews.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from assets.stage import Work

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


def truth_of(
    work: Work, views: xr.DataTree, name: str, given: Mapping[str, xr.DataTree]
) -> Views | None:
    """What renders of a scale are compared with; None beyond what the photos show."""
    from assets.bridge.mipmap import PictureViews
    from assets.bridge.views import StoredViews
    from ops.mipmap.protocol import true_views
    from ops.mipmap.scales import parse_scale
    from ops.mipmap.settings import base_divisor

    stored, scale = StoredViews(views), parse_scale(name)
    divisor = base_divisor(scale, work.also["mipmap"])
    rendered = given.get(f"mipmap/{name}/truth")
    if rendered is not None:
        return PictureViews(rendered, stored, scale / divisor)
    return true_views(stored, scale, divisor)
