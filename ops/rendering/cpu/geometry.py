"""Gaussians in the camera, sixteen at a time: what projection and its gradients have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.camera import FX, FY, X_MAX, X_MIN, Y_MAX, Y_MIN
from ops.rendering.cpu.jit import scalar_helper
from ops.rendering.cpu.simd import exp, vmax, vmin, vsqrt
from ops.rendering.cpu.simd_memory import load3, load4

_f = np.float32


@scalar_helper
def camera_point(x: Any, y: Any, z: Any, cam: Any) -> tuple[Any, Any, Any]:
    """A point of the world in the camera's axes."""
    return (
        cam[0] * x + cam[1] * y + cam[2] * z + cam[3],
        cam[4] * x + cam[5] * y + cam[6] * z + cam[7],
        cam[8] * x + cam[9] * y + cam[10] * z + cam[11],
    )


@scalar_helper
def to_world(x: Any, y: Any, z: Any, cam: Any) -> tuple[Any, Any, Any]:
    """A direction of the camera's axes in the world's: R^T times it."""
    return (
        cam[0] * x + cam[4] * y + cam[8] * z,
        cam[1] * x + cam[5] * y + cam[9] * z,
        cam[2] * x + cam[6] * y + cam[10] * z,
    )


@scalar_helper
def rotation(qw: Any, qx: Any, qy: Any, qz: Any) -> Any:
    """The inverse length of a quaternion, its normalised components and its matrix by rows."""
    inverse = _f(1) / vsqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    w, x, y, z = qw * inverse, qx * inverse, qy * inverse, qz * inverse
    one, two = _f(1), _f(2)
    matrix = (
        one - two * (y * y + z * z),
        two * (x * y - w * z),
        two * (x * z + w * y),
        two * (x * y + w * z),
        one - two * (x * x + z * z),
        two * (y * z - w * x),
        two * (x * z - w * y),
        two * (y * z + w * x),
        one - two * (x * x + y * y),
    )
    return inverse, (w, x, y, z), matrix


@scalar_helper
def geometry(i: int, means: Any, quats: Any, log_scales: Any, cam: Any) -> Any:
    """What forward and backward both need of the Gaussians i to i + 15.

    Returns the mean (x, y, z) in the camera; x and y as the Jacobian has them (bounded); scales;
    the inverse length and components of the quaternion; its rotation M; V = R M diag(scales) and
    U = J V, whose rows span the projected covariance: cov2d = U U^T + eps2d I.
    """
    mx, my, mz = load3(means, 3 * i)
    x, y, z = camera_point(mx, my, mz, cam)
    rz = _f(1) / z
    bx = z * vmin(vmax(x * rz, cam[X_MIN]), cam[X_MAX])
    by = z * vmin(vmax(y * rz, cam[Y_MIN]), cam[Y_MAX])
    qw, qx, qy, qz = load4(quats, 4 * i)
    inverse, unit, M = rotation(qw, qx, qy, qz)
    l0, l1, l2 = load3(log_scales, 3 * i)
    s0, s1, s2 = exp(l0), exp(l1), exp(l2)
    V = (
        s0 * (cam[0] * M[0] + cam[1] * M[3] + cam[2] * M[6]),
        s1 * (cam[0] * M[1] + cam[1] * M[4] + cam[2] * M[7]),
        s2 * (cam[0] * M[2] + cam[1] * M[5] + cam[2] * M[8]),
        s0 * (cam[4] * M[0] + cam[5] * M[3] + cam[6] * M[6]),
        s1 * (cam[4] * M[1] + cam[5] * M[4] + cam[6] * M[7]),
        s2 * (cam[4] * M[2] + cam[5] * M[5] + cam[6] * M[8]),
        s0 * (cam[8] * M[0] + cam[9] * M[3] + cam[10] * M[6]),
        s1 * (cam[8] * M[1] + cam[9] * M[4] + cam[10] * M[7]),
        s2 * (cam[8] * M[2] + cam[9] * M[5] + cam[10] * M[8]),
    )
    # J = [[jx, 0, jxz], [0, jy, jyz]]
    jx, jy = cam[FX] * rz, cam[FY] * rz
    jxz, jyz = _f(0) - jx * bx * rz, _f(0) - jy * by * rz
    U = (
        jx * V[0] + jxz * V[6],
        jx * V[1] + jxz * V[7],
        jx * V[2] + jxz * V[8],
        jy * V[3] + jyz * V[6],
        jy * V[4] + jyz * V[7],
        jy * V[5] + jyz * V[8],
    )
    return (x, y, z), (bx, by), (s0, s1, s2), (inverse, unit), M, V, U


@scalar_helper
def cross(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """The cross product of two vectors in space."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@scalar_helper
def covariance2d(U: Any, eps2d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """(a, b, c) of cov2d = U U^T + eps2d I, its determinant, and that without eps2d.

    By the cross product of the rows of U: a c - b^2 would be the difference of large numbers where
    a Gaussian is long and thin.
    """
    a = U[0] * U[0] + U[1] * U[1] + U[2] * U[2]
    b = U[0] * U[3] + U[1] * U[4] + U[2] * U[5]
    c = U[3] * U[3] + U[4] * U[4] + U[5] * U[5]
    n0, n1, n2 = cross(U[:3], U[3:])
    sharp = n0 * n0 + n1 * n1 + n2 * n2
    return a + eps2d, b, c + eps2d, sharp + eps2d * (a + c) + eps2d * eps2d, sharp


@scalar_helper
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _f(1) / (_f(1) + exp(_f(0) - x))
