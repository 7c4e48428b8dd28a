"""A benchmark as one picture: how long stages take, and how near the kernels are to the peak."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ops.rendering.bench.kernels import BACKWARD, FORWARD
from ops.rendering.bench.results import STAGES, TORCH_TILES, BenchResult, SceneRow, StageRow

_INK, _FAINT, _LINE = "#24272e", "#737b86", "#e3e6ea"
_OURS, _TORCH, _SECOND = "#2f7fc1", "#e07b39", "#9cc5e6"
_TITLES = {"forward": "Drawing", "backward": "Gradients", "iteration": "Training step"}
_TITLES["fisher"] = "Fisher information"
_PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # hides lines
_NOTE: dict[str, Any] = {"ha": "center", "va": "center", "color": _FAINT, "fontsize": 8}
_NOTE["bbox"] = _PAPER
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.7,
    "xtick.color": _FAINT,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def chart(result: BenchResult) -> bytes:
    """A PNG for documentation: stages on a logarithmic axis, and on the CPU the part of the peak.

    Shows the largest number of threads that was measured.
    """
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        with_peak = bool(result.kernels)
        widths = [1.0] * len(STAGES) + [0.85] * with_peak
        figure = Figure(
            figsize=(13.5, 1.75 + 0.62 * len(result.scenes)), dpi=170, facecolor="white"
        )
        height = figure.get_figheight()
        grid = figure.add_gridspec(
            1,
            len(widths),
            width_ratios=widths,
            left=0.095,
            right=0.975,
            top=1 - 1.12 / height,
            bottom=0.36 / height,
            wspace=0.12,
        )
        panels = [figure.add_subplot(grid[0, i]) for i in range(len(widths))]
        limits = _limits(result)
        for axes, stage in zip(panels, STAGES, strict=False):
            _stage_panel(axes, result, stage, limits)
        if with_peak:
            _peak_panel(panels[-1], result)
        for axes in panels:
            _rows(axes, result.scenes)
        _name_rows(panels[0], result.scenes)
        _headings(figure, result)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def _stage_panel(axes: Axes, result: BenchResult, stage: str, limits: tuple[float, float]) -> None:
    """For each size our time, and joined to it that of plain PyTorch."""
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_time_tick))
    _title(axes, _TITLES[stage])
    for y, scene in enumerate(result.scenes):
        row = _row(result, scene.size, stage)
        if row is None:
            axes.text(0.5, y, "not measured", transform=axes.get_yaxis_transform(), **_NOTE)
            continue
        ours, other = row.time.wall_ms, result.torch_time(row)
        if other is not None:
            theirs = other.wall_ms
            axes.plot([ours, theirs], [y, y], color="#c9ced6", linewidth=2.2, zorder=2)
            axes.plot(theirs, y, "o", color=_TORCH, markersize=8, zorder=3)
            _label(axes, theirs, y, _time(theirs), _TORCH)
            middle = (ours * theirs) ** 0.5
            axes.annotate(
                f"{theirs / ours:.0f}×",
                (middle, y),
                (0, 4),
                textcoords="offset points",
                ha="center",
                color=_INK,
                fontsize=9.5,
                fontweight="bold",
                bbox=_PAPER,
            )
        axes.plot(ours, y, "o", color=_OURS, markersize=8, zorder=4)
        _label(axes, ours, y, _time(ours), _OURS)


def _peak_panel(axes: Axes, result: BenchResult) -> None:
    """Bars: what part of the fma peak the two raster kernels reach."""
    threads = result.most_threads
    _title(axes, "Raster: share of fma peak")
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100%"])
    for y, scene in enumerate(result.scenes):
        for name, shift, color in ((FORWARD, -0.17, _OURS), (BACKWARD, 0.17, _SECOND)):
            row = result.kernel(scene.size, name, threads)
            share = None if row is None else result.peak_share(row)
            if share is None:
                continue
            axes.barh(y + shift, share, height=0.27, color=color, zorder=3)
            word = "forward" if name == FORWARD else "backward"
            text = f"{share:.0%}  {word}"
            axes.text(share + 0.025, y + shift, text, va="center", fontsize=8, bbox=_PAPER)


def _rows(axes: Axes, scenes: list[SceneRow]) -> None:
    """One row for each size, the smallest on top, and nothing but faint vertical lines behind."""
    axes.set_ylim(len(scenes) - 0.45, -0.6)
    axes.set_yticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _name_rows(axes: Axes, scenes: list[SceneRow]) -> None:
    for y, scene in enumerate(scenes):
        place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right"}
        axes.text(
            -0.06, y - 0.03, scene.size, va="bottom", fontweight="bold", fontsize=9.5, **place
        )
        pixels = f"{scene.width} × {scene.height}"
        axes.text(-0.06, y + 0.05, pixels, va="top", color=_FAINT, fontsize=8, **place)


def _headings(figure: Figure, result: BenchResult) -> None:
    """Title, what it was measured on, and what the colours mean."""
    machine, threads = result.machine, result.most_threads
    height = figure.get_figheight()
    figure.text(
        0.012,
        1 - 0.3 / height,
        "Time per image, by number of Gaussians",
        fontsize=13,
        fontweight="bold",
        va="center",
    )
    on = machine.gpu or f"{threads} thread{'s' * (threads > 1)} of {machine.cpu} ({machine.simd})"
    peak = result.peaks.get(threads)
    on += f" · fma peak {peak.gflops:.0f} GFLOP/s, measured" if peak else ""
    on += " while other programs were at work" if result.disturbed else ""
    figure.text(0.012, 1 - 0.58 / height, on, color=_FAINT, fontsize=8.5, va="center")
    keys = [(_OURS, "gsplat" if machine.gpu else "Splatworks")]
    if any(row.renderer == TORCH_TILES for row in result.stages):
        keys.append((_TORCH, "tile rasteriser in plain PyTorch"))
    x = 0.982
    for color, text in reversed(keys):
        drawn = figure.text(
            x, 1 - 0.3 / height, f"● {text}", color=color, fontsize=9.5, va="center", ha="right"
        )
        drawn.set_fontweight("bold")
        x -= 0.0062 * len(text) + 0.035


def _limits(result: BenchResult) -> tuple[float, float]:
    """One axis for all stages, with room for the numbers beside the outermost dots."""
    times = [row.time.wall_ms for row in result.stages]
    low, high = min(times), max(times)
    room = (high / low) ** 0.14
    return low / room, high * room


def _row(result: BenchResult, size: str, stage: str) -> StageRow | None:
    threads = result.most_threads
    rows = (r for r in result.stages if (r.size, r.stage, r.threads) == (size, stage, threads))
    return next((row for row in rows if row.renderer != TORCH_TILES), None)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", pad=6)


def _label(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    axes.annotate(
        text,
        (x, y),
        (0, -8),
        textcoords="offset points",
        ha="center",
        va="top",
        color=color,
        fontsize=8.5,
        bbox=_PAPER,
    )


def _time(ms: float) -> str:
    if ms >= 1000:
        return f"{ms / 1000:.2g} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _time_tick(ms: float, _: int) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"
