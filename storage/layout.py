"""How a tree of arrays lies in a Zarr store: plain Zarr 3 that xarray opens without our code.

Every chunk carries a CRC32C, so that damage is an error and never a wrong picture. Chunks are
compressed where a sample says that it pays: trained splats are close to noise, labels and alpha
are not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from numcodecs import blosc  # type: ignore[import-untyped]
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec, Crc32cCodec

from storage.blocks import blocks_of, chunk_rows, groups_of
from storage.content import VariableHash, combine
from storage.errors import SchemaError
from storage.schema import Schema, Variable, check_values, content_attrs, dtype_name

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


def write_tree(store: Store, data: Data, schema: Schema, artifact: str, **root: Any) -> str:
    """Write ``data`` into an empty Zarr store, block by block.

    Args:
        store: Where to.
        data: What was checked against ``schema`` by :func:`storage.schema.check`.
        schema: Gives the values allowed and the words beside the arrays.
        artifact: Named in errors.
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
        group = zarr.create_group(store, path=path)
        arrays = _write_group(group, dataset, here, where)
        digests |= {f"{path}{name}": str(array.attrs[DIGEST]) for name, array in arrays.items()}
        attrs[path] = content_attrs(dataset.attrs, artifact)
        marks: dict[str, Any] = {"schema": here.name, "schema_version": here.version}
        group.update_attributes(attrs[path] | _coordinates(dataset) | {"splatworks": marks})
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
    group: zarr.Group, dataset: xr.Dataset, schema: Schema, artifact: str
) -> dict[str, zarr.Array]:
    arrays: dict[str, zarr.Array] = {}
    hashes = {str(name): VariableHash(v) for name, v in dataset.variables.items()}
    for name, start, block in blocks_of(dataset):
        variable, declared = dataset.variables[name], schema[name]
        if name not in arrays:
            arrays[name] = _create(group, name, variable, declared, block, artifact)
        check_values(block, declared, artifact, start)
        hashes[name].update(block)
        if block.size:
            arrays[name][... if block.ndim == 0 else slice(start, start + len(block))] = block
    for name in set(hashes) - set(arrays):  # no rows, hence no blocks
        variable = dataset.variables[name]
        empty = np.empty(variable.shape, variable.dtype)
        arrays[name] = _create(group, name, variable, schema[name], empty, artifact)
    for name, array in arrays.items():
        array.update_attributes({DIGEST: hashes[name].hexdigest()})
    return arrays


def _create(
    group: zarr.Group,
    name: str,
    variable: xr.Variable,
    declared: Variable,
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
    chunks = variable.shape
    if variable.ndim:
        chunks = (chunk_rows(variable), *(max(1, size) for size in variable.shape[1:]))
    return group.create_array(
        name,
        shape=variable.shape,
        chunks=chunks,
        dtype=str if text else variable.dtype.newbyteorder("<"),
        dimension_names=tuple(map(str, variable.dims)),
        filters=None if text else (),
        compressors=(*_compressors(block), Crc32cCodec()),
        attributes=dict[str, Any](declared.describe()),
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
        groups = [("", top), *((p, m) for p, m in top.members(None) if isinstance(m, zarr.Group))]
        datasets = {}
        for path, group in groups:
            arrays = dict(group.arrays())
            prefix = f"{path}/" if path else ""
            variables = {n: _lazy(a, f"{prefix}{n}", guard) for n, a in sorted(arrays.items())}
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

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        with self.guard(f"{self.what} [{_words(key)}]"):
            plain = all(isinstance(k, (int, np.integer, slice)) for k in key)
            values = self.array[key] if plain else self.array.oindex[key]
        return np.asarray(values).astype(self.dtype, copy=False)


def _words(key: tuple[Any, ...]) -> str:
    first = key[0] if key else ...
    if isinstance(first, slice):
        return f"rows {first.start or 0} to {'the end' if first.stop is None else first.stop}"
    return "all" if first is ... else f"rows {np.asarray(first).reshape(-1)[:8].tolist()}"
