"""Widgets that follow each other: what is chosen in one is shown in the other.

The protocol is small. A widget that shows one of several views has a trait ``view`` (Int), the
number of that view; a table has ``index`` (Int), the number of the selected row. A link says which
number of one is which of the other. The widget that a link begins at keeps it in its trait
``links``, and the browser follows it there, so that it holds without a kernel and in a saved page
of both (:func:`notebooks.widgets.export.save_page`). Python follows it for what Python sets.

An entry of ``links`` is a dict: ``widget`` (``IPY_MODEL_`` and the id of the other's model),
``own`` and ``other`` (names of the two traits), and ``to``: by number of the own trait that of the
other, -1 where there is none. In the other direction the first that fits is taken, unless the
present one fits already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.table import ScoreTable
from ops.errors import InputError

_CAPTION = " · "  # between the name of a view and what a widget says of it


def link(
    first: BrowserWidget,
    second: BrowserWidget,
    *,
    names: Sequence[str] | None = None,
    by: str = "",
) -> None:
    """Let two widgets follow each other: a table and a viewer, or two viewers.

    A row of a table belongs to the view that its column of views names, by number or by name; two
    viewers show the view of the same name, or of the same number where one has no names.

    Args:
        first: A table, a splat viewer, a comparison, or another widget with a trait ``view``.
        second: Another.
        names: Names of the views of ``second`` (of the one that is no table), where it has none.
        by: The column of a table that names the view; empty for what ``table`` was told.

    Raises:
        InputError: One has no views, or no view of one is a view of the other.
    """
    if isinstance(second, ScoreTable) and not isinstance(first, ScoreTable):
        first, second = second, first
    own, other = _trait(first), _trait(second)
    there = list(names) if names is not None else _names(second)
    to = _rows(first, second, there, by) if isinstance(first, ScoreTable) else _views(first, there)
    if all(number < 0 for number in to):
        mine = _names(first) or _column(first, by)[:3]
        raise InputError(
            "link: no view of the first widget is one of the second: "
            f"{', '.join(map(str, mine[:3]))} ... and {', '.join((there or ['numbers'])[:3])} ..."
        )
    name = f"IPY_MODEL_{second.model_id}"
    entry = {"widget": name, "own": own, "other": other, "to": to}
    first.links = [e for e in first.links if e["widget"] != name] + [entry]
    _follow_in_python(first, own, second, other, to)


def _follow_in_python(
    first: BrowserWidget, own: str, second: BrowserWidget, other: str, to: list[int]
) -> None:
    """What Python sets in one, it sets in the other. What the browser sets, it sets in both."""

    def forth(_: Any = None) -> None:
        at = getattr(first, own)
        if not first.hearing and 0 <= at < len(to) and to[at] >= 0:
            setattr(second, other, to[at])

    def back(_: Any = None) -> None:
        at, now = getattr(second, other), getattr(first, own)
        if second.hearing or at < 0 or (0 <= now < len(to) and to[now] == at):
            return
        if at in to:
            setattr(first, own, to.index(at))

    first.observe(forth, own)
    second.observe(back, other)
    if 0 <= getattr(first, own) < len(to):
        forth()
    else:
        back()


def _trait(widget: BrowserWidget) -> str:
    if isinstance(widget, ScoreTable):
        return "index"
    if widget.has_trait("view"):
        return "view"
    raise InputError(f"link: {type(widget).__name__} does not show one of several views")


def _names(widget: BrowserWidget) -> list[str] | None:
    """Names of the views of a viewer; None where it has none."""
    for trait in ("views", "cameras"):
        found = getattr(widget, trait, None) if widget.has_trait(trait) else None
        if found:
            return [str(v["name"]) if isinstance(v, dict) else str(v) for v in found]
    return None


def _column(table: BrowserWidget, by: str) -> list[Any]:
    assert isinstance(table, ScoreTable)
    column = table.view_column
    if by:
        column = next((c for c in table._columns if c.name == by), None)
    if column is None:
        there = [c["name"] for c in table.columns]
        what = f"no column {by!r}" if by else "no column that names a view"
        raise InputError(f"link: the table has {what}; its columns are {there}, choose one with by")
    return [column.plain(row) for row in range(table.count)]


def _rows(table: ScoreTable, viewer: BrowserWidget, names: list[str] | None, by: str) -> list[int]:
    """The view of the viewer by row; -1 where it has none."""
    if isinstance(viewer, ScoreTable):
        names = [str(v) for v in _column(viewer, by)]
    views = _column(table, by)
    if all(isinstance(v, int) for v in views) and not isinstance(viewer, ScoreTable):
        most = len(names) if names is not None else None
        return [v if v >= 0 and (most is None or v < most) else -1 for v in views]
    if names is None:
        raise InputError(
            "link: the table names its views, and the other widget has no names; give them: names="
        )
    position = _positions(names)
    return [position.get(str(v), -1) for v in views]


def _views(viewer: BrowserWidget, names: list[str] | None) -> list[int]:
    """The view of the other viewer by view of this one."""
    own = _names(viewer)
    if own is None:
        if names is None:
            raise InputError("link: none of the two widgets has names of views; give some: names=")
        return list(range(len(names)))
    if names is None:
        return list(range(len(own)))
    position = _positions(names)
    return [position.get(name, position.get(name.partition(_CAPTION)[0], -1)) for name in own]


def _positions(names: Sequence[str]) -> dict[str, int]:
    """The first place of each name, with the caption behind it and without."""
    places = list(reversed(list(enumerate(names))))
    return {n.partition(_CAPTION)[0]: i for i, n in places} | {n: i for i, n in places}
