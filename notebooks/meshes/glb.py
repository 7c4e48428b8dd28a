"""Binary glTF 2.0 (Khronos), as far as it says what a still mesh looks like."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from notebooks.meshes.part import Part, make_part
from ops.errors import InputError

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_KNOWN = {
    *("KHR_materials_unlit", "KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp"),
    *("KHR_materials_emissive_strength", "KHR_materials_specular", "KHR_materials_ior"),
}
_MOST_NODES = 100_000
_TRIANGLES = {4: "separate", 5: "strip", 6: "fan"}


def read_glb(data: bytes) -> list[Part]:
    """The triangles of a file's scene, with the base colour of their materials.

    Base colour is what is read of a material (texture, factor, alpha cut), whatever the rest says:
    baked colours are meant to be seen as they are. Vertex colours are taken as they are stored.
    A mesh with a skin is in the pose that it was made in.

    Raises:
        InputError: It is no binary glTF 2.0, is damaged, has no triangles, or needs an extension
            that is not known here (such as Draco compression).
    """
    document, binary = _chunks(data)
    needed = set(document.get("extensionsRequired", [])) - _KNOWN
    if needed:
        raise InputError(
            f"glb: needs {', '.join(sorted(needed))}, which cannot be read here; "
            "export it without compression"
        )
    try:
        return _Reader(document, binary).parts()
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"glb: the file is damaged ({type(error).__name__}: {error})") from error


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[:4] != b"glTF" or len(data) < 20:
        raise InputError("glb: expected a binary glTF file, which begins with 'glTF'")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2 or length > len(data):
        raise InputError(
            f"glb: expected version 2 and {length} bytes, found version {version} and {len(data)}"
        )
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, name = struct.unpack_from("<I4s", data, at)
        found.setdefault(name, data[at + 8 : at + 8 + size])
        at += 8 + size
    if b"JSON" not in found:
        raise InputError("glb: expected a chunk of JSON, found none")
    return json.loads(found[b"JSON"]), found.get(b"BIN\0", b"")


class _Reader:
    def __init__(self, document: dict[str, Any], binary: bytes) -> None:
        self._document, self._binary = document, binary
        self._visited: set[int] = set()

    def parts(self) -> list[Part]:
        document = self._document
        scenes = document.get("scenes", [])
        roots = range(len(document.get("nodes", [])))
        if scenes:
            roots = scenes[document.get("scene", 0)].get("nodes", [])
        elif document.get("nodes"):
            children = {c for n in document["nodes"] for c in n.get("children", [])}
            roots = [i for i in roots if i not in children]  # type: ignore[assignment]
        found: list[Part] = []
        for root in roots:
            self._visit(root, np.eye(4), found)
        if not found:
            raise InputError("glb: expected at least one mesh of triangles, found none")
        return found

    def _visit(self, index: int, above: np.ndarray, found: list[Part]) -> None:
        if index in self._visited or len(self._visited) > _MOST_NODES:
            raise InputError("glb: the nodes of the scene are no tree, or too many")
        self._visited.add(index)
        node = self._document["nodes"][index]
        matrix = above @ _matrix(node)
        if "mesh" in node:
            for primitive in self._document["meshes"][node["mesh"]]["primitives"]:
                if primitive.get("mode", 4) in _TRIANGLES:
                    part = self._part(primitive)
                    found.append(part if "skin" in node else part.moved(matrix))
        for child in node.get("children", []):
            self._visit(child, matrix, found)

    def _part(self, primitive: dict[str, Any]) -> Part:
        attributes = primitive["attributes"]
        vertices = self._accessor(attributes["POSITION"])
        corners = np.arange(len(vertices))
        if "indices" in primitive:
            corners = self._accessor(primitive["indices"])[:, 0].astype(np.int64)
        faces = _triangles(corners, _TRIANGLES[primitive.get("mode", 4)])
        material = self._material(primitive)
        texture, uv = None, None
        base = material.get("baseColorTexture")
        which = base.get("texCoord", 0) if base else 0
        transform = ((base or {}).get("extensions") or {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{transform.get('texCoord', which)}"
        if name in attributes:
            uv = _transformed(self._accessor(attributes[name]), transform)
        if base and uv is not None:
            texture, repeats = self._texture(base["index"])
        else:
            repeats = True
        normals = attributes.get("NORMAL")
        colors = attributes.get("COLOR_0")
        return make_part(
            vertices,
            faces,
            normals=None if normals is None else self._accessor(normals),
            colors=None if colors is None else self._accessor(colors),
            uv=uv,
            texture=texture,
            repeats=repeats,
            factor=tuple(float(x) for x in material.get("baseColorFactor", [1, 1, 1])[:3]),
            cutoff=material["cutoff"],
        )

    def _material(self, primitive: dict[str, Any]) -> dict[str, Any]:
        if "material" not in primitive:
            return {"cutoff": 0.0}
        material = self._document["materials"][primitive["material"]]
        mode = material.get("alphaMode", "OPAQUE")
        cut = {"MASK": float(material.get("alphaCutoff", 0.5)), "BLEND": 0.5}.get(mode, 0.0)
        return {**material.get("pbrMetallicRoughness", {}), "cutoff": cut}

    def _texture(self, index: int) -> tuple[bytes, bool]:
        texture = self._document["textures"][index]
        webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
        image = self._document["images"][webp.get("source", texture.get("source"))]
        if "bufferView" not in image:
            raise InputError("glb: a texture lies outside the file; export it with textures inside")
        sampler = (
            self._document.get("samplers", [{}])[texture["sampler"]] if "sampler" in texture else {}
        )
        return self._view(image["bufferView"]), sampler.get("wrapS", 10497) != 33071

    def _view(self, index: int) -> bytes:
        view = self._document["bufferViews"][index]
        if view.get("buffer", 0) != 0 or "uri" in self._document["buffers"][0]:
            raise InputError("glb: a buffer lies outside the file; export it as one file")
        start = view.get("byteOffset", 0)
        data = self._binary[start : start + view["byteLength"]]
        if len(data) != view["byteLength"]:
            raise InputError("glb: the file is damaged: it ends before its buffers do")
        return data

    def _accessor(self, index: int) -> np.ndarray:
        """[count, width]; integers that are marked as normalised become floats."""
        accessor = self._document["accessors"][index]
        if "sparse" in accessor:
            raise InputError("glb: sparse arrays cannot be read here; export it without them")
        kind = np.dtype(_TYPES[accessor["componentType"]])
        width, count = _WIDTHS[accessor["type"]], accessor["count"]
        if "bufferView" not in accessor:
            return np.zeros((count, width), kind)
        data = self._view(accessor["bufferView"])
        stride = self._document["bufferViews"][accessor["bufferView"]].get("byteStride", 0)
        array = np.ndarray(
            (count, width),
            kind,
            data,
            accessor.get("byteOffset", 0),
            (stride or kind.itemsize * width, kind.itemsize),
        )
        if accessor.get("normalized") and kind.kind in "iu":
            return np.maximum(array / np.float32(np.iinfo(kind).max), -1.0).astype(np.float32)
        return array.copy()


def _matrix(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", [0.0, 0.0, 0.0, 1.0])
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", [1.0, 1.0, 1.0]))
    matrix[:3, 3] = node.get("translation", [0.0, 0.0, 0.0])
    return matrix


def _triangles(corners: np.ndarray, kind: str) -> np.ndarray:
    if kind == "separate":
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    if kind == "fan":
        return np.stack([np.full(len(corners) - 2, corners[0]), corners[1:-1], corners[2:]], 1)
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], 1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip


def _transformed(uv: np.ndarray, transform: dict[str, Any]) -> np.ndarray:
    """KHR_texture_transform: scaled, turned, moved."""
    if not transform:
        return uv
    u, v = (uv * np.array(transform.get("scale", [1.0, 1.0]))).T
    c, s = np.cos(transform.get("rotation", 0.0)), np.sin(transform.get("rotation", 0.0))
    turned: np.ndarray = np.stack([c * u + s * v, c * v - s * u], 1)
    return turned + np.array(transform.get("offset", [0.0, 0.0]))
