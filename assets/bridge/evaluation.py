"""Evaluations: the table of metrics and the renders it was computed from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from assets.bridge.trees import group
from ops.capture.model import Views
from ops.evaluation.contact_sheet import SheetRow
from ops.evaluation.evaluate import EvaluatedView, Evaluation

_PLANES = {"colors": 3, "truth": 3, "errors": 0, "depth": 0, "alpha": 0}
_DTYPES = {"colors": np.uint8, "truth": np.uint8, "errors": np.float16, "depth": np.float32}


class RenderFile:
    """Pictures of held-out views, kept in files of a scratch folder until they are stored."""

    def __init__(self, views: Views, held_out: list[int], scratch: Path) -> None:
        cameras = views.cameras[held_out]
        self._position = {index: i for i, index in enumerate(held_out)}
        shape = (len(held_out), max(cameras.heights), max(cameras.widths))
        self._planes = {
            name: np.lib.format.open_memmap(
                scratch / f"{name}.npy",
                "w+",
                _DTYPES.get(name, np.float16),
                (*shape, channels) if channels else shape,
            )
            for name, channels in _PLANES.items()
        }
        self._columns = {
            "names": np.array(cameras.names, np.str_),
            "widths": np.array(cameras.widths, np.int64),
            "heights": np.array(cameras.heights, np.int64),
        }

    def keep(self, view: EvaluatedView) -> None:
        """Take one view's pictures; what is beyond its size stays zero."""
        row, (height, width) = self._position[view.index], view.error.shape
        found = {"colors": view.render, "truth": view.truth, "errors": view.error}
        found |= {"depth": view.depth, "alpha": view.alpha}
        for name, picture in found.items():
            self._planes[name][row, :height, :width] = picture.numpy()

    def dataset(self) -> xr.Dataset:
        """All of them in the form of schema RENDERS, read when they are written."""
        columns: dict[str, Any] = {k: (("view",), v) for k, v in self._columns.items()}
        for name, plane in self._planes.items():
            dims = ("view", "y", "x", "rgb")[: plane.ndim]
            columns[name] = (dims, da.from_array(plane, chunks=(1, *plane.shape[1:])))
        return xr.Dataset(columns)


def evaluation_tree(found: Evaluation, renders: RenderFile) -> xr.DataTree:
    """An evaluation in the form of schema EVALUATION; the means are rows of view ``mean``."""
    rows = [(r.view, r.metric, r.net, r.input_range, r.value, r.units, "") for r in found.rows]
    kinds = {r.key: r for r in found.rows}
    for key, value in found.means.items():
        r = kinds[key]
        rows.append(("mean", r.metric, r.net, r.input_range, value, r.units, ""))
    names = ("view", "metric", "net", "input_range", "value", "units", "note")
    columns = {
        name: (("row",), np.array(column, np.float64 if name == "value" else np.str_))
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    details = {**found.protocol.details(), "background": list(found.background)}
    attrs = {
        "protocol": found.protocol.id,
        "protocol_details": {**details, "weights": dict(found.weights)},
        "unavailable": dict(found.unavailable),
        "notes": list(found.notes),
    }
    return xr.DataTree.from_dict(
        {"/metrics": xr.Dataset(columns, attrs=attrs), "/renders": renders.dataset()}
    )


def metric_rows(tree: xr.DataTree, view: str | None = None) -> list[dict[str, Any]]:
    """The table of metrics as rows; of one view, or of ``mean``, where that is given."""
    table = group(tree, "metrics")
    columns = [table[n].values for n in ("view", "metric", "net", "input_range", "value", "units")]
    return [
        {
            "view": str(v),
            "metric": metric_name(str(metric), str(net), str(rng)),
            "value": float(value),
            "units": str(units),
        }
        for v, metric, net, rng, value, units in zip(*columns, strict=True)
        if view is None or v == view
    ]


def view_table(tree: xr.DataTree) -> list[dict[str, float | str]]:
    """The table of metrics with a row for each view and a column for each metric."""
    rows: dict[str, dict[str, float | str]] = {}
    for row in metric_rows(tree):
        if row["view"] != "mean":
            rows.setdefault(row["view"], {"view": row["view"]})[row["metric"]] = row["value"]
    return list(rows.values())


def metric_name(metric: str, net: str, input_range: str) -> str:
    """``psnr``, ``ssim``, ``lpips_alex[-1,1]``: net and range are part of the name."""
    return f"{metric}_{net}{input_range}" if net else metric


def mean_scores(tree: xr.DataTree) -> Mapping[str, float]:
    """The means over the held-out views, by full name of the metric."""
    return {row["metric"]: row["value"] for row in metric_rows(tree, "mean")}


def sheet_rows(tree: xr.DataTree, most: int) -> list[SheetRow]:
    """Some of the held-out views, evenly spread, as rows of a contact sheet."""
    renders = group(tree, "renders")
    count = renders.sizes["view"]
    scores: dict[str, dict[str, float]] = {}
    for row in metric_rows(tree):
        scores.setdefault(row["view"], {})[row["metric"]] = row["value"]
    rows = []
    for i in sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()}):
        name = str(renders["names"][i].values)
        height, width = int(renders["heights"][i]), int(renders["widths"][i])
        planes = {n: renders[n][i, :height, :width].values for n in _PLANES}
        seen = planes["alpha"] > 0.05
        mine = scores.get(name, {})
        caption = f"{mine['psnr']:.2f} dB" if "psnr" in mine else ""
        if "ssim" in mine:
            caption += f"   SSIM {mine['ssim']:.3f}"
        rows.append(
            SheetRow(
                name=name,
                caption=caption,
                truth=planes["truth"],
                render=planes["colors"],
                error=planes["errors"].astype(np.float32),
                depth=np.where(seen, planes["depth"], np.nan).astype(np.float32),
            )
        )
    return rows
