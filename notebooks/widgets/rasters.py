"""Pictures as the browser gets them: exact values, in bytes that it decodes without loss."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from notebooks.pixels import as_array, as_pixels
from notebooks.style import DEPTH_MAP, ERROR_MAP
from ops.errors import InputError

SIGNED_MAP = "berlin"  # dark where there is no difference, as ERROR_MAP is
MAPS = (DEPTH_MAP, "viridis", "cividis", ERROR_MAP, "turbo", "gray", SIGNED_MAP)
_EXACT = 2**24  # the largest whole number up to which float32 holds all


@dataclass(frozen=True)
class Raster:
    """A picture: colours [H, W, 3], or data [H, W] that is shown by a colour map.

    uint8 stands for 0 to 255; float16 and float32 for themselves, colours from 0 to 1.
    """

    values: np.ndarray

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.values.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.values.shape[1])

    @property
    def channels(self) -> int:
        """1 for data, 3 for colours."""
        return 1 if self.values.ndim == 2 else 3

    @property
    def whole(self) -> bool:
        """Whether the values are 0 to 255."""
        return self.values.dtype == np.uint8

    def floats(self) -> np.ndarray:
        """float32: colours from 0 to 1, data as it is (0 to 255 where it is uint8)."""
        values = self.values.astype(np.float32)
        return values / np.float32(255) if self.whole and self.channels == 3 else values


def as_raster(picture: Any) -> Raster:
    """A picture as people have them, with the values it has.

    Args:
        picture: NumPy, torch or xarray. Colours: [H, W, 3] or [3, H, W], uint8 or floats from 0 to
            1; with a fourth channel, alpha, they are put on white and become uint8. Data: [H, W],
            [H, W, 1] or [1, H, W]; bool becomes 0 and 255, other integers and float64 float32.

    Raises:
        InputError: It has another form, or integers that float32 does not hold.
    """
    found = as_array(picture)
    values = found
    if values.ndim == 3 and values.shape[-1] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    colours = values.ndim == 3
    if values.ndim not in (2, 3) or (colours and values.shape[-1] not in (3, 4)):
        raise InputError(
            "picture: expected an array [H, W], [H, W, 3] or [H, W, 4], or with channels first, "
            f"found shape {found.shape}"
        )
    if 0 in values.shape:
        raise InputError(f"picture: expected at least one pixel, found shape {found.shape}")
    if colours and (values.shape[-1] == 4 or values.dtype == np.bool_):
        values = as_pixels(values)
    elif values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif colours and not np.issubdtype(values.dtype, np.floating) and values.dtype != np.uint8:
        raise InputError(
            f"picture: expected colours as uint8 or floats from 0 to 1, found {values.dtype}; "
            "divide by its largest value first"
        )
    elif values.dtype not in (np.uint8, np.float16, np.float32):
        values = _float32(values)
    return Raster(np.ascontiguousarray(values))


def _float32(values: np.ndarray) -> np.ndarray:
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise InputError(f"picture: expected real numbers, found {values.dtype}")
    if np.issubdtype(values.dtype, np.integer):
        largest = max(abs(int(values.min())), abs(int(values.max())))
        if largest > _EXACT:
            raise InputError(
                f"picture: expected integers up to {_EXACT}, which float32 holds exactly, "
                f"found {largest}; subtract an offset or convert to floats first"
            )
    return values.astype(np.float32)


def shrunk(raster: Raster, by: int) -> Raster:
    """A smaller copy: the mean of blocks of ``by`` x ``by`` pixels; at the ends of what is left."""
    if by == 1:
        return raster
    values: np.ndarray = raster.values.astype(np.float32)
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], by)
        sizes = np.diff(np.append(starts, values.shape[axis])).astype(np.float32)
        sums = np.add.reduceat(values, starts, axis)
        values = sums / sizes.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    if raster.whole:
        values = np.round(values)
    return Raster(values.astype(raster.values.dtype))


def thumbnail(raster: Raster, low: float, high: float, colours: str, side: int = 96) -> bytes:
    """A JPEG of at most ``side`` pixels on its longer side; data in a colour map."""
    small = shrunk(raster, max(1, math.ceil(max(raster.width, raster.height) / (2 * side))))
    image = Image.fromarray(painted(small, low, high, colours))
    image.thumbnail((side, side))
    with io.BytesIO() as file:
        image.save(file, "JPEG", quality=85)
        return file.getvalue()


def encoded(raster: Raster) -> tuple[dict[str, Any], bytes]:
    """What the browser must know of the bytes, and the bytes: PNG, or floats, little endian."""
    about = {"width": raster.width, "height": raster.height, "channels": raster.channels}
    if raster.whole:
        with io.BytesIO() as file:
            Image.fromarray(raster.values).save(file, "PNG", compress_level=3)
            return {**about, "format": "png"}, file.getvalue()
    half = raster.values.dtype == np.float16
    data = raster.values.astype("<f2" if half else "<f4", copy=False).tobytes()
    return {**about, "format": "f16" if half else "f32"}, data


def table(name: str) -> np.ndarray:
    """[256, 3] uint8, the colours of a colour map of Matplotlib's."""
    rgb = mpl.colormaps[name](np.arange(256))[:, :3]
    return np.round(rgb * 255).astype(np.uint8)


def tables() -> bytes:
    """The tables of all :data:`MAPS`, one after the other."""
    return np.stack([table(name) for name in MAPS]).tobytes()


def mapped(data: np.ndarray, low: float, high: float, name: str) -> np.ndarray:
    """[H, W, 3] uint8: data [H, W] in a colour map; what is no number is left white."""
    scaled = (data.astype(np.float64) - low) / (high - low)
    known = np.isfinite(scaled)
    index = np.clip(np.where(known, scaled, 0) * 256, 0, 255).astype(np.intp)
    return np.where(known[..., None], table(name)[index], np.uint8(255))


def painted(raster: Raster, low: float, high: float, name: str) -> np.ndarray:
    """[H, W, 3] uint8: colours as they are, data in a colour map."""
    if raster.channels == 1:
        return mapped(raster.values, low, high, name)
    return raster.values if raster.whole else as_pixels(raster.values)


def difference(a: Raster, b: Raster, signed: bool = False) -> np.ndarray:
    """[H, W] float32, b - a: the mean over the channels of it, or of its absolute value.

    Colours count from 0 to 1.

    Raises:
        InputError: The two are not of one size, or one is data and the other colours.
    """
    x, y = a.floats(), b.floats()
    if x.shape != y.shape:
        raise InputError(
            f"difference: expected two pictures of one size and kind, found "
            f"{_form(a)} and {_form(b)}"
        )
    gap = y.astype(np.float64) - x
    gap = gap if signed else np.abs(gap)
    return (gap if gap.ndim == 2 else gap.mean(-1)).astype(np.float32)


def _form(raster: Raster) -> str:
    kind = "data" if raster.channels == 1 else "colours"
    return f"{raster.width} x {raster.height} {kind}"
