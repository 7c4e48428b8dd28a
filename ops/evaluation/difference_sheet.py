"""One picture of what differs between two versions of pictures: old, new and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ops.errors import InputError
from ops.evaluation.drawing import (
    DEPTH_MAP,
    ERROR_MAP,
    FAINT,
    GAP,
    INK,
    MARGIN,
    PAPER,
    Bytes,
    Floats,
    colourise,
    fitted,
    legend,
    paste,
    percentile,
    text,
)

_HEAD, _COLUMN_HEAD, _CAPTION, _LEGEND = 64, 52, 30, 60  # pixels
_TALLEST = 1.15  # height of a picture as a part of the widest a cell can be
_MOST = 64  # amplification at most; more would show the steps of 8 bits only


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One view in two versions."""

    name: str
    """What the view is called."""
    caption: str
    """Its numbers: ``mean difference 0.021``."""
    old: NDArray
    """[H, W, 3] uint8 colours, or [H, W] numbers; NaN where there is none."""
    new: NDArray
    """The same of the other version."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """The views of one variable, from top to bottom."""

    title: str
    """What the variable is called."""
    rows: Sequence[Compared]
    units: str = ""
    """Of the numbers; colours need none."""


def difference_sheet(
    sections: Sequence[Section], *, title: str, labels: tuple[str, str], cell_width: int = 340
) -> Bytes:
    """Draw the sheet: a row per view, with the columns old, new, difference.

    The difference of colours is absolute, per channel, and amplified by the power of two that its
    column names. Numbers are drawn through one colour map for both versions, and their absolute
    difference through another, from 0 to its 99th percentile; bars below show both.

    Args:
        sections: What is compared.
        title: A headline.
        labels: What the old and the new version are called.
        cell_width: Width of a picture on the sheet, pixels.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: There is nothing to draw, or two pictures have different shapes.
    """
    rows = [row for section in sections for row in section.rows]
    if not rows:
        raise InputError("difference sheet: expected at least one view, found none")
    for row in rows:
        if row.old.shape != row.new.shape:
            raise InputError(
                f"difference sheet: {row.name}: expected two pictures of one shape, found "
                f"{row.old.shape} and {row.new.shape}"
            )
    width = 2 * MARGIN + 3 * cell_width + 2 * GAP
    heights = [_height(section, cell_width) for section in sections]
    sheet = Image.new("RGB", (width, _HEAD + sum(heights) + MARGIN // 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    text(draw, (MARGIN, MARGIN - 6), title, 24, INK, width - 2 * MARGIN, bold=True)
    y = _HEAD
    for section, height in zip(sections, heights, strict=True):
        _draw_section(sheet, section, y, labels, cell_width)
        y += height
    return np.asarray(sheet, np.uint8)


def amplification(rows: Sequence[Compared]) -> int:
    """The power of two that makes differences of colours visible: their 95th percentile bright.

    Args:
        rows: Pictures [H, W, 3] uint8.
    """
    gaps = [_gap(row).astype(np.float32) for row in rows]
    high = percentile(gaps, 95, 0.0) or max(float(gap.max(initial=0)) for gap in gaps)
    return int(np.clip(2 ** np.floor(np.log2(255 / max(high, 1.0))), 1, _MOST))


def _gap(row: Compared) -> Floats:
    """Absolute difference, in a type that holds it."""
    return np.asarray(np.abs(row.new.astype(np.float32) - row.old.astype(np.float32)))


def _size(row: Compared, cell_width: int) -> tuple[int, int]:
    """Width and height on the sheet; upright pictures are made narrower than their cell."""
    aspect = row.old.shape[0] / row.old.shape[1]
    width = max(1, round(cell_width * min(1.0, _TALLEST / aspect)))
    return width, max(1, round(width * aspect))


def _height(section: Section, cell_width: int) -> int:
    pictures = sum(_size(row, cell_width)[1] + _CAPTION for row in section.rows)
    return _COLUMN_HEAD + pictures + (0 if _in_colour(section) else _LEGEND)


def _in_colour(section: Section) -> bool:
    return section.rows[0].old.ndim == 3


def _draw_section(
    sheet: Image.Image, section: Section, y: int, labels: tuple[str, str], cell_width: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    xs = [MARGIN + i * (cell_width + GAP) for i in range(3)]
    colour = _in_colour(section)
    gain = amplification(section.rows) if colour else 1
    shared = [image for row in section.rows for image in (row.old, row.new)]
    values = (0.0, 255.0) if colour else (percentile(shared, 1, 0.0), percentile(shared, 99, 1.0))
    gaps = [_gap(row) for row in section.rows]
    error = (0.0, percentile(gaps, 99, 0.0) or percentile(gaps, 100, 1.0) or 1.0)
    text(draw, (xs[0], y), section.title, 17, INK, 3 * cell_width, bold=True)
    last = f"Difference ×{gain}" if colour else "Difference"
    for x, column in zip(xs, (f"Old: {labels[0]}", f"New: {labels[1]}", last), strict=True):
        text(draw, (x, y + 26), column, 14, INK, cell_width, bold=True)
    y += _COLUMN_HEAD
    for row, gap in zip(section.rows, gaps, strict=True):
        size = _size(row, cell_width)
        if colour:
            bright = np.clip(gap * gain, 0, 255).astype(np.uint8)
            cells = (fitted(row.old, size), fitted(row.new, size), fitted(bright, size))
        else:
            old, new = (colourise(fitted(v, size), DEPTH_MAP, *values) for v in (row.old, row.new))
            cells = (old, new, colourise(fitted(gap, size), ERROR_MAP, *error))
        for x, cell in zip(xs, cells, strict=True):
            paste(sheet, cell, (x, y))
        text(draw, (xs[0], y + size[1] + 6), row.name, 13, INK, cell_width)
        text(draw, (xs[2], y + size[1] + 6), row.caption, 13, FAINT, cell_width)
        y += size[1] + _CAPTION
    if not colour:
        for x, (low, high), name, what in (
            (xs[0], values, DEPTH_MAP, section.title),
            (xs[2], error, ERROR_MAP, "absolute difference"),
        ):
            ticks = [(t, f"{t:.3g}") for t in np.linspace(low, high, 3)]
            words = f"{what}, {section.units}" if section.units else what
            legend(draw, sheet, (x, y), cell_width, name, ticks, words)
