"""Where everything a user makes lives: one folder, ``SPLATWORKS_HOME``.

Without the environment variable it is ``.splatworks/`` in the checkout (beside ``pyproject.toml``),
or in the current folder where Splatworks is installed without its checkout. Deleting the folder
resets the workbench; copying it moves the work.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from storage.errors import ReadOnlyStoreError, StorageError, StoreFullError

VARIABLE = "SPLATWORKS_HOME"


@dataclass(frozen=True)
class Home:
    """The folders of one workbench. Nothing is created before :meth:`create`."""

    root: Path

    @classmethod
    def find(cls) -> Home:
        """The home that ``SPLATWORKS_HOME`` names, or the default one."""
        named = os.environ.get(VARIABLE)
        if named:
            return cls(Path(named).expanduser().absolute())
        checkout = Path(__file__).resolve().parents[1]
        base = checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()
        return cls(base / ".splatworks")

    @property
    def scenes(self) -> Path:
        """One TOML file per scene."""
        return self.root / "scenes"

    @property
    def store(self) -> Path:
        """The artifacts (see :class:`storage.store.Store`)."""
        return self.root / "store"

    @property
    def dagster(self) -> Path:
        """Dagster's own home: runs, event log, ``dagster.yaml``."""
        return self.root / "dagster"

    @property
    def weights(self) -> Path:
        """Pretrained weights fetched from the hub."""
        return self.root / "weights"

    @property
    def exports(self) -> Path:
        """Files written for other programs: PLY, transforms.json, contact sheets."""
        return self.root / "exports"

    @property
    def notebooks(self) -> Path:
        """The user's notebooks; ``splatworks lab`` copies the project's there."""
        return self.root / "notebooks"

    @property
    def checkpoints(self) -> Path:
        """Unfinished training, to resume from."""
        return self.root / "checkpoints"

    @property
    def cache(self) -> Path:
        """What was found out about code and files, for later processes; may be deleted."""
        return self.root / "cache"

    def create(self) -> Home:
        """Make the folders that do not exist yet, and try that files can be written.

        Raises:
            ReadOnlyStoreError: A folder may not be written.
            StoreFullError: There is no room.
            StorageError: Something else is where a folder should be.
        """
        try:
            for folder in (
                *(self.scenes, self.store, self.dagster),
                *(self.weights, self.exports, self.checkpoints, self.cache),
            ):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".writable-{os.getpid()}"
            probe.write_bytes(b"1")
            probe.unlink()
        except OSError as error:
            raise cannot_write(self.root, error) from error
        return self


def cannot_write(folder: Path, error: OSError, artifact: str = "") -> StorageError:
    """The error of our tree for an ``OSError`` met while writing below ``folder``."""
    reason = error.strerror or str(error)
    where = f"{artifact}: {folder}" if artifact else str(folder)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFullError(
            f"{where}: no room to write ({reason}). Free some space, then run again; what "
            "was there before is unchanged.",
            artifact=artifact,
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return ReadOnlyStoreError(
            f"{where}: expected a folder that can be written, found that it cannot ({reason}). "
            f"Change its permissions, or set {VARIABLE} to a folder of yours.",
            artifact=artifact,
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return StorageError(
            f"{error.filename or folder}: expected a folder, found something else. Move it away, "
            f"or set {VARIABLE} to another folder.",
            artifact=artifact,
        )
    return StorageError(f"{where}: cannot be read or written ({reason}).", artifact=artifact)
