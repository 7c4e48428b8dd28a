"""Mesh files: what is read of a glb, a ply and an obj, and what is said of others."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from notebooks.meshes.files import read_mesh
from notebooks.meshes.part import make_part, texture_pixels
from notebooks.meshes.picture import picture
from ops.errors import InputError

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
TWO = np.array([[0, 1, 2], [0, 2, 3]])
UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
TEXTURE = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [90, 60, 30]]], np.uint8)
REAL = Path(__file__).parents[4] / "shared" / "meshes"  # beside the repository


def png(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()


def glb(**changes: Any) -> bytes:
    """A textured square as exporters write it: no metallicFactor, so that it counts as 1."""
    blobs = [SQUARE.tobytes(), UV.tobytes(), TWO.astype("<u2").tobytes(), png(TEXTURE)]
    blobs.append(np.array([[0, 0, 0], [255, 255, 255], [51, 102, 153], [0, 0, 0]], "u1").tobytes())
    views, binary = [], b""
    for blob in blobs:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(blob)})
        binary += blob + b"\0" * (-len(blob) % 4)
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], "translation": [10, 0, 0]}, {"mesh": 0, "scale": [2, 3, 1]}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
            {
                "bufferView": 4,
                "componentType": 5121,
                "count": 4,
                "type": "VEC3",
                "normalized": True,
            },
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    for path, value in changes.items():
        at: Any = document
        *above, last = path.split("__")
        for step in above:
            at = at[int(step) if step.isdigit() else step]
        at[int(last) if last.isdigit() else last] = value
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", b"glTF", 2, size)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    return head + chunks + struct.pack("<I4s", len(binary), b"BIN\0") + binary


def test_glb_is_read_with_its_nodes_and_its_texture() -> None:
    [part] = read_mesh(glb())
    assert np.allclose(part.vertices, SQUARE * [2, 3, 1] + [10, 0, 0])
    assert np.array_equal(part.faces, TWO)
    assert np.allclose(part.normals, [0, 0, 1])
    assert part.uv is not None
    assert np.array_equal(part.uv, UV)
    assert part.texture is not None
    assert np.array_equal(texture_pixels(part.texture)[..., :3], TEXTURE)


def test_glb_that_is_mirrored_keeps_its_front() -> None:
    [part] = read_mesh(glb(nodes__1__scale=[-1, 1, 1]))
    a, b, c = part.vertices[part.faces[0]]
    assert np.allclose(np.cross(b - a, c - a), [0, 0, 1])
    assert np.allclose(part.normals, [0, 0, 1])


def test_glb_has_colours_factors_cuts_and_strips() -> None:
    attributes = {"POSITION": 0, "COLOR_0": 3}
    pbr = {"baseColorFactor": [0.5, 0.25, 1, 1]}
    [part] = read_mesh(
        glb(
            meshes__0__primitives__0={"attributes": attributes, "material": 0, "mode": 5},
            materials__0={"pbrMetallicRoughness": pbr, "alphaMode": "MASK"},
        )
    )
    assert part.colors is not None
    assert part.colors.tolist()[2] == [51, 102, 153]
    assert (part.factor, part.cutoff) == ((0.5, 0.25, 1.0), 0.5)
    assert part.faces.tolist() == [[0, 1, 2], [2, 1, 3]]
    fan = {"attributes": {"POSITION": 0}, "mode": 6}
    [part] = read_mesh(glb(meshes__0__primitives__0=fan))
    assert part.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_glb_moves_its_texture() -> None:
    moved = {
        "index": 0,
        "extensions": {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [2, 1]}},
    }
    [part] = read_mesh(glb(materials__0__pbrMetallicRoughness__baseColorTexture=moved))
    assert part.uv is not None
    assert np.allclose(part.uv, UV * [2, 1] + [0.5, 0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (glb(extensionsRequired=["KHR_draco_mesh_compression"]), "KHR_draco_mesh_compression"),
        (glb()[:-30], "found version 2"),
        (glb(accessors__0__count=4000), "damaged"),
        (glb(images__0={"uri": "a.png"}), "outside the file"),
        (glb(meshes__0__primitives__0__mode=1), "found none"),
        (glb(nodes__1__children=[0]), "no tree"),
        (b"hello", "expected a glb, a ply or an obj"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
         b"property float z\nend_header\n0 0 0\n", "points without faces"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "line 4 of the obj"),
    ],
)  # fmt: skip
def test_what_is_no_mesh_says_so(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_mesh(data)


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_mesh(tmp_path / "none.glb")


def test_obj_with_polygons_materials_and_a_texture_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(png(TEXTURE))
    (tmp_path / "m.mtl").write_text(
        "newmtl\tpicture \nmap_Kd a b.png\nKd .1 .1 .1\nnewmtl plain\nKd 1 0.5 0\n"
    )
    text = (
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "usemtl picture\nf 1/1 2/2 3/3 4/4\nusemtl plain\nvn 0 0 1\nf -4//1 -2//1 \\\n -1//1\n"
    )
    (tmp_path / "m.obj").write_text(text)
    first, second = read_mesh(tmp_path / "m.obj")
    assert first.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert first.uv is not None
    assert np.array_equal(first.uv, UV)  # v from the top
    assert first.texture == png(TEXTURE)
    assert first.factor == (1, 1, 1)  # a texture replaces the colour
    assert np.array_equal(second.vertices, SQUARE[[0, 2, 3]])
    assert second.factor == (1, 0.5, 0)
    assert np.allclose(second.normals, [0, 0, 1])
    assert read_mesh(text.encode())[0].texture is None  # bytes have nothing beside them


def test_obj_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(png(TEXTURE))
    (tmp_path / "in" / "m.mtl").write_text("newmtl a\nmap_Kd ../secret.png\n")
    (tmp_path / "in" / "m.obj").write_text(
        "mtllib m.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n"
    )
    assert read_mesh(tmp_path / "in" / "m.obj")[0].texture is None


def test_ply_with_colours_and_polygons() -> None:
    rows = "\n".join(f"{x:g} {y:g} {z:g} {i} {2 * i} 7" for i, (x, y, z) in enumerate(SQUARE))
    data = (
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        f"{rows}\n4 0 1 2 3\n"
    )
    [part] = read_mesh(data.encode())
    assert np.array_equal(part.vertices, SQUARE)
    assert part.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert part.colors is not None
    assert part.colors.tolist() == [[i, 2 * i, 7] for i in range(4)]


def test_normals_do_not_see_seams() -> None:
    bent = np.concatenate([SQUARE, SQUARE[[0, 3]], [[0, 0, -1], [0, 1, -1]]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [5, 7, 6]])  # 4 and 5 lie on 0 and 3
    part = make_part(bent, faces)
    diagonal = np.array([-1, 0, 1]) / np.sqrt(2)
    assert np.allclose(part.normals[0], part.normals[4])
    assert np.allclose(abs(part.normals[1] @ [0, 0, 1]), 1)
    assert np.allclose(abs(part.normals[0] @ diagonal), 1, atol=0.06)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vertices": SQUARE[:, :2]}, r"vertices should have shape \(V, 3\)"),
        ({"vertices": SQUARE * np.nan}, "finite"),
        ({"faces": TWO.astype(float)}, "faces should be integers"),
        ({"faces": TWO[:0]}, "at least one face"),
        ({"faces": TWO + 1}, "vertices 0 to 3, found 1 to 4"),
        ({"colors": np.zeros((3, 3))}, r"colors should have shape \(4, 3\)"),
        ({"colors": np.zeros((4, 3), int)}, "uint8, or floats"),
        ({"texture": TEXTURE}, "needs uv"),
        ({"uv": UV[:2]}, r"uv should have shape \(4, 2\)"),
    ],
)
def test_arrays_that_are_no_mesh_say_so(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_part(**{"vertices": SQUARE, "faces": TWO, **change})


def test_picture_shows_the_nearest_face_and_the_right_texel() -> None:
    viewmat, K = np.eye(4), np.array([[100.0, 0, 50], [0, 100.0, 40], [0, 0, 1]])
    wall = make_part((SQUARE - [0.5, 0.5, 0]) * 1.6 + [0, 0, 4], TWO,
                     uv=SQUARE[:, :2], texture=TEXTURE)  # fmt: skip
    front = make_part((SQUARE - [0.5, 0.5, 0]) * 0.4 + [0, 0, 2], TWO,
                      colors=np.full((4, 3), 200, np.uint8))  # fmt: skip
    for parts in ([wall, front], [front, wall]):
        seen = picture(parts, viewmat, K, 100, 80, (1, 2, 3))
        assert seen[40, 50].tolist() == [200, 200, 200]
        assert seen[24, 34].tolist() == [255, 0, 0]
        assert seen[24, 66].tolist() == [0, 255, 0]
        assert seen[56, 34].tolist() == [0, 0, 255]
        assert seen[56, 66].tolist() == [90, 60, 30]
        assert seen[5, 5].tolist() == [1, 2, 3]
        shown = (seen != [1, 2, 3]).any(-1).sum()
        assert shown == pytest.approx(40 * 40, rel=0.01)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the sample meshes are not on this machine ({REAL})")
@pytest.mark.parametrize(
    ("name", "faces"),
    [
        ("Fox.glb", 576),
        ("spot/spot.obj", 5856),
        ("bob/bob_tri.obj", 10688),
        ("fuze/fuze.obj", 1000),
    ],
)
def test_real_files(name: str, faces: int) -> None:
    parts = read_mesh(REAL / name)
    assert sum(len(p.faces) for p in parts) == faces
    assert all(p.texture is not None for p in parts)
