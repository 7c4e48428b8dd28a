"""Coloured point clouds in PLY files, to start splats from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.errors import InputError
from ops.splats.files import ply_container
from ops.splats.model import SH_C0

_COLOURS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)


@dataclass(frozen=True, kw_only=True)
class PointCloud:
    """Coloured points of a file."""

    xyz: NDArray[np.float32]  # [P, 3] as in the file
    rgb: NDArray[np.uint8]  # [P, 3] sRGB
    notes: tuple[str, ...] = ()


def read_points(path: str | Path) -> PointCloud:
    """Read x y z and red green blue of a PLY file; colours may be bytes or floats from 0 to 1.

    A 3DGS PLY is read as the means of its splats with their constant colour. Points without
    colour become mid grey. Points that are not finite are left out; the notes say so.

    Raises:
        InputError: The file is damaged, or has no points.
    """
    path = Path(path)
    header = ply_container.read_header(path)
    vertex = header.element("vertex")
    names = dict(vertex.properties) if vertex else {}
    missing = [name for name in ("x", "y", "z") if name not in names]
    if missing:
        raise InputError(
            f"{path}: expected points (fields x, y and z), the PLY element 'vertex' lacks "
            f"{', '.join(missing)}; found {', '.join(names) or 'none'}"
        )
    rows = ply_container.read_element(path, header, "vertex")
    # What damaged values overflow to is not finite; such points are left out, such colours 0.
    with np.errstate(over="ignore", invalid="ignore"):
        return _points(path, rows, names)


def _points(path: Path, rows: NDArray[Any], names: dict[str, str]) -> PointCloud:
    xyz = np.stack([rows[name] for name in ("x", "y", "z")], axis=1).astype(np.float32)
    notes: list[str] = []
    colour = next((c for c in _COLOURS if set(c) <= set(names)), None)
    if colour is not None:
        values = np.stack([rows[name] for name in colour], axis=1)
        rgb = _as_bytes(values)
    elif {"f_dc_0", "f_dc_1", "f_dc_2"} <= set(names):
        constant = np.stack([rows[f"f_dc_{i}"] for i in range(3)], axis=1)
        rgb = _as_bytes(constant.astype(np.float64) * SH_C0 + 0.5)
        notes.append("The points are the centres of splats.")
    else:
        rgb = np.full((len(xyz), 3), 128, np.uint8)
        notes.append("The points have no colour; they are taken as grey.")
    good = np.isfinite(xyz).all(axis=1)
    if not good.any():
        raise InputError(f"{path}: expected points, found {len(xyz)} and none of them finite")
    if not good.all():
        notes.append(f"{int((~good).sum())} points were left out because they are not finite.")
    return PointCloud(xyz=xyz[good], rgb=rgb[good], notes=tuple(notes))


def _as_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Colours as bytes: integers by the range of their type, floats as [0, 1]."""
    if np.issubdtype(values.dtype, np.integer):
        top = {1: 255, 2: 65535}.get(values.dtype.itemsize, 255)
        scaled = np.clip(values.astype(np.float64) / top, 0, 1)
    else:
        wide = np.nan_to_num(values.astype(np.float64))
        # Some exporters write floats from 0 to 255; no colour in [0, 1] exceeds 1 by much.
        scaled = np.clip(wide / 255 if wide.max(initial=0) > 2 else wide, 0, 1)
    return np.round(scaled * 255).astype(np.uint8)
