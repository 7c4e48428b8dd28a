"""How pictures of notebooks look: one ink that reads on white and on black, nothing behind it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from notebooks.pixels import webp

INK = "#737b86"  # a contrast of 4.3 to white and of 4.4 to JupyterLab's dark page
FAINT = "#8b93a055"
BLUE, ORANGE, GREEN = "#3d8fd1", "#e8833a", "#3aa76d"
ERROR_MAP, DEPTH_MAP = "magma", "viridis_r"  # perceptually even; near is bright
WIDTH = 9.8  # inches of a picture as wide as a notebook, at 100 CSS pixels each
_LONGER_SIDE = 560  # CSS pixels of a moving picture
_DPI, _CSS_DPI = 144, 100  # sharp on dense screens without storing four times the pixels

_RC = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "image.interpolation": "auto",
}


def style() -> AbstractContextManager[None]:
    """Within it, Matplotlib draws as all pictures here look."""
    return mpl.rc_context(_RC)  # type: ignore[arg-type]


class Picture:
    """A still picture, as the last line of a cell shows it.

    Matplotlib's own display puts a white sheet behind transparent figures; this one does not.
    """

    def __init__(self, data: bytes, width: int, alt: str) -> None:
        """Keep a PNG, to be shown ``width`` CSS pixels wide; ``alt`` says what it shows."""
        self.png, self.width, self.alt = data, width, alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"width": self.width}}

    def __repr__(self) -> str:
        return self.alt


class Animation:
    """Pictures one after the other, for ever; where that cannot be shown, the first of them."""

    def __init__(self, frames: Sequence[np.ndarray], frames_per_second: float, alt: str) -> None:
        """Keep frames [H, W, 3] uint8 of one size; ``alt`` says what they show."""
        from notebooks.pixels import png

        self.webp, self.png = webp(frames, frames_per_second), png(frames[0])
        height, width = frames[0].shape[:2]
        self.width, self.alt = round(width * _LONGER_SIDE / max(width, height)), alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        moving = base64.b64encode(self.webp).decode()
        look = "border-radius: 6px; max-width: 100%; display: block"
        data = {
            "text/html": f'<img src="data:image/webp;base64,{moving}" width="{self.width}" '
            f'alt="{self.alt}" style="{look}">',
            "image/png": base64.b64encode(self.png).decode(),
            "text/plain": self.alt,
        }
        return data, {"image/png": {"width": self.width}}

    def __repr__(self) -> str:
        return self.alt


def finish(figure: Figure, alt: str) -> Picture:
    """A figure as a picture on nothing."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=_DPI)
        return Picture(file.getvalue(), round(figure.get_figwidth() * _CSS_DPI), alt)


def image_axes(axes: Axes) -> None:
    """Axes that hold a picture: no ticks, no frame."""
    axes.set_axis_off()


def colour_bar(axes: Axes, name: str, low: float, high: float, meaning: str) -> None:
    """Fill axes with a horizontal bar of a map's colours, three numbers and what they mean."""
    from matplotlib.colorbar import ColorbarBase

    bar = ColorbarBase(
        axes, cmap=mpl.colormaps[name], norm=Normalize(low, high), orientation="horizontal"
    )
    bar.outline.set_visible(False)
    bar.set_ticks([low, (low + high) / 2, high])
    bar.ax.set_xticklabels([f"{t:.2g}" for t in (low, (low + high) / 2, high)])
    first, _, last = bar.ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    bar.ax.set_xlabel(meaning, loc="left", fontsize=8)
    bar.ax.grid(False)
