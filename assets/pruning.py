"""What in a home nobody needs any more: old versions, orphans, left-over checkpoints."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from assets.freshness import recipe
from assets.graph import scenes_of, stages_of
from assets.scenes import Scene
from ops.errors import InputError
from storage import pruning
from storage.errors import LockedError, NamedError, StorageError
from storage.home import Home
from storage.lock import held, holder
from storage.store import Store

CHECKPOINT_DAYS = 7
"""Younger checkpoints stay: somebody may change a setting back and go on from there."""

DEPTHS = ("*/*/*", "*/*/*/*")
"""Where artifacts lie below the store: scene/topic/name, and with a variant scene/topic/x9/name."""

Kind = Literal["old versions", "orphan", "left over", "checkpoint"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to drop."""

    selection: Sequence[str] = ()
    """``scene``, ``scene/topic`` or ``scene/topic/name``; empty for everything."""
    keep: int = 0
    """How many of the newest old versions of each artifact stay."""
    spare: timedelta = timedelta(hours=1)
    """Versions younger than that stay."""
    orphans: bool = False
    """Whether artifacts go whose scene or stage does not exist any more."""

    def covers(self, key: str) -> bool:
        """Whether an artifact is selected."""
        names = [name.strip("/") for name in self.selection]
        return not names or any(f"{key}/".startswith(f"{name}/") for name in names)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that goes, or why it stays."""

    artifact: str
    kind: Kind
    versions: tuple[str, ...] = ()
    bytes: int = 0
    """Space on disk that it frees."""
    kept: str = ""
    """Why it stays, in words; empty where it goes."""
    failed: bool = False
    """Whether it stays because it could not be read or removed."""
    drop: Callable[[], int] | None = field(default=None, compare=False, repr=False)
    """Does it; the bytes freed."""


def plan(wanted: Wanted, home: Home) -> list[Item]:
    """What would go, by artifact, and what stays that one could think would go.

    Raises:
        InputError: The selection names nothing that there is.
        StorageError: The store cannot be read.
    """
    looking = _Looking(wanted, home)
    looking.check()
    return [*looking.artifacts(), *looking.half_removed(), *looking.checkpoints()]


class _Looking:
    """One look through a home."""

    def __init__(self, wanted: Wanted, home: Home) -> None:
        self.wanted, self.home, self.store = wanted, home, Store(home.store)
        self.scenes = scenes_of(home)
        self.keys = self.store.keys()

    def check(self) -> None:
        """Every name of the selection must be that of something."""
        there = {*self.keys, *self.scenes}
        for scene in self.scenes.values():
            if isinstance(scene, Scene):
                there |= {f"{scene.name}/{key}" for key in stages_of(scene)}
        for name in self.wanted.selection:
            name = name.strip("/")
            if not any(f"{key}/".startswith(f"{name}/") for key in there):
                names = ", ".join(sorted({key.partition("/")[0] for key in there}))
                raise InputError(
                    f"{name!r} names nothing that is stored; there are artifacts of: {names}"
                )

    def artifacts(self) -> Iterator[Item]:
        """Old versions, and orphans."""
        busy = {key.partition("/")[0]: words for key, words in self._makers()}
        for key in filter(self.wanted.covers, self.keys):
            scene = key.partition("/")[0]
            orphan = self._orphaned(key)
            if scene in busy:
                kind: Kind = "orphan" if orphan else "old versions"
                yield Item(artifact=key, kind=kind, kept=busy[scene])
            elif orphan:
                yield self._orphan(key, orphan)
            else:
                yield from self._old_versions(key)

    def _makers(self) -> Iterator[tuple[str, str]]:
        """Artifacts that are being made now.

        A maker reads its inputs as they were when it began, and they may be old versions by now:
        so everything of its scene stays.
        """
        for lock in (f for d in DEPTHS for f in self.home.store.glob(f"{d}/maker.lock")):
            if held(lock.parent, "maker"):
                key = lock.parent.relative_to(self.home.store).as_posix()
                yield key, f"skipped: {key} is being made by {holder(lock.parent, 'maker')}"

    def _orphaned(self, key: str) -> str:
        """Why nothing makes this artifact any more; empty where something does."""
        name, _, stage = key.partition("/")
        if name not in self.scenes:
            return f"there is no scene {name!r} any more"
        scene = self.scenes[name]
        if isinstance(scene, InputError) or stage in stages_of(scene):
            return ""
        return f"scene {name!r} has no {stage} any more"

    def _orphan(self, key: str, why: str) -> Item:
        artifact = self.store.artifact(key)
        try:
            found = pruning.remove(artifact, dry_run=True)
        except StorageError as error:
            return _stays(key, "orphan", error)
        tags = tuple(v.tag for v in found.versions)
        if not self.wanted.orphans:
            words = f"{why}; goes with --orphans only"
            return Item(artifact=key, kind="orphan", versions=tags, bytes=found.bytes, kept=words)
        return Item(
            artifact=key,
            kind="orphan",
            versions=tags,
            bytes=found.bytes,
            drop=lambda: pruning.remove(artifact).bytes,
        )

    def _old_versions(self, key: str) -> Iterator[Item]:
        artifact, rule = self.store.artifact(key), self.wanted
        try:
            found = artifact.prune(keep=rule.keep, spare=rule.spare, dry_run=True)
        except StorageError as error:
            yield _stays(key, "old versions", error)
            return
        if found.versions or found.bytes:
            yield Item(
                artifact=key,
                kind="old versions" if found.versions else "left over",
                versions=tuple(v.tag for v in found.versions),
                bytes=found.bytes,
                drop=lambda: artifact.prune(keep=rule.keep, spare=rule.spare).bytes,
            )

    def half_removed(self) -> Iterator[Item]:
        """Orphans whose removal was interrupted."""
        for folder in pruning.half_removed(self.home.store) if not self.wanted.selection else ():
            name = folder.relative_to(self.home.store).as_posix()
            yield _files(name, "left over", [f for f in folder.rglob("*") if f.is_file()], folder)

    def checkpoints(self) -> Iterator[Item]:
        """Checkpoints that nothing would go on from, and that are not young."""
        oldest = time.time() - timedelta(days=CHECKPOINT_DAYS).total_seconds()
        found = []
        for file in sorted(self.home.checkpoints.glob("*.pt*")):
            key = file.name.rpartition("-")[0].replace("-", "/")
            with suppress(FileNotFoundError):  # its run ends just now
                if self.wanted.covers(key) and file.stat().st_mtime < oldest:
                    found.append((key, file))
        needed = self._needed({key.partition("/")[0] for key, _ in found})
        for key, file in found:
            if not any(file.name.startswith(name) for name in needed):
                yield _files(key, "checkpoint", [file], file)

    def _needed(self, names: set[str]) -> list[str]:
        """How the checkpoints begin that a run would go on from now."""
        found = []
        for name in names & self.scenes.keys():
            scene = self.scenes[name]
            if isinstance(scene, InputError):
                found.append(f"{name}-")
                continue
            stages = stages_of(scene)
            current = self.store.current([f"{name}/{key}" for key in stages])
            for stage in stages.values():
                begin = f"{name}/{stage.key}/".replace("/", "-")
                try:
                    found.append(begin + recipe(scene, stage, self.home, current).recipe)
                except InputError:  # its source is away for the moment
                    found.append(begin)
        return found


def _stays(key: str, kind: Kind, error: StorageError) -> Item:
    skipped = isinstance(error, LockedError)
    words = f"skipped: {error}" if skipped else str(error)
    failed = not isinstance(error, (LockedError, NamedError))
    return Item(artifact=key, kind=kind, kept=words, failed=failed)


def _files(name: str, kind: Kind, files: list[Path], top: Path) -> Item:
    size = sum(file.stat().st_size for file in files)

    def drop() -> int:
        if top.is_dir():
            shutil.rmtree(top)
        else:
            top.unlink(missing_ok=True)
        return size

    return Item(artifact=name, kind=kind, bytes=size, drop=drop)


def carry_out(items: Sequence[Item]) -> list[Item]:
    """Drop what a plan says. What cannot be dropped by now stays, and says why."""
    done = []
    for item in items:
        if item.drop is None:
            done.append(item)
            continue
        try:
            done.append(replace(item, bytes=item.drop()))
        except StorageError as error:
            done.append(_stays(item.artifact, item.kind, error))
    return done
