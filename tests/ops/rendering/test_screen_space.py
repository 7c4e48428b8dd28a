"""What densification reads after a backward pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ops.rendering.interface import RenderSettings
from ops.rendering.render import render


def test_gradient_is_that_of_moving_gaussians_in_the_image(make):
    # Moving the principal point moves every projected mean by as much, in pixels.
    # The Gaussians are larger than the image: no pixel comes near the cut at 1/255.
    splats = make.splats(5, degree=0)
    large = {"log_scales": 0.1 * splats.log_scales + 0.3, "opacity_logits": torch.zeros(5)}
    splats = make.trainable(replace(splats, **large))
    cameras = make.cameras([(40, 30)])
    weights = torch.randn(30, 40, 3, generator=torch.Generator().manual_seed(1))

    def loss(cx, cy):
        Ks = cameras.Ks.double()
        Ks[:, 0, 2] += cx
        Ks[:, 1, 2] += cy
        [seen] = render(splats, replace(cameras, Ks=Ks))
        return (weights * seen.colors).sum(dtype=torch.float64), seen

    value, seen = loss(0, 0)
    value.backward()
    found = seen.screen.means2d.grad.sum(0)
    step = 0.1
    for axis, (dx, dy) in enumerate(((step, 0), (0, step))):
        with torch.no_grad():
            slope = (loss(dx, dy)[0] - loss(-dx, -dy)[0]) / (2 * step)
        assert found[axis] == pytest.approx(float(slope), rel=1e-3)


def test_absolute_gradient(make):
    splats, cameras = make.trainable(make.splats(30)), make.cameras([(40, 30)])
    settings = RenderSettings(absgrad=True)
    [seen] = render(splats, cameras, settings)
    seen.colors.square().sum().backward()
    absolute, gradient = seen.screen.means2d.absgrad, seen.screen.means2d.grad
    assert absolute.shape == gradient.shape == (30, 2)
    assert (absolute >= gradient.abs() * (1 - 1e-4)).all()
    assert absolute.sum() > 1.5 * gradient.abs().sum()

    # It is the sum over pixels of the absolute gradient of each pixel alone.
    total = torch.zeros(30, 2)
    for y in range(10, 20):
        for x in range(15, 25):
            [seen] = render(splats, cameras, settings)
            seen.colors[y, x].square().sum().backward()
            total += seen.screen.means2d.grad.abs()
    mask = torch.zeros(30, 40, 1)
    mask[10:20, 15:25] = 1
    [seen] = render(splats, cameras, settings)
    (mask * seen.colors.square()).sum().backward()
    assert make.relative(seen.screen.means2d.absgrad, total) < 1e-4


def test_gradients_accumulate_like_any_leaf(make):
    splats, cameras = make.trainable(make.splats(10)), make.cameras([(20, 20)])
    [seen] = render(splats, cameras, RenderSettings(absgrad=True))
    seen.colors.sum().backward(retain_graph=True)
    once, absolute = seen.screen.means2d.grad.clone(), seen.screen.means2d.absgrad.clone()
    seen.colors.sum().backward()
    assert torch.allclose(seen.screen.means2d.grad, 2 * once)
    assert torch.allclose(seen.screen.means2d.absgrad, 2 * absolute)


def test_radii_bound_what_is_seen(make):
    splats, cameras = make.splats(1, degree=0), make.cameras([(40, 30)])
    splats = replace(splats, means=torch.zeros(1, 3), opacity_logits=torch.full((1,), 3.0))
    [seen] = render(splats, cameras)
    [[rx, ry]], [[x, y]] = seen.screen.radii.tolist(), seen.screen.means2d.tolist()
    assert seen.screen.radii.dtype == torch.int32
    ys, xs = torch.nonzero(seen.alphas > 0, as_tuple=True)
    reach_x, reach_y = (xs + 0.5 - x).abs().max(), (ys + 0.5 - y).abs().max()
    assert rx - 2 < reach_x <= rx
    assert ry - 2 < reach_y <= ry


def test_gaussians_that_are_not_seen_have_no_radius_and_no_gradient(make):
    splats = make.splats(30)
    means = splats.means.clone()
    means[::2] += 100.0
    splats = make.trainable(replace(splats, means=means))
    [seen] = render(splats, make.cameras([(40, 30)]))
    seen.colors.sum().backward()
    hidden = (seen.screen.radii == 0).all(1)
    assert hidden[::2].all()
    assert not hidden[1::2].all()
    for name, tensor in {**splats.tensors(), "means2d": seen.screen.means2d}.items():
        assert (tensor.grad[hidden] == 0).all(), name


def test_without_gradients_nothing_is_recorded(make):
    with torch.no_grad():
        [seen] = render(make.trainable(make.splats(10)), make.cameras([(20, 20)]))
    assert not seen.colors.requires_grad
    assert not seen.screen.means2d.requires_grad
    [seen] = render(make.splats(10), make.cameras([(20, 20)]))
    assert not seen.colors.requires_grad


def test_strategy_of_gsplat_reads_it(make):
    strategies = pytest.importorskip("gsplat.strategy", reason="gsplat is not installed")
    splats = make.trainable(make.splats(200))
    params = {
        "means": splats.means,
        "scales": splats.log_scales,
        "quats": splats.quats,
        "opacities": splats.opacity_logits,
    }
    optimizers = {k: torch.optim.Adam([v], lr=1e-3) for k, v in params.items()}
    strategy = strategies.DefaultStrategy()
    state = strategy.initialize_state()
    [seen] = render(splats, make.cameras([(40, 30)]))
    seen.screen.means2d.retain_grad()  # what the strategy does before backward; no-op on a leaf
    seen.colors.square().sum().backward()
    batch = seen.screen.means2d.detach()[None]
    batch.grad = seen.screen.means2d.grad[None]
    info = {
        "means2d": batch,
        "radii": seen.screen.radii[None],
        "width": 40,
        "height": 30,
        "n_cameras": 1,
        "gaussian_ids": None,
    }
    strategy._update_state(params, state, info)
    visible = (seen.screen.radii > 0).all(1)
    assert torch.equal(state["count"] > 0, visible)
    scaled = seen.screen.means2d.grad * torch.tensor([20.0, 15.0])
    assert torch.allclose(state["grad2d"][visible], scaled.norm(dim=-1)[visible])
    assert optimizers
