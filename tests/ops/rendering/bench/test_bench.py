"""The whole benchmark on the smallest scene, and what is made of it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from rich.console import Console

from ops.errors import InputError
from ops.rendering.bench.chart import chart
from ops.rendering.bench.measure import bench
from ops.rendering.bench.peak import Peak
from ops.rendering.bench.report import _machine, tables
from ops.rendering.bench.results import OURS, STAGES, TORCH_TILES, BenchResult
from ops.rendering.bench.scenes import Size, find_sizes
from ops.rendering.bench.timing import Timing

FORWARD_ONLY = Size(name="glance", count=200, width=20, height=20, forward_only=True)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def result() -> BenchResult:
    before = torch.get_num_threads()
    found = bench([*find_sizes(["tiny"]), FORWARD_ONLY], threads=[1, 2], repeats=1, device=CPU)
    assert torch.get_num_threads() == before
    return found


def test_every_row_is_there(result):
    rows = {(r.size, r.stage, r.renderer, r.threads) for r in result.stages}
    every = {("tiny", s, r, t) for s in STAGES for r in (OURS, TORCH_TILES) for t in (1, 2)}
    every -= {("tiny", "fisher", TORCH_TILES, t) for t in (1, 2)}
    assert rows == every | {("glance", "forward", OURS, 1), ("glance", "forward", OURS, 2)}
    assert len(result.stages) == len(rows)
    for threads in (1, 2):
        names = [k.kernel for k in result.kernels if (k.size, k.threads) == ("tiny", threads)]
        assert len(names) == len(set(names))
        assert {"project", "raster_forward", "raster_backward", "project_backward"} <= set(names)
    assert set(result.peaks) == {1, 2}
    assert all(peak.gflops > 0 for peak in result.peaks.values())


def test_numbers_follow_from_each_other(result):
    raster = result.kernel("tiny", "raster_forward", 1)
    assert result.peak_share(raster) == pytest.approx(
        raster.flops / (raster.time.wall_ms * 1e-3) / (result.peaks[1].gflops * 1e9)
    )
    for stage in ("forward", "backward"):
        kernels = [k for k in result.kernels if (k.size, k.stage, k.threads) == ("tiny", stage, 1)]
        assert 0 < sum(result.stage_share(k) for k in kernels) <= 1
    assert result.forward_over_raster("tiny", 1) > 1
    one, two = (result.stage("tiny", "iteration", OURS, t) for t in (1, 2))
    assert result.speedup(one) is None
    assert result.speedup(two) == pytest.approx(one.time.wall_ms / two.time.wall_ms)
    torch_times = [result.stage("tiny", "iteration", TORCH_TILES, t).time.wall_ms for t in (1, 2)]
    assert result.torch_ratio(one) == pytest.approx(torch_times[0] / one.time.wall_ms)
    assert result.torch_ratio(two) == pytest.approx(min(torch_times) / two.time.wall_ms)


def test_the_table_has_every_row_and_fits(result):
    console = Console(width=100, file=io.StringIO())
    console.print(tables(result))
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "…" not in text
    lines = [line.split() for line in text.splitlines()]
    for stage in STAGES:
        for threads in "12":
            assert any(line[:3] == ["tiny", stage, threads] for line in lines), (stage, threads)
    for kernel in {k.kernel for k in result.kernels}:
        assert sum(kernel in line for line in lines) >= 2
    assert sum("glance" in line for line in lines) == 1 + 2 + 2 + 2  # scene, stages, raster, heads


def test_a_disturbed_run_says_so(result):
    alone = replace(result, peaks={1: Peak(100.0, 1.0), 2: Peak(200.0, 1.98)}, kernels=[])
    assert alone.disturbed == {}
    busy = replace(alone, peaks={1: Peak(100.0, 1.0), 2: Peak(101.0, 1.02)})
    assert busy.disturbed == {2: 1.02}
    console = Console(width=100, file=io.StringIO())
    console.print(_machine(busy))
    assert "2 threads had 1.0 cores" in console.file.getvalue()
    [row] = [k for k in result.kernels if k.kernel == "raster_forward" and k.threads == 2][:1]
    slow = replace(row, time=Timing(20.0, 20.0, 24.0, 24.0))
    assert replace(alone, kernels=[slow]).disturbed == {2: 1.2}


def test_json_holds_everything(result):
    found = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert len(found["stages"]) == len(result.stages)
    assert len(found["kernels"]) == len(result.kernels)
    assert {"wall_ms", "cpu_ms", "wall_ms_median", "torch_tiles_ratio"} <= set(found["stages"][0])
    assert {"gflops", "share_of_fma_peak", "share_of_stage"} <= set(found["kernels"][0])
    [tiny, _] = found["scenes"]
    assert tiny["lanes_blended"] <= tiny["lanes_evaluated"]
    assert {"cpu", "cores", "simd_bits", "python", "torch", "numba"} <= set(found["machine"])


def test_the_chart_is_a_picture(result):
    image = Image.open(io.BytesIO(chart(result)))
    assert image.format == "PNG"
    assert len(image.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(("threads", "repeats"), [([], 1), ([0], 1), ([1], 0)])
def test_no_work_is_refused(threads, repeats):
    with pytest.raises(InputError, match="at least 1"):
        bench(find_sizes(["tiny"]), threads=threads, repeats=repeats, device=CPU)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gsplat_is_measured_on_cuda():
    found = bench(find_sizes(["tiny"]), threads=[1], repeats=1, device=torch.device("cuda"))
    assert [r.renderer for r in found.stages] == ["gsplat"] * len(STAGES)
    assert not found.kernels
    Console(file=io.StringIO()).print(tables(found))
    chart(found)
