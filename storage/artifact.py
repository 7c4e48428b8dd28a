"""One artifact: its versions in an Icechunk repository of its own.

A version is a snapshot with a tag (``v1``, ``v2``, ...); the current one is where branch ``main``
points. Every write makes a new snapshot from nothing, tags it, then moves ``main``: a version is
seen in one step, when it is complete, and a writer that dies leaves the last one as it was.
History is the list of tags, because restoring moves ``main`` back. Writers hold a file lock;
readers need none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from storage import backend, touched, writing
from storage import version as versions
from storage.backend import translated
from storage.errors import (
    ArtifactNotFoundError,
    DamagedError,
    LockedError,
    NameTakenError,
    VersionNotFoundError,
)
from storage.home import cannot_write
from storage.lock import writer
from storage.provenance import Provenance
from storage.schema import Schema, check, known, migrate
from storage.version import TAG, Version

if TYPE_CHECKING:
    import icechunk
    import xarray as xr

    from storage.difference import Difference
    from storage.pruning import Pruned
    from storage.schema import Data

REPOSITORY = "repository.icechunk"
"""Folder of the Icechunk repository inside the artifact's folder; any Icechunk opens it."""
RECORDS = "versions"
"""Folder of what is remembered of versions, see :mod:`storage.version`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Guard:
    """Wraps every read of a version: errors of our tree, and damage is remembered."""

    artifact: str
    folder: Path
    snapshot_id: str

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        try:
            with translated(self.folder, self.artifact, what):
                yield
        except DamagedError as error:
            with suppress(OSError):
                versions.mark_damaged(self.snapshot_id, self.folder / RECORDS, str(error))
            raise


class ArtifactRepository:
    """The versions of one artifact. Get it from :meth:`storage.store.Store.artifact`."""

    def __init__(
        self,
        key: str,
        folder: Path,
        *,
        keys: Callable[[], Iterable[str]] = tuple,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Name an artifact; nothing is opened or created.

        Args:
            key: Such as ``fox/splats/trained``.
            folder: Where it is kept.
            keys: Names the artifacts there are, for messages.
            prepare: Called before anything is written.
        """
        self.key = key
        self.folder = folder
        self._keys = keys
        self._prepare = prepare

    @property
    def repository(self) -> Path:
        """The folder of the Icechunk repository."""
        return self.folder / REPOSITORY

    @property
    def records(self) -> Path:
        """The folder of what is remembered of versions."""
        return self.folder / RECORDS

    # Reading

    def current(self) -> Version | None:
        """The current version, or None where there is none.

        Raises:
            DamagedError: What says which one it is cannot be read.
        """
        snapshot = self._main()
        version = None if snapshot is None else self._version(snapshot)
        return None if version is None else replace(version, current=True)

    def history(self) -> list[Version]:
        """All versions, oldest first. One whose description is damaged is left out, and logged."""
        if self._main() is None:
            return []
        with translated(self.repository, self.key):
            repo = backend.open_repository(self.repository)
            tags = {tag: repo.lookup_tag(tag) for tag in repo.list_tags()}
        main = self._main()
        found = []
        for snapshot, number in versions.numbers(tags).items():
            try:
                version = self._version(snapshot, number, repo)
            except DamagedError as error:
                _log.warning("%s: v%d is left out: %s", self.key, number, error)
                continue
            if version is not None:
                names = (t for t, s in tags.items() if s == snapshot and not TAG.fullmatch(t))
                found.append(replace(version, current=snapshot == main, names=tuple(sorted(names))))
        return sorted(found, key=lambda v: v.number)

    def resolve(self, version: str | None = None) -> Version:
        """The version of a tag (``v3``) or a name given by a user; None for the current one.

        Raises:
            ArtifactNotFoundError: There is no current version.
            VersionNotFoundError: There is no such version.
        """
        current = self.current()
        if version is None or (current is not None and version == current.tag):
            if current is None:
                raise ArtifactNotFoundError.among(self.key, self._keys())
            return current
        history = self.history()
        for candidate in history:
            if version == candidate.tag or version in candidate.names:
                return candidate
        if not history:
            raise ArtifactNotFoundError.among(self.key, self._keys())
        there = ", ".join(name for v in history for name in (v.tag, *v.names))
        raise VersionNotFoundError(
            f"{self.key}: expected one of its versions ({there}), found {version!r}.",
            artifact=self.key,
        )

    def open(
        self,
        version: str | None = None,
        *,
        schema: Schema | None = None,
        as_stored: bool = False,
    ) -> xr.DataTree:
        """A version as a tree whose values are read when they are used.

        The tree stays as it is while newer versions are written. Its root has the attributes
        ``splatworks`` (schema, content hash) and ``provenance``.

        Args:
            version: A tag, a user's name, or None for the current version.
            schema: Checked against; by default the registered one of the name stored.
            as_stored: Neither migrated nor checked: what was written, whatever its schema is now.

        Raises:
            ArtifactNotFoundError, VersionNotFoundError: There is no such version.
            SchemaError: It has not the form of its schema, and no migration leads there.
            NewerStoreError: It was written by a newer Splatworks.
            DamagedError: Its description is damaged; damaged values raise it when they are read.
        """
        chosen = self.resolve(version)
        if not chosen.seals:  # its record was lost: believe nothing before all of it was read
            chosen = self.verify(chosen.tag)
        return self._open(chosen, schema, as_stored=as_stored)

    def find(self, recipe: str) -> Version | None:
        """The newest version that is not known to be damaged and was made by this recipe.

        See :attr:`Provenance.recipe`. The current version goes before newer ones.
        """
        made = [v for v in self.history() if v.provenance.recipe == recipe and not v.damage]
        return max(made, key=lambda v: (v.current, v.number), default=None)

    def verify(self, version: str | None = None) -> Version:
        """Read all of a version and compare it with its content hash.

        Raises:
            DamagedError: Naming the variable, and the rows where they are known.
        """
        from storage.content import content_hash
        from storage.layout import damaged_variables

        chosen = self.resolve(version)
        tree = self._open(chosen, None, as_stored=True)
        schema = Schema(name=chosen.schema, version=chosen.schema_version)
        if content_hash(tree, schema) != chosen.content_hash:
            names = ", ".join(damaged_variables(tree)) or "attributes"
            error = backend.damaged(self.key, names, f"{chosen.tag} is not what was written")
            with suppress(OSError):
                versions.mark_damaged(chosen.snapshot_id, self.records, str(error))
            raise error
        versions.unmark(chosen.snapshot_id, self.records)
        touched.remember(self, chosen)
        return replace(chosen if chosen.seals else self.seal(chosen), damage="")

    def diff(self, a: str, b: str | None = None) -> Difference:
        """What differs between two versions; ``b`` is the current one by default."""
        from storage.difference import difference

        old, new = self.resolve(a), self.resolve(b)
        return difference(old, new, lambda v: self._open(v, None, as_stored=True))

    # Writing

    def write(
        self,
        data: Data,
        schema: Schema,
        provenance: Provenance,
        *,
        message: str = "",
        lock_timeout: float = 60.0,
    ) -> Version:
        """Make ``data`` the current version, in one step, when all of it is written.

        Lazy arrays (Dask arrays, values of an opened version) are computed and written block by
        block, so data larger than memory can be written. Where the content equals that of the
        current version, its chunks are shared and only the provenance is new. Attributes of
        variables come from the schema; others are not kept.

        Args:
            data: A dataset, or a tree for a schema with children.
            schema: What it must look like.
            provenance: What made it.
            message: For people who read the history.
            lock_timeout: Seconds to wait for another writer.

        Returns:
            The new version.

        Raises:
            SchemaError: The data has not the form or the values that the schema declares.
            LockedError: Another writer holds the artifact.
            StoreFullError, ReadOnlyStoreError: It cannot be written; all versions are as before.
        """
        check(data, schema, self.key)
        with writer(self.folder, self.key, lock_timeout) as died:
            self._prepare()
            return writing.write(self, data, schema, provenance, message, died)

    def set_current(
        self, version: str, *, expected: str | None = None, lock_timeout: float = 60.0
    ) -> Version:
        """Make an earlier version current again, after reading all of it once.

        Args:
            version: Its tag or name.
            expected: Tag of the version that must be current until then, where that matters.
            lock_timeout: Seconds to wait for a writer.

        Raises:
            DamagedError: It is damaged, and the current version stays.
            LockedError: A writer holds the artifact, or another version than ``expected`` is
                current by now.
        """
        with writer(self.folder, self.key, lock_timeout):
            target, now = self.verify(version), self.current()
            if expected is not None and (now is None or now.tag != expected):
                raise LockedError(
                    f"{self.key}: expected {expected} to be current, found "
                    f"{now.tag if now else 'none'}: somebody else moved it. Look again.",
                    artifact=self.key,
                )
            with translated(self.folder, self.key):
                repo = backend.open_repository(self.repository)
                writing.move_main(repo, self.key, target.snapshot_id, self._main() or "")
            return replace(target, current=True)

    def tag(self, name: str, version: str | None = None, *, lock_timeout: float = 60.0) -> Version:
        """Give a version (the current one by default) a name; it is then kept for ever.

        Raises:
            NameTakenError: The name is not allowed, or is or was another version's name.
        """
        if not _NAME.fullmatch(name) or TAG.fullmatch(name):
            raise NameTakenError(
                f"{self.key}: expected a name of letters, digits, '.', '_' and '-' that is not "
                f"like v1, found {name!r}.",
                artifact=self.key,
            )
        with writer(self.folder, self.key, lock_timeout):
            target = self.resolve(version)
            with translated(self.folder, self.key):
                repo = backend.open_repository(self.repository)
                try:
                    repo.create_tag(name, snapshot_id=target.snapshot_id)
                except Exception as error:
                    if not backend.tag_exists(error):
                        raise
                    raise NameTakenError(
                        f"{self.key}: the name {name!r} is taken, or was once; names never move. "
                        "Choose another.",
                        artifact=self.key,
                    ) from error
            return replace(target, names=(*target.names, name))

    def prune(
        self, *, keep: int = 0, spare: timedelta = timedelta(hours=1), dry_run: bool = False
    ) -> Pruned:
        """Drop versions that are neither current nor named; see :func:`storage.pruning.prune`."""
        from storage.pruning import prune

        return prune(self, keep=keep, spare=spare, dry_run=dry_run)

    # Inside

    def _main(self) -> str | None:
        try:
            return backend.read_main(self.repository)
        except ValueError as error:
            raise backend.damaged(self.key, "", f"branch main: {error}") from error
        except OSError as error:
            raise cannot_write(self.repository, error, self.key) from error

    def _version(
        self, snapshot: str, number: int | None = None, repo: icechunk.Repository | None = None
    ) -> Version | None:
        """The version of a snapshot; None where no version tag points there."""
        if (remembered := versions.load(snapshot, self.records)) is not None:
            return remembered
        with translated(self.repository, self.key):
            repo = repo or backend.open_repository(self.repository)
            if number is None:
                tags = {tag: repo.lookup_tag(tag) for tag in repo.list_tags()}
                number = versions.numbers(tags).get(snapshot)
            if number is None:
                return None
            info = repo.lookup_snapshot(snapshot)
            version = versions.from_metadata(
                self.key, number, snapshot, info.written_at, info.metadata
            )
        with suppress(OSError):  # a store that may only be read is read without records
            versions.save(version, self.records)
        damage = versions.damage_of(snapshot, self.records)
        return replace(version, damage=damage)

    def _open(
        self, version: Version, schema: Schema | None, *, as_stored: bool = False
    ) -> xr.DataTree:
        from storage.layout import read_tree

        guard = _Guard(self.key, self.folder, version.snapshot_id)
        with guard(""):
            if broken := versions.broken_seal(version, self.repository):
                raise backend.damaged(self.key, "", f"{version.tag}: {broken}")
            repo = backend.open_repository(self.repository)
            store = repo.readonly_session(snapshot_id=version.snapshot_id).store
        tree = read_tree(store, guard)
        if not as_stored:
            schema = schema or known(version.schema, self.key)
            tree = migrate(tree, version.schema_version, schema, self.key)
            check(tree, schema, self.key)
        return tree

    def seal(self, version: Version) -> Version:
        """Remember a version that is known to be whole, with checksums of its files."""
        with translated(self.repository, self.key):
            repo = backend.open_repository(self.repository)
            manifests = [m.id for m in repo.lookup_snapshot(version.snapshot_id).manifests]
        sealed = versions.seal(self.repository, version.snapshot_id, manifests)
        version = replace(version, seals=sealed)
        with suppress(OSError):  # a store that may only be read is read without records
            versions.save(version, self.records)
        return version
