"""Scores to sort, filter and step through: a table, and a curve of its columns beside it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets
from PIL import Image

from notebooks.pixels import as_pixels
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.records import Column, check_format, columns_of, usual_format
from notebooks.widgets.stills import Cell, Line, Plot, table_picture
from ops.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_THUMBNAIL = 96  # pixels of the longer side
_PAGE_BYTES = 8_000_000  # of thumbnails in an exported page
_STILL_ROWS = 12
OnSelect = Callable[[int, dict[str, Any]], Any]


def table(
    rows: Any,
    *,
    pictures: Any = None,
    formats: Mapping[str, str] | None = None,
    y: str = "",
    x: str = "",
    group: str = "",
    view: str = "view",
    height: int = 380,
    title: str = "table",
) -> ScoreTable:
    """A table to sort, filter and step through, with a curve beside it; see :class:`ScoreTable`.

    Args:
        rows: A pandas DataFrame, an xarray Dataset, a list of dicts, or columns by name (NumPy,
            torch, xarray, lists); see :func:`notebooks.widgets.records.columns_of`.
        pictures: A picture for each row, shown small: a list or a function of the row's position.
            Read when the row comes into sight.
        formats: How numbers of a column are written, as Python formats them: ``.2f``, ``,d``.
        y: The column of the curve; empty for the first of numbers.
        x: What it is drawn over; empty for the order of the rows.
        group: A column with a line for each of its values; empty for one line.
        view: The column that says which view a row is about, by number or by name.
        height: CSS pixels of the table.
        title: What it is about.

    Raises:
        InputError: The table has another form, or a column does not exist.
    """
    columns = columns_of(rows)
    names = [c.name for c in columns]
    numbers = [c.name for c in columns if c.is_number and c.name != view]
    for what, name, known in (("y", y, numbers), ("x", x, names), ("group", group, names)):
        if name and name not in known:
            raise InputError(f"table: {what} should be one of {known}, found {name!r}")
    for name in formats or {}:
        if name not in names:
            raise InputError(f"table: formats names {name!r}, the columns are {names}")
    chosen = {"y": y or (numbers or [""])[0], "x": x, "group": group}
    return ScoreTable(columns, pictures, formats or {}, chosen, view, height, title)


def score_table(
    evaluation: Any,
    *,
    pictures: bool = True,
    height: int = 380,
    y: str = "",
    by: str = "version",
) -> ScoreTable:
    """The metrics of an evaluation: a row for each held-out view, with its render.

    Args:
        evaluation: An evaluation as ``open_artifact`` opens it, its key, or several of them by name
            (methods, versions); each is then a line of the curve.
        pictures: Whether rows have the render of their view.
        height: CSS pixels of the table.
        y: The metric of the curve; empty for the first.
        by: What several evaluations are: the header of the column with their names.

    Raises:
        InputError: It is no evaluation.
        ArtifactNotFoundError: There is no such artifact.
    """
    from assets.bridge.trees import group

    several = evaluation if isinstance(evaluation, Mapping) and not _is_tree(evaluation) else None
    trees = {n: _opened(t) for n, t in (several or {"": evaluation}).items()}
    rows: list[dict[str, Any]] = []
    places: list[tuple[str, int]] = []
    for name, tree in trees.items():
        names = [str(n) for n in group(tree, "renders")["names"].values]
        for row in _view_rows(tree):
            rows.append({**({by: name} if several else {}), **row})
            places.append((name, names.index(row["view"]) if row["view"] in names else -1))

    def render(row: int) -> np.ndarray:
        name, at = places[row]
        renders = group(trees[name], "renders")
        height, width = int(renders["heights"][at]), int(renders["widths"][at])
        return np.asarray(renders["colors"][at, :height, :width].values)

    shown = render if pictures and all(at >= 0 for _, at in places) else None
    return table(
        rows, pictures=shown, group=by if several else "", y=y, height=height, title="scores"
    )


class ScoreTable(BrowserWidget):
    """A table and a curve with one selection; made by :func:`table` and :func:`score_table`.

    A click on a header sorts, the field above filters: words, and conditions such as ``psnr < 25``.
    A click on a row or on a point of the curve selects it, the arrow keys go on from there.

    What is selected is in ``index`` (the row as it was given, -1 for none) and in ``selected``; set
    ``index`` to select a row from Python. ``view`` is the number of its view: what the column of
    views says, or, where that holds names, the position of the name among those of the table.
    """

    kind: ClassVar[str] = "table"

    columns = traitlets.List(traitlets.Dict(), help="name, number or not, format of each").tag(
        sync=True
    )
    data = traitlets.Bytes(help="float64 of all columns of numbers").tag(sync=True)
    texts = traitlets.Dict(help="by column of text: its values").tag(sync=True)
    count = traitlets.Int(help="number of rows").tag(sync=True)
    row_views = traitlets.List(traitlets.Int(), help="number of the view by row").tag(sync=True)
    has_pictures = traitlets.Bool(False).tag(sync=True)
    thumbnails = traitlets.Dict(help="JPEG by row, in a page without a kernel").tag(sync=True)
    sort = traitlets.List(
        traitlets.Unicode(), help="a column, and up or down; empty: as given"
    ).tag(sync=True)
    filter = traitlets.Unicode("", help="what the rows shown fulfil").tag(sync=True)
    curve = traitlets.Dict(help="columns y, x and group of the curve").tag(sync=True)
    height = traitlets.Int(380).tag(sync=True)
    index = traitlets.Int(-1, help="the selected row, as it was given").tag(sync=True)
    view = traitlets.Int(-1, help="number of the view of the selected row").tag(sync=True)
    selected = traitlets.Dict(help="index of the selected row, and the row").tag(sync=True)

    def __init__(
        self,
        columns: Sequence[Column],
        pictures: Any,
        formats: Mapping[str, str],
        curve: Mapping[str, str],
        view: str,
        height: int,
        title: str,
    ) -> None:
        """Pack what is to be sent; see :func:`table`."""
        self._columns = list(columns)
        self._picture_of = (
            pictures if pictures is None or callable(pictures) else pictures.__getitem__
        )
        count = len(columns[0].values)
        if hasattr(pictures, "__len__") and len(pictures) != count:
            raise InputError(f"table: expected {count} pictures, found {len(pictures)}")
        numbers = [c for c in columns if c.is_number]
        by_name = {c.name: c for c in columns}
        self.view_column = by_name.get(view)
        super().__init__(
            columns=[
                {
                    "name": c.name,
                    "number": c.is_number,
                    "whole": c.whole,
                    "format": check_format(c.name, formats.get(c.name, usual_format(c)))
                    if c.is_number
                    else "",
                }
                for c in columns
            ],
            data=b"".join(np.ascontiguousarray(c.values, "<f8").tobytes() for c in numbers),
            texts={c.name: c.values.tolist() for c in columns if not c.is_number},
            count=count,
            row_views=_view_numbers(self.view_column),
            has_pictures=pictures is not None,
            curve=dict(curve),
            height=height,
            alt=f"{title}: {count:,} rows of {', '.join(by_name)}",
        )
        self.observe(self._follow_index, "index")
        self.observe(self._follow_view, "view")

    def row(self, index: int) -> dict[str, Any]:
        """A row as it was given, by column.

        Raises:
            InputError: There is no such row.
        """
        if not 0 <= index < self.count:
            raise InputError(f"table: expected a row from 0 to {self.count - 1}, found {index}")
        return {column.name: column.given[index] for column in self._columns}

    def on_select(self, callback: OnSelect) -> OnSelect:
        """Call ``callback(index, row)`` when another row is selected; usable as a decorator.

        The row is a dict as :meth:`row` gives it. Nothing is called when the selection goes.
        """

        def tell(_: Any) -> None:
            if self.index >= 0:
                callback(self.index, self.row(self.index))

        self.observe(tell, "selected")
        return callback

    def still(self) -> bytes:
        """The first rows and the curve, by Matplotlib."""
        columns = self._columns
        shown = [
            [_cell(column, described["format"], row) for row in range(min(self.count, _STILL_ROWS))]
            for column, described in zip(columns, self.columns, strict=True)
        ]
        more = f"and {self.count - _STILL_ROWS:,} more rows" if self.count > _STILL_ROWS else ""
        return table_picture([c.name for c in columns], shown, note=more, plot=self.plot())

    def plot(self) -> Plot | None:
        """The curve as the browser draws it: a line for each group; None without numbers."""
        by_name = {c.name: c for c in self._columns}
        y, x, by = (by_name.get(self.curve[k]) for k in ("y", "x", "group"))
        if y is None:
            return None
        rows: dict[str, list[int]] = {}
        for row in range(self.count):
            value = "" if by is None else by.plain(row)
            empty = by is not None and value in (None, "")
            rows.setdefault("(none)" if empty else str(value), []).append(row)
        lines = []
        for name, mine in rows.items():
            number = x is not None and x.is_number
            at = x.values[mine] if x is not None and number else np.arange(len(mine), dtype=float)
            points = np.stack([at, y.values[mine]])
            points = points[:, np.isfinite(points).all(0)]
            if number:
                points = points[:, np.argsort(points[0], kind="stable")]
            lines.append(Line(name, *points))
        whole = x is None or x.whole or not x.is_number
        return Plot(y.name, "order of rows" if x is None else x.name, lines, whole)

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Send the thumbnails of rows that came into sight."""
        if content.get("type") == "thumbnails" and self._picture_of is not None:
            rows = [int(i) for i in content["rows"] if 0 <= int(i) < self.count]
            self.send({"answers": content["id"], "rows": rows}, [self._thumbnail(i) for i in rows])

    def complete(self) -> None:
        """Put thumbnails into the page, as many as fit."""
        if self._picture_of is None:
            return
        found, size = {}, 0
        for row in range(self.count):
            found[str(row)] = self._thumbnail(row)
            size += len(found[str(row)])
            if size > _PAGE_BYTES:
                break
        self.thumbnails = found

    def release(self) -> None:
        """Keep no thumbnails here."""
        self.thumbnails = {}

    def _thumbnail(self, row: int) -> bytes:
        assert self._picture_of is not None
        image = Image.fromarray(as_pixels(self._picture_of(row)))
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        with io.BytesIO() as file:
            image.save(file, "JPEG", quality=80)
            return file.getvalue()

    def _follow_index(self, change: Any) -> None:
        """Set from Python: what depends on it. The browser sets all of it itself."""
        index = int(change.new)
        if self.hearing:
            return
        there = 0 <= index < self.count
        with self.hold_sync():
            row = {c.name: c.plain(index) for c in self._columns} if there else {}
            self.selected = {"index": index, "row": row} if there else {}
            if there and self.row_views:
                self.view = self.row_views[index]

    def _follow_view(self, change: Any) -> None:
        view, index = int(change.new), self.index
        if self.hearing or view not in self.row_views:
            return
        if not (0 <= index < self.count and self.row_views[index] == view):
            self.index = self.row_views.index(view)

    @traitlets.validate("index")
    def _there(self, proposal: Any) -> int:
        if not -1 <= proposal.value < self.count:
            raise traitlets.TraitError(
                f"index: expected a row from 0 to {self.count - 1}, or -1, found {proposal.value}"
            )
        return int(proposal.value)


def _view_numbers(column: Column | None) -> list[int]:
    if column is None:
        return []
    if column.is_number:
        if not column.whole or not np.isfinite(column.values).all():
            return []
        return [int(v) for v in column.values]
    order = {name: i for i, name in enumerate(dict.fromkeys(column.values.tolist()))}
    return [order[name] for name in column.values.tolist()]


def _cell(column: Column, format_: str, row: int) -> Cell:
    value = column.plain(row)
    if not isinstance(value, int | float):
        return Cell(value or "")
    finite = column.values[np.isfinite(column.values)]
    low, high = float(finite.min()), float(finite.max())
    part = (value - low) / (high - low) if high > low else 1.0
    return Cell(format(value, format_), right=True, bar=part)


def _opened(evaluation: Any) -> xr.DataTree:
    from notebooks.artifacts import open_artifact

    tree = open_artifact(evaluation) if isinstance(evaluation, str) else evaluation
    if not _is_tree(tree) or not {"metrics", "renders"} <= set(tree.children):
        found = sorted(tree.children) if _is_tree(tree) else type(tree).__name__
        raise InputError(
            "score_table: expected an evaluation, as open_artifact('demo/evaluation/held_out') is, "
            f"found {found} (scores over scales: table(notebooks.scales.scale_scores(...)))"
        )
    return tree


def _is_tree(given: Any) -> bool:
    import xarray as xr

    return isinstance(given, xr.DataTree)


def _view_rows(tree: xr.DataTree) -> list[dict[str, float | str]]:
    from assets.bridge.evaluation import view_table

    return view_table(tree)
