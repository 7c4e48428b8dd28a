"""The content hash of an artifact: equal data, equal hash, however it is stored.

It covers, for every variable, its path, dims, dtype, shape and the bytes of its values in C order
(little endian; strings as UTF-8 with their lengths; NaN as the bits they are), and the attributes
that are content. It does not depend on chunks, codecs, provenance, or the words that a schema adds.

The hash is XXH3 with 128 bits: content identity guards against accidents, not against somebody who
forges an artifact, and at more than 10 GB/s it costs a twentieth of BLAKE2b (0.01 s for 200 MB).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import xxhash

from storage.errors import SchemaError
from storage.schema import Schema, content_attrs, dtype_name

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from storage.schema import Data


class VariableHash:
    """The running hash of one variable; rows are fed in order."""

    def __init__(self, variable: xr.Variable) -> None:
        header = [list(map(str, variable.dims)), dtype_name(variable.dtype), list(variable.shape)]
        self._hash = xxhash.xxh3_128(json.dumps(header).encode())

    def update(self, block: np.ndarray) -> None:
        """Feed the next rows."""
        import numpy as np

        if dtype_name(block.dtype) == "str":
            self._hash.update(b"".join(_string_bytes(block)))
        elif block.size:
            block = block.astype(block.dtype.newbyteorder("<"), copy=False)
            self._hash.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        """The hash of what was fed so far."""
        return str(self._hash.hexdigest())


def _string_bytes(block: np.ndarray) -> Iterable[bytes]:
    for value in block.reshape(-1).tolist():
        try:
            text = value.encode()
        except (AttributeError, UnicodeEncodeError) as error:
            raise SchemaError(
                variable="text", expected="strings that can be written as UTF-8", found=f"{value!r}"
            ) from error
        yield len(text).to_bytes(8, "little")
        yield text


def combine(
    digests: Mapping[str, str], attrs: Mapping[str, Mapping[str, Any]], schema: Schema
) -> str:
    """The content hash of an artifact.

    Args:
        digests: Hex digest of each variable by its path, such as ``cameras/viewmats``.
        attrs: Content attributes of each group by its path.
        schema: Its name and version count: the same numbers under another schema mean another
            thing.
    """
    parts = [schema.name, schema.version, sorted(digests.items())]
    parts.append(sorted((path, value) for path, value in attrs.items() if value))
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return str(xxhash.xxh3_128(canonical.encode()).hexdigest())


def content_hash(data: Data, schema: Schema) -> str:
    """The content hash of data in memory or lazy, in constant memory; nothing is written."""
    from storage.blocks import groups_of

    attrs = {path: content_attrs(dataset.attrs) for path, dataset in groups_of(data)}
    return combine(variable_hashes(data), attrs, schema)


def variable_hashes(data: Data) -> dict[str, str]:
    """The hash of every variable by its path, such as ``cameras/viewmats``."""
    from storage.blocks import blocks_of, groups_of

    digests: dict[str, str] = {}
    for path, dataset in groups_of(data):
        hashes = {str(name): VariableHash(v) for name, v in dataset.variables.items()}
        for name, _, block in blocks_of(dataset):
            hashes[name].update(block)
        digests |= {f"{path}{name}": value.hexdigest() for name, value in hashes.items()}
    return digests
