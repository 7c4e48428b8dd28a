"""Binary glTF with the extension ``KHR_gaussian_splatting`` (Khronos), read only.

Splats are the points of mesh primitives; every node that shows such a mesh adds them, in the
world where the node stands. Coordinates stay as the file states them (glTF: y up).
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ops.atomic import read_whole
from ops.errors import InputError
from ops.splats.files.model import (
    Floats,
    SplatArrays,
    SplatFile,
    SplatFileMetadata,
    log_of_scale,
    splat_file,
)
from ops.splats.model import Splats
from ops.splats.transform import transform_splats

EXTENSION = "KHR_gaussian_splatting"
MAGIC = b"glTF"
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def read_glb(path: Path) -> SplatFile:
    """Read the splats of a binary glTF file.

    Raises:
        InputError: The file is damaged, holds no splats, or compressed ones, or ones of another
            kernel or under nodes with an uneven scale.
    """
    scene, binary = _chunks(path, read_whole(path))
    try:
        return _Reader(path, scene, binary).read()
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: the glTF description does not fit together ({error!r}); the file is damaged"
        ) from error


def _chunks(path: Path, data: bytes) -> tuple[dict[str, Any], bytes]:
    if not data.startswith(MAGIC) or len(data) < 20:
        raise InputError(f"{path}: expected a binary glTF 2.0 file, found {data[:4]!r}")
    version, _, size, kind = struct.unpack_from("<IIII", data, 4)
    if version != 2 or kind != 0x4E4F534A or 20 + size > len(data):
        raise InputError(f"{path}: expected binary glTF 2.0 that begins with JSON; it is damaged")
    try:
        scene = json.loads(data[20 : 20 + size])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the JSON of the glTF file is damaged ({error})") from error
    if not isinstance(scene, dict):
        raise InputError(f"{path}: the JSON of the glTF file is not an object; it is damaged")
    start = 20 + size
    if len(data) < start + 8:
        return scene, b""
    length, _ = struct.unpack_from("<II", data, start)
    binary = data[start + 8 : start + 8 + length]
    if len(binary) < length:
        raise InputError(
            f"{path}: expected {length} bytes of binary data, found {len(binary)}; it is cut off"
        )
    return scene, binary


class _Reader:
    def __init__(self, path: Path, scene: dict[str, Any], binary: bytes) -> None:
        self.path, self.scene, self.binary = path, scene, binary
        self.notes: list[str] = ["Coordinates are as in the file; glTF has y up."]

    def read(self) -> SplatFile:
        placed = [
            (primitive, matrix)
            for node, matrix in self._nodes()
            if "mesh" in node
            for primitive in self.scene["meshes"][node["mesh"]]["primitives"]
            if EXTENSION in primitive.get("extensions", {})
        ]
        if not placed:
            raise InputError(
                f"{self.path}: expected splats ({EXTENSION}), found a glTF scene without any"
            )
        raw = [self._arrays(primitive) for primitive, _ in placed]
        # Drafts of the extension store log scales, the ratified text linear ones; only logs can
        # be below 0, and some splat is always smaller than one unit.
        logs = any((arrays.log_scales < 0).any() for arrays in raw)
        self.notes.append(f"Scales were read as {'logarithms' if logs else 'lengths'}.")
        if not logs:
            raw = [replace(a, log_scales=log_of_scale(a.log_scales)) for a in raw]
        metadata = SplatFileMetadata(format="glb", version="2.0")
        parts = [splat_file(arrays, metadata) for arrays in raw]
        moved = [
            part.splats
            if np.array_equal(matrix, np.eye(4))
            else transform_splats(part.splats, torch.from_numpy(matrix))
            for part, (_, matrix) in zip(parts, placed, strict=True)
        ]
        dropped = sum(part.metadata.dropped for part in parts)
        notes = tuple(dict.fromkeys(self.notes))
        return SplatFile(
            splats=_concatenated(moved), metadata=replace(metadata, dropped=dropped, notes=notes)
        )

    def _nodes(self) -> list[tuple[dict[str, Any], NDArray[np.float64]]]:
        """Every node of the scene with its place in the world."""
        nodes = self.scene.get("nodes", [])
        scenes = self.scene.get("scenes", [])
        if scenes:
            roots = scenes[self.scene.get("scene", 0)].get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", [])}
            roots = [i for i in range(len(nodes)) if i not in children]
        found = []
        stack = [(int(root), np.eye(4)) for root in reversed(roots)]
        seen: set[int] = set()
        while stack:
            index, parent = stack.pop()
            if index in seen:
                raise InputError(f"{self.path}: node {index} hangs under two nodes; it is damaged")
            seen.add(index)
            node = nodes[index]
            matrix = parent @ _local(node)
            found.append((node, matrix))
            stack += [(int(child), matrix) for child in reversed(node.get("children", []))]
        return found

    def _arrays(self, primitive: dict[str, Any]) -> SplatArrays:
        extension = primitive["extensions"][EXTENSION]
        packed = sorted(extension.get("extensions", {}))
        if packed:
            raise InputError(
                f"{self.path}: the splats are packed with {', '.join(packed)}, which is not read; "
                "convert the file with 'splat-transform in.glb out.ply'"
            )
        if extension.get("kernel", "ellipse") != "ellipse":
            raise InputError(
                f"{self.path}: expected splats of kernel 'ellipse', found {extension['kernel']!r}"
            )
        space = extension.get("colorSpace", "srgb_rec709_display")
        if space != "srgb_rec709_display":
            self.notes.append(f"Colours are in {space} and were kept so; they look dark as sRGB.")
        attributes = primitive["attributes"]

        def values(name: str, width: int) -> Floats:
            key = name if name == "POSITION" else f"{EXTENSION}:{name}"
            if key not in attributes:
                raise InputError(f"{self.path}: a splat primitive lacks the attribute {key}")
            return self._accessor(int(attributes[key]), width)

        rest = []
        for degree in (1, 2, 3):
            if f"{EXTENSION}:SH_DEGREE_{degree}_COEF_0" not in attributes:
                break
            rest += [values(f"SH_DEGREE_{degree}_COEF_{i}", 3) for i in range(2 * degree + 1)]
        means = values("POSITION", 3)
        opacity = np.clip(values("OPACITY", 1)[:, 0].astype(np.float64), 1e-6, 1 - 1e-6)
        arrays = SplatArrays(
            means=means,
            quats=np.roll(values("ROTATION", 4), 1, axis=1),  # glTF has xyzw
            log_scales=values("SCALE", 3),
            opacity_logits=(np.log(opacity) - np.log1p(-opacity)).astype(np.float32),
            sh0=values("SH_DEGREE_0_COEF_0", 3),
            shN=np.stack(rest, axis=1) if rest else np.empty((len(means), 0, 3), np.float32),
        )
        lengths = {len(a) for a in (arrays.quats, arrays.log_scales, opacity, arrays.sh0)}
        if lengths != {len(means)} or len(arrays.shN) != len(means):
            raise InputError(f"{self.path}: attributes of a splat primitive differ in length")
        return arrays

    def _accessor(self, index: int, width: int) -> Floats:
        """The values of one accessor as floats, [count, width]."""
        accessor = self.scene["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise InputError(f"{self.path}: sparse accessors are not read; export without them")
        view = self.scene["bufferViews"][accessor["bufferView"]]
        if view.get("buffer", 0) != 0 or "uri" in self.scene["buffers"][0]:
            raise InputError(f"{self.path}: the data lie in another file; export one .glb file")
        dtype = np.dtype(_COMPONENTS[accessor["componentType"]])
        if _WIDTHS[accessor["type"]] != width:
            raise InputError(f"{self.path}: accessor {index} has {accessor['type']} values")
        count = int(accessor["count"])
        stride = int(view.get("byteStride", dtype.itemsize * width))
        start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
        last = start + stride * (count - 1) + dtype.itemsize * width
        if count < 1 or start < 0 or stride < dtype.itemsize * width or last > len(self.binary):
            raise InputError(
                f"{self.path}: accessor {index} reaches beyond the {len(self.binary)} bytes of "
                "data; the file is cut off or damaged"
            )
        strides = (stride, dtype.itemsize)
        stored = np.ndarray((count, width), dtype, self.binary, start, strides)
        floats = stored.astype(np.float32)
        if accessor.get("normalized", False) and dtype.kind in "iu":
            floats = np.maximum(floats / np.iinfo(dtype).max, -1).astype(np.float32)
        return floats


def _local(node: dict[str, Any]) -> NDArray[np.float64]:
    """A node's own transform."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T  # column-major
    x, y, z, w = (float(v) for v in node.get("rotation", (0, 0, 0, 1)))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    out = np.eye(4)
    out[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), np.float64)
    out[:3, 3] = node.get("translation", (0, 0, 0))
    return out


def _concatenated(parts: list[Splats]) -> Splats:
    """All parts in order; SH that a part lacks are 0."""
    rest = max(part.shN.shape[1] for part in parts)
    columns: dict[str, list[torch.Tensor]] = {}
    for part in parts:
        for name, value in part.tensors().items():
            if name == "shN":
                value = torch.nn.functional.pad(value, (0, 0, 0, rest - value.shape[1]))
            columns.setdefault(name, []).append(value)
    return Splats(**{name: torch.cat(values) for name, values in columns.items()})
