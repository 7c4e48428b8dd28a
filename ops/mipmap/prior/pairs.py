"""Pairs of a coarse and a fine image made of photos: what an internal prior learns from.

The photos themselves, shrunk, show how detail of this scene looks that a coarser image of it lacks
(internal learning, Shocher et al. 2018, "Zero-Shot Super-Resolution using deep internal learning").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ops.errors import InputError
from ops.mipmap.resample import bicubic, shrink, to_float

FACTOR = 2  # of every pair; larger factors are reached by several steps
SMALLEST = 12  # pixels of the shorter side of a fine image worth learning from


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A fine image and what is left of it after it was shrunk and enlarged again."""

    fine: Tensor  # [H, W, 3] float32 in [0, 1]; H and W even
    blurred: Tensor  # [H, W, 3] float32, bicubic enlargement of the fine image shrunk by FACTOR


def make_pairs(photos: Sequence[Tensor], levels: int = 2) -> list[Pair]:
    """Pairs of every photo at its own size and at smaller ones.

    Args:
        photos: [H, W, 3] each, uint8 or float in [0, 1].
        levels: How many sizes: 1 takes the photos as they are, each further level halves them.
            A size whose shorter side is below 12 pixels is left out.

    Raises:
        InputError: All photos are too small.
    """
    pairs = []
    for photo in photos:
        image = to_float(photo)
        for level in range(levels):
            height, width = (n // 2**level // FACTOR * FACTOR for n in image.shape[:2])
            if min(height, width) < SMALLEST:
                break
            pairs.append(_pair(_cut(image, height, width, 2**level)))
    if not pairs:
        found = ", ".join(sorted({f"{p.shape[1]} x {p.shape[0]}" for p in photos})) or "none"
        raise InputError(
            f"mipmap: a prior learned from the photos needs some of at least {SMALLEST} x "
            f"{SMALLEST} pixels, found {found}; choose the bicubic prior or a larger base size"
        )
    return pairs


def _cut(image: Tensor, height: int, width: int, factor: int) -> Tensor:
    """The image shrunk by an integer factor, after its odd rows and columns are left out."""
    return shrink(image[: height * factor, : width * factor], width, height)


def _pair(fine: Tensor) -> Pair:
    height, width = fine.shape[:2]
    coarse = shrink(fine, width // FACTOR, height // FACTOR)
    return Pair(fine=fine, blurred=bicubic(coarse, width, height))
