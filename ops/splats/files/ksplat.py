"""``.ksplat`` files (GaussianSplats3D by M. Kellogg), read only.

A header of 4096 bytes, one of 1024 for each section, then for each section the sizes of its
partly filled buckets, the buckets' centres and its splats. Positions of levels 1 and 2 are 16-bit
offsets from the centre of the bucket a splat lies in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.atomic import read_whole
from ops.errors import InputError
from ops.splats.files.model import (
    Floats,
    SplatArrays,
    SplatFile,
    SplatFileMetadata,
    log_of_scale,
    logit_of_byte,
    splat_file,
)
from ops.splats.model import SH_C0

_FILE_HEADER, _SECTION_HEADER = 4096, 1024
_REST = (0, 9, 24, 45)  # SH values of a splat by degree


@dataclass(frozen=True)
class _Section:
    count: int  # splats
    capacity: int  # splats there is room for
    bucket_size: int  # splats in a full bucket
    buckets: int
    block: float  # edge of a bucket, world units
    bucket_bytes: int
    quantum: int  # 16-bit steps in half a block
    full: int  # full buckets; they come first
    partial: int  # partly filled buckets
    degree: int


def read_ksplat(path: Path) -> SplatFile:
    """Read a ``.ksplat`` file of compression level 0, 1 or 2.

    Raises:
        InputError: The file is cut off, empty, or of a version or level that is not known.
    """
    data = read_whole(path)
    if len(data) < _FILE_HEADER:
        raise InputError(
            f"{path}: expected a .ksplat file, which begins with a header of {_FILE_HEADER} bytes, "
            f"found {len(data)} bytes"
        )
    major, minor = data[0], data[1]
    slots, _, _, count, level = struct.unpack_from("<IIIIH", data, 4)
    if (major, minor) != (0, 1) or level > 2:
        raise InputError(
            f"{path}: expected a .ksplat file of version 0.1 and level 0 to 2, found version "
            f"{major}.{minor} and level {level}; it is damaged or not a .ksplat file"
        )
    low, high = struct.unpack_from("<ff", data, 36)
    bounds = (low or -1.5, high or 1.5)
    if _FILE_HEADER + slots * _SECTION_HEADER > len(data):
        raise _cut_off(path, len(data))
    sections = [_parse(path, data, _FILE_HEADER + i * _SECTION_HEADER, level) for i in range(slots)]
    offset = _FILE_HEADER + slots * _SECTION_HEADER
    parts = []
    for section in sections:
        row = _row(level, section.degree)
        starts = offset + 4 * section.partial
        first = starts + section.bucket_bytes * section.buckets
        end = first + section.count * row.itemsize
        if end > len(data):
            raise _cut_off(path, len(data))
        sizes = np.frombuffer(data, "<u4", section.partial, offset)
        centres = np.zeros((0, 3), np.float32)
        if section.bucket_bytes >= 12:
            stride = (section.bucket_bytes, 4)
            centres = np.ndarray((section.buckets, 3), "<f4", data, starts, stride)
        rows = np.frombuffer(data, row, section.count, first)
        parts.append(_decode(path, rows, section, level, sizes, centres, bounds))
        offset = first + section.capacity * row.itemsize
    found = sum(len(part) for part in parts)
    if found != count or found == 0:
        raise InputError(
            f"{path}: the header lists {count} splats, its sections hold {found}; it is damaged"
        )
    return splat_file(
        _joined(parts), SplatFileMetadata(format="ksplat", version=f"{major}.{minor} level {level}")
    )


def _cut_off(path: Path, size: int) -> InputError:
    return InputError(
        f"{path}: the sections that the .ksplat header lists do not fit into {size} bytes; the "
        "file is cut off or its header is wrong"
    )


def _parse(path: Path, data: bytes, at: int, level: int) -> _Section:
    (
        count,
        capacity,
        bucket_size,
        buckets,
        block,
        bucket_bytes,
        quantum,
        _,
        full,
        partial,
        degree,
    ) = struct.unpack_from("<IIIIfHxxIIIIH", data, at)
    if degree > 3 or capacity < count:
        raise InputError(
            f"{path}: expected sections of SH degree 0 to 3 and room for their splats, found "
            f"degree {degree} and room for {capacity} of {count}; the file is damaged"
        )
    if level and (bucket_bytes < 12 or full + partial > buckets):
        raise InputError(f"{path}: the buckets of the .ksplat file do not fit; it is damaged")
    return _Section(
        count, capacity, bucket_size, buckets, block, bucket_bytes, quantum or 32767, full, partial,
        degree,
    )  # fmt: skip


def _row(level: int, degree: int) -> np.dtype[Any]:
    real = "<f4" if level == 0 else "<f2"
    mean = "<f4" if level == 0 else "<u2"
    rest = ("<f4", "<f2", "u1")[level]
    return np.dtype(
        [
            ("means", mean, 3),
            ("scales", real, 3),
            ("quats", real, 4),
            ("rgba", "u1", 4),
            ("rest", rest, (_REST[degree],)),
        ]
    )


def _decode(
    path: Path,
    rows: NDArray[Any],
    section: _Section,
    level: int,
    sizes: NDArray[np.uint32],
    centres: NDArray[np.float32],
    bounds: tuple[float, float],
) -> SplatArrays:
    means = rows["means"].astype(np.float64)
    if level:
        counts = np.concatenate([np.full(section.full, section.bucket_size), sizes.astype(int)])
        if counts.sum() < section.count:
            raise InputError(f"{path}: the buckets of the .ksplat file do not fit; it is damaged")
        bucket = np.repeat(np.arange(len(counts)), counts)[: section.count]
        step = section.block / 2 / section.quantum
        means = (means - section.quantum) * step + centres[bucket]
    rest = rows["rest"].astype(np.float64)
    if level == 2:
        rest = bounds[0] + rest / 255 * (bounds[1] - bounds[0])
    return SplatArrays(
        means=means.astype(np.float32),
        quats=rows["quats"].astype(np.float32),
        log_scales=log_of_scale(rows["scales"]),
        opacity_logits=logit_of_byte(rows["rgba"][:, 3]),
        sh0=((rows["rgba"][:, :3] / 255.0 - 0.5) / SH_C0).astype(np.float32),
        shN=_basis_major(rest.astype(np.float32), section.degree),
    )


def _basis_major(rest: Floats, degree: int) -> Floats:
    """[N, K - 1, 3] from values stored degree by degree, each of them channel-major."""
    count, parts, start = len(rest), [], 0
    for band in range(1, degree + 1):
        width = 2 * band + 1
        part = rest[:, start : start + 3 * width].reshape(count, 3, width)
        parts.append(part.transpose(0, 2, 1))
        start += 3 * width
    return np.concatenate(parts, axis=1) if parts else np.empty((count, 0, 3), np.float32)


def _joined(parts: list[SplatArrays]) -> SplatArrays:
    """All sections; SH that a section lacks are 0."""
    rest = max(part.shN.shape[1] for part in parts)
    padded = [np.pad(p.shN, ((0, 0), (0, rest - p.shN.shape[1]), (0, 0))) for p in parts]
    return SplatArrays(
        means=np.concatenate([p.means for p in parts]),
        quats=np.concatenate([p.quats for p in parts]),
        log_scales=np.concatenate([p.log_scales for p in parts]),
        opacity_logits=np.concatenate([p.opacity_logits for p in parts]),
        sh0=np.concatenate([p.sh0 for p in parts]),
        shN=np.concatenate(padded),
    )
