"""Dropping versions that nobody needs, and the space they take."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from storage import backend
from storage.backend import translated
from storage.lock import writer
from storage.version import Version

if TYPE_CHECKING:
    import icechunk

    from storage.artifact import ArtifactRepository


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

    Unfinished data that dead writers left, and repositories that were set aside as damaged, go
    too. The numbers of dropped versions are not used again.

    Args:
        artifact: Whose versions.
        keep: How many of the newest others to keep as well.
        spare: Younger ones stay: somebody may be reading them.
        dry_run: Only say what would go, and how much space it would free.
        lock_timeout: Seconds to wait for a writer; by default none.

    Raises:
        LockedError: A writer holds the artifact; nothing was dropped.
    """
    if not artifact.repository.is_dir():
        return Pruned((), 0)
    with writer(artifact.folder, artifact.key, lock_timeout):
        now = datetime.now(UTC)
        others = [v for v in artifact.history() if not v.current and not v.names]
        # What was made in the future, by a clock that was wrong, is as old as any.
        young = [v for v in others if timedelta(0) <= now - v.created < spare]
        newest = others[len(others) - keep :] if keep else []
        dropped = tuple(v for v in others if v not in young and v not in newest)
        aside = list(artifact.folder.glob("repository.damaged-*"))
        freed = sum(f.stat().st_size for d in aside for f in d.rglob("*") if f.is_file())
        with translated(artifact.folder, artifact.key):
            if dry_run:
                return Pruned(dropped, freed + _would_free(artifact.repository, dropped))
            repo = backend.open_repository(artifact.repository)
            freed += _drop(repo, dropped, dry_run=False)
        for version in dropped:
            for record in artifact.records.glob(f"{version.snapshot_id}.*"):
                record.unlink()
        for folder in aside:
            shutil.rmtree(folder)
        return Pruned(dropped, freed)


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
