"""Commands that bring files in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assets.cli.output import out, program
from assets.graph import find_scene
from assets.instance import prepare
from assets.scenes import Source, check_name, suggest_name, write_scene
from ops.errors import InputError
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

_NOTE = "A scene made of one splat file."


def export(scene_name: str, to: Path, cameras: str, version: str) -> None:
    """Write splats or cameras; see the help text of the command."""
    home = Home.find()
    scene = find_scene(scene_name, home)
    store = Store(home.store)
    if cameras:
        tree = store.artifact(f"{scene.name}/capture/views").open(version or None)
        _export_cameras(tree, to, cameras)
        return
    from assets.bridge.splats import render_mode, splats_in_dataset_frame
    from ops.splats.files.dispatch import write_splats

    name = "imported" if scene.source.kind == "splats" else "trained"
    tree = store.artifact(f"{scene.name}/splats/{name}").open(version or None)
    splats = splats_in_dataset_frame(tree)
    done = write_splats(to, splats, antialiased=render_mode(tree) == "antialiased")
    out.print(f"wrote {to}: {len(splats)} Gaussians, SH degree {splats.sh_degree}", highlight=False)
    for note in done.notes:
        out.print(f"[dim]{note}[/]", highlight=False)


def _export_cameras(tree: xr.DataTree, to: Path, layout: str) -> None:
    from assets.bridge.camera_files import write_cameras, write_photos
    from ops.splats.files.dispatch import READABLE

    if layout not in ("transforms", "colmap"):
        raise InputError(f"--cameras: expected transforms or colmap, found {layout!r}")
    suffix = next((s for s in READABLE if to.name.lower().endswith(s)), "")
    if suffix and not to.is_dir():
        raise InputError(
            f"--to: expected a folder for cameras and photos, found {str(to)!r}, which names a "
            f"splat file ({suffix}); name a folder, or leave --cameras out to write splats"
        )
    if to.exists() and not to.is_dir():
        raise InputError(f"--to: expected a folder for cameras, found the file {to}")
    files = write_cameras(to, tree, layout)  # type: ignore[arg-type]
    photos = write_photos(to, tree)
    for file in files:
        out.print(f"wrote {file}", highlight=False, soft_wrap=True)
    out.print(f"wrote {len(photos)} photos below {to}", highlight=False, soft_wrap=True)


def import_(file: Path, name: str) -> None:
    """Read a splat file and make a scene of it; see the help text of the command."""
    from ops.splats.files.dispatch import read_splats

    found = read_splats(file)
    home = Home.find()
    name = check_name(name or suggest_name(file))
    prepare(home)
    source = Source(kind="splats", path=str(file.resolve()))
    written = write_scene(home, name, source, {}, _NOTE)
    out.print(f"[bold]{name}[/]: {len(found.splats)} Gaussians, SH degree {found.splats.sh_degree}")
    out.print(f"settings: {written}", highlight=False, soft_wrap=True)
    out.print(f"next:     {program()} materialize {name}", highlight=False)
