"""Exact pictures of the built-in scene from any camera."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import config, njit

from ops.cameras import Cameras
from ops.capture.demo.model import Scene
from ops.capture.demo.scene import demo_scene
from ops.capture.demo.shading import radiance
from ops.capture.demo.shapes import MISS, along, dot, intersect, normal, unit
from ops.errors import InputError
from ops.progress import Progress, silent

Array = np.ndarray
_TILE = 16  # pixels; rays of a tile share a list of shapes in sight
_CONTRAST = 0.22  # (max - min) / (max + min) of the samples of a pixel that asks for more of them


@dataclass(frozen=True, kw_only=True)
class DemoView:
    """One picture and what is known of it exactly. Pixel centres are at +0.5."""

    color: Array  # [H, W, 3] uint8 sRGB
    linear: Array  # [H, W, 3] float32 linear radiance before exposure and tone curve
    depth: Array  # [H, W] float32, metres along the optical axis at the pixel centre
    normal: Array  # [H, W, 3] float32, world, unit, towards the camera, at the pixel centre
    label: Array  # [H, W] uint8, index into the label names, at the pixel centre


@njit(cache=True)
def _in_sight(scene, eye, axis, spread, found):
    """Shapes whose bounding sphere meets a cone from the eye; planes are always in sight."""
    count = 0
    for i in range(scene.kinds.shape[0]):
        c = (scene.bounds[i, 0] - eye[0], scene.bounds[i, 1] - eye[1], scene.bounds[i, 2] - eye[2])
        r = scene.bounds[i, 3]
        d = math.sqrt(dot(c, c))
        if d > r:
            angle = math.acos(min(max(dot(c, axis) / d, -1.0), 1.0))
            if angle > spread + math.asin(r / d) + 1e-9:
                continue
        found[count] = i
        count += 1
    return count


@njit(cache=True)
def _trace(scene, found, count, eye, d):
    """Nearest hit: (shape, distance)."""
    best, at = -1, MISS
    for k in range(count):
        i = found[k]
        t = intersect(scene.kinds[i], scene.shapes[i], eye, d, 1e-6, at)
        if t < at:
            best, at = i, t
    return best, at


@njit(cache=True)
def _ray(view, x, y):
    """Unit world direction through image point (x, y), and the cosine to the optical axis."""
    a, b = (x - view[14]) / view[12], (y - view[15]) / view[13]
    s = 1.0 / math.sqrt(a * a + b * b + 1.0)
    d = (
        (view[0] * a + view[1] * b + view[2]) * s,
        (view[3] * a + view[4] * b + view[5]) * s,
        (view[6] * a + view[7] * b + view[8]) * s,
    )
    return unit(d), s


@njit(cache=True)
def _tile_cone(view, x0, y0, x1, y1):
    """Axis and half angle of a cone around the rays of a tile."""
    axis, _ = _ray(view, 0.5 * (x0 + x1), 0.5 * (y0 + y1))
    least = 1.0
    for k in range(4):
        d, _ = _ray(view, x0 if k % 2 == 0 else x1, y0 if k < 2 else y1)
        least = min(least, dot(axis, d))
    return axis, math.acos(max(min(least, 1.0), -1.0))


@njit(cache=True)
def _sample(scene, view, found, count, eye, x, y, pixel, k, scratch):
    """Colour of one sample: (rgb, shape, normal). ``pixel`` is its share of a pixel, in pixels."""
    d, c = _ray(view, x, y)
    i, t = _trace(scene, found, count, eye, d)
    if i < 0:
        return (0.0, 0.0, 0.0), i, d
    p = along(eye, d, t)
    n = normal(scene.kinds[i], scene.shapes[i], p, d)
    # The footprint is longer than wide on slanted surfaces; its size is taken in between.
    w = pixel * t * c / view[12] * max(-dot(n, d), 0.05) ** -0.6
    return radiance(scene, i, p, n, d, w, k, scratch), i, n


@njit(cache=True)
def _average(scene, view, found, count, eye, px, py, side, pixel, scratch):
    """Mean of side x side samples spread over a pixel: (rgb, object or -1 where they differ)."""
    r, g, b = 0.0, 0.0, 0.0
    low, high = 1e30, 0.0
    same, first = -2, (0.0, 0.0, 0.0)
    for j in range(side):
        for i in range(side):
            # Stratified in both directions and in each alone, symmetric about the centre.
            x = px + (i + (j + 0.5) / side) / side
            y = py + (j + (i + 0.5) / side) / side
            c, shape, n = _sample(
                scene, view, found, count, eye, x, y, pixel, j * side + i, scratch
            )
            r, g, b = r + c[0], g + c[1], b + c[2]
            level = c[0] + c[1] + c[2]
            low, high = min(low, level), max(high, level)
            owner = scene.objects[shape] if shape >= 0 else -1
            if same == -2:
                same, first = owner, n
            elif same != owner or dot(first, n) < 0.9:
                same = -1
    if high - low > _CONTRAST * (high + low):
        same = -1
    s = 1.0 / (side * side)
    return (r * s, g * s, b * s), same


@njit(cache=True, nogil=True)
def _first_pass(scene, view, side, row, color, depth, normals, label, owner):
    """A row of tiles with few samples per pixel, and the exact values at pixel centres."""
    height, width = depth.shape
    eye = (view[9], view[10], view[11])
    found = np.empty(scene.kinds.shape[0], np.int64)
    scratch = np.empty(scene.kinds.shape[0], np.int64)
    y0, y1 = row * _TILE, min((row + 1) * _TILE, height)
    for x0 in range(0, width, _TILE):
        x1 = min(x0 + _TILE, width)
        axis, spread = _tile_cone(view, x0, y0, x1, y1)
        count = _in_sight(scene, eye, axis, spread, found)
        for py in range(y0, y1):
            for px in range(x0, x1):
                d, c = _ray(view, px + 0.5, py + 0.5)
                i, t = _trace(scene, found, count, eye, d)
                n = normal(scene.kinds[i], scene.shapes[i], along(eye, d, t), d)
                depth[py, px] = t * c
                normals[py, px, 0], normals[py, px, 1], normals[py, px, 2] = n
                label[py, px] = scene.labels[i]
                rgb, same = _average(
                    scene, view, found, count, eye, px, py, side, 1.0 / side, scratch
                )
                color[py, px, 0], color[py, px, 1], color[py, px, 2] = rgb
                owner[py, px] = same if same == scene.objects[i] else -1


@njit(cache=True, nogil=True)
def _second_pass(scene, view, side, coarse, row, owner, color):
    """More samples where a pixel or one beside it is on an edge."""
    height, width = owner.shape
    eye = (view[9], view[10], view[11])
    found = np.empty(scene.kinds.shape[0], np.int64)
    scratch = np.empty(scene.kinds.shape[0], np.int64)
    y0, y1 = row * _TILE, min((row + 1) * _TILE, height)
    for x0 in range(0, width, _TILE):
        x1 = min(x0 + _TILE, width)
        axis, spread = _tile_cone(view, x0, y0, x1, y1)
        count = _in_sight(scene, eye, axis, spread, found)
        for py in range(y0, y1):
            for px in range(x0, x1):
                mine = owner[py, px]
                edge = mine < 0
                for qy in range(max(py - 1, 0), min(py + 2, height)):
                    for qx in range(max(px - 1, 0), min(px + 2, width)):
                        other = owner[qy, qx]
                        edge = edge or (other >= 0 and other != mine)
                if edge:
                    rgb, _ = _average(
                        scene, view, found, count, eye, px, py, side, 1.0 / coarse, scratch
                    )
                    color[py, px, 0], color[py, px, 1], color[py, px, 2] = rgb


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


def _view_row(cameras: Cameras, index: int) -> Array:
    """[16] camera to world rotation by rows, centre, fx, fy, cx, cy."""
    matrix = cameras.viewmats[index].detach().cpu().double().numpy()
    K = cameras.Ks[index].detach().cpu().double().numpy()
    R = matrix[:3, :3].T
    return np.concatenate(
        [R.ravel(), -R @ matrix[:3, 3], [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]]
    )


def _check_inside(scene: Scene, eye: Array, name: str) -> None:
    low, high = scene.room
    if not ((eye > low) & (eye < high)).all():
        spot = ", ".join(f"{v:.2f}" for v in eye)
        raise InputError(
            f"demo scene: camera {name} should be inside the room, from {tuple(low)} to "
            f"{tuple(high)} metres, found it at ({spot})"
        )


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

    Colour is the mean over the square of each pixel: ``samples`` where edges meet and a quarter of
    that elsewhere, with textures filtered to the spacing of the samples. Depth, normal and label
    are those at the pixel centre. The result does not depend on the number of threads.

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
            f"demo scene: samples should be a square number, 4 or more (4, 9, 16, ...), found {samples}"
        )
    coarse = (side + 1) // 2
    with ThreadPoolExecutor(threads or config.NUMBA_NUM_THREADS) as pool:
        for index, name in enumerate(cameras.names):
            moment = time if cameras.times is None else cameras.times[index]
            scene, _ = demo_scene(seed, moment)
            view = _view_row(cameras, index)
            _check_inside(scene, view[9:12], name)
            shape = (cameras.heights[index], cameras.widths[index])
            color = np.zeros((*shape, 3), np.float32)
            depth, normals = np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32)
            label, owner = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
            rows = range(-(-shape[0] // _TILE))
            first = [
                pool.submit(_first_pass, scene, view, coarse, r, color, depth, normals, label, owner)
                for r in rows
            ]
            for done in first:
                done.result()
            if side > coarse:
                second = [
                    pool.submit(_second_pass, scene, view, side, coarse, r, owner, color)
                    for r in rows
                ]
                for done in second:
                    done.result()
            progress(index + 1, len(cameras), "rendering the demo scene")
            yield DemoView(
                color=to_srgb(color, exposure),
                linear=color,
                depth=depth,
                normal=normals,
                label=label,
            )
