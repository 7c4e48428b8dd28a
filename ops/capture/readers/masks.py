"""Masks that no file lists: beside the photos, by name."""

from __future__ import annotations

from pathlib import Path

from ops.capture.paths import inside, name_of


def mask_beside(root: Path, photo: Path, base: Path) -> Path | None:
    """The mask of a photo in a folder ``masks`` of the dataset, if there is one.

    COLMAP's name is the photo's whole name with ``.png`` after it; ``<stem>.png`` is as common.

    Args:
        root: The dataset folder.
        photo: A photo.
        base: The folder of photos that photo names are relative to.
    """
    relative = photo.relative_to(base)
    for name in (f"{relative.as_posix()}.png", relative.with_suffix(".png").as_posix()):
        mask = inside(root, f"masks/{name}", told_by=f"the mask of {name_of(photo, root)}")
        if mask.is_file():
            return mask
    return None
