"""Scores of a scale: every method, against photos and against the pseudo ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.model import Views
from ops.errors import InputError
from ops.evaluation import metrics
from ops.evaluation.evaluate import reference
from ops.evaluation.protocols import protocol
from ops.evaluation.settings import EvaluationSettings
from ops.mipmap.adapt import splat_bytes
from ops.mipmap.at_once import pictures_at_once
from ops.mipmap.baselines import METHODS, Candidate
from ops.mipmap.protocol import ViewRoles
from ops.mipmap.pseudo import PseudoTruth
from ops.mipmap.resample import quantise, to_float
from ops.mipmap.scales import scale_name
from ops.progress import Progress, silent
from ops.rendering.render import render

TRANSDUCTIVE = "poses used in adaptation, no photo of them (transductive in pose)"
HELD_OUT = "held out, not adapted on"
EXTRA = "held out, never adapted on"
FITTED = "training views, whose photos were used (none is held out)"


@dataclass(frozen=True, kw_only=True)
class ScaleScore:
    """One number of the multi-scale table: the mean over some views."""

    scale: str  # x1_8
    factor: float  # 0.125
    method: str  # see baselines.METHODS
    label: str  # the method, and of the pseudo ground truth how it was made
    views: str  # "scored" or "extra"
    standing: str  # what the views are to the adaptation, to be said beside the number
    against: str  # "photos" or "pseudo"
    metric: str  # full name: psnr, ssim, lpips_alex[-1,1]
    value: float
    units: str  # "dB", or "1"
    count: int  # views in the mean


@dataclass(frozen=True, kw_only=True)
class ScaleModel:
    """What a method costs at a scale."""

    scale: str
    method: str
    gaussians: int
    gaussians_base: int
    bytes: int
    bytes_base: int
    iterations: int  # spent on this scale
    share: float  # of the iterations of base training
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ScaleEvaluation:
    """All there is to know of a scale."""

    scale: Fraction
    scores: tuple[ScaleScore, ...]
    models: tuple[ScaleModel, ...]
    pictures: dict[str, Tensor]  # [H, W, 3] uint8 of one view by method; "photo" where there is one
    view: str  # name of that view
    pseudo_label: str
    unavailable: dict[str, str]  # metric -> why, and how to get it

    def mean(self, method: str, *, views: str = "scored", metric: str = "psnr") -> float:
        """A number of the table, against photos, or NaN where it is not there."""
        for score in self.scores:
            if (score.method, score.views, score.against, score.metric) == (
                method,
                views,
                "photos",
                metric,
            ):
                return score.value
        return float("nan")


def evaluate_scale(
    candidates: Sequence[Candidate],
    pseudo: PseudoTruth,
    roles: ViewRoles,
    truth: Views | None,
    *,
    base_iterations: int,
    settings: EvaluationSettings | None = None,
    background: Tensor | None = None,
    show: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> ScaleEvaluation:
    """Score every method at a scale, on held-out views (where there are none, on training views).

    Args:
        candidates: The methods; one is ``base``.
        pseudo: Pictures of the views ``roles.pictures``, in that order.
        roles: What views are used for.
        truth: The capture at the scale, see :func:`ops.mipmap.protocol.true_views`; None where
            there is no truth at it, and methods are compared with the pseudo ground truth alone.
        base_iterations: Of training the base, for the share.
        settings: Protocol and metrics; None for PSNR, SSIM and LPIPS.
        background: [3] RGB behind splats and photos with alpha; None is black.
        show: Which view of the capture to keep pictures of; None for the first scored one.
        device: Where to work.
        progress: Told after each view.

    Raises:
        InputError: There is no base among the candidates, or pictures or photos are of other views
            or another size.
    """
    base = next((c for c in candidates if c.method == "base"), None)
    if base is None:
        raise InputError("mipmap: expected a candidate 'base' to compare with, found none")
    held_out = [*roles.scored, *roles.extra]
    position = {index: i for i, index in enumerate(roles.pictures)}
    if len(pseudo.colors) != len(position):
        raise InputError(
            f"mipmap: expected pseudo ground truth of {len(position)} views, found "
            f"{len(pseudo.colors)}; make it again for these roles"
        )
    settings = settings or EvaluationSettings(no_reference=())
    where, behind = torch.device(device), torch.zeros(3) if background is None else background
    cameras = pseudo.cameras[[position[i] for i in held_out]]
    sizes = sorted(set(zip(cameras.widths, cameras.heights, strict=True)))
    ready, absent = metrics.load(settings, sizes, where)
    quantised = protocol(settings.protocol).quantised
    shown = held_out[0] if show is None else show
    values: dict[tuple[str, str, str, str], list[float]] = {}
    pictures: dict[str, Tensor] = {}

    for done, index in enumerate(held_out):
        progress(done, len(held_out), f"evaluating {scale_name(pseudo.scale)}")
        mine = pseudo.colors[position[index]]
        images = {c.method: _image(c, cameras, done, behind, where) for c in candidates}
        images["pseudo"] = to_float(mine)
        goals: dict[str, tuple[Tensor, Tensor | None]] = {"pseudo": (to_float(mine), None)}
        if truth is not None:
            goals["photos"] = reference(truth, index, behind.cpu(), quantised=quantised)
            _check_size(goals["photos"][0], mine, truth.cameras.names[index])
        group = "extra" if index in roles.extra else "scored"
        stored = {method: quantise(image) for method, image in images.items()}
        compared = {m: to_float(stored[m]) if quantised else images[m] for m in images}
        # The photo itself at this size is what training views were adapted to.
        rated = [m for m in images if not (roles.fitted and m == "pseudo")]
        with pictures_at_once(cameras[[done]]) as pool:
            found = pool.map(lambda m, c=compared, g=goals: _rate(m, c[m], g, ready), rated)
            for method, ratings in zip(rated, found, strict=True):
                for (against, metric), value in ratings.items():
                    values.setdefault((method, group, against, metric), []).append(value)
        if index == shown:
            pictures |= stored
        if index == shown and truth is not None:
            pictures["photo"] = quantise(goals["photos"][0])
    progress(len(held_out), len(held_out), f"evaluating {scale_name(pseudo.scale)}")
    labels = {c.method: c.label for c in candidates} | {"pseudo": pseudo.label}
    units = {spec.key: spec.units for spec, _ in ready}
    return ScaleEvaluation(
        scale=pseudo.scale,
        scores=_scores(pseudo.scale, values, labels, units, roles),
        models=tuple(_model(c, base, pseudo.scale, base_iterations) for c in candidates),
        pictures=pictures,
        view=pseudo.cameras.names[position[shown]],
        pseudo_label=pseudo.label,
        unavailable=absent,
    )


def _rate(
    method: str,
    image: Tensor,
    goals: Mapping[str, tuple[Tensor, Tensor | None]],
    ready: Sequence[tuple[metrics.MetricSpec, metrics.Score]],
) -> dict[tuple[str, str], float]:
    """What a picture is worth, by what it is compared with (never itself) and metric."""
    others = {against: goal for against, goal in goals.items() if against != method}
    found: dict[tuple[str, str], float] = {}
    for spec, score in ready:
        alone: float | None = None
        for against, (goal, mask) in others.items():
            if alone is None or not spec.alone:
                alone = score(image, goal, mask)
            found[against, spec.key] = alone
    return found


def _image(
    candidate: Candidate, cameras: Cameras, which: int, background: Tensor, device: torch.device
) -> Tensor:
    model = candidate.splats.to(device, torch.float32)
    with torch.no_grad():
        rendering = render(model, cameras[which], candidate.settings, background)[0]
    return rendering.colors.detach().cpu().to(torch.float32).clamp(0, 1)


def _check_size(photo: Tensor, picture: Tensor, name: str) -> None:
    if photo.shape != picture.shape:
        raise InputError(
            f"mipmap: the photo of {name} should be {picture.shape[1]} x {picture.shape[0]} pixels "
            f"at this scale, found {photo.shape[1]} x {photo.shape[0]}"
        )


def _scores(
    scale: Fraction,
    values: Mapping[tuple[str, str, str, str], list[float]],
    labels: Mapping[str, str],
    units: Mapping[str, str],
    roles: ViewRoles,
) -> tuple[ScaleScore, ...]:
    scored = TRANSDUCTIVE if roles.transductive else HELD_OUT
    standing = {"scored": FITTED if roles.fitted else scored, "extra": EXTRA}
    order = {name: i for i, name in enumerate(METHODS)}
    keys = sorted(values, key=lambda k: (k[2], k[1] == "extra", order.get(k[0], 99), k[3]))
    rows = []
    for method, group, against, metric in keys:
        numbers = [v for v in values[method, group, against, metric] if not np.isnan(v)]
        rows.append(
            ScaleScore(
                scale=scale_name(scale),
                factor=float(scale),
                method=method,
                label=labels[method],
                views=group,
                standing=standing[group],
                against=against,
                metric=metric,
                value=float(np.mean(numbers)) if numbers else float("nan"),
                units=units[metric],
                count=len(numbers),
            )
        )
    return tuple(rows)


def _model(
    candidate: Candidate, base: Candidate, scale: Fraction, base_iterations: int
) -> ScaleModel:
    return ScaleModel(
        scale=scale_name(scale),
        method=candidate.method,
        gaussians=len(candidate.splats),
        gaussians_base=len(base.splats),
        bytes=splat_bytes(candidate.splats),
        bytes_base=splat_bytes(base.splats),
        iterations=candidate.iterations,
        share=candidate.iterations / max(base_iterations, 1),
        seconds=candidate.seconds,
    )
