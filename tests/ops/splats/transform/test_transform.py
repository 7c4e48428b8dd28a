"""Similarities applied to splats, and real spherical harmonics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ops.errors import InputError
from ops.splats.model import Splats
from ops.splats.spherical_harmonics import evaluate_sh, sh_basis, sh_rotations
from ops.splats.transform import invert_similarity, split_similarity, transform_splats

seeds = st.integers(0, 2**31)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_rotation(g: torch.Generator) -> Tensor:
    Q, R = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64))
    Q = Q * R.diagonal().sign()
    return Q * torch.linalg.det(Q)


def random_similarity(g: torch.Generator) -> Tensor:
    M = torch.eye(4, dtype=torch.float64)
    scale = float(torch.rand((), generator=g, dtype=torch.float64) * 3 + 0.1)
    M[:3, :3] = scale * random_rotation(g)
    M[:3, 3] = torch.randn(3, generator=g, dtype=torch.float64) * 5
    return M


def random_splats(g: torch.Generator, degree: int, dtype: torch.dtype = torch.float64) -> Splats:
    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    return Splats(
        means=normal(6, 3),
        quats=normal(6, 4),
        log_scales=normal(6, 3),
        opacity_logits=normal(6),
        sh0=normal(6, 1, 3),
        shN=normal(6, (degree + 1) ** 2 - 1, 3),
    )


def covariances(splats: Splats) -> Tensor:
    w, x, y, z = torch.nn.functional.normalize(splats.quats, dim=-1).unbind(-1)
    R = torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        dim=-2,
    )
    M = R * splats.scales[:, None]
    return M @ M.transpose(1, 2)


def test_basis_is_orthonormal() -> None:
    """Integrated over the sphere: Gauss-Legendre in z, evenly in the angle, exact to degree 6."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(8)
    z = torch.from_numpy(nodes)[:, None].expand(8, 16)
    angle = (torch.arange(16, dtype=torch.float64) * math.pi / 8)[None].expand(8, 16)
    r = torch.sqrt(1 - z * z)
    directions = torch.stack([r * torch.cos(angle), r * torch.sin(angle), z], -1)
    basis = sh_basis(directions, 3).reshape(-1, 16)
    area = (torch.from_numpy(weights)[:, None].expand(8, 16) * math.pi / 8).reshape(-1)
    gram = basis.T @ (basis * area[:, None])
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=1e-12, rtol=0)


def test_signs_and_order_of_3dgs() -> None:
    x, y, z = 0.36, 0.48, 0.8
    basis = sh_basis(torch.tensor([x, y, z], dtype=torch.float64), 2)
    root = math.sqrt(3 / (4 * math.pi))
    expected = [0.5 / math.sqrt(math.pi), -root * y, root * z, -root * x]
    assert basis[:4].tolist() == pytest.approx(expected)
    half = 0.5 * math.sqrt(15 / math.pi)
    expected = [half * x * y, -half * y * z, 0.25 * math.sqrt(5 / math.pi) * (3 * z * z - 1)]
    expected += [-half * x * z, half / 2 * (x * x - y * y)]
    assert basis[4:].tolist() == pytest.approx(expected)


@given(seed=seeds)
@settings(max_examples=30)
def test_rotated_harmonics_at_rotated_directions(seed: int) -> None:
    g = generator(seed)
    R = random_rotation(g)
    coeffs = torch.randn(16, 3, generator=g, dtype=torch.float64)
    directions = torch.nn.functional.normalize(
        torch.randn(20, 3, generator=g, dtype=torch.float64), dim=-1
    )
    turned = torch.block_diag(*sh_rotations(R, 3)) @ coeffs
    torch.testing.assert_close(
        evaluate_sh(turned, directions @ R.T),
        evaluate_sh(coeffs, directions),
        atol=1e-12,
        rtol=0,
    )


@given(seed=seeds)
@settings(max_examples=15)
def test_rotations_of_harmonics_compose_and_are_orthogonal(seed: int) -> None:
    g = generator(seed)
    A, B = random_rotation(g), random_rotation(g)
    for a, b, ab in zip(
        sh_rotations(A, 3), sh_rotations(B, 3), sh_rotations(A @ B, 3), strict=True
    ):
        torch.testing.assert_close(a @ b, ab, atol=1e-12, rtol=0)
        torch.testing.assert_close(a.T @ a, torch.eye(len(a)).double(), atol=1e-12, rtol=0)


@given(seed=seeds, degree=st.integers(0, 3))
@settings(max_examples=30)
def test_a_moved_scene_looks_the_same_to_a_moved_camera(seed: int, degree: int) -> None:
    g = generator(seed)
    splats, M = random_splats(g, degree), random_similarity(g)
    moved = transform_splats(splats, M)
    A, t = M[:3, :3], M[:3, 3]
    torch.testing.assert_close(moved.means, splats.means @ A.T + t)
    torch.testing.assert_close(covariances(moved), A @ covariances(splats) @ A.T)
    assert torch.equal(moved.opacity_logits, splats.opacity_logits)
    eye = torch.randn(3, generator=g, dtype=torch.float64) * 4
    before = torch.nn.functional.normalize(splats.means - eye, dim=-1)
    after = torch.nn.functional.normalize(moved.means - (A @ eye + t), dim=-1)
    torch.testing.assert_close(
        evaluate_sh(moved.sh_coeffs, after), evaluate_sh(splats.sh_coeffs, before)
    )


@given(seed=seeds)
@settings(max_examples=15)
def test_composition_and_inverse(seed: int) -> None:
    g = generator(seed)
    splats, A, B = random_splats(g, 3), random_similarity(g), random_similarity(g)
    twice = transform_splats(transform_splats(splats, B), A)
    once = transform_splats(splats, A @ B)
    back = transform_splats(transform_splats(splats, A), invert_similarity(A))
    for name, value in once.tensors().items():
        other = twice.tensors()[name]
        if name == "quats":  # q and -q are one rotation
            other = other * (other * value).sum(-1, keepdim=True).sign()
        torch.testing.assert_close(other, value)
    torch.testing.assert_close(covariances(back), covariances(splats))
    torch.testing.assert_close(back.means, splats.means)
    torch.testing.assert_close(back.shN, splats.shN)
    torch.testing.assert_close(A @ invert_similarity(A), torch.eye(4, dtype=torch.float64))


def test_dtype_and_features_are_kept_and_the_identity_changes_nothing() -> None:
    splats = random_splats(generator(0), 3, torch.float32)
    splats = Splats(**{**splats.tensors(), "features": torch.ones(6, 2)})
    same = transform_splats(splats, torch.eye(4))
    for name, value in splats.tensors().items():
        assert same.tensors()[name].dtype == value.dtype
        torch.testing.assert_close(same.tensors()[name], value, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns(axis: int) -> None:
    """Rotations by 180 degrees, where formulas for quaternions divide by zero."""
    R = -torch.eye(4, dtype=torch.float64)
    R[axis, axis] = R[3, 3] = 1
    splats = random_splats(generator(3), 3)
    moved = transform_splats(splats, R)
    A = R[:3, :3]
    torch.testing.assert_close(covariances(moved), A @ covariances(splats) @ A.T)


def test_what_is_not_a_similarity() -> None:
    eye = torch.eye(4, dtype=torch.float64)
    cases = [
        (torch.diag(torch.tensor([1.0, 1, -1, 1])), "mirror image"),
        (torch.diag(torch.tensor([1.0, 2, 1, 1])), "stretches or shears"),
        (torch.diag(torch.tensor([1.0, 1, 0, 1])), "flattens the world"),
        (torch.diag(torch.tensor([1.0, 1, 1, 2])), "last row"),
        (eye * torch.nan, "NaN"),
        (eye[:3], "4x4"),
    ]
    for matrix, message in cases:
        with pytest.raises(InputError, match=message):
            split_similarity(matrix)
    with pytest.raises(InputError, match="1, 4, 9 or 16"):
        evaluate_sh(torch.zeros(5, 3), torch.tensor([0.0, 0, 1]))
