"""Cameras for photos that come without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.capture.looks import structure_preview
from assets.stage import Work, stage
from ops.capture.settings import StructureSettings
from storage.schemas import STRUCTURE

if TYPE_CHECKING:
    import xarray as xr


@stage(
    topic="capture",
    schema=STRUCTURE,
    settings=StructureSettings,
    section="structure",
    reads_source=True,
    heavy=True,
    kinds=frozenset({"colmap"}),
    preview=structure_preview,
)
def structure(work: Work, settings: StructureSettings) -> xr.DataTree:
    """Cameras found from the photos alone, by structure from motion with COLMAP.

    Origin, axes and scale of the world are arbitrary. Photos that do not fit are named and left
    out; too few that fit are an error that says what to do.
    """
    from assets.bridge.structure import structure_tree
    from ops.capture.readers.detect import read_dataset
    from ops.capture.structure import find_cameras

    dataset = read_dataset(work.scene.source_path, "photos")
    found = find_cameras(dataset, settings, work.progress, work.scratch)
    for note in found.notes:
        work.note(note)
    return structure_tree(found)
