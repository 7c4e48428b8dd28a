"""A point cloud in a PLY file beside the cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from ops.capture.model import Array, Points
from ops.errors import InputError


def read_points_ply(path: Path) -> tuple[Points | None, list[str]]:
    """Positions and colours of the vertices of a PLY file, by property name.

    Colours are ``red green blue``, of 8 or 16 bits or floats in [0, 1]; without them points
    are grey. Points that are not finite are dropped.

    Returns:
        The points, or None where there are none; and notes.

    Raises:
        InputError: The file is no PLY, its header does not match its content, or it has no
            vertices with x, y and z.
    """
    try:
        ply = PlyData.read(path)
        vertex = ply["vertex"].data
        names = vertex.dtype.names or ()
        missing = {"x", "y", "z"} - set(names)
        if missing:
            raise ValueError(f"its vertices have no {', '.join(sorted(missing))}")
        xyz = np.stack([np.asarray(vertex[a], dtype=np.float32) for a in "xyz"], axis=-1)
    except (PlyParseError, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise InputError(
            f"{path}: expected a PLY file of points with x, y, z; {error or 'it cannot be read'}. "
            "Export it again, or take ply_file_path out of the JSON file to have points made from "
            "the photos."
        ) from error
    notes = []
    if {"red", "green", "blue"} <= set(names):
        rgb = np.stack([_to_8_bits(vertex[c]) for c in ("red", "green", "blue")], axis=-1)
    else:
        rgb = np.full((len(xyz), 3), 128, np.uint8)
        notes.append(f"the points in {path.name} have no colours and are taken as grey")
    fine = np.isfinite(xyz).all(axis=-1)
    if not fine.all():
        notes.append(f"{int((~fine).sum())} points in {path.name} are not finite and are left out")
        xyz, rgb = xyz[fine], rgb[fine]
    if not len(xyz):
        return None, [*notes, f"{path.name} holds no points"]
    errors = np.full(len(xyz), np.nan, np.float32)
    return Points(xyz=xyz, rgb=rgb, errors=errors, source="dataset"), notes


def _to_8_bits(values: Array) -> Array:
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64))
        factor = 255.0 if values.max(initial=0) <= 1 else 1.0
        return np.clip(np.rint(values * factor), 0, 255).astype(np.uint8)
    if values.max(initial=0) > 255:
        return (np.clip(values, 0, 65535).astype(np.uint32) >> 8).astype(np.uint8)
    return np.clip(values, 0, 255).astype(np.uint8)
