"""Chunks written and read past Zarr's own way: the same bytes, and damage is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec
from zarr.storage import LocalStore, MemoryStore

from storage import chunks

BLOSC = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle")
ZSTD = BloscCodec(cname="zstd", clevel=3, shuffle="noshuffle", typesize=4)
DTYPES = ("bool", "uint8", "int16", "float16", "float32", "int64", "float64")


def array(
    store: Any, shape: tuple[int, ...], rows: int, dtype: str, codec: BloscCodec | None
) -> zarr.Array:
    return zarr.create_array(
        store,
        shape=shape,
        chunks=(rows, *shape[1:]),
        dtype=dtype,
        filters=(),
        compressors=(*([codec] if codec else []), Crc32cCodec()),
        config={"write_empty_chunks": True},
        overwrite=True,
    )


def some(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 99, shape).astype(dtype)


@given(
    count=st.integers(1, 23),
    rows=st.integers(1, 9),
    rest=st.sampled_from([(), (3,), (2, 1, 3)]),
    dtype=st.sampled_from(DTYPES),
    codec=st.sampled_from([None, BLOSC, ZSTD]),
    cut=st.tuples(st.integers(0, 23), st.integers(0, 23)),
)
def test_the_same_as_zarr(
    count: int,
    rows: int,
    rest: tuple[int, ...],
    dtype: str,
    codec: BloscCodec | None,
    cut: tuple[int, int],
) -> None:
    rows = min(rows, count)
    shape, values = (count, *rest), some((count, *rest), dtype)
    start, stop = sorted(min(c, count) for c in cut)
    theirs = array(MemoryStore(), shape, rows, dtype, codec)
    theirs[...] = values
    assert chunks.is_plain(theirs)
    np.testing.assert_array_equal(chunks.read_rows(theirs, start, stop), values[start:stop])
    ours = array(MemoryStore(), shape, rows, dtype, codec)
    border = start // rows * rows
    chunks.write_rows(ours, 0, values[:border]) if border else None
    chunks.write_rows(ours, border, values[border:])
    np.testing.assert_array_equal(ours[...], values)
    found = chunks.read_rows(ours, start, stop)
    assert found.dtype == theirs[...].dtype
    np.testing.assert_array_equal(found, values[start:stop])


@pytest.mark.parametrize("codec", [None, BLOSC, ZSTD])
def test_the_bytes_are_those_of_zarr(tmp_path: Path, codec: BloscCodec | None) -> None:
    values = some((10, 3), "float32")
    theirs = array(LocalStore(tmp_path / "theirs"), (10, 3), 4, "float32", codec)
    theirs[...] = values
    ours = array(LocalStore(tmp_path / "ours"), (10, 3), 4, "float32", codec)
    chunks.write_rows(ours, 0, values)
    names = {str(f.relative_to(tmp_path / "ours")) for f in (tmp_path / "ours").rglob("c/*/*")}
    assert names == {f"c/{i}/0" for i in range(3)}
    for name in names:
        mine, other = (tmp_path / who / name for who in ("ours", "theirs"))
        assert mine.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("codec", [None, BLOSC])
@pytest.mark.parametrize("damage", ["gone", "short", "empty", "flipped", "another's"])
def test_damage_is_found(tmp_path: Path, codec: BloscCodec | None, damage: str) -> None:
    stored = array(LocalStore(tmp_path / "a"), (10, 3), 4, "float32", codec)
    chunks.write_rows(stored, 0, some((10, 3), "float32"))
    file = tmp_path / "a" / "c" / "1" / "0"
    raw = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "flipped":
        raw[5] ^= 1
        file.write_bytes(raw)
    elif damage == "another's":  # whole in itself, but not of this form
        other = array(LocalStore(tmp_path / "b"), (10, 2), 4, "float32", codec)
        chunks.write_rows(other, 0, some((10, 2), "float32"))
        file.write_bytes((tmp_path / "b" / "c" / "1" / "0").read_bytes())
    else:
        file.write_bytes(raw[:-1] if damage == "short" else b"")
    with pytest.raises(ValueError, match="chunk 1"):
        chunks.read_rows(stored, 3, 5)
    np.testing.assert_array_equal(chunks.read_rows(stored, 8, 10), some((10, 3), "float32")[8:])


def test_what_is_left_to_zarr() -> None:
    def made(**changes: Any) -> zarr.Array:
        how: dict[str, Any] = {
            "shape": (10, 4),
            "chunks": (5, 4),
            "dtype": "float32",
            "filters": (),
            "compressors": (Crc32cCodec(),),
        }
        return zarr.create_array(MemoryStore(), **(how | changes))

    assert chunks.is_plain(made())
    assert not chunks.is_plain(made(chunks=(5, 2)))
    assert not chunks.is_plain(made(compressors=(GzipCodec(), Crc32cCodec())))
    assert not chunks.is_plain(made(compressors=()))
    assert not chunks.is_plain(made(compressors=(Crc32cCodec(), BLOSC)))
    assert not chunks.is_plain(made(dtype=">f4"))
    assert not chunks.is_plain(made(serializer=BytesCodec(endian="big")))
    assert not chunks.is_plain(made(dtype=str))
    assert not chunks.is_plain(made(shape=(), chunks=()))
    assert not chunks.is_plain(made(shape=(10, 4), chunks=(10, 4), shards=(10, 4)))
