"""A folder of photos without cameras."""

from __future__ import annotations

from pathlib import Path

from ops.capture.images import photos_in
from ops.capture.model import Dataset
from ops.capture.paths import inside, name_of
from ops.capture.readers.assemble import Entry, Listing, assemble
from ops.capture.readers.masks import mask_beside

FOLDERS = ("images", "input", "photos", "")


def folder_of_photos(root: Path) -> Path | None:
    """Where the photos are: in ``images``, ``input``, ``photos`` or the folder itself."""
    return next((root / f for f in FOLDERS if photos_in(root / f)), None)


def read_plain(root: Path) -> Dataset:
    """Read a folder of photos; frames have neither intrinsics nor poses.

    Raises:
        InputError: There are no photos, or one is not readable.
    """
    folder = folder_of_photos(root) or root
    entries = [
        Entry(
            path=inside(root, name_of(photo, root), told_by=f"folder {folder}"),
            told_by=f"folder {folder}",
            mask=mask_beside(root, photo, folder),
        )
        for photo in photos_in(folder)
    ]
    notes = ["the photos come without cameras, which have to be found from the photos"]
    return assemble(Listing(root=root, layout="photos", entries=entries, notes=notes))
