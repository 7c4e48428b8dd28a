"""Pictures of captures, training and evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke

from assets.previews import spread
from notebooks.pixels import as_pixels
from notebooks.style import (
    BLUE,
    DEPTH_MAP,
    ERROR_MAP,
    INK,
    ORANGE,
    WIDTH,
    Picture,
    colour_bar,
    finish,
    image_axes,
    style,
)
from ops.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from ops.cameras import Cameras
    from ops.capture.model import Points, Views

_CROSS: dict[str, Any] = {  # dark with a white edge, so that it is seen on points of any colour
    **{"color": "#11151c", "markersize": 13, "markeredgewidth": 2.2, "zorder": 6},
    "path_effects": [withStroke(linewidth=5.5, foreground="white")],
}
_GAP, _CAPTION, _HEAD = 0.08, 0.26, 0.3  # inches


def grid(
    pictures: Sequence[Any], captions: Sequence[str] = (), columns: int = 6, alt: str = ""
) -> Picture:
    """Pictures in rows, each as wide as a column.

    Args:
        pictures: NumPy, torch or xarray, see :func:`notebooks.pixels.as_pixels`.
        captions: A line below each.
        columns: Pictures in a row.
        alt: What the whole shows, for those who cannot see it.
    """
    shown = [as_pixels(p) for p in pictures]
    columns = max(1, min(columns, len(shown)))
    rows = math.ceil(len(shown) / columns)
    cell_width = (WIDTH - _GAP * (columns - 1)) / columns
    tallest = max(p.shape[0] / p.shape[1] for p in shown)
    cell_width = min(cell_width, 3.6 / tallest)
    row_height = cell_width * tallest + (_CAPTION if captions else _GAP)
    total = rows * row_height - (0 if captions else _GAP)
    with style():
        figure = Figure(figsize=(columns * (cell_width + _GAP) - _GAP, total))
        for i, picture in enumerate(shown):
            left = (i % columns) * (cell_width + _GAP)
            top = (i // columns) * row_height
            axes = _place(figure, left, top, cell_width, picture)
            if captions:
                _caption(axes, captions[i])
        return finish(figure, alt or f"{len(shown)} pictures")


def show_views(views: Views, count: int = 12, columns: int = 6) -> Picture:
    """Some views of a capture, evenly spread; held-out ones say so."""
    chosen = spread(len(views), count)
    names = views.cameras.names
    marks = {"train": "", "test": "held out: "}
    captions = [marks[views.splits[i]] + _short(names[i]) for i in chosen]
    return grid(
        [views.image(i) for i in chosen], captions, columns, f"{len(chosen)} of {len(views)} views"
    )


def comparison(evaluation: xr.DataTree, which: Sequence[int] | int = 3) -> Picture:
    """Photo, render, error and depth of held-out views, on shared scales with colour bars.

    Args:
        evaluation: An artifact like ``scene/evaluation/held_out``.
        which: Positions of the views, or a number: so many from the worst PSNR to the best.

    Raises:
        InputError: There are no views.
    """
    from assets.bridge.evaluation import metric_rows
    from assets.bridge.trees import group

    renders = group(evaluation, "renders")
    psnr = {r["view"]: r["value"] for r in metric_rows(evaluation) if r["metric"] == "psnr"}
    if isinstance(which, int):
        names = [str(n) for n in renders["names"].values]
        ranked = sorted(range(len(names)), key=lambda i: psnr.get(names[i], 0.0))
        which = [ranked[i] for i in spread(len(ranked), which)]
    rows = [_planes(renders, i) for i in which]
    if not rows:
        raise InputError("comparison: expected at least one held-out view, found none")
    top_error = max(0.02, *(float(np.percentile(r["errors"], 99)) for r in rows))
    near, far = _range([r["depth"] for r in rows])

    tallest = max(r["colors"].shape[0] / r["colors"].shape[1] for r in rows)
    cell = min((WIDTH - 3 * _GAP) / 4, 3.0 / tallest)
    heights = [cell * r["colors"].shape[0] / r["colors"].shape[1] for r in rows]
    total, width = _HEAD + sum(h + _CAPTION for h in heights) + 0.62, 4 * cell + 3 * _GAP
    with style():
        figure = Figure(figsize=(width, total))
        top = _HEAD
        for row, height in zip(rows, heights, strict=True):
            first = None
            for column, name in enumerate(("truth", "colors", "errors", "depth")):
                limits = {"errors": (0, top_error), "depth": (near, far)}.get(name)
                colours = {"errors": ERROR_MAP, "depth": DEPTH_MAP}.get(name)
                axes = _place(figure, column * (cell + _GAP), top, cell, row[name], colours, limits)
                if top == _HEAD:
                    title = ("Photo", "Render", "Error", "Depth")[column]
                    axes.set_title(title, color=INK)
                first = first or axes
            score = psnr.get(row["name"])
            _caption(first, row["name"] + (f" · {score:.2f} dB" if score is not None else ""))
            top += height + _CAPTION
        for column, (name, low, high, meaning) in {
            2: (ERROR_MAP, 0, top_error, "mean |photo − render|"),
            3: (DEPTH_MAP, near, far, "world units"),
        }.items():
            box = (column * (cell + _GAP) / width, 0.44 / total, cell / width, 0.09 / total)
            colour_bar(figure.add_axes(box), name, low, high, meaning)
        return finish(figure, f"photo, render, error and depth of {len(rows)} held-out views")


def training_curves(trained: xr.DataTree) -> Picture:
    """PSNR, loss and number of Gaussians over the iterations of training.

    Raises:
        InputError: The splats were not trained here, so that there are no curves.
    """
    from assets.bridge.trees import group

    if "history" not in trained.children:
        raise InputError("training curves: these splats came from a file, without a history")
    history = group(trained, "history")
    x = history["iteration"].values
    panels = (
        ("PSNR of training views, dB", "psnr", BLUE),
        ("loss", "loss", BLUE),
        ("number of Gaussians", "count", ORANGE),
    )
    with style():
        figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
        for axes, (title, name, colour) in zip(
            figure.subplots(1, len(panels)), panels, strict=True
        ):
            y = history[name].values.astype(np.float64)
            smooth = _running_mean(y, max(1, len(y) // 25)) if name != "count" else y
            if name != "count":
                axes.plot(x, y, color=colour, lw=0.8, alpha=0.35)
            axes.plot(x, smooth, color=colour)
            axes.set_title(title, color=INK)
            axes.set_xlabel("iteration")
            axes.margins(x=0.02)
            if name == "count":
                axes.yaxis.set_major_formatter("{x:,.0f}")
            ticks = _log_ticks(y) if name == "loss" and (y > 0).all() else []
            if len(ticks) > 1:
                axes.set_yscale("log")
                axes.minorticks_off()
                axes.set_yticks(ticks)
                axes.set_yticklabels([f"{t:g}" for t in ticks])
            axes.annotate(
                f"{smooth[-1]:,.0f}" if name == "count" else f"{smooth[-1]:.3g}",
                (x[-1], smooth[-1]),
                (0, 7 if name != "loss" else 9),
                textcoords="offset points",
                ha="right",
                color=colour,
                fontweight="bold",
            )
        return finish(figure, f"training curves over {int(x[-1])} iterations")


def capture_map(views: Views, points: Points, path: Cameras | None = None) -> Picture:
    """Where a capture was taken: points, cameras and a path, from above and from the side.

    Turned so that the capture's own up (see :func:`notebooks.orbit.focus`) is up in the picture.
    """
    from notebooks.orbit import focus, upright

    seen = focus(views.cameras)
    turn = upright(seen.up).numpy()
    about = seen.point.numpy()

    def flat(xyz: np.ndarray) -> np.ndarray:
        return (xyz.astype(np.float64) - about) @ turn.T

    cloud, centers = flat(points.xyz), flat(views.cameras.centers.double().numpy())
    ahead = views.cameras.camtoworlds.double().numpy()[:, :3, 2] @ turn.T
    reach = np.abs(centers).max(0)
    reach = np.maximum(reach, np.percentile(np.abs(cloud), 80, axis=0)) * 1.15
    held_out = np.array([s == "test" for s in views.splits])
    half = float(reach[:2].max())
    with style():
        figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
        for axes, (across, up), title in zip(
            figure.subplots(1, 2), ((0, 1), (0, 2)), ("from above", "from the side"), strict=True
        ):
            order = np.argsort(cloud[:, 2 if up == 1 else 1] * (1 if up == 1 else -1))
            axes.scatter(*cloud[order][:, [across, up]].T, c=points.rgb[order] / 255, s=2.2, lw=0)
            if path is not None:
                ring = flat(path.centers.double().numpy())
                ring = np.concatenate([ring, ring[:1]])
                axes.plot(*ring[:, [across, up]].T, color=ORANGE, lw=1.4, label="orbit below")
            for mask, colour, label in (
                (~held_out, BLUE, "training view"),
                (held_out, "#e0457b", "held-out view"),
            ):
                axes.quiver(
                    *centers[mask][:, [across, up]].T,
                    *ahead[mask][:, [across, up]].T * half * 0.1,
                    **{"color": colour, "angles": "xy", "scale_units": "xy", "scale": 1},
                    **{"width": 0.004, "headwidth": 4.5, "headlength": 5, "label": label},
                )
            axes.plot(0, 0, "+", label="what they look at", **_CROSS)
            axes.set_title(title, color=INK)
            axes.set_aspect("equal")
            axes.set_xlim(-half, half)
            axes.set_ylim(*((-half, half) if up == 1 else _heights(cloud, centers, half)))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return finish(figure, f"map of {len(centers)} cameras and {len(cloud)} points")


def _heights(cloud: np.ndarray, centers: np.ndarray, half: float) -> tuple[float, float]:
    """Limits of a view from the side: all cameras and most points, a margin above and below."""
    known = np.percentile(cloud[:, 2], [2, 98]) if len(cloud) else np.zeros(2)
    low, high = min(known[0], centers[:, 2].min()), max(known[1], centers[:, 2].max())
    margin = 0.1 * half
    return max(low - margin, -half), min(high + margin, half)


def _planes(renders: xr.Dataset, i: int) -> dict[str, Any]:
    """The pictures of one view without their padding; where nothing is, there is no depth."""
    height, width = int(renders["heights"][i]), int(renders["widths"][i])
    wanted = ("truth", "colors", "errors", "depth", "alpha")
    found: dict[str, Any] = {n: renders[n][i, :height, :width].values for n in wanted}
    found["errors"] = found["errors"].astype(np.float32)
    found["depth"] = np.where(found["alpha"] > 0.5, found["depth"], np.nan)
    found["name"] = str(renders["names"][i].values)
    return found


def _range(maps: Sequence[np.ndarray]) -> tuple[float, float]:
    known = np.concatenate([m[np.isfinite(m)] for m in maps])
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def _place(
    figure: Figure,
    left: float,
    top: float,
    width: float,
    picture: np.ndarray,
    colours: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Axes with a picture, ``left`` and ``top`` inches from the figure's corner, corners round."""
    height = width * picture.shape[0] / picture.shape[1]
    w, h = figure.get_size_inches()
    axes = figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))
    low, high = limits or (None, None)
    image = axes.imshow(picture, cmap=colours, vmin=low, vmax=high, aspect="auto")
    image_axes(axes)
    across = picture.shape[1]
    round_ = FancyBboxPatch(
        (-0.5, -0.5),
        across,
        picture.shape[0],
        boxstyle=f"round,pad=0,rounding_size={across * 0.05 / width}",
        transform=axes.transData,
        fc="none",
        ec="none",
    )
    axes.add_patch(round_)
    image.set_clip_path(round_)
    return axes


def _caption(axes: Axes | None, text: str) -> None:
    assert axes is not None
    axes.annotate(
        text, (0, 0), (0, -5), xycoords="axes fraction", textcoords="offset points",
        va="top", ha="left", color=INK, fontsize=7.5, annotation_clip=False,
    )  # fmt: skip


def _running_mean(y: np.ndarray, window: int) -> np.ndarray:
    """Mean over the last ``window`` values, over fewer at the start."""
    sums = np.cumsum(np.concatenate([[0.0], y]))
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _log_ticks(y: np.ndarray) -> list[float]:
    """Round numbers between the least and the greatest of ``y``."""
    decades = range(math.floor(math.log10(y.min())), math.ceil(math.log10(y.max())) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if y.min() <= m * 10.0**d <= y.max()]


def _short(name: str, longest: int = 22) -> str:
    return name if len(name) <= longest else f"…{name[-longest + 1 :]}"
