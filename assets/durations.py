"""About how long an artifact takes to make, by what its versions took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.artifact import Version
from storage.provenance import Provenance

_ITERATIONS = "iterations"  # how settings are called, at the end, that time grows in step with


@dataclass(frozen=True)
class Duration:
    """An estimate, and what it is from."""

    seconds: float
    version: str
    """The version whose time it is from."""
    basis: str = ""
    """How that version differs, such as ``57 s at 1,000 iterations``; empty where it was made with
    the same settings, so that nothing but the machine and the inputs can make a difference."""

    def __str__(self) -> str:
        return f"{self.version}: {self.basis}" if self.basis else self.version


def expected(versions: Sequence[Version], now: Provenance | None) -> Duration | None:
    """About how long it takes to make an artifact now, from the most similar of its versions.

    Most similar is the one whose number of iterations is nearest; of those the one that differs in
    the fewest settings, then in the fewest inputs, then the current one, then the newest. Its time
    is scaled by the number of iterations, the one setting whose cost is known beforehand: a
    training that is to be seven times as long takes about seven times as long.

    Args:
        versions: The versions of the artifact.
        now: What it would be made from; None where that cannot be told, and the current version's
            time is taken then.

    Returns:
        The estimate; None where no version tells how long it took.
    """
    timed = [v for v in versions if v.provenance.seconds]
    if not timed:
        return None
    if now is None:
        newest = max(timed, key=lambda v: (v.current, v.number))
        return Duration(newest.provenance.seconds, newest.tag)
    nearest = min(timed, key=lambda v: _distance(v, now))
    made = nearest.provenance
    ratio = _ratio(made, now)
    basis = ""
    if ratio != 1:
        basis = f"{span(made.seconds)} at {_iterations(made):,} iterations"
    elif _settings(made) != _settings(now):
        basis = f"{span(made.seconds)} with other settings"
    return Duration(made.seconds * ratio, nearest.tag, basis)


def span(seconds: float) -> str:
    """A time as people say it: ``57 s``, ``12 min``, ``3.5 h``."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _distance(version: Version, now: Provenance) -> tuple[float, int, int, bool, int]:
    made = version.provenance
    then, wanted = _settings(made), _settings(now)
    inputs = {k: v.get("content") for k, v in now.inputs.items()}
    return (
        abs(math.log(_ratio(made, now))),
        sum(then.get(k) != wanted.get(k) for k in {*then, *wanted}),
        sum(made.inputs.get(k, {}).get("content") != content for k, content in inputs.items()),
        not version.current,
        -version.number,
    )


def _ratio(made: Provenance, now: Provenance) -> float:
    """How many times the iterations of then are wanted now; 1 where none are counted."""
    then, wanted = _iterations(made), _iterations(now)
    return wanted / then if then > 0 and wanted > 0 else 1.0


def _iterations(made_from: Provenance) -> int:
    """All iterations that the settings ask for; a stage has one such setting, or none."""
    return sum(
        value
        for name, value in _settings(made_from).items()
        if name.endswith(_ITERATIONS) and isinstance(value, int)
    )


def _settings(made_from: Provenance) -> dict[str, Any]:
    return dict(_flat("", made_from.settings))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
