"""Notebooks, and what people type in them.

    from notebooks import view, open_artifact

    view("demo/splats/trained")

A name is imported when it is used: a notebook does not wait for what it never shows.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notebooks.artifacts import open_artifact, open_splats, open_views
    from notebooks.widgets.splats import view

_WHERE = {
    "open_artifact": "notebooks.artifacts",
    "open_splats": "notebooks.artifacts",
    "open_views": "notebooks.artifacts",
    "view": "notebooks.widgets.splats",
}
__all__ = ["open_artifact", "open_splats", "open_views", "view"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
