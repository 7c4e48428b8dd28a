"""What is said of kernels: the lanes they go through and the time they take."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from ops.rendering.bench import kernels
from ops.rendering.bench.peak import fma_peak
from ops.rendering.bench.scenes import SIZES, make_scene
from ops.rendering.bench.timing import Task, measure
from ops.rendering.cpu import team
from ops.rendering.cpu import view as viewing
from ops.rendering.cpu.projection import LOG2_OPACITY, MX, MY, PER_U, PER_Y, SLOPE
from ops.rendering.render import render


def blended_by_hand(view) -> tuple[int, int]:
    """Every pixel meets every Gaussian, in float64, without tiles or lists.

    Returns how many blend, and how many decisions are so close that rounding may turn them.
    """
    seen = np.nonzero(view.depths > 0)[0]
    order = seen[np.argsort(view.depths[seen], kind="stable")]
    footprints = view.footprints[order].astype(np.float64)
    x, y = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    T = np.ones((view.height, view.width))
    going = np.ones_like(T, bool)
    blended = close = 0
    for f in footprints:
        dy = y - f[MY]
        u = x - f[MX] - f[SLOPE] * dy
        exponent = f[LOG2_OPACITY] - (f[PER_U] * u) ** 2 - (f[PER_Y] * dy) ** 2
        alpha = np.minimum(np.exp2(exponent), np.float32(0.999))
        hit = going & (alpha >= 1 / 255)
        after = T * (1 - alpha)
        close += int((going & (abs(alpha * 255 - 1) < 1e-4)).sum())
        close += int((hit & (abs(after / 1e-4 - 1) < 1e-3)).sum())
        stops = hit & ~(after > 1e-4)
        going &= ~stops
        blended += int((hit & ~stops).sum())
        T = np.where(hit & ~stops, after, T)
    return blended, close


def prepared(splats, cameras):
    return kernels.view_of(render(splats, cameras)[0])


@pytest.mark.parametrize(("n", "size", "image"), [(150, 0.12, (45, 37)), (400, 0.3, (33, 64))])
def test_blended_lanes_are_those_of_a_count_by_hand(make, n, size, image):
    view = prepared(make.trainable(make.splats(n, size=size)), make.cameras([image]))
    lanes = kernels.evaluated_lanes(view)
    blended, close = blended_by_hand(view)
    assert blended > 1000
    assert abs(lanes.blended - blended) <= close
    assert lanes.evaluated >= lanes.blended
    assert lanes.drawn >= lanes.blended


def test_lanes_of_the_scene_and_any_number_of_threads(make, torch_threads):
    scene = make_scene(SIZES["tiny"])
    view = prepared(make.trainable(scene.splats), scene.cameras)
    blended, close = blended_by_hand(view)
    for count in (1, 2, 3):
        torch_threads(count)
        lanes = kernels.evaluated_lanes(view)
        assert abs(lanes.blended - blended) <= close
        assert 0 < lanes.useful <= 1
    flops = kernels.nominal_flops(kernels.FORWARD, lanes)
    assert 0 < flops < kernels.nominal_flops(kernels.BACKWARD, lanes)


def test_an_empty_view_has_no_lanes(make):
    splats = make.trainable(make.splats(5))
    cameras = make.cameras([(20, 20)])
    cameras.viewmats[:, 2, 3] -= 50  # all behind the camera
    facts = kernels.view_facts(prepared(splats, cameras))
    assert tuple(facts.lanes) == (0, 0, 0)
    assert facts.visible == 0


def test_every_kernel_is_timed_and_everything_put_back(make):
    before = dict(vars(viewing))
    splats, cameras = make.trainable(make.splats(50)), make.cameras([(40, 30)])
    with kernels.recorded() as times:
        colors = render(splats, cameras)[0].colors
        drawn = set(times)
        colors.sum().backward()
    assert kernels.FORWARD in drawn
    assert kernels.BACKWARD not in drawn
    assert {"project", "sort_by_depth", "place", kernels.BACKWARD, "project_backward"} <= set(times)
    assert all(t.wall > 0 for t in times.values())
    assert dict(vars(viewing)) == before
    assert viewing.run is team.run


def test_what_fails_is_put_back_too(make):
    before = dict(vars(viewing))
    with pytest.raises(ZeroDivisionError), kernels.recorded():
        raise ZeroDivisionError
    assert dict(vars(viewing)) == before


def test_peaks_are_positive():
    for threads in (1, 2):
        peak = fma_peak(threads, seconds=0.01)
        assert peak.gflops > 0
        assert peak.cores > 0


def test_the_first_time_does_not_count():
    calls, prepared = [], []
    task = Task(lambda: calls.append(1), lambda: prepared.append(1))
    [found] = measure([task], 3, torch.device("cpu"))
    assert (len(calls), len(prepared), len(found.given), found.repeats) == (4, 4, 3, 3)
    assert found.timing.wall_ms <= found.timing.wall_ms_median


def test_tasks_take_turns_for_as_long_as_is_asked():
    calls = []
    tasks = [Task(lambda: calls.append("a")), Task(lambda: calls.append("b"))]
    start = time.perf_counter()
    one, two = measure(tasks, 2, torch.device("cpu"), seconds=0.05)
    assert time.perf_counter() - start >= 0.05
    assert calls == ["a", "b"] * (one.repeats + 1)
    assert one.repeats == two.repeats >= 2
