"""3DGS PLY files: exact round trips, foreign layouts, damage."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ops.errors import InputError
from ops.splats.files.dispatch import read_splats, write_splats
from ops.splats.model import Splats

GRAPHDECO = (
    [*"xyz", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    + [f"f_rest_{i}" for i in range(45)]
    + ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
)
MakeSplats = Callable[..., Splats]


def assert_same_bits(a: Splats, b: Splats) -> None:
    assert a.tensors().keys() == b.tensors().keys()
    for name, value in a.tensors().items():
        other = b.tensors()[name]
        assert value.shape == other.shape, name
        assert torch.equal(value.view(torch.int32), other.view(torch.int32)), name


@given(data=st.data(), count=st.integers(1, 5), degree=st.integers(0, 3))
def test_round_trip_keeps_every_bit(data: st.DataObject, count: int, degree: int) -> None:
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)

    def draw(*shape: int) -> torch.Tensor:
        return torch.from_numpy(data.draw(hnp.arrays(np.float32, shape, elements=finite)))

    splats = Splats(
        means=draw(count, 3),
        quats=draw(count, 4),
        log_scales=draw(count, 3),
        opacity_logits=draw(count),
        sh0=draw(count, 1, 3),
        shN=draw(count, (degree + 1) ** 2 - 1, 3),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ply"
        write_splats(path, splats)
        assert_same_bits(read_splats(path).splats, splats)


def test_written_as_graphdeco_does(make_splats: MakeSplats, tmp_path: Path) -> None:
    splats = make_splats(7, 3)
    write_splats(tmp_path / "a.ply", splats, antialiased=True, comments=("made by a test",))
    ply = plyfile.PlyData.read(tmp_path / "a.ply")
    vertex = ply["vertex"]
    assert [p.name for p in vertex.properties] == GRAPHDECO
    assert ply.byte_order == "<"
    assert list(ply.comments) == ["SplatRenderMode: mip", "made by a test"]
    # f_rest is channel-major: basis k of channel c at c * 15 + k.
    for channel in range(3):
        for basis in range(15):
            column = vertex[f"f_rest_{channel * 15 + basis}"]
            assert np.array_equal(column, splats.shN[:, basis, channel].numpy())
    assert np.array_equal(vertex["rot_0"], splats.quats[:, 0].numpy())
    assert not vertex["nx"].any()


@pytest.mark.parametrize("layout", ["ascii", "<", ">"])
@pytest.mark.parametrize("degree", [0, 2])
def test_reads_fields_by_name_in_any_order_and_encoding(
    make_splats: MakeSplats, tmp_path: Path, layout: str, degree: int
) -> None:
    splats = make_splats(5, degree)
    write_splats(tmp_path / "a.ply", splats)
    rows = plyfile.PlyData.read(tmp_path / "a.ply")["vertex"].data
    names = [n for n in rows.dtype.names if not n.startswith("n")][::-1]
    other = np.empty(5, [(n, "f8" if n == "opacity" else "f4") for n in names] + [("label", "u1")])
    for name in names:
        other[name] = rows[name]
    text = layout == "ascii"
    element = plyfile.PlyElement.describe(other, "vertex")
    plyfile.PlyData([element], text=text, byte_order="=" if text else layout).write(
        tmp_path / "b.ply"
    )
    read = read_splats(tmp_path / "b.ply")
    assert "label" in " ".join(read.metadata.notes)
    for name, value in splats.tensors().items():
        torch.testing.assert_close(read.splats.tensors()[name], value, rtol=1e-6, atol=1e-6)


def test_elements_before_the_vertices_are_skipped(make_splats: MakeSplats, tmp_path: Path) -> None:
    splats = make_splats(4, 1)
    write_splats(tmp_path / "a.ply", splats)
    vertex = plyfile.PlyData.read(tmp_path / "a.ply")["vertex"]
    camera = plyfile.PlyElement.describe(np.zeros(3, [("a", "u1"), ("b", "f8")]), "camera")
    for text in (False, True):
        plyfile.PlyData([camera, vertex], text=text).write(tmp_path / "b.ply")
        read = read_splats(tmp_path / "b.ply").splats
        torch.testing.assert_close(read.means, splats.means, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("SplatRenderMode: mip", True),
        ("SplatRenderMode: default", False),
        ("antialiased 1", True),
        ("antialiased 0", False),
        ("made for fun", None),
    ],
)
def test_antialiasing_tag(
    make_splats: MakeSplats, tmp_path: Path, comment: str, expected: bool | None
) -> None:
    write_splats(tmp_path / "a.ply", make_splats(2, 0), comments=(comment,))
    assert read_splats(tmp_path / "a.ply").metadata.antialiased is expected


def test_splats_that_are_not_finite_are_dropped_and_counted(
    make_splats: MakeSplats, tmp_path: Path
) -> None:
    splats = make_splats(6, 1)
    splats.means[1, 2] = torch.nan
    splats.shN[4, 2, 1] = torch.inf
    metadata = write_splats(tmp_path / "a.ply", splats)
    assert metadata.dropped == 2
    assert "2 splats were left out" in metadata.notes[0]
    assert torch.equal(read_splats(tmp_path / "a.ply").splats.means, splats.means[[0, 2, 3, 5]])

    rows = plyfile.PlyData.read(tmp_path / "a.ply")
    rows["vertex"].data["opacity"][0] = np.nan
    rows.write(tmp_path / "b.ply")
    read = read_splats(tmp_path / "b.ply")
    assert (len(read.splats), read.metadata.dropped) == (3, 1)

    rows["vertex"].data["opacity"][:] = np.nan
    rows.write(tmp_path / "c.ply")
    with pytest.raises(InputError, match="at least one splat with finite values"):
        read_splats(tmp_path / "c.ply")


def test_features_are_not_written_and_the_notes_say_so(
    make_splats: MakeSplats, tmp_path: Path
) -> None:
    splats = replace(make_splats(3, 0), features=torch.zeros(3, 8))
    notes = write_splats(tmp_path / "a.ply", splats).notes
    assert "8 feature channels" in notes[0]


def header_lines(path: Path) -> tuple[list[str], bytes]:
    data = path.read_bytes()
    end = data.index(b"end_header\n") + len(b"end_header\n")
    return data[:end].decode().splitlines(), data[end:]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("element vertex 4", "element vertex 5", "lists 5 rows.*cut off or its header is wrong"),
        ("element vertex 4", "element vertex 999999999999", "found a file of"),
        ("element vertex 4", "element vertex -4", "line 3 is not one of a PLY file"),
        ("element vertex 4", "element vertex four", "line 3 is not one of a PLY file"),
        ("property float opacity", "property float opaque", "lacks opacity"),
        ("property float rot_2", "property float rot_x", "lacks rot_2"),
        ("property float scale_2", "property float flat", "flat \\(2D\\) Gaussians"),
        ("property float f_rest_8", "property float f_rest_9", "lacks f_rest_8"),
        ("property float f_rest_8", "property float more", "found 8"),
        ("property float x", "property real x", "is not one of a PLY file"),
        ("property float y", "property float x", "property 'x' twice"),
        ("property float x", "property list uchar float x", "lacks x"),
        ("ply", "plz", "found another format|begins with"),
        ("format binary_little_endian 1.0", "comment none", "no format line"),
        ("end_header", "", "end_header"),
    ],
)
def test_damaged_headers(
    make_splats: MakeSplats, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "a.ply"
    write_splats(path, make_splats(4, 1))
    lines, body = header_lines(path)
    assert old in lines
    lines[lines.index(old)] = new
    path.write_bytes("\n".join(lines).encode() + b"\n" + body)
    with pytest.raises(InputError, match=message):
        read_splats(path)


def test_files_cut_off_anywhere(make_splats: MakeSplats, tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_splats(path, make_splats(3, 1))
    data = path.read_bytes()
    for size in range(0, len(data), 17):
        path.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_splats(path)


def test_ascii_with_words_or_too_few_numbers(tmp_path: Path, shared_splats: Path) -> None:
    text = (shared_splats / "minimal_ascii.ply").read_text()
    path = tmp_path / "a.ply"
    path.write_text(text.replace("0.9 0.2 0.1", "0.9 many 0.1"))
    with pytest.raises(InputError, match="expected numbers"):
        read_splats(path)
    path.write_text(text.replace("element vertex 3", "element vertex 300000000000"))
    with pytest.raises(InputError, match="lists 300000000000 rows"):
        read_splats(path)


def test_a_point_cloud_is_not_a_splat_model(shared_splats: Path) -> None:
    with pytest.raises(InputError, match="found a point cloud with the fields x, y, z, red"):
        read_splats(shared_splats / "brush_init.ply")


def test_a_failed_write_leaves_the_old_file(
    make_splats: MakeSplats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ply"
    write_splats(path, make_splats(3, 0))
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_splats(path, make_splats(9, 3))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_names_and_missing_folders(make_splats: MakeSplats, tmp_path: Path) -> None:
    splats = make_splats(1, 0)
    with pytest.raises(InputError, match=r"ends in \.ply.*found a\.obj"):
        write_splats(tmp_path / "a.obj", splats)
    with pytest.raises(InputError, match="create it or choose another place"):
        write_splats(tmp_path / "nowhere" / "a.ply", splats)
    with pytest.raises(InputError, match="No such file"):
        read_splats(tmp_path / "a.ply")
    with pytest.raises(InputError, match="Is a directory"):
        read_splats(tmp_path)
    (tmp_path / "a.sog").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"splat-transform a\.sog a\.ply"):
        read_splats(tmp_path / "a.sog")
