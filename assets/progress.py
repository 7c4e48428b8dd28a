"""Where the progress of a step goes: the terminal that waits for it, and Dagster's event log."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import dagster as dg

PROGRESS_FILE = "SPLATWORKS_PROGRESS"  # a file that step processes append lines of JSON to
Show = Literal["bars", "lines", "nothing"]
"""Bars on a terminal, lines of JSON on standard output, or nothing."""
_TERMINAL_SECONDS = 0.2
_EVENT_SECONDS = 10.0


class StepProgress:
    """A :class:`ops.progress.Progress` for one step, throttled for each of its listeners."""

    def __init__(self, key: str, context: dg.AssetExecutionContext | None) -> None:
        self._key = key
        self._context = context
        self._file = os.environ.get(PROGRESS_FILE)
        self._what = ""
        self._started = time.monotonic()
        self._told_terminal = self._told_events = 0.0
        self._first = 0

    def __call__(
        self, done: int, total: int, what: str, values: Mapping[str, float] | None = None
    ) -> None:
        """Report progress; see :class:`ops.progress.Progress`."""
        now = time.monotonic()
        first, last = what != self._what, bool(total) and done >= total
        if first:
            self._what, self._started, self._told_events = what, now, now
            self._first = done  # resumed work does not begin at 0
        entry: dict[str, Any] = {"key": self._key, "done": done, "total": total, "what": what}
        entry["values"] = {k: float(v) for k, v in (values or {}).items()}
        if self._file and (first or last or now - self._told_terminal > _TERMINAL_SECONDS):
            self._told_terminal = now
            tell(entry)
        if self._context is not None and now - self._told_events > _EVENT_SECONDS:
            self._told_events = now
            self._tell_dagster(done, total, what, entry["values"], now - self._started)

    def _tell_dagster(
        self, done: int, total: int, what: str, values: Mapping[str, float], seconds: float
    ) -> None:
        assert self._context is not None
        made = done - self._first
        left = f"{seconds * (total - done) / made:.0f} s left" if made > 0 and total else ""
        numbers = ", ".join(f"{k} {v:.4g}" for k, v in values.items())
        import dagster as dg

        self._context.log.info(f"{what} {done}/{total or '?'}  {numbers}  {left}".strip())
        metadata: dict[str, Any] = {"step": done, "steps": total, "what": what, **values}
        if left:
            metadata["time left"] = left
        self._context.log_event(
            dg.AssetObservation(asset_key=self._context.asset_key, metadata=metadata)
        )


class _Relay(logging.Handler):
    """Passes what ops log on to the terminal that waits and to Dagster's event log."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        super().__init__(logging.INFO)
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        tell({"say": sentence, "style": "dim"})
        self._context.log.info(sentence)


@contextmanager
def relayed_log(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Pass on what our own loggers say while a step runs."""
    relay = _Relay(context)
    loggers = [logging.getLogger(name) for name in ("splatworks", "ops", "storage")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(relay)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(relay)
            logger.setLevel(level)


def tell(entry: Mapping[str, Any]) -> None:
    """Append one line for a terminal that waits, if one does."""
    if file := os.environ.get(PROGRESS_FILE):
        line = (json.dumps(entry) + "\n").encode()
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, line)  # one write: lines of several processes do not mix
        finally:
            os.close(descriptor)


@contextmanager
def shown(file: Path, show: Show = "bars") -> Iterator[None]:
    """Show the progress that step processes write to ``file``, while the body runs."""
    os.environ[PROGRESS_FILE] = str(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    stop = threading.Event()
    draw = _pass_on if show == "lines" else _draw
    drawer = threading.Thread(
        target=draw, args=(file, stop, show == "nothing"), name="progress", daemon=True
    )
    drawer.start()
    try:
        yield
    finally:
        stop.set()
        drawer.join(timeout=5)
        del os.environ[PROGRESS_FILE]
        file.unlink(missing_ok=True)


def emit_line(entry: Mapping[str, Any]) -> None:
    """Write one line of JSON to standard output, for a program that reads it."""
    # One write: lines of several threads do not mix.
    sys.stdout.write(json.dumps(entry, default=str) + "\n")
    sys.stdout.flush()


def _pass_on(file: Path, stop: threading.Event, _: bool) -> None:
    with file.open("r") as lines:
        while True:
            finished = stop.is_set()  # read before the lines, so that none is missed
            while line := lines.readline():
                emit_line(json.loads(line))
            if finished:
                return
            time.sleep(0.1)


def _draw(file: Path, stop: threading.Event, quiet: bool) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, quiet=quiet)
    roomy = console.width >= 110
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[key]}", style="bold"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30 if roomy else 10),
        MofNCompleteColumn(),
        *((TimeElapsedColumn(),) if roomy else ()),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[numbers]}", style="dim"),
    )
    with Progress(*columns, console=console, transient=False) as bars, file.open("r") as lines:
        tasks: dict[tuple[str, str], Any] = {}
        while True:
            finished = stop.is_set()  # read before the lines, so that none is missed
            while line := lines.readline():
                _show(bars, tasks, json.loads(line), console.width >= 140)
            if finished:
                return
            time.sleep(0.1)


def _show(
    bars: Any, tasks: dict[tuple[str, str], Any], entry: Mapping[str, Any], whole_keys: bool
) -> None:
    """Apply one line: a bar to move, or a sentence to print."""
    from rich.markup import escape

    if "say" in entry:
        sign = {"good": "[green]✓[/] ", "bad": "[yellow]![/] "}.get(entry.get("style", ""), "")
        style = "dim" if entry.get("style") == "dim" else None
        bars.console.print(f"{sign}{escape(entry['say'])}", style=style, highlight=False)
        return
    name = (entry["key"], entry["what"])
    numbers = " ".join(f"{k} {_short(v)}" for k, v in entry["values"].items())
    if name not in tasks:
        # On a narrow terminal without scene and topic, but never so short that scales look alike.
        key = entry["key"] if whole_keys else entry["key"].split("/", 2)[2]
        tasks[name] = bars.add_task(entry["what"], key=key, numbers=numbers)
    bars.update(tasks[name], completed=entry["done"], total=entry["total"] or None, numbers=numbers)


def _short(value: float) -> str:
    """Three digits and a unit: 0.0367, 27.5, 23.6k."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
