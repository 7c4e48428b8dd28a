"""Files for other programs: splats and cameras in the dataset's own coordinates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assets.splats.looks import files_preview
from assets.stage import Work, stage
from storage.home import Home
from storage.schemas import FILES

if TYPE_CHECKING:
    import xarray as xr

SplatFormat = Literal["ply", "compressed.ply", "splat", "spz"]


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which files are written, into ``exports/<scene>/`` of the home folder."""

    splats: tuple[SplatFormat, ...] = ("ply", "spz")
    """Formats of the splats; ``splat`` has no view-dependent colour, ``spz`` is the smallest."""
    cameras: tuple[Literal["transforms", "colmap"], ...] = ("transforms",)
    """Layouts of the cameras: a nerfstudio ``transforms.json`` or a COLMAP text model. Photos to
    go with them are written by ``splatworks export --cameras``."""


def exported_files(tree: xr.DataTree, home: Home, scene: str) -> list[Path]:
    """The files that the table names."""
    from assets.bridge.trees import group

    return [home.exports / scene / str(path) for path in group(tree)["path"].values]


@stage(
    topic="splats",
    schema=FILES,
    inputs=("splats/trained", "capture/views"),
    settings=ExportSettings,
    section="exports",
    files=exported_files,
    preview=files_preview,
)
def exports(
    work: Work, settings: ExportSettings, splats: xr.DataTree, views: xr.DataTree
) -> xr.DataTree:
    """Splat and camera files in ``exports/<scene>/``, for viewers and other tools.

    In the coordinates of the dataset: any normalisation is undone in means, rotations, scales and
    spherical harmonics.
    """
    from assets.bridge.camera_files import write_cameras

    folder = work.home.exports / work.scene.name
    written, notes = _write_splats(folder, settings.splats, splats)
    for layout in settings.cameras:
        written += write_cameras(folder, views, layout)
    return _table(folder, written, notes)


@stage(
    topic="splats",
    name="exports",
    schema=FILES,
    inputs=("splats/imported",),
    settings=ExportSettings,
    section="exports",
    files=exported_files,
    preview=files_preview,
)
def exports_of_imported(work: Work, settings: ExportSettings, splats: xr.DataTree) -> xr.DataTree:
    """Splat files in ``exports/<scene>/``, for viewers and other tools."""
    folder = work.home.exports / work.scene.name
    written, notes = _write_splats(folder, settings.splats, splats)
    return _table(folder, written, notes)


def _write_splats(
    folder: Path, formats: Sequence[SplatFormat], tree: xr.DataTree
) -> tuple[list[Path], list[str]]:
    from assets.bridge.splats import render_mode, splats_in_dataset_frame
    from ops.splats.files.dispatch import write_splats

    folder.mkdir(parents=True, exist_ok=True)
    splats = splats_in_dataset_frame(tree)
    written, notes = [], []
    for format_ in formats:
        path = folder / f"splats.{format_}"
        done = write_splats(path, splats, antialiased=render_mode(tree) == "antialiased")
        written.append(path)
        notes += [f"{path.name}: {note}" for note in done.notes]
    return written, notes


def _table(folder: Path, written: Sequence[Path], notes: Sequence[str]) -> xr.DataTree:
    import numpy as np
    import xarray as xr

    data = [path.read_bytes() for path in written]
    columns = {
        "path": np.array([p.relative_to(folder).as_posix() for p in written], np.str_),
        "sha256": np.array([hashlib.sha256(d).hexdigest() for d in data], np.str_),
        "bytes": np.array([len(d) for d in data], np.int64),
    }
    rows = {name: (("row",), column) for name, column in columns.items()}
    return xr.DataTree(xr.Dataset(rows, attrs={"notes": list(notes)}))
