"""Still pictures of tables, for where widgets do not live."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from notebooks.style import BLUE, FAINT, INK, WIDTH, style

_LINE = 0.21  # inches of a row
_DPI = 120
_LONGEST = 60  # letters of a cell


@dataclass(frozen=True)
class Cell:
    """A cell of a picture of a table."""

    text: str
    right: bool = False
    bar: float | None = None  # part of its width that is shaded
    color: str = INK


def table_picture(
    headers: Sequence[str],
    columns: Sequence[Sequence[Cell]],
    note: str = "",
    curve: tuple[str, np.ndarray] | None = None,
) -> bytes:
    """A PNG of a table, and of a curve below it.

    Args:
        headers: Of the columns.
        columns: The cells of each, from above.
        note: A line below.
        curve: Name and values [N] of one column.
    """
    rows = max((len(c) for c in columns), default=0) + 1 + bool(note)
    above, below = rows * _LINE + 0.1, 1.9 if curve is not None else 0.0
    with style():
        figure = Figure(figsize=(WIDTH, above + below), dpi=_DPI)
        axes = figure.add_axes((0.0, below / (above + below), 1.0, above / (above + below)))
        axes.set(xlim=(0, 1), ylim=(rows + 0.25, -0.25))
        axes.axis("off")
        _cells(axes, headers, columns)
        if note:
            axes.text(0.004, rows - 0.5, note, va="center", fontsize=8, color=FAINT[:7])
        if curve is not None:
            bottom = 0.3 / (above + below)
            plot = figure.add_axes((0.06, bottom, 0.92, (below - 0.6) / (above + below)))
            many = len(curve[1]) > 200
            look = {"linewidth": 0.8} if many else {"marker": ".", "markersize": 4}
            plot.plot(np.arange(len(curve[1])), curve[1], color=BLUE, **look)
            plot.set_title(curve[0])
        with io.BytesIO() as file:
            figure.savefig(file, format="png")
            return file.getvalue()


def _cells(axes: object, headers: Sequence[str], columns: Sequence[Sequence[Cell]]) -> None:
    texts = [
        [h, *(c.text[:_LONGEST] for c in cells)] for h, cells in zip(headers, columns, strict=True)
    ]
    widths = np.array([max(map(len, t)) + 2.5 for t in texts], float)
    edges = np.concatenate([[0], np.cumsum(widths / max(widths.sum(), 110))])
    for k, (header, cells) in enumerate(zip(headers, columns, strict=True)):
        left, right = float(edges[k]) + 0.004, float(edges[k + 1]) - 0.008
        to_right = any(c.right for c in cells)
        place = {"x": right if to_right else left, "ha": "right" if to_right else "left"}
        axes.text(y=0.5, s=header, va="center", fontweight="bold", **place)  # type: ignore[attr-defined]
        for i, cell in enumerate(cells):
            y = i + 1.5
            if cell.bar is not None:
                size = (right - left) * max(cell.bar, 0.01)
                bar = Rectangle((left, y - 0.4), size, 0.8, color=BLUE, alpha=0.25, linewidth=0)
                axes.add_patch(bar)  # type: ignore[attr-defined]
            text = cell.text if len(cell.text) <= _LONGEST else cell.text[: _LONGEST - 1] + "…"
            axes.text(y=y, s=text, va="center", color=cell.color, **place)  # type: ignore[attr-defined]
