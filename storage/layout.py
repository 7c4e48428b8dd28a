"""How a tree of arrays lies in a Zarr store: plain Zarr 3 that xarray opens without our code.

Every chunk carries a CRC32C, so that damage is an error and never a wrong picture. Chunks are
compressed where a sample says that it pays: trained splats are close to noise, labels and alpha
are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from numcodecs import blosc  # type: ignore[import-untyped]
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec, Crc32cCodec

from storage import chunks
from storage.blocks import blocks_of, chunk_rows, groups_of
from storage.content import VariableHash, combine
from storage.errors import SchemaError
from storage.schema import Schema, check_values, content_attrs, dtype_name

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from storage.schema import Data

Guard = Callable[[str], AbstractContextManager[None]]
"""Wraps the reading of what the argument names, and turns its errors into those of our tree."""

DIGEST = "xxh3_128"
"""Attribute of every array: the hash of its values, from which the content hash is made."""
_KINDS = "biufOUT"
_SAMPLE_BYTES, _STRIPS = 256 * 2**10, 4  # a sample, from as many places of the first block
_WORTH_IT = 0.8  # compressed size, as a part of the plain size, below which compression pays


def write_tree(
    store: Store,
    data: Data,
    schema: Schema,
    artifact: str,
    hashes: Mapping[str, str] | None = None,
    **root: Any,
) -> str:
    """Write ``data`` into an empty Zarr store, block by block.

    Args:
        store: Where to.
        data: What was checked against ``schema`` by :func:`storage.schema.check`.
        schema: Gives the values allowed and the words beside the arrays.
        artifact: Named in errors.
        hashes: Those of the variables by path, where they are known already.
        **root: More attributes of the root group.

    Returns:
        The content hash.

    Raises:
        SchemaError: A value is not allowed.
    """
    digests: dict[str, str] = {}
    attrs: dict[str, dict[str, Any]] = {}
    for path, dataset in groups_of(data):
        here, where = schema_at(schema, path), f"{artifact}:{path}" if path else artifact
        attrs[path] = content_attrs(dataset.attrs, artifact)
        marks: dict[str, Any] = {"schema": here.name, "schema_version": here.version}
        described = attrs[path] | _coordinates(dataset) | {"splatworks": marks}
        group = zarr.create_group(store, path=path, attributes=described)
        ready = {str(n): hashes[f"{path}{n}"] for n in dataset.variables} if hashes else {}
        found = _write_group(group, dataset, here, where, ready)
        digests |= {f"{path}{name}": digest for name, digest in found.items()}
    digest = combine(digests, attrs, schema)
    marks = {"schema": schema.name, "schema_version": schema.version, "content_hash": digest}
    zarr.open_group(store).update_attributes({"splatworks": marks} | root)
    return digest


def schema_at(schema: Schema, path: str) -> Schema:
    """The schema of the group at ``path`` below the root of ``schema``."""
    for name in filter(None, path.split("/")):
        schema = schema.children[name]
    return schema


def _coordinates(dataset: xr.Dataset) -> dict[str, str]:
    names = [str(name) for name in dataset.coords if name not in dataset.dims]
    return {"coordinates": " ".join(names)} if names else {}


def _write_group(
    group: zarr.Group,
    dataset: xr.Dataset,
    schema: Schema,
    artifact: str,
    hashes: Mapping[str, str],
) -> dict[str, str]:
    """Write the variables of one group; their hashes, computed on the way where not given."""
    arrays: dict[str, zarr.Array] = {}
    running = {str(n): VariableHash(v) for n, v in dataset.variables.items() if n not in hashes}

    def array_for(name: str, block: np.ndarray) -> zarr.Array:
        if name not in arrays:
            words = dict[str, Any](schema[name].describe())
            words |= {DIGEST: hashes[name]} if name in hashes else {}
            arrays[name] = _create(group, name, dataset.variables[name], words, block, artifact)
        return arrays[name]

    for name, start, block in blocks_of(dataset):
        array = array_for(name, block)
        check_values(block, schema[name], artifact, start)
        if name in running:
            running[name].update(block)
        if chunks.is_plain(array):
            chunks.write_rows(array, start, block)
        elif block.size:
            array[... if block.ndim == 0 else slice(start, start + len(block))] = block
    for key, variable in dataset.variables.items():  # also those of no rows, hence of no blocks
        array = array_for(str(key), np.empty(0, variable.dtype))
        if str(key) in running:
            array.update_attributes({DIGEST: running[str(key)].hexdigest()})
    return {str(n): hashes.get(str(n)) or running[str(n)].hexdigest() for n in dataset.variables}


def _create(
    group: zarr.Group,
    name: str,
    variable: xr.Variable,
    attributes: dict[str, Any],
    block: np.ndarray,
    artifact: str,
) -> zarr.Array:
    if variable.dtype.kind not in _KINDS:
        raise SchemaError(
            artifact=artifact,
            variable=name,
            expected="booleans, integers, floating point numbers or strings",
            found=str(variable.dtype),
        )
    text = dtype_name(variable.dtype) == "str"
    shape = variable.shape
    if variable.ndim:
        shape = (chunk_rows(variable), *(max(1, size) for size in variable.shape[1:]))
    return group.create_array(
        name,
        shape=variable.shape,
        chunks=shape,
        dtype=str if text else variable.dtype.newbyteorder("<"),
        dimension_names=tuple(map(str, variable.dims)),
        filters=None if text else (),
        compressors=(*_compressors(block), Crc32cCodec()),
        attributes=attributes,
        # Also what is all zeros is written: a chunk that is not there is then always damage.
        config={"write_empty_chunks": True},
    )


def _compressors(block: np.ndarray) -> tuple[Any, ...]:
    """The codec that a sample of the data asks for; none where it would hardly shrink."""
    if dtype_name(block.dtype) == "str":
        return (BloscCodec(cname="zstd", clevel=1, shuffle="noshuffle"),)
    flat = np.ascontiguousarray(block).reshape(-1)
    length = _SAMPLE_BYTES // _STRIPS // block.dtype.itemsize
    starts = np.linspace(0, max(0, flat.size - length), _STRIPS).astype(np.int64)
    sample = np.concatenate([flat[start : start + length] for start in starts])
    if sample.nbytes < 1024:
        return ()
    packed = blosc.compress(sample, b"lz4", 1, blosc.BITSHUFFLE)
    if len(packed) > _WORTH_IT * sample.nbytes:
        return ()
    return (BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),)


def read_tree(store: Store, guard: Guard) -> xr.DataTree:
    """The tree in a Zarr store. Values are read when they are used, chunk by chunk.

    The attributes ``splatworks`` and ``provenance`` of the root say what the tree is.
    """
    with guard(""):
        top = zarr.open_group(store, mode="r")
        datasets: dict[str, xr.Dataset] = {}
        nodes = sorted([("", top), *top.members(None)], key=lambda node: node[0])
        for path, group in nodes:
            if not isinstance(group, zarr.Group):
                continue
            prefix = f"{path}/" if path else ""
            arrays = {
                where.removeprefix(prefix): node
                for where, node in nodes
                if isinstance(node, zarr.Array) and where.rpartition("/")[0] == path
            }
            variables = {n: _lazy(a, f"{prefix}{n}", guard) for n, a in arrays.items()}
            attrs = dict(group.attrs)
            coords = str(attrs.pop("coordinates", "")).split()
            datasets[f"/{path}"] = xr.Dataset(variables, attrs=attrs).set_coords(coords)
        return xr.DataTree.from_dict(datasets)


def damaged_variables(tree: xr.DataTree) -> list[str]:
    """The variables of an opened tree whose values are not those that were written."""
    found = []
    for path, dataset in groups_of(tree):
        hashes = {str(name): VariableHash(v) for name, v in dataset.variables.items()}
        for name, _, block in blocks_of(dataset):
            hashes[name].update(block)
        found += [
            f"{path}{name}"
            for name, value in hashes.items()
            if value.hexdigest() != dataset.variables[name].attrs.get(DIGEST)
        ]
    return found


def _lazy(array: zarr.Array, what: str, guard: Guard) -> xr.Variable:
    dims = array.metadata.dimension_names or ()  # type: ignore[union-attr]
    attrs = dict(array.attrs)
    return xr.Variable(dims, indexing.LazilyIndexedArray(_StoredArray(array, what, guard)), attrs)


class _StoredArray(BackendArray):
    """A Zarr array for xarray, whose reading errors name the variable."""

    def __init__(self, array: zarr.Array, what: str, guard: Guard) -> None:
        self.array, self.what, self.guard = array, what, guard
        self.shape = array.shape
        text = dtype_name(np.dtype(array.dtype)) == "str"
        self.dtype = np.dtype(object) if text else array.dtype
        self.plain = chunks.is_plain(array)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        with self.guard(f"{self.what} [{_words(key)}]"):
            if self.plain and (rows := _run_of_rows(key, self.shape)) is not None:
                return chunks.read_rows(self.array, *rows)
            simple = all(isinstance(k, (int, np.integer, slice)) for k in key)
            values = self.array[key] if simple else self.array.oindex[key]
        return np.asarray(values).astype(self.dtype, copy=False)


def _run_of_rows(key: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[int, int] | None:
    """First row and row after the last of a key that takes whole rows, one after another."""
    if not all(isinstance(k, slice) for k in key):
        return None
    (start, stop, step), *others = (k.indices(n) for k, n in zip(key, shape, strict=False))
    whole = all(cut == (0, n, 1) for cut, n in zip(others, shape[1:], strict=False))
    return (start, max(start, stop)) if step == 1 and whole else None


def _words(key: tuple[Any, ...]) -> str:
    first = key[0] if key else ...
    if isinstance(first, slice):
        return f"rows {first.start or 0} to {'the end' if first.stop is None else first.stop}"
    return "all" if first is ... else f"rows {np.asarray(first).reshape(-1)[:8].tolist()}"
