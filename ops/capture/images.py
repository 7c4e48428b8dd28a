"""Photos and masks as files: their sizes, and their pixels as 8-bit RGB and alpha.

Pixels are taken on the grid that is stored. An EXIF orientation is not applied: cameras are
given for the stored grid, and photos without cameras get theirs on the same grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ops.capture.model import Array
from ops.errors import InputError
from ops.progress import Progress, silent

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_EXIF_ORIENTATION = 0x0112
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file tell."""

    width: int
    height: int
    has_alpha: bool
    turned: bool  # EXIF asks viewers to show it turned by a quarter


def is_photo(path: Path) -> bool:
    """Whether a file's name says that it is an image we read, and it is no hidden file."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def photos_in(folder: Path) -> list[Path]:
    """Photos directly in a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(
        (p for p in folder.iterdir() if is_photo(p) and p.is_file()), key=lambda p: p.name
    )


def read_header(path: Path) -> Header | None:
    """Size of an image file without decoding it; None if it is no readable image."""
    try:
        with Image.open(path) as image:
            # A PNG would be decoded to look for EXIF behind its pixels.
            exif = {} if image.format == "PNG" else image.getexif()
            orientation = exif.get(_EXIF_ORIENTATION, 1)
            has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa")
            has_alpha = has_alpha or "transparency" in image.info
            return Header(image.width, image.height, has_alpha, orientation in (5, 6, 7, 8))
    except _UNREADABLE:
        return None


def decode(path: Path) -> tuple[Array, Array | None]:
    """A photo's pixels.

    Grey, palette, 16-bit and CMYK images are converted; of 16 bits the upper 8 are kept.

    Returns:
        RGB [H, W, 3] uint8, and alpha [H, W] uint8 or None where the file has none.

    Raises:
        InputError: The file is truncated or no image.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            image: Image.Image = opened
            if image.mode in ("P", "PA") or "transparency" in image.info:
                image = image.convert("RGBA" if _is_transparent(image) else "RGB")
            if image.mode == "F":
                raise ValueError("it holds floating-point values, not 8 or 16 bits per channel")
            if image.mode.startswith("I"):
                grey = np.asarray(image).astype(np.int64) >> 8
                return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1), None
            if image.mode in ("LA", "La", "RGBa"):
                image = image.convert("RGBA")
            if image.mode == "RGBA":
                pixels = np.asarray(image)
                return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
            return np.asarray(image.convert("RGB")).copy(), None
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: the photo cannot be decoded ({error}); it may be truncated. "
            "Remove it or replace it with an intact copy."
        ) from error


def decode_mask(path: Path) -> Array:
    """A mask's values [H, W] uint8; masks that hold only 0 and 1 are stretched to 0 and 255.

    Raises:
        InputError: The file is truncated or no image.
    """
    rgb, alpha = decode(path)
    values = rgb.max(axis=-1)
    # Some tools keep the mask in the alpha channel of an otherwise plain picture.
    if alpha is not None and alpha.min() < 255 and values.min() == values.max():
        values = alpha
    return values * np.uint8(255) if values.max(initial=0) == 1 else values


def verify(paths: Sequence[Path], progress: Progress = silent) -> list[bool]:
    """Decode every file once, so that damage shows before any long work.

    Returns:
        For each file whether a pixel of it is transparent.

    Raises:
        InputError: Names every file that cannot be decoded.
    """
    what = "checking photos"
    see_through: list[bool] = []
    broken: list[str] = []
    progress(0, len(paths), what)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for done, found in enumerate(pool.map(_try, paths), start=1):
            if isinstance(found, str):
                broken.append(found)
            else:
                see_through.append(found)
            progress(done, len(paths), what)
    if broken:
        listed = "\n  ".join(broken[:20]) + ("\n  ..." if len(broken) > 20 else "")
        raise InputError(
            f"{len(broken)} of {len(paths)} photos and masks cannot be decoded; they may be "
            f"truncated. Remove them or replace them with intact copies:\n  {listed}"
        )
    return see_through


def _try(path: Path) -> bool | str:
    """Whether a photo has transparent pixels, or why it cannot be decoded."""
    try:
        _, alpha = decode(path)
    except InputError as error:
        return f"{path} ({error.__cause__})"
    return alpha is not None and bool((alpha < 255).any())


def _is_transparent(image: Image.Image) -> bool:
    return image.mode == "PA" or "transparency" in image.info
