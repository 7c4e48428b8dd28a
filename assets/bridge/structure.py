"""Cameras found for photos that came without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from assets.bridge.points import points_tree
from assets.bridge.trees import group
from ops.capture.model import Dataset, Intrinsics
from ops.errors import InputError


def structure_tree(dataset: Dataset) -> xr.DataTree:
    """The cameras and points that structure from motion found, in the form of schema STRUCTURE."""
    lenses = [_known(f.intrinsics, f.name) for f in dataset.frames]
    most = max((len(lens.distortion) for lens in lenses), default=0)
    distortions = np.zeros((len(lenses), most))
    for row, lens in zip(distortions, lenses, strict=True):
        row[: len(lens.distortion)] = lens.distortion
    poses = np.stack([np.asarray(f.camtoworld, np.float64) for f in dataset.frames])
    cameras = xr.Dataset(
        {
            "camtoworlds": (("view", "world_xyzw", "camera_xyzw"), poses),
            "names": ("view", np.array([f.name for f in dataset.frames], np.str_)),
            "models": ("view", np.array([i.model for i in lenses], np.str_)),
            "widths": ("view", np.array([i.width for i in lenses], np.int64)),
            "heights": ("view", np.array([i.height for i in lenses], np.int64)),
            "focals": (("view", "focal"), np.array([[i.fx, i.fy] for i in lenses])),
            "centers": (("view", "center"), np.array([[i.cx, i.cy] for i in lenses])),
            "distortions": (("view", "coefficient"), distortions),
        }
    )
    root = xr.Dataset(attrs={"notes": list(dataset.notes)})
    nodes: dict[str, xr.Dataset] = {"/": root, "/cameras": cameras}
    if dataset.points is not None:
        nodes["/points"] = group(points_tree(dataset.points))
    return xr.DataTree.from_dict(nodes)


def with_found_cameras(dataset: Dataset, tree: xr.DataTree) -> Dataset:
    """A dataset of photos with the cameras of a stored structure; photos without are left out.

    Raises:
        InputError: A photo that has a camera is gone.
    """
    stored = group(tree, "cameras")
    frames = {frame.name: frame for frame in dataset.frames}
    found = []
    for i, name in enumerate(map(str, stored["names"].values)):
        if name not in frames:
            raise InputError(f"{dataset.root}: expected the photo {name}, found it gone")
        model = str(stored["models"].values[i])
        distortion = () if model == "pinhole" else tuple(map(float, stored["distortions"][i]))
        intrinsics = Intrinsics(
            model=model,  # type: ignore[arg-type]
            width=int(stored["widths"].values[i]),
            height=int(stored["heights"].values[i]),
            fx=float(stored["focals"].values[i, 0]),
            fy=float(stored["focals"].values[i, 1]),
            cx=float(stored["centers"].values[i, 0]),
            cy=float(stored["centers"].values[i, 1]),
            distortion=distortion,
        )
        pose = stored["camtoworlds"].values[i]
        found.append(replace(frames[name], intrinsics=intrinsics, camtoworld=pose))
    return replace(dataset, frames=tuple(found), notes=tuple(tree.attrs["notes"]))


def _known(intrinsics: Intrinsics | None, name: str) -> Intrinsics:
    if intrinsics is None:
        raise InputError(f"{name}: the photo has no camera")
    return intrinsics
