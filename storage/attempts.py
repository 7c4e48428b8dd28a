"""What is remembered of the last attempt to make an artifact, where it failed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage.whole import write_whole

_FILE = "failed.json"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An attempt to make an artifact that failed."""

    recipe: str
    """Of :class:`~storage.provenance.Provenance`: what it would have been made from."""
    message: str
    bad_input: bool = False
    """Whether the user's input was at fault."""
    when: str = ""
    """ISO 8601, UTC."""


def remember_failure(folder: Path, failure: Failure) -> None:
    """Keep a failure in an artifact's folder until the next success; a full disk keeps none."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _FILE, json.dumps({**asdict(failure), "when": now}))


def last_failure(folder: Path) -> Failure | None:
    """The failure of the last attempt; None where it was a success, or cannot be read."""
    try:
        return Failure(**json.loads((folder / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def forget_failure(folder: Path) -> None:
    """Called after a success."""
    with suppress(OSError):
        (folder / _FILE).unlink(missing_ok=True)
