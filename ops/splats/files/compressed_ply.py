"""PlayCanvas ``.compressed.ply`` files: 16 bytes a splat, in chunks of 256, through gsply."""

from __future__ import annotations

from pathlib import Path

from ops.atomic import read_whole, write_atomically
from ops.errors import InputError
from ops.splats.files.gsply_bridge import from_gsply, to_gsply
from ops.splats.files.model import (
    REST_COUNTS,
    SplatFile,
    SplatFileMetadata,
    arrays_of,
    splat_file,
)
from ops.splats.files.ply import antialiased_of, tag_lines
from ops.splats.files.ply_container import Header, read_header
from ops.splats.model import Splats

_CHUNK = 256  # splats
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_BOUNDS = 18  # floats a chunk: least and greatest of position, scale and colour


def is_compressed(header: Header) -> bool:
    """Whether a PLY header is of this format."""
    vertex = header.element("vertex")
    return vertex is not None and "packed_position" in dict(vertex.properties)


def read_compressed_ply(path: Path) -> SplatFile:
    """Read a ``.compressed.ply`` file.

    Raises:
        InputError: The file is damaged, or of the early variant without colour bounds.
    """
    import gsply

    header = read_header(path)
    data = read_whole(path)
    _check(path, header, len(data))
    # gsply parses headers by fewer rules than there are; give it one as it writes them itself.
    arrays = from_gsply(gsply.decompress_from_bytes(_plain_header(header) + data[header.size :]))
    metadata = SplatFileMetadata(
        format="compressed.ply",
        version=f"{header.encoding} 1.0",
        antialiased=antialiased_of(header.comments),
        comments=header.comments,
        notes=("Values were stored in 8 to 11 bits.",),
    )
    return splat_file(arrays, metadata)


def write_compressed_ply(
    path: Path,
    splats: Splats,
    *,
    antialiased: bool | None = None,
    comments: tuple[str, ...] = (),
) -> SplatFileMetadata:
    """Write a ``.compressed.ply`` file. Precision is lost, and the splats are reordered."""
    import gsply

    arrays, dropped, notes = arrays_of(splats)
    if len(arrays) == 0:
        raise InputError("expected at least one splat with finite values to write, found none")
    data = gsply.compress_to_bytes(to_gsply(arrays))
    lines = (*tag_lines(antialiased), *comments)
    # gsply's header has no comments: put ours after its second line, the format.
    start = data.index(b"\n", data.index(b"\nformat ") + 1) + 1
    text = "".join(f"comment {' '.join(line.split())}\n" for line in lines)
    write_atomically(path, [data[:start], text.encode(), data[start:]])
    return SplatFileMetadata(
        format="compressed.ply",
        version="binary_little_endian 1.0",
        antialiased=antialiased,
        comments=lines,
        dropped=dropped,
        notes=(*notes, "Values are stored in 8 to 11 bits; the order of the splats changes."),
    )


def _plain_header(header: Header) -> bytes:
    kinds = {"f4": "float", "u4": "uint", "u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0"]
    for element in header.elements:
        lines.append(f"element {element.name} {element.count}")
        lines += [f"property {kinds[kind]} {name}" for name, kind in element.properties]
    return "\n".join([*lines, "end_header\n"]).encode("ascii", "replace")


def _check(path: Path, header: Header, size: int) -> None:
    """Everything that gsply takes for granted; its kernels do not check bounds."""
    chunk, vertex, sh = (header.element(name) for name in ("chunk", "vertex", "sh"))
    expected = ["chunk", "vertex"] + (["sh"] if sh else [])
    if (
        chunk is None
        or vertex is None
        or [e.name for e in header.elements] != expected
        or header.encoding != "binary_little_endian"
        or tuple(name for name, _ in vertex.properties) != _PACKED
        or any(kind != "u4" for _, kind in vertex.properties)
        or any(kind != "f4" for _, kind in chunk.properties)
    ):
        raise InputError(
            f"{path}: expected a PlayCanvas compressed PLY (elements chunk, vertex and maybe sh), "
            "found other elements or fields; export it again as .compressed.ply or .ply"
        )
    if len(chunk.properties) != _BOUNDS:
        raise InputError(
            f"{path}: expected {_BOUNDS} bounds a chunk, found {len(chunk.properties)}: an early "
            "variant of the format; convert it with 'splat-transform in.ply out.compressed.ply'"
        )
    if chunk.count * _CHUNK < vertex.count:
        raise InputError(
            f"{path}: the header lists {vertex.count} splats but only {chunk.count} chunks of "
            f"{_CHUNK}; the file is damaged"
        )
    bytes_sh = 0
    if sh is not None:
        if (
            sh.count != vertex.count
            or len(sh.properties) % 3
            or len(sh.properties) // 3 not in REST_COUNTS
            or any(kind != "u1" for _, kind in sh.properties)
        ):
            raise InputError(
                f"{path}: expected {vertex.count} rows of 9, 24 or 45 SH bytes, found {sh.count} "
                f"rows of {len(sh.properties)}; the file is damaged"
            )
        bytes_sh = sh.count * len(sh.properties)
    needed = header.size + chunk.count * _BOUNDS * 4 + vertex.count * 16 + bytes_sh
    if size < needed:
        raise InputError(
            f"{path}: the header lists {vertex.count} splats, which take {needed} bytes, found a "
            f"file of {size} bytes; it is cut off or its header is wrong"
        )
