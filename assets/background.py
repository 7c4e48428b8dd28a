"""Refreshes that run by themselves: begun by a notebook, watched by whoever looks.

Each is ``splatworks refresh`` in a process and a session of its own, which outlives whoever began
it. What it says goes to files, so that another process can follow it from any moment on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from assets.plan import Selection
from assets.process import alive, process_name
from ops.errors import InputError
from storage.home import VARIABLE, Home
from storage.whole import write_whole

_ROOT = Path(__file__).parents[1]
_KEPT = 12  # of the last ones, their files
_children: dict[int, subprocess.Popen[bytes]] = {}  # ours, to be waited for when they have ended


@dataclass(frozen=True)
class Job:
    """A refresh that runs or ran in the background."""

    name: str
    """Of its files; later ones sort later."""
    process: str
    """As :func:`assets.process.process_name` names it."""
    selection: tuple[str, ...]
    """What it was asked to bring up to date; empty for everything."""
    begun: str
    """ISO 8601, UTC."""
    command: str
    """What one types in a terminal for the same."""


def begin(selection: Sequence[str], home: Home) -> Job:
    """Start to bring a selection up to date.

    Raises:
        InputError: The selection names nothing, or another one runs already.
    """
    chosen = Selection.of(selection, home)
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "begin.lock"):
        if (other := running(home)) is not None:
            raise InputError(f"a refresh is running already: {other.command}; wait, or stop it")
        _forget_old(home)
        now = datetime.now(UTC)
        name = now.strftime("%Y%m%d-%H%M%S-%f")
        command = [sys.executable, "-m", "assets.cli", "refresh", *chosen.names, "--progress-json"]
        with (
            (folder / f"{name}.lines").open("wb") as out,
            (folder / f"{name}.err").open("wb") as err,
        ):
            child = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, VARIABLE: str(home.root)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # it does not end with the kernel that began it
            )
        _children[child.pid] = child
        job = Job(
            name=name,
            process=process_name(child.pid),
            selection=chosen.names,
            begun=now.isoformat(timespec="seconds"),
            command=" ".join(["splatworks refresh", *chosen.names]),
        )
        write_whole(folder / f"{name}.json", json.dumps(asdict(job)))
    return job


def jobs(home: Home) -> list[Job]:
    """The last ones, newest first."""
    found = []
    for file in sorted(_folder(home).glob("*.json"), reverse=True):
        with suppress(OSError, ValueError, TypeError):
            told = json.loads(file.read_text())
            found.append(Job(**{**told, "selection": tuple(told["selection"])}))
    return found


def running(home: Home) -> Job | None:
    """The one that runs now."""
    return next((job for job in jobs(home) if is_running(job)), None)


def is_running(job: Job) -> bool:
    """Whether it has not ended yet."""
    child = _children.get(int(job.process.partition("-")[0]))
    if child is not None and child.poll() is not None:
        return False
    return alive(job.process)


def stop(job: Job) -> None:
    """Ask it to stop, as Ctrl-C does; what was finished is kept."""
    if is_running(job):
        with suppress(ProcessLookupError):
            os.kill(int(job.process.partition("-")[0]), signal.SIGINT)


def lines(job: Job, home: Home, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """What it has said since an offset in its file, and the offset to go on from."""
    try:
        with (_folder(home) / f"{job.name}.lines").open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    found = []
    for line in whole.splitlines():
        with suppress(ValueError):  # a library that prints
            entry = json.loads(line)
            if isinstance(entry, dict):
                found.append(entry)
    return found, offset + len(whole)


def complaint(job: Job, home: Home) -> str:
    """The end of what it wrote to standard error, for one that ended without an outcome."""
    try:
        text = (_folder(home) / f"{job.name}.err").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
    return text.splitlines()[-1] if text else ""


def _folder(home: Home) -> Path:
    return home.cache / "refreshes"


def _forget_old(home: Home) -> None:
    for job in jobs(home)[_KEPT:]:
        for file in _folder(home).glob(f"{job.name}.*"):
            file.unlink(missing_ok=True)
