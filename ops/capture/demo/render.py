"""Exact pictures of the built-in scene from any camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import config

from ops.cameras import Cameras
from ops.capture.demo.jit import Vec, helper, kernel
from ops.capture.demo.model import LABEL, OBJECT, ROOM, Scene
from ops.capture.demo.scene import demo_scene
from ops.capture.demo.shading import radiance, soft_light
from ops.capture.demo.shapes import along, dot, nearest, normal, unit
from ops.errors import InputError
from ops.progress import Progress, silent

Array = np.ndarray
_CONTRAST = 0.22  # (max - min) / (max + min) of the samples of a pixel that asks for more of them
_BAND = 8  # rows a thread works on at a time
# How far the soft light (sky, lantern, share of ambient light) of neighbours may differ for what is
# between them to be their mean: about 0.02 of radiance each.
_EVEN = (0.008, 0.0035, 0.04)
_SMOOTH = 0.96  # cosine between normals that count as one smooth surface


@dataclass(frozen=True, kw_only=True)
class DemoView:
    """One picture and what is known of it exactly. Pixel centres are at +0.5."""

    color: Array  # [H, W, 3] uint8 sRGB
    linear: Array  # [H, W, 3] float32 linear radiance before exposure and tone curve
    depth: Array  # [H, W] float32, metres along the optical axis at the pixel centre
    normal: Array  # [H, W, 3] float32, world, unit, towards the camera, at the pixel centre
    label: Array  # [H, W] uint8, index into the label names, at the pixel centre


class _Buffers(NamedTuple):
    linear: Array  # [H, W, 3] float32
    depth: Array  # [H, W] float32
    normal: Array  # [H, W, 3] float32
    label: Array  # [H, W] uint8
    shape: Array  # [H, W] int64, the shape at the pixel centre
    object: Array  # [H, W] int64, its object
    point: Array  # [H, W, 3] float64, the surface point at the pixel centre
    soft: Array  # [H, W, 3] float64, the soft light there


@helper
def _ray(view: Array, x: float, y: float) -> tuple[Vec, float]:
    """Unit world direction through image point (x, y), and the cosine to the optical axis."""
    a, b = (x - view[14]) / view[12], (y - view[15]) / view[13]
    s = 1.0 / math.sqrt(a * a + b * b + 1.0)
    d = (
        (view[0] * a + view[1] * b + view[2]) * s,
        (view[3] * a + view[4] * b + view[5]) * s,
        (view[6] * a + view[7] * b + view[8]) * s,
    )
    return unit(d), s


@kernel
def _centres(scene: Scene, view: Array, y0: int, y1: int, out: _Buffers) -> None:
    """Exact values at the pixel centres of some rows, and the soft light at every fourth."""
    eye, guess = (view[9], view[10], view[11]), -1
    for y in range(y0, y1):
        for x in range(out.depth.shape[1]):
            d, c = _ray(view, x + 0.5, y + 0.5)
            i, t = nearest(scene, eye, d, guess)
            guess = i
            p = along(eye, d, t)
            n = normal(scene.shapes[i], p, d)
            out.depth[y, x] = t * c
            out.label[y, x] = int(scene.shapes[i, LABEL])
            out.shape[y, x] = i
            out.object[y, x] = int(scene.shapes[i, OBJECT])
            for k in range(3):
                out.normal[y, x, k] = n[k]
                out.point[y, x, k] = p[k]
            if x % 2 == 0 and y % 2 == 0:
                soft = soft_light(scene, i, p, n)
                out.soft[y, x, 0], out.soft[y, x, 1], out.soft[y, x, 2] = soft


@helper
def _between(view: Array, out: _Buffers, x: int, y: int) -> bool:
    """Set the soft light of a pixel to the mean of those around that have it, if they agree."""
    height, width = out.depth.shape
    p, n = out.point[y, x], out.normal[y, x]
    near = 0.5 * out.depth[y, x] / view[12]  # half a pixel, in metres
    low, high, total = (1e9, 1e9, 1e9), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    count = 0
    for v in range(y - y % 2, y + y % 2 + 1, 2):
        for u in range(x - x % 2, x + x % 2 + 1, 2):
            if v >= height or u >= width or out.object[v, u] != out.object[y, x]:
                return False
            q, m = out.point[v, u], out.normal[v, u]
            off = (q[0] - p[0]) * n[0] + (q[1] - p[1]) * n[1] + (q[2] - p[2]) * n[2]
            if abs(off) > near or m[0] * n[0] + m[1] * n[1] + m[2] * n[2] < _SMOOTH:
                return False
            s = (out.soft[v, u, 0], out.soft[v, u, 1], out.soft[v, u, 2])
            low = (min(low[0], s[0]), min(low[1], s[1]), min(low[2], s[2]))
            high = (max(high[0], s[0]), max(high[1], s[1]), max(high[2], s[2]))
            total = (total[0] + s[0], total[1] + s[1], total[2] + s[2])
            count += 1
    for k in range(3):
        if high[k] - low[k] > _EVEN[k]:
            return False
    out.soft[y, x, 0] = total[0] / count
    out.soft[y, x, 1] = total[1] / count
    out.soft[y, x, 2] = total[2] / count
    return True


@kernel
def _soft(scene: Scene, view: Array, y0: int, y1: int, out: _Buffers) -> None:
    """The soft light at the other pixel centres: between its neighbours, or traced."""
    for y in range(y0, y1):
        for x in range(out.depth.shape[1]):
            if (x % 2 == 1 or y % 2 == 1) and not _between(view, out, x, y):
                p = (out.point[y, x, 0], out.point[y, x, 1], out.point[y, x, 2])
                n = (out.normal[y, x, 0], out.normal[y, x, 1], out.normal[y, x, 2])
                soft = soft_light(scene, out.shape[y, x], p, n)
                out.soft[y, x, 0], out.soft[y, x, 1], out.soft[y, x, 2] = soft


@helper
def _known_light(
    scene: Scene, out: _Buffers, i: int, p: Vec, n: Vec, w: float, x: int, y: int
) -> Vec:
    """Soft light from a pixel centre nearby that lies on the same surface, or traced."""
    best, by, bx = (4.0 * w) ** 2, -1, -1
    mine = int(scene.shapes[i, OBJECT])
    if out.object[y, x] == mine:  # most often it is the pixel's own
        q, m = out.point[y, x], out.normal[y, x]
        away = (q[0] - p[0]) ** 2 + (q[1] - p[1]) ** 2 + (q[2] - p[2]) ** 2
        if away < 2.0 * w * w and m[0] * n[0] + m[1] * n[1] + m[2] * n[2] > _SMOOTH:
            return (out.soft[y, x, 0], out.soft[y, x, 1], out.soft[y, x, 2])
    height, width = out.depth.shape
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            if out.object[v, u] == mine:
                q, m = out.point[v, u], out.normal[v, u]
                away = (q[0] - p[0]) ** 2 + (q[1] - p[1]) ** 2 + (q[2] - p[2]) ** 2
                if away < best and m[0] * n[0] + m[1] * n[1] + m[2] * n[2] > _SMOOTH:
                    best, by, bx = away, v, u
    if by < 0:
        return soft_light(scene, i, p, n)
    return (out.soft[by, bx, 0], out.soft[by, bx, 1], out.soft[by, bx, 2])


@helper
def _mean(
    scene: Scene, view: Array, out: _Buffers, x: int, y: int, side: int, pixel: float
) -> tuple[Vec, bool]:
    """Mean of side x side samples over a pixel: (rgb, whether it needs more of them).

    ``pixel`` is the spacing, in pixels, that textures are filtered for.
    """
    eye = (view[9], view[10], view[11])
    r, g, b = 0.0, 0.0, 0.0
    low, high = 1e30, 0.0
    edge = False
    for j in range(side):
        for i in range(side):
            # Stratified in both directions and in each alone, symmetric about the centre.
            sx = x + (i + (j + 0.5) / side) / side
            sy = y + (j + (i + 0.5) / side) / side
            d, c = _ray(view, sx, sy)
            shape, t = nearest(scene, eye, d, out.shape[y, x])
            p = along(eye, d, t)
            n = normal(scene.shapes[shape], p, d)
            # The footprint is longer than wide on slanted surfaces; its size is in between.
            one = t * c / view[12] * max(-dot(n, d), 0.05) ** -0.6
            soft = _known_light(scene, out, shape, p, n, one, x, y)
            rgb = radiance(scene, shape, p, n, d, pixel * one, j * side + i, soft)
            r, g, b = r + rgb[0], g + rgb[1], b + rgb[2]
            level = rgb[0] + rgb[1] + rgb[2]
            low, high = min(low, level), max(high, level)
            m = out.normal[y, x]
            edge = edge or int(scene.shapes[shape, OBJECT]) != out.object[y, x]
            edge = edge or m[0] * n[0] + m[1] * n[1] + m[2] * n[2] < _SMOOTH
    edge = edge or high - low > _CONTRAST * (high + low)
    s = 1.0 / (side * side)
    return (r * s, g * s, b * s), edge


@kernel
def _colours(
    scene: Scene, view: Array, side: int, coarse: int, y0: int, y1: int, out: _Buffers
) -> None:
    """Colours of some rows: few samples where a pixel and those beside it show one surface."""
    height, width = out.depth.shape
    for y in range(y0, y1):
        for x in range(width):
            mine = out.object[y, x]
            edge = x > 0 and out.object[y, x - 1] != mine
            edge = edge or (y > 0 and out.object[y - 1, x] != mine)
            edge = edge or (x + 1 < width and out.object[y, x + 1] != mine)
            edge = edge or (y + 1 < height and out.object[y + 1, x] != mine)
            rgb = (0.0, 0.0, 0.0)
            if not edge:
                rgb, edge = _mean(scene, view, out, x, y, coarse, 1.0 / coarse)
            if edge:
                rgb, _ = _mean(scene, view, out, x, y, side, 1.0 / coarse)
            out.linear[y, x, 0], out.linear[y, x, 1], out.linear[y, x, 2] = rgb


def to_srgb(linear: Array, exposure: float = 1.0) -> Array:
    """[..., 3] uint8 sRGB of linear radiance: exposure, a shoulder above 0.7, the sRGB curve.

    Radiance up to 0.7 is kept as it is; what is brighter approaches 1 smoothly.
    """
    x = np.maximum(linear.astype(np.float64) * exposure, 0.0)
    knee = 0.7
    over = np.maximum(x - knee, 0.0)
    x = np.where(x > knee, knee + (1 - knee) * over / (over + (1 - knee)), x)
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.floor(np.clip(y, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _all_rows(
    pool: ThreadPoolExecutor, height: int, rows: Callable[..., None], *arguments: Any
) -> None:
    """Call a kernel for all rows of an image, some rows at a time, on the threads of a pool."""
    *before, out = arguments
    starts = range(0, height, _BAND)
    calls = [pool.submit(rows, *before, y, min(y + _BAND, height), out) for y in starts]
    for call in calls:
        call.result()


def _view_row(cameras: Cameras, index: int) -> Array:
    """[16] camera to world rotation by rows, centre, fx, fy, cx, cy."""
    matrix = cameras.viewmats[index].detach().cpu().double().numpy()
    K = cameras.Ks[index].detach().cpu().double().numpy()
    R = matrix[:3, :3].T
    return np.concatenate([R.ravel(), -R @ matrix[:3, 3], [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]])


def _check_inside(scene: Scene, eye: Array, name: str) -> None:
    low, high = scene.light[ROOM : ROOM + 3], scene.light[ROOM + 3 : ROOM + 6]
    if not ((eye > low) & (eye < high)).all():
        spot = ", ".join(f"{v:.2f}" for v in eye)
        raise InputError(
            f"demo scene: camera {name} should be inside the room, from {tuple(low)} to "
            f"{tuple(high)} metres, found it at ({spot})"
        )


@kernel
def _middle(scene: Scene, view: Array, x: float, y: float, point: Array) -> None:
    d, _ = _ray(view, x, y)
    _, t = nearest(scene, (view[9], view[10], view[11]), d, -1)
    point[0], point[1], point[2] = along((view[9], view[10], view[11]), d, t)


def surface_points(cameras: Cameras, *, seed: int = 0, time: float = 0.0) -> Array:
    """[C, 3] float64: the surface point that each camera sees in the middle of its image.

    Raises:
        InputError: A camera is outside the room, or ``seed`` or ``time`` is out of range.
    """
    points = np.zeros((len(cameras), 3))
    for index, name in enumerate(cameras.names):
        moment = time if cameras.times is None else cameras.times[index]
        scene, _ = demo_scene(seed, moment)
        view = _view_row(cameras, index)
        _check_inside(scene, view[9:12], name)
        middle = cameras.widths[index] / 2, cameras.heights[index] / 2
        _middle(scene, view, *middle, points[index])
    return points


def render_demo(
    cameras: Cameras,
    *,
    seed: int = 0,
    time: float = 0.0,
    samples: int = 16,
    exposure: float = 1.0,
    threads: int | None = None,
    progress: Progress = silent,
) -> Iterator[DemoView]:
    """Pictures of the built-in scene, one at a time.

    Colour is the mean over the square of each pixel: of ``samples`` at edges and of half as many in
    each direction elsewhere, with textures filtered to the spacing of the samples. Depth, normal
    and label are those at the pixel centre. The result does not depend on the number of threads.

    Args:
        cameras: Any cameras inside the room, in metres, z up. Where they have times, those are
            used instead of ``time``.
        seed: Which variant of the scene.
        time: Where the rolling ball is, from 0 to 1.
        samples: Colour samples per pixel at edges; a square number, 4 or more.
        exposure: Factor on the light before the tone curve.
        threads: Threads to use; None for Numba's own number.
        progress: Told after each view.

    Raises:
        InputError: A camera is outside the room, or a number is out of range.
    """
    side = math.isqrt(samples) if samples > 0 else 0
    if side < 2 or side * side != samples:
        raise InputError(
            "demo scene: samples should be a square number, 4 or more (4, 9, 16, ...), "
            f"found {samples}"
        )
    coarse = (side + 1) // 2
    with ThreadPoolExecutor(
        threads or config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    ) as pool:
        for index, name in enumerate(cameras.names):
            moment = time if cameras.times is None else cameras.times[index]
            scene, _ = demo_scene(seed, moment)
            view = _view_row(cameras, index)
            _check_inside(scene, view[9:12], name)
            shape = (cameras.heights[index], cameras.widths[index])
            out = _Buffers(
                linear=np.zeros((*shape, 3), np.float32),
                depth=np.zeros(shape, np.float32),
                normal=np.zeros((*shape, 3), np.float32),
                label=np.zeros(shape, np.uint8),
                shape=np.zeros(shape, np.int64),
                object=np.zeros(shape, np.int64),
                point=np.zeros((*shape, 3)),
                soft=np.zeros((*shape, 3)),
            )
            _all_rows(pool, shape[0], _centres, scene, view, out)
            _all_rows(pool, shape[0], _soft, scene, view, out)
            _all_rows(pool, shape[0], _colours, scene, view, side, coarse, out)
            progress(index + 1, len(cameras), "rendering the demo scene")
            yield DemoView(
                color=to_srgb(out.linear, exposure),
                linear=out.linear,
                depth=out.depth,
                normal=out.normal,
                label=out.label,
            )
