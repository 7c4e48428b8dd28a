"""Verdicts on artifacts in Dagster: of a step on what it made, and of versions without a step.

A check is a function of a stored version and of the versions that it was made from. So a version
that becomes current again without a run has verdicts, too: those that the event log keeps of the
run that made it, else the checks are asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.stage import Check, Stage
from storage.artifact import Version
from storage.errors import StorageError
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

_PAST = 100  # records of the log to look through


def judged(check: Callable[..., Check], tree: xr.DataTree, inputs: Sequence[xr.DataTree]) -> Check:
    """The verdict of one check; one that fails to judge says so, and the artifact stays."""
    try:
        return check(tree, *inputs)
    except Exception as error:
        return Check(False, {}, f"the check itself failed: {type(error).__name__}: {error}")


def as_told(verdict: Check) -> dict[str, Any]:
    """A verdict as Dagster has it: a warning, because the artifact is there all the same."""
    return {
        "passed": verdict.passed,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": verdict.message,
        "metadata": dict(verdict.numbers),
    }


def tell_verdicts(
    dagster: dg.DagsterInstance, stage: Stage, version: Version, store: Store, run_id: str
) -> None:
    """Tell the event log what the checks say of a version that it was just told is current.

    The UI counts only verdicts that belong to the newest materialization, and would show those of
    a version that is back as not evaluated.

    Args:
        dagster: The instance.
        stage: What made the version.
        version: The version that is current now.
        store: Where it is, and what it was made from.
        run_id: The run in Dagster that made it, empty where the log does not know.
    """
    key = dg.AssetKey(version.artifact.split("/"))
    told = dict(_in_the_log(dagster, key, stage, run_id))
    told |= dict(_asked_again(stage, version, store, stage.checks.keys() - told.keys()))
    for name, verdict in told.items():
        evaluation = dg.AssetCheckEvaluation(asset_key=key, check_name=name, **verdict)
        dagster.report_runless_asset_event(evaluation)


def _in_the_log(
    dagster: dg.DagsterInstance, key: dg.AssetKey, stage: Stage, run_id: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the checks said in the run that made the version."""
    for name in stage.checks if run_id else ():
        check = dg.AssetCheckKey(key, name)
        history = dagster.event_log_storage.get_asset_check_execution_history(check, _PAST)
        for record in history:
            said = record.evaluation if record.run_id == run_id else None
            if isinstance(said, dg.AssetCheckEvaluation):
                fields = ("passed", "severity", "description", "metadata")
                yield name, {field: getattr(said, field) for field in fields}
                break


def _asked_again(
    stage: Stage, version: Version, store: Store, names: Collection[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the checks say now; nothing where the version, or what it was made from, is gone."""
    if not names:
        return
    try:
        tree = store.artifact(version.artifact).open(version.tag, schema=stage.schema)
        inputs = [_input(version, name, store) for name in stage.inputs]
    except StorageError:
        return
    for name in sorted(names):
        yield name, as_told(judged(stage.checks[name], tree, inputs))


def _input(version: Version, name: str, store: Store) -> xr.DataTree:
    """What a version read of another artifact of its scene.

    Raises:
        StorageError: The store does not hold it any more, or it is damaged.
    """
    key = f"{version.artifact.partition('/')[0]}/{name}"
    artifact, read = store.artifact(key), version.provenance.inputs[key]
    current = artifact.current()
    if current is not None and current.content_hash == read["content"]:
        return artifact.open(current.tag)  # the version that was read may be dropped by now
    return artifact.open(read["version"])
