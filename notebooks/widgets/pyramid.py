"""A view at every scale by every method, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from notebooks.style import DEPTH_MAP, ERROR_MAP, WIDTH, finish, image_axes, style
from notebooks.widgets.compare import MODES
from notebooks.widgets.rasters import SIGNED_MAP, painted
from notebooks.widgets.series import Series, Stack, check_shapes, series_of
from notebooks.widgets.shelf import PictureShelf, common_range
from ops.errors import InputError
from storage.home import Home

if TYPE_CHECKING:
    import xarray as xr

TRUTHS = ("photo", "photos", "truth", "ground truth", "gt")
_FACTOR = re.compile(r"[x×]?(\d+)(?:[/_](\d+))?")


@dataclass(frozen=True)
class Grid:
    """Pictures by scale and method, and what is known of each."""

    cells: Mapping[tuple[str, str], Series]  # by scale and method; some may be missing
    scales: Sequence[str]
    methods: Sequence[str]
    views: Sequence[str]
    truth: str | None = None  # the method that the others are measured against
    numbers: Mapping[tuple[str, str], float] = field(default_factory=dict)  # stored with them
    about_numbers: str = ""
    notes: Sequence[str] = ()


class Pyramid(PictureShelf):
    """Scales in rows and methods in columns, zoomed together; made by :func:`pyramid`.

    ``picked`` is the position of the scale that is shown large, or -1; ``a`` and ``b`` are the
    positions of the two methods of it that are compared.
    """

    kind = "pyramid"
    scales = traitlets.List(traitlets.Unicode()).tag(sync=True)
    methods = traitlets.List(traitlets.Unicode()).tag(sync=True)
    cells: traitlets.List[Any] = traitlets.List(
        help="by scale and method: position in series, or -1"
    ).tag(sync=True)
    truth = traitlets.Int(-1, help="position of the method that others are measured against").tag(
        sync=True
    )
    numbers: traitlets.List[Any] = traitlets.List(
        help="by scale and method: a stored number, or None"
    ).tag(sync=True)
    about_numbers = traitlets.Unicode().tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    view = traitlets.Int(0).tag(sync=True)
    native = traitlets.Bool(False, help="every picture at its own number of pixels").tag(sync=True)
    picked = traitlets.Int(-1).tag(sync=True)
    a = traitlets.Int(0).tag(sync=True)
    b = traitlets.Int(0).tag(sync=True)
    mode = traitlets.Enum(MODES, "slider").tag(sync=True)
    line = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    signed = traitlets.Bool(False).tag(sync=True)
    largest = traitlets.Float(0.2, help="difference at the end of its colours").tag(sync=True)
    error_maps = traitlets.List([ERROR_MAP, SIGNED_MAP]).tag(sync=True)

    def still(self) -> bytes:
        """All pictures of the view at one size, with names."""
        height = max(r.height / r.width for r in map(self._raster, range(len(self.series))))
        columns, rows = len(self.methods), len(self.scales)
        with style():
            size = (WIDTH, min(WIDTH / columns * height * rows + 0.3, 12))
            figure = Figure(figsize=size, layout="constrained")
            grid = figure.subplots(rows, columns, squeeze=False)
            for row, line in zip(grid, self.cells, strict=True):
                for axes, index in zip(row, line, strict=True):
                    image_axes(axes)
                    if index >= 0:
                        shown = painted(self._raster(index), self.low, self.high, self.colour_map)
                        axes.imshow(shown, interpolation="nearest")
            for axes, method in zip(grid[0], self.methods, strict=True):
                axes.set_title(method, fontsize=8)
            for axes, scale in zip(grid[:, 0], self.scales, strict=True):
                at = {"transform": axes.transAxes, "rotation": 90}
                axes.text(-0.06, 0.5, scale, ha="right", va="center", fontsize=8, **at)
            return finish(figure, self.alt).png

    def _raster(self, index: int) -> Any:
        return self._series[index].raster(self.view)

    def _shown_view(self) -> int:
        return int(self.view)


def pyramid(
    source: str | xr.DataTree | Mapping[Any, Mapping[str, Any]],
    truth: str | None = None,
    names: Sequence[str] = (),
    metric: str = "psnr",
    views: str = "scored",
    home: Home | None = None,
) -> Pyramid:
    """A view at every scale by every method: zoomed together, each measured, each pair compared.

    Args:
        source: A multi-scale evaluation, such as ``demo/mipmap/evaluation``, opened or by its key;
            or pictures: scale -> method -> a picture or a list of them (of the same views
            everywhere), see :func:`notebooks.widgets.compare.compare`. A method may lack a scale.
        truth: The method that the others are measured against; None takes the one that is called
            ``photo``, ``truth``, ``ground truth`` or ``gt``, if there is one.
        names: What the views are called.
        metric: Of an evaluation: the stored number shown beside the PSNR of the picture.
        views: Of an evaluation: ``scored``, or ``extra``, the views that these numbers are of.
        home: Where to look a key up; None for ``SPLATWORKS_HOME`` or its default.

    Raises:
        InputError: There are no pictures, they do not fit each other, or nothing of such a name.
        ArtifactNotFoundError: The evaluation has not been made yet.
    """
    import xarray as xr

    if isinstance(source, str):
        from notebooks.artifacts import open_artifact

        source = open_artifact(source, home=home)
    # An opened artifact is a mapping as well.
    if isinstance(source, xr.DataTree):
        grid = _evaluated(source, metric, views)
    else:
        grid = _given(source, names)
    if truth is not None and truth not in grid.methods:
        raise InputError(
            f"pyramid: no method {truth!r} to measure against; there are {', '.join(grid.methods)}"
        )
    named = (m for m in grid.methods if m.lower() in TRUTHS)
    return _shown(grid, truth or grid.truth or next(named, None))


def _given(source: Mapping[Any, Mapping[str, Any]], names: Sequence[str]) -> Grid:
    """Plain pictures."""
    if (
        not isinstance(source, Mapping)
        or not source
        or not all(isinstance(m, Mapping) and m for m in source.values())
    ):
        raise InputError("pyramid: expected scale -> method -> pictures, found no such mapping")
    cells = {
        (str(scale), str(method)): series_of(pictures, f"{scale} {method}")
        for scale, methods in source.items()
        for method, pictures in methods.items()
    }
    counts = {s.name: len(s) for s in cells.values()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(f"pyramid: expected as many views everywhere, found {counts}")
    count = next(iter(counts.values()))
    if names and len(names) != count:
        raise InputError(f"pyramid: expected {count} names, found {len(names)}")
    scales = [str(s) for s in source]
    if all(_FACTOR.fullmatch(s) for s in scales):
        scales.sort(key=_factor)
    methods = list(dict.fromkeys(m for _, m in cells))
    return Grid(
        cells, scales, methods, list(names) or [f"{i + 1} of {count}" for i in range(count)]
    )


def _evaluated(evaluation: xr.DataTree, metric: str, views: str) -> Grid:
    """The pictures and numbers of a multi-scale evaluation."""
    if not {"pictures", "scores"} <= set(evaluation.children):
        raise InputError(
            "pyramid: expected an artifact such as demo/mipmap/evaluation, found one with "
            f"{', '.join(evaluation.children) or 'a table'}"
        )
    from assets.bridge.mipmap import score_rows
    from assets.bridge.trees import group
    from notebooks.scales import standing
    from ops.mipmap.scales import parse_scale, scale_title

    stored = group(evaluation, "pictures")
    widths, heights = stored["widths"].values.tolist(), stored["heights"].values.tolist()
    columns = (stored[n].values.tolist() for n in ("scales", "methods", "views"))
    cells, shown = {}, {}
    for i, (scale, method, view) in enumerate(zip(*columns, strict=True)):
        stack = Stack(stored["colors"], widths, heights, [i])
        cells[scale, method] = Series(f"{scale} {method}", stack)
        shown[scale] = view
    rows = [
        r
        for r in score_rows(evaluation)
        if (r["metric"], r["views"], r["against"]) == (metric, views, "photos")
    ]
    if not rows:
        there = sorted({(r["metric"], r["views"]) for r in score_rows(evaluation)})
        raise InputError(f"pyramid: no {metric!r} of {views!r} views; there are {there}")
    numbers = {(r["scale"], r["method"]): r["value"] for r in rows}
    unit = f", {rows[0]['units']}" if rows[0]["units"] != "1" else ""
    about = f"{metric}{unit}, mean of the {rows[0]['count']} {views} views against photos"
    labels = dict.fromkeys(evaluation.attrs["labels"].values())
    known_as = standing(evaluation, lambda scale: scale_title(parse_scale(scale)))
    notes = [
        f"{views} views: {known_as[views]}",
        *(f"pseudo ground truth: {n}" for n in labels),
    ]
    views_shown = list(dict.fromkeys(shown.values()))
    return Grid(
        cells,
        sorted(dict.fromkeys(s for s, _ in cells), key=_factor),
        list(dict.fromkeys(m for _, m in cells)),
        [", ".join(views_shown)],
        "photo" if any(m == "photo" for _, m in cells) else None,
        numbers,
        about,
        notes,
    )


def _shown(grid: Grid, truth: str | None) -> Pyramid:
    series = list(grid.cells.values())
    place = {key: i for i, key in enumerate(grid.cells)}
    first = {s.name: s.raster(0) for s in series}
    check_shapes(first)
    low, high = common_range(list(first.values())) or (0.0, 1.0)
    grey = all(r.whole for r in first.values())
    by_method = [[(scale, method) for method in grid.methods] for scale in grid.scales]
    known = {key: v for key, v in grid.numbers.items() if np.isfinite(v)}
    return Pyramid(
        series,
        grid.views,
        scales=list(grid.scales),
        methods=list(grid.methods),
        cells=[[place.get(key, -1) for key in row] for row in by_method],
        numbers=[[known.get(key) for key in row] for row in by_method],
        truth=-1 if truth is None else list(grid.methods).index(truth),
        about_numbers=grid.about_numbers,
        notes=list(grid.notes),
        low=low,
        high=high,
        colour_map="gray" if grey else DEPTH_MAP,
        alt=f"{len(grid.scales)} scales by {len(grid.methods)} methods",
    )


def _factor(scale: str) -> float:
    found = _FACTOR.fullmatch(scale)
    return int(found[1]) / int(found[2] or 1) if found else 0.0
