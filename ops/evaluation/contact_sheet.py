"""One picture of an evaluation: photo, render, error and depth of some held-out views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ops.errors import InputError
from ops.evaluation.evaluate import EvaluatedView

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

COLUMNS = ("Photo", "Render", "Error", "Depth")
ERROR_MAP, DEPTH_MAP = "magma", "viridis_r"  # perceptually even; near is bright

_PAPER, _INK, _FAINT, _EMPTY = (255, 255, 255), (24, 26, 31), (108, 114, 125), (236, 238, 241)
_MARGIN, _GAP, _RADIUS = 28, 10, 6  # pixels
_TALLEST = 1.15  # height of an image as a part of the widest a cell can be
_COVERED = 0.5  # alpha from which a pixel has a depth worth showing


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One view of a contact sheet."""

    name: str
    """What the view is called."""
    caption: str
    """Its numbers: ``27.31 dB · SSIM 0.912``."""
    truth: Bytes
    """[H, W, 3]."""
    render: Bytes
    """[H, W, 3]."""
    error: Floats
    """[H, W] mean absolute difference, 0 to 1; NaN where a pixel does not count."""
    depth: Floats
    """[H, W] world units; NaN where nothing is."""


def sheet_row(view: EvaluatedView) -> SheetRow:
    """The row of an evaluated view."""
    parts = []
    if "psnr" in view.scores:
        parts.append(f"{view.scores['psnr']:.2f} dB")
    if "ssim" in view.scores:
        parts.append(f"SSIM {view.scores['ssim']:.3f}")
    parts += [f"LPIPS {v:.3f}" for k, v in view.scores.items() if k.startswith("lpips")][:1]
    error = view.error.numpy().astype(np.float32)
    if view.mask is not None:
        error = np.where(view.mask.numpy(), error, np.nan).astype(np.float32)
    depth = np.where(view.alpha.numpy() >= _COVERED, view.depth.numpy(), np.nan)
    return SheetRow(
        name=view.name,
        caption=" · ".join(parts),
        truth=view.truth.numpy(),
        render=view.render.numpy(),
        error=error,
        depth=depth.astype(np.float32),
    )


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` positions, evenly from the first to the last."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})


def contact_sheet(
    rows: Sequence[SheetRow], *, title: str = "", subtitle: str = "", cell_width: int = 340
) -> Bytes:
    """Draw the sheet.

    All rows share one scale of error (0 to the 99th percentile) and one of depth (the 1st to the
    99th percentile), which bars below the columns show.

    Args:
        rows: Views, from top to bottom.
        title: A headline; none where empty.
        subtitle: A line below it, in grey.
        cell_width: Width of an image on the sheet, pixels; upright photos get less, so that none
            is much higher than that.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: There are no rows.
    """
    if not rows:
        raise InputError("contact sheet: expected at least one view, found none")
    error_range = (0.0, max(_percentile([r.error for r in rows], 99, 0.1), 0.02))
    depths = [r.depth for r in rows]
    depth_range = (_percentile(depths, 1, 0.0), _percentile(depths, 99, 1.0))
    aspects = [r.truth.shape[0] / r.truth.shape[1] for r in rows]
    cell_width = round(cell_width * min(1.0, _TALLEST / max(aspects)))
    heights = [max(round(cell_width * aspect), 1) for aspect in aspects]

    width = 2 * _MARGIN + len(COLUMNS) * cell_width + (len(COLUMNS) - 1) * _GAP
    head = _MARGIN + (38 if title else 0) + (26 if subtitle else 0) + (10 if title else 0)
    height = head + 30 + sum(h + 38 for h in heights) + 62 + _MARGIN // 2
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    xs = [_MARGIN + i * (cell_width + _GAP) for i in range(len(COLUMNS))]

    y = _MARGIN
    if title:
        _text(draw, (_MARGIN, y), title, 26, _INK, width - 2 * _MARGIN, bold=True)
        y += 38
    if subtitle:
        _text(draw, (_MARGIN, y), subtitle, 15, _FAINT, width - 2 * _MARGIN)
        y += 26
    y = head
    for x, column in zip(xs, COLUMNS, strict=True):
        _text(draw, (x, y), column, 15, _INK, cell_width, bold=True)
    y += 30
    for row, h in zip(rows, heights, strict=True):
        size = (cell_width, h)
        cells = (
            _fitted(row.truth, size),
            _fitted(row.render, size),
            colourise(_fitted(row.error, size), ERROR_MAP, *error_range),
            colourise(_fitted(row.depth, size), DEPTH_MAP, *depth_range),
        )
        for x, cell in zip(xs, cells, strict=True):
            _paste(sheet, cell, (x, y))
        _text(draw, (xs[0], y + h + 6), row.name, 13, _INK, cell_width)
        _text(draw, (xs[1], y + h + 6), row.caption, 13, _FAINT, 2 * cell_width)
        y += h + 38
    low, high = error_range
    ticks = [(t, f"{t:.2g}") for t in np.linspace(low, high, 3)]
    _legend(draw, sheet, (xs[2], y), cell_width, ERROR_MAP, ticks, "mean absolute difference")
    low, high = depth_range
    ticks = [(t, f"{t:.3g}") for t in np.linspace(low, high, 3)]
    _legend(draw, sheet, (xs[3], y), cell_width, DEPTH_MAP, ticks, "depth, world units")
    return np.asarray(sheet, np.uint8)


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
    colours[~good] = _EMPTY
    return np.asarray(colours, np.uint8)


def _percentile(images: Sequence[Floats], percent: float, otherwise: float) -> float:
    values = np.concatenate([image[np.isfinite(image)] for image in images])
    return float(np.percentile(values, percent)) if values.size else otherwise


def _fitted(image: NDArray, size: tuple[int, int]) -> NDArray:
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


def _paste(sheet: Image.Image, cell: Bytes, at: tuple[int, int]) -> None:
    """Paste with rounded corners, which are drawn at four times their size to be smooth."""
    height, width = cell.shape[:2]
    mask = Image.new("L", (4 * width, 4 * height), 0)
    box = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, 4 * _RADIUS, fill=255)
    smooth = mask.resize((width, height), Image.Resampling.BOX)
    sheet.paste(Image.fromarray(np.ascontiguousarray(cell)), at, smooth)


def _legend(
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
    _paste(sheet, colourise(ramp, name, 0, 1), (x, y))
    for i, (_, label) in enumerate(ticks):
        place = x + round(i * (width - 1) / (len(ticks) - 1))
        anchor = ("la", "ma", "ra")[i]
        draw.text((place, y + 16), label, font=_font(12), fill=_INK, anchor=anchor)
    draw.text((x, y + 34), meaning, font=_font(12), fill=_FAINT, anchor="la")


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    fill: tuple[int, int, int],
    width: int,
    bold: bool = False,
) -> None:
    """One line of text; its middle is left out where it would be wider than ``width``."""
    font = _font(size, bold)
    shown, keep = text, len(text)
    while draw.textlength(shown, font=font) > width and keep > 4:
        keep -= 1
        shown = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    draw.text(at, shown, font=font, fill=fill)


@lru_cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)
