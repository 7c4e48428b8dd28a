"""Images at another size: the filters that mipmaps are made with, each with its exact meaning.

Pixel centres are at half integers, before and after, so that nothing shifts. Images are
[H, W, C] float32; the results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.errors import InputError
from ops.threads import one_torch_thread

Shrink = Literal["area", "bilinear"]
Floats = NDArray[np.float32]


def shrink(image: Tensor, width: int, height: int, how: Shrink = "area") -> Tensor:
    """An image with fewer pixels.

    ``area`` is the mean over the square of each new pixel, with the parts of pixels at its border
    (antialiased). ``bilinear`` is what the released code of Mipmap-GS does, ``cv2.resize`` as it
    comes: four pixels around the new centre, whatever the factor. At 1/2 both are the mean of 2 x 2
    pixels; at 1/4 and 1/8 the second leaves most pixels out and aliases.

    Args:
        image: [H, W, C].
        width: Not above W.
        height: Not above H.
        how: The filter.

    Returns:
        [height, width, C] float32.

    Raises:
        InputError: The new size is larger, or there is no such filter.
    """
    old_height, old_width = image.shape[:2]
    if not (1 <= width <= old_width and 1 <= height <= old_height):
        raise InputError(
            f"mipmap: expected a size up to {old_width} x {old_height} to shrink to, found "
            f"{width} x {height}"
        )
    if how not in ("area", "bilinear"):
        raise InputError(f"mipmap: shrink should be area or bilinear, found {how!r}")
    if (width, height) == (old_width, old_height):
        return image.to(torch.float32)
    flag = cv2.INTER_AREA if how == "area" else cv2.INTER_LINEAR
    small = cv2.resize(_array(image), (width, height), interpolation=flag)
    return torch.from_numpy(np.asarray(small, np.float32).reshape(height, width, image.shape[2]))


def bicubic(image: Tensor, width: int, height: int) -> Tensor:
    """An image with more pixels, by cubic convolution with a = -1/2 (Keys 1981).

    Ramps stay ramps; beyond the border the last pixel goes on.

    Args:
        image: [H, W, C].
        width: Pixels, at least W.
        height: Pixels, at least H.

    Returns:
        [height, width, C] float32, which may leave the range of the image a little.

    Raises:
        InputError: The new size is smaller.
    """
    old_height, old_width = image.shape[:2]
    if width < old_width or height < old_height:
        raise InputError(
            f"mipmap: expected a size of at least {old_width} x {old_height} to enlarge to, found "
            f"{width} x {height}"
        )
    return torch.from_numpy(_along(_along(_array(image), height, 0), width, 1))


def resize(image: Tensor, width: int, height: int, how: Shrink = "area") -> Tensor:
    """An image of another size: sides that grow by :func:`bicubic`, then the others shrink.

    Args:
        image: [H, W, C].
        width: Pixels.
        height: Pixels.
        how: The filter of sides that shrink.

    Returns:
        [height, width, C] float32, in the range of the image where no side grows.
    """
    old_height, old_width = image.shape[:2]
    grown = bicubic(image, max(width, old_width), max(height, old_height))
    return shrink(grown, width, height, how)


def area_average(image: Tensor, width: int, height: int) -> Tensor:
    """:func:`shrink` by ``area`` through which gradients pass.

    Args:
        image: [H, W, C] float32.
        width: Not above W.
        height: Not above H.

    Returns:
        [height, width, C] float32 on the device of the image.
    """
    rows, columns = _areas(image.shape[0], height), _areas(image.shape[1], width)
    return _AreaAverage.apply(image, rows.to(image), columns.to(image))


class _AreaAverage(torch.autograd.Function):
    """Both passes on one thread: a product of matrices rounds differently on more."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(rows, columns)
        return _two_sided(image, rows, columns)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, columns = ctx.saved_tensors
        return _two_sided(gradient, rows.T, columns.T), None, None


def _two_sided(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """[h, w, C] of an image [H, W, C] by [h, H] and [w, W].

    Each side is one product of matrices over all that lies across it; products of many small ones
    took ten times as long.
    """
    height, width, channels = image.shape
    new_height, new_width = len(rows), len(columns)

    def by_columns(part: Tensor) -> Tensor:
        across = part.transpose(0, 1).reshape(width, -1)
        return (columns @ across).reshape(new_width, -1, channels).transpose(0, 1)

    def by_rows(part: Tensor) -> Tensor:
        return (rows @ part.reshape(height, -1)).reshape(new_height, -1, channels)

    with one_torch_thread():
        if new_height < height:
            return by_columns(by_rows(image)).contiguous()
        return by_rows(by_columns(image))


def _areas(size: int, small: int) -> Tensor:
    """[small, size] how much of each new pixel each old one covers."""
    edges = torch.arange(small + 1, dtype=torch.float64) * size / small
    start = torch.arange(size, dtype=torch.float64)
    low = torch.maximum(edges[:-1, None], start[None])
    high = torch.minimum(edges[1:, None], start[None] + 1)
    return (high - low).clamp(min=0) * small / size


def quantise(image: Tensor) -> Tensor:
    """[0, 1] to bytes, halves up; what is outside is cut, as in a file of 8 bits."""
    return (image * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def to_float(image: Tensor) -> Tensor:
    """Bytes to float32 in [0, 1]; float images as they are."""
    return image.to(torch.float32) / 255 if image.dtype == torch.uint8 else image.to(torch.float32)


def _array(image: Tensor) -> Floats:
    return np.ascontiguousarray(image.detach().cpu().numpy(), np.float32)


def _along(image: Floats, size: int, axis: int) -> Floats:
    """Cubic convolution along one axis of [H, W, C]."""
    count = image.shape[axis]
    if size == count:
        return image
    at = (np.arange(size) + 0.5) * count / size - 0.5
    first = np.floor(at).astype(np.int64)
    t = at - first
    shape = [1, 1, 1]
    shape[axis] = size
    out = np.zeros([size if i == axis else n for i, n in enumerate(image.shape)], np.float32)
    for tap in range(-1, 3):
        weights = _keys(np.abs(t - tap)).astype(np.float32).reshape(shape)
        out += weights * image.take(np.clip(first + tap, 0, count - 1), axis=axis)
    return out


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -1/2 at distances from 0 to 2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, far)
