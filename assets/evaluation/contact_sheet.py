"""One picture that shows how good a model is: photos, renders, errors and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.evaluation.looks import contact_sheet_preview
from assets.stage import Work, stage
from storage.home import Home
from storage.schemas import PICTURE

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class ContactSheetSettings:
    """What the contact sheet shows."""

    views: int = 4
    """At most so many held-out views, evenly spread."""
    cell_width: int = 340
    """Pixels of one picture on the sheet."""


def sheet_file(tree: xr.DataTree, home: Home, scene: str) -> list[Path]:
    """Where the picture is written for people to find."""
    return [home.exports / scene / tree.attrs["file"]]


@stage(
    topic="evaluation",
    schema=PICTURE,
    inputs=("evaluation/held_out",),
    settings=ContactSheetSettings,
    section="contact_sheet",
    files=sheet_file,
    preview=contact_sheet_preview,
)
def contact_sheet(
    work: Work, settings: ContactSheetSettings, evaluation: xr.DataTree
) -> xr.DataTree:
    """Photo, render, error and depth of some held-out views, also as ``contact_sheet.png``."""
    import xarray as xr

    from assets.bridge.evaluation import mean_scores, sheet_rows
    from assets.png import save_png
    from ops.evaluation.contact_sheet import contact_sheet as draw

    name = work.scene.name
    means = "   ".join(f"{k} {v:.4g}" for k, v in mean_scores(evaluation).items())
    pixels = draw(
        sheet_rows(evaluation, settings.views),
        title=f"{name}: held-out views",
        subtitle=f"means over all {evaluation['renders'].sizes['view']} held-out views:   {means}",
        cell_width=settings.cell_width,
    )
    save_png(pixels, work.home.exports / name / "contact_sheet.png")
    attrs = {"title": f"held-out views of {name}", "file": "contact_sheet.png"}
    return xr.DataTree(xr.Dataset({"pixels": (("y", "x", "rgb"), pixels)}, attrs=attrs))
