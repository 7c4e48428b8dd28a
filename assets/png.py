"""Pictures that stages write for people to find."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def save_png(pixels: np.ndarray, path: Path) -> None:
    """Write a picture [H, W, 3] uint8 in one step."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    Image.fromarray(np.ascontiguousarray(pixels)).save(new, "PNG")
    new.replace(path)
