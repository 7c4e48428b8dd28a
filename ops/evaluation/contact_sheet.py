"""One picture of an evaluation: photo, render, error and depth of some held-out views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
from ops.evaluation.evaluate import EvaluatedView

COLUMNS = ("Photo", "Render", "Error", "Depth")

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
    error_range = (0.0, max(percentile([r.error for r in rows], 99, 0.1), 0.02))
    depths = [r.depth for r in rows]
    depth_range = (percentile(depths, 1, 0.0), percentile(depths, 99, 1.0))
    aspects = [r.truth.shape[0] / r.truth.shape[1] for r in rows]
    cell_width = round(cell_width * min(1.0, _TALLEST / max(aspects)))
    heights = [max(round(cell_width * aspect), 1) for aspect in aspects]

    width = 2 * MARGIN + len(COLUMNS) * cell_width + (len(COLUMNS) - 1) * GAP
    head = MARGIN + (38 if title else 0) + (26 if subtitle else 0) + (10 if title else 0)
    height = head + 30 + sum(h + 38 for h in heights) + 62 + MARGIN // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    xs = [MARGIN + i * (cell_width + GAP) for i in range(len(COLUMNS))]

    y = MARGIN
    if title:
        text(draw, (MARGIN, y), title, 26, INK, width - 2 * MARGIN, bold=True)
        y += 38
    if subtitle:
        text(draw, (MARGIN, y), subtitle, 15, FAINT, width - 2 * MARGIN)
        y += 26
    y = head
    for x, column in zip(xs, COLUMNS, strict=True):
        text(draw, (x, y), column, 15, INK, cell_width, bold=True)
    y += 30
    for row, h in zip(rows, heights, strict=True):
        size = (cell_width, h)
        cells = (
            fitted(row.truth, size),
            fitted(row.render, size),
            colourise(fitted(row.error, size), ERROR_MAP, *error_range),
            colourise(fitted(row.depth, size), DEPTH_MAP, *depth_range),
        )
        for x, cell in zip(xs, cells, strict=True):
            paste(sheet, cell, (x, y))
        text(draw, (xs[0], y + h + 6), row.name, 13, INK, cell_width)
        text(draw, (xs[1], y + h + 6), row.caption, 13, FAINT, 2 * cell_width)
        y += h + 38
    low, high = error_range
    ticks = [(t, f"{t:.2g}") for t in np.linspace(low, high, 3)]
    legend(draw, sheet, (xs[2], y), cell_width, ERROR_MAP, ticks, "mean absolute difference")
    low, high = depth_range
    ticks = [(t, f"{t:.3g}") for t in np.linspace(low, high, 3)]
    legend(draw, sheet, (xs[3], y), cell_width, DEPTH_MAP, ticks, "depth, world units")
    return np.asarray(sheet, np.uint8)
