"""The job of the UI that refreshes, and the sensor that starts it."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets.plan import Plan, Selection, make_plan, studies_left
from assets.process import die_with_parent
from assets.refresh import Batch, Failed, Summary, refresh
from assets.run import run, tell
from assets.scenes import REFRESH
from ops.errors import InputError
from storage.home import Home

_OP = "bring_up_to_date"
_TAG = "splatworks/refresh"  # of the runs that it starts: the id of the run that did


class RefreshConfig(dg.Config):
    """What the Launchpad offers."""

    selection: list[str] = Field(
        default=[],
        description="Scenes, scene/topic or scene/topic/name. A bare scene name is its core: "
        "capture, splats and evaluation; shed/mipmap is a study of scene shed; empty is all scenes "
        "with their studies, also what was never made. What they need is brought up to date as "
        "well.",
    )
    dry_run: bool = Field(default=False, description="Only show the plan.")
    force: bool = Field(default=False, description="Compute the selected even if they are fresh.")


@dg.op(
    name=_OP,
    out={"plan": dg.Out(dg.Nothing), "outcome": dg.Out(dg.Nothing)},
    description="Bring artifacts up to date: only what is stale or missing, in order.",
)
def refresh_op(context: dg.OpExecutionContext, config: RefreshConfig) -> Iterator[dg.Output[None]]:
    """Show the plan, carry it out in runs of their own, show what came of it."""
    die_with_parent()
    home = Home.find()
    try:
        selection = Selection.of(config.selection, home)
    except InputError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    plan = make_plan(selection, home, selection.keys(home) if config.force else ())
    context.log.info(_sentence(plan))
    yield dg.Output(None, "plan", metadata=_plan_shown(plan) | _left_out(selection, home))
    if config.dry_run:
        yield dg.Output(None, "outcome", metadata={"outcome": "dry run: nothing was done"})
        return

    def launch(keys: Sequence[str], forced: Sequence[str]) -> Batch:
        context.log.info(f"running {', '.join(keys)}")
        return run(home, keys, forced, {_TAG: context.run_id})

    def restored(step: Any) -> None:
        tell(context.instance, home, [step.key])

    summary = refresh(selection, home, launch, restored, context.log.info, config.force)
    yield dg.Output(None, "outcome", metadata=_outcome_shown(summary))
    if not summary.complete:
        raise dg.Failure(
            "; ".join(f"{f.key}: {f.message}" for f in summary.failed),
            metadata=_outcome_shown(summary),
            allow_retries=False,
        )


@dg.job(
    name=REFRESH,
    description="Bring artifacts up to date: only what is stale or missing. As it stands, of all "
    "scenes and their studies, also what was never made (`dry_run: true` only shows the plan). In "
    'the Launchpad, `selection: ["shed"]` is the core of a scene (capture, splats and evaluation), '
    '`["shed/mipmap"]` a study of it.',
)
def refresh_job() -> None:
    """The job; its page shows the plan and the outcome."""
    refresh_op()


@dg.sensor(
    job=refresh_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Refreshes what was made before and is stale now, because photos, code or settings "
    "changed. What was never made is not started. Off until you switch it on.",
)
def keep_fresh(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run for each new set of stale artifacts; a set that failed is not tried again."""
    home = Home.find()
    steps = [s for s in make_plan(Selection.of((), home), home).steps if s.status.version]
    if not steps:
        return dg.SkipReason("nothing that was made before is stale")
    busy = dg.RunsFilter(job_name=REFRESH, statuses=_UNFINISHED)
    if context.instance.get_runs(busy, limit=1):
        return dg.SkipReason("a refresh is running")
    now = repr([(s.key, s.status.now.recipe if s.status.now else "") for s in steps])
    config = RefreshConfig(selection=[s.key for s in steps])
    return dg.RunRequest(
        run_key=hashlib.sha256(now.encode()).hexdigest()[:16],
        run_config=dg.RunConfig(ops={_OP: config}),
    )


_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _sentence(plan: Plan) -> str:
    if not plan.steps:
        return f"all {len(plan.fresh)} artifacts are fresh, nothing to do"
    return f"{plan.estimate}: {', '.join(s.key for s in plan.steps)}"


def _plan_shown(plan: Plan) -> dict[str, Any]:
    rows = [
        {
            "artifact": step.key,
            "state": step.status.state,
            "to do": step.how,
            "about, s": "?" if step.seconds is None else f"{step.seconds:.1f}",
            "estimated from": "never ran" if step.duration is None else str(step.duration),
            "why": "; ".join(step.status.reasons),
        }
        for step in plan.steps
    ]
    return {
        "plan": _sentence(plan),
        "fresh": len(plan.fresh),
        **({"steps": dg.MetadataValue.table([dg.TableRecord(r) for r in rows])} if rows else {}),
        **({"scenes that cannot be read": dict(plan.broken)} if plan.broken else {}),
    }


def _left_out(selection: Selection, home: Home) -> dict[str, Any]:
    """Studies that bare scene names do not select."""
    left = studies_left(selection, home)
    return {"not selected": "; ".join(map(str, left))} if left else {}


def _outcome_shown(summary: Summary) -> dict[str, Any]:
    failed: list[Failed] = summary.failed
    did = [
        *({"artifact": k, "what": "computed", "why": ""} for k in summary.ran),
        *({"artifact": k, "what": "restored", "why": ""} for k in summary.restored),
        *({"artifact": f.key, "what": "failed", "why": f.message} for f in failed),
        *({"artifact": k, "what": "not made", "why": "an input failed"} for k in summary.skipped),
    ]
    return {
        "computed": len(summary.ran),
        "restored": len(summary.restored),
        "fresh, not touched": len(summary.fresh),
        "failed": len(failed),
        "seconds": round(summary.seconds, 1),
        **{f"run {i}": dg.MetadataValue.dagster_run(r) for i, r in enumerate(summary.runs, 1)},
        **({"artifacts": dg.MetadataValue.table([dg.TableRecord(r) for r in did])} if did else {}),
    }
