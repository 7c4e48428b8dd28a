"""What can go wrong with stored artifacts, one class per thing the caller would do about it.

===================== ================= ====================================================
class                 ``kind``          what to do
===================== ================= ====================================================
SchemaError           schema            fix the data that was handed over, or migrate it
ArtifactNotFoundError artifact-missing  materialize it, or correct its name
VersionNotFoundError  version-missing   pick one of the versions that the message lists
NameTakenError        name-taken        choose another name
NamedError            named             nothing: versions with a name are kept
LockedError           locked            wait for the one who holds it, or try again
DamagedError          damaged           materialize the artifact again
StoreFullError        store-full        make room, then run again
ReadOnlyStoreError    store-read-only   make the folder writable, or use another home
ClockError            clock             set the machine's clock right, then run again
NewerStoreError       store-newer       update Splatworks
===================== ================= ====================================================

Every message says what was expected, what was found and what to do. All of them can be pickled.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class StorageError(Exception):
    """Something in storage failed; ``kind`` is a stable word for scripts."""

    kind: ClassVar[str] = "storage"

    def __init__(self, message: str, *, artifact: str = "") -> None:
        super().__init__(message)
        self.artifact = artifact
        """Key of the artifact, such as ``fox/splats/trained``; empty where none is concerned."""


class SchemaError(StorageError, ValueError):
    """Data does not have the form that its schema declares."""

    kind = "schema"

    def __init__(
        self,
        message: str = "",
        *,
        artifact: str = "",
        variable: str = "",
        expected: str = "",
        found: str = "",
        remedy: str = "",
    ) -> None:
        if not message:
            where = ": ".join(part for part in (artifact, variable) if part)
            message = f"{where}: expected {expected}, found {found}."
            message += f" {remedy}" if remedy else ""
        super().__init__(message, artifact=artifact)
        self.variable, self.expected, self.found, self.remedy = variable, expected, found, remedy


class ArtifactNotFoundError(StorageError, FileNotFoundError):
    """The store holds no version of this artifact."""

    kind = "artifact-missing"

    @classmethod
    def among(cls, artifact: str, known: Iterable[str]) -> ArtifactNotFoundError:
        """The error for ``artifact``, naming the nearest of the ``known`` keys."""
        near = get_close_matches(artifact, list(known), n=3, cutoff=0.5)
        hint = f" Nearest in the store: {', '.join(near)}." if near else ""
        return cls(
            f"{artifact}: the store holds no version of it. Materialize it first.{hint}",
            artifact=artifact,
        )


class VersionNotFoundError(StorageError, LookupError):
    """The artifact exists, but not in this version."""

    kind = "version-missing"


class NameTakenError(StorageError, ValueError):
    """A name that a version cannot get: it is not allowed, or was given before."""

    kind = "name-taken"


class NamedError(StorageError):
    """It has a name given by a user, and is kept for ever."""

    kind = "named"


class LockedError(StorageError, TimeoutError):
    """Another writer holds the artifact, or moved it in between."""

    kind = "locked"


class DamagedError(StorageError, OSError):
    """Stored bytes are missing or not those that were written."""

    kind = "damaged"

    def __init__(self, message: str, *, artifact: str = "", variable: str = "") -> None:
        super().__init__(message, artifact=artifact)
        self.variable = variable


class StoreFullError(StorageError, OSError):
    """The disk (or a quota, or a limit on file sizes) leaves no room to write."""

    kind = "store-full"


class ReadOnlyStoreError(StorageError, PermissionError):
    """The store or the home folder may not be written (or read) by this user."""

    kind = "store-read-only"


class ClockError(StorageError):
    """The machine's clock is before the time that an artifact was begun."""

    kind = "clock"


class NewerStoreError(StorageError):
    """Written by a newer Splatworks than this one."""

    kind = "store-newer"

    @classmethod
    def of(cls, what: str, found: int, understood: int, artifact: str = "") -> NewerStoreError:
        """The error for ``what`` of number ``found`` where this code knows ``understood``."""
        return cls(
            f"{what} has number {found}, this Splatworks understands up to {understood}: it was "
            "written by a newer Splatworks. Update Splatworks to read it; nothing was changed.",
            artifact=artifact,
        )
