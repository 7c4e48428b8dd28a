"""The CPU renderer against the float64 definition: images and every gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ops.rendering.interface import RenderSettings
from ops.rendering.reference import render_reference
from ops.rendering.render import render

WIDTH, HEIGHT = 45, 37


def _compare(make, splats, cameras, settings, background=None):
    """Renders both ways with random loss weights; yields name, found, expected."""
    width, height = cameras.widths[0], cameras.heights[0]
    a, b = make.trainable(splats), make.trainable(splats.to(dtype=torch.float64))
    pose_a = cameras.viewmats.clone().requires_grad_()
    pose_b = cameras.viewmats[0].double().requires_grad_()
    offsets = torch.zeros(len(splats), 2, dtype=torch.float64, requires_grad=True)
    back_a = back_b = None
    if background is not None:
        back_a = background.clone().requires_grad_()
        back_b = background.double().requires_grad_()

    [found] = render(a, replace(cameras, viewmats=pose_a), settings, back_a)
    expected = render_reference(
        b, pose_b, cameras.Ks[0].double(), width, height, settings, back_b, offsets
    )
    # Where an alpha is within rounding of a jump of the rules, either side is right.
    certain = expected.margin > 1e-5
    assert certain.float().mean() > 0.99

    images, loss_a, loss_b = {}, 0.0, 0.0
    g = torch.Generator().manual_seed(1)
    for name in ("colors", "alphas", "features", "expected_depth", "median_depth"):
        x, y = getattr(found, name), getattr(expected, name)
        if x is None:
            continue
        images[name] = (x.detach()[certain], y.detach()[certain])
        if name != "median_depth":
            weights = torch.randn(x.shape, generator=g) * certain.reshape(
                height, width, *[1] * (x.ndim - 2)
            )
            loss_a, loss_b = loss_a + (weights * x).sum(), loss_b + (weights * y).sum()
    loss_a.backward()
    loss_b.backward()
    gradients = {
        name: (tensor.grad, b.tensors()[name].grad) for name, tensor in a.tensors().items()
    }
    gradients["viewmats"] = (pose_a.grad[0], pose_b.grad)
    gradients["means2d"] = (found.screen.means2d.grad, offsets.grad)
    if background is not None:
        gradients["background"] = (back_a.grad, back_b.grad)
    return images, gradients


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("seed", [0, 1])
def test_images_and_gradients(make, mode, seed):
    settings = RenderSettings(mode=mode, expected_depth=True, median_depth=True)
    images, gradients = _compare(
        make,
        make.splats(80, seed=seed, features=2),
        make.cameras([(WIDTH, HEIGHT)], seed=seed),
        settings,
        torch.tensor([0.2, 0.5, 0.9]),
    )
    assert set(images) == {"colors", "alphas", "features", "expected_depth", "median_depth"}
    # Depth is divided by alpha, and rounding with it.
    covered = images["alphas"][1]
    for name, (found, expected) in images.items():
        weight = covered if name == "expected_depth" else 1.0
        assert ((found - expected).abs() * weight).max() < 1e-5, name
    for name, (found, expected) in gradients.items():
        if expected.numel():
            assert expected.norm() > 1e-3, name
            assert make.relative(found, expected) < 1e-5, name
