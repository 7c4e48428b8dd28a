"""Versions of artifacts to read about: what a setting would change, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from notebooks.artifacts import to_read
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from assets.freshness import Status

_DIGITS = ".5g"


def tags(key: str, home: Home | None = None) -> list[str]:
    """The versions that there are of an artifact, oldest first: ``["v1", "v2"]``."""
    home = home or Home.find()
    return [version.tag for version in Store(home.store).artifact(key).history()]


def what_if(
    scene: str, settings: Mapping[str, Mapping[str, Any]], home: Home | None = None
) -> Styler:
    """What other settings would make stale, and what a refresh would then do.

    Nothing is changed by asking, neither the scene's file nor the store.

    Args:
        scene: Such as ``demo``.
        settings: By section of the scene's file: ``{"train": {"iterations": 2000}}``.
        home: Where to look; None for ``SPLATWORKS_HOME`` or its default.

    Returns:
        A row for each artifact that would not be fresh and that the question touches: its recipe or
        the reasons are others than now, or it depends on such a one. What is stale already and has
        nothing to do with it is not listed.

    Raises:
        InputError: There is no such scene, section or setting, or a value cannot be used.
    """
    import pandas as pd

    from assets.freshness import scene_status
    from assets.graph import find_scene, known_sections, stages_of
    from ops.errors import InputError

    home = home or Home.find()
    store, now = Store(home.store), find_scene(scene, home)
    for section in settings:
        if section not in known_sections():
            known = ", ".join(sorted(known_sections()))
            raise InputError(f"what_if: expected sections of {known}, found {section!r}")
    tables = {k: dict(v) for k, v in now.tables.items()}
    for section, values in settings.items():
        tables[section] = {**tables.get(section, {}), **values}
    before = scene_status(now, home, store)
    other = replace(now, tables=tables)
    after, stages = scene_status(other, home, store), stages_of(other)
    touched: set[str] = set()
    rows = []
    for key, status in after.items():  # in topological order
        if _differ(before.get(key), status) or touched.intersection(stages[key].inputs):
            touched.add(key)
        if key not in touched or status.version is None or status.state == "fresh":
            continue
        if status.now is None:  # it would not even start
            raise InputError(f"what_if: {'; '.join(status.reasons)}")
        known_version = store.artifact(status.key).find(status.now.recipe)
        took = status.version.provenance.seconds
        if status.waits_for:
            then = "runs, unless what it needs turns out as it was"
        elif known_version is not None:
            then = f"{known_version.tag} becomes current again, in a moment"
        else:
            then = f"runs, about {took:.0f} s by the last time" if took >= 1 else "runs, a moment"
        words = "\n".join(status.reasons)
        state = before[key].state if key in before else "missing"
        rows.append((status.key, state, status.state, then, words))
    columns = ["artifact", "now", "would be", "a refresh then", "why"]
    return to_read(pd.DataFrame(rows, columns=columns).set_index("artifact"))


def changes(
    key: str, old: str | None = None, new: str | None = None, home: Home | None = None
) -> Any:
    """What differs between two versions of an artifact, as ``splatworks diff`` says it.

    Args:
        key: Such as ``demo/splats/trained``.
        old: A tag or a name; None for the version before ``new``.
        new: The same; None for the last one.
        home: Where to look; None for ``SPLATWORKS_HOME`` or its default.

    Returns:
        A table of metrics, counts and variables, with what made the difference above it; a
        sentence where there are not two versions.

    Raises:
        VersionNotFoundError: There is no such version.
    """
    import pandas as pd
    from IPython.display import Markdown

    from notebooks.widgets.store_report import difference

    home = home or Home.find()
    there = tags(key, home)
    if len(there) < 2 and (old is None or new is None):
        only = f"only **{there[0]}**" if there else "none"
        return Markdown(
            f"There are not two versions of `{key}` to compare yet, {only}. "
            "Change a setting and refresh, then run this cell again."
        )
    if new is None:
        new = there[-1]
    if old is None:
        old = there[max(there.index(new) - 1, 0)] if new in there else there[0]
    found, _ = difference(key, old, new, home)
    rows: list[tuple[str, ...]] = [
        (m["name"], _short(m["old"]), _short(m["new"]), _short(m["change"]))
        for m in found["metrics"]
    ]
    for count in found["counts"]:
        a, b = count["old"] or 0, count["new"] or 0
        rows.append((f"number of {count['name']}", f"{a:,}", f"{b:,}", f"{b - a:+,}"))
    for v in found["variables"]:
        many = v["kind"].replace("changed", "another shape")
        if v["differing"] is not None:
            many = f"{v['differing']:,} of {v['of']:,} differ"
        rows.append((f"mean of {v['name']}", _short(v["old"]), _short(v["new"]), many))
    if found["same"]:
        rows.append(("content", "the same", "the same", ""))
    table = pd.DataFrame(rows, columns=["", found["old"], found["new"], "change"]).set_index("")
    made = found["provenance"] or ["made from the same code, settings and inputs"]
    return to_read(table).set_caption("; ".join(made))


def _differ(before: Status | None, after: Status) -> bool:
    """Whether an artifact would be made from something else, or be stale for other reasons."""
    if before is None or before.now is None or after.now is None:
        return True
    return (before.now.recipe, before.reasons) != (after.now.recipe, after.reasons)


def _short(value: float | None) -> str:
    return "" if value is None else format(value, _DIGITS)
