"""Rows of an array to and from its chunks, without the copies that Zarr's own way makes.

The bytes are exactly those that Zarr 3 writes and reads for the codecs ``bytes``, perhaps
``blosc``, and ``crc32c``; arrays of other codecs, and selections that are not a run of rows, go
through Zarr. A chunk is checked before its values are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numcodecs import blosc  # type: ignore[import-untyped]
from zarr.buffer.cpu import Buffer, buffer_prototype
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.core.sync import sync

if TYPE_CHECKING:
    import zarr

_AT_ONCE = 4  # chunks on their way: one is checked and copied while others are read
_CHECKSUM_BYTES = 4


def is_plain(array: zarr.Array) -> bool:
    """Whether this module can read and write the array's chunks: whole rows, codecs as above."""
    codecs: tuple[Any, ...] = getattr(array.metadata, "codecs", ())
    if not array.ndim or 0 in array.shape or array.shape[1:] != array.chunks[1:]:
        return False
    if not codecs or not isinstance(codecs[0], BytesCodec):
        return False
    endian = codecs[0].endian  # None where an item is a byte
    if (endian is not None and endian.value != "little") or array.dtype.byteorder == ">":
        return False
    if not isinstance(codecs[-1], Crc32cCodec) or array.dtype.kind not in "biuf":
        return False
    return len(codecs) == 2 or (len(codecs) == 3 and isinstance(codecs[1], BloscCodec))


def write_rows(array: zarr.Array, start: int, rows: np.ndarray) -> None:
    """Write rows that begin at the border of a chunk, and end at one or with the array.

    Args:
        array: One that :func:`is_plain`.
        start: The first row.
        rows: [n, ...] of the array's dtype and trailing shape.
    """
    plain = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
    pack = _packing(array)

    def put(number: int, first: int, last: int) -> Coroutine[Any, Any, None]:
        row = rows.nbytes // len(rows)
        chunk = plain[(first - start) * row : (last - start) * row]
        return _put(array, number, chunk, array.chunks[0] * row, pack)

    sync(_all(put(*piece) for piece in _chunks(array, start, start + len(rows))))


def read_rows(array: zarr.Array, start: int, stop: int) -> np.ndarray:
    """The rows from ``start`` to ``stop``, both inside the array.

    Args:
        array: One that :func:`is_plain`.
        start: The first row.
        stop: The row after the last.

    Raises:
        ValueError: A chunk is not there, or is not what was written.
    """
    rows = np.empty((max(stop - start, 0), *array.shape[1:]), array.dtype)
    plain = rows.reshape(-1).view(np.uint8)
    row = rows.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))

    def fetch(number: int, first: int, last: int) -> Coroutine[Any, Any, None]:
        into = plain[(first - start) * row : (last - start) * row]
        skip = (first - number * array.chunks[0]) * row
        return _get(array, number, into, skip, array.chunks[0] * row)

    sync(_all(fetch(*piece) for piece in _chunks(array, start, stop)))
    return rows


def _chunks(array: zarr.Array, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """The chunks that hold rows: number, first row, row after the last, inside ``start:stop``."""
    height = array.chunks[0]
    for number in range(start // height, -(-stop // height)) if stop > start else ():
        yield number, max(start, number * height), min(stop, (number + 1) * height)


async def _all(work: Iterator[Coroutine[Any, Any, None]]) -> None:
    """Run all, a few at a time, in order; the first error ends it."""
    running: set[asyncio.Task[None]] = set()
    try:
        for one in work:
            running.add(asyncio.ensure_future(one))
            if len(running) >= _AT_ONCE:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _place(array: zarr.Array, number: int) -> str:
    encoding = array.metadata.chunk_key_encoding  # type: ignore[union-attr]
    name = encoding.encode_chunk_key((number, *[0] * (array.ndim - 1)))
    return str((array.store_path / name).path)


class _Packed(Buffer):
    """Bytes that are handed on as they are, where Zarr's buffer would copy them."""

    def __init__(self, packed: bytes) -> None:
        super().__init__(np.frombuffer(packed, np.uint8))
        self._packed = packed

    def to_bytes(self) -> bytes:
        return self._packed


Pack = Callable[[np.ndarray], bytes]


def _packing(array: zarr.Array) -> Pack | None:
    """What compresses a chunk of this array; None where it is stored as it is."""
    codec = array.metadata.codecs[1]  # type: ignore[union-attr]
    if not isinstance(codec, BloscCodec):
        return None
    shuffle = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE}
    settings = (
        codec.cname.value.encode(),
        codec.clevel,
        shuffle.get(codec.shuffle.value, blosc.BITSHUFFLE),
        codec.blocksize,
        codec.typesize,
    )
    return lambda plain: bytes(blosc.compress(plain, *settings))


async def _put(
    array: zarr.Array, number: int, chunk: np.ndarray, size: int, pack: Pack | None
) -> None:
    rest = bytes(size - chunk.nbytes)  # below the last row, as Zarr fills it
    if pack is None:
        packed = _sealed(chunk, rest)
    else:
        whole = np.concatenate([chunk, np.frombuffer(rest, np.uint8)]) if rest else chunk
        packed = await asyncio.to_thread(lambda: _sealed(np.frombuffer(pack(whole), np.uint8), b""))
    await array.store_path.store.set(_place(array, number), _Packed(packed))


def _sealed(chunk: np.ndarray, rest: bytes) -> bytes:
    """The bytes of a chunk with their CRC32C behind them, in one copy."""
    checksum = google_crc32c.extend(google_crc32c.value(chunk), rest)
    return b"".join((chunk.data, rest, checksum.to_bytes(_CHECKSUM_BYTES, "little")))


async def _get(array: zarr.Array, number: int, into: np.ndarray, skip: int, size: int) -> None:
    found = await array.store_path.store.get(_place(array, number), buffer_prototype)
    if found is None:
        raise ValueError(f"chunk {number} is missing")
    stored = found.as_numpy_array()
    if isinstance(array.metadata.codecs[1], BloscCodec):  # type: ignore[union-attr]
        await asyncio.to_thread(_unpack, number, stored, into, skip, size)
        return
    plain = _opened(number, stored)
    if len(plain) != size:
        raise ValueError(f"chunk {number} has {len(plain)} bytes instead of {size}")
    into[:] = plain[skip : skip + len(into)]


def _opened(number: int, stored: np.ndarray) -> np.ndarray:
    """The bytes of a chunk in front of their checksum, which is compared."""
    plain, seal = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:].tobytes()
    if seal != google_crc32c.value(plain).to_bytes(_CHECKSUM_BYTES, "little"):
        raise ValueError(f"chunk {number}: its checksum is not that of its bytes")
    return plain


def _unpack(number: int, stored: np.ndarray, into: np.ndarray, skip: int, size: int) -> None:
    packed = _opened(number, stored)
    if int.from_bytes(packed[4:8].tobytes(), "little") != size:  # as Blosc's header says
        raise ValueError(f"chunk {number} does not unpack to {size} bytes")
    if len(into) == size:
        blosc.decompress(packed, into)
    else:
        into[:] = np.frombuffer(blosc.decompress(packed), np.uint8)[skip : skip + len(into)]
