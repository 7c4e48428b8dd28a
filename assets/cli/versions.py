"""Commands about versions: what there is, what differs, names, and dropping what nobody needs."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assets.cli.output import emit, out, readable_size
from assets.comparison import MetricChange, Pictures, metric_changes, most_different
from assets.graph import find_scene, find_stage
from ops.errors import InputError
from storage.artifact import ArtifactRepository
from storage.difference import Change, Difference, Form
from storage.errors import NameTakenError, VersionNotFoundError
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    from assets.pruning import Item, Wanted


def repository(artifact: str) -> ArtifactRepository:
    """The repository of an artifact of an existing scene.

    Raises:
        InputError: If the scene has no such artifact.
    """
    home = Home.find()
    find_stage(find_scene(artifact, home), artifact)
    return Store(home.store).artifact(artifact.strip("/"))


@contextmanager
def _wrong_names() -> Iterator[None]:
    """A version or a name that a user got wrong is bad input, not failed work."""
    try:
        yield
    except (VersionNotFoundError, NameTakenError) as error:
        raise InputError(str(error)) from error


def history(artifact: str, as_json: bool) -> None:
    """List versions."""
    rows = [
        {
            "version": v.tag,
            "current": v.current,
            "names": list(v.names),
            "made": v.created,
            "seconds": v.provenance.seconds,
            "bytes": v.nbytes,
            "content": v.content_hash,
            "code": v.provenance.code,
            "device": v.provenance.device,
            "notes": list(v.provenance.notes),
        }
        for v in reversed(repository(artifact).history())
    ]
    emit(rows, as_json)


def tag(artifact: str, name: str, version: str) -> None:
    """Give a version a name."""
    with _wrong_names():
        named = repository(artifact).tag(name, version or None)
    out.print(
        f"{named.artifact}: {named.tag} is called {', '.join(named.names)}; it is kept for ever",
        highlight=False,
        soft_wrap=True,
    )


@dataclass(frozen=True)
class _Comparison:
    artifact: str
    difference: Difference
    metrics: list[MetricChange]
    pictures: Pictures
    file: Path | None = None


def diff(
    artifact: str, old: str, new: str, picture: Path | None, no_picture: bool, as_json: bool
) -> None:
    """Show what differs between two versions; see the help text of the command."""
    if picture is not None and picture.suffix.lower() != ".png":
        raise InputError(f"--picture: expected a .png file, found {str(picture)!r}")
    stored = repository(artifact)
    with _wrong_names():
        versions = stored.resolve(old), stored.resolve(new or None)
    a, b = (version.tag for version in versions)
    difference = stored.diff(a, b)
    metrics, pictures, file = [], Pictures((), ()), None
    if not difference.same_content:
        trees = stored.open(a, as_stored=True), stored.open(b, as_stored=True)
        metrics = metric_changes(*trees)
        if not no_picture:
            changed = [c.variable for c in difference.content if c.kind == "changed"]
            pictures = most_different(*trees, changed)
            file = _draw(stored.key, a, b, pictures, picture)
    found = _Comparison(stored.key, difference, metrics, pictures, file)
    if as_json:
        out.print_json(json.dumps(_plain_numbers(_as_json(found)), default=str))
    else:
        _show(found)


def _draw(key: str, a: str, b: str, pictures: Pictures, file: Path | None) -> Path | None:
    """Write the picture; None where no pictures differ."""
    if not pictures.sections:
        return None
    from assets.png import save_png
    from ops.evaluation.difference_sheet import difference_sheet

    scene, _, name = key.partition("/")
    file = file or Home.find().exports / scene / f"diff_{name.replace('/', '_')}_{a}_{b}.png"
    save_png(difference_sheet(pictures.sections, title=f"{key}: {a} to {b}", labels=(a, b)), file)
    return file


def _as_json(found: _Comparison) -> dict[str, Any]:
    return {
        "artifact": found.artifact,
        **found.difference.as_json(),
        "metrics": [vars(m) | {"change": m.change} for m in found.metrics],
        "picture": None if found.file is None else str(found.file),
        "remarks": list(found.pictures.remarks),
    }


def _plain_numbers(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become null."""
    if isinstance(value, dict):
        return {k: _plain_numbers(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_numbers(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show(found: _Comparison) -> None:
    difference = found.difference
    out.print(f"[bold]{found.artifact}[/]  {difference.old} -> {difference.new}", highlight=False)
    for word in difference.provenance or ("made from the same code, settings and inputs",):
        out.print(f"  {word}", highlight=False, markup=False, soft_wrap=True)
    if difference.same_content:
        out.print("  content: the same")
        return
    for word in difference.attributes:
        out.print(f"  {word}", highlight=False, markup=False, soft_wrap=True)
    if found.metrics:
        emit([_metric_row(m) for m in found.metrics], False, "\nmetrics")
    counts = [c for c in difference.counts if c.old != c.new]
    if counts:
        rows = [
            {"count": c.dimension, "old": c.old, "new": c.new, "change": _signed(c.old, c.new)}
            for c in counts
        ]
        emit(rows, False, "\ncounts")
    if difference.content:
        emit([_variable_row(c, difference) for c in difference.content], False, "\nvariables")
    for remark in found.pictures.remarks:
        out.print(f"[dim]{remark}[/]", highlight=False, soft_wrap=True)
    if found.file is not None:
        out.print(f"\nwrote {found.file}", highlight=False, soft_wrap=True)


def _metric_row(metric: MetricChange) -> dict[str, Any]:
    change = "" if metric.change is None else f"{metric.change:+.4g}"
    old, new = ("none" if v is None else f"{v:.5g}" for v in (metric.old, metric.new))
    return {
        "metric": metric.metric,
        "old": old,
        "new": new,
        "change": change,
        "units": "" if metric.units == "1" else metric.units,
    }


def _signed(old: int | None, new: int | None) -> str:
    return "" if old is None or new is None else f"{new - old:+d}"


def _variable_row(change: Change, difference: Difference) -> dict[str, Any]:
    """One variable on two lines: the old version above the new one."""
    sides = [
        (tag, form)
        for tag, form in ((difference.old, change.old), (difference.new, change.new))
        if form is not None
    ]
    size = math.prod(change.new.shape) if change.new else 0
    if change.differing is None:
        values = change.kind if change.kind != "changed" else "another shape"
    else:
        values = f"{change.differing} of {size}"
    return {
        "variable": change.variable,
        "version": [tag for tag, _ in sides],
        "form": [f"{form.dtype} {list(form.shape)}" for _, form in sides],
        **{
            column: [_statistic(form, name) for _, form in sides]
            for column, name in (
                ("min", "least"),
                ("mean", "mean"),
                ("max", "most"),
                ("std", "std"),
            )
        },
        "values that differ": values,
        "by at most": change.largest,
    }


def _statistic(form: Form, name: str) -> str:
    value = getattr(form, name)
    return "" if value is None else f"{value:.4g}"


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    """``7d`` as a span of time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower())
    if found is None:
        raise InputError(
            f"--older-than: expected a number with one of s, m, h, d, w (as 7d), found {text!r}"
        )
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise InputError(f"--older-than: {text} is longer than time is counted here") from None


def prune(
    selection: list[str],
    keep: int,
    older_than: str,
    orphans: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Drop what nobody needs; see the help text of the command."""
    from assets.pruning import Wanted, carry_out, plan

    wanted = Wanted(selection=selection, keep=keep, spare=_age(older_than), orphans=orphans)
    asks = not (yes or dry_run)
    if asks and (as_json or not sys.stdin.isatty()):
        raise InputError("prune asks before it drops anything, and cannot here; add --yes to do it")
    items = plan(wanted, Home.find())
    goes = sum(item.bytes for item in items if item.drop)
    something = any(item.drop for item in items)
    nothing = "" if something else "nothing to drop"
    if nothing and _too_young(wanted):
        nothing = f"nothing older than {_spelt(older_than)}; see --older-than"
    if asks or dry_run:
        _show_items(items, nothing or f"would free {readable_size(goes)}", as_json, done=False)
    if asks and (not something or not typer.confirm("Drop this?", default=False)):
        return
    if not dry_run:
        items = carry_out(items)
        freed = sum(item.bytes for item in items if not item.kept)
        _show_items(items, nothing or f"freed {readable_size(freed)}", as_json, done=True)
    if any(item.failed for item in items):
        sys.exit(1)


def _too_young(wanted: Wanted) -> bool:
    """Whether something would go but for its age."""
    from assets.pruning import plan

    any_age = replace(wanted, spare=timedelta(0))
    return wanted.spare > timedelta(0) and any(i.drop for i in plan(any_age, Home.find()))


def _spelt(age: str) -> str:
    """``1h`` as people write it, ``1 h``."""
    return re.sub(r"(?<=\d)(?=[a-z])", " ", age.strip().lower())


def _show_items(items: list[Item], total: str, as_json: bool, done: bool) -> None:
    """A row per artifact, and the sum."""
    rows = [
        {
            "artifact": item.artifact,
            "what": item.kind,
            "versions": ", ".join(item.versions),
            "bytes": item.bytes,
            "state": "stays" if item.kept else ("dropped" if done else "goes"),
            "why": item.kept,
        }
        for item in items
    ]
    if as_json:
        gone = [item for item in items if not item.kept]
        told = {"items": rows, "bytes": sum(item.bytes for item in gone), "done": done}
        out.print_json(json.dumps(told))
        return
    if not any(row["why"] for row in rows):
        rows = [{k: v for k, v in row.items() if k != "why"} for row in rows]
    if rows:
        emit(rows, False)
    out.print(total, highlight=False)
