"""From what a layout lists to a dataset that holds together.

Every reader ends here, so that all layouts are checked the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.capture.images import Header, read_header
from ops.capture.model import Array, Dataset, Frame, Points, Split
from ops.capture.paths import name_of
from ops.capture.readers.lens import Lens
from ops.capture.readers.poses import NOTED, check_spread, checked_pose
from ops.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A photo as a layout lists it; nothing of it has been checked but that it is inside."""

    path: Path  # in the dataset folder; may not exist
    told_by: str  # where it is listed, for messages
    lens: Lens | None = None
    lens_id: str = ""  # photos with the same are said to be made by one camera
    camtoworld: object = None  # 4x4 or 3x4 numbers, OpenCV axes
    mask: Path | None = None
    split: Split | None = None
    time: float | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a layout lists."""

    root: Path
    layout: str
    entries: Sequence[Entry]
    points: Points | None = None
    white_background: bool = False
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()  # read by the reader itself


def assemble(listing: Listing) -> Dataset:
    """Check entries against each other and against the photos' headers.

    Raises:
        InputError: See the functions below; the message says what to do.
    """
    notes = list(listing.notes)
    entries = _without_repeats(listing.entries, notes)
    missing = tuple(sorted(name_of(e.path, listing.root) for e in entries if not _exists(e.path)))
    there = sorted(
        (e for e in entries if _exists(e.path)), key=lambda e: name_of(e.path, listing.root)
    )
    if not there:
        raise InputError(_none_left(listing, missing))
    if missing:
        notes.append(f"{len(missing)} of {len(entries)} listed photos do not exist")
    headers = _headers(there)
    _check_sizes(there, headers, listing.root)
    masks = _masks(there, headers, listing.root, notes)
    poses = _poses(there, notes)
    frames = tuple(
        Frame(
            name=name_of(entry.path, listing.root),
            image_path=entry.path,
            intrinsics=None
            if entry.lens is None
            else entry.lens.for_size(header.width, header.height, f"{entry.path}"),
            camtoworld=pose,
            mask_path=mask,
            split=entry.split,
            time=entry.time,
        )
        for entry, header, pose, mask in zip(there, headers, poses, masks, strict=True)
    )
    scaled = sum(
        e.lens is not None and e.lens.is_scaled_to(h.width, h.height)
        for e, h in zip(there, headers, strict=True)
    )
    if scaled:
        notes.append(
            f"{scaled} photos are scaled versions of what their cameras state; "
            "the intrinsics were scaled to match"
        )
    if any(h.turned for h in headers) and there[0].lens is None:
        notes.append("photos whose EXIF asks to show them turned are used as they are stored")
    return Dataset(
        root=listing.root,
        layout=listing.layout,
        frames=frames,
        points=listing.points,
        white_background=listing.white_background,
        missing=missing,
        notes=tuple(notes),
        files=tuple(
            dict.fromkeys(
                [
                    *listing.files,
                    *(f.image_path for f in frames),
                    *(f.mask_path for f in frames if f.mask_path is not None),
                ]
            )
        ),
    )


def _exists(path: Path) -> bool:
    return path.is_file()


def _without_repeats(entries: Sequence[Entry], notes: list[str]) -> list[Entry]:
    """Entries with the same photo once; repeats that say different things are an error."""
    first: dict[Path, Entry] = {}
    repeats = 0
    for entry in entries:
        known = first.setdefault(entry.path, entry)
        if known is entry:
            continue
        if _pose_key(known.camtoworld) != _pose_key(entry.camtoworld) or known.lens != entry.lens:
            raise InputError(
                f"{entry.path} is listed twice with different cameras ({known.told_by} and "
                f"{entry.told_by}). Remove one of them."
            )
        if known.split != entry.split:
            raise InputError(
                f"{entry.path} is listed both for training and for testing ({known.told_by} and "
                f"{entry.told_by}). Remove one of them."
            )
        repeats += 1
    if repeats:
        notes.append(f"{repeats} photos are listed twice with the same camera and are used once")
    return list(first.values())


def _pose_key(pose: object) -> str:
    return str(pose.tolist()) if isinstance(pose, Array) else str(pose)


def _none_left(listing: Listing, missing: Sequence[str]) -> str:
    if not missing:
        return (
            f"{listing.root} ({listing.layout} layout) lists no photos. Expected at least one "
            "frame; export the cameras again."
        )
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return (
        f"none of the {len(missing)} photos that {listing.root} ({listing.layout} layout) lists "
        f"exists ({shown}). Copy the photos into the folder, or correct their paths."
    )


def _headers(entries: Sequence[Entry]) -> list[Header]:
    headers = [read_header(e.path) for e in entries]
    broken = [str(e.path) for e, h in zip(entries, headers, strict=True) if h is None]
    if broken:
        listed = "\n  ".join(broken[:20])
        raise InputError(
            f"{len(broken)} of {len(entries)} photos are not readable as images. Remove them or "
            f"replace them with intact copies:\n  {listed}"
        )
    return [h for h in headers if h is not None]


def _check_sizes(entries: Sequence[Entry], headers: Sequence[Header], root: Path) -> None:
    """Photos of one camera have one size."""
    groups: dict[str, list[tuple[tuple[int, int], str]]] = {}
    for entry, header in zip(entries, headers, strict=True):
        if entry.lens is not None:
            size = (header.width, header.height)
            groups.setdefault(entry.lens_id, []).append((size, name_of(entry.path, root)))
    for photos in groups.values():
        counts = Counter(size for size, _ in photos).most_common()
        if len(counts) > 1:
            found = "; ".join(
                f"{n} of {w}x{h} ({_some(name for size, name in photos if size == (w, h))})"
                for (w, h), n in counts[:4]
            )
            raise InputError(
                "expected all photos of one camera to have one size, found "
                f"{found}. Use the photos that the camera was made for, or give each size its own "
                "camera."
            )


def _some(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def _masks(
    entries: Sequence[Entry], headers: Sequence[Header], root: Path, notes: list[str]
) -> list[Path | None]:
    masks: list[Path | None] = []
    lost: list[str] = []
    for entry, photo in zip(entries, headers, strict=True):
        mask = entry.mask
        if mask is not None and not mask.is_file():
            lost.append(name_of(mask, root))
            mask = None
        if mask is not None:
            header = read_header(mask)
            if header is None:
                raise InputError(
                    f"{mask}: the mask is not readable as an image. Replace it with an intact copy."
                )
            if (header.width, header.height) != (photo.width, photo.height):
                raise InputError(
                    f"{mask}: expected a mask of the size of its photo {entry.path.name}, "
                    f"{photo.width}x{photo.height}; found {header.width}x{header.height}. "
                    "Make the mask again for this photo."
                )
        masks.append(mask)
    if lost:
        notes.append(f"{len(lost)} listed masks do not exist: {_some(lost)}")
    return masks


def _poses(entries: Sequence[Entry], notes: list[str]) -> list[Array | None]:
    if all(e.camtoworld is None for e in entries):
        return [None] * len(entries)
    checked = [checked_pose(e.camtoworld, e.told_by) for e in entries]
    repaired = [drift for _, drift in checked if drift > NOTED]
    if repaired:
        notes.append(
            f"the rotations of {len(repaired)} poses were off by up to {max(repaired):.1g} and "
            "were made orthonormal"
        )
    poses = [pose for pose, _ in checked]
    check_spread(poses)
    return list(poses)
