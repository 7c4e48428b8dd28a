"""Splats and how they came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from assets.bridge.trees import group
from ops.splats.model import Splats

_DIMS = {
    "means": ("gaussian", "xyz"),
    "quats": ("gaussian", "wxyz"),
    "log_scales": ("gaussian", "axis"),
    "opacity_logits": ("gaussian",),
    "sh0": ("gaussian", "sh_constant", "rgb"),
    "shN": ("gaussian", "sh_higher", "rgb"),
    "features": ("gaussian", "feature"),
}


def training_tree(
    splats: Splats,
    mode: str,
    history: Mapping[str, np.ndarray] | None = None,
    world_transform: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> xr.DataTree:
    """Splats, and the curves of their training, in the form of schema TRAINING.

    Args:
        splats: The model, on the CPU.
        mode: The rendering mode they are made for, ``classic`` or ``antialiased``.
        history: Columns of the training history, if they were trained here.
        world_transform: [4, 4] similarity from the dataset's coordinates to those of the splats;
            None where they are the same.
        notes: What a user should know of the splats.
    """
    attrs: dict[str, Any] = {"render_mode": mode, "notes": list(notes)}
    if world_transform is not None:
        attrs["world_transform"] = world_transform.tolist()
    columns = {
        name: (_DIMS[name], value.to(torch.float32).contiguous().numpy())
        for name, value in splats.tensors().items()
    }
    nodes = {"/splats": xr.Dataset(columns, attrs=attrs)}
    if history is not None:
        nodes["/history"] = xr.Dataset({k: (("row",), v) for k, v in history.items()})
    return xr.DataTree.from_dict(nodes)


def splats_from(tree: xr.DataTree) -> Splats:
    """The splats of a tree of schema TRAINING, as they were stored."""
    stored = group(tree, "splats")
    found = {name: torch.from_numpy(stored[name].values) for name in _DIMS if name in stored}
    return Splats(**found)


def splats_in_dataset_frame(tree: xr.DataTree) -> Splats:
    """The same in the coordinates of the dataset they come from: the transform is undone."""
    from ops.splats.transform import invert_similarity, transform_splats

    splats = splats_from(tree)
    rows = tree["splats"].attrs.get("world_transform")
    if rows is None:
        return splats
    inverse = invert_similarity(torch.tensor(rows, dtype=torch.float64))
    return transform_splats(splats, inverse)


def render_mode(tree: xr.DataTree) -> str:
    """``classic`` or ``antialiased``: how the splats want to be rendered."""
    return str(tree["splats"].attrs.get("render_mode", "classic"))
