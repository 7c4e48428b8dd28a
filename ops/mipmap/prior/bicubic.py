"""No prior: bicubic enlargement."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ops.mipmap.resample import bicubic


@dataclass(frozen=True)
class BicubicPrior:
    """Adds no detail; what stands in where nothing was learned."""

    label: str = "bicubic (no super-resolution)"
    factors: tuple[int, ...] = tuple(range(2, 65))

    def __call__(self, image: Tensor, factor: int) -> Tensor:
        """See :class:`~ops.mipmap.prior.interface.Upscaler`."""
        height, width = image.shape[:2]
        return bicubic(image, factor * width, factor * height).clamp(0, 1)
