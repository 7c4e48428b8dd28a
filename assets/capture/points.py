"""Points that splats start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.capture.looks import cameras_look_at_the_scene, points_preview
from assets.stage import Work, stage
from ops.capture.settings import PointsSettings
from storage.schemas import POINTS

if TYPE_CHECKING:
    import xarray as xr

    from ops.capture.model import Dataset


@stage(
    topic="capture",
    schema=POINTS,
    inputs=("capture/views",),
    settings=PointsSettings,
    section="points",
    reads_source=True,
    heavy=True,
    kinds=frozenset({"colmap"}),
    preview=points_preview,
    checks={"cameras_look_at_the_scene": cameras_look_at_the_scene},
)
def points(work: Work, settings: PointsSettings, views: xr.DataTree) -> xr.DataTree:
    """Points to start from: the dataset's own, or triangulated from the training views' photos.

    Triangulated at a larger size than training uses, with the capture's own cameras. Random points
    are the last resort, and the artifact says so.
    """
    from ops.capture.readers.detect import read_dataset

    dataset = read_dataset(work.scene.source_path, work.scene.source.layout or None)
    return _initial(work, settings, dataset, views)


@stage(
    topic="capture",
    name="points",
    schema=POINTS,
    inputs=("capture/views", "capture/structure"),
    settings=PointsSettings,
    section="points",
    reads_source=True,
    heavy=True,
    kinds=frozenset({"colmap"}),
    preview=points_preview,
    checks={"cameras_look_at_the_scene": cameras_look_at_the_scene},
)
def points_with_found_cameras(
    work: Work, settings: PointsSettings, views: xr.DataTree, structure: xr.DataTree
) -> xr.DataTree:
    """Points triangulated from the training views' photos, with the cameras found for them.

    Those that structure from motion found are not taken: they come from held-out photos, too.
    """
    from assets.bridge.structure import with_found_cameras
    from ops.capture.readers.detect import read_dataset

    dataset = with_found_cameras(read_dataset(work.scene.source_path, "photos"), structure)
    return _initial(work, settings, dataset, views)


def _initial(
    work: Work, settings: PointsSettings, dataset: Dataset, views: xr.DataTree
) -> xr.DataTree:
    from assets.bridge.points import points_tree
    from assets.bridge.views import StoredViews
    from ops.capture.points import initial_points
    from ops.capture.prepare import prepare
    from ops.capture.settings import CaptureSettings

    larger = CaptureSettings(max_size=settings.max_size, masks=views.attrs["record"]["masks"])
    found = initial_points(
        StoredViews(views),
        dataset.points,
        settings,
        work.progress,
        full=prepare(dataset, larger, work.progress),
    )
    notes = []
    if found.source == "random":
        notes.append("The points are random: too few could be triangulated from the photos.")
        work.note(notes[0])
    return points_tree(found, notes)
