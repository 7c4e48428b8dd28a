"""Which layout a dataset folder has, and reading it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ops.capture.model import Dataset
from ops.capture.readers import blender, colmap, llff, plain, transforms
from ops.errors import InputError

_READERS: dict[str, Callable[[Path], Dataset]] = {
    "transforms": transforms.read_transforms,
    "blender": blender.read_blender,
    "colmap": colmap.read_colmap,
    "llff": llff.read_llff,
    "photos": plain.read_plain,
}
LAYOUTS = tuple(_READERS)
"""In order of precedence: a file that states most about the cameras comes first."""

_EXPECTED = (
    "transforms.json (nerfstudio, instant-ngp), transforms_train.json (Blender), a COLMAP model "
    "(cameras and images, .bin or .txt) in sparse/0, sparse, colmap/sparse/0 or the folder itself, "
    "poses_bounds.npy (LLFF), or photos in the folder or in images/"
)


def layouts_in(folder: Path) -> list[str]:
    """Layouts that a folder has the files of, in order of precedence."""
    has = {
        "transforms": (folder / transforms.FILE).is_file(),
        "blender": any((folder / name).is_file() for name in blender.FILES),
        "colmap": bool(colmap.models_in(folder)),
        "llff": (folder / llff.FILE).is_file(),
        "photos": plain.folder_of_photos(folder) is not None,
    }
    return [layout for layout in LAYOUTS if has[layout]]


def read_dataset(folder: Path, layout: str | None = None) -> Dataset:
    """Read a dataset folder. Nothing in it is changed, and no photo is decoded.

    A folder with several layouts is read as the first of ``transforms``, ``blender``, ``colmap``,
    ``llff``, ``photos`` that it has; a note names the others.

    Args:
        folder: The dataset folder.
        layout: One of ``LAYOUTS`` to take instead.

    Raises:
        InputError: No such folder, no known layout, or something in it cannot be used. Messages
            name the file and say what to do.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing of that name"
        raise InputError(f"{folder}: expected a dataset folder, found {found}")
    folder = folder.resolve()
    if layout is not None and layout not in _READERS:
        raise InputError(f"expected a layout of {', '.join(LAYOUTS)}; found {layout!r}")
    found_layouts = layouts_in(folder)
    if layout is None and not found_layouts:
        raise InputError(_no_layout(folder))
    if layout is not None and layout not in found_layouts:
        raise InputError(
            f"{folder}: expected the {layout} layout, found "
            f"{', '.join(found_layouts) or 'no known layout'}"
        )
    chosen = layout or found_layouts[0]
    dataset = _READERS[chosen](folder)
    others = [other for other in found_layouts if other not in (chosen, "photos")]
    if others:
        note = (
            f"the folder is read in the {chosen} layout; it also has {', '.join(others)}, "
            "which can be chosen instead"
        )
        dataset = replace(dataset, notes=(note, *dataset.notes))
    return dataset


def _no_layout(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir())
    found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
    message = f"{folder}: no known layout. Expected {_EXPECTED}. Found {found}."
    below = [
        p.name
        for p in sorted(folder.iterdir())
        if p.is_dir() and not p.name.startswith(".") and layouts_in(p)
    ]
    if below:
        message += f" Did you mean {folder / below[0]}?"
    if any(p.suffix.lower() in (".mp4", ".mov", ".avi", ".mkv") for p in folder.iterdir()):
        message += " Videos are not read: take frames out first, for example with ffmpeg."
    if any(p.suffix.lower() in (".heic", ".heif") for p in folder.iterdir()):
        message += " HEIC photos are not read: convert them to JPEG first."
    return message
