"""Paths that a dataset states, kept inside the dataset's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ops.errors import InputError


def inside(root: Path, stated: str, base: Path | None = None, *, told_by: str) -> Path:
    """The file that ``stated`` means, provided that it lies in ``root``.

    Args:
        root: The dataset folder. Symbolic links on the way to it are fine.
        stated: A path as a dataset file has it; backslashes count as slashes.
        base: What ``stated`` is relative to, ``root`` by default.
        told_by: Who states it, for the message ("transforms.json, frame 3").

    Raises:
        InputError: The path leads out of ``root``: by ``..``, as an absolute path or through a
            symbolic link.
    """
    if not stated or "\0" in stated:
        raise InputError(f"{told_by}: expected a path inside the dataset folder, found {stated!r}")
    root = root.resolve()
    found = (base or root) / stated.replace("\\", "/")
    try:
        target = found.resolve()
        found.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        raise InputError(
            f"{told_by}: expected a path inside the dataset folder, found {stated[:80]!r}: {error}"
        ) from error
    if not target.is_relative_to(root):
        raise InputError(
            f"{told_by}: {stated!r} leads out of the dataset folder {root}, which is not followed. "
            "Copy the file into the folder and state its path relative to it."
        )
    # ".." and "." are taken out of the words of the path, not through links: names stay readable.
    return root / _plain(found.absolute(), root)


def name_of(path: Path, root: Path) -> str:
    """A file's name as the rest of the workbench knows it: its path in ``root``, with slashes."""
    return path.relative_to(root.resolve()).as_posix()


def _plain(path: Path, root: Path) -> PurePosixPath:
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    plain = Path("/", *parts)
    if plain.is_relative_to(root):
        return PurePosixPath(plain.relative_to(root).as_posix())
    return PurePosixPath(path.resolve().relative_to(root).as_posix())
