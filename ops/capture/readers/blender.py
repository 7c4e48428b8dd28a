"""Blender's ``transforms_{train,val,test}.json`` as in NeRF-synthetic and D-NeRF."""

from __future__ import annotations

from pathlib import Path

from ops.capture.model import Dataset, Points, Split
from ops.capture.readers.assemble import Entry, Listing, assemble
from ops.capture.readers.jsonfile import frames_of, load_object
from ops.capture.readers.transforms import check_times, entry_of, points_of

FILES = ("transforms_train.json", "transforms_test.json", "transforms_val.json")


def read_blender(root: Path) -> Dataset:
    """Read a folder with one JSON file per split.

    Photos for validation are held out where there are none for testing, else they are not used.
    Photos with alpha stand before white, as is usual for this layout.

    Raises:
        InputError: A file, a camera or a photo cannot be used; the message says which and why.
    """
    train, test, val = (root / name for name in FILES)
    notes: list[str] = []
    held_out = test if test.is_file() else val
    if test.is_file() and val.is_file():
        notes.append(f"the photos of {val.name} are not used; those of {test.name} are held out")
    elif val.is_file():
        notes.append(f"there is no {test.name}: the photos of {val.name} are held out")
    own: list[tuple[Path, Split]] = [(train, "train"), (held_out, "test")]
    found = [(path, split) for path, split in own if path.is_file()]
    entries: list[Entry] = []
    points: Points | None = None
    files: list[Path] = []
    for path, split in found:
        content = load_object(path)
        for i, frame in enumerate(frames_of(content, path)):
            entries.append(
                entry_of(
                    frame,
                    content,
                    root,
                    f"{path.name}, frame {i}",
                    # One file alone is a list of photos, not a split.
                    split=split if len(found) > 1 else None,
                )
            )
        files.append(path)
        if points is None:
            points, more = points_of(content, path, notes)
            files.extend(more)
    check_times(entries, root)
    return assemble(
        Listing(
            root=root,
            layout="blender",
            entries=entries,
            points=points,
            white_background=True,
            notes=notes,
            files=files,
        )
    )
