"""One scale: what it should look like, and splats adapted to it; and the prior for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.mipmap.at_base import FIELDS, base_from, direction_of, divisor_of, views_at_base
from assets.mipmap.looks import adapted_preview, fewer_when_smaller, pictures_preview, prior_preview
from assets.splats.looks import finite
from assets.stage import Reads, Work, stage
from ops.mipmap.settings import (
    AdaptSettings,
    PriorSettings,
    ProtocolSettings,
    PseudoSettings,
    needs_pictures,
)
from storage.schemas import ADAPTED, PRIOR, SCALED_PICTURES

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="mipmap",
    schema=PRIOR,
    inputs=("capture/views",),
    settings=PriorSettings,
    section="mipmap_prior",
    also_reads=(Reads(ProtocolSettings, "mipmap", FIELDS),),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=prior_preview,
)
def prior(work: Work, settings: PriorSettings, views: xr.DataTree) -> xr.DataTree:
    """Where detail above the base scale comes from, measured on the held-out photos.

    By default a small network trained on the scene's own photos, shrunk and back; it says what it
    is wherever its numbers stand. Interrupted training goes on from its last checkpoint.
    """
    from assets.bridge.mipmap import prior_tree
    from assets.mipmap.background import background_of
    from ops.capture.model import indices_of
    from ops.mipmap.prior.dispatch import make_prior, prior_arrays, prior_quality

    at_base, behind = views_at_base(work, views, "zoom_in"), background_of(views)
    found = make_prior(
        at_base,
        indices_of(at_base.splits, "train"),
        settings,
        background=behind,
        device=work.device,
        checkpoint_path=work.checkpoint,
        progress=work.progress,
    )
    held_out = indices_of(at_base.splits, "test")
    quality = prior_quality(found, at_base, held_out, background=behind)
    if settings.kind != "pretrained":
        work.note(f"Super-resolution: {found.label}.")
    return prior_tree(prior_arrays(found), found.label, quality)


@stage(
    topic="mipmap",
    schema=SCALED_PICTURES,
    settings=PseudoSettings,
    section="mipmap_pseudo",
    also_reads=(
        Reads(PriorSettings, "mipmap_prior", ("kind", "repository", "revision", "files", "sha256")),
        Reads(ProtocolSettings, "mipmap", FIELDS),
    ),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=pictures_preview,
)
def pseudo(
    work: Work,
    settings: PseudoSettings,
    views: xr.DataTree,
    renders: xr.DataTree,
    *prior: xr.DataTree,
) -> xr.DataTree:
    """What the scale should look like: the base's own renders, shrunk or enlarged."""
    from assets.bridge.mipmap import pictures_from, pictures_tree, prior_arrays_from
    from assets.bridge.trees import group
    from assets.bridge.views import cameras_from
    from ops.mipmap.prior.dispatch import prior_from
    from ops.mipmap.protocol import cameras_at
    from ops.mipmap.pseudo import pseudo_truth
    from ops.mipmap.scales import parse_scale

    images, _ = pictures_from(renders)
    upscaler = None
    if prior:
        arrays = prior_arrays_from(prior[0])
        upscaler = prior_from(work.also["mipmap_prior"], arrays, device=work.device)
    scale = parse_scale(work.variant)
    indices = group(renders, "pictures")["view_index"].values.tolist()
    divisor = divisor_of(work, direction_of(scale))
    cameras = cameras_at(cameras_from(views), scale, divisor)[indices]
    source = str(renders.attrs["label"])
    found = pseudo_truth(images, cameras, scale, settings, upscaler, work.progress, source=source)
    if prior and "stand-in" in found.label:
        work.note(f"Pseudo ground truth: {found.label}.")
    splits = group(renders, "cameras")["splits"].values.tolist()
    return pictures_tree(found.colors, found.cameras, splits, indices, scale, found.label)


@stage(
    topic="mipmap",
    schema=ADAPTED,
    settings=AdaptSettings,
    section="mipmap_adapt",
    also_reads=(
        Reads(ProtocolSettings, "mipmap", (*FIELDS, "views", "extra_every")),
        Reads(PseudoSettings, "mipmap_pseudo", ("shrink",)),
    ),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    preview=adapted_preview,
    checks={"finite": finite, "fewer_when_smaller": fewer_when_smaller},
)
def adapted(
    work: Work,
    settings: AdaptSettings,
    views: xr.DataTree,
    splats: xr.DataTree,
    pseudo: xr.DataTree,
    renders: xr.DataTree,
) -> xr.DataTree:
    """A copy of the base, adapted to this scale alone; never to be shown at another.

    At most 1,000 steps against the pseudo ground truth, below x1 also on the other grids that
    base-size pictures can be averaged on, above it also against these themselves, with density
    control to the end. The base stays as it is. Interrupted work goes on from its last checkpoint.
    """
    from assets.bridge.mipmap import adapted_tree, pictures_from, pseudo_from
    from assets.mipmap.background import background_of
    from ops.mipmap.protocol import view_roles
    from ops.mipmap.study import adapt_to_scale

    truth = pseudo_from(pseudo)
    base = base_from(work, views, splats, direction_of(truth.scale))
    result = adapt_to_scale(
        base,
        truth,
        view_roles(base.capture.splits, work.also["mipmap"], above=truth.scale > 1),
        settings,
        pictures=pictures_from(renders)[0] if needs_pictures(settings, truth.scale) else None,
        shrink=work.also["mipmap_pseudo"].shrink,
        background=background_of(views),
        device=work.device,
        checkpoint_path=work.checkpoint,
        progress=work.progress,
    )
    return adapted_tree(result, truth.scale, truth.label)
