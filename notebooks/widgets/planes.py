"""What a renderer gives for a pose: colours, or one number per pixel that a colour map shows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np

from notebooks.pixels import as_array, as_pixels
from ops.errors import InputError

NOTHING = np.array([26.0, 28.0, 32.0], np.float32)  # behind colour maps
_STEPS = 256  # colours of a map
_PERCENTILES = (1.0, 99.0)  # of the numbers that are seen; what lies beyond has the last colour


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One number for every pixel, and how to show it."""

    values: np.ndarray  # [H, W] float32, NaN where there is nothing
    alpha: np.ndarray | None = None  # [H, W] in [0, 1], how much the colour covers; None is 1
    colors: str = "viridis"  # a colour map of Matplotlib
    log: bool = False  # even steps of the map are even ratios
    limits: tuple[float, float] | None = None  # None: from the values
    meaning: str = ""  # what the numbers are, with their unit


def plane_of(picture: Any, height: int, width: int) -> Plane | np.ndarray:
    """What a function of a user's own returned: numbers [H, W] or colours [H, W, 3].

    Args:
        picture: NumPy, torch or xarray; see :func:`notebooks.pixels.as_pixels` for colours.
        height: Of the picture that was asked for, pixels.
        width: The same.

    Raises:
        InputError: It is no picture of that size.
    """
    found = as_array(picture)
    if found.ndim == 3 and found.shape[-1] == 1:
        found = found[..., 0]
    numbers = found.ndim == 2 and found.dtype.kind in "fiu" and found.dtype != np.uint8
    shown: Plane | np.ndarray = (
        Plane(values=found.astype(np.float32)) if numbers else as_pixels(found)
    )
    size = shown.values.shape if isinstance(shown, Plane) else shown.shape[:2]
    if size != (height, width):
        raise InputError(
            f"render: asked for a picture of {width} x {height} pixels (width x height), "
            f"found {size[1]} x {size[0]}"
        )
    return shown


def limits_of(plane: Plane) -> tuple[float, float]:
    """From which number to which the colours of a plane go."""
    if plane.limits is not None:
        return plane.limits
    known = plane.values[np.isfinite(plane.values)]
    if plane.alpha is not None:
        known = plane.values[np.isfinite(plane.values) & (plane.alpha > 0.1)]
    if plane.log:
        known = known[known > 0]
    if not known.size:
        return (1.0, 10.0) if plane.log else (0.0, 1.0)
    low, high = (float(x) for x in np.percentile(known, _PERCENTILES))
    if plane.log:
        low = max(low, high * 1e-8)
        return (low, high) if high > low * 1.01 else (low / 2, low * 2)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def shown(plane: Plane, limits: tuple[float, float]) -> np.ndarray:
    """[H, W, 3] uint8 of a plane in the colours of its map, over a dark ground."""
    low, high = limits
    values = plane.values.astype(np.float32)
    known = np.isfinite(values)
    if plane.log:
        known &= values > 0
        values = np.log(np.where(known, values, 1.0))
        low, high = np.log(low), np.log(high)
    part = (np.where(known, values, low) - low) / (high - low)
    index = np.clip(part * _STEPS, 0, _STEPS - 1).astype(np.int32)
    colors = table(plane.colors)[index].astype(np.float32)
    cover = known.astype(np.float32)
    if plane.alpha is not None:
        cover = cover * np.clip(plane.alpha, 0, 1)
    mixed = colors * cover[..., None] + NOTHING * (1 - cover[..., None])
    return np.round(mixed).astype(np.uint8)


@cache
def table(name: str) -> np.ndarray:
    """[256, 3] uint8, the colours of a map."""
    steps = (np.arange(_STEPS) + 0.5) / _STEPS
    return np.round(mpl.colormaps[name](steps)[:, :3] * 255).astype(np.uint8)


def legend(plane: Plane, limits: tuple[float, float]) -> dict[str, Any]:
    """What the browser draws a legend from."""
    low, high = limits
    colors = table(plane.colors)[::8].tolist()
    return {
        "low": low,
        "high": high,
        "log": plane.log,
        "meaning": plane.meaning,
        "colors": colors,
    }


def packed(values: np.ndarray) -> tuple[bytes, float]:
    """Numbers as half floats, deflated, and the power of two they are to be multiplied by.

    Half floats have 11 significant bits over 12 decades, more than a cursor shows.
    """
    known = values[np.isfinite(values)]
    largest = float(np.abs(known).max()) if known.size else 1.0
    scale = 2.0 ** max(-120, np.ceil(np.log2(max(largest, 1e-30))) - 15)
    half = (values / scale).astype("<f2")
    return zlib.compress(half.tobytes(), 1), scale
