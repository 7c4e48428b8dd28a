"""What cannot be rendered, and what the message says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from ops.errors import InputError, UnavailableError
from ops.rendering import gpu
from ops.rendering.fisher import FisherSettings, fisher_information, uncertainty_maps
from ops.rendering.interface import RenderSettings
from ops.rendering.render import render


def test_sh_degree_that_is_not_held(make):
    with pytest.raises(InputError, match="between 0 and the 1 that the splats hold, found 2"):
        render(make.splats(3, degree=1), make.cameras([(8, 8)]), RenderSettings(sh_degree=2))


def test_unknown_mode(make):
    with pytest.raises(InputError, match="'classic' or 'antialiased', found 'mip'"):
        render(make.splats(3), make.cameras([(8, 8)]), RenderSettings(mode="mip"))  # type: ignore


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sh_degree": 0.5}, r"sh_degree should be between 0 and the 1 .* found 0\.5"),
        ({"sh_degree": "1"}, "sh_degree should be between 0 and the 1 .* found '1'"),
        ({"eps2d": -1.0}, "eps2d should be finite and not negative, found -1"),
        ({"eps2d": float("nan")}, "eps2d should be finite"),
        ({"eps2d": float("inf")}, "eps2d should be finite"),
        ({"near_plane": float("nan")}, "near_plane should be below far_plane, found nan and"),
        ({"far_plane": float("nan")}, "near_plane should be below far_plane"),
        ({"near_plane": 2.0, "far_plane": 1.0}, r"found 2\.0 and 1\.0"),
    ],
)
def test_settings_that_mean_nothing(make, settings, message):
    with pytest.raises(InputError, match=message):
        render(make.splats(3, degree=1), make.cameras([(8, 8)]), RenderSettings(**settings))


def test_other_types(make):
    splats, cameras = make.splats(3), make.cameras([(8, 8)])
    with pytest.raises(InputError, match="background should be a tensor, found list"):
        render(splats, cameras, background=[0, 0, 0])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"whole numbers of pixels, at least one, found 8\.0 x 8"):
        render(splats, replace(cameras, widths=(8.0,)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="means should be floating point numbers, found"):
        render(replace(splats, means=splats.means.to(torch.complex64)), cameras)


@pytest.mark.parametrize("other", ["float64", "meta"])
def test_whatever_torch_makes_by_default(make, other):
    splats, cameras = make.splats(30, features=2), make.cameras([(24, 16)])
    wanted = RenderSettings(expected_depth=True, median_depth=True, absgrad=True)

    def everything():
        trained = make.trainable(splats)
        [seen] = render(trained, cameras, wanted)
        (seen.colors.sum() + seen.features.sum() + seen.expected_depth.sum()).backward()
        [exact] = fisher_information(splats, cameras, None, FisherSettings(blocks=True))
        probes = FisherSettings(method="probes", probes=2, blocks=True)
        [estimate] = fisher_information(splats, cameras, None, probes)
        [variance] = uncertainty_maps(splats, cameras, exact)
        gradients = [t.grad for t in trained.tensors().values() if t.grad is not None]
        return [seen.colors, seen.median_depth, *gradients, exact.blocks, estimate.blocks, variance]

    expected = everything()
    if other == "meta":
        with torch.device("meta"):
            found = everything()
    else:
        torch.set_default_dtype(torch.float64)
        try:
            found = everything()
        finally:
            torch.set_default_dtype(torch.float32)
    assert all(torch.equal(f, e) for f, e in zip(found, expected, strict=True))


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
    with pytest.raises(InputError, match="at least one, found 8 x 0"):
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
    [(needed, what)] = [a for a in asked if "intersections" in a[1]]
    count = int(what.split()[3].replace(",", ""))
    assert needed == 2 * viewing.RECORD_BYTES * count
    assert 30 < count <= 30 * 4


def test_a_gradient_of_more_than_the_memory_that_is_free(make, monkeypatch):
    from ops.rendering.cpu import gradients

    splats = make.trainable(make.splats(30))
    [seen] = render(splats, make.cameras([(64, 48)]))
    asked = []
    monkeypatch.setattr(
        gradients, "guard_memory", lambda needed, what: asked.append((what, needed))
    )
    seen.colors.sum().backward()
    assert ("the gradient of 64 x 48 pixels", 4 * 64 * 48 * 3) in asked
    assert any("intersections" in what and needed >= 4 * 16 for what, needed in asked)


def test_an_image_that_no_machine_holds(make):
    with pytest.raises(InputError, match=r"an image of 2000000 x 2000000 needs .* fewer channels"):
        render(make.splats(3), make.cameras([(2_000_000, 2_000_000)]))


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
