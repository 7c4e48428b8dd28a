"""Fisher information against the Jacobian of the float64 definition, and against itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ops.errors import InputError
from ops.rendering.fisher import (
    BLOCK_PARAMETERS,
    FisherSettings,
    fisher_information,
    uncertainty_maps,
)
from ops.rendering.interface import RenderSettings
from ops.rendering.reference import render_reference

NAMES = ("means", "quats", "log_scales", "opacity_logits")


def _jacobian(splats, cameras, settings, background, reach):
    """[outputs, numbers] by parameter, in float64, rows of uncertain pixels left out."""
    width, height = cameras.widths[0], cameras.heights[0]
    own = {k: v.double().requires_grad_() for k, v in splats.tensors().items()}

    def outputs(values):
        return render_reference(
            type(splats)(**values),
            cameras.viewmats[0].double(),
            cameras.Ks[0].double(),
            width,
            height,
            settings,
            None if background is None else background.double(),
        )

    seen = outputs(own)
    assert (seen.margin > 1e-6).all()  # no pixel is near a jump of the rules
    flat = [seen.colors.reshape(-1)]
    if seen.features is not None:
        stopped = {k: v if k == "features" else v.detach() for k, v in own.items()}
        features = seen.features if reach else outputs(stopped).features
        flat.append(features.reshape(-1))
    y = torch.cat(flat)
    rows = torch.eye(len(y), dtype=torch.float64)
    found = torch.autograd.grad(y, list(own.values()), rows, is_grads_batched=True)
    return {name: g.reshape(len(y), *own[name].shape) for name, g in zip(own, found, strict=True)}


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize(
    ("seed", "degree", "features", "reach", "distance"),
    [(0, 3, 0, True, 3.0), (1, 2, 3, True, 3.0), (2, 1, 2, False, 3.0), (3, 0, 0, True, 1.2)],
)
def test_exact_information(make, mode, seed, degree, features, reach, distance):
    splats = make.splats(12, seed=seed, degree=degree, features=features, size=0.25)
    cameras = make.cameras([(17, 14)], seed=seed, distance=distance)
    settings, background = RenderSettings(mode=mode), torch.tensor([0.2, 0.5, 0.9])
    wanted = FisherSettings(method="exact", features_reach_shapes=reach, blocks=True)
    [found] = fisher_information(splats, cameras, settings, wanted, background)
    alone = replace(wanted, blocks=False)
    [diagonal] = fisher_information(splats, cameras, settings, alone, background)
    J = _jacobian(splats, cameras, settings, background, reach)
    for name, exact in ((name, J[name].square().sum(0)) for name in found.tensors()):
        for value in (found.tensors()[name], diagonal.tensors()[name]):
            assert value.shape == exact.shape
            if exact.numel():
                assert make.relative(value, exact) < 1e-5, name
                seen = exact > 1e-4 * exact.max()
                assert ((value - exact).abs() / exact)[seen].max() < 2e-3, name
    rows = torch.cat([J[n].reshape(*J[n].shape[:2], -1) for n in NAMES], dim=2)
    exact = torch.einsum("onj,onk->njk", rows, rows)
    assert found.blocks.shape == (12, len(BLOCK_PARAMETERS), len(BLOCK_PARAMETERS))
    assert make.relative(found.blocks, exact) < 1e-5
    diagonal = torch.cat([found.tensors()[n].reshape(12, -1) for n in NAMES], dim=1)
    assert torch.allclose(found.blocks.diagonal(dim1=1, dim2=2), diagonal, rtol=1e-5)
    assert not found.estimated


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize(("degree", "features"), [(3, 0), (0, 2)])
def test_information_as_fisherrf_adds_it_up(make, mode, degree, features):
    splats = make.splats(12, seed=4, degree=degree, features=features, size=0.25)
    cameras = make.cameras([(17, 14)], seed=4)
    settings, background = RenderSettings(mode=mode), torch.tensor([0.2, 0.5, 0.9])
    wanted = FisherSettings(method="exact", variant="fisherrf", features_reach_shapes=False)
    [found] = fisher_information(splats, cameras, settings, wanted, background)
    J = _jacobian(splats, cameras, settings, background, False)
    pixels = 17 * 14
    opacities = torch.sigmoid(splats.opacity_logits.double())
    once = {
        "log_scales": splats.log_scales.double().exp(),
        "opacity_logits": opacities * (1 - opacities),
    }
    for name, value in found.tensors().items():
        rows = J[name]
        grey = rows[: 3 * pixels].reshape(pixels, 3, *rows.shape[1:]).sum(1)
        exact = (grey.square().sum(0) + rows[3 * pixels :].square().sum(0)) / once.get(name, 1.0)
        assert make.relative(value, exact) < 1e-5, name
    probed = replace(wanted, method="probes", probes=400)
    [estimate] = fisher_information(splats, cameras, settings, probed, background)
    for name, value in estimate.tensors().items():
        true = found.tensors()[name]
        if not true.numel():
            continue
        seen = true > 1e-6 * true.max()
        z = (value - true)[seen] / (true[seen] * (2 / 400) ** 0.5)
        assert z.abs().max() < 6, name


def test_summed_channels_bound_the_information(make):
    # (a + b + c)^2 <= 3 (a^2 + b^2 + c^2); of coefficients of one colour only that channel is left.
    splats, cameras = make.splats(60, degree=1, size=0.2), make.cameras([(30, 24)])
    [exact] = fisher_information(splats, cameras)
    [summed] = fisher_information(splats, cameras, fisher=FisherSettings(variant="fisherrf"))
    assert (summed.means <= 3 * exact.means * (1 + 1e-4)).all()
    assert (summed.quats <= 3 * exact.quats * (1 + 1e-4)).all()
    assert torch.equal(summed.sh0, exact.sh0)
    assert torch.equal(summed.shN, exact.shN)


def test_probes_agree_with_the_exact_information(make):
    splats = make.splats(30, degree=2, features=3, size=0.2)
    cameras = make.cameras([(24, 20)])
    [exact] = fisher_information(splats, cameras, fisher=FisherSettings(blocks=True))
    probes = 600
    wanted = FisherSettings(method="probes", probes=probes, blocks=True)
    [found] = fisher_information(splats, cameras, fisher=wanted)
    assert found.estimated
    for name, value in found.tensors().items():
        true = exact.tensors()[name]
        seen = true > 0
        z = (value - true)[seen] / (true[seen] * (2 / probes) ** 0.5)
        assert z.abs().max() < 6, name  # the bound of the variance is not reached
        assert z.square().mean() < 2, name
        assert (value[~seen] == 0).all()
    scale = exact.blocks.diagonal(dim1=1, dim2=2).sqrt()
    scale = scale[:, :, None] * scale[:, None, :] + 1e-12
    assert ((found.blocks - exact.blocks) / scale).abs().max() < 6 * (2 / probes) ** 0.5


def test_features_that_do_not_reach_shapes(make):
    splats, cameras = make.splats(20, features=4, size=0.2), make.cameras([(24, 20)])
    stopped = FisherSettings(features_reach_shapes=False)
    [with_features] = fisher_information(splats, cameras, fisher=stopped)
    [without] = fisher_information(replace(splats, features=None), cameras)
    for name, value in without.tensors().items():
        assert torch.equal(value, with_features.tensors()[name]), name
    per_gaussian = with_features.features
    assert torch.equal(per_gaussian, per_gaussian[:, :1].expand_as(per_gaussian))
    probed = replace(stopped, method="probes", probes=200)
    [estimate] = fisher_information(splats, cameras, fisher=probed)
    assert make.relative(estimate.log_scales, with_features.log_scales) < 0.3


def test_information_of_pixels_adds_up(make):
    # The lower and the upper half of an image are views of their own.
    splats, cameras = make.splats(40), make.cameras([(30, 40)])
    # All of them near the middle: the bound of the Jacobian depends on the size of the image.
    splats = replace(splats, means=0.02 * splats.means)
    [whole] = fisher_information(splats, cameras)
    upper = replace(cameras, heights=(20,))
    Ks = cameras.Ks.clone()
    Ks[:, 1, 2] -= 20
    lower = replace(cameras, Ks=Ks, heights=(20,))
    parts = [fisher_information(splats, c)[0] for c in (upper, lower)]
    for name, value in whole.tensors().items():
        total = parts[0].tensors()[name] + parts[1].tensors()[name]
        assert make.relative(total, value) < 1e-4, name


def test_what_is_not_seen_has_no_information(make):
    splats = make.splats(3, degree=0, size=0.3)
    splats = replace(splats, means=torch.zeros(3, 3), sh0=torch.rand(3, 1, 3) + 1)
    [once] = fisher_information(splats, make.cameras([(20, 20)]))
    away = replace(splats, means=splats.means + 1000)
    [nothing] = fisher_information(away, make.cameras([(20, 20)]))
    for name, value in nothing.tensors().items():
        assert (value == 0).all(), name
        assert (once.tensors()[name] >= 0).all()


@pytest.mark.parametrize("blocks", [False, True])
def test_same_bytes_for_any_number_of_threads(make, torch_threads, blocks):
    splats, cameras = make.splats(3000, features=3, degree=2, size=0.03), make.cameras([(70, 61)])
    found = []
    for count in (1, 2, 3):
        torch_threads(count)
        [one] = fisher_information(splats, cameras, fisher=FisherSettings(blocks=blocks))
        values = one.tensors() | ({"blocks": one.blocks} if blocks else {})
        found.append({k: v.numpy().tobytes() for k, v in values.items()})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("log_scale", [-60.0, 8.0, 30.0])
def test_extreme_input_is_finite(make, log_scale, blocks):
    splats = make.splats(20, features=1)
    log_scales = splats.log_scales.clone()
    log_scales[::2] = log_scale
    quats = splats.quats.clone()
    quats[3] = 0
    means = splats.means.clone()
    means[5] = float("nan")
    splats = replace(splats, log_scales=log_scales, quats=quats, means=means)
    wanted = FisherSettings(blocks=blocks)
    [found] = fisher_information(splats, make.cameras([(33, 20)]), fisher=wanted)
    for name, value in found.tensors().items():
        assert torch.isfinite(value).all(), name
        assert (value >= 0).all(), name
    assert found.blocks is None or torch.isfinite(found.blocks).all()


def test_bad_input(make):
    splats, cameras = make.splats(3), make.cameras([(8, 8)])
    with pytest.raises(InputError, match="probes should be at least 1, found 0"):
        fisher_information(splats, cameras, fisher=FisherSettings(method="probes", probes=0))
    with pytest.raises(InputError, match="'auto', 'exact' or 'probes', found 'guess'"):
        fisher_information(splats, cameras, fisher=FisherSettings(method="guess"))  # type: ignore
    released = FisherSettings(variant="fisherrf")
    with pytest.raises(InputError, match="'fisherrf' has diagonals only"):
        fisher_information(splats, cameras, fisher=replace(released, blocks=True))
    with pytest.raises(InputError, match="features do not reach shapes"):
        fisher_information(make.splats(3, features=1), cameras, fisher=released)
    with pytest.raises(InputError, match="'jacobian' or 'fisherrf', found 'guess'"):
        fisher_information(splats, cameras, fisher=FisherSettings(variant="guess"))  # type: ignore
    with pytest.raises(InputError, match="exact information needs splats on 'cpu'"):
        fisher_information(splats.to("meta"), cameras, fisher=FisherSettings(method="exact"))


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize(
    ("seed", "degree", "features", "reach"), [(0, 3, 0, True), (1, 2, 3, True), (2, 1, 2, False)]
)
def test_uncertainty_of_pixels(make, mode, seed, degree, features, reach):
    splats = make.splats(18, seed=seed, degree=degree, features=features, size=0.25)
    here, there = make.cameras([(17, 14)], seed=seed), make.cameras([(17, 14)], seed=seed + 7)
    settings, background = RenderSettings(mode=mode), torch.tensor([0.2, 0.5, 0.9])
    [known] = fisher_information(splats, there, settings)
    [found] = uncertainty_maps(
        splats, here, known, settings, prior=0.1, features_reach_shapes=reach, background=background
    )
    J = _jacobian(splats, here, settings, background, reach)
    expected = torch.zeros(len(next(iter(J.values()))), dtype=torch.float64)
    for name, value in known.tensors().items():
        variance = 1 / (value.double() + 0.1)
        expected += (J[name].square() * variance).flatten(1).sum(1)
    pixels = 17 * 14
    total = expected[: 3 * pixels].reshape(pixels, 3).sum(1)
    if features:
        total += expected[3 * pixels :].reshape(pixels, features).sum(1)
    assert found.shape == (14, 17)
    assert make.relative(found.flatten(), total) < 1e-4


def test_what_was_seen_is_less_uncertain(make):
    splats, cameras = make.splats(60), make.cameras([(30, 24)])
    [once] = fisher_information(splats, cameras)
    doubled = replace(once, **{k: 2 * v for k, v in once.tensors().items()})
    [before] = uncertainty_maps(splats, cameras, once, prior=1e-3)
    [after] = uncertainty_maps(splats, cameras, doubled, prior=1e-3)
    assert (before >= 0).all()
    assert (after <= before * (1 + 1e-4)).all()
    assert after.sum() < 0.9 * before.sum()
    with pytest.raises(InputError, match="prior should be positive and finite, found 0"):
        uncertainty_maps(splats, cameras, once, prior=0)
    with pytest.raises(InputError, match="need splats on 'cpu', found 'meta'"):
        uncertainty_maps(splats.to("meta"), cameras, once)


def test_information_of_other_splats(make):
    splats, cameras = make.splats(60, degree=2, features=2), make.cameras([(30, 24)])
    [fewer] = fisher_information(splats.select(torch.arange(50)), cameras)
    [bare] = fisher_information(replace(splats, features=None), cameras)
    [lower] = fisher_information(replace(splats, shN=splats.shN[:, :3]), cameras)
    for other in (fewer, bare, lower):  # kernels would read beyond the end
        with pytest.raises(InputError, match=r"of these splats, with shapes .*\(60, 3\)"):
            uncertainty_maps(splats, cameras, other)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_information_that_is_none(make, value):
    splats, cameras = make.splats(20), make.cameras([(30, 24)])
    [information] = fisher_information(splats, cameras)
    information.quats[3, 1] = value
    with pytest.raises(InputError, match="finite and not negative, which that of quats is not"):
        uncertainty_maps(splats, cameras, information)


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("pixels", [(20, 0.05), (50, 0.05), (200, 0.1), (300, 5.0)])
def test_a_needle(make, mode, pixels):
    """Slanted, up to two thousand times as long as wide, and in part beside the image: each entry
    is right, also the small ones beside the large."""
    splats, cameras = make.splats(1, degree=0), make.cameras([(30, 24)])
    long, thin = pixels
    depth = 3.0
    sigmas = torch.tensor([[long, thin, 1.5 * thin]]) * depth / cameras.Ks[0, 0, 0]
    splats = replace(
        splats,
        means=torch.tensor([[0.03, 0.02, 0.01]]),
        log_scales=sigmas.log(),
        opacity_logits=torch.tensor([2.0]),
        sh0=torch.ones(1, 1, 3),
    )
    settings = RenderSettings(mode=mode)
    jacobian = _jacobian(splats, cameras, settings, None, True)
    for blocks in (False, True):
        [found] = fisher_information(splats, cameras, settings, FisherSettings(blocks=blocks))
        for name in NAMES:
            expected = jacobian[name].square().sum(0)
            entries = found.tensors()[name].double()
            print(name, ((entries - expected).abs() / expected).max())
            assert ((entries - expected).abs() <= 2e-3 * expected + 1e-7 * expected.max()).all(), (
                name
            )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_probes_where_gradients_are_off(make, mode):
    splats, cameras = make.splats(20), make.cameras([(12, 9)])
    probes = FisherSettings(method="probes", probes=3)
    [expected] = fisher_information(splats, cameras, None, probes, torch.ones(3))
    with mode():
        own = replace(splats, means=splats.means.clone())  # of inference mode where that is on
        [found] = fisher_information(own, cameras, None, probes, torch.ones(3))
    for name, value in expected.tensors().items():
        assert torch.equal(found.tensors()[name], value), name


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_blocks_are_symmetric_to_the_bit(make, mode):
    wanted = RenderSettings(mode=mode)
    splats, cameras = make.splats(80, degree=2), make.cameras([(30, 24)])
    [found] = fisher_information(splats, cameras, wanted, FisherSettings(blocks=True))
    assert torch.equal(found.blocks, found.blocks.mT)
