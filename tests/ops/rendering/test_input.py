"""What cannot be rendered, and what the message says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from ops.errors import InputError, UnavailableError
from ops.rendering import gpu
from ops.rendering.interface import RenderSettings
from ops.rendering.render import render


def test_sh_degree_that_is_not_held(make):
    with pytest.raises(InputError, match="between 0 and the 1 that the splats hold, found 2"):
        render(make.splats(3, degree=1), make.cameras([(8, 8)]), RenderSettings(sh_degree=2))


def test_unknown_mode(make):
    with pytest.raises(InputError, match="'classic' or 'antialiased', found 'mip'"):
        render(make.splats(3), make.cameras([(8, 8)]), RenderSettings(mode="mip"))  # type: ignore


@pytest.mark.parametrize("shape", [(4,), (3, 3), (8, 8, 3), (9, 8)])
def test_background_of_another_shape(make, shape):
    with pytest.raises(InputError, match=r"background should have shape \(3,\), \(2, 3\) or"):
        render(make.splats(3), make.cameras([(8, 9), (8, 9)]), background=torch.zeros(shape))


def test_background_image_for_views_of_different_sizes(make):
    with pytest.raises(InputError, match="size of every view"):
        render(make.splats(3), make.cameras([(8, 9), (9, 9)]), background=torch.zeros(9, 8, 3))


@pytest.mark.parametrize("broken", ["pose", "K", "focal"])
def test_broken_camera_is_named(make, broken):
    cameras = make.cameras([(8, 8), (8, 8)])
    if broken == "pose":
        cameras.viewmats[1, 0, 3] = float("nan")
    elif broken == "K":
        cameras.Ks[1, 0, 2] = float("inf")
    else:
        cameras.Ks[1, 1, 1] = 0
    with pytest.raises(InputError, match="camera '1' should have a finite pose"):
        render(make.splats(3), cameras)


@pytest.mark.parametrize(
    ("row", "column", "value"), [(0, 1, 0.5), (1, 0, 0.5), (2, 2, 2), (2, 0, 1)]
)
def test_intrinsics_that_are_not_a_pinhole_camera(make, row, column, value):
    cameras = make.cameras([(8, 8), (8, 8)])
    cameras.Ks[1, row, column] = value
    with pytest.raises(InputError, match=r"camera '1' should have K = \[\[fx, 0, cx\]"):
        render(make.splats(3), cameras)


@pytest.mark.parametrize(
    ("rows", "factor"), [(slice(0, 3), 2.0), (slice(1, 2), -1.0), (slice(3, 4), 2.0)]
)
def test_pose_that_is_not_rigid(make, rows, factor):
    cameras = make.cameras([(8, 8), (8, 8)])
    cameras.viewmats[1, rows] *= factor  # larger; mirrored; not over [0, 0, 0, 1]
    with pytest.raises(InputError, match="camera '1' should have a viewmat of a rotation and"):
        render(make.splats(3), cameras)


def test_pose_that_drifted_while_it_was_optimised(make):
    cameras = make.cameras([(8, 8)])
    cameras.viewmats[0, :3, :3] += 1e-3
    render(make.splats(3), cameras)


def test_camera_without_pixels(make):
    cameras = replace(make.cameras([(8, 8)]), heights=(0,))
    with pytest.raises(InputError, match="at least one pixel, found 8 x 0"):
        render(make.splats(3), cameras)


def test_more_than_the_memory_that_is_free(make, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=200 * 2**20))
    with pytest.raises(InputError, match=r"an image of 8000 x 4000 .* 0\.2 GiB .*smaller image"):
        render(make.splats(3), make.cameras([(8000, 4000)]))


def test_many_intersections_are_counted_before_memory_is_asked_for(make, monkeypatch):
    from ops.rendering.cpu import view as viewing

    splats, cameras = make.splats(30), make.cameras([(64, 48)])
    [expected] = render(splats, cameras)
    asked = []
    monkeypatch.setattr(viewing, "guard_memory", lambda needed, what: asked.append((needed, what)))
    monkeypatch.setattr(viewing, "_MANY", 10)
    [seen] = render(splats, cameras)
    assert torch.equal(seen.colors, expected.colors)
    needed, what = asked[0]
    count = int(what.split()[3].replace(",", ""))
    assert needed == 2 * viewing.RECORD_BYTES * count
    assert 30 < count <= 30 * 4


def test_a_gradient_of_more_than_the_memory_that_is_free(make, monkeypatch):
    from ops.rendering.cpu import gradients

    splats = make.trainable(make.splats(30))
    [seen] = render(splats, make.cameras([(64, 48)]))
    asked = []
    monkeypatch.setattr(gradients, "guard_memory", lambda needed, what: asked.append(what))
    seen.colors.sum().backward()
    assert "the gradient of " in asked[0]


def test_other_devices(make):
    splats = make.splats(3)
    with pytest.raises(InputError, match="'cpu' or 'cuda', found 'meta'"):
        render(splats.to("meta"), make.cameras([(8, 8)]).to("cpu"))


def test_splats_on_two_devices(make):
    splats = make.splats(3)
    with pytest.raises(InputError, match="on one device"):
        render(replace(splats, means=splats.means.to("meta")), make.cameras([(8, 8)]))


def test_gsplat_that_cannot_run_is_explained(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gsplat", None)  # as if it were not installed
    with pytest.raises(UnavailableError, match=r"needs gsplat with its CUDA code.*or render on"):
        gpu._gsplat()
