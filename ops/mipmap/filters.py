"""What makes splats look wrong at other scales, and the filters against it.

Mip-Splatting (Yu, Chen, Huang, Sattler and Geiger, arXiv 2311.16493, CVPR 2024) limits every
Gaussian to what the training photos could show (3D smoothing filter), and replaces the dilation of
the image by a small box's worth of blur (2D Mip filter).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

DILATION = 0.3  # px^2, of 3DGS
SMOOTHING = 0.2  # px^2, s of the 3D smoothing filter (paper, section 6.1, and released code)
MIP_DILATION = 0.1  # px^2, s of the 2D Mip filter (the same)
MARGIN = 0.15  # of the image around it, where a mean counts as seen (released code)


def dilation_error(sigma: float, scale: float, eps2d: float = DILATION) -> float:
    """How much too bright an isolated round splat is that looks right at the base scale.

    Its integrated alpha at the scale, divided by what that of the base scale becomes there:
    ``(s^2 sigma^2 + eps) / (s^2 (sigma^2 + eps))``, since the dilation is of a fixed number of
    pixels. 1 at the base scale; grows like 1/s^2 below it and falls to
    ``sigma^2 / (sigma^2 + eps)`` above.

    Args:
        sigma: Standard deviation, pixels of the base rendering.
        scale: s, rendering by base rendering.
        eps2d: Pixels squared.
    """
    return (scale**2 * sigma**2 + eps2d) / (scale**2 * (sigma**2 + eps2d))


def scale_matched(scale: Fraction) -> RenderSettings:
    """The dilation of the base scale, in pixels of another: ``0.3 s^2``.

    What a model shows with it is what it shows at the base scale with finer or coarser pixels:
    nothing erodes, nothing is sharper, and below the base scale nothing is smoothed.
    """
    return RenderSettings(eps2d=DILATION * float(scale) ** 2)


def mip_render_settings() -> RenderSettings:
    """The 2D Mip filter: a dilation of 0.1 px^2 whose opacity is compensated, as in equation 9."""
    return RenderSettings(mode="antialiased", eps2d=MIP_DILATION)


def sampling_rates(means: Tensor, cameras: Cameras, near: float = 0.2) -> Tensor:
    """The highest rate at which any camera that sees them samples the means (section 5.1).

    A rate is focal length by depth: pixels by world unit. Seen is what projects into the image
    or up to 15 % of its size beside it, in front of ``near``. Means that no camera sees get the
    lowest rate of those that are seen (released code).

    Args:
        means: [N, 3].
        cameras: Those of training, at the size of training.
        near: World units.

    Returns:
        [N] float32 on the device of the means; the larger of the two focal lengths counts.

    Raises:
        InputError: No camera sees any mean.
    """
    points = means.detach().double()
    rates = torch.zeros(len(points), dtype=torch.float64, device=points.device)
    viewmats = cameras.viewmats.to(points)
    Ks = cameras.Ks.to(points)
    for c in range(len(cameras)):
        R, t = viewmats[c, :3, :3], viewmats[c, :3, 3]
        # Written out: a matrix product may round differently on other thread counts.
        x, y, z = ((points * R[i]).sum(dim=1) + t[i] for i in range(3))
        depth = z.clamp(min=near)
        u = Ks[c, 0, 0] * x / depth + Ks[c, 0, 2]
        v = Ks[c, 1, 1] * y / depth + Ks[c, 1, 2]
        seen = (z > near) & _within(u, cameras.widths[c]) & _within(v, cameras.heights[c])
        rate = torch.maximum(Ks[c, 0, 0], Ks[c, 1, 1]) / depth
        rates = torch.where(seen, torch.maximum(rates, rate), rates)
    known = rates > 0
    if len(points) and not bool(known.any()):
        raise InputError(
            f"mipmap: none of {len(cameras)} cameras sees any of {len(points)} Gaussians; check "
            "that splats and cameras are of the same scene"
        )
    lowest = rates[known].min() if len(points) else rates.new_zeros(())
    return torch.where(known, rates, lowest).to(torch.float32)


def _within(u: Tensor, size: int) -> Tensor:
    return (u >= -MARGIN * size) & (u <= (1 + MARGIN) * size)


def smooth(splats: Splats, rates: Tensor, smoothing: float = SMOOTHING) -> Splats:
    """The splats behind Mip-Splatting's 3D smoothing filter (section 5.1); gradients pass.

    Covariances become ``Sigma + smoothing / rate^2 I``, opacities are multiplied by
    ``sqrt(|Sigma| / |Sigma + smoothing / rate^2 I|)``, so that what a Gaussian holds stays.

    Args:
        splats: N Gaussians.
        rates: [N] pixels by world unit, see :func:`sampling_rates`.
        smoothing: Pixels squared; 0 changes nothing.
    """
    if tuple(rates.shape) != (len(splats),):
        raise InputError(
            f"mipmap: expected a sampling rate for each of {len(splats)} Gaussians, found a tensor "
            f"of {tuple(rates.shape)}"
        )
    log_scales = _widened(splats.log_scales, smoothing, rates)
    fading = (splats.log_scales - log_scales).sum(dim=1)
    logits = _faded(splats.opacity_logits, fading)
    return replace(splats, log_scales=log_scales, opacity_logits=logits)


def balanced(splats: Splats, rates: Tensor, scale: Fraction) -> Splats:
    """Splats whose dilation at a scale is what it was at the base scale, as far as splats can be.

    Not of the paper: the closed form of :func:`dilation_error` undone for every Gaussian by itself,
    which a short adaptation does well to start from. Above 1, where the dilation has become
    smaller, ``0.3 (1 - 1/s^2)`` base px^2 are added to the covariance. Below 1, where it has become
    larger and none can be taken away from a thin splat, the opacity falls as the area grows, with
    the Gaussian seen along its shortest axis.

    Args:
        splats: As trained.
        rates: [N] pixels by world unit at the base size, see :func:`sampling_rates`.
        scale: Of the rendering to come.
    """
    rates, s2 = rates.to(splats.means), float(scale) ** 2
    if scale >= 1:
        widened = _widened(splats.log_scales, DILATION * (1 - 1 / s2), rates)
        return replace(splats, log_scales=widened)
    across = (2 * splats.log_scales).exp().sort(dim=1).values[:, 1:] * (rates**2)[:, None]
    fading = 0.5 * torch.log((across + DILATION) / (across + DILATION / s2)).sum(dim=1)
    return replace(splats, opacity_logits=_faded(splats.opacity_logits, fading))


def _widened(log_scales: Tensor, variance: float, rates: Tensor) -> Tensor:
    """[N, 3] log scales after ``variance`` (pixels squared) was added to each axis."""
    added = (variance / rates.to(log_scales) ** 2)[:, None]
    return 0.5 * torch.log((2 * log_scales).exp() + added)


def _faded(logits: Tensor, log_factor: Tensor) -> Tensor:
    """[N] logits of the opacities times exp(log_factor), which is at most 1."""
    log_opacity = torch.nn.functional.logsigmoid(logits) + log_factor
    # The logit of exp(x) is x - log(1 - exp(x)); the clamp keeps an opacity of 1 finite.
    log_opacity = log_opacity.clamp(max=-1e-7)
    return log_opacity - torch.log(-torch.expm1(log_opacity))


def mip_filtered(splats: Splats, train_cameras: Cameras) -> tuple[Splats, RenderSettings]:
    """Mip-Splatting's two filters put on splats that were trained without them.

    Args:
        splats: As trained; they stay as they are.
        train_cameras: Those of training, at the size of training.

    Returns:
        What to render, and how, at any scale.
    """
    filtered = smooth(splats.detach(), sampling_rates(splats.means, train_cameras))
    return filtered, mip_render_settings()
