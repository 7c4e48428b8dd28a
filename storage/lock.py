"""One writer per artifact: a file lock whose holder can be named."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import LockedError
from storage.home import cannot_write

_LOCK, _HOLDER = "writer.lock", "writer.json"


@contextmanager
def writer(folder: Path, artifact: str, timeout: float) -> Iterator[bool]:
    """Hold the lock of an artifact's folder.

    The lock is the operating system's and goes when its process dies, however it dies; the note
    about the holder beside it then stays behind.

    Args:
        folder: The artifact's folder, created where it does not exist.
        artifact: Its key, for messages.
        timeout: Seconds to wait for another writer; 0 tries once.

    Yields:
        Whether an earlier writer died before it was done.

    Raises:
        LockedError: Another writer holds it.
        ReadOnlyStoreError, StoreFullError, StorageError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    note = folder / _HOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A lock file without the operating system's lock would outlive a killed process.
        lock = FileLock(folder / _LOCK, timeout=timeout, fallback_to_soft=False)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"{artifact}: another writer holds it ({holder(folder)}), and still did after "
            f"{timeout:g} s. Wait until it is done, or stop it, then try again.",
            artifact=artifact,
        ) from error
    except OSError as error:
        raise cannot_write(folder, error, artifact) from error
    try:
        died = note.exists()
        with suppress(OSError):  # it only serves messages
            since = datetime.now(UTC).isoformat(timespec="seconds")
            facts = {"pid": os.getpid(), "host": platform.node(), "since": since}
            note.write_text(json.dumps(facts))
        yield died
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    try:
        facts = json.loads((folder / _HOLDER).read_text())
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that left no name"
