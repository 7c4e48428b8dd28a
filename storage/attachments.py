"""Files outside the store that belong to a version, kept beside it so that they can come back.

A version may have files that other programs read (``exports/fox/splats.ply``). A newer version
overwrites them; when the older one becomes current again, so must they. They are kept under their
hash in the artifact's folder, as hard links where the file system has them, which take no space
until the file outside is replaced.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import xxhash

_FOLDER = "files"


def keep(folder: Path, path: Path, digest: str) -> None:
    """Keep a file that was just written.

    Args:
        folder: The artifact's folder.
        path: The file.
        digest: XXH3 (128 bits) of its bytes.

    Raises:
        OSError: It can be neither linked nor copied.
    """
    kept = folder / _FOLDER / digest
    if kept.exists() and digest_of(kept) == digest:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    _put(path, kept)


def bring_back(folder: Path, path: Path, digest: str) -> bool:
    """Put a kept file where it was, in one step; False where it is not kept, or damaged.

    Raises:
        OSError: It cannot be written there.
    """
    if not is_kept(folder, digest):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(folder / _FOLDER / digest, path)
    return True


def is_kept(folder: Path, digest: str) -> bool:
    """Whether a file is kept, whole: somebody may have edited it in place outside."""
    with suppress(OSError):
        return digest_of(folder / _FOLDER / digest) == digest
    return False


def sweep(folder: Path, wanted: Iterable[str], *, dry_run: bool = False) -> int:
    """Drop kept files whose digest no version has any more; the bytes that this frees."""
    names, freed = set(wanted), 0
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(folder / _FOLDER)):
            if entry.name not in names:
                stat = entry.stat()
                freed += stat.st_size if stat.st_nlink == 1 else 0
                if not dry_run:
                    Path(entry.path).unlink(missing_ok=True)
    return freed


def digest_of(path: Path) -> str:
    """XXH3 (128 bits) of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return str(digest.hexdigest())


def _put(source: Path, target: Path) -> None:
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        try:
            os.link(source, new)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, new)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
