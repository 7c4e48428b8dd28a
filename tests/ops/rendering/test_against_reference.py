"""The CPU renderer against the float64 definition: images and every gradient."""

from __future__ import annotations

import itertools
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
    assert certain.float().mean() > 0.95

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


def _check(make, images, gradients, tolerance=1e-5):
    # Depth is divided by alpha, and its rounding with it.
    covered = images["alphas"][1]
    for name, (found, expected) in images.items():
        weight = covered if name == "expected_depth" else 1.0
        scale = max(1.0, float(expected.abs().max()))
        assert ((found - expected).abs() * weight).max() < 1e-5 * scale, name
    for name, (found, expected) in gradients.items():
        if expected.numel() and expected.norm() > 0:
            assert make.relative(found, expected) < tolerance, name


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("seed", [0, 1])
def test_everything_at_once(make, mode, seed):
    settings = RenderSettings(mode=mode, expected_depth=True, median_depth=True)
    images, gradients = _compare(
        make,
        make.splats(80, seed=seed, features=2),
        make.cameras([(WIDTH, HEIGHT)], seed=seed),
        settings,
        torch.tensor([0.2, 0.5, 0.9]),
    )
    assert set(images) == {"colors", "alphas", "features", "expected_depth", "median_depth"}
    assert all(expected.norm() > 1e-3 for _, expected in gradients.values())
    _check(make, images, gradients)


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_sh_degrees(make, held):
    for used in range(held + 1):
        images, gradients = _compare(
            make,
            make.splats(15, degree=held),
            make.cameras([(20, 18)]),
            RenderSettings(sh_degree=used),
        )
        _check(make, images, gradients)
        unused = gradients["shN"][0][:, (used + 1) ** 2 - 1 :]
        assert torch.equal(unused, torch.zeros_like(unused))


@pytest.mark.parametrize("features", [1, 5, 7, 8, 13, 16, 32, 128])
@pytest.mark.parametrize("depth", [False, True])
def test_feature_channels(make, features, depth):
    images, gradients = _compare(
        make,
        make.splats(20, features=features, degree=0, size=0.25),
        make.cameras([(19, 21)]),
        RenderSettings(expected_depth=depth),
    )
    assert images["features"][0].shape[-1] == features
    _check(make, images, gradients)


def test_many_channels_of_more_gaussians_than_are_worked_on_at_once(make):
    """Some pixels are finished in the first chunk of a tile's list, others in the last."""
    splats = make.splats(400, features=19, degree=0, size=0.2)
    splats = replace(splats, opacity_logits=splats.opacity_logits - 2)
    settings = RenderSettings(expected_depth=True)
    images, gradients = _compare(make, splats, make.cameras([(40, 30)]), settings)
    assert images["alphas"][0].max() > 0.999 > 0.5 > images["alphas"][0].min()
    _check(make, images, gradients)


@pytest.mark.parametrize("eps2d", [0.05, 1.0])
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_eps2d(make, eps2d, mode):
    settings = RenderSettings(eps2d=eps2d, mode=mode)
    images, gradients = _compare(make, make.splats(40), make.cameras([(33, 17)]), settings)
    _check(make, images, gradients)


def test_opaque_gaussians_in_front_of_each_other(make):
    splats = make.splats(150, size=0.3)
    splats = replace(splats, opacity_logits=splats.opacity_logits + 6)
    settings = RenderSettings(expected_depth=True, median_depth=True)
    images, gradients = _compare(make, splats, make.cameras([(40, 34)]), settings)
    assert images["alphas"][1].max() > 0.9995  # the cut at 0.999 and the stop at 1e-4 are met
    _check(make, images, gradients)


def test_near_and_far_plane(make):
    splats, cameras = make.splats(80), make.cameras([(WIDTH, HEIGHT)])
    [everything] = render(splats, cameras)
    settings = RenderSettings(near_plane=2.8, far_plane=3.3)
    images, gradients = _compare(make, splats, cameras, settings)
    _check(make, images, gradients)
    assert images["alphas"][0].mean() < 0.7 * everything.alphas.mean()


def test_inside_the_scene(make):
    # Gaussians beside and behind the camera, far outside the image, and right in front of it.
    cameras = make.cameras([(WIDTH, HEIGHT)], distance=0.3)
    images, gradients = _compare(make, make.splats(60, size=0.1), cameras, RenderSettings())
    _check(make, images, gradients, tolerance=1e-4)


@pytest.mark.parametrize("shape", [(3,), (HEIGHT, WIDTH, 3)])
def test_backgrounds(make, shape):
    background = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    images, gradients = _compare(
        make, make.splats(20), make.cameras([(WIDTH, HEIGHT)]), RenderSettings(), background
    )
    _check(make, images, gradients)
    assert gradients["background"][0].shape == shape


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 1), (16, 16), (17, 32)])
def test_image_sizes(make, size):
    images, gradients = _compare(
        make, make.splats(40, size=0.3), make.cameras([size]), RenderSettings()
    )
    _check(make, images, gradients)


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("thin", [-9.0, -5.5])
def test_long_thin_gaussians(make, mode, thin):
    # Hundreds of pixels long and less than one wide, at all angles: an inverse covariance in
    # float32 would lose them.
    splats = make.splats(12, degree=0)
    log_scales = torch.tensor([0.7, thin, thin - 0.4]).expand(12, 3).clone()
    splats = replace(splats, log_scales=log_scales, opacity_logits=torch.full((12,), 2.0))
    cameras = make.cameras([(150, 120)])
    images, gradients = _compare(make, splats, cameras, RenderSettings(mode=mode))
    assert images["alphas"][1].max() > (0.02 if mode == "antialiased" and thin < -6 else 0.6)
    for name, (found, expected) in images.items():
        assert (found - expected).abs().max() < 1e-4, name
    for name, (found, expected) in gradients.items():
        if expected.numel():
            assert make.relative(found, expected) < 2e-4, name


def test_cameras_of_different_sizes_in_one_call(make):
    sizes = [(45, 37), (16, 50), (7, 3)]
    splats, cameras = make.splats(50), make.cameras(sizes)
    backgrounds = torch.rand(3, 3, generator=torch.Generator().manual_seed(3))
    together = render(splats, cameras, background=backgrounds)
    assert len(together) == 3
    for c, (width, height) in enumerate(sizes):
        assert together[c].colors.shape == (height, width, 3)
        [alone] = render(splats, cameras[c], background=backgrounds[c])
        assert torch.equal(together[c].colors, alone.colors)
        expected = render_reference(
            splats.to(dtype=torch.float64),
            cameras.viewmats[c].double(),
            cameras.Ks[c].double(),
            width,
            height,
            RenderSettings(),
            backgrounds[c].double(),
        )
        certain = expected.margin > 1e-5
        assert (alone.colors - expected.colors)[certain].abs().max() < 1e-5


def test_gradients_of_several_cameras_add_up(make):
    cameras = make.cameras([(45, 37), (16, 50)])
    together = make.trainable(make.splats(50))
    sum(r.colors.square().sum() for r in render(together, cameras)).backward()
    apart = make.trainable(make.splats(50))
    for c in range(2):
        render(apart, cameras[c])[0].colors.square().sum().backward()
    for name, tensor in together.tensors().items():
        assert make.relative(tensor.grad, apart.tensors()[name].grad) < 1e-6, name


@pytest.mark.parametrize("features", [2, 13])
def test_losses_that_leave_out_some_of_what_was_rendered(make, features):
    splats, cameras = make.splats(60, features=features), make.cameras([(WIDTH, HEIGHT)])
    wanted = RenderSettings(expected_depth=True, median_depth=True, absgrad=True)
    names = ("colors", "alphas", "features", "expected_depth")

    def gradients(used, others_too):
        """Of the sum of squares of the ``used`` images; the others with a factor of 0, or not."""
        trained = make.trainable(splats)
        [seen] = render(trained, cameras, wanted)
        factors = {name: 1.0 if name in used else 0.0 for name in names}
        images = [n for n in names if n in used or others_too]
        sum(factors[n] * getattr(seen, n).square().sum() for n in images).backward()
        found = {n: t.grad for n, t in trained.tensors().items() if t.grad is not None}
        return found | {"means2d": seen.screen.means2d.grad, "absgrad": seen.screen.means2d.absgrad}

    for count in (1, 2, 3):
        for used in itertools.combinations(names, count):
            found, expected = gradients(used, False), gradients(used, True)
            for name, tensor in expected.items():
                there = found.get(name, torch.zeros_like(tensor))
                assert torch.allclose(there, tensor, rtol=1e-6, atol=0), (used, name)
