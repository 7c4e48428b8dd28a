"""Dropping versions that nobody needs, and the space they take."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from storage import attachments, backend, touched
from storage.backend import translated
from storage.errors import NamedError
from storage.lock import hold, writer
from storage.version import Version

if TYPE_CHECKING:
    import icechunk

    from storage.artifact import ArtifactRepository

_REMOVED = ".removed-"  # no part of a key begins with a dot


@dataclass(frozen=True)
class Pruned:
    """What was dropped, or would be."""

    versions: tuple[Version, ...]
    bytes: int
    """Space on disk that this frees."""


def prune(
    artifact: ArtifactRepository,
    *,
    keep: int = 0,
    spare: timedelta = timedelta(hours=1),
    dry_run: bool = False,
    lock_timeout: float = 0.0,
) -> Pruned:
    """Drop versions, except the current one and those with a name.

    Unfinished data that dead writers left, repositories that were set aside as damaged, and kept
    files (see :mod:`storage.attachments`) of no version go too. The numbers of dropped versions are
    not used again.

    Args:
        artifact: Whose versions.
        keep: How many of the newest others to keep as well.
        spare: Younger ones stay: somebody may be reading them.
        dry_run: Only say what would go, and how much space it would free.
        lock_timeout: Seconds to wait for a writer; by default none.

    Raises:
        LockedError: A writer or a maker holds the artifact; nothing was dropped.
    """
    if not artifact.repository.is_dir():
        return Pruned((), 0)
    with _held(artifact, lock_timeout):
        now = datetime.now(UTC)
        history = artifact.history()
        others = [v for v in history if not v.current and not v.names]
        # What was made in the future, by a clock that was wrong, is as old as any.
        young = [v for v in others if timedelta(0) <= now - v.created < spare]
        newest = others[len(others) - keep :] if keep else []
        dropped = tuple(v for v in others if v not in young and v not in newest)
        aside = list(artifact.folder.glob("repository.damaged-*"))
        freed = sum(_size(folder) for folder in aside)
        files = [d for v in history if v not in dropped for d in v.provenance.files.values()]
        freed += attachments.sweep(artifact.folder, files, dry_run=dry_run)
        if dry_run:
            with translated(artifact.folder, artifact.key):
                return Pruned(dropped, freed + _would_free(artifact.repository, dropped))
        untouched = touched.is_untouched(artifact)
        with translated(artifact.folder, artifact.key):
            freed += _drop(backend.open_repository(artifact.repository), dropped, dry_run=False)
        for version in dropped:
            for record in artifact.records.glob(f"{version.snapshot_id}.*"):
                record.unlink()
        for folder in aside:
            shutil.rmtree(folder)
        if untouched:
            touched.after_pruning(artifact)
        return Pruned(dropped, freed)


@contextmanager
def _held(artifact: ArtifactRepository, timeout: float) -> Iterator[None]:
    """Nobody makes it (a maker may want an old version back) and nobody writes it."""
    with (
        hold("maker", artifact.folder, artifact.key, timeout, "prune"),
        writer(artifact.folder, artifact.key, timeout),
    ):
        yield


def remove(artifact: ArtifactRepository, *, dry_run: bool = False) -> Pruned:
    """Remove an artifact with all of its versions, in one step; none of them may have a name.

    Raises:
        NamedError: A version has a name, and is kept for ever; nothing was removed.
        LockedError: A writer or a maker holds it; nothing was removed.
    """
    if not artifact.folder.is_dir():
        return Pruned((), 0)
    with _held(artifact, 0.0):
        history = artifact.history()
        named = [f"{v.tag} ({', '.join(v.names)})" for v in history if v.names]
        if named:
            raise NamedError(
                f"{artifact.key}: versions with a name are kept for ever: {', '.join(named)}. If "
                f"nobody needs them, delete {artifact.folder} yourself.",
                artifact=artifact.key,
            )
        done = Pruned(tuple(history), _size(artifact.folder))
        if not dry_run:
            aside = artifact.folder.with_name(f"{_REMOVED}{artifact.folder.name}-{os.getpid()}")
            with translated(artifact.folder, artifact.key):
                artifact.folder.rename(aside)
    if not dry_run:
        shutil.rmtree(aside)
        for parent in artifact.folder.parents[:2]:
            with suppress(OSError):  # somebody else's artifact is in it
                parent.rmdir()
    return done


def half_removed(store: Path) -> list[Path]:
    """Folders of artifacts whose removal was interrupted; nothing leads to them any more."""
    return [path for path in store.glob(f"*/*/{_REMOVED}*") if path.is_dir()]


def _size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _drop(repo: icechunk.Repository, versions: tuple[Version, ...], *, dry_run: bool) -> int:
    for version in versions:
        repo.delete_tag(version.tag)
    # Nobody else writes, so whatever nothing leads to can go, whatever its clock says.
    later = datetime.now(UTC) + timedelta(days=3650)
    return int(repo.garbage_collect(later, dry_run=dry_run).bytes_deleted)


def _would_free(repository: Path, versions: tuple[Version, ...]) -> int:
    """What dropping these versions frees, tried on a copy of the tags beside the real data."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for entry in repository.iterdir():
            if entry.name == "refs":
                shutil.copytree(entry, copy / "refs")
            else:
                (copy / entry.name).symlink_to(entry.absolute())
        return _drop(backend.open_repository(copy), versions, dry_run=True)
