"""Read and write splat files of any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.errors import InputError
from ops.splats.files import compressed_ply, glb, ksplat, ply, splat, spz
from ops.splats.files.model import SplatFile, SplatFileMetadata
from ops.splats.files.ply_container import read_header
from ops.splats.model import Splats

READABLE = (".ply", ".compressed.ply", ".splat", ".spz", ".ksplat", ".glb")
WRITABLE = (".ply", ".compressed.ply", ".splat", ".spz")


def read_splats(path: str | Path) -> SplatFile:
    """Read a splat file. The format is told by what is inside, else by the name.

    Splats come in the axes of 3DGS PLY files, which are those of the cameras they were trained
    with; formats that store others are turned. Splats with NaN or infinite values are left out;
    the metadata say how many.

    Args:
        path: A ``.ply`` (3DGS or PlayCanvas compressed), ``.splat``, ``.spz``, ``.ksplat`` or
            ``.glb`` file.

    Raises:
        InputError: The file cannot be read, is damaged, or of a format that is not read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise InputError(
            f"expected a splat file, found {path} ({error.strerror}); check the path"
        ) from error
    if not start:
        raise InputError(f"{path}: expected a splat file, found an empty file")
    # What damaged values overflow to is not finite; they are dropped and counted.
    with np.errstate(over="ignore", invalid="ignore"):
        return _read(path, start)


def _read(path: Path, start: bytes) -> SplatFile:
    """Read by the first four bytes, else by the name."""
    if start.startswith((b"ply\n", b"ply\r")):
        if compressed_ply.is_compressed(read_header(path)):
            return compressed_ply.read_compressed_ply(path)
        return ply.read_ply(path)
    if start == glb.MAGIC:
        return glb.read_glb(path)
    if start == spz.MAGIC or start.startswith(b"\x1f\x8b"):
        return spz.read_spz(path)
    name = path.name.lower()
    if name.endswith(".splat"):
        return splat.read_splat(path)
    if name.endswith(".ksplat"):
        return ksplat.read_ksplat(path)
    if name.endswith((".ply", ".spz", ".glb")):
        raise InputError(
            f"{path}: expected a {path.suffix} file, found one that begins with {start!r}; it is "
            "damaged or has the wrong name"
        )
    hint = ""
    if name.endswith((".sog", ".json", ".gltf", ".lcc")):
        hint = f"; convert it with 'splat-transform {path.name} {path.stem}.ply'"
    raise InputError(
        f"{path}: expected a splat file ({', '.join(READABLE)}), found another format{hint}"
    )


def write_splats(
    path: str | Path,
    splats: Splats,
    *,
    antialiased: bool | None = None,
    comments: tuple[str, ...] = (),
) -> SplatFileMetadata:
    """Write a splat file; its name says the format.

    The file appears whole or not at all. Splats with NaN or infinite values are left out.

    Args:
        path: Ends in ``.ply``, ``.compressed.ply``, ``.splat`` or ``.spz``.
        splats: In the axes of the cameras they were trained with.
        antialiased: Whether they were trained for antialiased rendering; viewers that know the
            tag then render them so. None writes no tag.
        comments: Lines for the header of PLY files; other formats have no place for them.

    Returns:
        What was written, with notes on what the format could not hold.

    Raises:
        InputError: The name says no format that is written, or the folder cannot be written.
    """
    path = Path(path)
    # Where an opacity is all but 0, the exponential in its sigmoid overflows, rightly.
    with np.errstate(over="ignore"):
        return _write(path, splats, antialiased, comments)


def _write(
    path: Path, splats: Splats, antialiased: bool | None, comments: tuple[str, ...]
) -> SplatFileMetadata:
    name = path.name.lower()
    if name.endswith(".compressed.ply"):
        return compressed_ply.write_compressed_ply(
            path, splats, antialiased=antialiased, comments=comments
        )
    if name.endswith(".ply"):
        return ply.write_ply(path, splats, antialiased=antialiased, comments=comments)
    if name.endswith(".spz"):
        metadata = spz.write_spz(path, splats, antialiased=antialiased)
    elif name.endswith(".splat"):
        metadata = splat.write_splat(path, splats)
        if antialiased:
            metadata = metadata.with_notes(
                "A .splat file cannot say that it needs antialiased rendering."
            )
    else:
        raise InputError(
            f"expected a name that ends in {', '.join(WRITABLE)}, found {path.name}; choose one "
            "of these endings"
        )
    if comments:
        metadata = metadata.with_notes("The format has no place for comments.")
    return metadata
