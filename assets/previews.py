"""Small pictures, tables and curves for the UI."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np

_INK, _GRID, _LINE = "#3b4252", "#d8dee9", "#2f6f9f"


def inline_image(pixels: np.ndarray, alt: str, max_width: int = 900) -> str:
    """Markdown that holds a picture [H, W, 3] uint8 itself, as a JPEG."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > max_width:
        height = max(1, round(image.height * max_width / image.width))
        image = image.resize((max_width, height), Image.Resampling.LANCZOS)
    with io.BytesIO() as buffer:
        image.save(buffer, "JPEG", quality=85)
        data = base64.b64encode(buffer.getvalue()).decode()
    return f"![{alt}](data:image/jpeg;base64,{data})"


def tile(images: Sequence[np.ndarray], columns: int, height: int = 120, gap: int = 4) -> np.ndarray:
    """Pictures [H, W, 3] uint8 of any sizes, scaled to one height and laid out in rows."""
    from PIL import Image

    scaled = []
    for pixels in images:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        width = max(1, round(image.width * height / image.height))
        scaled.append(np.asarray(image.resize((width, height), Image.Resampling.BOX)))
    width = max(s.shape[1] for s in scaled)
    rows = -(-len(scaled) // columns)
    columns = min(columns, len(scaled))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, s in enumerate(scaled):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        sheet[y : y + height, x : x + s.shape[1]] = s
    return sheet


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` indices of ``count``, evenly spread, first and last included."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def curves(
    x: np.ndarray,
    panels: Mapping[str, np.ndarray],
    xlabel: str,
    alt: str,
    noisy: Mapping[str, int] | None = None,
) -> str:
    """Small line charts side by side over one x axis, as inline Markdown.

    Args:
        x: [n] values of the shared axis.
        panels: [n] values by panel title.
        xlabel: Label of the axis.
        alt: Text for those who do not see the picture.
        noisy: By title, over how many points a running mean is drawn above the raw values.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * len(panels), 2.5), layout="constrained", dpi=110)
    for axis, (title, y) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        smooth = (noisy or {}).get(title, 1)
        smoothed = len(x) > 4 * smooth > 4
        axis.plot(x, y, color=_LINE, lw=0.8, alpha=0.35 if smoothed else 1)
        if smoothed:
            kernel = np.ones(smooth) / smooth
            axis.plot(x[smooth - 1 :], np.convolve(y, kernel, "valid"), color=_LINE, lw=1.6)
        axis.set_title(title, fontsize=10, color=_INK, loc="left")
        axis.set_xlabel(xlabel, fontsize=8, color=_INK)
        axis.tick_params(labelsize=8, colors=_INK)
        axis.grid(color=_GRID, lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
    return f"![{alt}](data:image/png;base64,{data})"


def scatter_three_ways(xyz: np.ndarray, rgb: np.ndarray, size: int = 300) -> np.ndarray:
    """A point cloud along its three axes, side by side.

    Args:
        xyz: [P, 3] positions.
        rgb: [P, 3] uint8 colours.
        size: Pixels of each square.

    Returns:
        [size, 3 * size, 3] uint8.
    """
    low, high = np.percentile(xyz, [2, 98], axis=0) if len(xyz) else np.zeros((2, 3))
    centre, span = (low + high) / 2, max(float((high - low).max()) * 1.1, 1e-9)
    pixels = np.floor(((xyz - centre) / span + 0.5) * size).astype(np.int64)
    panels = []
    for across, down, along in ((0, 1, 2), (0, 2, 1), (2, 1, 0)):
        panel = np.full((size, size, 3), 250, np.uint8)
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
        order = np.argsort(-xyz[inside, along], kind="stable")
        panel[pixels[inside][order, down], pixels[inside][order, across]] = rgb[inside][order]
        panels.append(panel)
    return np.concatenate(panels, axis=1)
