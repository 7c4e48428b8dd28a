"""Commands about scenes."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from assets.cli.output import emit, out, program
from assets.graph import known_sections, scenes_of, sections_of, study_sections, study_settings
from assets.instance import prepare
from assets.scenes import (
    STUDIES,
    Source,
    check_name,
    load_scene,
    suggest_name,
    write_scene,
)
from assets.settings import Section, resolve
from ops.capture.settings import CaptureSettings
from ops.errors import InputError
from ops.splats.settings import TrainSettings
from storage.home import Home


def _note(source: Source) -> str:
    """What stands at the top of a new scene's file."""
    studies = study_sections()
    example = ", ".join(f'"{name}"' for name in studies)
    of_studies = "".join(f"; of study {k}: {', '.join(names)}" for k, names in studies.items())
    text = (
        "A Splatworks scene. Change a setting here and refresh: only what depends on it is "
        f"computed. Sections, each at most once: {', '.join(sections_of(source))}{of_studies}. "
        "What can be set, and the defaults, stand in the Dagster UI beside each artifact, and in "
        "ops/*/settings.py (a few in assets/). A line above the first section names studies: "
    )
    lines = textwrap.wrap(text, 96, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, f"studies = [{example}]"])


def add(
    folder: Path,
    name: str,
    layout: str,
    max_size: int,
    downscale: int,
    masks: str,
    preset: str,
    studies: list[str],
) -> None:
    """Check a folder and write its scene's file; see the help text of the command."""
    from ops.capture.readers.detect import read_dataset

    home = Home.find()
    name = check_name(name or suggest_name(folder.resolve()))
    size = {"downscale": downscale} if downscale else {"max_size": max_size}
    tables: dict[str, dict[str, Any]] = {"capture": {**size}, "train": {"preset": preset}}
    if masks != "exclude":
        tables["capture"]["masks"] = masks
    for study, _, chosen in (s.partition("=") for s in studies):
        if study not in STUDIES:
            known = ", ".join(STUDIES)
            raise InputError(f"--study: no study is called {study!r}; there are: {known}")
        tables |= {study: {"preset": chosen}} if chosen else {}
        resolve(study_settings(study), tables.get(study, {}), Section(study))
    resolve(CaptureSettings, tables["capture"], Section("capture"))
    resolve(TrainSettings, tables["train"], Section("train"))
    found = read_dataset(folder, layout or None)
    prepare(home)
    source = Source(kind="dataset", path=str(folder.resolve()), layout=found.layout)
    wanted = tuple(dict.fromkeys(s.partition("=")[0] for s in studies))
    file = write_scene(home, name, source, tables, _note(source), wanted)
    load_scene(file, known_sections())
    out.print(f"[bold]{name}[/]: {len(found.frames)} photos, layout {found.layout}")
    for note in found.notes:
        out.print(f"[dim]{note}[/]", highlight=False)
    if found.missing:  # how many they are is one of the notes
        some = ", ".join(found.missing[:20])
        more = f" and {len(found.missing) - 20} more" if len(found.missing) > 20 else ""
        out.print(f"[yellow]left out, because they are not there:[/] {some}{more}", highlight=False)
    out.print(f"settings: {file}", highlight=False, soft_wrap=True)
    also = "".join(f" {name}/{study}" for study in wanted)
    out.print(f"next:     {program()} materialize {name}{also}", highlight=False)


def scenes(as_json: bool) -> None:
    """List the scenes."""
    rows = []
    for name, scene in scenes_of(Home.find()).items():
        if isinstance(scene, InputError):
            rows.append({"scene": name, "from": "(cannot be read)", "file": str(scene)})
            continue
        origin = "built in" if scene.source.kind == "demo" else str(scene.source_path)
        rows.append({"scene": name, "from": origin, "file": str(scene.file or "(defaults)")})
    emit(rows, as_json)
