"""What adapted splats are compared with at a scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ops.cameras import Cameras
from ops.capture.model import Views, indices_of
from ops.mipmap.adapt import AdaptResult, adapt
from ops.mipmap.filters import balanced, mip_filtered, sampling_rates, scale_matched
from ops.mipmap.settings import AdaptSettings
from ops.mipmap.targets import Targets
from ops.mipmap.truth import photo
from ops.progress import Progress, silent
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model and how it is rendered at a scale."""

    method: str  # short name: base
    label: str  # what it is, for people
    splats: Splats
    settings: RenderSettings
    iterations: int = 0  # spent on this scale alone
    seconds: float = 0.0  # wall time spent on this scale alone


TUNING_RATES = {"scales_lr": 2e-2, "shN_lr": 4e-3, "beta2": 0.999}
"""Where those of the adaptation, measured for it, make Mip-Splatting's filters worse."""

METHODS = {
    "base": "base as it is",
    "matched": "base, dilation of the base scale",
    "antialiased": "base, gsplat's antialiased mode",
    "mip": "base, Mip-Splatting's filters put on when rendering",
    "mip_tuned": "Mip-Splatting's filters, base fine-tuned behind them",
    "antialiased_base": "another base, trained in gsplat's antialiased mode",
    "balanced": "base, dilation undone in closed form (start of the adaptation)",
    "adapted": "adapted to the scale",
    "retrained": "trained at the scale on true photos (upper reference)",
    "pseudo": "pseudo ground truth itself",
}
"""Every method by its short name, in the order of tables."""


def closed_form_candidates(
    base: Splats, train_cameras: Cameras, scale: Fraction
) -> list[Candidate]:
    """All baselines that need no optimisation; each renders a copy of the base.

    Args:
        base: As trained, with ``classic`` rendering.
        train_cameras: Those it was trained with, at its size.
        scale: To be rendered at.
    """
    base = base.detach()
    filtered, mip = mip_filtered(base, train_cameras)
    rates = sampling_rates(base.means, train_cameras)
    made = {
        "base": (base, RenderSettings()),
        "matched": (base, scale_matched(scale)),
        "antialiased": (base, RenderSettings(mode="antialiased")),
        "mip": (filtered, mip),
        "balanced": (balanced(base, rates, scale), RenderSettings()),
    }
    return [
        Candidate(method=name, label=METHODS[name], splats=splats, settings=how)
        for name, (splats, how) in made.items()
    ]


def antialiased_base_candidate(splats: Splats) -> Candidate:
    """Splats that were trained in gsplat's antialiased mode, rendered in it."""
    return Candidate(
        method="antialiased_base",
        label=METHODS["antialiased_base"],
        splats=splats,
        settings=RenderSettings(mode="antialiased"),
    )


def retrained_candidate(splats: Splats, iterations: int) -> Candidate:
    """Splats that were trained at the scale from the start."""
    return Candidate(
        method="retrained",
        label=METHODS["retrained"],
        splats=splats,
        settings=RenderSettings(),
        iterations=iterations,
    )


def adapted_candidate(result: AdaptResult) -> Candidate:
    """The adapted splats, which are rendered like the base."""
    found = adapted_splats_candidate(result.splats, result.iterations)
    return replace(found, seconds=result.seconds)


def adapted_splats_candidate(splats: Splats, iterations: int) -> Candidate:
    """The same of stored splats, whose time is told elsewhere."""
    return Candidate(
        method="adapted",
        label=METHODS["adapted"],
        splats=splats,
        settings=RenderSettings(),
        iterations=iterations,
    )


def mip_tuned(
    base: Splats,
    views: Views,
    *,
    iterations: int = 1_000,
    background: Tensor | None = None,
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> AdaptResult:
    """Fine-tune the base on its own training photos behind Mip-Splatting's two filters.

    The fair form of that baseline: filters put on a model that was trained without them make it
    darker. As many steps as the adaptation has and learning rates that were raised like its own,
    with the loss of 3DGS; one result serves all scales of a base.

    Args:
        base: As trained.
        views: The capture at the size the base was trained at.
        iterations: Steps.
        background: [3] RGB; None is black.
        checkpoint_path: See :func:`ops.mipmap.adapt.adapt`.
        progress: See there.
    """
    which = indices_of(views.splits, "train")
    masks = [views.mask(i) for i in which]
    cameras = views.cameras[which]
    targets = Targets(
        cameras=cameras,
        colors=[photo(views, i, background) for i in which],
        weights=[None if m is None else (m > 127).float() for m in masks],
    )
    settings = AdaptSettings.from_preset(
        "standard",
        iterations=iterations,
        loss="l1_ssim",
        start="base",
        densify="never",
        opacity_regularisation=0.0,
        **TUNING_RATES,
    )
    return adapt(
        base,
        targets,
        settings,
        train_cameras=cameras,
        mip=True,
        background=background,
        checkpoint_path=checkpoint_path,
        progress=progress,
    )


def mip_tuned_candidate(tuned: AdaptResult, train_cameras: Cameras) -> Candidate:
    """The fine-tuned splats behind the filters they were fine-tuned with."""
    found = mip_tuned_splats_candidate(tuned.splats, train_cameras)
    return replace(found, iterations=tuned.iterations, seconds=tuned.seconds)


def mip_tuned_splats_candidate(splats: Splats, train_cameras: Cameras) -> Candidate:
    """The same of stored splats; their iterations serve all scales, and count for none."""
    filtered, how = mip_filtered(splats, train_cameras)
    return Candidate(method="mip_tuned", label=METHODS["mip_tuned"], splats=filtered, settings=how)
