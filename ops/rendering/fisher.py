"""Fisher information of splats in views: how much a view says about every parameter.

With J the Jacobian of everything that is drawn (all pixels and channels of colour and features, in
[0, 1] for colours, not averaged) by the parameters as they are optimised (log-scales, opacity
logits, ...), the information of independent pixel noise of unit variance is J^T J. It contains no
photo: a view can be scored before it is taken (Jiang et al. 2024, FisherRF, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.rendering.interface import RenderSettings
from ops.rendering.render import checked, render
from ops.splats.model import Splats

BLOCK_PARAMETERS = (
    *("mean_x", "mean_y", "mean_z", "quat_w", "quat_x", "quat_y", "quat_z"),
    *("log_scale_0", "log_scale_1", "log_scale_2", "opacity_logit"),
)
"""What the rows and columns of :attr:`Fisher.blocks` are."""


@dataclass(frozen=True, kw_only=True)
class FisherSettings:
    """How to find the information."""

    method: Literal["auto", "exact", "probes"] = "auto"
    """``exact``: one pass on the CPU. ``probes``: an unbiased estimate on any device, by one
    backward pass per probe. ``auto``: exact on the CPU, probes elsewhere."""
    probes: int = 32
    """Number of probes. The relative error of an entry is at most sqrt(2 / probes)."""
    seed: int = 0
    """Of the probes."""
    features_reach_shapes: bool = True
    """Whether features tell of shape and opacity, too. False is what training with a stopped
    gradient means: then they tell of the features alone."""
    blocks: bool = False
    """Also the whole J^T J of each Gaussian's mean, quaternion, log-scales and opacity."""
    variant: Literal["jacobian", "fisherrf"] = "jacobian"
    """``jacobian``: diag(J^T J). ``fisherrf``: what the released code of FisherRF adds up instead
    (JiangWenPL/FisherRF, commit b747328: ``H_reg.py`` and ``renderCUDAFused`` in ``backward.cu``),
    for comparisons with its numbers. There red, green and blue are added up before a pixel is
    squared, so a change from red to cyan goes unnoticed, and entries of log-scales and opacity
    logits hold the derivative of the activation once, not squared. Its quaternions, which it leaves
    out by default, are not followed: theirs are squares by the numbers as they are. It knows no
    features that reach shapes, and no blocks."""


@dataclass(frozen=True, kw_only=True)
class Fisher:
    """diag(J^T J) of one view: a number for every number of the splats, never negative."""

    means: Tensor  # [N, 3] per squared world unit
    quats: Tensor  # [N, 4] of the quaternions as they are, not normalised
    log_scales: Tensor  # [N, 3]
    opacity_logits: Tensor  # [N]
    sh0: Tensor  # [N, 1, 3]
    shN: Tensor  # [N, K - 1, 3]
    features: Tensor | None  # [N, F]
    blocks: Tensor | None  # [N, 11, 11] symmetric, see BLOCK_PARAMETERS
    estimated: bool  # by probes

    def tensors(self) -> dict[str, Tensor]:
        """The diagonals by parameter, without ``features`` where there are none."""
        names = ("means", "quats", "log_scales", "opacity_logits", "sh0", "shN", "features")
        named = {name: getattr(self, name) for name in names}
        return {name: value for name, value in named.items() if value is not None}


def fisher_information(
    splats: Splats,
    cameras: Cameras,
    settings: RenderSettings | None = None,
    fisher: FisherSettings | None = None,
    background: Tensor | None = None,
) -> list[Fisher]:
    """The information of every view about every parameter.

    Exact values follow from sums over pixels of each Gaussian's own contributions, since a Gaussian
    enters a pixel once; they include the effect of a mean on its colour by way of the viewing
    direction. Probes are signs +1 and -1 for every pixel and channel: the expected square of
    J^T probe is the diagonal (Hutchinson 1989; Bekas et al. 2007).

    Args:
        splats: N Gaussians.
        cameras: C views.
        settings: How the views are drawn; depths are not looked at.
        fisher: How to find the information.
        background: As for :func:`ops.rendering.render.render`.

    Returns:
        One result per view, in order.

    Raises:
        InputError: As for rendering; exact information of splats that are not on the CPU; fewer
            probes than one; settings that do not go together.
    """
    settings = _without_depths(settings)
    fisher = fisher or FisherSettings()
    _check(fisher, splats)
    on_cpu = splats.means.device.type == "cpu"
    if fisher.method == "probes" or (fisher.method == "auto" and not on_cpu):
        views = checked(splats, cameras, settings, background)
        return [
            _probed(splats, views.cameras[[c]], settings, fisher, views.backgrounds[c])
            for c in range(len(cameras))
        ]
    if not on_cpu:
        raise InputError(
            f"fisher: exact information needs splats on 'cpu', found "
            f"'{splats.means.device.type}'; move them with splats.to('cpu') or use probes"
        )
    from ops.rendering.cpu.fisher import fisher_view

    views = checked(splats, cameras, settings, background)
    found = []
    for c in range(len(cameras)):
        diagonal, blocks = fisher_view(
            splats.detach(),
            views.of(c, settings),
            features_reach_shapes=fisher.features_reach_shapes,
            one_channel=fisher.variant == "fisherrf",
            blocks=fisher.blocks,
        )
        found.append(_fisher(_activated(diagonal, splats, fisher), blocks, estimated=False))
    return found


def _check(fisher: FisherSettings, splats: Splats) -> None:
    if fisher.method not in ("auto", "exact", "probes"):
        raise InputError(
            f"fisher: method should be 'auto', 'exact' or 'probes', found {fisher.method!r}"
        )
    if fisher.probes < 1:
        raise InputError(f"fisher: probes should be at least 1, found {fisher.probes}")
    if fisher.variant not in ("jacobian", "fisherrf"):
        raise InputError(
            f"fisher: variant should be 'jacobian' or 'fisherrf', found {fisher.variant!r}"
        )
    if fisher.variant == "fisherrf" and fisher.blocks:
        raise InputError(
            "fisher: variant 'fisherrf' has diagonals only; leave blocks out, or use 'jacobian'"
        )
    reach = splats.features is not None and fisher.features_reach_shapes
    if fisher.variant == "fisherrf" and reach:
        raise InputError(
            "fisher: in variant 'fisherrf' features do not reach shapes; set "
            "features_reach_shapes=False, or use 'jacobian'"
        )


def _activated(
    diagonal: dict[str, Tensor], splats: Splats, fisher: FisherSettings
) -> dict[str, Tensor]:
    """The diagonal with as many derivatives of the activations in it as the variant has."""
    if fisher.variant == "jacobian":
        return diagonal
    logits = splats.opacity_logits.detach()
    slopes = {
        "log_scales": splats.log_scales.detach().exp(),
        "opacity_logits": torch.sigmoid(logits) * torch.sigmoid(-logits),
    }
    divided = {
        # Where the derivative is 0 in float32, so is the entry that holds it twice.
        name: torch.where(slope > 0, diagonal[name] / slope, 0.0)
        for name, slope in slopes.items()
    }
    return diagonal | divided


def _without_depths(settings: RenderSettings | None) -> RenderSettings:
    """What is drawn where only colours and features are looked at."""
    settings = settings or RenderSettings()
    return replace(settings, expected_depth=False, median_depth=False, absgrad=False)


def uncertainty_maps(
    splats: Splats,
    cameras: Cameras,
    information: Fisher,
    settings: RenderSettings | None = None,
    *,
    prior: float = 1e-6,
    features_reach_shapes: bool = True,
    background: Tensor | None = None,
) -> list[Tensor]:
    """How uncertain every pixel is, given what is known of every parameter.

    With the posterior variance 1 / (information + prior) of each parameter, independent of each
    other, this is the variance of a pixel's channels, summed, to first order: the diagonal Laplace
    approximation of FisherRF (Jiang et al. 2024, section 3), pixel by pixel.

    Args:
        splats: N Gaussians on the CPU.
        cameras: C views.
        information: What is known of the splats, such as a sum over the training views.
        settings: How the views are drawn.
        prior: Added to the information, at least of the order of its smallest useful entries.
        features_reach_shapes: As in :class:`FisherSettings`.
        background: As for :func:`ops.rendering.render.render`.

    Returns:
        [H, W] per view, variances for a pixel noise of 1; 0 where nothing is seen.

    Raises:
        InputError: As for rendering; splats that are not on the CPU; a prior that is not positive;
            information of other splats, or that is negative or not finite.
    """
    if splats.means.device.type != "cpu":
        raise InputError(
            "uncertainty maps need splats on 'cpu', found "
            f"'{splats.means.device.type}'; move them with splats.to('cpu')"
        )
    if not 0 < prior < float("inf"):
        raise InputError(f"uncertainty maps: prior should be positive and finite, found {prior}")
    _check_information(information, splats)
    from ops.rendering.cpu.fisher import uncertainty_view

    settings = _without_depths(settings)
    views = checked(splats, cameras, settings, background)
    variances = {name: 1 / (value + prior) for name, value in information.tensors().items()}
    return [
        uncertainty_view(
            splats.detach(),
            views.of(c, settings),
            variances=variances,
            features_reach_shapes=features_reach_shapes,
        )
        for c in range(len(cameras))
    ]


def _check_information(information: Fisher, splats: Splats) -> None:
    """Kernels read as many numbers as the splats have."""
    expected = {name: tuple(t.shape) for name, t in splats.tensors().items()}
    found = {name: tuple(t.shape) for name, t in information.tensors().items()}
    if found != expected:
        raise InputError(
            f"uncertainty maps: information should be of these splats, with shapes {expected}; "
            f"found {found}; score the splats with fisher_information"
        )
    for name, value in information.tensors().items():
        if not bool(((value >= 0) & (value < float("inf"))).all()):
            raise InputError(
                "uncertainty maps: information should be finite and not negative, which that of "
                f"{name} is not"
            )


@torch.inference_mode(False)
@torch.enable_grad()
def _probed(
    splats: Splats,
    camera: Cameras,
    settings: RenderSettings,
    fisher: FisherSettings,
    background: Tensor | None,
) -> Fisher:
    """Mean squares of J^T probe over the probes."""
    # Copies: what was made in inference mode cannot be part of a graph.
    own = {k: v.detach().clone().requires_grad_() for k, v in splats.tensors().items()}
    camera = replace(camera, viewmats=camera.viewmats.clone(), Ks=camera.Ks.clone())
    background = None if background is None else background.clone()
    generator = torch.Generator("cpu").manual_seed(fisher.seed)
    [seen] = render(Splats(**own), camera, settings, background)
    stopped = None
    if seen.features is not None and not fisher.features_reach_shapes:
        still = {k: v if k == "features" else v.detach() for k, v in own.items()}
        stopped = render(Splats(**still), camera, settings, background)[0].features
    squares = {name: torch.zeros_like(value) for name, value in own.items()}
    products = None
    if fisher.blocks:
        whole = len(BLOCK_PARAMETERS)
        products = splats.means.new_zeros(len(splats), whole, whole)

    def signs(like: Tensor) -> Tensor:
        coins = torch.randint(0, 2, like.shape, generator=generator, dtype=torch.int8, device="cpu")
        return (2 * coins - 1).to(like)

    one_channel = fisher.variant == "fisherrf"
    for _ in range(fisher.probes):
        colors = seen.colors.sum(-1) if one_channel else seen.colors
        loss = (colors * signs(colors)).sum()
        if seen.features is not None:
            features = seen.features if stopped is None else stopped
            loss = loss + (features * signs(features)).sum()
        gradients = torch.autograd.grad(
            loss, list(own.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        by_name = dict(zip(own, gradients, strict=True))
        for name, gradient in by_name.items():
            squares[name] += gradient.square()
        if products is not None:
            parts = [by_name["means"], by_name["quats"], by_name["log_scales"]]
            row = torch.cat([*parts, by_name["opacity_logits"][:, None]], dim=1)
            products += row[:, :, None] * row[:, None, :]
    means = {name: value / fisher.probes for name, value in squares.items()}
    means = _activated(means, splats, fisher)
    blocks = None if products is None else products / fisher.probes
    return _fisher(means, blocks, estimated=True)


def _fisher(diagonal: dict[str, Tensor], blocks: Tensor | None, *, estimated: bool) -> Fisher:
    named = {k: v for k, v in diagonal.items() if k != "features"}
    features = diagonal.get("features")
    return Fisher(**named, features=features, blocks=blocks, estimated=estimated)
