"""Real spherical harmonics up to degree 3, in the order and with the signs of 3DGS and gsplat."""

from __future__ import annotations

import torch
from torch import Tensor

from ops.errors import InputError
from ops.splats.model import SH_C0

# Normalisations of the real basis, with the Condon-Shortley phase (Kerbl et al. 2023, code).
SH_C1 = 0.4886025119029199
SH_C2 = (
    1.0925484305920792,
    -1.0925484305920792,
    0.31539156525252005,
    -1.0925484305920792,
    0.5462742152960396,
)
SH_C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    -0.4570457994644658,
    1.445305721320277,
    -0.5900435899266435,
)


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """The basis functions at unit directions.

    Args:
        directions: [..., 3] of length 1.
        degree: 0 to 3.

    Returns:
        [..., (degree + 1)^2].
    """
    if degree not in (0, 1, 2, 3):
        raise InputError(f"expected an SH degree from 0 to 3, found {degree}")
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        basis += [-SH_C1 * y, SH_C1 * z, -SH_C1 * x]
    xx, yy, zz = x * x, y * y, z * z
    if degree >= 2:
        basis += [
            SH_C2[0] * x * y,
            SH_C2[1] * y * z,
            SH_C2[2] * (2 * zz - xx - yy),
            SH_C2[3] * x * z,
            SH_C2[4] * (xx - yy),
        ]
    if degree >= 3:
        basis += [
            SH_C3[0] * y * (3 * xx - yy),
            SH_C3[1] * x * y * z,
            SH_C3[2] * y * (4 * zz - xx - yy),
            SH_C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            SH_C3[4] * x * (4 * zz - xx - yy),
            SH_C3[5] * z * (xx - yy),
            SH_C3[6] * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, dim=-1)


def evaluate_sh(coeffs: Tensor, directions: Tensor) -> Tensor:
    """The function that coefficients stand for, at unit directions (without 3DGS's 0.5 shift).

    Args:
        coeffs: [..., K, C] with K = 1, 4, 9 or 16.
        directions: [..., 3] of length 1; leading dimensions broadcast with those of ``coeffs``.

    Returns:
        [..., C].
    """
    degree = {1: 0, 4: 1, 9: 2, 16: 3}.get(coeffs.shape[-2])
    if degree is None:
        raise InputError(f"expected 1, 4, 9 or 16 SH coefficients, found {coeffs.shape[-2]}")
    return (sh_basis(directions, degree)[..., None] * coeffs).sum(dim=-2)


def sh_rotations(rotation: Tensor, degree: int) -> list[Tensor]:
    """How SH coefficients change when the function they stand for is rotated.

    Rotating a function mixes coefficients of one degree only. Its matrix M solves
    ``basis(R^T d) = basis(d) M`` at more directions than unknowns, exact up to rounding because
    rotated basis functions lie in the span of their degree.

    Args:
        rotation: [3, 3] orthonormal with determinant 1.
        degree: 0 to 3.

    Returns:
        For every degree from 0 the matrix [2l + 1, 2l + 1], float64, that takes its old
        coefficients to the new ones.
    """
    R = rotation.detach().to("cpu", torch.float64)
    directions = _directions()
    before = sh_basis(directions @ R, degree)  # rows are R^T d
    here = sh_basis(directions, degree)
    out = []
    for band in range(degree + 1):
        columns = slice(band * band, (band + 1) ** 2)
        basis = here[:, columns]
        # The directions cover the sphere evenly, so the normal equations are well conditioned.
        out.append(torch.linalg.solve(basis.T @ basis, basis.T @ before[:, columns]))
    return out


def _directions(count: int = 64) -> Tensor:
    """Unit vectors spread evenly over the sphere (Fibonacci lattice), [count, 3] float64."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * i / count
    angle = torch.pi * (1 + 5**0.5) * i
    r = torch.sqrt(1 - z * z)
    return torch.stack([r * torch.cos(angle), r * torch.sin(angle), z], dim=-1)
