"""Pictures at a scale, the prior, adapted splats and the multi-scale table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from assets.bridge.splats import training_tree
from assets.bridge.trees import group
from assets.bridge.views import cameras_dataset, cameras_from
from ops.cameras import Cameras
from ops.capture.model import Split, Views
from ops.mipmap.adapt import AdaptResult
from ops.mipmap.evaluate import ScaleEvaluation, ScaleModel, ScaleScore
from ops.mipmap.prior.dispatch import PriorQuality
from ops.mipmap.pseudo import PseudoTruth
from ops.mipmap.scales import parse_scale, scale_name, scaled_cameras


def pictures_tree(
    colors: Sequence[Tensor],
    cameras: Cameras,
    splits: Sequence[str],
    indices: Sequence[int],
    scale: Fraction,
    label: str,
) -> xr.DataTree:
    """Pictures of some views of a capture, in the form of schema SCALED_PICTURES.

    Args:
        colors: [H, W, 3] each, all uint8 or all float32.
        cameras: Theirs, at their size.
        splits: What each is held out for or not, ``train`` or ``test``.
        indices: Their positions in the capture.
        scale: Rendering by base rendering.
        label: How they were made.
    """
    height, width = max(cameras.heights), max(cameras.widths)
    dtype = np.uint8 if all(c.dtype == torch.uint8 for c in colors) else np.float32
    padded = np.zeros((len(colors), height, width, 3), dtype)
    for i, image in enumerate(colors):
        padded[i, : image.shape[0], : image.shape[1]] = image.numpy()
    pictures = {
        "colors": (("view", "y", "x", "rgb"), padded),
        "view_index": (("view",), np.array(indices, np.int64)),
    }
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"scale": scale_name(scale), "label": label}),
            "/cameras": cameras_dataset(cameras, splits),
            "/pictures": xr.Dataset(pictures),
        }
    )


def pictures_from(tree: xr.DataTree) -> tuple[tuple[Tensor, ...], Cameras]:
    """The pictures of a tree of schema SCALED_PICTURES, [H, W, 3] each, and their cameras."""
    cameras = cameras_from(tree)
    padded = group(tree, "pictures")["colors"]
    images = []
    for i in range(len(cameras)):
        cut = padded[i, : cameras.heights[i], : cameras.widths[i]].values
        images.append(torch.from_numpy(np.ascontiguousarray(cut)))
    return tuple(images), cameras


class PictureViews:
    """Some views of a capture at another size, as :class:`ops.capture.model.Views` has them all.

    Views that there is no picture of have cameras only.
    """

    def __init__(self, tree: xr.DataTree, views: Views, scale: Fraction) -> None:
        """Take the pictures of a tree of schema SCALED_PICTURES.

        Args:
            tree: The pictures.
            views: The capture.
            scale: Size of the pictures by that of the capture.
        """
        colors, _ = pictures_from(tree)
        where = group(tree, "pictures")["view_index"].values.tolist()
        self._colors = dict(zip(where, colors, strict=True))
        self.cameras = scaled_cameras(views.cameras, scale)
        self.splits: tuple[Split, ...] = views.splits

    def __len__(self) -> int:
        return len(self.cameras)

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB."""
        return self._colors[index]

    def alpha(self, index: int) -> Tensor | None:
        """None: every pixel shows something."""
        return None

    def mask(self, index: int) -> Tensor | None:
        """None: all pixels may be used."""
        return None


def pseudo_from(tree: xr.DataTree) -> PseudoTruth:
    """The pseudo ground truth of a scale."""
    colors, cameras = pictures_from(tree)
    return PseudoTruth(
        scale=parse_scale(tree.attrs["scale"]),
        cameras=cameras,
        colors=colors,
        label=str(tree.attrs["label"]),
        seconds=0.0,
    )


def prior_tree(arrays: Mapping[str, np.ndarray], label: str, quality: PriorQuality) -> xr.DataTree:
    """A prior in the form of schema PRIOR; of a pretrained one only the label is kept."""
    flat = [np.asarray(a, np.float64).ravel() for a in arrays.values()]
    columns = {
        "values": ("value", np.concatenate(flat) if flat else np.zeros(0)),
        "names": ("array", np.array(list(arrays), np.str_)),
        "shapes": (
            "array",
            np.array(["x".join(map(str, a.shape)) for a in arrays.values()], np.str_),
        ),
        "dtypes": ("array", np.array([str(a.dtype) for a in arrays.values()], np.str_)),
    }
    attrs: dict[str, Any] = {"label": label, "photos": quality.photos}
    measured = {"psnr_bicubic": quality.bicubic, "psnr_prior": quality.prior}
    attrs |= {name: value for name, value in measured.items() if np.isfinite(value)}
    return xr.DataTree(xr.Dataset(columns, attrs=attrs))


def prior_arrays_from(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """The arrays of a stored prior, as they were."""
    stored = group(tree)
    values, at, arrays = stored["values"].values, 0, {}
    columns = (stored[name].values.tolist() for name in ("names", "shapes", "dtypes"))
    for name, text, dtype in zip(*columns, strict=True):
        shape = tuple(int(n) for n in text.split("x") if n)
        size = int(np.prod(shape))
        arrays[name] = values[at : at + size].astype(dtype).reshape(shape)
        at += size
    return arrays


def adapted_tree(result: AdaptResult, scale: Fraction, label: str) -> xr.DataTree:
    """Adapted splats in the form of schema ADAPTED."""
    tree = training_tree(result.splats, "classic", result.history)
    edges = result.opacity_edges
    columns = {
        "low": (("row",), edges[:-1]),
        "high": (("row",), edges[1:]),
        "before": (("row",), result.opacity_before),
        "after": (("row",), result.opacity_after),
    }
    tree["opacities"] = xr.DataTree(xr.Dataset(columns))
    tree.attrs = {
        "scale": scale_name(scale),
        "label": label,
        "iterations": result.iterations,
        "gaussians_before": result.count_before,
    }
    return tree


def multiscale_tree(found: Sequence[ScaleEvaluation], notes: Sequence[str]) -> xr.DataTree:
    """Scores of all scales in the form of schema MULTISCALE.

    How long things took is not in it: that differs from run to run, and stands in the provenance
    of the adapted splats.
    """
    scores = [asdict(s) for e in found for s in e.scores]
    models = [asdict(m) for e in found for m in e.models]
    for row in models:
        del row["seconds"]
    shown = [(scale_name(e.scale), k, e.view, v) for e in found for k, v in e.pictures.items()]
    height = max((v.shape[0] for *_, v in shown), default=1)
    width = max((v.shape[1] for *_, v in shown), default=1)
    padded = np.zeros((len(shown), height, width, 3), np.uint8)
    for i, (*_, image) in enumerate(shown):
        padded[i, : image.shape[0], : image.shape[1]] = image.numpy()
    pictures = {
        "scales": ("picture", np.array([s for s, *_ in shown], np.str_)),
        "methods": ("picture", np.array([m for _, m, *_ in shown], np.str_)),
        "views": ("picture", np.array([n for _, _, n, _ in shown], np.str_)),
        "widths": ("picture", np.array([v.shape[1] for *_, v in shown], np.int64)),
        "heights": ("picture", np.array([v.shape[0] for *_, v in shown], np.int64)),
        "colors": (("picture", "y", "x", "rgb"), padded),
    }
    lost = {k: v for e in found for k, v in e.unavailable.items()}
    labels = {scale_name(e.scale): e.pseudo_label for e in found}
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"labels": labels, "notes": list(notes)}),
            "/scores": _table(scores).assign_attrs(unavailable=lost),
            "/models": _table(models),
            "/pictures": xr.Dataset(pictures),
        }
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    names = list(rows[0]) if rows else []
    columns = {}
    for name in names:
        values = [row[name] for row in rows]
        kind: Any = np.str_ if isinstance(values[0], str) else None
        columns[name] = (("row",), np.array(values, kind))
    return xr.Dataset(columns)


def ablations_tree(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> xr.DataTree:
    """Rows of ablations in the form of schema ABLATIONS."""
    return xr.DataTree(_table(rows).assign_attrs(labels=dict(labels)))


def multiscale_from(tree: xr.DataTree) -> list[ScaleEvaluation]:
    """The evaluations of all scales, smallest first, without the times that they took."""
    scores = [ScaleScore(**row) for row in score_rows(tree)]
    models = [ScaleModel(**row, seconds=0.0) for row in model_rows(tree)]
    pictures = scale_pictures(tree)
    stored = group(tree, "pictures")
    views = dict(
        zip(stored["scales"].values.tolist(), stored["views"].values.tolist(), strict=True)
    )
    return [
        ScaleEvaluation(
            scale=parse_scale(name),
            scores=tuple(s for s in scores if s.scale == name),
            models=tuple(m for m in models if m.scale == name),
            pictures={m: torch.from_numpy(v) for (s, m), v in pictures.items() if s == name},
            view=views.get(name, ""),
            pseudo_label=label,
            unavailable=dict(tree["scores"].attrs["unavailable"]),
        )
        for name, label in tree.attrs["labels"].items()
    ]


def score_rows(tree: xr.DataTree) -> list[dict[str, Any]]:
    """The table of scores as rows."""
    return _rows(group(tree, "scores"))


def model_rows(tree: xr.DataTree) -> list[dict[str, Any]]:
    """The table of models as rows."""
    return _rows(group(tree, "models"))


def table_rows(tree: xr.DataTree) -> list[dict[str, Any]]:
    """The rows of a tree that is one table."""
    return _rows(group(tree))


def _rows(table: xr.Dataset) -> list[dict[str, Any]]:
    columns = {str(k): v.values.tolist() for k, v in table.data_vars.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def scale_pictures(tree: xr.DataTree) -> dict[tuple[str, str], np.ndarray]:
    """The stored pictures [H, W, 3] uint8 by (scale, method)."""
    stored = group(tree, "pictures")
    found = {}
    for i, (scale, method) in enumerate(
        zip(stored["scales"].values.tolist(), stored["methods"].values.tolist(), strict=True)
    ):
        height, width = int(stored["heights"][i]), int(stored["widths"][i])
        found[scale, method] = stored["colors"][i, :height, :width].values
    return found
