"""What adaptation minimises."""

from __future__ import annotations

from torch import Tensor

from ops.mipmap.settings import AdaptSettings
from ops.splats.losses import PhotoLoss, photo_loss
from ops.splats.optimise import one_torch_thread


def adaptation_loss(
    image: Tensor, target: Tensor, settings: AdaptSettings, weights: Tensor | None = None
) -> PhotoLoss:
    """The loss of a rendering against the pseudo ground truth.

    ``l2`` is the mean over pixels and channels of the squared difference; its gradient at the image
    is ``2 (x - r) / (3 H W)``.

    Args:
        image: [H, W, 3] the rendering.
        target: [H, W, 3] float32; no gradient.
        settings: Their ``loss`` and ``ssim_weight``.
        weights: [H, W] 1 where a pixel counts, 0 where not; None: all count.
    """
    if settings.loss != "l2":
        part = settings.ssim_weight if settings.loss == "l1_ssim" else 0.0
        return photo_loss(image, target, weights, part)
    difference = image - target
    counted = difference.numel()
    if weights is not None:
        # Not a product: a pixel that does not count may hold NaN.
        difference = difference.where(weights[..., None] > 0, difference.new_zeros(()))
        counted = max(1, 3 * int((weights > 0).sum()))
    with one_torch_thread():
        loss = (difference * difference).sum() / counted
    return PhotoLoss(loss, loss.detach().double())
