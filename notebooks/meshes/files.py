"""Meshes of files: glb, ply, obj."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from notebooks.meshes.glb import read_glb
from notebooks.meshes.part import Part, make_part
from ops.errors import InputError


def read_mesh(file: str | Path | bytes) -> list[Part]:
    """The parts of a mesh file.

    Args:
        file: Its path, or its bytes. Textures beside an obj or a ply are found from a path alone.

    Raises:
        InputError: There is no such file, or it holds no mesh in one of these formats.
    """
    folder: Path | None = None
    if isinstance(file, bytes):
        data, name = file, "these bytes"
    else:
        path = Path(file)
        if not path.is_file():
            raise InputError(f"mesh: there is no file {path}")
        data, name, folder = path.read_bytes(), path.name, path.parent
    if data[:4] == b"glTF":
        return read_glb(data)
    if data[:3] == b"ply":
        return [_read_ply(data, folder)]
    if re.search(rb"^v\s", data, re.MULTILINE) and re.search(rb"^f\s", data, re.MULTILINE):
        return _read_obj(data.decode("utf-8", "replace"), folder)
    raise InputError(
        f"mesh: expected a glb, a ply or an obj with faces, found something else in {name}"
    )


def _read_ply(data: bytes, folder: Path | None) -> Part:
    from plyfile import PlyData, PlyParseError

    try:
        ply = PlyData.read(io.BytesIO(data))
    except (PlyParseError, ValueError) as error:
        raise InputError(f"mesh: the ply cannot be read: {error}") from error
    elements = {e.name: e for e in ply.elements}
    lists = [p.name for p in elements["face"].properties] if "face" in elements else []
    index = next((n for n in ("vertex_indices", "vertex_index") if n in lists), None)
    if index is None or "vertex" not in elements or not len(elements["face"]):
        raise InputError("mesh: this ply holds points without faces; open Gaussians as splats")
    vertex = elements["vertex"].data
    names = vertex.dtype.names

    def columns(*choices: tuple[str, ...]) -> np.ndarray | None:
        for wanted in choices:
            if all(n in names for n in wanted):
                return np.stack([vertex[n] for n in wanted], 1)
        return None

    uv = columns(("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
    comment = next((c for c in ply.comments if c.startswith("TextureFile")), "")
    texture = _beside(folder, comment.removeprefix("TextureFile").strip())
    return make_part(
        columns(("x", "y", "z")),
        _fans(elements["face"].data[index]),
        normals=columns(("nx", "ny", "nz")),
        colors=columns(("red", "green", "blue"), ("r", "g", "b")),
        uv=None if uv is None else _from_top(uv),
        texture=texture if uv is not None else None,
    )


def _read_obj(text: str, folder: Path | None) -> list[Part]:
    """Wavefront OBJ with polygons of any size; a part per material."""
    v: list[list[float]] = []
    vt: list[list[float]] = []
    vn: list[list[float]] = []
    groups: dict[str, list[list[tuple[int, int, int]]]] = {}
    materials: dict[str, dict[str, Any]] = {}
    current = ""
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        word, rest = _words(line)
        try:
            if word == "v":
                v.append([float(x) for x in rest.split()[:6]])
            elif word == "vt":
                vt.append([float(x) for x in rest.split()[:2]])
            elif word == "vn":
                vn.append([float(x) for x in rest.split()[:3]])
            elif word == "f":
                corners = [_corner(c, len(v), len(vt), len(vn)) for c in rest.split()]
                groups.setdefault(current, []).append(corners)
            elif word == "usemtl":
                current = rest
            elif word == "mtllib":
                materials |= _read_mtl(folder, rest)
        except (ValueError, IndexError) as error:
            raise InputError(f"mesh: line {number} of the obj cannot be read: {line!r}") from error
    return [
        _obj_part(polygons, v, vt, vn, materials.get(name, {})) for name, polygons in groups.items()
    ]


def _words(line: str) -> tuple[str, str]:
    """The first word of a line, and what follows it."""
    first, *rest = line.split(None, 1) or [""]
    return first, (rest[0].strip() if rest else "")


def _corner(text: str, v: int, vt: int, vn: int) -> tuple[int, int, int]:
    """Indices from 0 of position, texture coordinate and normal; -1 where there is none."""
    found = [-1, -1, -1]
    for i, (part, count) in enumerate(zip(text.split("/"), (v, vt, vn), strict=False)):
        if part:
            index = int(part)
            found[i] = index - 1 if index > 0 else count + index
            if not 0 <= found[i] < count:
                raise IndexError(part)
    return found[0], found[1], found[2]


def _obj_part(
    polygons: list[list[tuple[int, int, int]]],
    v: list[list[float]],
    vt: list[list[float]],
    vn: list[list[float]],
    material: dict[str, Any],
) -> Part:
    order: dict[tuple[int, int, int], int] = {}
    faces = [[order.setdefault(corner, len(order)) for corner in polygon] for polygon in polygons]
    corners = np.array(list(order))
    positions = [v[i] for i in corners[:, 0]]
    colored = all(len(p) == 6 for p in positions)
    has_uv, has_normals = (corners[:, 1] >= 0).all(), (corners[:, 2] >= 0).all()
    uv = _from_top(np.array([vt[i] for i in corners[:, 1]])) if has_uv else None
    return make_part(
        np.array([p[:3] for p in positions]),
        _fans(faces),
        normals=np.array([vn[i] for i in corners[:, 2]]) if has_normals else None,
        colors=np.array([p[3:] for p in positions]) if colored else None,
        uv=uv,
        texture=material.get("texture") if has_uv else None,
        factor=(1.0, 1.0, 1.0) if "texture" in material else material.get("factor", (1.0,) * 3),
    )


def _read_mtl(folder: Path | None, name: str) -> dict[str, dict[str, Any]]:
    """Diffuse colour and texture of each material; nothing where the file is not there."""
    data = _beside(folder, name)
    found: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    for line in (data or b"").decode("utf-8", "replace").splitlines():
        word, rest = _words(line)
        if word == "newmtl":
            current = found.setdefault(rest, {})
        elif word == "Kd":
            current["factor"] = tuple(float(x) for x in rest.split()[:3])
        elif word == "map_Kd":
            texture = _beside(folder, rest)
            if texture is not None:
                current["texture"] = texture
    return found


def _beside(folder: Path | None, name: str) -> bytes | None:
    """The bytes of a file in the folder of the mesh; None where it is not there."""
    if folder is None or not name:
        return None
    file = folder / name.replace("\\", "/")
    inside = file.resolve().is_relative_to(folder.resolve())
    return file.read_bytes() if inside and file.is_file() else None


def _fans(polygons: Any) -> np.ndarray:
    """[F, 3] triangles of polygons, each cut from its first corner."""
    sizes = {len(p) for p in polygons}
    if sizes == {3}:
        return np.array([np.asarray(p) for p in polygons], np.int64)
    cut = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return np.array(cut, np.int64).reshape(-1, 3)


def _from_top(uv: np.ndarray) -> np.ndarray:
    """From coordinates that begin at the bottom left to ones that begin at the top left."""
    return np.stack([uv[:, 0], 1 - uv[:, 1]], 1)
