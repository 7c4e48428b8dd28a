"""The definition itself: closed forms and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ops.rendering.interface import RenderSettings
from ops.rendering.reference import render_reference, rotation_matrices, sh_colors
from ops.splats.model import Splats, rgb_to_sh0

FOCAL, SIZE = 40.0, 21
K = torch.tensor([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]], dtype=torch.float64)
POSE = torch.eye(4, dtype=torch.float64)


def _one(z=2.0, scale=0.1, opacity=0.7, rgb=(0.2, 0.6, 0.9)) -> Splats:
    return Splats(
        means=torch.tensor([[0, 0, z]], dtype=torch.float64),
        quats=torch.tensor([[2.0, 0, 0, 0]], dtype=torch.float64),
        log_scales=torch.full((1, 3), math.log(scale), dtype=torch.float64),
        opacity_logits=torch.tensor([math.log(opacity / (1 - opacity))], dtype=torch.float64),
        sh0=rgb_to_sh0(torch.tensor([[list(rgb)]], dtype=torch.float64)),
        shN=torch.zeros(1, 0, 3, dtype=torch.float64),
    )


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_one_round_gaussian_in_closed_form(mode):
    settings = RenderSettings(mode=mode)
    seen = render_reference(_one(), POSE, K, SIZE, SIZE, settings)
    sharp = (FOCAL * 0.1 / 2.0) ** 2
    peak = 0.7 * (sharp / (sharp + 0.3) if mode == "antialiased" else 1.0)
    c = torch.arange(SIZE, dtype=torch.float64) + 0.5 - SIZE / 2
    square = c[:, None] ** 2 + c[None] ** 2
    alpha = peak * torch.exp(-0.5 * square / (sharp + 0.3))
    alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
    assert torch.allclose(seen.alphas, alpha, atol=1e-12)
    expected = alpha[..., None] * torch.tensor([0.2, 0.6, 0.9], dtype=torch.float64)
    assert torch.allclose(seen.colors, expected, atol=1e-12)
    depth = 2.0 * (alpha > 0).double()
    assert torch.allclose(seen.expected_depth, depth, atol=1e-9)
    assert torch.equal(seen.median_depth > 0, alpha > 0.5)


def test_two_gaussians_blend_front_to_back():
    front, back = _one(z=2.0, opacity=0.5, rgb=(1, 0, 0)), _one(z=4.0, opacity=0.5, rgb=(0, 1, 0))
    both = Splats(**{k: torch.cat([back.tensors()[k], v]) for k, v in front.tensors().items()})
    background = torch.tensor([0, 0, 1.0], dtype=torch.float64)
    seen = render_reference(both, POSE, K, SIZE, SIZE, RenderSettings(), background)
    middle = seen.colors[SIZE // 2, SIZE // 2]
    assert torch.allclose(middle, torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64), atol=1e-9)
    assert seen.expected_depth[SIZE // 2, SIZE // 2] == pytest.approx((0.5 * 2 + 0.25 * 4) / 0.75)
    assert seen.median_depth[SIZE // 2, SIZE // 2] in (2.0, 4.0)  # transmittance is 0.5 +- rounding


def test_stop_and_cut():
    wall = Splats(
        **{k: v.expand(5, *v.shape[1:]) for k, v in _one(opacity=0.9999).tensors().items()}
    )
    wall = replace(wall, means=wall.means + torch.arange(5.0)[:, None] * POSE[2, :3])
    seen = render_reference(wall, POSE, K, SIZE, SIZE, RenderSettings())
    # Cut to 0.999; after one Gaussian 1e-3 is left, and a second would leave less than 1e-4.
    assert seen.alphas[SIZE // 2, SIZE // 2] == pytest.approx(0.999)


def test_spherical_harmonics_are_orthonormal():
    # Integral over the sphere of products of bases, by Gauss-Legendre in z and evenly in angle.
    z, weight = np.polynomial.legendre.leggauss(8)
    angle = np.arange(16) * 2 * np.pi / 16
    r = np.sqrt(1 - z**2)
    directions = np.stack(
        [r[:, None] * np.cos(angle), r[:, None] * np.sin(angle), z[:, None] + 0 * angle], axis=-1
    ).reshape(-1, 3)
    weights = torch.tensor(np.repeat(weight, 16) * 2 * np.pi / 16)
    d = torch.tensor(directions)
    values = []
    for k in range(16):
        coefficients = torch.zeros(1, 16, 3, dtype=torch.float64)
        coefficients[:, k] = 1e-3  # small: the clamp at 0 is not met
        colors = sh_colors(coefficients.expand(len(d), 16, 3), d, 3)
        values.append((colors[:, 0] - 0.5) / 1e-3)
    bases = torch.stack(values)
    gram = torch.einsum("in,jn,n->ij", bases, bases, weights)
    assert torch.allclose(gram, torch.eye(16, dtype=torch.float64), atol=1e-9)


def test_rotation_of_a_quarter_turn():
    # wxyz: a quarter turn around z takes x to y.
    R = rotation_matrices(torch.tensor([[1.0, 0, 0, 1]], dtype=torch.float64))[0]
    assert torch.allclose(
        R @ torch.tensor([1.0, 0, 0], dtype=torch.float64),
        torch.tensor([0, 1.0, 0], dtype=torch.float64),
    )


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_gradients_by_finite_differences(make, mode):
    splats = make.splats(4, features=1, degree=2).to(dtype=torch.float64)
    [w], [h] = (20,), (16,)
    cameras = make.cameras([(w, h)]).to(dtype=torch.float64)
    named = splats.tensors()
    weights = torch.randn(h, w, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def loss(viewmat, *tensors):
        seen = render_reference(
            Splats(**dict(zip(named, tensors, strict=True))),
            viewmat,
            cameras.Ks[0],
            w,
            h,
            RenderSettings(mode=mode),
        )
        total = seen.colors.sum(-1) + seen.alphas + seen.features[..., 0] + seen.expected_depth
        # Pixels near a jump are left out: a finite step could cross it.
        return (weights * total)[seen.margin.detach() > 1e-3].sum()

    inputs = [t.clone().requires_grad_() for t in (cameras.viewmats[0], *named.values())]
    torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-4, rtol=1e-4)
