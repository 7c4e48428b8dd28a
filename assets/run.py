"""Materializing from a terminal: only what is stale or missing, with progress."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.freshness import Status, scene_status
from assets.graph import select, with_inputs
from assets.instance import instance
from assets.progress import shown
from assets.scenes import EVERYTHING, Scene
from assets.stage import Stage
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import dagster as dg

_PROCESS = "splatworks/process"  # tag of runs started in a terminal: the process that runs them


@dataclass(frozen=True)
class Failed:
    """One artifact that could not be made."""

    key: str
    message: str
    bad_input: bool


@dataclass
class Summary:
    """What came of one request."""

    ran: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def plan(scene: Scene, chosen: list[Stage], home: Home, force: bool) -> list[tuple[Stage, Status]]:
    """The steps to run, in order: what is stale or missing of the chosen and their inputs."""
    status = scene_status(scene, home, Store(home.store))
    forced = {s.key for s in chosen} if force else set()
    return [
        (stage, status[stage.key])
        for stage in with_inputs(scene, chosen)
        if status[stage.key].state != "fresh" or stage.key in forced
    ]


def materialize(
    scene: Scene, selection: str, home: Home, force: bool = False, quiet: bool = False
) -> Summary:
    """Bring the selected artifacts of a scene, and what they need, up to date.

    Raises:
        InputError: If the selection names nothing or a setting cannot be read.
    """
    chosen = select(scene, selection)
    steps = plan(scene, chosen, home, force)
    names = [f"{scene.name}/{s.key}" for s, _ in steps]
    everything = [f"{scene.name}/{s.key}" for s in with_inputs(scene, chosen)]
    summary = Summary(fresh=[k for k in everything if k not in names])
    if not steps:
        return summary
    forced = {f"{scene.name}/{s.key}" for s in chosen} if force else set()
    with shown(home.root / "cache" / f"progress.{os.getpid()}", quiet):
        result = _execute(home, names, forced)
    for event in result.all_events:
        if event.is_step_failure:
            summary.failed.append(_failure(event))
        elif event.is_step_success and event.step_key:
            summary.ran.append(event.step_key.replace("__", "/"))
    done = {*summary.ran, *(f.key for f in summary.failed)}
    summary.skipped = [k for k in names if k not in done]
    return summary


def job() -> Any:
    """The job of all assets of the code location; step processes load it by this name."""
    from assets.definitions import defs

    return defs.resolve_job_def(EVERYTHING)


def _execute(home: Home, names: list[str], forced: set[str]) -> Any:
    import dagster as dg

    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if forced:
        config["ops"] = {n.replace("/", "__"): {"config": {"force": True}} for n in forced}
    with instance(home) as dagster:
        close_dead_runs(dagster)
        return dg.execute_job(
            dg.build_reconstructable_job("assets.run", "job"),
            instance=dagster,
            run_config=config,
            asset_selection=[dg.AssetKey(n.split("/")) for n in names],
            tags={_PROCESS: str(os.getpid())},
        )


def close_dead_runs(dagster: dg.DagsterInstance) -> list[str]:
    """Mark runs of terminals that were killed as failed; the UI would show them as running.

    Returns:
        The ids of those runs.
    """
    import dagster as dg
    import psutil

    active = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    closed = []
    for run in dagster.get_runs(active):
        pid = run.tags.get(_PROCESS)
        if pid is not None and not psutil.pid_exists(int(pid)):
            dagster.report_run_failed(run, "The terminal that ran it was killed.")
            closed.append(run.run_id)
    return closed


def _failure(event: Any) -> Failed:
    key = event.step_key.replace("__", "/")
    data = event.step_failure_data
    if data.user_failure_data is not None:
        bad = data.user_failure_data.metadata.get("bad input")
        return Failed(key, data.user_failure_data.description, bool(bad and bad.value))
    error = data.error
    cause = error.cause or error
    return Failed(key, f"{cause.message.strip()} (a fault of Splatworks; the log has more)", False)
