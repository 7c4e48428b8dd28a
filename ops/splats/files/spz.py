"""SPZ files (Niantic): packed splats of 20 to 64 bytes, compressed.

Containers differ by version: 2 and 3 are one gzip stream, 4 is a header and one Zstandard stream
for each attribute. What is inside them is packed alike; this module takes care of the containers,
the flags and the axes, gsply of the packed values.

SPZ stores right-up-back axes (y up, z towards the viewer); 3DGS PLY files have right-down-forward.
The official tools turn one into the other on the way, so that PLY to SPZ and back keeps the world;
we do the same.
"""

from __future__ import annotations

import gzip
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ops.atomic import read_whole, write_atomically
from ops.errors import InputError
from ops.splats.files.gsply_bridge import from_gsply, to_gsply
from ops.splats.files.model import (
    SplatArrays,
    SplatFile,
    SplatFileMetadata,
    arrays_of,
    splat_file,
)
from ops.splats.model import Splats

MAGIC = b"NGSP"
_LEGACY = struct.Struct("<4sIIBBBB")  # magic, version, count, SH degree, bits, flags, reserved
_STREAMED = struct.Struct("<4sIIBBBBI12x")  # the same with the number of streams and their table
_ANTIALIASED, _EXTENSIONS = 1, 2  # flags
_SCALE_RANGE = (-10.0, 255 / 16 - 10)  # of log scales, in steps of 1/16
_FIXED_LIMIT = (1 << 23) - 1  # positions are 24-bit fixed point
_MAX_BITS = 20  # of them after the point

# Turning by 180 degrees about x flips y and z; this is what it does to every real SH basis
# function above the constant one, in the order of 3DGS.
_FLIP_AXES = np.array([1, -1, -1], np.float32)
_FLIP_QUATS = np.array([1, 1, -1, -1], np.float32)  # wxyz
_FLIP_SH = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    sh_degree: int
    fractional_bits: int
    flags: int

    @property
    def sections(self) -> list[int]:
        """Bytes of positions, alphas, colours, scales, rotations and SH."""
        rest = (self.sh_degree + 1) ** 2 - 1
        rotation = 3 if self.version < 3 else 4
        return [self.count * width for width in (9, 1, 3, 3, rotation, 3 * rest)]

    def legacy(self) -> bytes:
        """This header in the container of versions 2 and 3."""
        version = min(self.version, 3)  # version 4 packs its values as version 3 does
        degree, bits = self.sh_degree, self.fractional_bits
        return _LEGACY.pack(MAGIC, version, self.count, degree, bits, self.flags, 0)


def read_spz(path: Path) -> SplatFile:
    """Read an SPZ file of version 2, 3 or 4.

    Raises:
        InputError: The file is damaged, or of a version or with extensions that are not read.
    """
    data = read_whole(path)
    if data.startswith(b"\x1f\x8b"):
        header, packed = _read_gzip(path, data)
    elif data.startswith(MAGIC) and len(data) >= _LEGACY.size:
        header, packed = _read_plain(path, data)
    else:
        raise InputError(
            f"{path}: expected an SPZ file, which begins with gzip's magic or with 'NGSP', found "
            f"{data[:4]!r}; check that it is the file you meant"
        )
    metadata = SplatFileMetadata(
        format="spz",
        version=str(header.version),
        antialiased=bool(header.flags & _ANTIALIASED),
        notes=("The file's axes (right, up, back) were turned to right, down, forward.",),
    )
    return splat_file(_turned(_unpack(header, packed)), metadata)


def write_spz(path: Path, splats: Splats, *, antialiased: bool | None = None) -> SplatFileMetadata:
    """Write an SPZ file of version 3, which most viewers read.

    Positions are stored in 24 bits, of which as many follow the point as the extent of the splats
    leaves (20 at most); everything else in 8 to 10 bits. Comments are not part of the format.

    Raises:
        InputError: No finite splats, or positions beyond four million units.
    """
    arrays, dropped, notes = arrays_of(splats)
    if len(arrays) == 0:
        raise InputError("expected at least one splat with finite values to write, found none")
    bits = _fractional_bits(arrays)
    low, high = _SCALE_RANGE
    outside = ((arrays.log_scales < low) | (arrays.log_scales > high)).any(axis=1).sum()
    if outside:
        notes += (
            f"{outside} splats have a scale outside {np.exp(low):.2g} to {np.exp(high):.3g} units, "
            "which is all that SPZ holds; theirs were clamped.",
        )
    degree = int((arrays.shN.shape[1] + 1) ** 0.5) - 1
    header = _Header(3, len(arrays), degree, bits, _ANTIALIASED if antialiased else 0)
    packed = _pack(_turned(arrays), bits)
    # No time of writing inside, so that equal splats make equal files.
    write_atomically(path, [gzip.compress(header.legacy() + packed, compresslevel=6, mtime=0)])
    return SplatFileMetadata(
        format="spz",
        version="3",
        antialiased=bool(antialiased),
        dropped=dropped,
        notes=(
            *notes,
            f"Positions are stored in steps of 1/{1 << bits} units, other values in 8 to 10 bits.",
            "Axes are stored as right, up, back; reading turns them back.",
        ),
    )


def _parse(path: Path, data: bytes) -> _Header:
    _, version, count, degree, bits, flags, _ = _LEGACY.unpack_from(data)
    if version not in (2, 3, 4):
        raise InputError(
            f"{path}: expected SPZ version 2, 3 or 4, found {version}; convert it to .ply with "
            "the tool that wrote it"
        )
    if degree > 3 or not 1 <= bits <= 24:
        raise InputError(
            f"{path}: expected SH degree 0 to 3 and 1 to 24 fractional bits, found degree "
            f"{degree} and {bits} bits; the file is damaged or uses more than 3D Gaussian "
            "splatting"
        )
    # Where vendors' extensions lie differs between writers of version 3, and one of them changes
    # how SH are packed; reading on would give wrong splats.
    if flags & _EXTENSIONS:
        raise InputError(
            f"{path}: the SPZ file carries vendor extensions, which are not read; convert it to "
            ".ply with the tool that wrote it"
        )
    return _Header(version, count, degree, bits, flags)


def _read_gzip(path: Path, data: bytes) -> tuple[_Header, bytes]:
    stream = zlib.decompressobj(wbits=31)
    try:
        start = stream.decompress(data, _LEGACY.size)
        if len(start) < _LEGACY.size or not start.startswith(MAGIC):
            raise InputError(
                f"{path}: expected an SPZ file, found gzip data of another kind or cut off"
            )
        header = _parse(path, start)
        # Never unpack more than the header calls for, however much the stream would give.
        needed = sum(header.sections)
        packed = stream.decompress(stream.unconsumed_tail, needed) if needed else b""
        stream.decompress(stream.unconsumed_tail, 1 << 16)  # to the end, for its checksum
    except zlib.error as error:
        raise InputError(f"{path}: the gzip stream of the SPZ file is damaged ({error})") from error
    _complete(path, header, packed)
    if not stream.eof and not stream.unconsumed_tail:
        raise InputError(f"{path}: the gzip stream of the SPZ file ends early; it is cut off")
    return header, packed


def _read_plain(path: Path, data: bytes) -> tuple[_Header, bytes]:
    header = _parse(path, data)
    if header.version < 4:  # written without compression
        return header, _complete(path, header, data[_LEGACY.size :])
    return header, b"".join(_streams(path, header, data))


def _streams(path: Path, header: _Header, data: bytes) -> Iterator[bytes]:
    """The unpacked streams of version 4."""
    from numcodecs.zstd import Zstd  # type: ignore[import-untyped]

    sections = [size for size in header.sections if size]
    if len(data) >= _STREAMED.size:
        *_, streams, table = _STREAMED.unpack_from(data)
        offset = table + 16 * streams
        if streams == len(sections) and table >= _STREAMED.size and offset <= len(data):
            for index, size in enumerate(sections):
                packed, unpacked = struct.unpack_from("<QQ", data, table + 16 * index)
                chunk = data[offset : offset + packed]
                offset += packed
                if unpacked != size or len(chunk) != packed:
                    break
                try:
                    out = np.empty(size, np.uint8)
                    Zstd().decode(chunk, out=out)
                except (RuntimeError, ValueError, MemoryError) as error:
                    raise InputError(
                        f"{path}: stream {index} of the SPZ file is damaged ({error})"
                    ) from error
                yield out.tobytes()
            else:
                return
    raise InputError(
        f"{path}: the SPZ header lists {header.count} splats of SH degree {header.sh_degree}, the "
        f"file's {len(data)} bytes and its table of streams do not fit that; it is cut off or "
        "damaged"
    )


def _complete(path: Path, header: _Header, packed: bytes) -> bytes:
    needed = sum(header.sections)
    if len(packed) < needed:
        raise InputError(
            f"{path}: the SPZ header lists {header.count} splats of SH degree "
            f"{header.sh_degree}, which take {needed} bytes, found {len(packed)}; the file is cut "
            "off or its header is wrong"
        )
    return packed[:needed]


def _unpack(header: _Header, packed: bytes) -> SplatArrays:
    import gsply

    if header.count == 0:
        raise InputError("expected at least one splat, found an SPZ file without any")
    # gsply reads from paths only, and version 4 only with a package that nothing else needs.
    with tempfile.TemporaryDirectory(prefix="splatworks-") as folder:
        plain = Path(folder) / "packed.spz"
        plain.write_bytes(gzip.compress(header.legacy() + packed, compresslevel=0))
        return from_gsply(gsply.read_spz(plain))


def _pack(arrays: SplatArrays, bits: int) -> bytes:
    import gsply

    with tempfile.TemporaryDirectory(prefix="splatworks-") as folder:
        packed = Path(folder) / "packed.spz"
        gsply.write_spz(packed, to_gsply(arrays), version=3, fractional_bits=bits)
        return gzip.decompress(packed.read_bytes())[_LEGACY.size :]


def _fractional_bits(arrays: SplatArrays) -> int:
    extent = float(np.abs(arrays.means).max())
    for bits in range(_MAX_BITS, 0, -1):
        if extent * (1 << bits) <= _FIXED_LIMIT:
            return bits
    raise InputError(
        f"expected positions within {_FIXED_LIMIT // 2} units of the origin, which is all that SPZ "
        f"holds, found {extent:.4g}; remove the outliers or write a .ply"
    )


def _turned(arrays: SplatArrays) -> SplatArrays:
    """The same splats in axes turned by 180 degrees about x; its own inverse."""
    return replace(
        arrays,
        means=arrays.means * _FLIP_AXES,
        quats=arrays.quats * _FLIP_QUATS,
        shN=arrays.shN * _FLIP_SH[: arrays.shN.shape[1], None],
    )
