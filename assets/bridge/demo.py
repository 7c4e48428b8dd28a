"""Views of the built-in scene, with what is known of them exactly."""

from __future__ import annotations

import xarray as xr

from assets.bridge.trees import group
from assets.bridge.views import StoredViews, views_tree
from ops.capture.demo.views import DemoViews
from ops.progress import Progress, silent


def demo_views_tree(views: DemoViews, progress: Progress = silent) -> xr.DataTree:
    """Views with exact depth, normals and labels in the form of schema CAPTURE."""
    exact = {
        "depth": views.depths.__getitem__,
        "normal": views.normals.__getitem__,
        "label": views.labels.__getitem__,
    }
    return views_tree(
        views,
        attrs={"layout": "generated", "record": {"layout": "generated", "missing": []}},
        image_attrs={"labels": list(views.label_names)},
        extra=exact,
        progress=progress,
    )


def demo_views_from(tree: xr.DataTree) -> DemoViews:
    """The inverse of :func:`demo_views_tree`."""
    stored, images = StoredViews(tree), group(tree, "images")
    return DemoViews(
        cameras=stored.cameras,
        splits=stored.splits,
        colors=images["images"].values,
        depths=images["depth"].values,
        normals=images["normal"].values,
        labels=images["label"].values,
        label_names=tuple(images.attrs["labels"]),
    )
