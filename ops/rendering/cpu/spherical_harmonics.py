"""Colour that depends on the viewing direction, and its gradient, for sixteen Gaussians at a time.

Real spherical harmonics up to degree 3 in the order and with the signs of 3DGS and gsplat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.camera import CENTER
from ops.rendering.cpu.jit import scalar_helper
from ops.rendering.cpu.simd import LANES, fma, select, splat, vsqrt
from ops.rendering.cpu.simd_matrix import transpose
from ops.rendering.cpu.simd_memory import load3, vload, vstore

_f = np.float32
C0 = _f(0.28209479177387814)
C1 = _f(0.48860251190291987)
C2 = _f(1.0925484305920792)  # xy, yz, xz
C2Z, C2Z0 = _f(0.9461746957575601), _f(0.3153915652525201)  # 3 z^2 - 1
C2H = _f(0.5462742152960396)  # x^2 - y^2
C3A = _f(0.5900435899266435)  # y (3 x^2 - y^2), x (x^2 - 3 y^2)
C3B = _f(1.445305721320277)  # z (x^2 - y^2), and 2 xyz
C3C, C3C0 = _f(2.285228997322329), _f(0.4570457994644658)  # x (5 z^2 - 1), y (5 z^2 - 1)
C3D, C3D0 = _f(1.865881662950577), _f(1.119528997770346)  # z (5 z^2 - 3)

COLUMNS = 45  # of shN at degree 3: 15 bases times 3 colours
SCRATCH = (COLUMNS + 16 + 16) * LANES  # shN turned into columns, bases, sums along the bases
BASES = COLUMNS * LANES
ALONG = (COLUMNS + 16) * LANES


@scalar_helper
def basis(degree: int, x: Any, y: Any, z: Any, scratch: Any) -> None:
    """Values at the unit vector (x, y, z) of the bases 1 and up to ``degree``, into scratch."""
    o = BASES
    if degree >= 1:
        vstore(scratch, o + 1 * LANES, y * -C1)
        vstore(scratch, o + 2 * LANES, z * C1)
        vstore(scratch, o + 3 * LANES, x * -C1)
    if degree >= 2:
        vstore(scratch, o + 4 * LANES, x * y * C2)
        vstore(scratch, o + 5 * LANES, y * z * -C2)
        vstore(scratch, o + 6 * LANES, z * z * C2Z - C2Z0)
        vstore(scratch, o + 7 * LANES, x * z * -C2)
        vstore(scratch, o + 8 * LANES, (x * x - y * y) * C2H)
    if degree >= 3:
        vstore(scratch, o + 9 * LANES, y * -C3A * (x * x * _f(3) - y * y))
        vstore(scratch, o + 10 * LANES, x * y * z * (_f(2) * C3B))
        vstore(scratch, o + 11 * LANES, y * (C3C0 - z * z * C3C))
        vstore(scratch, o + 12 * LANES, z * (z * z * C3D - C3D0))
        vstore(scratch, o + 13 * LANES, x * (C3C0 - z * z * C3C))
        vstore(scratch, o + 14 * LANES, z * (x * x - y * y) * C3B)
        vstore(scratch, o + 15 * LANES, x * -C3A * (x * x - y * y * _f(3)))


@scalar_helper
def direction(i: int, means: Any, cam: Any) -> Any:
    """The unit vectors from the camera centre to sixteen means, and the inverse distances."""
    x, y, z = load3(means, 3 * i)
    x, y, z = x - cam[CENTER], y - cam[CENTER + 1], z - cam[CENTER + 2]
    inverse = _f(1) / vsqrt(x * x + y * y + z * z)
    return x * inverse, y * inverse, z * inverse, inverse


@scalar_helper
def basis_where(seen: Any, i: int, degree: int, means: Any, cam: Any, scratch: Any) -> None:
    """:func:`basis` in the directions of sixteen means; finite also where one is not seen."""
    zero = splat(_f(0))
    x, y, z, _ = direction(i, means, cam)
    basis(degree, select(seen, x, zero), select(seen, y, zero), select(seen, z, zero), scratch)


@scalar_helper
def coefficients(i: int, degree: int, shN: Any, scratch: Any) -> None:
    """The columns of shN [N, 3 (K - 1)] that ``degree`` needs, of sixteen Gaussians."""
    held = shN.shape[1]
    wanted = 3 * ((degree + 1) * (degree + 1) - 1)
    if held < LANES:
        for lane in range(LANES):
            for k in range(wanted):
                scratch[k * LANES + lane] = shN[i + lane, k]
        return
    k = 0
    while k < wanted:
        start = min(k, held - LANES)
        transpose(shN, i * held + start, held, scratch, start * LANES, LANES)
        k += LANES


@scalar_helper
def color(i: int, degree: int, means: Any, cam: Any, sh0: Any, shN: Any, scratch: Any) -> Any:
    """Red, green and blue of sixteen Gaussians, before they are cut at 0."""
    red, green, blue = load3(sh0, 3 * i)
    red, green, blue = red * C0 + _f(0.5), green * C0 + _f(0.5), blue * C0 + _f(0.5)
    if degree > 0:
        x, y, z, _ = direction(i, means, cam)
        basis(degree, x, y, z, scratch)
        coefficients(i, degree, shN, scratch)
        for k in range(1, (degree + 1) * (degree + 1)):
            value = vload(scratch, BASES + k * LANES)
            o = 3 * (k - 1) * LANES
            red = fma(value, vload(scratch, o), red)
            green = fma(value, vload(scratch, o + LANES), green)
            blue = fma(value, vload(scratch, o + 2 * LANES), blue)
    return red, green, blue


@scalar_helper
def _along(scratch: Any, k: int) -> Any:
    return vload(scratch, ALONG + k * LANES)


@scalar_helper
def direction_gradient(degree: int, x: Any, y: Any, z: Any, scratch: Any) -> tuple[Any, Any, Any]:
    """The gradient at the unit vector (x, y, z) of the sum of ALONG[k] times basis k.

    Of the polynomials as written above; the caller keeps its part across the unit sphere.
    """
    gx, gy, gz = splat(_f(0)), splat(_f(0)), splat(_f(0))
    if degree >= 1:
        gx = _along(scratch, 3) * -C1
        gy = _along(scratch, 1) * -C1
        gz = _along(scratch, 2) * C1
    two, three, six = _f(2), _f(3), _f(6)
    if degree >= 2:
        v4, v5, v6 = _along(scratch, 4), _along(scratch, 5), _along(scratch, 6)
        v7, v8 = _along(scratch, 7), _along(scratch, 8)
        gx = gx + (y * v4 - z * v7) * C2 + x * v8 * (two * C2H)
        gy = gy + (x * v4 - z * v5) * C2 - y * v8 * (two * C2H)
        gz = gz + (y * v5 + x * v7) * -C2 + z * v6 * (two * C2Z)
    if degree >= 3:
        v9, v10, v11 = _along(scratch, 9), _along(scratch, 10), _along(scratch, 11)
        v12, v13, v14 = _along(scratch, 12), _along(scratch, 13), _along(scratch, 14)
        v15 = _along(scratch, 15)
        difference = x * x - y * y
        five = C3C0 - z * z * C3C
        gx = gx + (x * y * v9 * six + difference * v15 * three) * -C3A + five * v13
        gx = gx + z * (y * v10 + x * v14) * (two * C3B)
        gy = gy + (x * y * v15 * six - difference * v9 * three) * C3A + five * v11
        gy = gy + z * (x * v10 - y * v14) * (two * C3B)
        gz = gz + (x * y * v10 * two + difference * v14) * C3B
        gz = gz + (z * z * (three * C3D) - C3D0) * v12 - z * (y * v11 + x * v13) * (two * C3C)
    return gx, gy, gz
