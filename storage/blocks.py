"""Walking through data in blocks of rows, in constant memory, however it is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from storage.schema import dtype_name

if TYPE_CHECKING:
    import xarray as xr

    from storage.schema import Data

CHUNK_BYTES = 4 * 2**20
"""Size of a chunk of plain rows: files few enough, and small enough to stay in the CPU's cache."""
PICTURE_BYTES = 64 * 2**10
"""A row of at least this size is read on its own (a view of a capture) ..."""
PICTURE_CHUNK_BYTES = 2 * 2**20
"""... so its chunks are smaller."""
BLOCK_BYTES = 16 * 2**20
"""How much is worked on at a time: several chunks, so that they are encoded in parallel."""
STRING_BYTES = 64
"""Size that a string is taken to have where sizes are only a matter of speed."""


def groups_of(data: Data) -> Iterator[tuple[str, xr.Dataset]]:
    """The groups of a dataset or tree with their paths: ``""`` for the root, then ``cameras/``."""
    import xarray as xr

    if isinstance(data, xr.Dataset):
        yield "", data
        return
    for node in data.subtree:
        path = node.relative_to(data)
        yield "" if path == "." else f"{path}/", node.to_dataset(inherit=False)


def row_bytes(variable: xr.Variable) -> int:
    """Bytes of one row along the first axis."""
    item = STRING_BYTES if dtype_name(variable.dtype) == "str" else variable.dtype.itemsize
    return int(np.prod(variable.shape[1:], dtype=np.int64)) * item


def chunk_rows(variable: xr.Variable) -> int:
    """Rows per chunk: chunks of about the target size, all of (nearly) the same size."""
    count, size = variable.shape[0], max(row_bytes(variable), 1)
    target = PICTURE_CHUNK_BYTES if size >= PICTURE_BYTES else CHUNK_BYTES
    if size >= target or count == 0:
        return 1
    chunks = max(1, round(count * size / target))
    return -(-count // chunks)


def nbytes(data: Data) -> int:
    """Size of all values, uncompressed; a string counts as 64 bytes."""
    return sum(
        row_bytes(v) * v.shape[0] if v.ndim else v.dtype.itemsize
        for _, dataset in groups_of(data)
        for v in dataset.variables.values()
    )


def in_memory(data: Data) -> bool:
    """Whether all values are plain arrays, so that looking at them twice costs little."""
    return all(v._in_memory for _, ds in groups_of(data) for v in ds.variables.values())


def blocks_of(dataset: xr.Dataset) -> Iterator[tuple[str, int, np.ndarray]]:
    """All values of a dataset as (name, first row, rows), the rows of each variable in order.

    Blocks begin at chunk borders (see :func:`chunk_rows`). Dask arrays that are cut at the same
    rows are computed together, so that what they share (a decoded photo) is computed once.
    """
    lazy: dict[tuple[int, ...], dict[str, xr.Variable]] = defaultdict(dict)
    for key, variable in dataset.variables.items():
        name = str(key)
        if variable.ndim == 0:
            yield name, 0, np.asarray(variable.values)
        elif variable.chunks is not None:
            lazy[variable.chunks[0]][name] = variable
        else:
            rows = chunk_rows(variable)
            step = rows * max(1, BLOCK_BYTES // max(rows * row_bytes(variable), 1))
            for start in range(0, variable.shape[0], step):
                yield name, start, np.asarray(variable[start : start + step].values)
    for cuts, together in lazy.items():
        yield from _dask_blocks(cuts, together)


def _dask_blocks(
    cuts: tuple[int, ...], variables: Mapping[str, xr.Variable]
) -> Iterator[tuple[str, int, np.ndarray]]:
    import dask

    waiting: dict[str, list[np.ndarray]] = {name: [] for name in variables}
    sent = dict.fromkeys(variables, 0)
    size = sum(map(row_bytes, variables.values()))
    start = 0
    for stop in _batches(cuts, size):
        parts = [variable[start:stop].data for variable in variables.values()]
        for name, part in zip(variables, dask.compute(*parts), strict=True):
            # Only whole chunks are passed on; what is left waits for the next batch.
            held = np.concatenate([*waiting[name], part]) if waiting[name] else np.asarray(part)
            whole = (
                len(held)
                if stop == sum(cuts)
                else len(held) - len(held) % chunk_rows(variables[name])
            )
            if whole:
                yield name, sent[name], held[:whole]
            sent[name] += whole
            waiting[name] = [held[whole:]] if whole < len(held) else []
        start = stop


def _batches(cuts: tuple[int, ...], size: int) -> Iterator[int]:
    """Row numbers to stop at: whole Dask chunks, at least a block at a time."""
    row = gathered = 0
    for i, cut in enumerate(cuts):
        row, gathered = row + cut, gathered + cut
        if gathered and (gathered * size >= BLOCK_BYTES or i == len(cuts) - 1):
            yield row
            gathered = 0
