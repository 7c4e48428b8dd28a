"""Groups of stored trees."""

from __future__ import annotations

import xarray as xr


def group(tree: xr.DataTree, name: str = "") -> xr.Dataset:
    """One group of a tree as a dataset, the root by default; values are still read lazily."""
    node = tree[name] if name else tree
    assert isinstance(node, xr.DataTree)
    return node.to_dataset(inherit=False)
