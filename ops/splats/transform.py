"""Moving splats by a similarity: a uniform scale, a rotation and a shift."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ops.errors import InputError
from ops.splats.model import Splats
from ops.splats.spherical_harmonics import sh_rotations


def split_similarity(matrix: Tensor, tolerance: float = 1e-5) -> tuple[float, Tensor, Tensor]:
    """The scale s > 0, rotation R [3, 3] and shift t [3] of x -> s R x + t, in float64.

    Args:
        matrix: [4, 4].
        tolerance: How far ``R^T R`` may be from the identity.

    Raises:
        InputError: The matrix is not a similarity: it has NaN, mirrors, stretches or shears, or
            its last row is not (0, 0, 0, 1).
    """
    if tuple(matrix.shape) != (4, 4):
        raise InputError(f"expected a 4x4 similarity, found a matrix of {tuple(matrix.shape)}")
    M = matrix.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(M).all()):
        raise InputError("expected a similarity of finite numbers, found NaN or infinity")
    last = torch.tensor([0, 0, 0, 1], dtype=torch.float64)
    if not torch.equal(M[3], last):
        raise InputError(
            f"expected a similarity, whose last row is (0, 0, 0, 1), found {M[3].tolist()}"
        )
    determinant = float(torch.linalg.det(M[:3, :3]))
    if determinant <= 0:
        what = "0, which flattens the world" if determinant == 0 else "negative, a mirror image"
        raise InputError(
            f"expected a similarity with a positive determinant, found {determinant:.3g}: {what}; "
            "splats cannot follow it"
        )
    scale = determinant ** (1 / 3)
    R = M[:3, :3] / scale
    error = float((R.T @ R - torch.eye(3, dtype=torch.float64)).abs().max())
    if not error <= tolerance:
        raise InputError(
            "expected a similarity (uniform scale, rotation, shift), found a matrix that stretches "
            f"or shears: its axes are off orthonormal by {error:.2g}"
        )
    return scale, R, M[:3, 3]


def invert_similarity(matrix: Tensor) -> Tensor:
    """The inverse of a similarity [4, 4], float64.

    Raises:
        InputError: See :func:`split_similarity`.
    """
    s, R, t = split_similarity(matrix)
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = R.T / s
    out[:3, 3] = -(R.T @ t) / s
    return out


def transform_splats(splats: Splats, matrix: Tensor) -> Splats:
    """The splats where a similarity takes them; seen by cameras moved alike, nothing changes.

    Means, rotations, scales and spherical harmonics are moved; opacities and features stay.

    Args:
        splats: N splats.
        matrix: [4, 4] similarity x -> s R x + t.

    Raises:
        InputError: See :func:`split_similarity`.
    """
    s, R, t = split_similarity(matrix)
    rotation = _quaternion(R)

    def like(value: Tensor, old: Tensor) -> Tensor:
        return value.to(device=old.device, dtype=old.dtype)

    means = splats.means.double()
    device = means.device
    moved = s * means @ R.T.to(device) + t.to(device)
    rotated = _multiply(rotation.to(device), splats.quats.double())
    shN = splats.shN
    if splats.sh_degree > 0:
        bands = sh_rotations(R, splats.sh_degree)[1:]
        parts = shN.double().split([len(band) for band in bands], dim=1)
        turned = [band.to(device) @ part for band, part in zip(bands, parts, strict=True)]
        shN = like(torch.cat(turned, dim=1), splats.shN)
    shift = torch.tensor(s, dtype=torch.float64, device=device).log()
    return replace(
        splats,
        means=like(moved, splats.means),
        quats=like(rotated, splats.quats),
        log_scales=like(splats.log_scales.double() + shift, splats.log_scales),
        shN=shN,
    )


def _quaternion(R: Tensor) -> Tensor:
    """Unit quaternion wxyz [4] of a rotation: the eigenvector of Bar-Itzhack's matrix (2000).

    Unlike formulas that divide by one component, it is accurate for every rotation.
    """
    xx, xy, xz = R[0].tolist()
    yx, yy, yz = R[1].tolist()
    zx, zy, zz = R[2].tolist()
    K = torch.tensor(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, xz + zx],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, xz + zx, zy + yz, zz - xx - yy],
        ],
        dtype=torch.float64,
    )
    q = torch.linalg.eigh(K).eigenvectors[:, 3]
    return q if float(q[0]) >= 0 else -q


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    """Quaternion products a b, wxyz; ``a`` is [4], ``b`` [N, 4]."""
    w, x, y, z = a.unbind(-1)
    W, X, Y, Z = b.unbind(-1)
    return torch.stack(
        [
            w * W - x * X - y * Y - z * Z,
            w * X + x * W + y * Z - z * Y,
            w * Y - x * Z + y * W + z * X,
            w * Z + x * Y - y * X + z * W,
        ],
        dim=-1,
    )
