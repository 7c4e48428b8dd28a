"""The store: a folder of artifacts, by key."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from storage.artifact import REPOSITORY, ArtifactRepository
from storage.errors import DamagedError, NewerStoreError, StorageError
from storage.home import cannot_write
from storage.version import Version
from storage.whole import write_whole

FORMAT = 1
"""Raised when a store written by this code could not be read, or not safely, by an older one."""
_MARKER = "splatworks.json"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_log = logging.getLogger(__name__)


class Store:
    """A folder of artifacts. Opening one creates nothing; the first write does."""

    def __init__(self, root: Path | str) -> None:
        """Open the store in folder ``root``.

        Raises:
            NewerStoreError: It was written by a newer Splatworks.
            DamagedError: Its marker file cannot be read.
        """
        self.root = Path(root)
        marker = self.root / _MARKER
        try:
            found = int(json.loads(marker.read_bytes())["format"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{marker}: expected the format number of the store, found something else "
                f'({error}). If you know the store is yours, write {{"format": {FORMAT}}} there.'
            ) from error
        if found > FORMAT:
            raise NewerStoreError.of(f"{self.root}: the store's format", found, FORMAT)

    def artifact(self, key: str) -> ArtifactRepository:
        """The artifact of a key such as ``fox/splats/trained``, whether or not it exists.

        Raises:
            StorageError: The key is not made of parts of letters, digits, ``_`` and ``-``.
        """
        parts = key.split("/")
        if not all(_PART.fullmatch(part) for part in parts):
            raise StorageError(
                f"expected an artifact's key, such as fox/splats/trained, found {key!r}. Parts are "
                "made of letters, digits, '_' and '-', with one '/' between them."
            )
        folder = self.root.joinpath(*parts)
        return ArtifactRepository(key, folder, keys=self.keys, prepare=self._prepare)

    def keys(self) -> list[str]:
        """Keys of all artifacts that have a version, sorted."""
        return sorted(_walk(self.root, ""))

    def current(self, keys: Iterable[str]) -> dict[str, Version | None]:
        """The current versions of many artifacts, in a fraction of a millisecond each.

        One whose current version cannot be told because of damage counts as missing, with a
        warning in the log: materializing it again repairs it.
        """
        found: dict[str, Version | None] = {}
        for key in keys:
            try:
                found[key] = self.artifact(key).current()
            except DamagedError as error:
                _log.warning("%s", error)
                found[key] = None
        return found

    def _prepare(self) -> None:
        """Write the marker file, in one step, where it does not exist."""
        marker = self.root / _MARKER
        if marker.exists():
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_whole(marker, json.dumps({"format": FORMAT}) + "\n")
        except OSError as error:
            raise cannot_write(self.root, error) from error


def _walk(folder: Path, key: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name == REPOSITORY:
            with os.scandir(Path(entry.path) / "refs") as refs:
                if any(re.match(r"tag\.v[0-9]", ref.name) for ref in refs):
                    yield key
        elif _PART.fullmatch(entry.name) and entry.is_dir():
            yield from _walk(Path(entry.path), f"{key}/{entry.name}".lstrip("/"))
