"""What every super-resolution prior offers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Upscaler(Protocol):
    """Enlarges images; whoever shows numbers made with it shows its label beside them."""

    @property
    def label(self) -> str:
        """What it is, in a few words that say so where no pretrained weights were used."""
        ...

    @property
    def factors(self) -> tuple[int, ...]:
        """The factors it can enlarge by in one go, smallest first."""
        ...

    def __call__(self, image: Tensor, factor: int) -> Tensor:
        """An image with ``factor`` times as many pixels along each side.

        Args:
            image: [H, W, 3] float32 in [0, 1], on the CPU.
            factor: One of ``factors``.

        Returns:
            [factor H, factor W, 3] float32 in [0, 1].
        """
        ...
