"""Cameras and views of a capture."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
import dask.array as da
import numpy as np
import torch
import xarray as xr
from torch import Tensor

from assets.bridge.trees import group
from ops.cameras import Cameras
from ops.capture.model import Split, Views
from ops.progress import Progress, silent


def cameras_dataset(cameras: Cameras, splits: Sequence[str]) -> xr.Dataset:
    """Cameras and the split of each, in the form of schema CAMERAS."""
    columns: dict[str, Any] = {
        "viewmats": (("view", "camera_xyzw", "world_xyzw"), cameras.viewmats.numpy()),
        "Ks": (("view", "image_xyw", "camera_xyz"), cameras.Ks.numpy()),
        "widths": ("view", np.array(cameras.widths, np.int64)),
        "heights": ("view", np.array(cameras.heights, np.int64)),
        "names": ("view", np.array(cameras.names, np.str_)),
        "splits": ("view", np.array(splits, np.str_)),
    }
    if cameras.times is not None:
        columns["times"] = ("view", np.array(cameras.times, np.float64))
    return xr.Dataset(columns)


def cameras_from(tree: xr.DataTree) -> Cameras:
    """The cameras of a capture."""
    stored = group(tree, "cameras")
    times = tuple(map(float, stored["times"].values)) if "times" in stored else None
    return Cameras(
        viewmats=torch.from_numpy(stored["viewmats"].values),
        Ks=torch.from_numpy(stored["Ks"].values),
        widths=tuple(map(int, stored["widths"].values)),
        heights=tuple(map(int, stored["heights"].values)),
        names=tuple(map(str, stored["names"].values)),
        times=times,
    )


def views_tree(
    views: Views,
    attrs: Mapping[str, Any],
    image_attrs: Mapping[str, Any] | None = None,
    extra: Mapping[str, Callable[[int], np.ndarray]] | None = None,
    progress: Progress = silent,
) -> xr.DataTree:
    """Views in the form of schema CAPTURE; a picture is asked for when it is written.

    Args:
        views: What to keep.
        attrs: Attributes of the capture.
        image_attrs: Attributes of the images.
        extra: Exact pictures of a generated scene by name, as functions of the view's position
            ([H, W] or [H, W, 3]).
        progress: Told once per view while views are written.
    """
    planes: dict[str, Callable[[int], np.ndarray]] = {"images": _plane(views.image)}
    for name, of in (("alpha", views.alpha), ("mask", views.mask)):
        if of(0) is not None:
            planes[name] = _plane(of)
    planes |= extra or {}
    images = _stacks(planes, views, progress)
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs=dict(attrs)),
            "/cameras": cameras_dataset(views.cameras, views.splits),
            "/images": xr.Dataset(images, attrs=dict(image_attrs or {})),
        }
    )


class StoredViews:
    """The views of a stored capture, as :class:`ops.capture.model.Views` describes them.

    A picture is read when it is asked for.
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self.cameras = cameras_from(tree)
        self.splits: tuple[Split, ...] = tuple(group(tree, "cameras")["splits"].values.tolist())
        self._images = group(tree, "images")

    def __len__(self) -> int:
        return len(self.cameras)

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB."""
        return self._picture("images", index)

    def alpha(self, index: int) -> Tensor | None:
        """[H, W] uint8 coverage by the object, or None."""
        return self._picture("alpha", index) if "alpha" in self._images else None

    def mask(self, index: int) -> Tensor | None:
        """[H, W] uint8, 255 where a pixel may be used, or None."""
        return self._picture("mask", index) if "mask" in self._images else None

    def _picture(self, name: str, index: int) -> Tensor:
        height, width = self.cameras.heights[index], self.cameras.widths[index]
        return torch.from_numpy(self._images[name][index, :height, :width].values)


def _plane(of: Callable[[int], Tensor | None]) -> Callable[[int], np.ndarray]:
    def picture(index: int) -> np.ndarray:
        found = of(index)
        assert found is not None  # a capture has alpha for all views or for none
        return found.numpy()

    return picture


def _stacks(
    planes: Mapping[str, Callable[[int], np.ndarray]], views: Views, progress: Progress
) -> dict[str, tuple[tuple[str, ...], da.Array]]:
    """Pictures as lazy arrays [view, y, x, ...], a chunk per view, padded with zeros.

    All pictures of a view are made together, one view at a time: views keep what they decoded
    last, and need not be safe to use from several threads.
    """
    count = len(views)
    height, width = max(views.cameras.heights), max(views.cameras.widths)
    one_at_a_time = threading.Lock()
    done = itertools.count(1)

    def pictures(index: int) -> dict[str, np.ndarray]:
        with one_at_a_time:
            found = {}
            for name, picture in planes.items():
                plane = picture(index)
                padded = np.zeros((1, height, width, *plane.shape[2:]), plane.dtype)
                padded[0, : plane.shape[0], : plane.shape[1]] = plane
                found[name] = padded
            progress(next(done), count, "keeping views")
            return found

    each = [dask.delayed(pictures, pure=False)(index) for index in range(count)]
    stacks = {}
    for name, picture in planes.items():
        first = picture(0)
        shape = (1, height, width, *first.shape[2:])
        parts = [da.from_delayed(view[name], shape, first.dtype) for view in each]
        dims = ("view", "y", "x", *_LAST.get(name, ())) if first.ndim == 3 else ("view", "y", "x")
        stacks[name] = (dims, da.concatenate(parts))
    return stacks


_LAST = {"images": ("rgb",), "normal": ("xyz",)}
