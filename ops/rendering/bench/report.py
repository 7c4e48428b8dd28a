"""A benchmark as tables for a terminal of 100 columns."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ops.rendering.bench.kernels import BACKWARD, FISHER, FORWARD
from ops.rendering.bench.results import TORCH_TILES, BenchResult, KernelRow


def tables(result: BenchResult) -> Group:
    """All that was measured, for a rich console to print."""
    parts: list[Any] = [_machine(result), _scenes(result), _stages(result)]
    if result.kernels:
        parts += [_raster(result), *(_kernels(result, count) for count in result.peaks)]
    return Group(*(p for part in parts for p in (part, "")))


def _machine(result: BenchResult) -> Text:
    m = result.machine
    lines = [
        f"{m.cpu}, {m.cores} cores, {m.simd}, {m.system}" + (f"; {m.gpu}" if m.gpu else ""),
        f"Python {m.python}, torch {m.torch}, Numba {m.numba}, LLVM {m.llvm} ({m.compiled_for})",
    ]
    peaks = [f"{v.gflops:.0f} GFLOP/s on {_threads(k)}" for k, v in result.peaks.items()]
    lines += [f"fma peak, measured: {', '.join(peaks)}"] if peaks else []
    for count, cores in result.disturbed.items():
        had = f"{_threads(count)} had {cores:.1f} cores at times"
        lines.append(
            f"{had}: others were at work, and what follows is not what this machine can do"
        )
    return Text("\n".join(lines))


def _table(title: str, columns: tuple[str, ...], texts: int) -> Table:
    """An empty table of which the first columns are text and the others numbers."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.title_style = "bold cyan"
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i < texts else "right", no_wrap=True)
    return table


def _scenes(result: BenchResult) -> Table:
    names = ("size", "Gaussians", "pixels", "visible", "entries/tile", "blended/pixel", "mean T")
    table = _table("Scenes", names, 1)
    for row in result.scenes:
        facts = row.facts
        known = ["", "", ""]
        if facts is not None:
            known = [
                f"{facts.visible:.0%}",
                f"{facts.entries_per_tile:.0f}",
                f"{facts.blended_per_pixel:.1f}",
            ]
        pixels = f"{row.width}x{row.height}"
        table.add_row(row.size, f"{row.count:,}", pixels, *known, f"{row.transmittance:.2f}")
    return table


def _stages(result: BenchResult) -> Table:
    names = ("size", "stage", "threads", "wall ms", "median", "CPU ms", "x 1 thread")
    table = _table("Stages (least and median of the repeats)", (*names, "PyTorch ms", "ratio"), 2)
    for row in result.stages:
        if row.renderer == TORCH_TILES:
            continue
        t, other, speedup = row.time, result.torch_time(row), result.speedup(row)
        table.add_row(
            row.size,
            row.stage,
            str(row.threads),
            f"[bold]{_ms(t.wall_ms)}[/]",
            _ms(t.wall_ms_median),
            _ms(t.cpu_ms),
            "" if speedup is None else f"{speedup:.2f}",
            "" if other is None else _ms(other.wall_ms),
            "" if other is None else f"{other.wall_ms / t.wall_ms:.0f}x",
        )
    return table


def _raster(result: BenchResult) -> Table:
    """The kernels that go through pixels: how near to the peak, and how many lanes are useful."""
    table = _table(
        "Raster kernels (nominal GFLOP/s by wall time, part of the fma peak)",
        (
            "size",
            "kernel",
            "threads",
            "wall ms",
            "GFLOP/s",
            "of peak",
            "useful lanes",
            "stage/kernel",
        ),
        2,
    )
    for scene in result.scenes:
        for threads in result.peaks:
            for name in (FORWARD, BACKWARD, FISHER):
                row = result.kernel(scene.size, name, threads)
                if row is None or scene.facts is None:
                    continue
                table.add_row(
                    scene.size,
                    name,
                    str(threads),
                    _ms(row.time.wall_ms),
                    f"{result.gflops(row):.0f}",
                    f"[bold]{result.peak_share(row):.0%}[/]",
                    f"{scene.facts.lanes.useful:.0%}",
                    f"{1 / result.stage_share(row):.1f}x",
                )
    return table


def _kernels(result: BenchResult, threads: int) -> Table:
    """Every kernel of every size: its wall time, and its part of the stage's."""
    sizes = [row.size for row in result.scenes]
    title = f"Kernels on {_threads(threads)} (wall ms, part of the stage)"
    table = _table(title, ("stage", "kernel", *sizes), 2)
    rows = [row for row in result.kernels if row.threads == threads]
    for stage, name in dict.fromkeys((row.stage, row.kernel) for row in rows):
        cells = [result.kernel(size, name, threads) for size in sizes]
        table.add_row(stage, name, *(_kernel_cell(result, cell) for cell in cells))
    return table


def _kernel_cell(result: BenchResult, row: KernelRow | None) -> str:
    if row is None:
        return ""
    return f"{_ms(row.time.wall_ms)} [dim]{result.stage_share(row):4.0%}[/]"


def _ms(value: float) -> str:
    """Milliseconds with three digits."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
