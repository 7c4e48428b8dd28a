"""The files a scene comes from, hashed; unchanged files are not read again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import xxhash

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


def source_hash(scene: Scene, home: Home) -> str:
    """One hash of the names and bytes of all source files.

    A file whose size and time of change are as they were is taken as unchanged.

    Raises:
        InputError: If the source is gone or cannot be read.
    """
    cache_file = home.root / "cache" / f"{scene.name}.files.json"
    try:
        cache = json.loads(cache_file.read_text("utf-8"))
    except (OSError, ValueError):
        cache = {}
    root = scene.source_path
    now: dict[str, list[str | int]] = {}
    for path in source_files(scene):
        name = os.path.relpath(path, root)
        try:
            stat = path.stat()
            known = cache.get(name)
            if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
                known = [stat.st_size, stat.st_mtime_ns, _file_hash(path)]
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        now[name] = known
    if now != cache:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        new = cache_file.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(now), "utf-8")
        new.replace(cache_file)
    contents = json.dumps([[name, known[2]] for name, known in sorted(now.items())])
    return str(xxhash.xxh3_128_hexdigest(contents.encode()))


def _file_hash(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return str(digest.hexdigest())
