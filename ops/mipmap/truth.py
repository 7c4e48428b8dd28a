"""Photos at other sizes: what a base is trained on, and what renders are compared with."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from ops.capture.model import Split, Views
from ops.errors import InputError
from ops.evaluation.evaluate import reference
from ops.mipmap.resample import quantise, shrink, to_float
from ops.mipmap.scales import scale_name, scaled_cameras


class ScaledViews:
    """A capture with photos and cameras at a smaller size (a ``Views``).

    Photos become smaller by the mean over the square of each new pixel; colours of photos with
    alpha are weighted by it. A new pixel may be used where all pixels it is made of may be. Photos
    are made when they are asked for.
    """

    def __init__(self, views: Views, scale: Fraction) -> None:
        """Scale a capture.

        Args:
            views: The capture.
            scale: At most 1; see :func:`ops.mipmap.scales.scaled_size` for how sizes are rounded.

        Raises:
            InputError: The scale is above 1: photos do not show more than they show.
        """
        if scale > 1:
            raise InputError(
                f"mipmap: photos can be compared with at their own size or smaller, found a scale "
                f"of {scale_name(scale)}; choose a larger enlarge_base_by"
            )
        self._views = views
        self.cameras = scaled_cameras(views.cameras, scale)
        self.splits: tuple[Split, ...] = views.splits

    def __len__(self) -> int:
        return len(self.cameras)

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB."""
        image, alpha = self._views.image(index), self._views.alpha(index)
        if alpha is None:
            return quantise(self._shrunk(to_float(image), index))
        cover = to_float(alpha)[..., None]
        both = self._shrunk(torch.cat([to_float(image) * cover, cover], dim=-1), index)
        return quantise(both[..., :3] / both[..., 3:].clamp(min=1e-6))

    def alpha(self, index: int) -> Tensor | None:
        """[H, W] uint8 coverage by the object, or None."""
        alpha = self._views.alpha(index)
        if alpha is None:
            return None
        return quantise(self._shrunk(to_float(alpha)[..., None], index)[..., 0])

    def mask(self, index: int) -> Tensor | None:
        """[H, W] uint8, 255 where a pixel may be used, or None."""
        mask = self._views.mask(index)
        if mask is None:
            return None
        usable = self._shrunk((mask > 127).to(torch.float32)[..., None], index)[..., 0]
        return (usable > 0.999).to(torch.uint8) * 255

    def _shrunk(self, image: Tensor, index: int) -> Tensor:
        return shrink(image, self.cameras.widths[index], self.cameras.heights[index])


def photo(views: Views, index: int, background: Tensor | None = None) -> Tensor:
    """[H, W, 3] uint8 the photo of a view, over a background where it has alpha.

    Args:
        views: The capture.
        index: Which view.
        background: [3] RGB in [0, 1]; None is black.
    """
    behind = torch.zeros(3) if background is None else background.detach().cpu()
    return quantise(reference(views, index, behind)[0])
