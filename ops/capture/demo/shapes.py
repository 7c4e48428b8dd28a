"""Closed-form intersections of rays with the shapes of the scene.

A shape lives in its own frame. A row of ``Scene.shapes`` holds the affine map of world to that
frame, ``x_own = W (x - c)`` (entries 0..8 W by rows, 9..11 c), the shape's numbers from 12 on and
the columns that ``model`` names:

- PLANE: z = 0, seen from z > 0 only.
- BALL: the unit sphere; W carries radii, so it may be any ellipsoid.
- BLOCK: the box |x| <= (12, 13, 14).
- RING: the torus about the z axis with radii (12 major, 13 minor).
- LATHE: the surface of revolution x^2 + y^2 = q(z), z in [12, 13], where q is the cubic with
  coefficients 14..17 from the constant up; 18 is the largest q, 19 and 20 say whether the lower
  and upper end are closed by a disc. Squared radii make cylinders, cones, spheres and smooth vases
  alike polynomials of degree at most three along a ray.

Roots of polynomials are bracketed between the roots of the derivative, so none is missed and the
nearest is exact to rounding. W is applied to directions as they are, so t is the distance in the
world for a unit direction.
"""

from __future__ import annotations

import math

from ops.capture.demo.jit import Array, Vec, helper
from ops.capture.demo.model import CASTS, KIND, Scene

PLANE, BALL, BLOCK, RING, LATHE = 0, 1, 2, 3, 4
MISS = 1e30


@helper
def dot(a: Vec, b: Vec) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@helper
def along(o: Vec, d: Vec, t: float) -> Vec:
    """The point ``o + t d``."""
    return (o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2])


@helper
def unit(a: Vec) -> Vec:
    s = 1.0 / math.sqrt(dot(a, a))
    return (a[0] * s, a[1] * s, a[2] * s)


@helper
def to_own(row: Array, p: Vec) -> Vec:
    """A world point in the frame of a shape (or of its texture)."""
    return rotate(row, (p[0] - row[9], p[1] - row[10], p[2] - row[11]))


@helper
def rotate(row: Array, d: Vec) -> Vec:
    """A world direction in the frame of a shape."""
    return (
        row[0] * d[0] + row[1] * d[1] + row[2] * d[2],
        row[3] * d[0] + row[4] * d[1] + row[5] * d[2],
        row[6] * d[0] + row[7] * d[1] + row[8] * d[2],
    )


@helper
def _polish(c4: float, c3: float, c2: float, c1: float, c0: float, a: float, b: float) -> float:
    """The root of a polynomial that is monotone on [a, b] and changes sign there."""
    fa = (((c4 * a + c3) * a + c2) * a + c1) * a + c0
    x = 0.5 * (a + b)
    for _ in range(60):
        f = (((c4 * x + c3) * x + c2) * x + c1) * x + c0
        if f == 0.0:
            return x
        if (f < 0.0) == (fa < 0.0):
            a = x
        else:
            b = x
        slope = ((4.0 * c4 * x + 3.0 * c3) * x + 2.0 * c2) * x + c1
        step = x - f / slope if slope != 0.0 else a - 1.0
        if not a < step < b:
            step = 0.5 * (a + b)
        if abs(step - x) <= 1e-15 + 1e-14 * abs(x):
            return step
        x = step
    return x


@helper
def _cubic_roots(c3: float, c2: float, c1: float, c0: float, a: float, b: float) -> Vec:
    """The roots of a cubic in [a, b] in rising order: (r1, r2, r3), MISS where there are fewer."""
    # Its stationary points cut [a, b] into pieces with at most one root each.
    s1, s2 = b, b
    qa, qb, qc = 3.0 * c3, 2.0 * c2, c1
    disc = qb * qb - 4.0 * qa * qc
    if disc > 0.0:
        q = -0.5 * (qb + math.copysign(math.sqrt(disc), qb))
        x1 = q / qa if abs(qa) > 1e-300 else b
        x2 = qc / q if q != 0.0 else b
        s1 = min(max(min(x1, x2), a), b)
        s2 = min(max(max(x1, x2), a), b)
    r1, r2, r3 = MISS, MISS, MISS
    lo = a
    flo = ((c3 * lo + c2) * lo + c1) * lo + c0
    for piece in range(3):
        hi = s1 if piece == 0 else (s2 if piece == 1 else b)
        if hi > lo:
            fhi = ((c3 * hi + c2) * hi + c1) * hi + c0
            if (flo < 0.0) != (fhi < 0.0):
                x = _polish(0.0, c3, c2, c1, c0, lo, hi)
                if r1 == MISS:
                    r1 = x
                elif r2 == MISS:
                    r2 = x
                else:
                    r3 = x
            lo, flo = hi, fhi
    return r1, r2, r3


@helper
def _quartic_first(c4: float, c3: float, c2: float, c1: float, c0: float, b: float) -> float:
    """The least root of a quartic in [0, b], or MISS."""
    s1, s2, s3 = _cubic_roots(4.0 * c4, 3.0 * c3, 2.0 * c2, c1, 0.0, b)
    lo, flo = 0.0, c0
    for piece in range(4):
        hi = s1 if piece == 0 else (s2 if piece == 1 else (s3 if piece == 2 else b))
        hi = min(hi, b)
        if hi > lo:
            fhi = (((c4 * hi + c3) * hi + c2) * hi + c1) * hi + c0
            if (flo < 0.0) != (fhi < 0.0):
                return _polish(c4, c3, c2, c1, c0, lo, hi)
            lo, flo = hi, fhi
    return MISS


@helper
def _ball(o: Vec, d: Vec, near: float, far: float) -> float:
    a, b = dot(d, d), dot(o, d)
    # The squared distance of the line to the centre, without cancellation far away.
    k = -b / a
    m = along(o, d, k)
    disc = (1.0 - dot(m, m)) / a
    if disc < 0.0:
        return MISS
    h = math.sqrt(disc)
    t = k - h
    if t < near:
        t = k + h
    return t if near < t < far else MISS


@helper
def _block(o: Vec, d: Vec, row: Array, near: float, far: float) -> float:
    lo, hi = -MISS, MISS
    for i in range(3):
        e = row[12 + i]
        if d[i] != 0.0:
            s = 1.0 / d[i]
            a, b = (-e - o[i]) * s, (e - o[i]) * s
            if a > b:
                a, b = b, a
            lo, hi = max(lo, a), min(hi, b)
        elif abs(o[i]) > e:
            return MISS
    if lo > hi:
        return MISS
    t = lo if lo > near else hi
    return t if near < t < far else MISS


@helper
def _slab(o: Vec, d: Vec, lo: float, hi: float) -> tuple[float, float]:
    """Where a line is between z = lo and z = hi: (enter, leave), enter > leave if nowhere."""
    if d[2] == 0.0:
        return (-MISS, MISS) if lo <= o[2] <= hi else (MISS, -MISS)
    s = 1.0 / d[2]
    a, b = (lo - o[2]) * s, (hi - o[2]) * s
    return (a, b) if a < b else (b, a)


@helper
def _tube(o: Vec, d: Vec, q: float) -> tuple[float, float]:
    """Where a line is inside the cylinder x^2 + y^2 <= q: (enter, leave)."""
    a = d[0] * d[0] + d[1] * d[1]
    b = o[0] * d[0] + o[1] * d[1]
    c = o[0] * o[0] + o[1] * o[1] - q
    if a < 1e-24:
        return (-MISS, MISS) if c <= 0.0 else (MISS, -MISS)
    disc = b * b - a * c
    if disc < 0.0:
        return MISS, -MISS
    h = math.sqrt(disc)
    return (-b - h) / a, (-b + h) / a


@helper
def _ring(o: Vec, d: Vec, row: Array, near: float, far: float) -> float:
    major, minor = row[12], row[13]
    wide = 1.0001 * minor  # so that no ray starts on the surface
    t0, t1 = _slab(o, d, -wide, wide)
    if t0 > t1 or t1 < near:
        return MISS
    u0, u1 = _tube(o, d, (major + wide) ** 2)
    t0, t1 = max(t0, u0, near), min(t1, u1, far)
    if t0 >= t1:
        return MISS
    p = along(o, d, t0)
    # (|x|^2 + R^2 - r^2)^2 = 4 R^2 (x^2 + y^2) along p + s d.
    dd, pd, k = dot(d, d), dot(p, d), dot(p, p) + major * major - minor * minor
    r4 = 4.0 * major * major
    c4 = dd * dd
    c3 = 4.0 * dd * pd
    c2 = 2.0 * dd * k + 4.0 * pd * pd - r4 * (d[0] * d[0] + d[1] * d[1])
    c1 = 4.0 * pd * k - 2.0 * r4 * (p[0] * d[0] + p[1] * d[1])
    c0 = k * k - r4 * (p[0] * p[0] + p[1] * p[1])
    s = _quartic_first(c4, c3, c2, c1, c0, t1 - t0)
    return t0 + s if s < MISS else MISS


@helper
def _lathe(o: Vec, d: Vec, row: Array, near: float, far: float) -> float:
    z0, z1 = row[12], row[13]
    s0, s1 = _slab(o, d, z0, z1)
    if s0 > s1 or s1 < near:
        return MISS
    u0, u1 = _tube(o, d, row[18])
    t0, t1 = max(s0, u0, near), min(s1, u1, far)
    if t0 >= t1:
        return MISS
    p = along(o, d, t0)
    z, dz = p[2], d[2]
    a0, a1, a2, a3 = row[14], row[15], row[16], row[17]
    c3 = -a3 * dz * dz * dz
    c2 = d[0] * d[0] + d[1] * d[1] - (a2 + 3.0 * a3 * z) * dz * dz
    c1 = 2.0 * (p[0] * d[0] + p[1] * d[1]) - (a1 + (2.0 * a2 + 3.0 * a3 * z) * z) * dz
    c0 = p[0] * p[0] + p[1] * p[1] - (((a3 * z + a2) * z + a1) * z + a0)
    if c0 < 0.0 and t0 == s0:  # through an end, inside the profile
        closed = row[19] if dz > 0.0 else row[20]
        if closed != 0.0:
            return t0
    s, _, _ = _cubic_roots(c3, c2, c1, c0, 0.0, t1 - t0)
    if s < MISS:
        return t0 + s
    if t1 == s1:
        closed = row[20] if dz > 0.0 else row[19]
        q = along(o, d, t1)
        z = q[2]
        if closed != 0.0 and q[0] * q[0] + q[1] * q[1] < ((a3 * z + a2) * z + a1) * z + a0:
            return t1
    return MISS


@helper
def intersect(row: Array, origin: Vec, direction: Vec, near: float, far: float) -> float:
    """Distance to the first crossing of a shape between ``near`` and ``far``, or MISS."""
    kind = row[KIND]
    o, d = to_own(row, origin), rotate(row, direction)
    if kind == BALL:
        return _ball(o, d, near, far)
    if kind == BLOCK:
        return _block(o, d, row, near, far)
    if kind == LATHE:
        return _lathe(o, d, row, near, far)
    if kind == RING:
        return _ring(o, d, row, near, far)
    if d[2] < 0.0:
        t = -o[2] / d[2]
        if near < t < far:
            return t
    return MISS


@helper
def normal(row: Array, p: Vec, direction: Vec) -> Vec:
    """Unit normal in the world at a point of a shape, on the side that ``direction`` comes from."""
    kind = row[KIND]
    q = to_own(row, p)
    n = (0.0, 0.0, 1.0)
    if kind == BALL:
        n = q
    elif kind == BLOCK:
        # The face is the one whose distance is least.
        a, b, c = abs(abs(q[0]) - row[12]), abs(abs(q[1]) - row[13]), abs(abs(q[2]) - row[14])
        if a <= b and a <= c:
            n = (q[0], 0.0, 0.0)
        elif b <= c:
            n = (0.0, q[1], 0.0)
        else:
            n = (0.0, 0.0, q[2])
    elif kind == RING:
        s = 1.0 - row[12] / math.sqrt(q[0] * q[0] + q[1] * q[1])
        n = (q[0] * s, q[1] * s, q[2])
    elif kind == LATHE:
        z = q[2]
        side = q[0] * q[0] + q[1] * q[1]
        profile = ((row[17] * z + row[16]) * z + row[15]) * z + row[14]
        if row[19] != 0.0 and abs(z - row[12]) < 1e-9 and side < profile - 1e-12:
            n = (0.0, 0.0, -1.0)
        elif row[20] != 0.0 and abs(z - row[13]) < 1e-9 and side < profile - 1e-12:
            n = (0.0, 0.0, 1.0)
        else:
            slope = (3.0 * row[17] * z + 2.0 * row[16]) * z + row[15]
            n = (q[0], q[1], -0.5 * slope)
    n = unit(
        (
            row[0] * n[0] + row[3] * n[1] + row[6] * n[2],
            row[1] * n[0] + row[4] * n[1] + row[7] * n[2],
            row[2] * n[0] + row[5] * n[1] + row[8] * n[2],
        )
    )
    if dot(n, direction) > 0.0:
        n = (-n[0], -n[1], -n[2])
    return n


@helper
def _passes(box: Array, o: Vec, inverse: Vec, far: float) -> bool:
    """Whether a ray meets a box (low corner, high corner) before ``far``."""
    a, b = (box[0] - o[0]) * inverse[0], (box[3] - o[0]) * inverse[0]
    near, away = min(a, b), max(a, b)
    a, b = (box[1] - o[1]) * inverse[1], (box[4] - o[1]) * inverse[1]
    near, away = max(near, min(a, b)), min(away, max(a, b))
    a, b = (box[2] - o[2]) * inverse[2], (box[5] - o[2]) * inverse[2]
    near, away = max(near, min(a, b)), min(away, max(a, b))
    return near <= away and away > 0.0 and near < far


@helper
def _inverse(d: Vec) -> Vec:
    x = d[0] if abs(d[0]) > 1e-30 else 1e-30
    y = d[1] if abs(d[1]) > 1e-30 else 1e-30
    z = d[2] if abs(d[2]) > 1e-30 else 1e-30
    return (1.0 / x, 1.0 / y, 1.0 / z)


@helper
def nearest(scene: Scene, o: Vec, d: Vec, guess: int) -> tuple[int, float]:
    """The first shape that a ray meets: (shape, distance); (-1, MISS) where there is none.

    ``guess`` (-1 for none) is tried first: the less there is in front of it, the sooner it is done.
    """
    shapes, tree, links = scene.shapes, scene.tree, scene.links
    best, at = -1, MISS
    if guess >= 0:
        at = intersect(shapes[guess], o, d, 1e-6, MISS)
        best = guess if at < MISS else -1
    for i in scene.planes:
        t = intersect(shapes[i], o, d, 1e-6, at)
        if t < at:
            best, at = i, t
    inverse = _inverse(d)
    node = 0
    while node < tree.shape[0]:
        if not _passes(tree[node], o, inverse, at):
            node = links[node, 0]
            continue
        i = links[node, 1]
        if i >= 0:
            t = intersect(shapes[i], o, d, 1e-6, at)
            if t < at:
                best, at = i, t
        node += 1
    return best, at


@helper
def blocker(
    shapes: Array, tree: Array, links: Array, o: Vec, d: Vec, far: float, skip: int, guess: int
) -> int:
    """A shape other than ``skip`` that throws a shadow within ``far`` on a ray, or -1.

    ``guess`` (-1 for none) is tried first: what shaded the last ray often shades this one.
    """
    if guess >= 0 and intersect(shapes[guess], o, d, 1e-7, far) < MISS:
        return guess
    inverse = _inverse(d)
    node = 0
    while node < tree.shape[0]:
        if not _passes(tree[node], o, inverse, far):
            node = links[node, 0]
            continue
        i = links[node, 1]
        if (
            i >= 0
            and i != skip
            and shapes[i, CASTS] != 0.0
            and intersect(shapes[i], o, d, 1e-7, far) < MISS
        ):
            return i
        node += 1
    return -1
