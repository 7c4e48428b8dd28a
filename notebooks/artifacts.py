"""Opening what the workbench made. Nothing here writes to the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from storage.errors import ArtifactNotFoundError
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from pandas.io.formats.style import Styler

    from assets.bridge.views import StoredViews
    from ops.splats.model import Splats


def open_artifact(key: str, version: str | None = None, home: Home | None = None) -> xr.DataTree:
    """An artifact of a scene, such as ``fox/splats/trained``; values are read when they are used.

    Args:
        key: ``scene/topic/name``, as ``splatworks status`` lists them.
        version: A tag such as ``v3``, a name given with ``tag``, or None for the current version.
        home: Where to look; None for ``SPLATWORKS_HOME`` or its default.

    Raises:
        InputError: There is no such scene, or the scene has no such artifact.
        ArtifactNotFoundError: It has not been made yet; the message says what to run.
        VersionNotFoundError: It exists, but not in this version.
    """
    home = home or Home.find()
    repository = Store(home.store).artifact(_known(key, home))
    try:
        return repository.open(version)
    except ArtifactNotFoundError:
        raise ArtifactNotFoundError(
            f"{key} has not been made yet (looked in {home.store}). Run\n\n"
            f"    splatworks materialize {key}\n\n"
            "in a terminal, or materialize it in the Dagster UI; then run this cell again.",
            artifact=key,
        ) from None


def open_splats(key: str, version: str | None = None, home: Home | None = None) -> Splats:
    """The Gaussians of an artifact that holds some, such as ``fox/splats/trained``.

    Raises:
        InputError: The artifact holds no splats, or is none.
        ArtifactNotFoundError, VersionNotFoundError: As :func:`open_artifact`.
    """
    from assets.bridge.splats import splats_from

    tree = open_artifact(key, version, home)
    _expect(tree, key, "splats", "scene/splats/trained")
    return splats_from(tree)


def open_views(key: str, version: str | None = None, home: Home | None = None) -> StoredViews:
    """The photos and cameras of an artifact such as ``fox/capture/views``, decoded one at a time.

    Raises:
        InputError: The artifact holds no views, or is none.
        ArtifactNotFoundError, VersionNotFoundError: As :func:`open_artifact`.
    """
    from assets.bridge.views import StoredViews

    tree = open_artifact(key, version, home)
    _expect(tree, key, "cameras", "scene/capture/views")
    return StoredViews(tree)


def versions(key: str, home: Home | None = None) -> Styler:
    """All versions of an artifact, oldest first, and what was changed to make each.

    Raises:
        InputError: There is no such scene, or the scene has no such artifact.
    """
    import pandas as pd

    home = home or Home.find()
    rows, before = [], None
    for version in Store(home.store).artifact(_known(key, home)).history():
        made = version.provenance
        rows.append(
            {
                "version": version.tag,
                "current": "yes" if version.current else "",
                "made": _when(version.created),
                "in": f"{made.seconds:.1f} s",
                "since the one before": _lines(before.stale_against(made)) if before else "",
            }
        )
        before = made
    columns = ["version", "current", "made", "in", "since the one before"]
    return to_read(pd.DataFrame(rows, columns=columns).set_index("version"))


def origin(tree: xr.DataTree) -> Styler:
    """What made an opened artifact: code, inputs, settings, machine and packages."""
    import pandas as pd

    made = tree.attrs["provenance"]
    rows = {
        "written": _when(datetime.fromisoformat(tree.attrs["written"])),
        "content": tree.attrs["splatworks"]["content_hash"],
        "code": made["code"],
        **{f"input {key}": f"{v['version']} {v['content']}" for key, v in made["inputs"].items()},
    }
    for section, settings in made["settings"].items():
        rows[f"settings, [{section}]"] = ", ".join(f"{k} = {v}" for k, v in settings.items())
    rows |= {
        "on": f"{made['device']}, {made['seconds']:.1f} s",
        "packages": ", ".join(f"{k} {v}" for k, v in made["packages"].items()),
    }
    rows |= {f"note {i + 1}": note for i, note in enumerate(made["notes"])}
    table = pd.DataFrame({"": rows})
    return to_read(table).hide(axis="columns")


def artifacts(scene: str, home: Home | None = None) -> Styler:
    """What a scene has: one row per artifact, with its state and the reasons for it.

    Raises:
        InputError: There is no such scene, or its file cannot be read.
    """
    import pandas as pd

    from assets.freshness import scene_status
    from assets.graph import find_scene

    home = home or Home.find()
    rows = []
    for status in scene_status(find_scene(scene, home), home, Store(home.store)).values():
        version = status.version
        made = version.provenance if version else None
        rows.append(
            {
                "artifact": status.key,
                "state": status.state,
                "version": version.tag if version else "",
                "made": _when(version.created) if version else "",
                "in": f"{made.seconds:.1f} s" if made else "",
                "size": f"{version.nbytes / 1e6:.1f} MB" if version else "",
                "why it is not fresh": _lines(status.reasons),
            }
        )
    table = pd.DataFrame(rows).set_index("artifact")
    if not table["why it is not fresh"].any():
        table = table.drop(columns="why it is not fresh")
    return to_read(table)


def scores(evaluation: xr.DataTree) -> pd.DataFrame:
    """The metrics of an evaluation: a row per view and their mean last, a column per metric."""
    import pandas as pd

    from assets.bridge.evaluation import metric_rows

    rows = pd.DataFrame(metric_rows(evaluation))
    views = [v for v in dict.fromkeys(rows["view"]) if v != "mean"]
    table = rows.pivot(index="view", columns="metric", values="value")
    table = table.reindex(index=[*views, "mean"], columns=list(dict.fromkeys(rows["metric"])))
    return table.rename_axis(index=None, columns=None)


def to_read(table: pd.DataFrame) -> Styler:
    """A table of words: nothing is cut off, as pandas does with long texts."""
    look = {"text-align": "left", "vertical-align": "top", "white-space": "nowrap"}
    words = {"white-space": "pre-line", "max-width": "46em", "min-width": "16em"}
    left = [{"selector": "th", "props": "text-align: left; vertical-align: top"}]
    styled = table.rename_axis(index=None).style.set_properties(**look)
    return styled.set_properties(subset=table.columns[-1:], **words).set_table_styles(left)


def _lines(sentences: Sequence[str], most: int = 6) -> str:
    """A sentence per line, and how many more there are."""
    more = [f"and {len(sentences) - most} more"] if len(sentences) > most else []
    return "\n".join([*sentences[:most], *more])


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%d %b %Y, %H:%M}"


def _known(key: str, home: Home) -> str:
    """``key``, if it names an artifact of a scene."""
    from assets.graph import find_scene, stages_of
    from ops.errors import InputError

    scene = find_scene(key.partition("/")[0], home)
    there = [f"{scene.name}/{name}" for name in stages_of(scene)]
    if key not in there:
        raise InputError(f"{key!r} names no artifact of scene {scene.name}: {', '.join(there)}")
    return key


def _expect(tree: xr.DataTree, key: str, child: str, example: str) -> None:
    from ops.errors import InputError

    if child not in tree.children:
        held = ", ".join(sorted(tree.children)) or "a table"
        raise InputError(f"{key} holds no {child} but {held}; expected an artifact like {example}")
