"""Colour that depends on the viewing direction, and its gradient.

Real spherical harmonics up to degree 3 in the order and with the signs of 3DGS and gsplat.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.rendering.cpu.jit import scalar_helper

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


@scalar_helper
def basis(degree: int, x: Any, y: Any, z: Any, out: Any) -> None:
    """Values at the unit vector (x, y, z) of the bases up to ``degree``, into ``out``."""
    out[0] = C0
    if degree >= 1:
        out[1] = -C1 * y
        out[2] = C1 * z
        out[3] = -C1 * x
    if degree >= 2:
        out[4] = C2 * x * y
        out[5] = -C2 * y * z
        out[6] = C2Z * z * z - C2Z0
        out[7] = -C2 * x * z
        out[8] = C2H * (x * x - y * y)
    if degree >= 3:
        out[9] = -C3A * y * (_f(3) * x * x - y * y)
        out[10] = C3B * _f(2) * x * y * z
        out[11] = y * (C3C0 - C3C * z * z)
        out[12] = z * (C3D * z * z - C3D0)
        out[13] = x * (C3C0 - C3C * z * z)
        out[14] = C3B * z * (x * x - y * y)
        out[15] = -C3A * x * (x * x - _f(3) * y * y)


@scalar_helper
def color(i: int, degree: int, means: Any, center: Any, sh0: Any, shN: Any, bases: Any) -> Any:
    """Red, green and blue of Gaussian i seen from ``center``, before they are cut at 0."""
    x = means[i, 0] - center[0]
    y = means[i, 1] - center[1]
    z = means[i, 2] - center[2]
    inverse = _f(1) / _f(math.sqrt(x * x + y * y + z * z))
    basis(degree, x * inverse, y * inverse, z * inverse, bases)
    red = bases[0] * sh0[i, 0] + _f(0.5)
    green = bases[0] * sh0[i, 1] + _f(0.5)
    blue = bases[0] * sh0[i, 2] + _f(0.5)
    for k in range(1, (degree + 1) * (degree + 1)):
        o = 3 * (k - 1)
        red += bases[k] * shN[i, o]
        green += bases[k] * shN[i, o + 1]
        blue += bases[k] * shN[i, o + 2]
    return red, green, blue


@scalar_helper
def direction_gradient(degree: int, x: Any, y: Any, z: Any, v: Any) -> tuple[Any, Any, Any]:
    """The gradient at the unit vector (x, y, z) of the sum of ``v[k]`` times basis k.

    Of the polynomials as written above; the caller keeps its part across the unit sphere.
    """
    if degree < 1:
        return _f(0), _f(0), _f(0)
    gx = -C1 * v[3]
    gy = -C1 * v[1]
    gz = C1 * v[2]
    if degree >= 2:
        gx += C2 * (y * v[4] - z * v[7]) + _f(2) * C2H * x * v[8]
        gy += C2 * (x * v[4] - z * v[5]) - _f(2) * C2H * y * v[8]
        gz += -C2 * (y * v[5] + x * v[7]) + _f(2) * C2Z * z * v[6]
    if degree >= 3:
        difference = x * x - y * y
        five = C3C0 - C3C * z * z
        gx += -C3A * (_f(6) * x * y * v[9] + _f(3) * difference * v[15]) + five * v[13]
        gx += _f(2) * C3B * z * (y * v[10] + x * v[14])
        gy += C3A * (_f(6) * x * y * v[15] - _f(3) * difference * v[9]) + five * v[11]
        gy += _f(2) * C3B * z * (x * v[10] - y * v[14])
        gz += C3B * (_f(2) * x * y * v[10] + difference * v[14])
        gz += (_f(3) * C3D * z * z - C3D0) * v[12] - _f(2) * C3C * z * (y * v[11] + x * v[13])
    return gx, gy, gz
