"""How a version comes to be. Everything here runs under the lock of its artifact.

A snapshot is written from the empty one (so that nothing depends on what other versions are
like), or, where the content is that of the current version, from the current one with new
provenance only. Then it gets its tag, and last of all ``main`` moves.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from storage import backend, touched
from storage import version as versions
from storage.backend import translated
from storage.errors import ClockError, DamagedError, LockedError, StorageError
from storage.provenance import Provenance
from storage.schema import Schema, content_attrs
from storage.version import Version

if TYPE_CHECKING:
    import icechunk

    from storage.artifact import ArtifactRepository
    from storage.schema import Data

_PATIENCE = timedelta(seconds=10)  # with a clock that was set back a little
_EMPTY = "empty"  # a branch that stays at the first, empty snapshot
_log = logging.getLogger(__name__)


def write(
    artifact: ArtifactRepository,
    data: Data,
    schema: Schema,
    provenance: Provenance,
    message: str,
    died: bool,
) -> Version:
    """Write ``data`` as the current version; see :meth:`ArtifactRepository.write`.

    Args:
        artifact: Whose version.
        data: Of the form that ``schema`` declares.
        schema: What it looks like.
        provenance: What made it.
        message: For people.
        died: Whether an earlier writer died; what it left is removed.
    """
    repo, main = _open(artifact)
    if died:
        sweep(repo, artifact.key)
    _wait_for_the_clock(artifact.key, repo)
    try:
        with translated(artifact.folder, artifact.key, writing=True):
            snapshot = _flush(artifact, repo, data, schema, provenance, message)
            return _publish(artifact, repo, snapshot, main)
    except BaseException:
        sweep(repo, artifact.key)
        raise


def _open(artifact: ArtifactRepository) -> tuple[icechunk.Repository, str]:
    """The repository and where main is. One that is damaged is set aside, and a new one made."""
    try:
        return _open_in_place(artifact)
    except DamagedError as error:
        places = (artifact.folder / f"repository.damaged-{n}" for n in range(1, 10_000))
        aside = next(place for place in places if not place.exists())
        _log.warning("%s It is set aside as %s.", error, aside.name)
        with translated(artifact.folder, artifact.key):
            artifact.repository.rename(aside)
        return _open_in_place(artifact)


def _open_in_place(artifact: ArtifactRepository) -> tuple[icechunk.Repository, str]:
    with translated(artifact.folder, artifact.key):
        repo = backend.open_repository(artifact.repository, create=True)
        main = repo.lookup_branch("main")
        if _EMPTY not in repo.list_branches():
            first = list(repo.ancestry(branch="main"))[-1]
            repo.create_branch(_EMPTY, first.id)
        # All that is needed later is tried now, while setting aside is still possible.
        for tag in repo.list_tags():
            repo.lookup_tag(tag)
        repo.lookup_snapshot(repo.lookup_branch(_EMPTY))
        return repo, main


def _wait_for_the_clock(artifact: str, repo: icechunk.Repository) -> None:
    """Icechunk refuses a snapshot that is older than the one it begins from: see before writing."""
    begun = _ahead(repo, repo.lookup_branch(_EMPTY))
    if begun > _PATIENCE:
        now = datetime.now(UTC)
        raise ClockError(
            f"{artifact}: the clock of this machine says {now:%Y-%m-%d %H:%M} UTC, this artifact "
            f"was begun at {now + begun:%Y-%m-%d %H:%M}. Set the clock right, then run again; "
            "nothing was changed.",
            artifact=artifact,
        )
    time.sleep(max(begun.total_seconds(), 0))


def _ahead(repo: icechunk.Repository, snapshot: str) -> timedelta:
    """How far in the future a snapshot was made, by the clock as it is now."""
    return repo.lookup_snapshot(snapshot).written_at - datetime.now(UTC)


def _flush(
    artifact: ArtifactRepository,
    repo: icechunk.Repository,
    data: Data,
    schema: Schema,
    provenance: Provenance,
    message: str,
) -> str:
    """Write a snapshot that nothing points to yet; its id."""
    import zarr

    from storage.blocks import groups_of, in_memory, nbytes
    from storage.content import combine, variable_hashes
    from storage.layout import write_tree

    record = provenance.to_json()
    # The time makes sure that there is something to commit.
    root = {"provenance": record, "written": datetime.now(UTC).isoformat()}
    session = None
    hashes, digest = None, ""
    if in_memory(data):
        hashes = variable_hashes(data)
        attrs = {path: content_attrs(group.attrs) for path, group in groups_of(data)}
        digest = combine(hashes, attrs, schema)
    if not digest or not _may_share(artifact, repo, digest):
        session = repo.writable_session(_EMPTY)
        digest = write_tree(session.store, data, schema, artifact.key, hashes, **root)
        if _may_share(artifact, repo, digest):  # which is only known now if the data was lazy
            session = None
            sweep(repo, artifact.key)
    if session is None:
        session = repo.writable_session("main")
        zarr.open_group(session.store, mode="r+").update_attributes(root)
    facts = {"artifact": artifact.key, "schema": schema.name, "schema_version": schema.version}
    facts |= {"content_hash": digest, "nbytes": nbytes(data), "message": message}
    words = message or f"{schema.name} {digest[:12]}"
    return str(session.flush(words, {"splatworks": facts, "provenance": record}))


def _may_share(artifact: ArtifactRepository, repo: icechunk.Repository, digest: str) -> bool:
    """Whether the current version has this content, and another can begin from it.

    All of it can still be read, and it was not made in what is the future by now.
    """
    try:
        now = artifact.current()
        if now is None or now.content_hash != digest or not artifact.verify():
            return False
        return _ahead(repo, now.snapshot_id) < timedelta(0)
    except StorageError:
        return False


def _publish(
    artifact: ArtifactRepository, repo: icechunk.Repository, snapshot: str, main: str
) -> Version:
    """Tag a snapshot, then make it current."""
    # Records outlive a repository that was set aside, and no number is used twice.
    remembered = [
        versions.load(file.stem, artifact.records) for file in artifact.records.glob("*.json")
    ]
    used = [v.number for v in remembered if v is not None]
    used += versions.numbers({tag: tag for tag in repo.list_tags()}).values()
    number = max(used, default=0) + 1
    while True:
        try:
            repo.create_tag(f"v{number}", snapshot_id=snapshot)
            break
        except Exception as error:
            if not backend.tag_exists(error):
                raise
            number += 1  # it was the tag of a version that is gone
    info = repo.lookup_snapshot(snapshot)
    version = artifact.seal(
        versions.from_metadata(artifact.key, number, snapshot, info.written_at, info.metadata)
    )
    move_main(repo, artifact.key, snapshot, main)
    touched.remember(artifact, version)
    return replace(version, current=True)


def move_main(repo: icechunk.Repository, artifact: str, snapshot: str, main: str) -> None:
    """Make ``snapshot`` current, if ``main`` still is.

    Raises:
        LockedError: It is not.
    """
    try:
        repo.reset_branch("main", snapshot, from_snapshot_id=main)
    except Exception as error:
        if not backend.is_conflict(error):
            raise
        raise LockedError(
            f"{artifact}: somebody moved it without holding its lock. Look again.",
            artifact=artifact,
        ) from error


def sweep(repo: icechunk.Repository, artifact: str) -> None:
    """Remove what no tag and no branch leads to: what an unfinished write left."""
    # The time lies ahead, so that a clock that was set back makes no difference.
    later = datetime.now(UTC) + timedelta(days=3650)
    try:
        repo.garbage_collect(later)
    except Exception as error:  # it is tidying; what failed before is what matters
        reason = backend.first_line(str(error))
        _log.warning("%s: unfinished data could not be removed: %s", artifact, reason)
