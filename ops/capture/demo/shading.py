"""Light: a low sun through the window, the sky in the window, a paper lantern, and what the room
scatters.

All of it is a function of the surface point alone (but for the highlights of glazed ware): the
points on the lights that shadow rays go to are fixed, spread over the samples of a pixel, so that
two cameras see the same shadow and no picture has noise. Ambient light is dimmed by closed-form
form factors of spheres and boxes.
"""

from __future__ import annotations

import math

from ops.capture.demo.jit import Array, Vec, helper
from ops.capture.demo.materials import albedo
from ops.capture.demo.model import (
    ABOVE,
    BELOW,
    CONVEX,
    LAMP,
    OBJECT,
    PANES,
    ROOM,
    SUN,
    WINDOW,
    Scene,
)
from ops.capture.demo.shapes import along, blocker, dot, rotate, to_own, unit
from ops.capture.demo.textures import within

Light = tuple[float, float, float, float, float, float]
SUN_RAYS = 2  # per sample; a pixel has four samples or more
WINDOW_RAYS = 12  # per surface point
LAMP_RAYS = 6
LIFT = 2e-5  # metres by which shadow rays start above the surface
_REACH = 0.35  # metres within which boxes dim the ambient light


@helper
def spread(k: int) -> tuple[float, float]:
    """Point k of a sequence in the unit square any stretch of which is evenly spread (R2)."""
    a, b = 0.5 + 0.7548776662466927 * k, 0.5 + 0.5698402909980532 * k
    return a - math.floor(a), b - math.floor(b)


@helper
def sphere_factor(cosine: float, ratio: float) -> float:
    """Share of the cosine-weighted hemisphere that a sphere fills.

    ``cosine`` is that of the angle between normal and centre, ``ratio`` = radius / distance.
    Exact (cosine * ratio^2) above the horizon; across it, a parabola that joins smoothly.
    """
    s = min(ratio, 1.0)
    if cosine >= s:
        return cosine * s * s
    if cosine <= -s:
        return 0.0
    return 0.25 * (cosine + s) ** 2 * s


@helper
def _edge(a: Vec, b: Vec, n: Vec) -> float:
    """Lambert's term of an edge between directions a and b, times 2 pi."""
    c = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    size = math.sqrt(dot(c, c))
    if size < 1e-12:
        return 0.0
    return math.atan2(size, dot(a, b)) * dot(c, n) / size


@helper
def box_factor(row: Array, p: Vec, n: Vec) -> float:
    """Share of the cosine-weighted hemisphere filled by a box that is above the horizon.

    Lambert's formula for each face that is turned to the point; what of a face lies below the
    horizon counts against it, and the whole is at least 0.
    """
    q, m = to_own(row, p), rotate(row, n)
    total = 0.0
    for axis in range(3):
        e0, e1, e2 = row[12 + axis], row[12 + (axis + 1) % 3], row[12 + (axis + 2) % 3]
        x, y, z = q[axis], q[(axis + 1) % 3], q[(axis + 2) % 3]
        k = (m[axis], m[(axis + 1) % 3], m[(axis + 2) % 3])
        if abs(x) <= e0 + 1e-6:
            continue
        side = 1.0 if x > 0.0 else -1.0
        dx = side * e0 - x
        a = unit((dx, -e1 - y, -e2 - z))
        b = unit((dx, e1 - y, -e2 - z))
        c = unit((dx, e1 - y, e2 - z))
        d = unit((dx, -e1 - y, e2 - z))
        total -= side * (_edge(a, b, k) + _edge(b, c, k) + _edge(c, d, k) + _edge(d, a, k))
    return min(max(total / (2.0 * math.pi), 0.0), 1.0)


@helper
def _frame(u: Vec) -> tuple[Vec, Vec]:
    """Two unit vectors at right angles to ``u`` and each other."""
    a = (0.0, 0.0, 1.0) if abs(u[2]) < 0.9 else (1.0, 0.0, 0.0)
    b = unit((u[1] * a[2] - u[2] * a[1], u[2] * a[0] - u[0] * a[2], u[0] * a[1] - u[1] * a[0]))
    c = (u[1] * b[2] - u[2] * b[1], u[2] * b[0] - u[0] * b[2], u[0] * b[1] - u[1] * b[0])
    return b, c


@helper
def _through_panes(light: Array, y: float, z: float, blur: float) -> float:
    """How much of a blurred point in the plane of the window lies in its openings."""
    gate = 0.0
    for k in range(PANES, light.shape[0], 4):
        y0, y1, z0, z1 = light[k], light[k + 1], light[k + 2], light[k + 3]
        gate += within(y, y0, y1, blur) * within(z, z0, z1, blur)
    return gate


@helper
def sunlight(scene: Scene, p: Vec, n: Vec, skip: int, k: int) -> float:
    """Share of the sun's irradiance that reaches a point; sample ``k`` of a pixel."""
    light = scene.light
    s, wide = (light[SUN], light[SUN + 1], light[SUN + 2]), light[SUN + 3]
    facing = dot(n, s)
    if facing <= 0.0:
        return 0.0
    t = (light[ROOM] - p[0]) / s[0]
    gate = _through_panes(light, p[1] + t * s[1], p[2] + t * s[2], 2.0 * wide * t + 1e-6)
    if gate <= 0.0:
        return 0.0
    b, c = _frame(s)
    seen, shade = 0, -1
    for j in range(SUN_RAYS):
        u, v = spread(k * SUN_RAYS + j)
        r, a = wide * math.sqrt(u), 2.0 * math.pi * v
        d = unit(along(along(s, b, r * math.cos(a)), c, r * math.sin(a)))
        shade = blocker(scene.shapes, scene.tree, scene.links, p, d, t, skip, shade)
        if shade < 0:
            seen += 1
    return gate * facing * seen / SUN_RAYS


@helper
def _skylight(scene: Scene, p: Vec, n: Vec, skip: int) -> float:
    """Irradiance over pi from the panes at a radiance of 1."""
    light = scene.light
    last = light.shape[0] - 4
    x, y0, z0 = light[ROOM], light[PANES], light[PANES + 2]
    wide, high = light[last + 1] - y0, light[last + 3] - z0
    total, shade = 0.0, -1
    if p[0] <= x + 1e-3:
        return 0.0
    for j in range(WINDOW_RAYS):
        u, v = spread(j)
        ray = (x - p[0], y0 + u * wide - p[1], z0 + v * high - p[2])
        facing = dot(ray, n)
        if facing > 0.0:
            squared = dot(ray, ray)
            length = math.sqrt(squared)
            d = (ray[0] / length, ray[1] / length, ray[2] / length)
            shade = blocker(scene.shapes, scene.tree, scene.links, p, d, length, skip, shade)
            if shade < 0:
                total += facing * -ray[0] / (squared * squared)
    return total * wide * high / (math.pi * WINDOW_RAYS)


@helper
def _lamplight(scene: Scene, p: Vec, n: Vec, skip: int) -> float:
    """Irradiance over pi from the lantern at a radiance of 1."""
    light = scene.light
    ray = (light[LAMP] - p[0], light[LAMP + 1] - p[1], light[LAMP + 2] - p[2])
    length = math.sqrt(dot(ray, ray))
    u = (ray[0] / length, ray[1] / length, ray[2] / length)
    radius = light[LAMP + 3]
    factor = sphere_factor(dot(n, u), radius / length)
    if factor <= 0.0:
        return 0.0
    b, c = _frame(u)
    seen, shade = 0, -1
    for j in range(LAMP_RAYS):
        v, a = spread(j)
        r, a = radius * math.sqrt(v), 2.0 * math.pi * a
        q = along(along(ray, b, r * math.cos(a)), c, r * math.sin(a))
        reach = math.sqrt(dot(q, q))
        d = (q[0] / reach, q[1] / reach, q[2] / reach)
        shade = blocker(scene.shapes, scene.tree, scene.links, p, d, reach, skip, shade)
        if shade < 0:
            seen += 1
    return factor * seen / LAMP_RAYS


@helper
def openness(scene: Scene, p: Vec, n: Vec, owner: float) -> float:
    """Share of ambient light that reaches a point, in (0, 1].

    Each object dims by its form factor, which is let go to 0 at some distance so that far things
    do not matter; the corners of the room dim by the distance to its walls.
    """
    left = 1.0
    for i in range(scene.blobs.shape[0]):
        x, y, z = scene.blobs[i, 0] - p[0], scene.blobs[i, 1] - p[1], scene.blobs[i, 2] - p[2]
        r = scene.blobs[i, 3]
        squared = x * x + y * y + z * z
        limit = 49.0 * r * r
        if squared < limit and scene.blobs[i, 4] != owner:
            d = math.sqrt(squared)
            c = (x * n[0] + y * n[1] + z * n[2]) / d
            left *= 1.0 - sphere_factor(c, r / d) * (1.0 - squared / limit)
    for k in range(scene.blocks.shape[0]):
        row = scene.shapes[scene.blocks[k]]
        q = to_own(row, p)
        x = max(abs(q[0]) - row[12], 0.0)
        y = max(abs(q[1]) - row[13], 0.0)
        z = max(abs(q[2]) - row[14], 0.0)
        gap = (x * x + y * y + z * z) / (_REACH * _REACH)
        if gap < 1.0:
            left *= 1.0 - box_factor(row, p, n) * (1.0 - gap)
    for axis in range(3):
        for side in range(2):
            h = abs(scene.light[ROOM + 3 * side + axis] - p[axis]) / 0.22
            away = 1.0 - abs(n[axis])  # nothing for the wall itself
            left *= 1.0 - 0.32 * away / (1.0 + h * h)
    return left


@helper
def soft_light(scene: Scene, i: int, p: Vec, n: Vec) -> Vec:
    """What changes slowly over a surface: (sky, lantern, share of ambient light)."""
    start = along(p, n, LIFT)
    skip = i if scene.shapes[i, CONVEX] != 0.0 else -1
    return (
        _skylight(scene, start, n, skip),
        _lamplight(scene, start, n, skip),
        openness(scene, p, n, scene.shapes[i, OBJECT]),
    )


@helper
def _highlight(light: Array, p: Vec, n: Vec, d: Vec, sky: float) -> Vec:
    """How much of the window, the lantern and the room a glaze mirrors, before Fresnel."""
    r = along(d, n, -2.0 * dot(n, d))
    bright = 0.0
    if r[0] < -1e-3:
        t = (light[ROOM] - p[0]) / r[0]
        bright = _through_panes(light, p[1] + t * r[1], p[2] + t * r[2], 0.14)
    bright *= 0.25 + 0.75 * min(8.0 * sky, 1.0)  # less where the window is shaded
    ray = (light[LAMP] - p[0], light[LAMP + 1] - p[1], light[LAMP + 2] - p[2])
    length = math.sqrt(dot(ray, ray))
    angle = math.acos(min(max(dot(ray, r) / length, -1.0), 1.0))
    glow = 1.0 - within(angle, light[LAMP + 3] / length, 4.0, 0.1)
    return bright, glow, 0.5 + 0.5 * r[2]


@helper
def radiance(scene: Scene, i: int, p: Vec, n: Vec, d: Vec, w: float, k: int, soft: Vec) -> Vec:
    """Linear RGB that leaves a surface point towards the camera.

    Args:
        scene: The compiled scene.
        i: The shape hit.
        p: World point.
        n: Unit normal on the side of the camera.
        d: Unit direction of the ray from the camera.
        w: Metres that the sample covers.
        k: Number of the sample within its pixel; picks its share of the points on the sun.
        soft: The soft light there, see :func:`soft_light`.
    """
    m = scene.materials[i]
    frame = scene.frames[i]
    a = albedo(m, to_own(frame, p), rotate(frame, n), w)
    if m[15] > 0.0:
        return (m[15] * a[0], m[15] * a[1], m[15] * a[2])
    sky, lamp, free = soft
    sun = sunlight(scene, along(p, n, LIFT), n, i if scene.shapes[i, CONVEX] != 0.0 else -1, k)
    light = scene.light
    # It is darker away from the window.
    near = 1.18 - 0.36 * (p[0] - light[ROOM]) / (light[ROOM + 3] - light[ROOM])
    amounts = (sun, sky, lamp, free, 0.5 + 0.5 * n[2], near)
    mirror, image = 0.0, (0.0, 0.0, 0.0)
    if m[14] > 0.0:
        c = 1.0 + dot(n, d)
        mirror = m[14] * (0.045 + 0.955 * c * c * c * c * c)
        image = _highlight(light, p, n, d, sky)
    return (
        _channel(light, 0, a[0], amounts, mirror, image),
        _channel(light, 1, a[1], amounts, mirror, image),
        _channel(light, 2, a[2], amounts, mirror, image),
    )


@helper
def _channel(light: Array, ch: int, a: float, amounts: Light, mirror: float, image: Vec) -> float:
    sun, sky, lamp, free, up, near = amounts
    above, below = light[ABOVE + ch], light[BELOW + ch]
    window, bulb = light[WINDOW + ch], light[LAMP + 4 + ch]
    # What is hidden from the room sees lit neighbours instead of nothing.
    around = near * (below + up * (above - below)) * (free + (1.0 - free) * 0.45 * a)
    total = sun * light[SUN + 4 + ch] + sky * window + lamp * bulb + around
    glass = 0.5 * image[0] * window + image[1] * bulb + image[2] * above
    return a * total * (1.0 - mirror) + mirror * glass
