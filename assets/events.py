"""Dagster's event log, kept in step with the store: which versions it says are current.

The UI's "unsynced" marks compare the tags of an asset's last materialization with the code version
of its definition and with the data versions of its inputs. The tags written here say exactly what
the store says, so that the marks do, also for versions that became current without a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

from assets.checks import tell_verdicts
from assets.freshness import code_version
from assets.graph import scenes_of, stages_of
from assets.scenes import Scene
from assets.stage import Stage
from storage.artifact import Version
from storage.home import Home
from storage.provenance import Provenance
from storage.store import Store

_VERSION = "splatworks/version"
_CODE = "dagster/code_version"
_DATA = "dagster/data_version"
_GIVEN = "dagster/data_version_is_user_provided"
_INPUT = "dagster/input_data_version"
_POINTER = "dagster/input_event_pointer"
_NO_EVENT = "NULL"  # no event of this log made the input
_LOST = "not in the store"


def event_tags(version: Version) -> dict[str, str]:
    """Tags of the materialization event of a version."""
    made = version.provenance
    return {_VERSION: version.tag, _DATA: version.content_hash, _GIVEN: "true"} | _made_from(made)


def _made_from(made: Provenance) -> dict[str, str]:
    inputs = {k: v.get("content", "") for k, v in made.inputs.items() if "/" in k}
    return {_CODE: code_version(made)} | {f"{_INPUT}/{k}": v for k, v in inputs.items()}


def bring_in_step(
    dagster: dg.DagsterInstance, home: Home, current: Mapping[str, Version | None]
) -> list[str]:
    """Tell Dagster of artifacts whose current version is not the one that it knows.

    Args:
        dagster: The instance.
        home: Where the scenes and the store are.
        current: Current versions by ``scene/topic/name``; None for one that the store does not
            hold (or holds damaged), which the UI then shows as unsynced.

    Returns:
        The keys that it was told of.
    """
    keys = {key: dg.AssetKey(key.split("/")) for key in current}
    records = dagster.get_asset_records(list(keys.values()))
    known = {r.asset_entry.asset_key: r.asset_entry.last_materialization for r in records}
    told = []
    stages = cache(lambda: _stages(home))  # scenes are read only where something is to be told
    for name, key in keys.items():
        event, version = known.get(key), current[name]
        tags = {} if event is None or event.tags is None else event.tags
        wanted = {_CODE: _LOST} if version is None else event_tags(version)
        pointers = {k.replace(_INPUT, _POINTER): _NO_EVENT for k in wanted if _INPUT in k}
        known_so = wanted.items() <= tags.items() and pointers.keys() <= tags.keys()
        if known_so or (event is None and version is None):
            continue
        past = [] if version is None else _past(dagster, key, version)
        dagster.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=key,
                description="not in the store" if version is None else f"{version.tag} is current",
                metadata={} if version is None else _shown_before(past, version),
                tags=wanted | pointers,
            )
        )
        if version is not None and name in stages():
            run_id = next((r.run_id for r in past if r.run_id), "")
            tell_verdicts(dagster, stages()[name], version, Store(home.store), run_id)
        told.append(name)
    return told


def _stages(home: Home) -> dict[str, Stage]:
    """Every stage of every scene that can be read, by ``scene/topic/name``."""
    scenes = [s for s in scenes_of(home).values() if isinstance(s, Scene)]
    return {f"{s.name}/{key}": stage for s in scenes for key, stage in stages_of(s).items()}


def _shown_before(past: Sequence[dg.EventLogRecord], version: Version) -> dict[str, Any]:
    """The pictures and numbers that the UI showed of a version when it was made."""
    for record in past:
        if record.asset_materialization is not None:
            return {**record.asset_materialization.metadata, "action": "restored"}
    return {"version": version.tag}


def _past(
    dagster: dg.DagsterInstance, key: dg.AssetKey, version: Version
) -> list[dg.EventLogRecord]:
    """What the log has of a version becoming current, newest first."""
    found = []
    for record in dagster.fetch_materializations(key, limit=100).records:
        event = record.asset_materialization
        if event is not None and (event.tags or {}).get(_VERSION) == version.tag:
            found.append(record)
    return found
