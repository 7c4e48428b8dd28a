"""Versions of one artifact against each other, view by view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from notebooks.film import backdrop
from notebooks.widgets.compare import Comparison, comparison
from notebooks.widgets.series import Series, series_of, stored, view_names
from notebooks.widgets.subject import cameras_of
from ops.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from assets.bridge.views import StoredViews
    from storage.home import Home


def compare_versions(
    key: str,
    *versions: str | None,
    cameras: Any = None,
    what: str = "colors",
    home: Home | None = None,
) -> Comparison:
    """Versions of one artifact against each other and, where there are some, the photos.

    Splats are rendered when a view is looked at, from the cameras of the held-out views of the
    capture that the last version was trained on. Of evaluations the stored renders of the views
    that all versions have are shown, with the PSNR of each.

    Args:
        key: Such as ``demo/splats/trained`` or ``demo/evaluation/held_out``.
        versions: Tags such as ``v1`` or names given with ``tag``; None is the current version.
        cameras: Where to render splats from instead, as :func:`compare` takes them; then there are
            no photos.
        what: Of evaluations: ``colors``, ``depth``, ``alpha`` or ``errors``.
        home: Where to look; None for ``SPLATWORKS_HOME`` or its default.

    Raises:
        InputError: Less than two versions, or an artifact without splats or renders.
        ArtifactNotFoundError, VersionNotFoundError: As :func:`notebooks.artifacts.open_artifact`.
    """
    from notebooks.artifacts import open_artifact

    labels = [v or "current" for v in versions]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise InputError(
            f"compare_versions: expected two or more versions that differ, found {labels}; "
            f"notebooks.artifacts.versions({key!r}) lists them"
        )
    trees = {n: open_artifact(key, v, home) for n, v in zip(labels, versions, strict=True)}
    if all("renders" in tree.children for tree in trees.values()):
        return _evaluations(trees, what)
    if not all("splats" in tree.children for tree in trees.values()):
        raise InputError(
            f"compare_versions: {key} holds neither splats nor renders; open two versions with "
            "open_artifact and give pictures of them to compare"
        )
    seen = cameras_of(cameras)
    if seen is not None:
        series = [series_of(tree, name, seen) for name, tree in trees.items()]
        return comparison(series, seen.names)
    return _splats(key, trees, home)


def _splats(key: str, trees: Mapping[str, xr.DataTree], home: Home | None) -> Comparison:
    """Renders of splats from held-out cameras, and the photos."""
    from assets.bridge.views import StoredViews
    from notebooks.artifacts import open_artifact

    capture = f"{key.partition('/')[0]}/capture/views"
    used = list(trees.values())[-1].attrs["provenance"]["inputs"].get(capture, {})
    tree = open_artifact(capture, used.get("version"), home)
    views, behind = StoredViews(tree), backdrop(tree)
    held_out = [i for i, split in enumerate(views.splits) if split == "test"]
    held_out = held_out or list(range(len(views)))
    seen = views.cameras[held_out]
    series = [series_of(tree, name, seen, behind) for name, tree in trees.items()]
    series.append(Series("photo", _Photos(views, held_out)))
    return comparison(series, seen.names)


def _evaluations(trees: Mapping[str, xr.DataTree], what: str) -> Comparison:
    """Renders of the views that all evaluations have, by name, and the photos."""
    lists = [view_names(tree) for tree in trees.values()]
    views = [v for v in lists[0] if all(v in names for names in lists)]
    if not views:
        raise InputError("compare_versions: these evaluations have no view in common")
    series = [stored(tree, name, what, views) for name, tree in trees.items()]
    if what == "colors":
        series.append(stored(list(trees.values())[-1], "photo", "truth", views))
    return comparison(series, views)


@dataclass(frozen=True)
class _Photos:
    """Some photos of a capture."""

    views: StoredViews
    which: Sequence[int]

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.views.image(self.which[index]).numpy()
