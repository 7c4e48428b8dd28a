"""Running artifacts in Dagster, from a terminal or from a run that refreshes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from assets.graph import scenes_of, stages_of
from assets.instance import instance
from assets.plan import Selection, Step
from assets.process import alive, this_process
from assets.progress import Show, shown
from assets.refresh import Batch, Failed, Summary, refresh
from assets.scenes import EVERYTHING, Scene
from ops.splats.ahead import compile_ahead
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import dagster as dg

_PROCESS = "splatworks/process"  # tag of runs that a process of ours runs: which one


def materialize(
    selection: Selection,
    home: Home,
    say: Callable[[str], None],
    force: bool = False,
    show: Show = "bars",
) -> Summary:
    """Bring a selection, and what it needs, up to date, with progress.

    Each batch is a Dagster run whose steps are processes of their own.

    Args:
        selection: What to bring up to date.
        home: Where scenes, store and Dagster's log are.
        say: Told, in a sentence, what happens.
        force: Compute the selected in any case.
        show: How progress is shown.
    """
    home.create()

    def launch(keys: Sequence[str], forced: Sequence[str]) -> Batch:
        with shown(home.cache / f"progress.{os.getpid()}", show):
            return run(home, keys, forced)

    def restored(step: Step) -> None:
        with instance(home) as dagster:
            tell(dagster, home, [step.key])

    return refresh(selection, home, launch, restored, say, force)


def run(
    home: Home, keys: Sequence[str], forced: Sequence[str], tags: Mapping[str, str] | None = None
) -> Batch:
    """Make artifacts in one Dagster run, in order, each in a process of its own.

    On the first run on a machine the CPU renderer is compiled beside the steps that do not need it.

    Raises:
        KeyboardInterrupt: Somebody stopped it; no process of it is left.
    """
    import dagster as dg

    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if forced:
        config["ops"] = {n.replace("/", "__"): {"config": {"force": True}} for n in forced}
    with _compiling(keys), instance(home) as dagster:
        close_dead_runs(dagster)
        # A result of an early version may have been made current again without a run.
        tell(dagster, home, _with_inputs(home, keys))
        result = dg.execute_job(
            dg.build_reconstructable_job("assets.run", "job"),
            instance=dagster,
            run_config=config,
            asset_selection=[dg.AssetKey(n.split("/")) for n in keys],
            tags={_PROCESS: this_process(), **(tags or {})},
        )
        batch = Batch(run_id=result.run_id)
        for event in result.all_events:
            if event.is_step_failure:
                if _interrupted(event):
                    raise KeyboardInterrupt
                batch.failed.append(_failure(event))
            elif event.is_step_materialization and event.asset_key is not None:
                made = event.step_materialization_data.materialization.metadata
                key = "/".join(event.asset_key.path)
                computed = made["action"].value == "computed"
                (batch.ran if computed else batch.found).append(key)
        return batch


@contextmanager
def _compiling(keys: Sequence[str]) -> Iterator[None]:
    """Compiles ahead what the steps after the first will render with."""
    process = compile_ahead() if len(keys) > 1 else None
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait()


def tell(dagster: dg.DagsterInstance, home: Home, keys: Sequence[str]) -> list[str]:
    """Bring Dagster's log in step with the store for these artifacts; see :mod:`assets.events`."""
    from assets.events import bring_in_step

    current = Store(home.store).current(keys)
    whole = {k: None if v is not None and v.damage else v for k, v in current.items()}
    return bring_in_step(dagster, home, whole)


def job() -> Any:
    """The job of all assets of the code location; step processes load it by this name."""
    # Importing it reads the scenes as they are. What may have done so long ago reads them again; a
    # step's process lives for one run.
    loaded = "assets.definitions" in sys.modules and multiprocessing.parent_process() is None
    from assets.definitions import build, defs

    return (build() if loaded else defs).resolve_job_def(EVERYTHING)


def close_dead_runs(dagster: dg.DagsterInstance) -> list[str]:
    """Mark runs of terminals that were killed as failed; the UI would show them as running.

    Returns:
        The ids of those runs.
    """
    import dagster as dg

    active = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    closed = []
    for found in dagster.get_runs(active):
        process = found.tags.get(_PROCESS)
        if process is not None and not alive(process):
            dagster.report_run_failed(found, "The process that ran it was killed.")
            closed.append(found.run_id)
    return closed


def _with_inputs(home: Home, keys: Sequence[str]) -> list[str]:
    """The artifacts and what they read."""
    scenes, found = scenes_of(home), dict.fromkeys(keys)
    for key in keys:
        name, _, rest = key.partition("/")
        scene = scenes[name]
        if isinstance(scene, Scene):  # else its file was broken just now, and the step says so
            found |= dict.fromkeys(f"{name}/{k}" for k in stages_of(scene)[rest].inputs)
    return list(found)


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether a step ended because somebody stopped the run."""
    error = event.step_failure_data.error
    names = {e.cls_name for e in (error, error.cause if error else None) if e is not None}
    return bool(names & {"DagsterExecutionInterruptedError", "KeyboardInterrupt"})


def _failure(event: dg.DagsterEvent) -> Failed:
    key = (event.step_key or "").replace("__", "/")
    data = event.step_failure_data
    if data.user_failure_data is not None:
        bad = data.user_failure_data.metadata.get("bad input")
        return Failed(key, data.user_failure_data.description or "", bool(bad and bad.value))
    error = data.error
    cause = (error.cause or error) if error else None
    words = cause.message.strip() if cause else "it failed without saying why"
    return Failed(key, f"{words} (a fault of Splatworks; the log has more)", False)
