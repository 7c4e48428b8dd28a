"""Filters fitted to the scene's photos in seconds, one for each kind of neighbourhood.

After RAISR (Romano, Isidoro and Milanfar 2017): the pixels of the bicubic enlargement are sorted by
the direction, strength and coherence of the gradients around them and by their place in the grid,
and for each class one linear filter is fitted by least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.mipmap.prior.pairs import FACTOR, Pair
from ops.mipmap.resample import bicubic
from ops.progress import Progress, silent
from ops.threads import one_torch_thread

LABEL = "fitted filter: least squares on this scene's photos (stand-in, no pretrained weights)"
RADIUS = 3  # of a filter: 7 x 7 pixels
DIRECTIONS, STRENGTHS, COHERENCES = 8, 3, 3
RIDGE = 3.0  # pixels' worth of belief in the filter common to all classes
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FittedPrior:
    """Fitted filters; larger factors are steps of 2, each on the result of the last."""

    filters: Doubles  # [classes, 49] on the residual over bicubic, rows of a window first
    strengths: Doubles  # [STRENGTHS - 1] where one class of strength ends and the next begins
    label: str = LABEL
    factors: tuple[int, ...] = (2, 4, 8, 16, 32, 64)

    def __call__(self, image: Tensor, factor: int) -> Tensor:
        """See :class:`~ops.mipmap.prior.interface.Upscaler`."""
        while factor > 1:
            height, width = image.shape[:2]
            blurred = bicubic(image, FACTOR * width, FACTOR * height).numpy()
            chosen = self.filters[_classes(blurred, self.strengths)]
            detail = np.empty_like(blurred)
            for c in range(3):
                windows = _windows(blurred[..., c]) - blurred[..., c, None]
                # Written out: a product of matrices may round differently on other thread counts.
                detail[..., c] = (windows * chosen).sum(axis=-1)
            image = torch.from_numpy(blurred + detail).clamp(0, 1)
            factor //= FACTOR
        return image

    def arrays(self) -> dict[str, Doubles]:
        """The filters as arrays, to be stored; :func:`fitted_from` is the way back."""
        return {"filters": self.filters, "strengths": self.strengths}


def fitted_from(arrays: dict[str, Doubles]) -> FittedPrior:
    """The prior whose :meth:`FittedPrior.arrays` these are."""
    return FittedPrior(
        filters=np.array(arrays["filters"], np.float64),
        strengths=np.array(arrays["strengths"], np.float64),
    )


def fit_filters(pairs: Sequence[Pair], progress: Progress = silent) -> FittedPrior:
    """Fit the filters to pairs of images.

    Classes with few pixels stay near the filter fitted to all of them.

    Args:
        pairs: See :func:`ops.mipmap.prior.pairs.make_pairs`.
        progress: Told after each pair.
    """
    strengths = _strength_limits(pairs)
    count, size = DIRECTIONS * STRENGTHS * COHERENCES * FACTOR**2, (2 * RADIUS + 1) ** 2
    normal = torch.zeros(count, size, size, dtype=torch.float64)
    right = torch.zeros(count, size, dtype=torch.float64)
    with one_torch_thread():  # products of matrices round differently on other thread counts
        for done, pair in enumerate(pairs):
            _add(normal, right, pair, strengths)
            progress(done + 1, len(pairs), "fitting filters")
        # Windows of plain surfaces are 0 throughout: a little keeps the equations solvable.
        weak = 1e-4 * torch.eye(size, dtype=torch.float64)
        common = torch.linalg.solve(normal.sum(dim=0) + weak, right.sum(dim=0))
        pixels = sum(3 * p.fine.shape[0] * p.fine.shape[1] for p in pairs)
        belief = RIDGE * size * normal.sum(dim=0) / pixels + weak
        filters = torch.linalg.solve(normal + belief, right + common @ belief)
    return FittedPrior(filters=filters.numpy(), strengths=strengths)


def _add(normal: Tensor, right: Tensor, pair: Pair, strengths: Doubles) -> None:
    """Add a pair to the normal equations of every class."""
    blurred, fine = pair.blurred.numpy(), pair.fine.numpy()
    classes = _classes(blurred, strengths).ravel()
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(len(normal) + 1))
    for c in range(3):
        plane = blurred[..., c]
        windows = (_windows(plane) - plane[..., None]).reshape(len(order), -1)[order]
        residual = (fine[..., c] - plane).ravel()[order]
        for k in np.flatnonzero(np.diff(ends)):
            rows = torch.from_numpy(windows[ends[k] : ends[k + 1]]).double()
            normal[k] += rows.T @ rows
            right[k] += rows.T @ torch.from_numpy(residual[ends[k] : ends[k + 1]]).double()


def _windows(plane: Floats) -> Floats:
    """[H, W, 49] the pixels around each pixel of [H, W]; the border goes on."""
    padded = np.pad(plane, RADIUS, mode="edge")
    side = 2 * RADIUS + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return np.ascontiguousarray(views).reshape(*plane.shape, side * side)


def _structure(image: Floats) -> tuple[Floats, Floats, Floats]:
    """Direction [0, pi), strength and coherence [0, 1] of the gradients around each pixel."""
    luma = (image * _LUMA).sum(axis=-1)
    padded = np.pad(luma, 1, mode="edge")
    gx = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    gy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    xx, yy, xy = (
        cv2.GaussianBlur(v, (7, 7), 1.5, borderType=cv2.BORDER_REPLICATE)
        for v in (gx * gx, gy * gy, gx * gy)
    )
    half = np.sqrt((xx - yy) ** 2 / 4 + xy * xy)
    mean = (xx + yy) / 2
    direction = 0.5 * np.arctan2(2 * xy, xx - yy) % np.pi
    large, small = np.sqrt(np.maximum(mean + half, 0)), np.sqrt(np.maximum(mean - half, 0))
    coherence = (large - small) / np.maximum(large + small, 1e-9)
    return direction, large, coherence


def _classes(image: Floats, strengths: Doubles) -> NDArray[np.int64]:
    """[H, W] the class of every pixel."""
    direction, strength, coherence = _structure(image)
    out = np.minimum((direction / np.pi * DIRECTIONS).astype(np.int64), DIRECTIONS - 1)
    out = out * STRENGTHS + np.searchsorted(strengths, strength)
    out = out * COHERENCES + np.searchsorted([0.25, 0.5], coherence)
    y, x = np.indices(out.shape)
    return out * FACTOR**2 + (y % FACTOR) * FACTOR + x % FACTOR


def _strength_limits(pairs: Sequence[Pair]) -> Doubles:
    """Limits that put as many pixels into each class of strength."""
    values = np.concatenate([_structure(p.blurred.numpy())[1].ravel() for p in pairs])
    parts = np.arange(1, STRENGTHS) / STRENGTHS
    return np.quantile(values, parts).astype(np.float64)
