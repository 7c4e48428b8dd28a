"""What a model must beat: the blurred mean of the training photos."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ops.capture.model import Views, indices_of
from ops.errors import InputError
from ops.evaluation.evaluate import reference
from ops.evaluation.metrics import psnr

Doubles = NDArray[np.float64]

BLUR = 0.02  # sigma as a part of the longer side


def blurred_mean_psnr(views: Views, *, white_background: bool = False) -> float:
    """Mean held-out PSNR, dB, of the blurred mean of all training photos.

    It knows the colours of the capture and where on the photo they tend to be, but no geometry.
    Photos of differing sizes are averaged at the size of the first; pixels that do not count are
    left out, here and when it is compared.

    Args:
        views: A capture with training and held-out views.
        white_background: What stands behind photos that have alpha.

    Raises:
        InputError: There are no training or no held-out views.
    """
    train, test = indices_of(views.splits, "train"), indices_of(views.splits, "test")
    if not train or not test:
        raise InputError(
            f"evaluation: expected training and held-out views, found {len(train)} and "
            f"{len(test)}; choose another split for the capture"
        )
    background = torch.full((3,), 1.0 if white_background else 0.0)
    guess = _blurred_mean(views, train, background)
    values = []
    for index in test:
        truth, mask = reference(views, index, background)
        height, width = truth.shape[:2]
        fitted = np.ascontiguousarray(_resized(guess, width, height), np.float32)
        values.append(psnr(torch.from_numpy(fitted), truth, mask))
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else float("nan")


def _blurred_mean(views: Views, train: list[int], background: torch.Tensor) -> Doubles:
    width, height = views.cameras.widths[train[0]], views.cameras.heights[train[0]]
    total: Doubles = np.zeros((height, width, 3))
    counts: Doubles = np.zeros((height, width, 1))
    for index in train:
        photo, mask = reference(views, index, background)
        image = photo.numpy().astype(np.float64)
        seen = np.ones(image.shape[:2]) if mask is None else mask.numpy().astype(np.float64)
        total += _resized(image * seen[..., None], width, height)
        counts += _resized(seen, width, height)[..., None]
    sigma = BLUR * max(width, height)
    # Blurring sum and count alike fills pixels that no photo shows from those around them.
    total = _blurred(total, sigma)
    counts = _blurred(counts, sigma)
    overall = total.sum(axis=(0, 1)) / max(float(counts.sum()), 1e-12)
    return np.where(counts > 1e-6, total / np.maximum(counts, 1e-6), overall)


def _blurred(values: Doubles, sigma: float) -> Doubles:
    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float64).reshape(values.shape)


def _resized(image: Doubles, width: int, height: int) -> Doubles:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), float)
