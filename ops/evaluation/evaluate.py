"""Render the held-out views of a capture and score them under a named protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ops.capture.model import Views, indices_of
from ops.device import pick_device
from ops.errors import InputError
from ops.evaluation import metrics, weights
from ops.evaluation.metrics import MetricSpec
from ops.evaluation.protocols import EvalProtocol, protocol
from ops.evaluation.settings import EvaluationSettings
from ops.progress import Progress, silent
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One number of the table."""

    view: str  # name of the view
    key: str  # full name of the metric: lpips_alex[-1,1]
    metric: str  # short name: lpips
    net: str  # network or weights; empty without one
    input_range: str  # of the values the metric was given
    value: float  # NaN where no pixel of the view counts
    units: str  # "dB", or "1" for plain numbers


@dataclass(frozen=True, kw_only=True)
class EvaluatedView:
    """One held-out view, on the CPU."""

    index: int  # among the views of the capture
    name: str
    render: Tensor  # [H, W, 3] uint8
    truth: Tensor  # [H, W, 3] uint8, over the background where the photo has alpha
    error: Tensor  # [H, W] float32, mean absolute difference of the channels, 0 to 1
    depth: Tensor  # [H, W] float32, world units along the optical axis; 0 where nothing is
    alpha: Tensor  # [H, W] float32, how much the splats cover
    mask: Tensor | None  # [H, W] bool, the pixels that count; None: all
    scores: dict[str, float]  # by the metric's full name


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The numbers of an evaluation, and what there is to know of them."""

    protocol: EvalProtocol
    rows: tuple[MetricRow, ...]  # views in order, and for each the metrics in order
    means: dict[str, float]  # over the views that have a value, by full name
    lower_better: dict[str, bool]  # by full name
    unavailable: dict[str, str]  # full name -> why, and how to get it
    weights: dict[str, str]  # full name -> file and SHA-256 of the weights it used
    background: tuple[float, float, float]  # RGB behind photos with alpha
    notes: tuple[str, ...] = ()


def evaluate(
    splats: Splats,
    views: Views,
    settings: EvaluationSettings | None = None,
    render_settings: RenderSettings | None = None,
    *,
    white_background: bool = False,
    device: torch.device | str | None = None,
    progress: Progress = silent,
    keep: Callable[[EvaluatedView], None] | None = None,
    allow_download: bool = False,
) -> Evaluation:
    """Score the held-out views of a capture.

    What metrics need is looked for before the first view is rendered; one that cannot be computed
    is left out and listed with a sentence that says how to get it. Where a view has a mask, PSNR
    and SSIM take the pixels that count, LPIPS sees the photo at all others, and no-reference
    scores see the whole render. Photos with alpha, and renders, stand on the background.

    Args:
        splats: The model.
        views: The capture; those of split "test" are used.
        settings: Protocol and metrics; None for the defaults.
        render_settings: How to render; None for the defaults.
        white_background: The dataset's habit, used where ``settings.background`` is "dataset".
        device: Where to work; None for the best there is.
        progress: Told after each view.
        keep: Given every view when it is scored, to store its images; they are not kept here.
        allow_download: Fetch weights that are not on the machine; otherwise no network is used.

    Raises:
        InputError: No view is held out, or there are no splats.
    """
    settings = EvaluationSettings() if settings is None else settings
    where = device if isinstance(device, torch.device) else pick_device(device)
    rules = protocol(settings.protocol)
    held_out = indices_of(views.splits, "test")
    if not held_out:
        raise InputError(
            f"evaluation: expected held-out views, found {len(views)} views and none of split "
            "'test'; choose another split for the capture"
        )
    if len(splats) == 0:
        raise InputError("evaluation: expected splats, found a model without any")
    cameras = views.cameras
    sizes = sorted({(cameras.widths[i], cameras.heights[i]) for i in held_out})
    ready, absent = metrics.load(settings, sizes, where, allow_download=allow_download)
    white = settings.background == "white" or (
        settings.background == "dataset" and white_background
    )
    background = torch.full((3,), 1.0 if white else 0.0)
    model = replace(splats, features=None).detach().to(where, torch.float32)
    how = replace(render_settings or RenderSettings(), expected_depth=True)

    rows: list[MetricRow] = []
    for done, index in enumerate(held_out):
        progress(done, len(held_out), "evaluating")
        view = _score(model, views, index, how, background, rules, ready)
        rows += [_row(view.name, spec, view.scores[spec.key]) for spec, _ in ready]
        if keep is not None:
            keep(view)
    means = {spec.key: _mean([r.value for r in rows if r.key == spec.key]) for spec, _ in ready}
    progress(len(held_out), len(held_out), "evaluating", means)
    return Evaluation(
        protocol=rules,
        rows=tuple(rows),
        means=means,
        lower_better={spec.key: spec.lower_better for spec, _ in ready},
        unavailable=absent,
        weights={spec.key: _weights_of(spec) for spec, _ in ready if spec.weights},
        background=(float(white),) * 3,
    )


def reference(
    views: Views, index: int, background: Tensor, *, quantised: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The photo of a view as it is compared with, and which of its pixels count.

    Args:
        views: The capture.
        index: Which view.
        background: [3] RGB behind photos that have alpha.
        quantised: Round to 8 bits.

    Returns:
        [H, W, 3] float32 in [0, 1], and [H, W] bool or None where all pixels count.
    """
    image = views.image(index).to(torch.float32) / 255
    alpha = views.alpha(index)
    if alpha is not None:
        cover = (alpha.to(torch.float32) / 255)[..., None]
        image = image * cover + background * (1 - cover)
        if quantised:
            image = _quantise(image).to(torch.float32) / 255
    mask = views.mask(index)
    return image, None if mask is None else mask > 127


def _score(
    model: Splats,
    views: Views,
    index: int,
    how: RenderSettings,
    background: Tensor,
    rules: EvalProtocol,
    ready: list[tuple[MetricSpec, metrics.Score]],
) -> EvaluatedView:
    camera = views.cameras[index]
    with torch.no_grad():
        rendering = render(model, camera, how, background.to(model.means))[0]
    colors = rendering.colors.detach().cpu().to(torch.float32).clamp(0, 1)
    stored = _quantise(colors)
    image = stored.to(torch.float32) / 255 if rules.quantised else colors
    truth, mask = reference(views, index, background, quantised=rules.quantised)
    if truth.shape != image.shape:
        raise InputError(
            f"evaluation: view {camera.names[0]!r} should be {image.shape[1]} x {image.shape[0]} "
            f"as its camera says, found a photo of {truth.shape[1]} x {truth.shape[0]}"
        )
    depth = rendering.expected_depth
    assert depth is not None  # asked for in the settings
    return EvaluatedView(
        index=index,
        name=camera.names[0],
        render=stored,
        truth=_quantise(truth),
        error=(image - truth).abs().mean(dim=-1),
        depth=depth.detach().cpu().to(torch.float32),
        alpha=rendering.alphas.detach().cpu().to(torch.float32),
        mask=mask,
        scores={spec.key: score(image, truth, mask) for spec, score in ready},
    )


def _quantise(image: Tensor) -> Tensor:
    """[0, 1] to bytes, rounding halves up as torchvision does when it writes PNG files."""
    return (image * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def _row(view: str, spec: MetricSpec, value: float) -> MetricRow:
    return MetricRow(
        view=view,
        key=spec.key,
        metric=spec.metric,
        net=spec.net,
        input_range=spec.input_range,
        value=value,
        units=spec.units,
    )


def _mean(values: list[float]) -> float:
    """The mean of the values that are numbers; NaN where there are none."""
    numbers = [v for v in values if not np.isnan(v)]
    return float(np.mean(numbers)) if numbers else float("nan")


def _weights_of(spec: MetricSpec) -> str:
    file = weights.FILES[spec.weights]
    return f"{file.name} sha256:{weights.sha256(file.path)}"
