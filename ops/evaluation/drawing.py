"""What sheets of pictures are drawn with: colour maps, fitted pictures, text, legends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

ERROR_MAP, DEPTH_MAP = "magma", "viridis_r"  # perceptually even; near is bright

PAPER, INK, FAINT, EMPTY = (255, 255, 255), (24, 26, 31), (108, 114, 125), (236, 238, 241)
MARGIN, GAP, RADIUS = 28, 10, 6  # pixels


def colourise(values: Floats, name: str, low: float, high: float) -> Bytes:
    """Values as colours of a map of matplotlib; what is not finite is pale grey.

    Args:
        values: [H, W].
        name: The map.
        low: Value of its first colour.
        high: Value of its last colour.

    Returns:
        [H, W, 3] uint8.
    """
    good = np.isfinite(values)
    scaled = np.clip((np.where(good, values, low) - low) / max(high - low, 1e-12), 0, 1)
    colours = np.round(mpl.colormaps[name](scaled)[..., :3] * 255).astype(np.uint8)
    colours[~good] = EMPTY
    return np.asarray(colours, np.uint8)


def percentile(images: Sequence[Floats], percent: float, otherwise: float) -> float:
    """A percentile over the finite values of several images; ``otherwise`` where none is."""
    values = np.concatenate([image[np.isfinite(image)] for image in images])
    return float(np.percentile(values, percent)) if values.size else otherwise


def fitted(image: NDArray, size: tuple[int, int]) -> NDArray:
    """An image at another size: averaged when it shrinks, its pixels enlarged when it grows."""
    shrinks = size[0] < image.shape[1]
    if image.ndim == 2:
        # Averaging would spread one NaN over its neighbours, so what counts is averaged apart.
        good = np.isfinite(image)
        how = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
        part = cv2.resize(good.astype(np.float32), size, interpolation=how)
        total = cv2.resize(np.where(good, image, 0).astype(np.float32), size, interpolation=how)
        return np.where(part > 0.5, total / np.maximum(part, 1e-6), np.nan).astype(np.float32)
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=how), np.uint8)


def paste(sheet: Image.Image, cell: Bytes, at: tuple[int, int]) -> None:
    """Paste with rounded corners, which are drawn at four times their size to be smooth."""
    height, width = cell.shape[:2]
    mask = Image.new("L", (4 * width, 4 * height), 0)
    box = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, 4 * RADIUS, fill=255)
    smooth = mask.resize((width, height), Image.Resampling.BOX)
    sheet.paste(Image.fromarray(np.ascontiguousarray(cell)), at, smooth)


def legend(
    draw: ImageDraw.ImageDraw,
    sheet: Image.Image,
    at: tuple[int, int],
    width: int,
    name: str,
    ticks: Sequence[tuple[float, str]],
    meaning: str,
) -> None:
    """A bar of colours, numbers below it, and what they mean."""
    x, y = at
    ramp = np.tile(np.linspace(0, 1, width, dtype=np.float32), (10, 1))
    paste(sheet, colourise(ramp, name, 0, 1), (x, y))
    for i, (_, label) in enumerate(ticks):
        place = x + round(i * (width - 1) / (len(ticks) - 1))
        anchor = ("la", "ma", "ra")[i]
        draw.text((place, y + 16), label, font=font(12), fill=INK, anchor=anchor)
    draw.text((x, y + 34), meaning, font=font(12), fill=FAINT, anchor="la")


def text(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    words: str,
    size: int,
    fill: tuple[int, int, int],
    width: int,
    bold: bool = False,
) -> None:
    """One line of text; its middle is left out where it would be wider than ``width``."""
    face = font(size, bold)
    shown, keep = words, len(words)
    while draw.textlength(shown, font=face) > width and keep > 4:
        keep -= 1
        shown = f"{words[: (keep + 1) // 2]}…{words[len(words) - keep // 2 :]}"
    draw.text(at, shown, font=face, fill=fill)


@lru_cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)
