"""Scenes: one small TOML file each, which says where the photos are and which settings differ."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tomlkit

from assets.settings import Section, resolve
from ops.errors import InputError
from storage.home import Home

DEMO = "demo"
DEMO_TABLES: dict[str, dict[str, Any]] = {  # within minutes on a laptop
    "train": {"preset": "preview", "iterations": 2_000},
    "mipmap": {"preset": "preview"},
    "mipmap_base": {"preset": "preview", "iterations": 2_000},
}
STUDY_PRESETS: dict[str, dict[str, dict[str, str]]] = {
    "mipmap": {
        "mipmap_base": {"paper": "full"},
        **{s: {} for s in ("mipmap_prior", "mipmap_pseudo", "mipmap_adapt")},
    }
}
"""A preset of a section is that of other sections too, or that which stands here, unless they name
one themselves."""
STUDIES: tuple[str, ...] = (
    "mipmap",
)  # topics that a scene may have besides its core; the demo has all
EVERYTHING = "everything"  # the Dagster job of all artifacts; scenes have jobs of their names
REFRESH = "refresh"  # the Dagster job that brings artifacts up to date
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")  # Dagster joins the parts of a key with two of "_"
_LONGEST = 63
_TWICE = re.compile(r"Cannot declare (\(.*\)) twice")  # tomllib, of a table's second header


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a scene comes from: the ``[source]`` section of its file."""

    kind: Literal["dataset", "demo", "splats"] = "dataset"
    """``dataset``: a folder of photos; ``demo``: the built-in scene; ``splats``: a splat file."""
    path: str = ""
    """The folder or file, absolute or relative to the scene's file."""
    layout: str = ""
    """How to read the folder; empty: as it looks."""


@dataclass(frozen=True)
class Scene:
    """A scene as its file states it."""

    name: str
    source: Source
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: Path | None = None
    studies: tuple[str, ...] = ()
    """Topics that the scene has besides its core."""

    def settings(self, kind: type, section: str, variant: str = "") -> Any:
        """The settings of one stage: the defaults with the overrides of this scene.

        Args:
            kind: The settings dataclass.
            section: The table of the scene's file.
            variant: A table inside that one, whose values go before those of the section.

        Raises:
            InputError: For a value that cannot be used, with file, line and key.
        """
        table = self.tables.get(section, {})
        if not variant:
            return resolve(kind, table, Section(section, self.file))
        own = table.get(variant, {})
        if own:
            resolve(kind, own, Section(f"{section}.{variant}", self.file))  # names its own place
        common = {k: v for k, v in table.items() if not isinstance(v, dict)}
        return resolve(kind, {**common, **own}, Section(section, self.file))

    def variants(self, section: str) -> list[str]:
        """The tables inside a section of the scene's file."""
        return [k for k, v in self.tables.get(section, {}).items() if isinstance(v, dict)]

    @property
    def source_path(self) -> Path:
        """The absolute path of the folder or file that the scene comes from."""
        path = Path(self.source.path).expanduser()
        base = Path.cwd() if self.file is None else self.file.parent
        return path if path.is_absolute() else (base / path).resolve()


def check_name(name: str) -> str:
    """``name``, if a scene may be called so.

    Raises:
        InputError: If it has other characters than lower-case letters, digits and single
            underscores between them, is too long, or is the name of a job.
    """
    if name in (EVERYTHING, REFRESH):
        raise InputError(f"scene name {name!r} is taken by a job of Splatworks; choose another")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InputError(
            "scene name: expected lower-case letters and digits, with single underscores between "
            f"them, at most {_LONGEST} characters; found {name!r}; choose another with --name"
        )
    return name


def suggest_name(path: Path) -> str:
    """A scene name made from a folder's or file's name."""
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower() if path.is_file() else path.name.lower())
    return name[:_LONGEST].strip("_") or "scene"


def load_scene(
    file: Path, known_sections: frozenset[str], known_studies: tuple[str, ...] = STUDIES
) -> Scene:
    """Read a scene's file.

    Raises:
        InputError: With file and line, if it is not TOML or has sections nobody reads.
    """
    tables = _read(file)
    default = "demo" if file.stem == DEMO else "dataset"
    studies = _studies(tables.pop("studies", None), file, known_studies)
    for name, table in tables.items():
        if name not in known_sections | {"source"} or not isinstance(table, dict):
            raise InputError(
                f"{Section(name, file).place()}: no such section; "
                f"known: source, {', '.join(sorted(known_sections))}"
            )
    table = {"kind": default, **tables.pop("source", {})}
    source = resolve(Source, table, Section("source", file))
    if source.kind != "demo" and not source.path:
        raise InputError(f"{Section('source', file).place()}: path is missing; name the folder")
    if source.kind == "demo":
        tables |= {k: {**v, **tables.get(k, {})} for k, v in DEMO_TABLES.items()}
        studies = STUDIES if studies is None else studies
    return Scene(check_name(file.stem), source, _with_presets(tables), file, studies or ())


def _read(file: Path) -> dict[str, Any]:
    """What a file holds, as TOML.

    Raises:
        InputError: It is no TOML. A table that stands there twice, which is what becomes of an
            example pasted below a file that has that table already, is told in words of its own.
    """
    try:
        text = file.read_text("utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not a TOML file: {error}") from None
    except tomllib.TOMLDecodeError as error:
        found = _TWICE.match(str(error))
        if found is None:
            raise InputError(f"{file}: not a TOML file: {error}") from None
        parts = [a or b for a, b in re.findall(r"'([^']*)'|\"([^\"]*)\"", found[1])]
        name = ".".join(parts)
        dotted = r"\s*\.\s*".join(rf"[\"']?{re.escape(part)}[\"']?" for part in parts)
        header = re.compile(rf"\s*\[\s*{dotted}\s*\]")
        lines = [n for n, line in enumerate(text.splitlines(), 1) if header.match(line)]
        twice = len(lines) > 1
        place = f"{file}:{lines[1]}" if twice else str(file)
        first = f", first in line {lines[0]}" if twice else ""
        raise InputError(
            f"{place}: [{name}] stands here a second time{first}; merge the two [{name}] tables "
            "into one"
        ) from None


def _with_presets(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The tables with the presets that other sections give them, see ``STUDY_PRESETS``."""
    found = dict(tables)
    for section, others in STUDY_PRESETS.items():
        chosen = tables.get(section, {}).get("preset")
        if not isinstance(chosen, str):
            continue
        for other, names in others.items():
            found[other] = {"preset": names.get(chosen, chosen), **tables.get(other, {})}
    return found


def _studies(found: Any, file: Path, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The studies that a file names; None where it says nothing."""
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise InputError(f"{file}: studies: expected a list of names, found {found!r}")
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise InputError(f"{file}: studies: no study is called {name!r}; {hint}")
    return tuple(dict.fromkeys(found))


def all_scenes(home: Home, known_sections: frozenset[str]) -> dict[str, Scene | InputError]:
    """Every scene by name; one whose file cannot be read is given as its error.

    The built-in scene is always there; a file ``demo.toml`` only changes its settings.
    """
    demo = Scene(DEMO, Source(kind="demo"), _with_presets(DEMO_TABLES), studies=STUDIES)
    found: dict[str, Scene | InputError] = {DEMO: demo}
    for file in sorted(home.scenes.glob("*.toml")):
        try:
            found[file.stem] = load_scene(file, known_sections)
        except InputError as error:
            found[file.stem] = error
    return found


def write_scene(
    home: Home,
    name: str,
    source: Source,
    tables: Mapping[str, Mapping[str, Any]],
    note: str,
    studies: Sequence[str] = (),
) -> Path:
    """Write a new scene's file, in one step.

    Raises:
        InputError: If there is a scene of that name already, which stays as it was, or if the
            name is taken by the built-in scene.
    """
    if name == DEMO:
        raise InputError(f"scene name {name!r} is taken; choose another with --name")
    document = tomlkit.document()
    for line in note.splitlines():
        document.add(tomlkit.comment(line))
    if studies:
        document.add("studies", list(studies))
    entries = {k: v for k, v in vars(source).items() if v}
    for section, table in {"source": entries, **tables}.items():
        body = tomlkit.table()
        body.update(table)
        document.add(section, body)
    home.scenes.mkdir(parents=True, exist_ok=True)
    target = home.scenes / f"{check_name(name)}.toml"
    with tempfile.NamedTemporaryFile("w", dir=home.scenes, suffix=".new", delete=False) as new:
        new.write(tomlkit.dumps(document))
        new.flush()
        os.fsync(new.fileno())
    try:
        os.link(new.name, target)  # unlike a rename, refuses to replace what is there
    except FileExistsError:
        raise InputError(
            f"scene {name!r} exists already ({target}); choose another name with --name, "
            "or edit that file"
        ) from None
    finally:
        Path(new.name).unlink()
    return target
