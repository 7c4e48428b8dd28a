"""Still pictures of tables, for where widgets do not live."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from notebooks.style import BLUE, FAINT, GREEN, INK, ORANGE, WIDTH, style

_LINE = 0.21  # inches of a row
_DPI = 120
_LONGEST = 60  # letters of a cell
_MANY = 200  # points from which on a line has no dots
COLOURS = (BLUE, ORANGE, GREEN, "#b468c8", "#d1495b", "#8a9a2f", "#2aa5a5", "#9c6b4e")
"""Of the lines of a plot, the same as in the browser (``js/src/table/curve.js``)."""


@dataclass(frozen=True)
class Cell:
    """A cell of a picture of a table."""

    text: str
    right: bool = False
    bar: float | None = None  # part of its width that is shaded
    color: str = INK


@dataclass(frozen=True)
class Line:
    """Points of a plot that are joined; ``name`` is empty where there is only one line."""

    name: str
    x: np.ndarray  # [N]
    y: np.ndarray  # [N]


@dataclass(frozen=True)
class Plot:
    """A number drawn over another."""

    y: str
    x: str
    lines: Sequence[Line]
    whole: bool = False  # x only makes sense at integers


def table_picture(
    headers: Sequence[str],
    columns: Sequence[Sequence[Cell]],
    note: str = "",
    plot: Plot | None = None,
) -> bytes:
    """A PNG of a table, and of a plot below it.

    Args:
        headers: Of the columns.
        columns: The cells of each, from above.
        note: A line below.
        plot: What is drawn below.
    """
    rows = max((len(c) for c in columns), default=0) + 1 + bool(note)
    above, below = rows * _LINE + 0.1, 2.1 if plot is not None else 0.0
    with style():
        figure = Figure(figsize=(WIDTH, above + below), dpi=_DPI)
        axes = figure.add_axes((0.0, below / (above + below), 1.0, above / (above + below)))
        axes.set(xlim=(0, 1), ylim=(rows + 0.25, -0.25))
        axes.axis("off")
        _cells(axes, headers, columns)
        if note:
            axes.text(0.004, rows - 0.5, note, va="center", fontsize=8, color=FAINT[:7])
        if plot is not None:
            bottom = 0.48 / (above + below)
            draw(figure.add_axes((0.06, bottom, 0.92, (below - 0.78) / (above + below))), plot)
        with io.BytesIO() as file:
            figure.savefig(file, format="png")
            return file.getvalue()


def draw(axes: Axes, plot: Plot) -> None:
    """The lines, with a legend where they have names and colours of their own."""
    for k, line in enumerate(plot.lines):
        many = len(line.x) > _MANY
        look = {"linewidth": 0.8} if many else {"marker": ".", "markersize": 4}
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(line.x, line.y, color=colour, label=line.name or None, **look)
    axes.set_title(plot.y)
    axes.set_xlabel(plot.x)
    axes.margins(x=0.02)
    if plot.whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if any(line.name for line in plot.lines) and len(plot.lines) <= len(COLOURS):
        axes.legend(
            **{"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 8},
            **{"borderaxespad": 0.0, "handlelength": 1.4, "columnspacing": 1.4},
        )


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
