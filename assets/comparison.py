"""What people want to see of the difference of two versions: metrics, and pictures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from storage.blocks import groups_of
from storage.difference import row_differences

if TYPE_CHECKING:
    import xarray as xr

    from ops.evaluation.difference_sheet import Compared, Section

COLOUR_VIEWS, NUMBER_VIEWS = 4, 2  # rows of a sheet, for each variable
_TABLE = {"view", "metric", "net", "value"}  # the columns of a table of metrics


@dataclass(frozen=True)
class MetricChange:
    """The mean of one metric over all views, in two versions."""

    metric: str
    old: float | None
    new: float | None
    units: str = ""

    @property
    def change(self) -> float | None:
        """New minus old; None where one of them is missing."""
        return None if self.old is None or self.new is None else self.new - self.old


@dataclass(frozen=True)
class Pictures:
    """The views that differ most, by variable, ready to be drawn."""

    sections: Sequence[Section]
    remarks: tuple[str, ...]
    """What could not be compared, and why."""


def metric_changes(old: xr.DataTree, new: xr.DataTree) -> list[MetricChange]:
    """Every metric of all tables of metrics in two trees; none where they hold none."""
    before, after = _means(old), _means(new)
    found = []
    for name in [*after, *(n for n in before if n not in after)]:
        (a, units), (b, other) = before.get(name, (None, "")), after.get(name, (None, ""))
        found.append(MetricChange(name, a, b, other or units))
    return found


def _means(tree: xr.DataTree) -> dict[str, tuple[float | None, str]]:
    found: dict[str, tuple[float | None, str]] = {}
    for path, group in groups_of(tree):
        if not set(map(str, group.variables)) >= _TABLE:
            continue
        columns = {str(n): v.values for n, v in group.variables.items()}
        units = columns.get("units", np.full(len(columns["view"]), ""))
        for metric, net in dict.fromkeys(zip(columns["metric"], columns["net"], strict=True)):
            rows = (columns["metric"] == metric) & (columns["net"] == net)
            means = rows & (columns["view"] == "mean")
            values = columns["value"][means if means.any() else rows]
            values = values[np.isfinite(values)]
            where = path.removesuffix("/").removesuffix("metrics").strip("/")
            name = " ".join(filter(None, (where, str(metric), f"({net})" if net else "")))
            mean = float(values.mean()) if values.size else None
            found[name] = mean, str(units[rows][0])
    return found


def most_different(old: xr.DataTree, new: xr.DataTree, changed: Iterable[str]) -> Pictures:
    """The views of picture variables that differ most.

    Pictures are variables of dims (view, y, x, rgb), uint8 or floats from 0 to 1, and maps of dims
    (view, y, x) of floats or uint8; the view may be left out. Views are matched by name where they
    have names, else by position. Values are read view by view.

    Args:
        old: A tree as it is stored.
        new: The same of another version.
        changed: Paths of the variables to look at.
    """
    from ops.evaluation.difference_sheet import Section

    sections, remarks = [], []
    for path in changed:
        a, b = _View.of(old, path), _View.of(new, path)
        if a is None or b is None:
            continue
        if a.values.shape[1:] != b.values.shape[1:]:
            sizes = " and ".join(" x ".join(map(str, v.values.shape[1:])) for v in (a, b))
            remarks.append(f"{path}: no picture, because their sizes differ ({sizes})")
            continue
        pairs = _pairs(a, b)
        if len(pairs) == 0:
            remarks.append(f"{path}: no picture, because no view has the same name in both")
            continue
        gaps = _gaps(a, b, pairs)
        most = COLOUR_VIEWS if a.in_colour else NUMBER_VIEWS
        chosen = [i for i in np.argsort(-gaps, kind="stable")[:most].tolist() if gaps[i] > 0]
        rows = [_row(a, b, pairs[i], float(gaps[i])) for i in chosen]
        if rows:
            sections.append(Section(title=path, rows=rows, units=a.units))
    sections.sort(key=lambda section: section.rows[0].old.ndim == 2)  # colours first
    return Pictures(sections, tuple(remarks))


@dataclass(frozen=True)
class _View:
    """A variable of pictures, and what is known of its views."""

    values: xr.Variable  # (view, y, x) or (view, y, x, rgb), read when used
    names: list[str] | None
    sizes: np.ndarray | None  # [view, 2] heights and widths without padding
    units: str

    @classmethod
    def of(cls, tree: xr.DataTree, path: str) -> _View | None:
        """The variable at a path; None where there is none of that name, or it is no picture."""
        import xarray as xr

        where, _, name = path.rpartition("/")
        groups = {p.removesuffix("/"): group for p, group in groups_of(tree)}
        variable = groups[where].variables.get(name) if where in groups else None
        if variable is None:
            return None
        dims, kind = variable.dims, variable.dtype.kind
        flat = dims[:-1] if dims[-1:] == ("rgb",) else dims
        if flat[-2:] != ("y", "x") or len(flat) > 3 or (kind != "f" and variable.dtype != np.uint8):
            return None
        if len(flat) == 2:
            variable = xr.Variable(("view", *dims), variable.values[None], variable.attrs)
        told = [g.variables for g in (groups[where], groups.get("cameras")) if g is not None]
        columns = {
            n: next(
                (v[n].values for v in told if n in v and v[n].shape == variable.shape[:1]), None
            )
            for n in ("names", "heights", "widths")
        }
        names, heights, widths = columns.values()
        sizes = None if heights is None or widths is None else np.stack([heights, widths], axis=1)
        units = str(variable.attrs.get("units", ""))
        return cls(variable, None if names is None else list(map(str, names)), sizes, units)

    @property
    def in_colour(self) -> bool:
        return self.values.dims[-1] == "rgb"

    def picture(self, index: int) -> np.ndarray:
        """One view without its padding: [H, W, 3] uint8, or [H, W] float32."""
        values = np.asarray(self.values[index : index + 1].values)[0]
        if self.sizes is not None:
            height, width = self.sizes[index]
            values = values[:height, :width]
        if not self.in_colour:
            return values.astype(np.float32)
        if values.dtype == np.uint8:
            return values
        return np.round(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)


def _pairs(a: _View, b: _View) -> list[tuple[int, int]]:
    """Positions of the same view in both."""
    if a.names is None or b.names is None or a.names == b.names:
        return [(i, i) for i in range(min(len(a.values), len(b.values)))]
    old = {name: i for i, name in enumerate(a.names)}
    return [(old[name], j) for j, name in enumerate(b.names) if name in old]


def _gaps(a: _View, b: _View, pairs: list[tuple[int, int]]) -> np.ndarray:
    """[pairs] mean absolute difference of each."""
    if len(pairs) == len(a.values) == len(b.values) and all(i == j for i, j in pairs):
        return row_differences(a.values, b.values)
    found = [row_differences(a.values[i : i + 1], b.values[j : j + 1]) for i, j in pairs]
    return np.concatenate(found)


def _row(a: _View, b: _View, pair: tuple[int, int], gap: float) -> Compared:
    from ops.evaluation.difference_sheet import Compared

    i, j = pair
    old, new = a.picture(i), b.picture(j)
    height, width = (min(x, y) for x, y in zip(old.shape[:2], new.shape[:2], strict=True))
    name = a.names[i] if a.names is not None else f"view {i}"
    caption = f"mean difference {gap:.3g}"
    if a.in_colour and a.values.dtype == np.uint8:
        caption += " of 255"
    return Compared(name=name, caption=caption, old=old[:height, :width], new=new[:height, :width])
