"""Commands about artifacts."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from assets.cli.app import emit, err, out, program
from assets.cli.scenes import find_scene
from assets.freshness import scene_status
from assets.graph import known_sections, select
from assets.run import Summary
from assets.run import materialize as run
from assets.scenes import Scene, all_scenes
from ops.errors import InputError
from storage.artifact import ArtifactRepository, Version
from storage.home import Home
from storage.store import Store


def materialize(selection: list[str], force: bool, quiet: bool, as_json: bool) -> None:
    """Make the selected artifacts; see the help text of the command."""
    home = Home.find()
    wanted = [(find_scene(s, home), s) for s in selection]
    for scene, s in wanted:
        select(scene, s)  # every name is checked before anything runs
    summaries: dict[str, Summary] = {}
    for scene, s in wanted:
        started = time.perf_counter()
        summaries[s] = run(scene, s, home, force, quiet or as_json)
        if not as_json:
            _report(s, summaries[s], time.perf_counter() - started)
            if not summaries[s].failed and s == scene.name:
                _what_next(scene, home)
    if as_json:
        rows = {s: vars(m) | {"failed": [vars(f) for f in m.failed]} for s, m in summaries.items()}
        out.print_json(json.dumps(rows))
    failed = [f for m in summaries.values() for f in m.failed]
    if failed:
        sys.exit(2 if all(f.bad_input for f in failed) else 1)
    if any(m.skipped for m in summaries.values()):
        sys.exit(1)


def _report(selection: str, summary: Summary, seconds: float) -> None:
    for failure in summary.failed:
        err.print(f"[bold red]failed[/] {failure.key}: ", end="")
        err.print(failure.message, markup=False, highlight=False, soft_wrap=True)
    for key in summary.skipped:
        err.print(f"[yellow]not made[/] {key}", highlight=False)
    if not summary.ran and not summary.failed:
        out.print(f"{selection}: all {len(summary.fresh)} artifacts are fresh, nothing to do")
    elif not summary.failed:
        out.print(f"{selection}: done in {seconds:.0f} s, {len(summary.ran)} steps")


def _what_next(scene: Scene, home: Home) -> None:
    """Three lines after a scene is complete."""
    folder = home.exports / scene.name
    sheet = folder / "contact_sheet.png"
    look = f"{sheet}, and splat files beside it" if sheet.is_file() else str(folder)
    lines = {
        "look": look,
        "explore": "make ui (the graph, in a browser), make lab (notebooks/01_first_look.ipynb)",
        "go on": f"{program()} add FOLDER (your own photos), {program()} --help",
    }
    for name, text in lines.items():
        out.print(f"[bold]{name:8}[/] {text}", highlight=False, soft_wrap=True)


def status(selection: list[str] | None, as_json: bool) -> None:
    """Show the state of artifacts."""
    home = Home.find()
    store = Store(home.store)
    everything = all_scenes(home, known_sections())
    rows: list[dict[str, Any]] = []
    for name in selection or list(everything):
        scene = find_scene(name, home) if selection else everything[name]
        if isinstance(scene, InputError):
            rows.append(_row(name, "broken", [str(scene)], None))
            continue
        rows += _scene_rows(scene, name if selection else scene.name, home, store)
    emit(rows, as_json)


def _scene_rows(scene: Scene, selection: str, home: Home, store: Store) -> list[dict[str, Any]]:
    wanted = None if selection == scene.name else {s.key for s in select(scene, selection)}
    return [
        _row(s.key, s.state, list(s.reasons), s.version)
        for key, s in scene_status(scene, home, store).items()
        if wanted is None or key in wanted
    ]


def _row(key: str, state: str, reasons: list[str], version: Version | None) -> dict[str, Any]:
    return {
        "artifact": key,
        "state": state,
        "version": version.tag if version else None,
        "made": version.created if version else None,
        "seconds": version.provenance.seconds if version else None,
        "bytes": version.nbytes if version else None,
        "why": reasons,
    }


def repository(artifact: str) -> ArtifactRepository:
    """The repository of an artifact of an existing scene.

    Raises:
        InputError: If the scene has no such artifact.
    """
    home = Home.find()
    chosen = select(find_scene(artifact, home), artifact)
    if artifact.strip("/").count("/") != 2:
        names = ", ".join(f"{artifact.partition('/')[0]}/{s.key}" for s in chosen)
        raise InputError(f"{artifact!r} names more than one artifact; choose one of: {names}")
    return Store(home.store).artifact(artifact.strip("/"))


def history(artifact: str, as_json: bool) -> None:
    """List versions."""
    rows = [
        {
            "version": v.tag,
            "current": v.current,
            "made": v.created,
            "seconds": v.provenance.seconds,
            "bytes": v.nbytes,
            "content": v.content_hash,
            "code": v.provenance.code,
            "device": v.provenance.device,
            "notes": list(v.provenance.notes),
        }
        for v in reversed(repository(artifact).history())
    ]
    emit(rows, as_json)


def diff(artifact: str, old: str, new: str, as_json: bool) -> None:
    """Show what differs between two versions."""
    difference = repository(artifact).diff(old, new)
    if as_json:
        out.print_json(json.dumps(difference.as_json(), default=str))
        return
    out.print(difference.as_text(), highlight=False, markup=False)
