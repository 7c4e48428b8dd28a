"""Pictures of the study: curves over the scale, and strips that show a view by every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from ops.errors import InputError
from ops.mipmap.baselines import METHODS
from ops.mipmap.evaluate import ScaleEvaluation, ScaleScore
from ops.mipmap.scales import parse_scale, scale_title

Bytes = NDArray[np.uint8]
_COLOURS = {
    "base": "#7f7f7f",
    "matched": "#bcbd22",
    "antialiased": "#17becf",
    "mip": "#9467bd",
    "mip_tuned": "#8c564b",
    "antialiased_base": "#e377c2",
    "balanced": "#ff7f0e",
    "adapted": "#d62728",
    "retrained": "#2ca02c",
    "pseudo": "#1f77b4",
}
_SHOWN = (
    *("photo", "base", "antialiased", "mip_tuned", "mip", "balanced"),
    *("antialiased_base", "retrained", "pseudo", "adapted"),
)


def curves(
    scores: Sequence[ScaleScore], *, metric: str = "psnr", views: str = "extra", dpi: int = 110
) -> Bytes:
    """A metric over the scale, a line per method, against photos.

    Args:
        scores: Of all scales.
        metric: Full name.
        views: ``scored`` or ``extra``; the title says what they are to the adaptation.
        dpi: Pixels per inch of a figure of 8 x 6 inches.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: There is no such number against photos.
    """
    rows = [s for s in scores if (s.metric, s.views, s.against) == (metric, views, "photos")]
    if not rows:
        raise InputError(
            f"mipmap: expected scores {metric!r} against photos of {views!r} views, found none"
        )
    figure = Figure(figsize=(8, 6), dpi=dpi, layout="constrained")
    axes = figure.add_subplot()
    for method in METHODS:
        mine = sorted((s for s in rows if s.method == method), key=lambda s: s.factor)
        for side in (True, False):  # two bases, two lines
            part = [s for s in mine if (s.factor < 1) == side]
            if part:
                axes.plot(
                    [s.factor for s in part],
                    [s.value for s in part],
                    marker="o",
                    markersize=4,
                    linewidth=2.2 if method == "adapted" else 1.2,
                    color=_COLOURS[method],
                    label=METHODS[method] if side == (mine[0].factor < 1) else None,
                )
    factors = sorted({s.factor for s in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(factors, [s.scale.replace("_", "/").replace("x", "×") for s in _first(rows)])
    axes.set_xlabel("scale, rendering by base")
    axes.set_ylabel(
        f"{metric.upper()}, {rows[0].units}" if rows[0].units != "1" else metric.upper()
    )
    standings = list(dict.fromkeys(s.standing for s in sorted(rows, key=lambda s: s.factor)))
    axes.set_title(f"Against photos; views, from left: {'; '.join(standings)}", fontsize=9)
    axes.grid(alpha=0.25)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    return _drawn(figure)


def ablation_bars(
    rows: Sequence[Mapping[str, Any]], *, views: str = "extra", dpi: int = 110
) -> Bytes:
    """What each change of the settings gains or loses, a panel per scale.

    Args:
        rows: Of the table of ablations: scale, name, question, views, psnr; the first name of a
            scale is the settings as they are.
        views: ``scored`` or ``extra``.
        dpi: Pixels per inch.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: There is no such row with a number against photos.
    """
    mine = [r for r in rows if r["views"] == views and np.isfinite(r["psnr"])]
    if not mine:
        raise InputError(f"mipmap: expected ablations scored at {views!r} views, found none")
    scales = list(dict.fromkeys(r["scale"] for r in mine))
    count = max(sum(r["scale"] == s for r in mine) for s in scales)
    figure = Figure(figsize=(4.6 * len(scales), 0.9 + 0.24 * count), dpi=dpi, layout="constrained")
    for axes, scale in zip(figure.subplots(1, len(scales), squeeze=False)[0], scales, strict=True):
        shown = [r for r in mine if r["scale"] == scale]
        gains = [r["psnr"] - shown[0]["psnr"] for r in shown]
        colours = ["#7f7f7f" if g == 0 else "#2ca02c" if g > 0 else "#d62728" for g in gains]
        axes.barh([r["name"] for r in shown], gains, color=colours, height=0.7)
        axes.invert_yaxis()
        axes.axvline(0, color="#3b4252", lw=0.8)
        axes.tick_params(labelsize=7)
        axes.set_title(
            f"{scale_title(parse_scale(scale))}   {shown[0]['psnr']:.2f} dB as set", fontsize=9
        )
        axes.set_xlabel(f"PSNR against photos over that, dB ({views} views)", fontsize=8)
        axes.grid(axis="x", alpha=0.25)
    return _drawn(figure)


def strip(
    evaluation: ScaleEvaluation,
    *,
    centre: tuple[float, float] = (0.5, 0.5),
    zoom: float = 4.0,
    dpi: int = 110,
) -> Bytes:
    """One view by every method, with a magnified part below.

    Pixels are shown as squares, so that nothing is smoothed away.

    Args:
        evaluation: Of a scale.
        centre: Of the magnified part, in parts of width and height.
        zoom: How many times smaller than the picture the magnified part is, at least 1.
        dpi: Pixels per inch; a picture is 2.6 inches wide.

    Returns:
        [H, W, 3] uint8.
    """
    names = [n for n in _SHOWN if n in evaluation.pictures]
    numbers = _psnr_by_method(evaluation)
    height, width = evaluation.pictures[names[0]].shape[:2]
    columns = -(-len(names) // 2) if len(names) > 5 else len(names)
    blocks = -(-len(names) // columns)
    tall = blocks * (2 * 2.6 * height / width + 0.45) + 0.4
    figure = Figure(figsize=(2.7 * columns, tall), dpi=dpi, layout="constrained")
    axes = figure.subplots(2 * blocks, columns, squeeze=False)
    box = _box(width, height, centre, zoom)
    for place in range(columns * blocks):
        row, column = divmod(place, columns)
        pair = axes[2 * row : 2 * row + 2, column]
        if place >= len(names):
            for one in pair:
                one.set_axis_off()
            continue
        name = names[place]
        _cell(pair, evaluation.pictures[name], box)
        number = numbers.get(name)
        pair[0].set_title(name + (f"  {number:.2f} dB" if number else ""), fontsize=10)
    figure.suptitle(
        f"{scale_title(evaluation.scale)}   {evaluation.view}   dB: mean of the scored views "
        f"against photos\npseudo: {evaluation.pseudo_label}",
        fontsize=9,
    )
    return _drawn(figure)


def _first(rows: Sequence[ScaleScore]) -> list[ScaleScore]:
    """One score of each scale, smallest first."""
    return list({s.factor: s for s in sorted(rows, key=lambda s: s.factor)}.values())


def _psnr_by_method(evaluation: ScaleEvaluation) -> Mapping[str, float]:
    found = {m: evaluation.mean(m) for m in evaluation.pictures}
    return {m: v for m, v in found.items() if np.isfinite(v)}


def _box(
    width: int, height: int, centre: tuple[float, float], zoom: float
) -> tuple[int, int, int, int]:
    """Left, top, width and height of the magnified part, whole pixels inside the picture."""
    w, h = max(2, round(width / max(zoom, 1))), max(2, round(height / max(zoom, 1)))
    w, h = min(w, width), min(h, height)
    x = min(max(round(centre[0] * width - w / 2), 0), width - w)
    y = min(max(round(centre[1] * height - h / 2), 0), height - h)
    return x, y, w, h


def _cell(axes: Any, picture: Tensor, box: tuple[int, int, int, int]) -> None:
    x, y, w, h = box
    image = picture.numpy()
    axes[0].imshow(image, interpolation="nearest")
    axes[0].add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, color="#ff3030", lw=1))
    axes[1].imshow(image[y : y + h, x : x + w], interpolation="nearest")
    for one in axes:
        one.set_xticks([])
        one.set_yticks([])


def _drawn(figure: Figure) -> Bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy()
