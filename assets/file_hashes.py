"""Hashes of files outside the store; a file that was not touched is not read again."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.attachments import digest_of
from storage.whole import write_whole

# A change in the same tick of the clock as the look before it would not be seen by its time.
_TICK = 2_000_000_000  # ns; some file systems count whole seconds

Stamp = list[int]


class FileHashes:
    """Hashes by path, remembered in a file together with size, times and inode.

    The time of the last change of the inode counts, too, which programs that keep old times
    (``cp -p``, ``rsync``, ``touch -r``) cannot set. Hashes of files younger than the look at them
    are not believed the next time.
    """

    def __init__(self, memory: Path) -> None:
        """Remember in file ``memory``, which :meth:`save` makes; a damaged one is forgotten."""
        self._memory = memory
        try:
            self._known: dict[str, Any] = dict(json.loads(memory.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            self._known = {}
        self._before = json.dumps(self._known, sort_keys=True)

    def hash(self, path: Path) -> str:
        """XXH3 of a file's bytes.

        Raises:
            OSError: It cannot be read.
        """
        known = self._known.get(str(path))
        stamp = stamp_of(path)
        if not (isinstance(known, list) and known[:-1] == stamp and settled(stamp, known[-1][1])):
            known = [*stamp, [digest_of(path), time.time_ns()]]
            self._known[str(path)] = known
        return str(known[-1][0])

    def recall(self, key: str) -> Any:
        """What :meth:`remember` was told under this key, or None."""
        return self._known.get(key)

    def remember(self, key: str, value: Any) -> None:
        """Remember a JSON value beside the hashes."""
        self._known[key] = value

    def save(self) -> None:
        """Write what is known, in one step, if that is new; a home that is read only is left."""
        text = json.dumps(self._known, sort_keys=True)
        if text == self._before:
            return
        with suppress(OSError):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._memory, text)
        self._before = text


def stamp_of(path: Path) -> Stamp:
    """Size, times of change of content and inode (ns), and inode of a file.

    Raises:
        OSError: There is none, or it may not be looked at.
    """
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def settled(stamp: Stamp, looked_ns: int) -> bool:
    """Whether a change after the look at ``looked_ns`` would have moved the stamp for certain."""
    return max(stamp[1], stamp[2]) + _TICK < looked_ns
