"""From gradients of footprints to gradients of the Gaussians' parameters and of the camera."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.rendering.cpu.camera import ANTIALIASED, CENTER, EPS2D, FX, FY, X_MAX, X_MIN, Y_MAX, Y_MIN
from ops.rendering.cpu.jit import kernel, scalar_helper
from ops.rendering.cpu.projection import (
    COMPENSATION,
    KX,
    KY,
    LOG2E,
    SLOPE,
    covariance2d,
    geometry,
    sigmoid,
)
from ops.rendering.cpu.raster_backward import (
    CHANNELS,
    Q_U,
    Q_UU,
    Q_UY,
    Q_Y,
    Q_YY,
    Q,
)
from ops.rendering.cpu.spherical_harmonics import basis, direction_gradient

_f = np.float32
CHUNK = 512  # Gaussians whose camera gradients are summed together, whatever the threads
CAMERA_GRADIENT = 15  # columns: 12 of [R | t] by rows, 3 of the camera centre


@scalar_helper
def _covariance_gradient(row: Any, footprint: Any, U: Any, cam: Any) -> tuple[Any, Any, Any]:
    """(dL/da, dL/db, dL/dc) of the 2D covariance, from the sums over pixels."""
    a, b, c, det, _ = covariance2d(U, cam[EPS2D])
    slope = footprint[SLOPE]
    inverse_v = _f(-2) / LOG2E * footprint[KX]
    inverse_c = _f(-2) / LOG2E * footprint[KY]
    # alpha depends on v, slope and c ...
    g_v = _f(0.5) * inverse_v * inverse_v * row[Q_UU]
    g_slope = inverse_v * row[Q_UY]
    g_c = _f(0.5) * inverse_c * inverse_c * row[Q_YY]
    # ... which are a - b^2 / c, b / c and c.
    g_b = inverse_c * g_slope - _f(2) * slope * g_v
    g_c += slope * (slope * g_v - inverse_c * g_slope)
    g_a = g_v
    if cam[ANTIALIASED] > _f(0):
        # compensation^2 = det(cov - eps2d I) / det(cov); gsplat adds the same 1e-6.
        compensation = footprint[COMPENSATION]
        half = _f(0.5) * row[Q] / (compensation * (compensation + _f(1e-6)))
        rest = _f(1) - compensation * compensation
        g_a += half * (rest * c - cam[EPS2D]) / det
        g_b -= half * _f(2) * rest * b / det
        g_c += half * (rest * a - cam[EPS2D]) / det
    return g_a, g_b, g_c


@kernel(
    "void(i8, i8, i4[::1], i8[::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1], f4[:,::1], i8, f4[::1],"
    " f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1], b1, f8[:,::1])",
    scalar_maths=True,
)
def project_backward(
    part: int,
    parts: int,
    order: Any,
    first_rows: Any,
    table: Any,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    sh0: Any,
    shN: Any,
    footprints: Any,
    channels: Any,
    degree: int,
    cam: Any,
    v_means: Any,
    v_quats: Any,
    v_log_scales: Any,
    v_opacity_logits: Any,
    v_sh0: Any,
    v_shN: Any,
    v_features: Any,
    v_means2d: Any,
    abs_means2d: Any,
    with_camera: bool,
    v_camera: Any,
) -> None:
    """Sums the rows of every Gaussian's intersections and takes them back to the parameters.

    The outputs (``v_...`` by name of the parameter) are zero on entry; Gaussians that are not seen
    keep that. ``v_camera`` [chunks, 15] gets, ``with_camera``, a partial sum per chunk
    of 512 Gaussians.
    """
    seen = order.shape[0]
    n_channels = channels.shape[1]
    n_features = v_features.shape[1]
    with_depth = n_channels > 3 + n_features
    n_columns = table.shape[1]
    row = np.empty(n_columns, np.float32)
    with_abs = n_columns > CHANNELS + n_channels
    bases = np.empty(16, np.float32)
    along = np.zeros(16, np.float32)
    n_chunks = v_camera.shape[0]
    for chunk in range(part, n_chunks, parts):
        for m in range(chunk * CHUNK, min((chunk + 1) * CHUNK, seen)):
            first = first_rows[m]
            last = first_rows[m + 1]
            if first == last:
                continue
            i = order[m]
            for k in range(n_columns):
                total = table[first, k]
                for at in range(first + 1, last):
                    total += table[at, k]
                row[k] = total
            footprint = footprints[m]
            xyz, bounded, scale, quat, M, V, U = geometry(i, means, quats, log_scales, cam)
            x, y, z = xyz
            rz = _f(1) / z

            # Opacity: dL/dlogit = (dL/dlog alpha) (1 - opacity).
            v_opacity_logits[i] = row[Q] * (_f(1) - sigmoid(opacity_logits[i]))

            # Mean in the image.
            inverse_v = _f(-2) / LOG2E * footprint[KX]
            inverse_c = _f(-2) / LOG2E * footprint[KY]
            g_mx = inverse_v * row[Q_U]
            g_my = inverse_c * row[Q_Y] - footprint[SLOPE] * g_mx
            v_means2d[i, 0] = g_mx
            v_means2d[i, 1] = g_my
            if with_abs:
                abs_means2d[i, 0] = row[CHANNELS + n_channels]
                abs_means2d[i, 1] = row[CHANNELS + n_channels + 1]

            # Covariance in the image to U, the Jacobian and V.
            g_a, g_b, g_c = _covariance_gradient(row, footprint, U, cam)
            u0 = _f(2) * g_a * U[0] + g_b * U[3]
            u1 = _f(2) * g_a * U[1] + g_b * U[4]
            u2 = _f(2) * g_a * U[2] + g_b * U[5]
            u3 = g_b * U[0] + _f(2) * g_c * U[3]
            u4 = g_b * U[1] + _f(2) * g_c * U[4]
            u5 = g_b * U[2] + _f(2) * g_c * U[5]
            jx, jy = cam[FX] * rz, cam[FY] * rz
            bx, by = bounded
            jxz, jyz = -jx * bx * rz, -jy * by * rz
            g_jx = u0 * V[0] + u1 * V[1] + u2 * V[2]
            g_jy = u3 * V[3] + u4 * V[4] + u5 * V[5]
            g_jxz = u0 * V[6] + u1 * V[7] + u2 * V[8]
            g_jyz = u3 * V[6] + u4 * V[7] + u5 * V[8]

            # Mean in the camera.
            gx = jx * g_mx
            gy = jy * g_my
            gz = -(jx * x * g_mx + jy * y * g_my) * rz - (jx * g_jx + jy * g_jy) * rz
            ratio = x * rz
            if cam[X_MIN] <= ratio and ratio <= cam[X_MAX]:
                gx -= jx * rz * g_jxz
                gz -= _f(2) * jxz * rz * g_jxz
            else:
                gz -= jxz * rz * g_jxz
            ratio = y * rz
            if cam[Y_MIN] <= ratio and ratio <= cam[Y_MAX]:
                gy -= jy * rz * g_jyz
                gz -= _f(2) * jyz * rz * g_jyz
            else:
                gz -= jyz * rz * g_jyz
            if with_depth:
                gz += row[CHANNELS + n_channels - 1]
            m0 = cam[0] * gx + cam[4] * gy + cam[8] * gz
            m1 = cam[1] * gx + cam[5] * gy + cam[9] * gz
            m2 = cam[2] * gx + cam[6] * gy + cam[10] * gz

            # V = R M S: gradient of V, then of N = M S by way of R^T.
            w00, w01, w02 = jx * u0, jx * u1, jx * u2
            w10, w11, w12 = jy * u3, jy * u4, jy * u5
            w20 = jxz * u0 + jyz * u3
            w21 = jxz * u1 + jyz * u4
            w22 = jxz * u2 + jyz * u5
            n00 = cam[0] * w00 + cam[4] * w10 + cam[8] * w20
            n01 = cam[0] * w01 + cam[4] * w11 + cam[8] * w21
            n02 = cam[0] * w02 + cam[4] * w12 + cam[8] * w22
            n10 = cam[1] * w00 + cam[5] * w10 + cam[9] * w20
            n11 = cam[1] * w01 + cam[5] * w11 + cam[9] * w21
            n12 = cam[1] * w02 + cam[5] * w12 + cam[9] * w22
            n20 = cam[2] * w00 + cam[6] * w10 + cam[10] * w20
            n21 = cam[2] * w01 + cam[6] * w11 + cam[10] * w21
            n22 = cam[2] * w02 + cam[6] * w12 + cam[10] * w22
            s0, s1, s2 = scale
            n00 *= s0
            n10 *= s0
            n20 *= s0
            n01 *= s1
            n11 *= s1
            n21 *= s1
            n02 *= s2
            n12 *= s2
            n22 *= s2
            g_s0 = n00 * M[0] + n10 * M[3] + n20 * M[6]
            g_s1 = n01 * M[1] + n11 * M[4] + n21 * M[7]
            g_s2 = n02 * M[2] + n12 * M[5] + n22 * M[8]
            inverse, qw, qx, qy, qz = quat
            two = _f(2)
            g_qw = two * (qx * (n21 - n12) + qy * (n02 - n20) + qz * (n10 - n01))
            g_qx = two * (
                -two * qx * (n11 + n22) + qy * (n01 + n10) + qz * (n02 + n20) + qw * (n21 - n12)
            )
            g_qy = two * (
                qx * (n01 + n10) - two * qy * (n00 + n22) + qz * (n12 + n21) + qw * (n02 - n20)
            )
            g_qz = two * (
                qx * (n02 + n20) + qy * (n12 + n21) - two * qz * (n00 + n11) + qw * (n10 - n01)
            )
            radial = g_qw * qw + g_qx * qx + g_qy * qy + g_qz * qz
            g_qw = (g_qw - radial * qw) * inverse
            g_qx = (g_qx - radial * qx) * inverse
            g_qy = (g_qy - radial * qy) * inverse
            g_qz = (g_qz - radial * qz) * inverse

            # Colour: coefficients, and the direction from the camera centre to the mean.
            g_red = row[CHANNELS] if channels[m, 0] > _f(0) else _f(0)
            g_green = row[CHANNELS + 1] if channels[m, 1] > _f(0) else _f(0)
            g_blue = row[CHANNELS + 2] if channels[m, 2] > _f(0) else _f(0)
            dx = means[i, 0] - cam[CENTER]
            dy = means[i, 1] - cam[CENTER + 1]
            dz = means[i, 2] - cam[CENTER + 2]
            inverse = _f(1) / math.sqrt(dx * dx + dy * dy + dz * dz)
            dx *= inverse
            dy *= inverse
            dz *= inverse
            basis(degree, dx, dy, dz, bases)
            v_sh0[i, 0] = bases[0] * g_red
            v_sh0[i, 1] = bases[0] * g_green
            v_sh0[i, 2] = bases[0] * g_blue
            for k in range(1, (degree + 1) * (degree + 1)):
                o = 3 * (k - 1)
                v_shN[i, o] = bases[k] * g_red
                v_shN[i, o + 1] = bases[k] * g_green
                v_shN[i, o + 2] = bases[k] * g_blue
                along[k] = shN[i, o] * g_red + shN[i, o + 1] * g_green + shN[i, o + 2] * g_blue
            tx, ty, tz = direction_gradient(degree, dx, dy, dz, along)
            radial = tx * dx + ty * dy + tz * dz
            tx = (tx - radial * dx) * inverse
            ty = (ty - radial * dy) * inverse
            tz = (tz - radial * dz) * inverse
            for k in range(n_features):
                v_features[i, k] = row[CHANNELS + 3 + k]

            m0 += tx
            m1 += ty
            m2 += tz
            size = abs(m0) + abs(m1) + abs(m2) + abs(g_s0) + abs(g_s1) + abs(g_s2)
            size += abs(g_qw) + abs(g_qx) + abs(g_qy) + abs(g_qz)
            sums = row[Q] + row[Q_UU] + row[Q_YY] + row[Q_U] + row[Q_Y]
            if math.isfinite(sums) and not math.isfinite(size):
                # The sums over pixels are finite and their way back through an extreme shape is
                # not; such a Gaussian gets no gradient. A loss that is NaN stays visible.
                continue
            v_means[i, 0] = m0
            v_means[i, 1] = m1
            v_means[i, 2] = m2
            v_log_scales[i, 0] = g_s0
            v_log_scales[i, 1] = g_s1
            v_log_scales[i, 2] = g_s2
            v_quats[i, 0] = g_qw
            v_quats[i, 1] = g_qx
            v_quats[i, 2] = g_qy
            v_quats[i, 3] = g_qz

            # Camera: p = R x + t, V = R (M S), and the centre.
            if not with_camera:
                continue
            camera = v_camera[chunk]
            n = (
                (s0 * M[0], s1 * M[1], s2 * M[2]),
                (s0 * M[3], s1 * M[4], s2 * M[5]),
                (s0 * M[6], s1 * M[7], s2 * M[8]),
            )
            for k in range(3):
                camera[k] += gx * means[i, k] + w00 * n[k][0] + w01 * n[k][1] + w02 * n[k][2]
                camera[4 + k] += gy * means[i, k] + w10 * n[k][0] + w11 * n[k][1] + w12 * n[k][2]
                camera[8 + k] += gz * means[i, k] + w20 * n[k][0] + w21 * n[k][1] + w22 * n[k][2]
            camera[3] += gx
            camera[7] += gy
            camera[11] += gz
            camera[12] -= tx
            camera[13] -= ty
            camera[14] -= tz
