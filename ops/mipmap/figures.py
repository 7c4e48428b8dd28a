"""Pictures of the study: curves over the scale, and strips that show a view by every method."""

from __future__ import annotations

import textwrap
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
from ops.mipmap.evaluate import (
    EXTRA,
    FITTED,
    HELD_OUT,
    TRANSDUCTIVE,
    ScaleEvaluation,
    ScaleScore,
)
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
    *("photo", "base", "matched", "antialiased", "mip", "mip_tuned", "balanced"),
    *("antialiased_base", "retrained", "pseudo", "adapted"),
)
_VIEWS = {
    EXTRA: "held-out views never adapted on",
    HELD_OUT: "held-out views not adapted on",
    TRANSDUCTIVE: "held-out views whose poses, not photos, were adapted on",
    FITTED: "training views, whose photos were used",
}
"""What is said of views in a title, by what they are to the adaptation."""
_FAR = 2.0
"""A bar that many times as long as the next one is cut, so that the others can be read."""
_IN_A_ROW = 5  # pictures of a strip without a second block


def curves(
    scores: Sequence[ScaleScore], *, metric: str = "psnr", views: str = "extra", dpi: int = 110
) -> Bytes:
    """A metric over the scale, a line per method, against photos.

    Args:
        scores: Of all scales.
        metric: Full name.
        views: ``scored`` or ``extra``; the title says what they are to the adaptation, by scale
            where that differs.
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
    axes.set_xlabel("render size / training size")
    unit = f", {rows[0].units}" if rows[0].units != "1" else ""
    axes.set_ylabel(f"{metric.upper()}{unit}")
    axes.set_title(f"{metric.upper()} against photos at {views_in_words(_first(rows))}", fontsize=9)
    axes.grid(alpha=0.25)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    return _drawn(figure)


def ablation_bars(
    rows: Sequence[Mapping[str, Any]], *, views: str = "extra", dpi: int = 110
) -> Bytes:
    """What each change of the settings gains or loses, a panel per scale.

    A bar far longer than all others is cut at the edge, with its value written in it, because the
    differences between the others could not be seen beside it.

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
    figure = Figure(figsize=(4.6 * len(scales), 1.2 + 0.22 * count), dpi=dpi, layout="constrained")
    for axes, scale in zip(figure.subplots(1, len(scales), squeeze=False)[0], scales, strict=True):
        shown = [r for r in mine if r["scale"] == scale]
        _bars(axes, [r["name"] for r in shown], [r["psnr"] - shown[0]["psnr"] for r in shown])
        axes.set_title(
            f"{scale_title(parse_scale(scale))}, relative to {shown[0]['psnr']:.2f} dB as set",
            fontsize=9,
        )
    where = _VIEWS[EXTRA] if views == "extra" else f"the {views} views"
    figure.suptitle(f"One setting changed at a time: PSNR against photos at {where}", fontsize=9)
    return _drawn(figure)


def _bars(axes: Any, names: Sequence[str], gains: Sequence[float]) -> None:
    low, high = bar_limits(gains)
    colours = ["#7f7f7f" if g == 0 else "#2ca02c" if g > 0 else "#d62728" for g in gains]
    axes.barh(names, np.clip(gains, low, high), color=colours, height=0.7)
    axes.set_xlim(low, high)
    for place, gain in enumerate(gains):
        if low <= gain <= high:
            continue
        end, inward = (low, 1) if gain < low else (high, -1)
        span = high - low
        for k in (0.035, 0.055):  # two strokes across it: the bar goes on
            x = end + inward * k * span
            stroke = ([x - 0.006 * span, x + 0.006 * span], [place + 0.5, place - 0.5])
            axes.plot(*stroke, color="white", lw=1.6, solid_capstyle="butt")
        axes.text(
            end + inward * 0.08 * span,
            place,
            f"{gain:+.1f}".replace("-", "\N{MINUS SIGN}"),
            **{"ha": "left" if inward > 0 else "right", "va": "center_baseline"},
            **{"color": "white", "fontsize": 7, "fontweight": "bold"},
        )
    axes.set_ylim(len(gains) - 0.3, -0.7)
    axes.axvline(0, color="#3b4252", lw=0.8)
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("change in PSNR, dB", fontsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def bar_limits(gains: Sequence[float]) -> tuple[float, float]:
    """The least and the largest value of an axis of bars.

    All bars fit, unless the longest to one side is more than twice as long as the next one of any
    side: then the axis ends a little beyond that one, and the bar has to be marked as cut.
    """
    lengths = sorted((abs(g) for g in gains), reverse=True)
    longest, second = [*lengths, 0.0, 0.0][:2]
    reach = 1.25 * second if second and longest > _FAR * second else longest
    limit = 1.05 * reach or 1.0
    low, high = max(min(gains), -limit), min(max(gains), limit)
    margin = 0.05 * (max(high, 0.0) - min(low, 0.0)) or 1.0
    return (
        min(low, 0.0) - (0 if min(gains) < low else margin),
        max(high, 0.0) + (0 if max(gains) > high else margin),
    )


def strip(
    evaluation: ScaleEvaluation,
    *,
    centre: tuple[float, float] = (0.5, 0.5),
    zoom: float = 4.0,
    dpi: int = 110,
) -> Bytes:
    """One view by every method, with a magnified part below.

    Pixels are shown as squares, so that nothing is smoothed away. Many methods stand in two blocks
    right of the first picture, the photo, and what all of it is stands below that one.

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
    places = strip_places(len(names))
    blocks, columns = (1 + max(p[k] for p in places) for k in (0, 1))
    tall = blocks * (2 * 2.6 * height / width + 0.45) + (0.4 if blocks == 1 else 0.1)
    figure = Figure(figsize=(2.7 * columns, tall), dpi=dpi, layout="constrained")
    axes = figure.subplots(2 * blocks, columns, squeeze=False)
    for one in axes.flat:
        one.set_axis_off()
    box = _box(width, height, centre, zoom)
    for name, (block, column) in zip(names, places, strict=True):
        pair = axes[2 * block : 2 * block + 2, column]
        _cell(pair, evaluation.pictures[name], box)
        number = numbers.get(name)
        pair[0].set_title(name + (f"  {number:.2f} dB" if number else ""), fontsize=10)
    about = [
        f"{scale_title(evaluation.scale)}   {evaluation.view}",
        "dB: mean of the scored views against photos",
        f"pseudo: {evaluation.pseudo_label}",
    ]
    if blocks == 1:
        figure.suptitle(f"{about[0]}   {about[1]}\n{about[2]}", fontsize=9)
    else:
        lines = [textwrap.fill(line, 42) for line in about]
        axes[2, 0].text(
            0.0,
            1.0,
            "\n\n".join(lines),
            **{"transform": axes[2, 0].transAxes, "va": "top", "fontsize": 9, "in_layout": False},
        )
    return _drawn(figure)


def strip_places(count: int) -> list[tuple[int, int]]:
    """Block and column of every picture of a strip.

    A row, or the first picture with the others in two blocks to the right of it.
    """
    if count <= _IN_A_ROW:
        return [(0, k) for k in range(count)]
    across = -(-(count - 1) // 2)
    return [(0, 0), *((k // across, 1 + k % across) for k in range(count - 1))]


def _first(rows: Sequence[ScaleScore]) -> list[ScaleScore]:
    """One score of each scale, smallest first."""
    return list({s.factor: s for s in sorted(rows, key=lambda s: s.factor)}.values())


def views_in_words(rows: Sequence[ScaleScore]) -> str:
    """What the views are to the adaptation, by scale where that differs."""
    by_standing: dict[str, list[str]] = {}
    for row in rows:
        title = scale_title(parse_scale(row.scale))
        by_standing.setdefault(_VIEWS.get(row.standing, row.standing), []).append(title)
    if len(by_standing) == 1:
        return next(iter(by_standing))
    lines = (f"{', '.join(scales)}: {words}" for words, scales in by_standing.items())
    return "\n".join([f"{rows[0].views} views", *lines])


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
        one.set_axis_on()
        one.set_xticks([])
        one.set_yticks([])


def _drawn(figure: Figure) -> Bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy()
