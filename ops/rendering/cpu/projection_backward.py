"""From gradients of footprints to gradients of the Gaussians' parameters and of the camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.camera import ANTIALIASED, EPS2D, FX, FY, X_MAX, X_MIN, Y_MAX, Y_MIN
from ops.rendering.cpu.geometry import covariance2d, cross, geometry, sigmoid, to_world
from ops.rendering.cpu.jit import kernel, scalar_helper
from ops.rendering.cpu.projection import BLUE as BLUE_CHANNEL
from ops.rendering.cpu.projection import FOOTPRINT, LN2, finite
from ops.rendering.cpu.projection import GREEN as GREEN_CHANNEL
from ops.rendering.cpu.projection import RED as RED_CHANNEL
from ops.rendering.cpu.raster_backward import (
    ABS_X,
    ABS_Y,
    BLUE,
    EXTRAS,
    GREEN,
    Q_U,
    Q_UU,
    Q_UY,
    Q_Y,
    Q_YY,
    RED,
    Q,
)
from ops.rendering.cpu.rows import sum_rows, write_columns
from ops.rendering.cpu.simd import (
    LANES,
    any_lane,
    both,
    fma,
    ge,
    gt,
    iota,
    select,
    splat,
    unless,
    vabs,
    vsqrt,
)
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import (
    load3,
    prefetch_rows,
    prefetch_rows_to_write,
    store2,
    store3,
    store4,
    vload,
    vstore,
)
from ops.rendering.cpu.spherical_harmonics import (
    ALONG,
    BASES,
    C0,
    COLUMNS,
    SCRATCH,
    basis,
    coefficients,
    direction,
    direction_gradient,
)
from ops.rendering.cpu.team import finish

_f = np.float32
CHUNK = 32  # groups of sixteen whose camera gradients are summed together, whatever the threads
WORKSPACE = SCRATCH + 2 * LANES * LANES
CAMERA_GRADIENT = 15  # columns: 12 of [R | t] by rows, 3 of the camera centre


@scalar_helper
def shape(U: Any, cam: Any) -> Any:
    """The covariance in the image again: (a, b, c), its determinant, without eps2d, and
    slope = b / c, 1 / v and 1 / c."""
    a, b, c, det, sharp = covariance2d(U, cam[EPS2D])
    inverse_c = _f(1) / c
    return a, b, c, det, sharp, b * inverse_c, c / det, inverse_c


@scalar_helper
def log_alpha_changes(U: Any, cam: Any) -> Any:
    """How log(alpha) changes with a footprint, by powers of its u and y: the factor of u by (the
    mean's x, the mean's y), that of y by the mean's y, and those of u^2, u y and y^2 by v, slope
    and c."""
    _, _, _, _, _, slope, inverse_v, inverse_c = shape(U, cam)
    # log(alpha) = .. - dx'^2 / (2 v) - dy^2 / (2 c) with dx' = dx - slope dy, where
    # u = dx' / sqrt(2 ln2 v) and y = dy / sqrt(2 ln2 c).
    by_x = vsqrt(inverse_v * (_f(2) * LN2))
    by_y = vsqrt(inverse_c * (_f(2) * LN2))
    sheared = (_f(2) * LN2) * vsqrt(inverse_v / inverse_c)
    return (by_x, _f(0) - slope * by_x), by_y, (inverse_v * LN2, sheared, inverse_c * LN2)


@scalar_helper
def axes_gradient(
    g_v: Any, g_slope: Any, g_c: Any, g_log_opacity: Any, U: Any, cam: Any
) -> tuple[Any, Any, Any, Any, Any, Any]:
    """dL/dU from the gradients of a footprint's v, slope and c, and, for antialiasing, of the
    logarithm of its opacity.

    With u and w the rows of U, n = u x w and p = u - slope w, v = a - b^2 / c changes by
    2 p . (du - slope dw). Of a long and thin Gaussian p is the small difference of large vectors,
    and is found as (w x n + eps2d u) / c. What antialiasing does follows from n likewise.
    """
    a, _, c, det, sharp, slope, _, inverse_c = shape(U, cam)
    u, w = U[:3], U[3:]
    n = cross(u, w)
    wn, nu = cross(w, n), cross(n, u)
    eps2d = cam[EPS2D]
    h = inverse_c * g_slope
    twice_v, twice_c = _f(2) * g_v, _f(2) * g_c
    p0 = (wn[0] + eps2d * u[0]) * inverse_c
    p1 = (wn[1] + eps2d * u[1]) * inverse_c
    p2 = (wn[2] + eps2d * u[2]) * inverse_c
    u0, u1, u2 = twice_v * p0 + h * w[0], twice_v * p1 + h * w[1], twice_v * p2 + h * w[2]
    u3 = h * p0 - slope * u0 + twice_c * w[0]
    u4 = h * p1 - slope * u1 + twice_c * w[1]
    u5 = h * p2 - slope * u2 + twice_c * w[2]
    if cam[ANTIALIASED] > _f(0):
        # compensation^2 = n^2 / det; gsplat adds the same 1e-6.
        compensation = vsqrt(sharp / det)
        factor = g_log_opacity * compensation / (compensation + _f(1e-6)) * eps2d / det
        along = factor * (a + c - eps2d) / sharp  # det - n^2 = eps2d (a + c - eps2d)
        u0 = u0 + along * wn[0] - factor * u[0]
        u1 = u1 + along * wn[1] - factor * u[1]
        u2 = u2 + along * wn[2] - factor * u[2]
        u3 = u3 + along * nu[0] - factor * w[0]
        u4 = u4 + along * nu[1] - factor * w[1]
        u5 = u5 + along * nu[2] - factor * w[2]
    return u0, u1, u2, u3, u4, u5


@scalar_helper
def from_image(g_mx: Any, g_my: Any, g_U: Any, g_z: Any, geometry: Any, cam: Any) -> Any:
    """Gradients of mean in the image, U and depth, taken back to 3D.

    Returns those of the mean in the camera's axes, of V, of M diag(scales) in the world's axes, of
    the log-scales and of the quaternion; geometry is that of :func:`geometry.geometry`.
    """
    (x, y, z), (bx, by), scale, (inverse, unit), M, V, _ = geometry
    u0, u1, u2, u3, u4, u5 = g_U
    rz = _f(1) / z
    two = _f(2)
    jx, jy = cam[FX] * rz, cam[FY] * rz
    jxz, jyz = _f(0) - jx * bx * rz, _f(0) - jy * by * rz
    g_jx = u0 * V[0] + u1 * V[1] + u2 * V[2]
    g_jy = u3 * V[3] + u4 * V[4] + u5 * V[5]
    g_jxz = u0 * V[6] + u1 * V[7] + u2 * V[8]
    g_jyz = u3 * V[6] + u4 * V[7] + u5 * V[8]

    # Mean in the camera. Where the Jacobian is bounded, it depends on z only.
    gx = jx * g_mx
    gy = jy * g_my
    gz = g_z - (jx * x * g_mx + jy * y * g_my) * rz - (jx * g_jx + jy * g_jy) * rz
    ratio = x * rz
    free = both(ge(ratio, cam[X_MIN]), ge(cam[X_MAX], ratio))
    part = jxz * rz * g_jxz
    gx = gx - select(free, jx * rz * g_jxz, _f(0))
    gz = gz - select(free, two * part, part)
    ratio = y * rz
    free = both(ge(ratio, cam[Y_MIN]), ge(cam[Y_MAX], ratio))
    part = jyz * rz * g_jyz
    gy = gy - select(free, jy * rz * g_jyz, _f(0))
    gz = gz - select(free, two * part, part)

    # V = R M S: gradient of V, then of N = M S by way of R^T.
    w0, w1, w2 = (
        (jx * u0, jx * u1, jx * u2),
        (jy * u3, jy * u4, jy * u5),
        (
            jxz * u0 + jyz * u3,
            jxz * u1 + jyz * u4,
            jxz * u2 + jyz * u5,
        ),
    )
    n00, n10, n20 = to_world(w0[0], w1[0], w2[0], cam)
    n01, n11, n21 = to_world(w0[1], w1[1], w2[1], cam)
    n02, n12, n22 = to_world(w0[2], w1[2], w2[2], cam)
    s0, s1, s2 = scale
    n00, n10, n20 = n00 * s0, n10 * s0, n20 * s0
    n01, n11, n21 = n01 * s1, n11 * s1, n21 * s1
    n02, n12, n22 = n02 * s2, n12 * s2, n22 * s2
    g_scales = (
        n00 * M[0] + n10 * M[3] + n20 * M[6],
        n01 * M[1] + n11 * M[4] + n21 * M[7],
        n02 * M[2] + n12 * M[5] + n22 * M[8],
    )
    qw, qx, qy, qz = unit
    g_qw = two * (qx * (n21 - n12) + qy * (n02 - n20) + qz * (n10 - n01))
    g_qx = two * (qy * (n01 + n10) + qz * (n02 + n20) + qw * (n21 - n12) - two * qx * (n11 + n22))
    g_qy = two * (qx * (n01 + n10) + qz * (n12 + n21) + qw * (n02 - n20) - two * qy * (n00 + n22))
    g_qz = two * (qx * (n02 + n20) + qy * (n12 + n21) + qw * (n10 - n01) - two * qz * (n00 + n11))
    radial = g_qw * qw + g_qx * qx + g_qy * qy + g_qz * qz
    g_quats = (
        (g_qw - radial * qw) * inverse,
        (g_qx - radial * qx) * inverse,
        (g_qy - radial * qy) * inverse,
        (g_qz - radial * qz) * inverse,
    )
    return (gx, gy, gz), (w0, w1, w2), g_scales, g_quats


@scalar_helper
def _add(sums: Any, k: int, kept: Any, value: Any) -> None:
    vstore(sums, k * LANES, vload(sums, k * LANES) + select(kept, value, splat(_f(0))))


@scalar_helper
def _add_camera(
    i: int, kept: Any, point: Any, by_V: Any, geo: Any, by_center: Any, means: Any, sums: Any
) -> None:
    """Gradients of p = R x + t, V = R (M S), and the camera centre."""
    _, _, scale, _, M, _, _ = geo
    mx, my, mz = load3(means, 3 * i)
    s0, s1, s2 = scale
    w0, w1, w2 = by_V
    n0, n1, n2 = (
        (s0 * M[0], s1 * M[1], s2 * M[2]),
        (s0 * M[3], s1 * M[4], s2 * M[5]),
        (s0 * M[6], s1 * M[7], s2 * M[8]),
    )
    gx, gy, gz = point
    _add(sums, 0, kept, gx * mx + w0[0] * n0[0] + w0[1] * n0[1] + w0[2] * n0[2])
    _add(sums, 1, kept, gx * my + w0[0] * n1[0] + w0[1] * n1[1] + w0[2] * n1[2])
    _add(sums, 2, kept, gx * mz + w0[0] * n2[0] + w0[1] * n2[1] + w0[2] * n2[2])
    _add(sums, 3, kept, gx)
    _add(sums, 4, kept, gy * mx + w1[0] * n0[0] + w1[1] * n0[1] + w1[2] * n0[2])
    _add(sums, 5, kept, gy * my + w1[0] * n1[0] + w1[1] * n1[1] + w1[2] * n1[2])
    _add(sums, 6, kept, gy * mz + w1[0] * n2[0] + w1[1] * n2[1] + w1[2] * n2[2])
    _add(sums, 7, kept, gy)
    _add(sums, 8, kept, gz * mx + w2[0] * n0[0] + w2[1] * n0[1] + w2[2] * n0[2])
    _add(sums, 9, kept, gz * my + w2[0] * n1[0] + w2[1] * n1[1] + w2[2] * n1[2])
    _add(sums, 10, kept, gz * mz + w2[0] * n2[0] + w2[1] * n2[1] + w2[2] * n2[2])
    _add(sums, 11, kept, gz)
    zero = splat(_f(0))
    _add(sums, 12, kept, zero - by_center[0])
    _add(sums, 13, kept, zero - by_center[1])
    _add(sums, 14, kept, zero - by_center[2])


@kernel(
    "void(i8, i8, f4[:,::1],"
    " f4[::1], i4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1],"
    " f4[:,::1], f4[:,::1], i8, f4[::1], b1,"
    " f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1],"
    " f4[:,::1], f4[:,::1], b1, f8[:,::1])",
    scalar_maths=True,
)
def project_backward(
    part: int,
    parts: int,
    space: Any,
    depths: Any,
    spans: Any,
    table: Any,
    means: Any,
    quats: Any,
    log_scales: Any,
    opacity_logits: Any,
    shN: Any,
    footprints: Any,
    degree: int,
    cam: Any,
    with_depth: bool,
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

    Writes all of the outputs (``v_...`` by name of the parameter), 0 for Gaussians that are not
    seen. ``v_camera`` [chunks, 15] gets, ``with_camera``, a partial sum per chunk of groups.
    """
    n = means.shape[0]
    groups = (n + LANES - 1) // LANES
    n_features = v_features.shape[1]
    scratch = space[part]
    totals = scratch[SCRATCH : SCRATCH + LANES * LANES]
    camera_sums = scratch[SCRATCH + LANES * LANES :]
    zero = splat(_f(0))
    for k in range(COLUMNS):
        vstore(scratch, k * LANES, zero)  # columns of unused bases stay 0
    n_chunks = v_camera.shape[0]
    for group in range(n_chunks * part // parts * CHUNK, groups):
        if group >= n_chunks * (part + 1) // parts * CHUNK:
            break
        i = min(group * LANES, n - LANES)
        if with_camera and group % CHUNK == 0:
            for k in range(0, CAMERA_GRADIENT * LANES, LANES):
                vstore(camera_sums, k, zero)
        seen = gt(vload(depths, i), _f(0))
        for array in (shN, footprints, means, quats, log_scales):
            prefetch_rows(array, i + LANES)
        for array in (v_shN, v_means, v_quats, v_log_scales, v_sh0, v_means2d):
            prefetch_rows_to_write(array, i)
        if not any_lane(seen):
            store3(v_means, 3 * i, (zero, zero, zero))
            store4(v_quats, 4 * i, (zero, zero, zero, zero))
            store3(v_log_scales, 3 * i, (zero, zero, zero))
            vstore(v_opacity_logits, i, zero)
            store3(v_sh0, 3 * i, (zero, zero, zero))
            store2(v_means2d, 2 * i, (zero, zero))
            if abs_means2d.shape[0] > 0:
                store2(abs_means2d, 2 * i, (zero, zero))
            for row in range(i, i + LANES):
                for k in range(v_shN.shape[1]):
                    v_shN[row, k] = _f(0)
                for k in range(n_features):
                    v_features[row, k] = _f(0)
        else:
            sum_rows(i, spans, table, 0, totals, 0)
            q = vload(totals, Q * LANES)
            qu, qy = vload(totals, Q_U * LANES), vload(totals, Q_Y * LANES)
            quu, quy = vload(totals, Q_UU * LANES), vload(totals, Q_UY * LANES)
            qyy = vload(totals, Q_YY * LANES)
            red = select(seen, vload(totals, RED * LANES), zero)
            green = select(seen, vload(totals, GREEN * LANES), zero)
            blue = select(seen, vload(totals, BLUE * LANES), zero)
            if abs_means2d.shape[0] > 0:
                ax = select(seen, vload(totals, ABS_X * LANES), zero)
                ay = select(seen, vload(totals, ABS_Y * LANES), zero)
                store2(abs_means2d, 2 * i, (ax, ay))
            g_z = zero
            if with_depth:
                sum_rows(i, spans, table, EXTRAS + n_features // LANES * LANES, totals, 0)
                g_z = vload(totals, n_features % LANES * LANES)
            # Each number is written once, finished: the last sixteen may be at work elsewhere, too.
            for first in range(0, n_features, LANES):
                sum_rows(i, spans, table, EXTRAS + first, totals, 0)
                for lane in range(LANES):
                    for k in range(min(LANES, n_features - first)):
                        v_features[i + lane, first + k] = totals[k * LANES + lane]

            # Opacity: dL/dlogit = (dL/dlog alpha) (1 - opacity).
            dull = sigmoid(_f(0) - vload(opacity_logits, i))
            vstore(v_opacity_logits, i, select(seen, q * dull, zero))

            # Mean and covariance in the image; alpha depends on v, slope and c.
            geo = geometry(i, means, quats, log_scales, cam)
            by_u, by_y, (by_uu, by_uy, by_yy) = log_alpha_changes(geo[6], cam)
            g_mx, g_my = by_u[0] * qu, by_y * qy + by_u[1] * qu
            store2(v_means2d, 2 * i, (select(seen, g_mx, zero), select(seen, g_my, zero)))
            g_U = axes_gradient(by_uu * quu, by_uy * quy, by_yy * qyy, q, geo[6], cam)
            point, by_V, g_scales, g_quats = from_image(g_mx, g_my, g_U, g_z, geo, cam)

            # Colour: coefficients, and the direction from the camera centre to the mean.
            transpose(footprints, i * FOOTPRINT, FOOTPRINT, totals, 0, LANES)
            red = select(gt(vload(totals, RED_CHANNEL * LANES), _f(0)), red, zero)
            green = select(gt(vload(totals, GREEN_CHANNEL * LANES), _f(0)), green, zero)
            blue = select(gt(vload(totals, BLUE_CHANNEL * LANES), _f(0)), blue, zero)
            store3(v_sh0, 3 * i, (red * C0, green * C0, blue * C0))
            tx, ty, tz = zero, zero, zero
            if degree > 0:
                dx, dy, dz, inverse = direction(i, means, cam)
                basis(degree, dx, dy, dz, scratch)
                coefficients(i, degree, shN, scratch)
                for k in range(1, (degree + 1) * (degree + 1)):
                    o = 3 * (k - 1) * LANES
                    value = vload(scratch, BASES + k * LANES)
                    along = vload(scratch, o) * red
                    along = fma(vload(scratch, o + LANES), green, along)
                    along = fma(vload(scratch, o + 2 * LANES), blue, along)
                    vstore(scratch, ALONG + k * LANES, along)
                    vstore(scratch, o, select(seen, value * red, zero))
                    vstore(scratch, o + LANES, select(seen, value * green, zero))
                    vstore(scratch, o + 2 * LANES, select(seen, value * blue, zero))
                for k in range(3 * ((degree + 1) * (degree + 1) - 1), COLUMNS):
                    vstore(scratch, k * LANES, zero)
                tx, ty, tz = direction_gradient(degree, dx, dy, dz, scratch)
                radial = tx * dx + ty * dy + tz * dz
                tx = (tx - radial * dx) * inverse
                ty = (ty - radial * dy) * inverse
                tz = (tz - radial * dz) * inverse
            write_columns(i, v_shN, scratch)

            m0, m1, m2 = to_world(point[0], point[1], point[2], cam)
            m0, m1, m2 = m0 + tx, m1 + ty, m2 + tz
            size = vabs(m0) + vabs(m1) + vabs(m2)
            size = size + vabs(g_scales[0]) + vabs(g_scales[1]) + vabs(g_scales[2])
            size = size + vabs(g_quats[0]) + vabs(g_quats[1])
            size = size + vabs(g_quats[2]) + vabs(g_quats[3])
            # Where the sums over pixels are finite and their way back through an extreme shape is
            # not, a Gaussian gets no gradient. A loss that is NaN stays visible.
            lost = unless(finite(q + quu + qyy + qu + qy), finite(size))
            kept = unless(seen, lost)
            store3(
                v_means,
                3 * i,
                (select(kept, m0, zero), select(kept, m1, zero), select(kept, m2, zero)),
            )
            store3(
                v_log_scales,
                3 * i,
                (
                    select(kept, g_scales[0], zero),
                    select(kept, g_scales[1], zero),
                    select(kept, g_scales[2], zero),
                ),
            )
            store4(
                v_quats,
                4 * i,
                (
                    select(kept, g_quats[0], zero),
                    select(kept, g_quats[1], zero),
                    select(kept, g_quats[2], zero),
                    select(kept, g_quats[3], zero),
                ),
            )
            if with_camera:
                # Not twice those that the group before had already.
                new = both(kept, ge(iota(), _f(group * LANES - i)))
                _add_camera(i, new, point, by_V, geo, (tx, ty, tz), means, camera_sums)
        if with_camera and (group % CHUNK == CHUNK - 1 or group == groups - 1):
            for k in range(CAMERA_GRADIENT):
                total = 0.0
                for lane in range(LANES):
                    total += np.float64(camera_sums[k * LANES + lane])
                v_camera[group // CHUNK, k] = total
    finish(part, parts)
