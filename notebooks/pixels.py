"""Arrays of any kind to pixels, and pixels to bytes that a browser shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ops.errors import InputError


def as_array(picture: Any) -> np.ndarray:
    """A NumPy array of what may be one, a torch tensor (on any device) or an xarray DataArray."""
    if hasattr(picture, "detach"):
        picture = picture.detach().cpu()
        picture = picture.float() if str(picture.dtype) == "torch.bfloat16" else picture
        return np.asarray(picture.numpy())
    return np.asarray(picture)


def as_pixels(picture: Any) -> np.ndarray:
    """[H, W, 3] uint8 sRGB of a picture as people have them.

    Args:
        picture: NumPy, torch or xarray; [H, W], [H, W, 1], [H, W, 3], [H, W, 4] or the same with
            channels first; uint8, bool, or floats in [0, 1] (cut to that). Alpha is put on white.

    Raises:
        InputError: It has another form.
    """
    found = as_array(picture)
    pixels = found
    if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
        raise InputError(
            "picture: expected an array [H, W], [H, W, 3] or [H, W, 4], or with channels first, "
            f"found shape {found.shape}"
        )
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(pixels.dtype, np.floating):
        whole = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
        pixels = np.round(whole.clip(0, 1) * 255).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise InputError(
            f"picture: expected uint8, bool or floats from 0 to 1, found {pixels.dtype}; "
            "divide by its largest value first"
        )
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        on_white = pixels[..., :3] * alpha + 255 * (1 - alpha)
        pixels = np.round(on_white).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def png(pixels: np.ndarray) -> bytes:
    """[H, W, 3] uint8 as a PNG."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG", compress_level=3)
        return file.getvalue()


def webp(frames: Sequence[np.ndarray], frames_per_second: float, quality: int = 82) -> bytes:
    """Pictures [H, W, 3] uint8 of one size as an animated WebP that repeats for ever."""
    images = [Image.fromarray(frame) for frame in frames]
    with io.BytesIO() as file:
        images[0].save(
            file,
            "WEBP",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / frames_per_second),
            loop=0,
            quality=quality,
            method=2,
        )
        return file.getvalue()
