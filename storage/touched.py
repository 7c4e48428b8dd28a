"""Whether the files of stored versions were touched behind our back, told by looking at them.

Reading all of a store to find damage takes minutes; looking at sizes and times takes milliseconds.
So the files of a repository are remembered as they were when its current version was last known to
be whole, and it is read again only if one of them is gone or looks different. Bits that rot on a
disk without a trace are found when they are read, by their checksums.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import StorageError
from storage.whole import write_whole

if TYPE_CHECKING:
    from storage.artifact import ArtifactRepository
    from storage.version import Version

_FILE = "untouched.json"


def damage(artifact: ArtifactRepository, version: Version) -> str:
    """What is damaged in a version; empty where nothing is.

    Reads all of it if its files were touched since it was known to be whole, else nothing.
    """
    if version.damage:
        return version.damage
    known = _recall(artifact.folder)
    now = dict(_files(artifact.repository))
    if version.snapshot_id in known.get("versions", ()) and _same(known, now):
        return ""
    try:
        artifact.verify(version.tag)
    except StorageError as error:
        return str(error)
    remember(artifact, version, now)
    return ""


def remember(
    artifact: ArtifactRepository, version: Version, files: dict[str, list[int]] | None = None
) -> None:
    """Note that a version is whole, with the files as they are now."""
    now = dict(_files(artifact.repository)) if files is None else files
    known = _recall(artifact.folder)
    before = known["versions"] if _same(known, now) else ()
    _note(artifact, sorted({*before, version.snapshot_id}), now)


def _note(
    artifact: ArtifactRepository, versions: list[str], files: dict[str, list[int]] | None = None
) -> None:
    files = dict(_files(artifact.repository)) if files is None else files
    with suppress(OSError):  # a store that may only be read is looked through each time
        write_whole(artifact.folder / _FILE, json.dumps({"versions": versions, "files": files}))


def is_untouched(artifact: ArtifactRepository) -> bool:
    """Whether the files look as they did when the current version was last known to be whole."""
    return _same(_recall(artifact.folder), dict(_files(artifact.repository)))


def after_pruning(artifact: ArtifactRepository) -> None:
    """Note that files are gone because they were dropped, where all was untouched before."""
    there = {v.snapshot_id for v in artifact.history()}
    _note(artifact, sorted(there.intersection(_recall(artifact.folder)["versions"])))


_Known = dict[str, Any]  # versions: snapshots known to be whole; files: stamps by name


def _same(known: _Known, now: Mapping[str, list[int]]) -> bool:
    """Whether every remembered file looks as it did; False where nothing is remembered."""
    return bool(known) and all(now.get(name) == stamp for name, stamp in known["files"].items())


def _recall(folder: Path) -> _Known:
    try:
        known = json.loads((folder / _FILE).read_text())
        return known if {"versions", "files"} <= known.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _files(repository: Path) -> Iterator[tuple[str, list[int]]]:
    """Size and time of change of the files that hold what versions are made of."""
    for part in ("chunks", "manifests", "snapshots"):
        try:
            entries = list(os.scandir(repository / part))
        except OSError:
            continue
        for entry in entries:
            with suppress(OSError):
                stat = entry.stat()
                yield f"{part}/{entry.name}", [stat.st_size, stat.st_mtime_ns]
