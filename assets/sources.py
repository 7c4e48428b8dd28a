"""The files a scene comes from, hashed; unchanged files are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import xxhash

from assets.file_hashes import FileHashes, Stamp, settled, stamp_of
from assets.fingerprint import Code, fingerprint
from assets.scenes import Scene
from ops.errors import InputError
from storage.home import Home


def source_files(scene: Scene) -> tuple[Path, ...]:
    """The files that a scene's photos, poses and points are read from, sorted."""
    if scene.source.kind == "dataset":
        from ops.capture.readers.detect import read_dataset

        return read_dataset(scene.source_path, scene.source.layout or None).files
    if scene.source.kind == "splats":
        return (scene.source_path,)
    return ()


@dataclass(frozen=True)
class Source:
    """The files that a scene comes from, by what is in them."""

    hash: str
    """One hash of the names and bytes of all of them."""
    files: Mapping[str, str]
    """Hashes by path relative to the source, shortened: they only serve to say what changed."""


def source_of(scene: Scene, home: Home, code: Code | None = None) -> Source:
    """The files that a scene comes from, hashed.

    Where no file below the source was touched since the last time, nothing is read: the answer is
    the last one. Otherwise the readers say which files count, and those that were touched are
    hashed. A file that was touched only, or is not read by any reader, changes nothing.

    Raises:
        InputError: If the source is gone or cannot be read.
    """
    hashes = FileHashes(home.cache / f"{scene.name}.files.json")
    looked = time.time_ns()
    listed, quiet = _listing(scene, looked, code or Code.read())
    known = hashes.recall("source")
    if quiet and isinstance(known, dict) and known.get("listing") == listed:
        return Source(str(known["hash"]), dict(known["files"]))
    root = scene.source_path
    try:
        files = {os.path.relpath(p, root): hashes.hash(p) for p in source_files(scene)}
    except OSError as error:
        raise InputError(f"{error.filename or root}: cannot be read: {error.strerror}") from None
    whole = str(xxhash.xxh3_128_hexdigest(json.dumps(sorted(files.items())).encode()))
    found = Source(whole, {name: value[:12] for name, value in files.items()})
    hashes.remember("source", {"listing": listed, "hash": whole, "files": dict(found.files)})
    hashes.save()
    return found


def listing(scene: Scene) -> str:
    """One hash of what a scene comes from by the looks of the files, without reading them."""
    return _listing(scene, 0, Code.read())[0]


def _listing(scene: Scene, looked: int, code: Code) -> tuple[str, bool]:
    """What could be read and how, in one hash, and whether nothing of it changed just now."""
    if scene.source.kind == "demo":
        return "demo", True
    root = scene.source_path
    stamps = sorted(_stamps(root, set())) if root.is_dir() else [(str(root), _stamp(root))]
    readers = fingerprint(code.of_module("ops.capture.readers.detect"))
    told = [str(root), vars(scene.source), readers, stamps]
    quiet = all(settled(stamp, looked) for _, stamp in stamps)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest(), quiet


def _stamps(folder: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[str, Stamp]]:
    """Every file below a folder with its stamp; links are followed, but not in circles."""
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in seen:
            return
        seen.add((here.st_dev, here.st_ino))
        entries = list(os.scandir(folder))
    except OSError:
        yield str(folder), [-1, 0, 0, 0]
        return
    for entry in entries:
        if entry.is_dir():
            yield from _stamps(Path(entry.path), seen)
        else:
            yield entry.path, _stamp(Path(entry.path))


def _stamp(path: Path) -> Stamp:
    try:
        return stamp_of(path)
    except OSError:
        return [-1, 0, 0, 0]
