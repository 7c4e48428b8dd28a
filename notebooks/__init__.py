"""Notebooks, and what people type in them.

    from notebooks import compare, open_artifact, view

    view("demo/splats/trained")

A name is imported when it is used: a notebook does not wait for what it never shows.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notebooks.artifacts import open_artifact, open_splats, open_views
    from notebooks.widgets.compare import compare, compare_held_out
    from notebooks.widgets.export import save_page
    from notebooks.widgets.links import link
    from notebooks.widgets.mesh import view_mesh
    from notebooks.widgets.pyramid import pyramid
    from notebooks.widgets.render_view import render_view
    from notebooks.widgets.splats import view
    from notebooks.widgets.store_panel import store_panel
    from notebooks.widgets.table import score_table, table
    from notebooks.widgets.versions import compare_versions

_WHERE = {
    "compare": "notebooks.widgets.compare",
    "compare_held_out": "notebooks.widgets.compare",
    "compare_versions": "notebooks.widgets.versions",
    "link": "notebooks.widgets.links",
    "open_artifact": "notebooks.artifacts",
    "open_splats": "notebooks.artifacts",
    "open_views": "notebooks.artifacts",
    "pyramid": "notebooks.widgets.pyramid",
    "render_view": "notebooks.widgets.render_view",
    "save_page": "notebooks.widgets.export",
    "score_table": "notebooks.widgets.table",
    "store_panel": "notebooks.widgets.store_panel",
    "table": "notebooks.widgets.table",
    "view": "notebooks.widgets.splats",
    "view_mesh": "notebooks.widgets.mesh",
}
__all__ = [
    "compare",
    "compare_held_out",
    "compare_versions",
    "link",
    "open_artifact",
    "open_splats",
    "open_views",
    "pyramid",
    "render_view",
    "save_page",
    "score_table",
    "store_panel",
    "table",
    "view",
    "view_mesh",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
