"""One view on the CPU, as torch's autograd sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ops.rendering.cpu.gradients import PixelGradients, differentiate
from ops.rendering.cpu.view import Drawn, Floats, View, empty, prepare_view, rasterise
from ops.rendering.interface import OneView, Rendering, RenderSettings, ScreenSpace
from ops.splats.model import Splats


def _shown(
    drawn: Drawn, view: View, settings: RenderSettings, features: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Colours, features, blended depth, alphas and median depth; None for what is not wanted."""
    n_features = view.parameters.features.shape[1]
    return (
        drawn.image,
        drawn.planes[:n_features].permute(1, 2, 0) if features is not None else None,
        drawn.planes[-1] if settings.expected_depth else None,
        drawn.alphas,
        drawn.median if settings.median_depth else None,
    )


class _Draw(torch.autograd.Function):
    """Blending of one prepared view, with gradients for everything it was prepared from."""

    @staticmethod
    def forward(
        ctx: Any,
        view: View,
        screen: Tensor,
        settings: RenderSettings,
        background: Tensor | None,
        viewmat: Tensor,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh0: Tensor,
        shN: Tensor,
        features: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        drawn = rasterise(view, background, median_depth=settings.median_depth)
        image, planes, transmittance, _, median, ends = drawn
        # What torch watches must not be kept twice.
        nothing = empty(0)
        ctx.rest = Drawn(nothing, nothing, nothing, nothing, nothing, ends)
        ctx.view, ctx.absgrad, ctx.screen = view, settings.absgrad, screen
        ctx.background_shape = None if background is None else background.shape
        parameters = (means, quats, log_scales, opacity_logits, sh0, shN)
        ctx.save_for_backward(image, planes, transmittance, *parameters, features)
        ctx.set_materialize_grads(False)
        if settings.median_depth:
            ctx.mark_non_differentiable(median)
        return _shown(drawn, view, settings, features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        view: View = ctx.view
        image, planes, transmittance, *_ = ctx.saved_tensors  # raises where one was changed
        drawn: Drawn = ctx.rest._replace(image=image, planes=planes, transmittance=transmittance)
        v_colors, v_features, v_depth, v_alphas, _ = gradients
        found = differentiate(
            view,
            drawn,
            PixelGradients(v_colors, v_features, v_depth, v_alphas),
            absgrad=ctx.absgrad,
            camera=ctx.needs_input_grad[4],
        )
        if found.absolute is not None:
            before = getattr(ctx.screen, "absgrad", None)
            ctx.screen.absgrad = found.absolute if before is None else before + found.absolute
        v_background = None
        if ctx.needs_input_grad[3] and v_colors is not None:
            v_background = _background_gradient(
                v_colors.numpy(), transmittance.numpy(), len(ctx.background_shape)
            )
        p = found.parameters
        return (
            *(None, found.means2d, None, v_background, found.viewmat),
            *(p["means"], p["quats"], p["log_scales"], p["opacity_logits"], p["sh0"], p["shN"]),
            p["features"] if ctx.needs_input_grad[11] else None,
        )


def _background_gradient(v_colors: Floats, transmittance: Floats, ndim: int) -> Tensor:
    per_pixel = v_colors * transmittance[..., None]
    if ndim == 3:
        return torch.from_numpy(per_pixel)
    # NumPy sums on one thread, in the same order on every machine run.
    total = per_pixel.reshape(-1, 3).sum(axis=0, dtype=np.float64)
    return torch.from_numpy(total.astype(np.float32))


def render_view(splats: Splats, wanted: OneView) -> Rendering:
    """One view of splats on the CPU; see :func:`ops.rendering.render.render`.

    Args:
        splats: The Gaussians, on the CPU.
        wanted: What to draw of them.

    Raises:
        InputError: When the view would take more memory than is free.
    """
    n, features = splats.means.shape[0], splats.features
    viewmat, settings, background = wanted.viewmat, wanted.settings, wanted.background
    view, means2d, radii = prepare_view(splats, wanted)
    tensors = [splats.means, splats.quats, splats.log_scales, splats.opacity_logits]
    tensors += [splats.sh0, splats.shN]
    given = (*tensors, viewmat, features, background)
    differentiable = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in given
    )
    # A leaf of its own, so that its gradient is there after backward, as densification expects.
    screen = torch.from_numpy(means2d[:n]).requires_grad_(differentiable)
    if differentiable:
        outputs = _Draw.apply(view, screen, settings, background, viewmat, *tensors, features)
    else:
        drawn = rasterise(view, background, median_depth=settings.median_depth)
        outputs = _shown(drawn, view, settings, features)
    colors, blended, depth, alphas, median = outputs
    if depth is not None:
        depth = depth / alphas.clamp(min=1e-10)
    return Rendering(
        colors=colors,
        alphas=alphas,
        features=blended,
        expected_depth=depth,
        median_depth=median,
        screen=ScreenSpace(means2d=screen, radii=torch.from_numpy(radii[:n])),
    )
