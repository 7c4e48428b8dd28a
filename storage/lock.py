"""One writer and one maker per artifact: file locks whose holders can be named.

A *writer* holds an artifact while it changes what is stored, for moments. A *maker* holds it while
it computes a new version, maybe for hours; others may read, tag and restore meanwhile.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from storage.errors import LockedError
from storage.home import cannot_write

Role = Literal["writer", "maker"]


@contextmanager
def writer(folder: Path, artifact: str, timeout: float) -> Iterator[bool]:
    """Hold an artifact's folder to change what is stored; see :func:`hold`."""
    with hold("writer", folder, artifact, timeout) as died:
        yield died


@contextmanager
def hold(role: Role, folder: Path, artifact: str, timeout: float, by: str = "") -> Iterator[bool]:
    """Hold one of the locks of an artifact's folder.

    The lock is the operating system's and goes when its process dies, however it dies; the note
    about the holder beside it then stays behind.

    Args:
        role: Which lock.
        folder: The artifact's folder, created where it does not exist.
        artifact: Its key, for messages.
        timeout: Seconds to wait for another holder; 0 tries once, a negative one waits for ever.
        by: Who asked for it, for messages.

    Yields:
        Whether an earlier holder died before it was done.

    Raises:
        LockedError: Another process holds it.
        ReadOnlyStoreError, StoreFullError, StorageError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    note = folder / f"{role}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A lock file without the operating system's lock would outlive a killed process.
        lock = FileLock(folder / f"{role}.lock", timeout=timeout, fallback_to_soft=False)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"{artifact}: another {role} holds it ({holder(folder, role)}), and still did after "
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
            facts |= {"by": by} if by else {}
            note.write_text(json.dumps(facts))
        yield died
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def holder(folder: Path, role: Role = "writer") -> str:
    """Who holds a lock, in words."""
    try:
        facts = json.loads((folder / f"{role}.json").read_text())
        asked = f" for {facts['by']}" if facts.get("by") else ""
        return f"process {facts['pid']} on {facts['host']}{asked} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that left no name"


def held(folder: Path, role: Role) -> bool:
    """Whether somebody holds a lock now; looking creates nothing."""
    from filelock import FileLock, Timeout

    if not (folder / f"{role}.lock").exists() or not (folder / f"{role}.json").exists():
        return False
    try:
        with FileLock(folder / f"{role}.lock", timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
    except OSError:
        return False
