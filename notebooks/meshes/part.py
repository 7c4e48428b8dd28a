"""A piece of a mesh with one texture, checked, in the arrays that a viewer draws."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from notebooks.pixels import as_array, as_pixels, png
from ops.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Part:
    """Triangles that share a texture. Colours are sRGB, as they are to be seen."""

    vertices: np.ndarray  # [V, 3] float32, world units
    faces: np.ndarray  # [F, 3] uint32, indices of vertices
    normals: np.ndarray  # [V, 3] float32, unit
    colors: np.ndarray | None = None  # [V, 3] uint8
    uv: np.ndarray | None = None  # [V, 2] float32; (0, 0) is the top left corner of the texture
    texture: bytes | None = None  # an encoded picture (PNG, JPEG, WebP)
    repeats: bool = True  # whether the texture goes on beyond [0, 1], or ends with its edge
    factor: tuple[float, float, float] = (1.0, 1.0, 1.0)  # linear RGB, times everything
    cutoff: float = 0.0  # pixels of the texture with less alpha are holes

    def moved(self, matrix: np.ndarray) -> Part:
        """The part, moved by an affine matrix [4, 4]."""
        linear = matrix[:3, :3]
        normals = self.normals @ np.linalg.pinv(linear)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        faces = self.faces[:, ::-1].copy() if np.linalg.det(linear) < 0 else self.faces
        return replace(
            self,
            vertices=(self.vertices @ linear.T + matrix[:3, 3]).astype(np.float32),
            normals=(normals / np.maximum(length, 1e-30)).astype(np.float32),
            faces=faces,
        )


def make_part(
    vertices: Any,
    faces: Any,
    *,
    normals: Any = None,
    colors: Any = None,
    uv: Any = None,
    texture: Any = None,
    **other: Any,
) -> Part:
    """A part of arrays as people have them, NumPy or torch.

    Args:
        vertices: [V, 3].
        faces: [F, 3] integers from 0 to V - 1.
        normals: [V, 3] of any length; None for the mean of the faces that meet in a place.
        colors: [V, 3] or [V, 4], uint8 or floats in [0, 1]; alpha is left out.
        uv: [V, 2] with (0, 0) at the top left corner of the texture.
        texture: A picture (see :func:`notebooks.pixels.as_pixels`), or an encoded one as bytes.
        **other: Further fields of :class:`Part`.

    Raises:
        InputError: A shape or a number is not what it should be.
    """
    v, f = _floats("vertices", vertices, 3), _indices(faces)
    count = len(v)
    if not np.isfinite(v).all():
        raise InputError("mesh: vertices should be finite, found NaN or infinity")
    if not len(f):
        raise InputError("mesh: expected at least one face, found none")
    if f.min() < 0 or f.max() >= count:
        raise InputError(
            f"mesh: faces should name vertices 0 to {count - 1}, found {f.min()} to {f.max()}"
        )
    coordinates = None if uv is None else _floats("uv", uv, 2, count)
    if texture is not None and coordinates is None:
        raise InputError("mesh: a texture needs uv, an array [V, 2]; found none")
    if texture is not None and not isinstance(texture, bytes):
        texture = png(as_pixels(texture))
    return Part(
        vertices=v,
        faces=f.astype(np.uint32),
        normals=_normals(v, f) if normals is None else _unit(_floats("normals", normals, 3, count)),
        colors=None if colors is None else _colors(colors, count),
        uv=coordinates,
        texture=texture,
        **other,
    )


def texture_pixels(data: bytes) -> np.ndarray:
    """[H, W, 4] uint8 of an encoded texture."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def _floats(name: str, values: Any, width: int, count: int | None = None) -> np.ndarray:
    found = as_array(values)
    rows = "V" if count is None else str(count)
    if found.ndim != 2 or found.shape[1] != width or (count is not None and len(found) != count):
        raise InputError(f"mesh: {name} should have shape ({rows}, {width}), found {found.shape}")
    return np.ascontiguousarray(found, np.float32)


def _indices(faces: Any) -> np.ndarray:
    found = as_array(faces)
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iu":
        raise InputError(
            f"mesh: faces should be integers of shape (F, 3), found {found.dtype} {found.shape}"
        )
    return found.astype(np.int64)


def _colors(colors: Any, count: int) -> np.ndarray:
    found = as_array(colors)
    if found.ndim != 2 or len(found) != count or found.shape[1] not in (3, 4):
        raise InputError(f"mesh: colors should have shape ({count}, 3), found {found.shape}")
    found = found[:, :3]
    if found.dtype.kind == "f":
        return np.round(np.nan_to_num(found).clip(0, 1) * 255).astype(np.uint8)
    if found.dtype != np.uint8:
        raise InputError(
            f"mesh: colors should be uint8, or floats from 0 to 1, found {found.dtype}"
        )
    return np.ascontiguousarray(found)


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[V, 3] means of the faces that meet in a place, by area; a seam of the texture is no edge."""
    _, place = np.unique(vertices, axis=0, return_inverse=True)
    place = place.reshape(-1)
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((int(place.max()) + 1, 3))
    for corner in range(3):
        np.add.at(total, place[faces[:, corner]], across)
    return _unit(total[place])


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-30)).astype(np.float32)


def extent(parts: Sequence[Part]) -> tuple[np.ndarray, float]:
    """Centre [3] and radius of a ball around all parts."""
    low = np.min([p.vertices.min(0) for p in parts], axis=0).astype(np.float64)
    high = np.max([p.vertices.max(0) for p in parts], axis=0).astype(np.float64)
    return (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-9)
