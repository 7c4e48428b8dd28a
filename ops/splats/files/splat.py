"""``.splat`` files (antimatter15): 32 bytes a splat, without a header.

Three float32 of position, three float32 of linear scale, RGBA as bytes, and the quaternion wxyz
as bytes ``q * 128 + 128``. There are no spherical harmonics.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.atomic import read_whole, write_atomically
from ops.errors import InputError
from ops.splats.files.model import (
    SplatArrays,
    SplatFile,
    SplatFileMetadata,
    arrays_of,
    log_of_scale,
    logit_of_byte,
    splat_file,
)
from ops.splats.model import SH_C0, Splats

_ROW = np.dtype([("means", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quats", "u1", 4)])


def read_splat(path: Path) -> SplatFile:
    """Read a ``.splat`` file.

    Raises:
        InputError: The size is not a multiple of 32 bytes, or 0.
    """
    data = read_whole(path)
    if len(data) == 0 or len(data) % _ROW.itemsize:
        raise InputError(
            f"{path}: expected a .splat file, whose size is a multiple of {_ROW.itemsize} bytes, "
            f"found {len(data)} bytes; it is cut off or of another format"
        )
    rows = np.frombuffer(data, _ROW)
    quats = (rows["quats"].astype(np.float32) - 128) / 128
    lengths = np.linalg.norm(quats, axis=1, keepdims=True)
    arrays = SplatArrays(
        means=rows["means"].astype(np.float32),
        quats=np.where(lengths > 0, quats / np.maximum(lengths, 1e-6), (1, 0, 0, 0)).astype(
            np.float32
        ),
        log_scales=log_of_scale(rows["scales"]),
        opacity_logits=logit_of_byte(rows["rgba"][:, 3]),
        sh0=((rows["rgba"][:, :3] / 255.0 - 0.5) / SH_C0).astype(np.float32),
        shN=np.empty((len(rows), 0, 3), np.float32),
    )
    return splat_file(arrays, SplatFileMetadata(format="splat"))


def write_splat(path: Path, splats: Splats) -> SplatFileMetadata:
    """Write a ``.splat`` file: positions exact, colour, opacity and rotation in 8 bits.

    Order is kept. Spherical harmonics and the antialiasing tag are lost; the notes say so.
    """
    arrays, dropped, notes = arrays_of(splats)
    rows = np.empty(len(arrays), _ROW)
    rows["means"] = arrays.means
    with np.errstate(over="ignore"):
        rows["scales"] = np.exp(arrays.log_scales.astype(np.float64))
    opacity = 1 / (1 + np.exp(-arrays.opacity_logits.astype(np.float64)))
    colour = np.concatenate([arrays.sh0.astype(np.float64) * SH_C0 + 0.5, opacity[:, None]], axis=1)
    rows["rgba"] = np.clip(np.round(colour * 255), 0, 255)
    quats = arrays.quats.astype(np.float64)
    quats /= np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), 1e-12)
    rows["quats"] = np.clip(np.round(quats * 128 + 128), 0, 255)
    write_atomically(path, [rows.tobytes()])
    if arrays.shN.shape[1]:
        notes += (
            "A .splat file has no spherical harmonics: the colour no longer changes with the "
            "viewing direction.",
        )
    return SplatFileMetadata(format="splat", dropped=dropped, notes=notes)
