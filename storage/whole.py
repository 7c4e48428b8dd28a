"""Small files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step, into a folder that exists; what was there before is replaced.

    Nothing is forced to the disk: what is written this way can be made again.

    Raises:
        OSError: It cannot be written; what was there before is as it was, and nothing else is left.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, "utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
