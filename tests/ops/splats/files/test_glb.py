"""Splats in binary glTF."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ops.errors import InputError
from ops.splats.files.dispatch import read_splats
from ops.splats.model import Splats
from ops.splats.transform import transform_splats

EXTENSION = "KHR_gaussian_splatting"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def glb(scene: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def build(splats: Splats, node: dict[str, Any], linear: bool = True) -> bytes:
    scales = splats.scales if linear else splats.log_scales
    columns = {
        "POSITION": splats.means,
        f"{EXTENSION}:ROTATION": splats.quats.roll(-1, 1),
        f"{EXTENSION}:SCALE": scales,
        f"{EXTENSION}:OPACITY": splats.opacities,
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": splats.sh0[:, 0],
    }
    for degree in range(1, splats.sh_degree + 1):
        for i in range(2 * degree + 1):
            name = f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{i}"
            columns[name] = splats.shN[:, degree * degree - 1 + i]
    binary, views, accessors, attributes = b"", [], [], {}
    for name, value in columns.items():
        data = value.contiguous().numpy().astype("<f4").tobytes()
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[value.shape[1] if value.ndim == 2 else 1]
        attributes[name] = len(accessors)
        accessors.append(
            {"bufferView": len(views), "componentType": 5126, "count": len(value), "type": kind}
        )
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        binary += data
    primitive = {"attributes": attributes, "mode": 0, "extensions": {EXTENSION: {}}}
    return glb(
        {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"children": [1], **node}, {"mesh": 0}],
            "meshes": [{"primitives": [primitive]}],
            "accessors": accessors,
            "bufferViews": views,
            "buffers": [{"byteLength": len(binary)}],
        },
        binary,
    )


@pytest.mark.parametrize("linear", [True, False])
def test_values_come_through(
    make_splats: Callable[..., Splats], tmp_path: Path, linear: bool
) -> None:
    splats = make_splats(9, 2)
    (tmp_path / "a.glb").write_bytes(build(splats, {}, linear))
    read = read_splats(tmp_path / "a.glb").splats
    for name, value in splats.tensors().items():
        torch.testing.assert_close(read.tensors()[name], value, rtol=1e-4, atol=1e-4)


def test_nodes_move_their_splats(make_splats: Callable[..., Splats], tmp_path: Path) -> None:
    splats = make_splats(9, 3)
    node = {"translation": [1, 2, 3], "rotation": [0, 0.6, 0, 0.8], "scale": [2, 2, 2]}
    (tmp_path / "a.glb").write_bytes(build(splats, node))
    matrix = torch.eye(4, dtype=torch.float64)
    cos, sin = 0.8**2 - 0.6**2, 2 * 0.6 * 0.8
    matrix[:3, :3] = 2 * torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    matrix[:3, 3] = torch.tensor([1, 2, 3])
    expected = transform_splats(splats, matrix)
    read = read_splats(tmp_path / "a.glb").splats
    for name, value in expected.tensors().items():
        torch.testing.assert_close(read.tensors()[name], value, rtol=1e-4, atol=1e-4)
    (tmp_path / "b.glb").write_bytes(build(splats, {"scale": [1, 2, 1]}))
    with pytest.raises(InputError, match="stretches or shears"):
        read_splats(tmp_path / "b.glb")


def test_the_conformance_file(shared_splats: Path) -> None:
    """15 splats, one for every way to store an attribute."""
    read = read_splats(shared_splats / "khr_conformance_matrix.glb")
    splats = read.splats
    assert len(splats) == 15
    assert splats.means.tolist() == [[1, 2, 3]] * 15
    assert splats.quats.tolist() == [[0, 1, 0, 0]] * 15
    scales = [[0, 0.5, -0.5]] * 3 + [[0.2, -0.1, 0.7], [1, -2, 3], [1, 0, -1], [2, -3, 4]]
    expected = torch.tensor([*scales, [1, 0, -1], *[[0, 0.5, -0.5]] * 7])
    torch.testing.assert_close(splats.log_scales, expected)
    opacities = [0.25] * 8 + [0.75, 64 / 255, 16384 / 65535] + [0.25] * 4
    torch.testing.assert_close(splats.opacities, torch.tensor(opacities))
    torch.testing.assert_close(splats.shN[12, 1], torch.tensor([2.1, 2.2, 2.3]))
    assert not splats.shN[11].any()
    assert any("lin_rec709_display" in note for note in read.metadata.notes)


def test_damage(make_splats: Callable[..., Splats], tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    good = build(make_splats(4, 1), {})
    path.write_bytes(good)
    scene, binary = parts(path)

    def refuse(message: str, scene: dict[str, Any]) -> None:
        path.write_bytes(glb(scene, binary))
        with pytest.raises(InputError, match=message):
            read_splats(path)

    def changed(**values: Any) -> dict[str, Any]:
        return {**json.loads(json.dumps(scene)), **values}

    refuse("without any", changed(nodes=[]) | {"scenes": [{"nodes": []}]})
    refuse("hangs under two nodes", changed(nodes=[{"children": [0]}]))
    refuse("does not fit together", changed(accessors=[]))
    far = changed()
    far["accessors"][0]["count"] = 10**9
    refuse("reaches beyond", far)
    packed = changed()
    packed["meshes"][0]["primitives"][0]["extensions"][EXTENSION] = {
        "extensions": {"KHR_gaussian_splatting_compression_spz_2": {}}
    }
    refuse("splat-transform", packed)
    bare = changed()
    del bare["meshes"][0]["primitives"][0]["attributes"][f"{EXTENSION}:SCALE"]
    refuse("lacks the attribute KHR_gaussian_splatting:SCALE", bare)
    for size in (10, 30, len(good) - 4):
        path.write_bytes(good[:size])
        with pytest.raises(InputError, match=r"damaged|expected"):
            read_splats(path)
