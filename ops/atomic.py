"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ops.errors import InputError


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write ``chunks`` to ``path``; what was there before stays until all are on disk.

    Raises:
        InputError: The folder does not exist or cannot be written.
        OSError: The disk is full, or fails.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"expected a folder that can be written, found {path.parent} ({error.strerror}); "
            "create it or choose another place"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read; give this one the usual rights.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: It does not exist, is a folder or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected a file that can be read, found {path} ({error.strerror}); check the path"
        ) from error
