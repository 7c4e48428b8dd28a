"""A small picture of a mesh without a graphics card: points on faces, the nearest per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from notebooks.meshes.part import Part, texture_pixels

_PER_PIXEL = 5.0  # points on a face per pixel that it covers
_MOST = 4_000_000  # points


def picture(
    parts: Sequence[Part],
    viewmat: np.ndarray,
    K: np.ndarray,
    width: int,
    height: int,
    background: tuple[int, int, int],
) -> np.ndarray:
    """[H, W, 3] uint8, unlit, as a viewer shows the mesh, less smooth.

    Args:
        parts: Of the mesh.
        viewmat: [4, 4] world to camera, OpenCV axes.
        K: [3, 3] pixels.
        width: Pixels.
        height: Pixels.
        background: sRGB.
    """
    canvas = np.tile(np.array(background, np.uint8), (height * width, 1))
    nearest = np.full(height * width, np.inf)
    for part in parts:
        camera = part.vertices.astype(np.float64) @ viewmat[:3, :3].T + viewmat[:3, 3]
        face, weights = _points(camera, part.faces, K, width * height)
        corners = part.faces[face]
        xyz = np.einsum("pc,pcd->pd", weights, camera[corners])
        ahead = xyz[:, 2] > 1e-6
        z = np.where(ahead, xyz[:, 2], 1.0)
        x = np.floor(K[0, 0] * xyz[:, 0] / z + K[0, 2])
        y = np.floor(K[1, 1] * xyz[:, 1] / z + K[1, 2])
        seen = ahead & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        colors, solid = _colors(part, corners[seen], weights[seen])
        pixel = (y[seen] * width + x[seen]).astype(np.int64)[solid]
        depth, colors = z[seen][solid], colors[solid]
        order = np.argsort(-depth, kind="stable")
        pixel, depth, colors = pixel[order], depth[order], colors[order]
        front = depth < nearest[pixel]
        canvas[pixel[front]] = colors[front]
        nearest[pixel[front]] = depth[front]
    return canvas.reshape(height, width, 3)


def _points(
    camera: np.ndarray, faces: np.ndarray, K: np.ndarray, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Faces [P] and barycentric weights [P, 3] of points, as many as a face has pixels."""
    z = np.maximum(camera[:, 2:], 1e-3)
    flat = camera[:, :2] / z * np.array([K[0, 0], K[1, 1]])
    a, b, c = (flat[faces[:, i]] for i in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    count = np.ceil(np.minimum(area, 4 * pixels) * _PER_PIXEL).astype(np.int64) + 1
    if count.sum() > _MOST:
        count = np.maximum(1, (count * (_MOST / count.sum())).astype(np.int64))
    face = np.repeat(np.arange(len(faces)), count)
    rank = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    # Roberts's R2 sequence covers a square evenly; its upper half is folded onto the triangle.
    u, v = (0.5 + rank * 0.7548776662466927) % 1, (0.5 + rank * 0.5698402909980532) % 1
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    return face, np.stack([1 - u - v, u, v], 1)


def _colors(part: Part, corners: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sRGB [P, 3] uint8 of points, and whether they are no holes."""
    color, solid = np.full((len(corners), 3), 255.0), np.ones(len(corners), bool)
    if part.colors is not None:
        color = np.einsum("pc,pcd->pd", weights, part.colors[corners].astype(np.float64))
    if part.texture is not None and part.uv is not None:
        pixels = texture_pixels(part.texture)
        height, width = pixels.shape[:2]
        uv = np.einsum("pc,pcd->pd", weights, part.uv[corners].astype(np.float64))
        uv = uv % 1 if part.repeats else uv.clip(0, 1)
        x = np.minimum((uv[:, 0] * width).astype(np.int64), width - 1)
        y = np.minimum((uv[:, 1] * height).astype(np.int64), height - 1)
        texel = pixels[y, x].astype(np.float64)
        color = color * texel[:, :3] / 255
        solid = texel[:, 3] / 255 >= part.cutoff
    if part.factor != (1.0, 1.0, 1.0):
        color = _to_srgb(_to_linear(color / 255) * np.array(part.factor)) * 255
    return np.round(color.clip(0, 255)).astype(np.uint8), solid


def _to_linear(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _to_srgb(x: np.ndarray) -> np.ndarray:
    x = x.clip(0, 1)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)
