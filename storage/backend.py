"""The one place that knows how Icechunk is opened, and what its errors mean."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import ClockError, DamagedError, NewerStoreError, StorageError
from storage.home import cannot_write

# Icechunk logs to standard output, where it would mix with what commands print; every failure
# reaches us as an exception anyway. It reads the variable once, when it is imported.
os.environ.setdefault("ICECHUNK_LOG", "off")

if TYPE_CHECKING:
    import icechunk

REMEDY = "Materialize it again; other versions are listed by its history."

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def open_repository(folder: Path, create: bool = False) -> icechunk.Repository:
    """The Icechunk repository in ``folder``."""
    import icechunk

    storage = icechunk.local_filesystem_storage(str(folder))
    if create:
        return icechunk.Repository.open_or_create(storage)
    return icechunk.Repository.open(storage)


def read_main(folder: Path) -> str | None:
    """The snapshot that branch main points to, read without Icechunk; None where there is none.

    The file is part of Icechunk's documented format: ``refs/branch.main/ref.json`` holds the id
    of a snapshot, and is replaced in one step when the branch moves.

    Raises:
        ValueError: The file is not what the format says.
        OSError: It cannot be read.
    """
    try:
        text = (folder / "refs" / "branch.main" / "ref.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    record = json.loads(text)
    if not isinstance(record, dict) or not re.fullmatch(
        r"[0-9A-Z]{20}", str(record.get("snapshot"))
    ):
        raise ValueError(f"not a reference: {text[:80]!r}")
    return str(record["snapshot"])


@contextmanager
def translated(
    folder: Path, artifact: str, what: str = "", *, writing: bool = False
) -> Iterator[None]:
    """Turn what Icechunk, Zarr and the operating system raise into errors of our tree.

    Args:
        folder: Where the artifact is kept.
        artifact: Its key.
        what: The variable (and rows) being read; empty where none is.
        writing: Unknown errors of Icechunk then do not mean damage, and errors that are not from
            the store pass.
    """
    try:
        yield
    except (StorageError, IndexError, MemoryError):
        raise
    except Exception as error:
        translation = _translate(error, folder, artifact, what, writing)
        if translation is None:
            raise
        raise translation from error


def _translate(
    error: Exception, folder: Path, artifact: str, what: str, writing: bool
) -> StorageError | None:
    import icechunk
    from zarr.errors import BaseZarrError

    theirs = isinstance(error, (icechunk.IcechunkError, BaseZarrError))
    if writing and not theirs:
        return None  # it comes from whatever computes the data, and says itself what it is
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if found := _OS_ERROR.search(text):
        number = int(found.group(1))
    if number is not None and number not in (2, 5, 20, 21):  # missing files and failing disks
        return cannot_write(folder, OSError(number, os.strerror(number)), artifact)
    if "more modern version" in text:
        return NewerStoreError(
            f"{artifact}: written by a newer Icechunk than the one installed. Update Splatworks "
            "to read it; nothing was changed.",
            artifact=artifact,
        )
    if writing and "snapshot timestamp" in text:
        return ClockError(
            f"{artifact}: the clock of this machine and the times of what is stored do not agree "
            f"({first_line(text)}). Set the clock right, then run again; nothing was changed.",
            artifact=artifact,
        )
    if writing:
        return StorageError(f"{artifact}: {first_line(text)}", artifact=artifact)
    # A failed checksum is a ValueError, what a codec cannot decode a RuntimeError.
    if theirs or isinstance(error, (OSError, ValueError, RuntimeError)):
        return damaged(artifact, what, first_line(text))
    return None


def damaged(artifact: str, what: str, reason: str) -> DamagedError:
    """The error for stored bytes of ``what`` that cannot be trusted."""
    where = f"{artifact}: {what}" if what else artifact
    return DamagedError(
        f"{where}: stored data is damaged ({reason}). {REMEDY}",
        artifact=artifact,
        variable=what.split(" ")[0],
    )


def first_line(text: str) -> str:
    """The first line of what Icechunk says; the others are where in its code it happened."""
    lines = [line.strip(" x|\t") for line in text.splitlines()]
    return next((line for line in lines if line), "no reason given")[:300]


def is_conflict(error: Exception) -> bool:
    """Whether Icechunk refused to move a branch because somebody else moved it first."""
    return "branch update conflict" in str(error)


def tag_exists(error: Exception) -> bool:
    """Whether Icechunk refused a tag because it exists, or existed once."""
    return "tag already exists" in str(error)
