"""Photos and cameras of a dataset folder, as every other stage reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.capture.looks import no_photo_missing, views_preview
from assets.stage import Work, stage
from ops.capture.settings import CaptureSettings
from storage.schemas import CAPTURE

if TYPE_CHECKING:
    import xarray as xr

    from ops.capture.model import Dataset


@stage(
    topic="capture",
    schema=CAPTURE,
    settings=CaptureSettings,
    section="capture",
    reads_source=True,
    kinds=frozenset({"opencv"}),
    preview=views_preview,
    checks={"no_photo_missing": no_photo_missing},
)
def views(work: Work, settings: CaptureSettings) -> xr.DataTree:
    """Photos, cameras, masks and the split into training and held-out views.

    Each photo is decoded once, undistorted to a pinhole and shrunk with an area filter, and kept
    as 8-bit sRGB in a chunk of its own, so that a capture larger than memory works. The world is
    the dataset's: not moved, turned or scaled. Damaged photos, poses and masks are refused by name
    before any long work.
    """
    from ops.capture.readers.detect import read_dataset

    dataset = read_dataset(work.scene.source_path, work.scene.source.layout or None)
    return _prepared(work, settings, dataset)


@stage(
    topic="capture",
    name="views",
    schema=CAPTURE,
    inputs=("capture/structure",),
    settings=CaptureSettings,
    section="capture",
    reads_source=True,
    kinds=frozenset({"opencv"}),
    preview=views_preview,
    checks={"no_photo_missing": no_photo_missing},
)
def views_with_found_cameras(
    work: Work, settings: CaptureSettings, structure: xr.DataTree
) -> xr.DataTree:
    """Photos with the cameras that structure from motion found for them, and the split.

    As for a dataset that brings its cameras; photos for which none was found are left out.
    """
    from assets.bridge.structure import with_found_cameras
    from ops.capture.readers.detect import read_dataset

    dataset = read_dataset(work.scene.source_path, "photos")
    return _prepared(work, settings, with_found_cameras(dataset, structure))


def _prepared(work: Work, settings: CaptureSettings, dataset: Dataset) -> xr.DataTree:
    from assets.bridge.views import views_tree
    from ops.capture.prepare import prepare

    prepared = prepare(dataset, settings, work.progress)
    notes = list(prepared.notes)
    if dataset.missing:
        notes.append(f"{len(dataset.missing)} listed photos do not exist and are left out.")
    for note in notes:
        work.note(note)
    return views_tree(
        prepared,
        attrs={"layout": dataset.layout, "record": prepared.record(), "notes": notes},
        image_attrs={"white_background": dataset.white_background},
        progress=work.progress,
    )
