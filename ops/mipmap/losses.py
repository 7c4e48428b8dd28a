"""What adaptation minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ops.mipmap.settings import AdaptSettings
from ops.splats.losses import PhotoLoss, photo_loss
from ops.threads import one_torch_thread


def adaptation_loss(
    image: Tensor,
    target: Tensor,
    settings: AdaptSettings,
    weights: Tensor | None = None,
    spacing: int = 1,
) -> PhotoLoss:
    """The loss of a rendering against the pseudo ground truth.

    ``l2`` is the mean over pixels and channels of the squared difference; its gradient at the image
    is ``2 (x - r) / (3 H W)``. ``edge_weight`` adds that many times the same mean of how the
    difference changes from a pixel to its right neighbour, and to its lower one: a Sobolev norm.
    The dilation dims fine detail in every rendering and once more in its gradient, so that under
    the plain mean it is fitted last; this weighs it up.

    Args:
        image: [H, W, 3] the rendering.
        target: [H, W, 3] float32; no gradient.
        settings: Their ``loss``, ``edge_weight`` (of ``l2``) and ``ssim_weight``.
        weights: [H, W] 1 where a pixel counts, 0 where not; None: all count.
        spacing: Pixels to the neighbour that a pixel is compared with.
    """
    if settings.loss != "l2":
        part = settings.ssim_weight if settings.loss == "l1_ssim" else 0.0
        return photo_loss(image, target, weights, part)
    difference, counts = image - target, None
    if weights is not None:
        # Not a product: a pixel that does not count may hold NaN.
        counts = weights > 0
        difference = difference.where(counts[..., None], difference.new_zeros(()))
    with one_torch_thread():
        mse = _mean_square(difference, counts)
        loss = mse
        if settings.edge_weight:
            for axis in (0, 1):
                loss = loss + settings.edge_weight * _change(difference, counts, axis, spacing)
    return PhotoLoss(loss, mse.detach().double())


def mean_loss(losses: Sequence[PhotoLoss]) -> PhotoLoss:
    """The mean over the views of a step, without gradient."""
    return PhotoLoss(
        torch.stack([found.loss.detach() for found in losses]).mean(),
        torch.stack([found.mse for found in losses]).mean(),
    )


def _change(difference: Tensor, counts: Tensor | None, axis: int, spacing: int) -> Tensor:
    """The mean square of how [H, W, 3] changes along an axis, where both pixels count."""
    rest = difference.shape[axis] - spacing
    if rest < 1:
        return difference.new_zeros(())
    first, second = (difference.narrow(axis, start, rest) for start in (0, spacing))
    both = None
    if counts is not None:
        both = counts.narrow(axis, 0, rest) & counts.narrow(axis, spacing, rest)
    change = second - first
    if both is not None:
        change = change.where(both[..., None], change.new_zeros(()))
    return _mean_square(change, both)


def _mean_square(values: Tensor, counts: Tensor | None) -> Tensor:
    counted = values.numel() if counts is None else max(1, 3 * int(counts.sum()))
    return (values * values).sum() / counted
