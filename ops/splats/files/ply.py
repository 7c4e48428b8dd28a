"""3DGS PLY files (Kerbl et al. 2023), as graphdeco, gsplat, nerfstudio and others write them.

Fields are found by name: exporters order them differently, and some leave the normals out.
Values are those that training optimises: log scales, opacity logits, quaternions wxyz, SH without
the 0.5 shift. ``f_rest`` is channel-major (all of red, then green, then blue), while
:class:`~ops.splats.model.Splats` is basis-major.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ops.atomic import write_atomically
from ops.errors import InputError
from ops.splats.files import ply_container
from ops.splats.files.model import (
    REST_COUNTS,
    Floats,
    SplatArrays,
    SplatFile,
    SplatFileMetadata,
    arrays_of,
    splat_file,
)
from ops.splats.model import Splats

_MEANS = ("x", "y", "z")
_NORMALS = ("nx", "ny", "nz")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALES = ("scale_0", "scale_1", "scale_2")
_QUATS = ("rot_0", "rot_1", "rot_2", "rot_3")
REQUIRED = (*_MEANS, *_DC, "opacity", *_SCALES, *_QUATS)


def read_ply(path: Path) -> SplatFile:
    """Read a 3DGS PLY file, ascii or binary, of any SH degree from 0 to 3.

    Raises:
        InputError: The file is damaged, lacks a field, or holds points instead of splats.
    """
    header = ply_container.read_header(path)
    vertex = header.element("vertex")
    names = dict(vertex.properties) if vertex else {}
    _check_fields(path, names)
    rest = sum(1 for name in names if re.fullmatch(r"f_rest_\d+", name))
    if rest % 3 or rest // 3 not in REST_COUNTS:
        raise InputError(
            f"{path}: expected 0, 9, 24 or 45 fields f_rest_* (SH degree 0 to 3), found {rest}"
        )
    rest_names = tuple(f"f_rest_{i}" for i in range(rest))
    _check_fields(path, names, rest_names)
    rows = ply_container.read_element(path, header, "vertex")

    def columns(fields: tuple[str, ...]) -> Floats:
        out = np.empty((len(rows), len(fields)), np.float32)
        for i, field in enumerate(fields):
            out[:, i] = rows[field]
        return out

    arrays = SplatArrays(
        means=columns(_MEANS),
        quats=columns(_QUATS),
        log_scales=columns(_SCALES),
        opacity_logits=columns(("opacity",))[:, 0],
        sh0=columns(_DC),
        shN=columns(rest_names).reshape(len(rows), 3, rest // 3).transpose(0, 2, 1),
    )
    extra = sorted(set(names) - {*REQUIRED, *_NORMALS, *rest_names})
    metadata = SplatFileMetadata(
        format="ply",
        version=f"{header.encoding} 1.0",
        antialiased=antialiased_of(header.comments),
        comments=header.comments,
        notes=(f"Fields that are not used: {', '.join(extra)}.",) if extra else (),
    )
    return splat_file(arrays, metadata)


def write_ply(
    path: Path,
    splats: Splats,
    *,
    antialiased: bool | None = None,
    comments: tuple[str, ...] = (),
) -> SplatFileMetadata:
    """Write a binary little-endian 3DGS PLY file with the fields and the order of graphdeco.

    Values are kept bit for bit. Splats that are not finite are left out, as other exporters do.
    """
    arrays, dropped, notes = arrays_of(splats)
    count, rest = len(arrays), arrays.shN.shape[1]
    rest_names = tuple(f"f_rest_{i}" for i in range(3 * rest))
    fields = (*_MEANS, *_NORMALS, *_DC, *rest_names, "opacity", *_SCALES, *_QUATS)
    table = np.concatenate(
        [
            arrays.means,
            np.zeros((count, 3), np.float32),
            arrays.sh0,
            arrays.shN.transpose(0, 2, 1).reshape(count, 3 * rest),
            arrays.opacity_logits[:, None],
            arrays.log_scales,
            arrays.quats,
        ],
        axis=1,
    )
    rows = np.ascontiguousarray(table).view(np.dtype([(name, "f4") for name in fields]))[:, 0]
    lines = (*tag_lines(antialiased), *comments)
    write_atomically(path, ply_container.encode(lines, "vertex", rows))
    return SplatFileMetadata(
        format="ply",
        version="binary_little_endian 1.0",
        antialiased=antialiased,
        comments=lines,
        dropped=dropped,
        notes=notes,
    )


def antialiased_of(comments: tuple[str, ...]) -> bool | None:
    """Whether comments call for antialiased rendering; None where they say nothing.

    Understands Brush's ``SplatRenderMode: default|mip`` and Postshot's ``antialiased 0|1``; the
    last one counts.
    """
    found: bool | None = None
    for comment in comments:
        words = comment.lower().replace(":", " ").split()
        match words:
            case ["splatrendermode", "mip"] | ["antialiased", "1"]:
                found = True
            case ["splatrendermode", "default"] | ["antialiased", "0"]:
                found = False
            case _:
                pass
    return found


def tag_lines(antialiased: bool | None) -> tuple[str, ...]:
    """The comments that carry the tag, in the spelling that most viewers read."""
    if antialiased is None:
        return ()
    return (f"SplatRenderMode: {'mip' if antialiased else 'default'}",)


def _check_fields(path: Path, names: dict[str, str], required: tuple[str, ...] = REQUIRED) -> None:
    missing = [name for name in required if name not in names]
    if not missing:
        return
    found = ", ".join(names) or "none"
    if missing == ["scale_2"]:
        raise InputError(
            f"{path}: field scale_2 is missing: this is a model of flat (2D) Gaussians, and only "
            "3D Gaussians are read"
        )
    if {*_MEANS} <= {*names} and not {*_SCALES, *_QUATS, "opacity"} & {*names}:
        raise InputError(
            f"{path}: expected splats (fields {', '.join(REQUIRED)}), found a point cloud with "
            f"the fields {found}; points can start a training, but are not a splat model"
        )
    raise InputError(
        f"{path}: the PLY element 'vertex' lacks {', '.join(missing)}; found {found}; export it "
        "again as a 3DGS PLY"
    )
