"""Extreme and broken input: defined, finite results."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ops.rendering.interface import RenderSettings
from ops.rendering.render import render
from ops.splats.model import Splats

DEPTHS = RenderSettings(expected_depth=True, median_depth=True, absgrad=True)
SMOOTH = replace(DEPTHS, mode="antialiased")
FIELDS = ["means", "quats", "log_scales", "opacity_logits", "sh0", "shN", "features"]


def _finite(splats: Splats, cameras, settings=DEPTHS, background=None):
    """Renders, goes back, and checks that all of it is finite."""
    [seen] = render(splats, cameras, settings, background)
    images = [seen.colors, seen.alphas, seen.expected_depth, seen.median_depth]
    images += [] if seen.features is None else [seen.features]
    for image in images:
        assert torch.isfinite(image).all()
    assert (seen.alphas >= 0).all()
    assert (seen.alphas <= 1).all()
    if any(t.requires_grad for t in splats.tensors().values()):
        sum(i.sum() for i in images if i.requires_grad).backward()
        for name, tensor in splats.tensors().items():
            assert torch.isfinite(tensor.grad).all(), name
        assert torch.isfinite(seen.screen.means2d.grad).all()
    return seen


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("settings", [DEPTHS, SMOOTH])
def test_broken_gaussians_are_not_drawn(make, field, value, settings):
    splats, cameras = make.splats(20, features=2), make.cameras([(30, 26)])
    broken = splats.tensors()[field].clone()
    broken[3, ...] = value
    broken.reshape(20, -1)[7, 0] = value
    seen = _finite(make.trainable(replace(splats, **{field: broken})), cameras, settings)
    assert (seen.screen.radii[[3, 7]] == 0).all()
    rest = torch.ones(20, dtype=torch.bool)
    rest[[3, 7]] = False
    [expected] = render(splats.select(rest), cameras, settings)
    assert torch.equal(seen.colors, expected.colors)


@pytest.mark.parametrize("settings", [DEPTHS, SMOOTH])
def test_quaternions_of_length_zero_are_not_drawn(make, settings):
    splats = make.splats(20)
    quats = splats.quats.clone()
    quats[3] = 0
    quats[5] = 1e-30  # its square is 0 in float32
    seen = _finite(make.trainable(replace(splats, quats=quats)), make.cameras([(30, 26)]), settings)
    assert (seen.screen.radii[[3, 5]] == 0).all()


def test_length_of_quaternions_does_not_matter(make):
    splats, cameras = make.splats(20), make.cameras([(30, 26)])
    [a] = render(splats, cameras)
    for factor in (1e-10, 1e10):
        [b] = render(replace(splats, quats=splats.quats * factor), cameras)
        assert (a.colors - b.colors).abs().max() < 1e-5


@pytest.mark.parametrize("settings", [DEPTHS, SMOOTH])
@pytest.mark.parametrize(
    "log_scales",
    [
        (-60.0, -60.0, -60.0),  # points
        (-200.0, -200.0, -200.0),  # 0 in float32
        (3.0, -30.0, -30.0),  # needles
        (3.0, 3.0, -30.0),  # sheets
        (8.0, 8.0, 8.0),  # larger than everything
        (30.0, 30.0, 30.0),
        (80.0, -80.0, 0.0),
        (200.0, 0.0, 0.0),  # infinite in float32
    ],
)
def test_extreme_scales(make, settings, log_scales):
    splats = make.splats(20, features=1)
    splats = replace(splats, log_scales=torch.tensor(log_scales).expand(20, 3).clone())
    _finite(make.trainable(splats), make.cameras([(70, 41)]), settings)


@pytest.mark.parametrize("eps2d", [0.0, 1e-12, 1e6])
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_extreme_dilation(make, eps2d, mode):
    settings = replace(DEPTHS, eps2d=eps2d, mode=mode)
    splats = make.splats(30)
    flat = splats.log_scales.clone()
    flat[::2, 0] = -40
    _finite(make.trainable(replace(splats, log_scales=flat)), make.cameras([(40, 40)]), settings)


@pytest.mark.parametrize("near", [0.01, 0.0, -1.0])
def test_gaussians_on_and_behind_the_near_plane(make, near):
    cameras = make.cameras([(40, 31)])
    to_world = cameras.camtoworlds[0]
    z = torch.tensor([-1.0, -1e-6, 0.0, 1e-30, 1e-6, 0.01, 0.010001, 0.02, 1.0])
    points = torch.stack([0.3 * z, 0.2 * z, z], dim=-1)
    splats = make.splats(len(z))
    means = points @ to_world[:3, :3].T + to_world[:3, 3]
    splats = make.trainable(replace(splats, means=means, opacity_logits=torch.full((9,), 2.0)))
    seen = _finite(splats, cameras, replace(DEPTHS, near_plane=near))
    assert (seen.screen.radii[:3] == 0).all()  # never behind or in the camera
    assert (seen.screen.radii[-1] > 0).all()


def test_a_gaussian_at_the_camera_centre(make):
    cameras = make.cameras([(20, 20)])
    splats = make.splats(1)
    splats = make.trainable(replace(splats, means=cameras.centers.clone()))
    seen = _finite(splats, cameras, replace(DEPTHS, near_plane=0.0))
    assert (seen.alphas == 0).all()


def test_far_away_and_huge_coordinates(make):
    splats = make.splats(40)
    means = splats.means * torch.logspace(0, 37, 40)[:, None]
    _finite(make.trainable(replace(splats, means=means)), make.cameras([(40, 40)]))


def test_large_opacity_and_colour(make):
    splats = make.splats(40)
    splats = replace(
        splats,
        opacity_logits=torch.linspace(-100, 100, 40),
        sh0=splats.sh0 * 1e6,
    )
    _finite(make.trainable(splats), make.cameras([(40, 40)]))


def test_no_gaussians(make):
    cameras = make.cameras([(12, 9), (1, 1)])
    background = torch.tensor([0.25, 0.5, 0.75])
    none = make.trainable(make.splats(5, features=4).select(torch.zeros(5, dtype=torch.bool)))
    for settings in (DEPTHS, RenderSettings()):
        for seen in render(none, cameras, settings, background):
            assert torch.equal(seen.colors, background.expand_as(seen.colors))
            assert (seen.alphas == 0).all()
            assert (seen.features == 0).all()
            assert seen.screen.means2d.shape == seen.screen.radii.shape == (0, 2)
            seen.colors.sum().backward()
            assert none.means.grad.shape == (0, 3)


def test_a_view_of_nothing(make):
    splats = make.splats(10)
    away = make.trainable(replace(splats, means=splats.means + 1000))
    seen = _finite(away, make.cameras([(33, 20)]), background=torch.tensor([0.1, 0.2, 0.3]))
    assert torch.equal(seen.colors[5, 5], torch.tensor([0.1, 0.2, 0.3]))
    assert (seen.expected_depth == 0).all()
    assert (seen.median_depth == 0).all()
    assert (away.means.grad == 0).all()


def test_a_loss_that_is_not_a_number_stays_visible(make):
    splats = make.trainable(make.splats(10))
    [seen] = render(splats, make.cameras([(33, 20)]))
    (seen.colors * math.nan).sum().backward()
    assert torch.isnan(splats.means.grad).any()


def test_changing_a_parameter_before_backward_is_an_error(make):
    splats = make.trainable(make.splats(10))
    [seen] = render(splats, make.cameras([(33, 20)]))
    with torch.no_grad():
        splats.means.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        seen.colors.sum().backward()


def test_other_precisions_and_layouts(make):
    splats, cameras = make.splats(20), make.cameras([(30, 26)])
    [expected] = render(splats, cameras)
    double = make.trainable(splats.to(dtype=torch.float64))
    [seen] = render(double, cameras.to(dtype=torch.float64))
    assert seen.colors.dtype == torch.float32
    assert torch.equal(seen.colors, expected.colors)
    seen.colors.sum().backward()
    assert double.means.grad.dtype == torch.float64
    strided = Splats(
        **{k: v.t().contiguous().t() if v.ndim == 2 else v for k, v in splats.tensors().items()}
    )
    assert torch.equal(render(strided, cameras)[0].colors, expected.colors)


def test_gradients_of_any_layout(make):
    splats, cameras = make.splats(20, features=3), make.cameras([(30, 26)])
    weights = torch.randn(26, 30, 3, generator=torch.Generator().manual_seed(0))
    grads = []
    for given in (
        weights,
        weights.permute(2, 0, 1).contiguous().permute(1, 2, 0),
        weights.double(),
    ):
        s = make.trainable(splats)
        [seen] = render(s, cameras)
        (seen.colors.to(given.dtype) * given + seen.features).sum().backward()
        grads.append(s.means.grad)
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])
