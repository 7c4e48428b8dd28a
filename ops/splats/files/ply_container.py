"""PLY files (Turk 1994): the header, and elements of scalar properties as structured arrays.

The header is not believed: an element is read only if its bytes are there, so that a count that
lies costs a message and not memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.errors import InputError

# The eight scalar types under both of their customary names.
_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_TYPE_NAMES = {
    "i1": "char",
    "u1": "uchar",
    "i4": "int",
    "u4": "uint",
    "f4": "float",
    "f8": "double",
}
_ENCODINGS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_HEADER_LIMIT = 1 << 20  # bytes; real headers have a few thousand


@dataclass(frozen=True)
class Element:
    """One element of a header."""

    name: str
    count: int
    properties: tuple[tuple[str, str], ...]  # (name, numpy type without byte order)
    has_lists: bool

    def dtype(self, order: str) -> np.dtype[Any]:
        """The record of one row; ``order`` is "<", ">" or "" for the machine's own."""
        return np.dtype([(name, order + kind) for name, kind in self.properties])


@dataclass(frozen=True)
class Header:
    """A parsed header."""

    encoding: str  # "ascii", "binary_little_endian" or "binary_big_endian"
    comments: tuple[str, ...]
    elements: tuple[Element, ...]
    size: int  # bytes up to and with the line end_header

    def element(self, name: str) -> Element | None:
        """The element called ``name``, or None."""
        return next((e for e in self.elements if e.name == name), None)


def read_header(path: Path) -> Header:
    """Parse the header of a PLY file.

    Raises:
        InputError: The file cannot be read, or is not a PLY file, or its header is damaged.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_LIMIT)
    except OSError as error:
        raise InputError(
            f"expected a PLY file, found {path} ({error.strerror}); check the path"
        ) from error
    if not start.startswith((b"ply\n", b"ply\r\n")):
        raise InputError(
            f"{path}: expected a PLY file, which begins with the line 'ply', found "
            f"{start[:4]!r}; check that it is the file you meant and that its download is complete"
        )
    lines, size = _header_lines(path, start)
    encoding, comments, elements = "", [], []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        match words:
            case [] | ["end_header"] | ["obj_info", *_]:
                pass
            case ["comment", *_]:
                comments.append(line.split("comment", 1)[1].strip())
            case ["format", name, "1.0"] if name in _ENCODINGS:
                encoding = name
            case ["element", name, count] if count.isdecimal() and len(count) < 19:
                elements.append(Element(name, int(count), (), False))
            case ["property", "list", _, _, _] if elements:
                last = elements[-1]
                elements[-1] = Element(last.name, last.count, last.properties, True)
            case ["property", kind, name] if elements and kind in _TYPES:
                last = elements[-1]
                if name in dict(last.properties):
                    raise InputError(f"{path}: the header lists property {name!r} twice")
                row = (*last.properties, (name, _TYPES[kind]))
                elements[-1] = Element(last.name, last.count, row, last.has_lists)
            case _:
                raise InputError(
                    f"{path}: header line {number} is not one of a PLY file: {line[:80]!r}; the "
                    "file is damaged or was not written by a PLY exporter"
                )
    if not encoding:
        raise InputError(f"{path}: the PLY header has no format line; the file is damaged")
    return Header(encoding, tuple(comments), tuple(elements), size)


def _header_lines(path: Path, start: bytes) -> tuple[list[str], int]:
    """The header's lines, and its size in bytes."""
    offset = 0
    lines = []
    while True:
        end = start.find(b"\n", offset)
        if end < 0:
            raise InputError(
                f"{path}: the PLY header has no line 'end_header' in its first "
                f"{len(start)} bytes; the file is cut off or damaged"
            )
        line = start[offset:end].decode("utf-8", "replace").rstrip("\r")
        offset = end + 1
        lines.append(line)
        if line.strip() == "end_header":
            return lines, offset


def read_element(path: Path, header: Header, name: str) -> NDArray[Any]:
    """The rows of one element as a structured array with native byte order.

    Raises:
        InputError: There is no such element, it or one before it holds lists, or the file is
            shorter than its header says.
    """
    element = header.element(name)
    if element is None:
        names = ", ".join(e.name for e in header.elements) or "none"
        raise InputError(f"{path}: expected a PLY element {name!r}, found: {names}")
    before = header.elements[: header.elements.index(element)]
    listed = [e.name for e in (*before, element) if e.has_lists]
    if listed:
        raise InputError(
            f"{path}: the PLY element {listed[0]!r} holds lists, and only points and splats are "
            "read; export the vertices alone"
        )
    if header.encoding == "ascii":
        return _read_ascii(path, header, before, element)
    order = _ENCODINGS[header.encoding]
    dtype = element.dtype(order)
    offset = header.size + sum(e.count * e.dtype(order).itemsize for e in before)
    needed = offset + element.count * dtype.itemsize
    actual = path.stat().st_size
    if needed > actual:
        raise InputError(
            f"{path}: the header lists {element.count} rows of {name!r} ({dtype.itemsize} bytes "
            f"each, {needed} bytes in all), found a file of {actual} bytes; it is cut off or its "
            "header is wrong: download or export it again"
        )
    with path.open("rb") as file:
        file.seek(offset)
        rows = np.fromfile(file, dtype, element.count)
    return rows.astype(element.dtype("="), copy=False)


def _read_ascii(
    path: Path, header: Header, before: tuple[Element, ...], element: Element
) -> NDArray[Any]:
    width = len(element.properties)
    skip = sum(e.count * len(e.properties) for e in before)
    words = path.read_bytes()[header.size :].split()
    found = max(0, len(words) - skip)
    if found < element.count * width:
        raise InputError(
            f"{path}: the header lists {element.count} rows of {element.name!r} with {width} "
            f"values each, found {found} values; the file is cut off or its header is wrong"
        )
    try:
        values = np.array(words[skip : skip + element.count * width], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: expected numbers, {error}") from error
    rows = np.empty(element.count, element.dtype("="))
    table = values.reshape(element.count, width)
    with np.errstate(over="ignore", invalid="ignore"):
        for column, (name, _) in enumerate(element.properties):
            rows[name] = table[:, column]
    return rows


def encode(comments: tuple[str, ...], element: str, rows: NDArray[Any]) -> Iterator[bytes]:
    """A binary little-endian PLY file of one element, in pieces.

    Args:
        comments: Lines without line breaks; longer ones are the caller's to fold.
        element: The element's name.
        rows: [N] structured array of scalar fields.
    """
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {' '.join(comment.split())}" for comment in comments]
    lines.append(f"element {element} {len(rows)}")
    little = rows.dtype.newbyteorder("<")
    for name in rows.dtype.names or ():
        kind = rows.dtype[name].str[1:]
        lines.append(f"property {_TYPE_NAMES[kind]} {name}")
    lines.append("end_header\n")
    yield "\n".join(lines).encode()
    yield rows.astype(little, copy=False).tobytes()
