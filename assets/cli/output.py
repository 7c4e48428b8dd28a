"""What the commands print: tables for people, JSON for scripts, errors with an exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

_COLOURS = {
    **{"fresh": "green", "stale": "yellow", "missing": "red", "failed": "bold red"},
    **{"orphan": "magenta", "broken": "bold red"},
}
_LONG = ("why", "found", "without it", "notes", "from", "file", "remarks")  # sentences and paths
_WIDTH = None if sys.stdout.isatty() else 160  # wide enough to be read by a script
out, err = Console(width=_WIDTH), Console(stderr=True)


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong and exit."""
    err.print(f"[bold red]error[/] {_plain(message)}", highlight=False, soft_wrap=True)
    sys.exit(code)


def emit(rows: Sequence[Mapping[str, Any]], as_json: bool, title: str = "") -> None:
    """Print rows of equal keys as a table, or as a JSON list."""
    if as_json:
        out.print_json(json.dumps(list(rows), default=_as_json))
        return
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold", no_wrap=name not in _LONG)
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table)


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(name: str, value: Any) -> str:
    """A value as a person reads it; JSON has it as it is."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(_plain(str(v)) for v in value)
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}{_age(value)}"
    if name == "bytes":
        return readable_size(value)
    if name == "seconds":
        return f"{value:.1f}"
    text = _plain(f"{value:.4g}" if isinstance(value, float) else str(value))
    colour = _COLOURS.get(text)
    return f"[{colour}]{text}[/]" if colour else text


def _age(when: datetime) -> str:
    """``, 3 h ago``; nothing for what was made in the future, by a clock that was wrong."""
    seconds = (datetime.now(UTC) - when).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f", {seconds // size:.0f} {unit} ago"
    return ""


def readable_size(count: float) -> str:
    """A number of bytes in decimal units."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def program() -> str:
    """How this program is called here: by its name where that is found, else by its path."""
    name = "splatworks"
    return name if shutil.which(name) else os.path.relpath(Path(sys.executable).with_name(name))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
