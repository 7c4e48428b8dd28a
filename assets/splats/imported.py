"""Splats from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.splats.looks import finite, opacity_not_collapsed, splats_preview
from assets.stage import Work, stage
from storage.schemas import TRAINING

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="splats",
    schema=TRAINING,
    reads_source=True,
    preview=splats_preview,
    checks={"finite": finite, "opacity_not_collapsed": opacity_not_collapsed},
)
def imported(work: Work, settings: None) -> xr.DataTree:
    """The splats of a file that somebody else trained, in the file's own coordinates."""
    from assets.bridge.splats import training_tree
    from ops.splats.files.dispatch import read_splats

    found = read_splats(work.scene.source_path)
    for note in found.metadata.notes:
        work.note(note)
    mode = "antialiased" if found.metadata.antialiased else "classic"
    return training_tree(found.splats, mode, notes=found.metadata.notes)
