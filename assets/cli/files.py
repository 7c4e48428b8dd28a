"""Commands that bring files in and out."""

from __future__ import annotations

from pathlib import Path

from assets.cli.app import out
from assets.cli.scenes import find_scene
from assets.instance import prepare
from assets.scenes import Source, check_name, suggest_name, write_scene
from ops.errors import InputError
from storage.home import Home
from storage.store import Store

_NOTE = "A scene made of one splat file."


def export(scene_name: str, to: Path, cameras: str, version: str) -> None:
    """Write splats or cameras; see the help text of the command."""
    home = Home.find()
    scene = find_scene(scene_name, home)
    store = Store(home.store)
    if cameras:
        if cameras not in ("transforms", "colmap"):
            raise InputError(f"--cameras: expected transforms or colmap, found {cameras!r}")
        from ops.capture.writers import write_cameras

        from assets.bridge.views import cameras_from

        tree = store.artifact(f"{scene.name}/capture/views").open(version or None)
        files = write_cameras(to, cameras_from(tree), layout=cameras)
        for file in files:
            out.print(f"wrote {file}", highlight=False, soft_wrap=True)
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
    out.print(f"next:     splatworks materialize {name}", highlight=False)
