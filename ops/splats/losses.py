"""The photometric loss of 3DGS, its gradient, and what to show of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ops.splats.ssim import C1, C2, RADIUS, Similarity, compare, window


@dataclass(frozen=True)
class PhotoLoss:
    """The loss of a rendering against its photo, over the pixels that count."""

    loss: Tensor  # scalar with gradient: (1 - lambda) L1 + lambda (1 - SSIM)
    mse: Tensor  # scalar, mean squared difference

    @property
    def psnr(self) -> float:
        """Peak signal to noise ratio in dB for colours in [0, 1]; at most 100."""
        return -10 * math.log10(max(float(self.mse), 1e-10))


def photo_loss(
    image: Tensor, target: Tensor, weights: Tensor | None = None, ssim_weight: float = 0.2
) -> PhotoLoss:
    """``(1 - lambda) L1 + lambda (1 - SSIM)`` (Kerbl et al. 2023, equation 7).

    SSIM has a Gaussian window of 11 x 11 pixels and standard deviation 1.5, with zeros outside
    the image. Pixels of weight 0 are treated like those outside: 0 for the window, in no mean,
    without gradient.

    Args:
        image: [H, W, C] the rendering.
        target: [H, W, C] the photo; no gradient.
        weights: [H, W] 1 where a pixel counts, 0 where not; None: all count.
        ssim_weight: lambda.
    """
    if image.device.type == "cpu" and image.dtype == torch.float32:
        loss, mse = _FusedLoss.apply(image, target, weights, ssim_weight)
        return PhotoLoss(loss, mse)
    return _torch_loss(image, target, weights, ssim_weight)


def photo_loss_gradient(
    image: Tensor, target: Tensor, weights: Tensor | None = None, ssim_weight: float = 0.2
) -> tuple[PhotoLoss, Tensor]:
    """:func:`photo_loss`, without a graph, and its gradient [H, W, C] by the image."""
    if image.device.type == "cpu" and image.dtype == torch.float32:
        found = _compared(image, target, weights, ssim_weight)
        loss = PhotoLoss(_loss(found, ssim_weight), _scalar(found.mse))
        return loss, torch.from_numpy(found.gradient)
    leaf = image.detach().requires_grad_()
    loss = _torch_loss(leaf, target, weights, ssim_weight)
    (gradient,) = torch.autograd.grad(loss.loss, leaf)
    return PhotoLoss(loss.loss.detach(), loss.mse), gradient


def _compared(
    image: Tensor, target: Tensor, weights: Tensor | None, ssim_weight: float
) -> Similarity:
    return compare(
        image.detach().numpy(),
        target.detach().numpy(),
        None if weights is None else weights.numpy(),
        ssim_weight,
    )


def _loss(found: Similarity, ssim_weight: float) -> Tensor:
    value = (1 - ssim_weight) * found.l1 + ssim_weight * (1 - found.ssim)
    return _scalar(value)


def _scalar(value: float) -> Tensor:
    """[] float64; ``torch.tensor`` takes ten times as long."""
    return torch.from_numpy(np.array(value, np.float64))


class _FusedLoss(torch.autograd.Function):
    """The compiled loss, whose gradient comes with its value."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, target: Tensor, weights: Tensor | None, ssim_weight: float
    ) -> tuple[Tensor, Tensor]:
        found = _compared(image, target, weights, ssim_weight)
        ctx.save_for_backward(torch.from_numpy(found.gradient))
        mse = _scalar(found.mse)
        ctx.mark_non_differentiable(mse)
        return _loss(found, ssim_weight), mse

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype), None, None, None


def _torch_loss(
    image: Tensor, target: Tensor, weights: Tensor | None, ssim_weight: float
) -> PhotoLoss:
    """The same in torch operations, for other devices and for float64."""
    channels = image.shape[-1]
    keep = torch.ones_like(image[..., :1]) if weights is None else weights[..., None].to(image)
    counted = (keep.sum() * channels).clamp(min=1)
    # Not a product: a pixel that does not count may hold NaN.
    x, y = (torch.where(keep > 0, v, 0).permute(2, 0, 1)[None] for v in (image, target))
    kernel = torch.from_numpy(window()).to(image)
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)

    def blur(v: Tensor) -> Tensor:
        v = conv2d(v, across, padding=(0, RADIUS), groups=channels)
        return conv2d(v, down, padding=(RADIUS, 0), groups=channels)

    m, n, squares, product = blur(x), blur(y), blur(x * x + y * y), blur(x * y)
    similarity = (2 * m * n + C1) * (2 * (product - m * n) + C2)
    similarity = similarity / ((m * m + n * n + C1) * (squares - m * m - n * n + C2))
    weight = keep.permute(2, 0, 1)[None]
    ssim = (similarity * weight).sum() / counted + (keep.sum() == 0)
    l1 = (x - y).abs().sum() / counted
    loss = (1 - ssim_weight) * l1 + ssim_weight * (1 - ssim)
    return PhotoLoss(loss, ((x - y) ** 2).sum().detach() / counted)


def regularisation(
    opacity_logits: Tensor, log_scales: Tensor, opacity_weight: float, scale_weight: float
) -> Tensor | None:
    """3DGS-MCMC's pull towards few and small Gaussians (Kheradmand et al. 2024, equation 10).

    ``opacity_weight mean(opacity) + scale_weight mean(scale)``; None where both weights are 0.

    Args:
        opacity_logits: [N].
        log_scales: [N, 3], world units.
        opacity_weight: Not negative.
        scale_weight: Not negative.
    """
    terms = []
    if opacity_weight > 0:
        terms.append(opacity_weight * opacity_logits.sigmoid().mean())
    if scale_weight > 0:
        terms.append(scale_weight * log_scales.exp().mean())
    return sum(terms[1:], terms[0]) if terms else None
