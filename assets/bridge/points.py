"""Point clouds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from assets.bridge.trees import group
from ops.capture.model import Points


def points_tree(points: Points, notes: Sequence[str] = ()) -> xr.DataTree:
    """Points in the form of schema POINTS."""
    columns = {
        "xyz": (("point", "xyz"), np.ascontiguousarray(points.xyz, np.float32)),
        "rgb": (("point", "rgb"), np.ascontiguousarray(points.rgb, np.uint8)),
        "errors": (("point",), np.ascontiguousarray(points.errors, np.float32)),
    }
    attrs = {"source": points.source, "notes": list(notes)}
    return xr.DataTree(xr.Dataset(columns, attrs=attrs))


def points_from(tree: xr.DataTree) -> Points:
    """The inverse of :func:`points_tree`."""
    stored = group(tree)
    return Points(
        xyz=stored["xyz"].values,
        rgb=stored["rgb"].values,
        errors=stored["errors"].values,
        source=tree.attrs["source"],
    )
