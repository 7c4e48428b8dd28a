"""Where the machine code of compiled kernels is kept between processes."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

_log = logging.getLogger("splatworks.kernels")


def cache_folder(package: Path, name: str, keep: int = 5) -> str | None:
    """The folder for the machine code of a package, named after the package's contents.

    Numba's own cache looks at the file of a kernel only; a change in a helper of another file
    would go unnoticed. A digest of all of them in the path cannot miss it. The first place that
    can be written to is taken, so a read-only checkout works: ``NUMBA_CACHE_DIR``, the package's
    ``__pycache__``, the user's cache folder. None where there is no such place, of which a warning
    tells, once; then every process has to compile for itself.

    Args:
        package: Folder of the modules that hold kernels and their helpers.
        name: What the folder's name begins with.
        keep: Of folders of earlier contents, so many are kept.
    """
    digest = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        digest.update(file.read_bytes())
    if os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0":
        digest.update(b"indices are checked")
    wanted = f"{name}-{digest.hexdigest()[:16]}"
    places = [package / "__pycache__", *_user_cache()]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]))
    for place in places:
        folder = place / wanted
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _forget_old(place, name, keep)
            with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
                probe.write(b"room")  # a disk that is full has room for empty files
            return str(folder)
        except OSError:
            continue
    _warn(tuple(map(str, places)))
    return None


def _user_cache() -> list[Path]:
    """The folder of the user's caches, where there is one."""
    try:
        if sys.platform == "darwin":
            return [Path.home() / "Library/Caches/splatworks"]
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "splatworks"]
    except RuntimeError:  # a user whom the system does not know, as in some containers
        return []


@functools.cache  # once for a process, which has several packages of kernels
def _warn(places: tuple[str, ...]) -> None:
    _log.warning(
        "compiled kernels cannot be kept, so every process compiles them anew, which takes some "
        "ten seconds: nothing can be written to %s; set NUMBA_CACHE_DIR to a folder with room",
        " or ".join(places),
    )


def _forget_old(place: Path, name: str, keep: int) -> None:
    """Removes machine code of versions that were replaced long ago."""
    try:
        folders = sorted(place.glob(f"{name}-*"), key=lambda f: f.stat().st_mtime)
    except OSError:  # another process is at it
        return
    for folder in folders[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)
