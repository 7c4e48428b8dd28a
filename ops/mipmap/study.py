"""One scale from base to table, for those who hold everything in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.model import Views
from ops.mipmap.adapt import AdaptResult, adapt
from ops.mipmap.baselines import (
    Candidate,
    adapted_candidate,
    closed_form_candidates,
)
from ops.mipmap.evaluate import ScaleEvaluation, evaluate_scale
from ops.mipmap.prior.interface import Upscaler
from ops.mipmap.protocol import ViewRoles, base_views, cameras_at, true_views, view_roles
from ops.mipmap.pseudo import PseudoTruth, base_renders, pseudo_truth
from ops.mipmap.resample import Shrink, quantise
from ops.mipmap.settings import AdaptSettings, ProtocolSettings, PseudoSettings
from ops.mipmap.targets import Targets
from ops.mipmap.truth import photo
from ops.progress import Progress, silent
from ops.splats.model import Splats


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base and what it was trained with."""

    splats: Splats
    capture: Views  # at its own size
    divisor: int  # the base was trained on photos this many times smaller
    iterations: int = 0  # of its training, for the share of an adaptation

    @property
    def views(self) -> Views:
        """The capture at the size that the base was trained at."""
        return base_views(self.capture, self.divisor)

    def cameras_at(self, scale: Fraction, which: Sequence[int]) -> Cameras:
        """Some views as they are rendered at a scale."""
        return cameras_at(self.capture.cameras, scale, self.divisor)[list(which)]

    def truth_at(self, scale: Fraction) -> Views | None:
        """The photos at a scale; None beyond what the capture shows."""
        return true_views(self.capture, scale, self.divisor)


def pictures_at_base(
    base: Base,
    roles: ViewRoles,
    settings: ProtocolSettings,
    *,
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> tuple[Tensor, ...]:
    """The base-size pictures that are brought to every scale, for the views ``roles.pictures``.

    Renders of the base; at training poses its training photos, where the settings say so. Held-out
    photos are never looked at.

    Args:
        base: The base.
        roles: What views are used for.
        settings: Their ``train_pictures``.
        background: [3] RGB; None is black.
        device: Where to render.
        progress: Told after each view.

    Returns:
        [H, W, 3] uint8 each, as in the files of the released code. Where pixels of a photo may not
        be used, what the base shows is in their place.
    """
    views = base.views
    photos = set(roles.train) if settings.train_pictures == "photos" else set()
    masks = {i: views.mask(i) for i in roles.pictures if i in photos}
    partial = {i for i, mask in masks.items() if mask is not None and bool((mask <= 127).any())}
    rendered = [i for i in roles.pictures if i not in photos or i in partial]
    renders = base_renders(
        base.splats,
        views.cameras[rendered],
        background=background,
        device=device,
        progress=progress,
    )
    found = {i: quantise(image) for i, image in zip(rendered, renders, strict=True)}
    for i in sorted(photos & set(roles.pictures)):
        mask, image = masks[i], photo(views, i, background)
        if i in partial and mask is not None:
            image = torch.where((mask > 127)[..., None], image, found[i])
        found[i] = image
    return tuple(found[i] for i in roles.pictures)


def source_of(settings: ProtocolSettings) -> str:
    """What :func:`pictures_at_base` are, in words."""
    mixed = settings.views != "test" and settings.train_pictures == "photos"
    return "base renders, at training poses photos of the base size" if mixed else "base renders"


def adapt_to_scale(
    base: Base,
    pseudo: PseudoTruth,
    roles: ViewRoles,
    settings: AdaptSettings,
    *,
    pictures: tuple[Tensor, ...] | None = None,
    shrink: Shrink = "area",
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> AdaptResult:
    """Adapt a copy of the base to a scale; see :func:`ops.mipmap.adapt.adapt`.

    Args:
        base: The base, which stays as it is.
        pseudo: Of the views ``roles.pictures``, in that order.
        roles: What views are used for.
        settings: How.
        pictures: See :func:`pictures_at_base`; needed where
            :func:`ops.mipmap.settings.needs_pictures` says so.
        shrink: The filter that made the pseudo ground truth below 1.
        background: [3] RGB; None is black.
        device: Where to work.
        checkpoint_path: Where to keep the state of an unfinished run.
        progress: Told every few steps.
    """
    position = {index: i for i, index in enumerate(roles.pictures)}
    which = [position[i] for i in roles.adapted]
    targets = pseudo.targets(which)
    if pictures is not None:
        cameras = base.views.cameras[list(roles.adapted)]
        at_base = Targets(cameras=cameras, colors=tuple(pictures[i] for i in which))
        targets = replace(targets, at_base=at_base)
    return adapt(
        base.splats,
        targets,
        settings,
        scale=pseudo.scale,
        train_cameras=base.views.cameras[list(roles.train)],
        shrink=shrink,
        background=background,
        device=device,
        checkpoint_path=checkpoint_path,
        progress=progress,
    )


def run_scale(
    base: Base,
    scale: Fraction,
    truth: Views | None,
    protocol: ProtocolSettings,
    pseudo_settings: PseudoSettings,
    adapt_settings: AdaptSettings,
    *,
    prior: Upscaler | None = None,
    more: tuple[Candidate, ...] = (),
    pictures: tuple[Tensor, ...] | None = None,
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> tuple[AdaptResult, ScaleEvaluation]:
    """Pseudo ground truth, adaptation and scores of one scale.

    Args:
        base: The base of the scale, see :func:`ops.mipmap.protocol.base_divisor`.
        scale: The scale.
        truth: The capture at the scale; None where there is none.
        protocol: Views and pictures.
        pseudo_settings: How pictures are brought to the scale.
        adapt_settings: How splats are adapted.
        prior: Needed above 1.
        more: Further methods to score, such as :func:`ops.mipmap.baselines.mip_tuned_candidate`.
        pictures: See :func:`pictures_at_base`; None makes them.
        background: [3] RGB; None is black.
        device: Where to work.
        progress: Told how each part goes.
    """
    roles = view_roles(base.views.splits, protocol, above=scale > 1)
    if pictures is None:
        pictures = pictures_at_base(
            base, roles, protocol, background=background, device=device, progress=progress
        )
    cameras = base.cameras_at(scale, roles.pictures)
    pseudo = pseudo_truth(
        pictures, cameras, scale, pseudo_settings, prior, progress, source=source_of(protocol)
    )
    result = adapt_to_scale(
        base,
        pseudo,
        roles,
        adapt_settings,
        pictures=pictures,
        shrink=pseudo_settings.shrink,
        background=background,
        device=device,
        progress=progress,
    )
    train_cameras = base.views.cameras[list(roles.train)]
    candidates = [
        *closed_form_candidates(base.splats, train_cameras, scale),
        *more,
        adapted_candidate(result),
    ]
    scores = evaluate_scale(
        candidates,
        pseudo,
        roles,
        truth,
        base_iterations=base.iterations,
        background=background,
        device=device,
        progress=progress,
    )
    return result, scores
