"""Formats that lose precision: .splat, .spz, .compressed.ply, .ksplat."""

from __future__ import annotations

import gzip
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import gsply
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import InputError
from ops.splats.files.dispatch import read_splats, write_splats
from ops.splats.model import Splats, sh0_to_rgb
from ops.splats.spherical_harmonics import evaluate_sh

MakeSplats = Callable[..., Splats]


def turn_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """The greatest angle between rotations, radians."""
    unit = [torch.nn.functional.normalize(q.double(), dim=-1) for q in (a, b)]
    return float(2 * torch.acos((unit[0] * unit[1]).sum(-1).abs().clamp(max=1)).max())


def assert_close(
    a: Splats, b: Splats, *, means: float, scales: float, turn: float, colour: float, sh: float
) -> None:
    assert a.shN.shape == b.shN.shape
    assert float((a.means - b.means).abs().max()) <= means
    assert float((a.log_scales - b.log_scales).abs().max()) <= scales
    assert turn_error(a.quats, b.quats) <= turn
    assert float((a.opacities - b.opacities).abs().max()) <= 0.5 / 255 + 1e-5
    assert float((a.sh0 - b.sh0).abs().max()) <= colour
    if a.shN.numel():
        assert float((a.shN - b.shN).abs().max()) <= sh


@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), degree=st.integers(0, 3))
@settings(max_examples=25)
def test_splat_round_trip(make_splats: MakeSplats, seed: int, count: int, degree: int) -> None:
    splats = make_splats(count, degree, seed)
    splats.sh0.clamp_(-1.7, 1.7)  # colours within [0, 1], which is all that bytes hold
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.splat"
        metadata = write_splats(path, splats)
        read = read_splats(path).splats
        data = path.read_bytes()
        assert ("no spherical harmonics" in " ".join(metadata.notes)) == (degree > 0)
        assert len(data) == 32 * count
        assert torch.equal(read.means, splats.means)
        flat = Splats(**{**splats.tensors(), "shN": splats.shN[:, :0]})
        assert_close(read, flat, means=0, scales=1e-6, turn=0.03, colour=0.5 / 255 / 0.28, sh=0)
        # What was quantised once stays as it is, but for quaternions, which are normalised.
        write_splats(path, read)
        again = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 32)
        first = np.frombuffer(data, np.uint8).reshape(-1, 32)
        assert np.array_equal(again[:, 24:28], first[:, 24:28])


def test_splat_layout(make_splats: MakeSplats, tmp_path: Path) -> None:
    splats = make_splats(1, 0)
    splats.quats[0] = torch.tensor([1.0, -1.0, 0.0, 0.0])
    write_splats(tmp_path / "a.splat", splats)
    values = struct.unpack("<6f8B", (tmp_path / "a.splat").read_bytes())
    np.testing.assert_allclose(values[3:6], splats.scales[0], rtol=1e-6)
    expected = (sh0_to_rgb(splats.sh0[0, 0]).clamp(0, 1) * 255).round().int().tolist()
    assert list(values[6:9]) == expected
    assert list(values[10:]) == [128 + 91, 128 - 91, 128, 128]


def test_splat_of_a_wrong_size(tmp_path: Path) -> None:
    (tmp_path / "a.splat").write_bytes(bytes(33))
    with pytest.raises(InputError, match="multiple of 32 bytes, found 33 bytes"):
        read_splats(tmp_path / "a.splat")
    (tmp_path / "a.splat").write_bytes(b"")
    with pytest.raises(InputError, match="empty file"):
        read_splats(tmp_path / "a.splat")


@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), degree=st.integers(0, 3))
@settings(max_examples=25)
def test_spz_round_trip(make_splats: MakeSplats, seed: int, count: int, degree: int) -> None:
    splats = make_splats(count, degree, seed, extent=10.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.spz"
        write_splats(path, splats, antialiased=True)
        read = read_splats(path)
        assert read.metadata.antialiased is True
        assert_close(
            read.splats,
            splats,
            means=2.0**-16,
            scales=0.5 / 16 + 1e-6,
            turn=0.008,
            colour=0.5 / 255 / 0.15 + 1e-6,
            sh=0.5 / 128 + 1e-6,
        )
        before = path.read_bytes()
        write_splats(path, splats, antialiased=True)
        assert path.read_bytes() == before


def test_spz_turns_the_axes_and_the_harmonics_with_them(
    make_splats: MakeSplats, tmp_path: Path
) -> None:
    """What lies in the file is the same scene in axes right, up, back."""
    splats = make_splats(50, 3)
    write_splats(tmp_path / "a.spz", splats)
    stored = gsply.read_spz(tmp_path / "a.spz")
    flip = torch.tensor([1.0, -1.0, -1.0])
    np.testing.assert_allclose(stored.means, splats.means * flip, atol=1e-3)
    direction = torch.nn.functional.normalize(torch.tensor([[0.3, -0.8, 0.5]]), dim=-1)
    coeffs = torch.cat([torch.from_numpy(stored.sh0)[:, None], torch.from_numpy(stored.shN)], 1)
    seen = evaluate_sh(coeffs, direction * flip)
    np.testing.assert_allclose(seen, evaluate_sh(splats.sh_coeffs, direction), atol=0.05)


def test_spz_keeps_small_and_large_worlds(make_splats: MakeSplats, tmp_path: Path) -> None:
    for extent, step in ((0.01, 2.0**-20), (1e4, 2.0**-6)):
        splats = make_splats(20, 0, extent=extent)
        write_splats(tmp_path / "a.spz", splats)
        assert float((read_splats(tmp_path / "a.spz").splats.means - splats.means).abs().max()) < (
            step
        )
    with pytest.raises(InputError, match=r"remove the outliers or write a \.ply"):
        write_splats(tmp_path / "a.spz", make_splats(20, 0, extent=1e9))


def test_spz_says_what_it_clamps(make_splats: MakeSplats, tmp_path: Path) -> None:
    splats = make_splats(5, 0)
    splats.log_scales[2, 1] = -12
    notes = " ".join(write_splats(tmp_path / "a.spz", splats, comments=("x",)).notes)
    assert "1 splats have a scale outside 4.5e-05" in notes
    assert "no place for comments" in notes


def test_spz_version_4_of_another_writer(make_splats: MakeSplats, tmp_path: Path) -> None:
    """Streams as the format lays them out, packed here, read back."""
    from numcodecs.zstd import Zstd

    splats = make_splats(30, 2)
    write_splats(tmp_path / "a.spz", splats)
    plain = gzip.decompress((tmp_path / "a.spz").read_bytes())
    expected = read_splats(tmp_path / "a.spz").splats
    streams, offset = [], 16
    for width in (9, 1, 3, 3, 4, 24):
        streams.append(plain[offset : offset + 30 * width])
        offset += 30 * width
    packed = [Zstd().encode(s) for s in streams]
    header = b"NGSP" + struct.pack("<II4BI12x", 4, 30, 2, plain[13], 1, 6, 32)
    table = b"".join(
        struct.pack("<QQ", len(p), len(s)) for p, s in zip(packed, streams, strict=True)
    )
    path = tmp_path / "b.spz"
    path.write_bytes(header + table + b"".join(packed))
    read = read_splats(path)
    assert (read.metadata.version, read.metadata.antialiased) == ("4", True)
    for name, value in expected.tensors().items():
        assert torch.equal(read.splats.tensors()[name], value)

    whole = path.read_bytes()
    for size in (3, 20, 40, 200, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            read_splats(path)
    broken = bytearray(whole)
    broken[128:132] = bytes(4)  # the magic of the first stream
    path.write_bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        read_splats(path)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (4, 1, "version 2, 3 or 4, found 1"),
        (4, 9, "version 2, 3 or 4, found 9"),
        (11, 255, "lists 4278190083 splats"),
        (8, 4, "lists 4 splats of SH degree 1, which take"),
        (12, 4, "found degree 4"),
        (13, 0, "0 bits"),
        (14, 2, "vendor extensions"),
        (0, 0, "gzip data of another kind"),
    ],
)
def test_damaged_spz_headers(
    make_splats: MakeSplats, tmp_path: Path, at: int, value: int, message: str
) -> None:
    path = tmp_path / "a.spz"
    write_splats(path, make_splats(3, 1))
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[at] = value
    path.write_bytes(gzip.compress(plain))
    with pytest.raises(InputError, match=message):
        read_splats(path)


def test_spz_cut_off_or_broken(make_splats: MakeSplats, tmp_path: Path) -> None:
    path = tmp_path / "a.spz"
    write_splats(path, make_splats(100, 1))
    data = path.read_bytes()
    broken = bytearray(data)
    broken[-5] ^= 1  # in the checksum
    path.write_bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        read_splats(path)
    for size in (2, 9, 30, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match=r"cut off|another kind|damaged"):
            read_splats(path)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_compressed_ply_round_trip(make_splats: MakeSplats, tmp_path: Path, degree: int) -> None:
    splats = make_splats(600, degree)
    path = tmp_path / "a.compressed.ply"
    write_splats(path, splats, antialiased=True, comments=("made by a test",))
    read = read_splats(path)
    assert read.metadata.antialiased is True
    assert read.metadata.comments == ("SplatRenderMode: mip", "made by a test")
    # The order changes: bring both into the order of their nearest partner.
    nearest = torch.cdist(splats.means, read.splats.means).argmin(dim=1)
    assert len(set(nearest.tolist())) == 600
    matched = read.splats.select(nearest)
    spans = splats.means.max(0).values - splats.means.min(0).values
    assert float((matched.means - splats.means).abs().max()) <= float(spans.max()) / 1023
    assert turn_error(matched.quats, splats.quats) < 0.008
    assert float((matched.opacities - splats.opacities).abs().max()) < 0.6 / 255
    span = splats.log_scales.max() - splats.log_scales.min()
    assert float((matched.log_scales - splats.log_scales).abs().max()) <= float(span) / 1023
    if degree:
        assert float((matched.shN - splats.shN).abs().max()) <= 8 / 256 + 1e-5


def test_compressed_ply_harmonics_are_channel_major(
    make_splats: MakeSplats, tmp_path: Path
) -> None:
    splats = make_splats(1, 1)
    splats.shN[0] = torch.arange(9.0).reshape(3, 3) / 4
    write_splats(tmp_path / "a.compressed.ply", splats)
    stored = np.frombuffer((tmp_path / "a.compressed.ply").read_bytes()[-9:], np.uint8)
    decoded = (stored / 256 - 0.5) * 8
    np.testing.assert_allclose(decoded, splats.shN[0].T.flatten(), atol=0.04)


def test_damaged_compressed_ply(make_splats: MakeSplats, tmp_path: Path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_splats(path, make_splats(300, 1))
    data = path.read_bytes()
    cases = {
        b"element vertex 300": (b"element vertex 999", "only 2 chunks"),
        b"element chunk 2": (b"element chunk 9", "it is cut off or its header is wrong"),
        b"element sh 300": (b"element sh 299", "expected 300 rows"),
        b"packed_color": (b"packed_other", "found other elements or fields"),
        b"property float max_b\n": (b"", "18 bounds a chunk, found 17"),
    }
    for old, (new, message) in cases.items():
        assert old in data
        path.write_bytes(data.replace(old, new))
        with pytest.raises(InputError, match=message):
            read_splats(path)
    path.write_bytes(data[:-1])
    with pytest.raises(InputError, match="cut off"):
        read_splats(path)


def test_compressed_ply_with_a_comment_in_any_language(
    make_splats: MakeSplats, tmp_path: Path
) -> None:
    path = tmp_path / "a.compressed.ply"
    write_splats(path, make_splats(3, 1), comments=("größer als 東京",))
    read = read_splats(path)
    assert read.metadata.comments == ("größer als 東京",)
    path.write_bytes(path.read_bytes().replace("größer".encode(), b"gr\xff\xfeer"))
    assert len(read_splats(path).splats) == 3


@pytest.mark.parametrize("ending", [".ply", ".splat", ".spz", ".compressed.ply"])
def test_extreme_but_finite_values(make_splats: MakeSplats, tmp_path: Path, ending: str) -> None:
    splats = make_splats(4, 1)
    splats.opacity_logits[:] = torch.tensor([-1e4, 1e4, -200.0, 200.0])
    splats.quats[1] = 0
    path = tmp_path / f"a{ending}"
    assert write_splats(path, splats).dropped == 0
    read = read_splats(path).splats
    assert len(read) == 4
    nearest = torch.cdist(splats.means, read.means).argmin(dim=1)
    torch.testing.assert_close(
        read.opacities[nearest], torch.tensor([0.0, 1, 0, 1]), atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("ending", [".ply", ".splat", ".spz", ".compressed.ply"])
def test_damage_never_ends_in_another_error(
    make_splats: MakeSplats, tmp_path: Path, ending: str
) -> None:
    """Bytes changed, cut and put in at random: splats, or an InputError, and nothing else."""
    path = tmp_path / f"a{ending}"
    write_splats(path, make_splats(20, 2))
    whole = path.read_bytes()
    rng = random.Random(4)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(400, len(data)))
        match rng.randrange(3):
            case 0:
                data[at : at + 4] = rng.randbytes(4)
            case 1:
                del data[at : at + rng.randrange(1, 20)]
            case _:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
        path.write_bytes(data)
        try:
            read_splats(path)
        except InputError:
            refused += 1
    assert refused > 20


def ksplat(level: int, splats: Splats) -> bytes:
    """A file with two sections of one bucket each, or more, written as the format has it."""
    rest = splats.shN.shape[1]
    degree = int((rest + 1) ** 0.5) - 1
    kinds = {0: ("<f4", "<f4", "<f4"), 1: ("<u2", "<f2", "<f2"), 2: ("<u2", "<f2", "u1")}[level]
    row = np.dtype(
        [
            ("m", kinds[0], 3),
            ("s", kinds[1], 3),
            ("q", kinds[1], 4),
            ("c", "u1", 4),
            ("h", kinds[2], (3 * rest,)),
        ]
    )
    header = bytearray(4096)
    header[1] = 1
    struct.pack_into("<IIIIH", header, 4, 2, 2, len(splats), len(splats), level)
    struct.pack_into("<ff", header, 36, -1.5, 1.5)
    sections, bodies = b"", b""
    for part in (splats.select(torch.arange(0, 5)), splats.select(torch.arange(5, len(splats)))):
        rows = np.zeros(len(part), row)
        # Full buckets of 2 splats, then one partly filled one where the count is odd.
        full, partial = divmod(len(part), 2)
        bucket = np.arange(len(part)) // 2
        centres = np.zeros((full + partial, 3), "<f4")
        means = part.means.numpy()
        for b in range(full + partial):
            centres[b] = means[bucket == b].mean(axis=0)
        block = 2.2 * float(np.abs(means - centres[bucket]).max())
        if level:
            offsets = (means - centres[bucket]) / (block / 2 / 32767)
            rows["m"] = np.round(offsets + 32767)
        else:
            rows["m"] = means
        rows["s"] = part.scales.numpy()
        rows["q"] = part.quats.numpy()
        rgb = sh0_to_rgb(part.sh0[:, 0]).clamp(0, 1).numpy()
        rows["c"] = np.round(np.concatenate([rgb, part.opacities[:, None].numpy()], 1) * 255)
        bands = [part.shN[:, d * d - 1 : (d + 1) ** 2 - 1] for d in range(1, degree + 1)]
        flat = [b.transpose(1, 2).reshape(len(part), -1).numpy() for b in bands]
        if flat:
            values = np.concatenate(flat, 1)
            rows["h"] = np.round((values + 1.5) / 3 * 255) if level == 2 else values
        head = bytearray(1024)
        counts = (len(part), len(part), 2, full + partial)
        struct.pack_into("<IIIIfHxxI", head, 0, *counts, block, 12, 32767)
        struct.pack_into("<IIH", head, 32, full, partial, degree)
        sections += bytes(head)
        bodies += struct.pack("<I", 1) * partial + centres.tobytes() + rows.tobytes()
    return bytes(header) + sections + bodies


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("degree", [0, 2])
def test_ksplat_levels(make_splats: MakeSplats, tmp_path: Path, level: int, degree: int) -> None:
    splats = make_splats(12, degree)
    splats.sh0.clamp_(-1.7, 1.7)
    path = tmp_path / "a.ksplat"
    path.write_bytes(ksplat(level, splats))
    read = read_splats(path)
    assert read.metadata.version == f"0.1 level {level}"
    assert_close(
        read.splats,
        splats,
        means=(0, 1e-3, 1e-3)[level],
        scales=(1e-6, 1e-3, 1e-3)[level],
        turn=(1e-3, 3e-3, 3e-3)[level],
        colour=0.5 / 255 / 0.28,
        sh=(0, 1e-3, 0.5 * 3 / 255 + 1e-6)[level],
    )
    data = path.read_bytes()
    for size in (100, 4100, 7000 if len(data) > 7000 else 5000, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match=r"cut off|begins with a header"):
            read_splats(path)
    path.write_bytes(data[:16] + b"\xff" + data[17:])
    with pytest.raises(InputError, match="sections hold 12"):
        read_splats(path)


def test_the_same_model_in_four_formats(shared_splats: Path) -> None:
    """Files made by others from one model of four splats agree."""
    reference = read_splats(shared_splats / "minimal.splat").splats
    for name in ("minimal.ksplat", "minimal-v3.spz", "minimal-v4.spz"):
        other = read_splats(shared_splats / name).splats
        torch.testing.assert_close(other.means, reference.means, rtol=0, atol=1e-6)
        torch.testing.assert_close(other.log_scales, reference.log_scales, rtol=0, atol=0.032)
        torch.testing.assert_close(other.opacities, reference.opacities, rtol=0, atol=1e-4)
        torch.testing.assert_close(other.sh0, reference.sh0, rtol=0, atol=0.014)


@pytest.mark.parametrize(
    ("name", "version", "count"),
    [
        ("minimal-raw.spz", "2", 4),
        ("minimal-v2.spz", "2", 4),
        ("minimal-v3.spz", "3", 4),
        ("minimal-v4.spz", "4", 4),
        ("minimal_v4_degree0.spz", "4", 8),
    ],
)
def test_real_spz_files(shared_splats: Path, name: str, version: str, count: int) -> None:
    read = read_splats(shared_splats / name)
    assert (read.metadata.version, len(read.splats)) == (version, count)
    assert bool(torch.isfinite(read.splats.means).all())


def test_ascii_and_binary_of_one_model(shared_splats: Path) -> None:
    ascii_ = read_splats(shared_splats / "minimal_ascii.ply").splats
    binary = read_splats(shared_splats / "minimal_binary.ply").splats
    for name, value in ascii_.tensors().items():
        assert torch.equal(value, binary.tensors()[name]), name
    assert binary.means[1].tolist() == pytest.approx([0.1, 0.1, 1.2])
    assert binary.opacity_logits.tolist() == pytest.approx([0.9, 0.8, 0.5])
    assert binary.log_scales[1].tolist() == pytest.approx([1.1, 1.0, 0.9])
    assert binary.quats[0].tolist() == [1, 0, 0, 0]
