"""Where the machine code of compiled kernels is kept between processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path


def cache_folder(package: Path, name: str, keep: int = 5) -> str:
    """The folder for the machine code of a package, named after the package's contents.

    Numba's own cache looks at the file of a kernel only; a change in a helper of another file
    would go unnoticed. A digest of all of them in the path cannot miss it. The first place that
    can be written to is taken, so a read-only checkout works: ``NUMBA_CACHE_DIR``, the package's
    ``__pycache__``, the user's cache folder, a temporary one.

    Args:
        package: Folder of the modules that hold kernels and their helpers.
        name: What the folder's name begins with.
        keep: Of folders of earlier contents, so many are kept.
    """
    digest = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        digest.update(file.read_bytes())
    wanted = f"{name}-{digest.hexdigest()[:16]}"
    user_cache = (
        Path.home() / "Library/Caches"
        if sys.platform == "darwin"
        else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    )
    places = [package / "__pycache__", user_cache / "splatworks"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]))
    for place in places:
        folder = place / wanted
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _forget_old(place, name, keep)
            with tempfile.TemporaryFile(dir=folder):
                return str(folder)
        except OSError:
            continue
    return tempfile.mkdtemp(prefix=wanted)


def _forget_old(place: Path, name: str, keep: int) -> None:
    """Removes machine code of versions that were replaced long ago."""
    try:
        folders = sorted(place.glob(f"{name}-*"), key=lambda f: f.stat().st_mtime)
    except OSError:  # another process is at it
        return
    for folder in folders[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)
