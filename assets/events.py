"""Dagster's event log, kept in step with the store: which versions it says are current.

The UI's "unsynced" marks compare the tags of an asset's last materialization with the code version
of its definition and with the data versions of its inputs. The tags written here say exactly what
the store says, so that the marks do, also for versions that became current without a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from assets.freshness import code_version
from storage.artifact import Version
from storage.provenance import Provenance

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


def bring_in_step(dagster: dg.DagsterInstance, current: Mapping[str, Version | None]) -> list[str]:
    """Tell Dagster of artifacts whose current version is not the one that it knows.

    Args:
        dagster: The instance.
        current: Current versions by ``scene/topic/name``; None for one that the store does not
            hold (or holds damaged), which the UI then shows as unsynced.

    Returns:
        The keys that it was told of.
    """
    keys = {key: dg.AssetKey(key.split("/")) for key in current}
    records = dagster.get_asset_records(list(keys.values()))
    known = {r.asset_entry.asset_key: r.asset_entry.last_materialization for r in records}
    told = []
    for name, key in keys.items():
        event, version = known.get(key), current[name]
        tags = {} if event is None or event.tags is None else event.tags
        wanted = {_CODE: _LOST} if version is None else event_tags(version)
        pointers = {k.replace(_INPUT, _POINTER): _NO_EVENT for k in wanted if _INPUT in k}
        known_so = wanted.items() <= tags.items() and pointers.keys() <= tags.keys()
        if known_so or (event is None and version is None):
            continue
        metadata = _shown_before(dagster, key, version)
        dagster.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=key,
                description="not in the store" if version is None else f"{version.tag} is current",
                metadata=metadata,
                tags=wanted | pointers,
            )
        )
        told.append(name)
    return told


def _shown_before(
    dagster: dg.DagsterInstance, key: dg.AssetKey, version: Version | None
) -> dict[str, Any]:
    """The pictures and numbers that the UI showed of a version when it was made."""
    if version is None:
        return {}
    for record in _past(dagster, key):
        event = record.asset_materialization
        if event is not None and (event.tags or {}).get(_VERSION) == version.tag:
            return {**event.metadata, "action": "restored"}
    return {"version": version.tag}


def _past(dagster: dg.DagsterInstance, key: dg.AssetKey) -> Iterable[dg.EventLogRecord]:
    return dagster.fetch_materializations(key, limit=100).records
