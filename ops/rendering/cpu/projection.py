"""From Gaussians in the world to Gaussians in the image (EWA splatting, Zwicker et al. 2001).

A projected Gaussian is kept as a *footprint*: its covariance [[a, b], [b, c]] taken apart into the
variance c of y and, given y, the mean ``slope * y`` and the variance v of x:

    alpha(dx, dy) = opacity * exp(-(dx - slope dy)^2 / (2 v) - dy^2 / (2 c)),
    slope = b / c,  v = (a c - b^2) / c.

Unlike the inverse covariance this form does not cancel for long thin Gaussians, and it is never
negative. The determinant comes from Cauchy-Binet, as a sum of squares, for the same reason.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.rendering.cpu.camera import (
    ANTIALIASED,
    CX,
    CY,
    EPS2D,
    FAR,
    FX,
    FY,
    HEIGHT,
    NEAR,
    WIDTH,
    X_MAX,
    X_MIN,
    Y_MAX,
    Y_MIN,
)
from ops.rendering.cpu.jit import kernel, scalar_helper

_f = np.float32
LOG2E = _f(1.4426950408889634)
LN2 = _f(0.6931471805599453)
MIN_ALPHA = _f(1 / 255)
LOG2_MIN_ALPHA = _f(-math.log2(255.0))
_LARGEST = _f(1e37)  # of a variance in pixels squared; beyond it float32 is about to overflow
_LARGEST_RADIUS = _f(1 << 30)

# Columns of a footprint: mean; slope; log2-domain factors -log2(e) / (2 v) and -log2(e) / (2 c);
# log2 of the opacity in this view; depth; the antialiasing compensation.
MX, MY, SLOPE, KX, KY, LOG2_OPACITY, DEPTH, COMPENSATION = range(8)
FOOTPRINT = 8


@scalar_helper
def geometry(i: int, means: Any, quats: Any, log_scales: Any, cam: Any) -> Any:
    """What forward and backward both need of Gaussian i.

    Returns the mean (x, y, z) in the camera; x and y as the Jacobian has them (bounded); scales;
    the inverse length and components of the quaternion; its rotation M; V = R M diag(scales) and
    U = J V, whose rows span the projected covariance: cov2d = U U^T + eps2d I.
    """
    mx, my, mz = means[i, 0], means[i, 1], means[i, 2]
    x = cam[0] * mx + cam[1] * my + cam[2] * mz + cam[3]
    y = cam[4] * mx + cam[5] * my + cam[6] * mz + cam[7]
    z = cam[8] * mx + cam[9] * my + cam[10] * mz + cam[11]
    rz = _f(1) / z
    bx = z * min(cam[X_MAX], max(cam[X_MIN], x * rz))
    by = z * min(cam[Y_MAX], max(cam[Y_MIN], y * rz))

    qw, qx, qy, qz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    length = math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    inverse = _f(1) / length
    qw *= inverse
    qx *= inverse
    qy *= inverse
    qz *= inverse
    two = _f(2)
    M = (
        _f(1) - two * (qy * qy + qz * qz),
        two * (qx * qy - qw * qz),
        two * (qx * qz + qw * qy),
        two * (qx * qy + qw * qz),
        _f(1) - two * (qx * qx + qz * qz),
        two * (qy * qz - qw * qx),
        two * (qx * qz - qw * qy),
        two * (qy * qz + qw * qx),
        _f(1) - two * (qx * qx + qy * qy),
    )
    s0 = math.exp(log_scales[i, 0])
    s1 = math.exp(log_scales[i, 1])
    s2 = math.exp(log_scales[i, 2])
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
    jxz, jyz = -jx * bx * rz, -jy * by * rz
    U = (
        jx * V[0] + jxz * V[6],
        jx * V[1] + jxz * V[7],
        jx * V[2] + jxz * V[8],
        jy * V[3] + jyz * V[6],
        jy * V[4] + jyz * V[7],
        jy * V[5] + jyz * V[8],
    )
    return (x, y, z), (bx, by), (s0, s1, s2), (inverse, qw, qx, qy, qz), M, V, U


@scalar_helper
def covariance2d(U: Any, eps2d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """(a, b, c) of cov2d = U U^T + eps2d I, its determinant, and that without eps2d."""
    a = U[0] * U[0] + U[1] * U[1] + U[2] * U[2]
    b = U[0] * U[3] + U[1] * U[4] + U[2] * U[5]
    c = U[3] * U[3] + U[4] * U[4] + U[5] * U[5]
    n0 = U[1] * U[5] - U[2] * U[4]
    n1 = U[2] * U[3] - U[0] * U[5]
    n2 = U[0] * U[4] - U[1] * U[3]
    sharp = n0 * n0 + n1 * n1 + n2 * n2
    return a + eps2d, b, c + eps2d, sharp + eps2d * (a + c) + eps2d * eps2d, sharp


@scalar_helper
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _f(1) / (_f(1) + math.exp(-x))


@kernel(
    "void(i8, i8, f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[::1],"
    " f4[:,::1], f4[:,::1], i4[:,::1])",
    scalar_maths=True,
)
def project(
    part: int,
    parts: int,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    cam: Any,
    footprints: Any,
    means2d: Any,
    radii: Any,
) -> None:
    """Footprints [N, 8], means2d [N, 2] and radii [N, 2] of all Gaussians.

    A Gaussian that is not seen gets radii of 0. Every test is written so that NaN fails it.
    """
    n = means.shape[0]
    for i in range(n * part // parts, n * (part + 1) // parts):
        radii[i, 0] = 0
        radii[i, 1] = 0
        means2d[i, 0] = _f(0)
        means2d[i, 1] = _f(0)
        z = cam[8] * means[i, 0] + cam[9] * means[i, 1] + cam[10] * means[i, 2] + cam[11]
        opacity = sigmoid(opacity_logits[i])
        if not (z >= cam[NEAR] and z <= cam[FAR] and z > _f(0) and opacity >= MIN_ALPHA):
            continue
        xyz, _, _, q, _, _, U = geometry(i, means, quats, log_scales, cam)
        a, b, c, det, sharp = covariance2d(U, cam[EPS2D])
        if not (a < _LARGEST and c < _LARGEST and det > _f(0) and det < _LARGEST):
            continue
        if not (q[0] > _f(0) and q[0] < _LARGEST):  # the quaternion is 0 or not finite
            continue
        logs = log_scales[i, 0] + log_scales[i, 1] + log_scales[i, 2] + opacity_logits[i]
        if not math.isfinite(logs):
            continue
        compensation = _f(1)
        if cam[ANTIALIASED] > _f(0):
            compensation = _f(math.sqrt(sharp / det))
        opacity *= compensation
        if not opacity >= MIN_ALPHA:
            continue
        mx = cam[FX] * xyz[0] / z + cam[CX]
        my = cam[FY] * xyz[1] / z + cam[CY]
        # Where alpha falls to 1/255; with opacity at most 1 this is at most 3.33 deviations.
        reach = math.sqrt(_f(2) * math.log(opacity / MIN_ALPHA))
        rx = min(_f(math.ceil(reach * math.sqrt(a))), _LARGEST_RADIUS)
        ry = min(_f(math.ceil(reach * math.sqrt(c))), _LARGEST_RADIUS)
        if not (mx + rx > _f(0) and mx - rx < cam[WIDTH] and my + ry > _f(0)):
            continue
        if not (my - ry < cam[HEIGHT] and rx > _f(0) and ry > _f(0)):
            continue
        radii[i, 0] = np.int32(rx)
        radii[i, 1] = np.int32(ry)
        means2d[i, 0] = mx
        means2d[i, 1] = my
        footprints[i, MX] = mx
        footprints[i, MY] = my
        footprints[i, SLOPE] = b / c
        footprints[i, KX] = _f(-0.5) * LOG2E * c / det
        footprints[i, KY] = _f(-0.5) * LOG2E / c
        footprints[i, LOG2_OPACITY] = math.log2(opacity)
        footprints[i, DEPTH] = z
        footprints[i, COMPENSATION] = compensation
