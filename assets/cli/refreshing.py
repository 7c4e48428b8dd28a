"""Commands that bring artifacts up to date, or say what that would take."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assets.cli.output import emit, err, fail, out, program
from assets.freshness import Status, scene_status
from assets.graph import dependents, find_scene, find_stage
from assets.plan import Plan, Selection, make_plan, studies_left
from assets.progress import Show, emit_line
from assets.refresh import Summary
from assets.scenes import Scene
from storage.artifact import Version
from storage.home import Home
from storage.store import Store


def refresh(
    selection: Sequence[str],
    force: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    progress_json: bool = False,
) -> None:
    """Bring artifacts up to date; see the help text of the command."""
    home = Home.find()
    chosen = Selection.of(selection, home)
    names = ", ".join(chosen.names) or "everything"
    if dry_run:
        _show_plan(names, make_plan(chosen, home, chosen.keys(home) if force else ()), as_json)
        if not as_json:
            _show_studies_left(chosen, home)
        return
    show: Show = "lines" if progress_json else "nothing" if quiet or as_json else "bars"
    summary = _run(chosen, home, force, show)
    if progress_json:
        emit_line({"outcome": asdict(summary)})
    elif as_json:
        out.print_json(json.dumps(asdict(summary)))
    else:
        _report(names, summary)
        _show_studies_left(chosen, home)
        for name in chosen.names:
            if summary.complete and "/" not in name:
                _what_next(find_scene(name, home), home)
    if summary.failed:
        sys.exit(2 if all(f.bad_input for f in summary.failed) else 1)
    if not summary.complete:
        sys.exit(1)


def _run(chosen: Selection, home: Home, force: bool, show: Show) -> Summary:
    """The refresh; where there is nothing to do, Dagster is not even loaded."""
    plan = make_plan(chosen, home, chosen.keys(home) if force else ())
    if show == "lines":
        emit_line({"plan": plan_as_json(plan)})
    if not plan.steps and not plan.broken and not force:
        return Summary(fresh=list(plan.fresh))
    from assets.run import materialize

    def say(sentence: str) -> None:
        if show == "lines":
            emit_line({"say": sentence, "style": "dim"})
        elif show == "bars":
            err.print(f"[dim]{sentence}[/]", highlight=False, soft_wrap=True)

    try:
        return materialize(chosen, home, say, force, show)
    except KeyboardInterrupt:
        words = "stopped; what was finished is kept, and the same command goes on from there"
        if show == "lines":
            emit_line({"stopped": words})
        fail(words, 1)


def _show_plan(names: str, plan: Plan, as_json: bool) -> None:
    rows = _plan_rows(plan)
    if as_json:
        out.print_json(json.dumps(plan_as_json(plan)))
        return
    for name, words in plan.broken.items():
        err.print(f"[bold red]broken[/] {name}: {words}", highlight=False, soft_wrap=True)
    if not rows:
        out.print(f"{names}: all {len(plan.fresh)} artifacts are fresh, nothing to do")
        return
    emit(rows, False)
    out.print(plan.estimate, highlight=False)


def _show_studies_left(chosen: Selection, home: Home) -> None:
    """A line for each study that a bare scene name left out, so that nobody takes it for fresh."""
    for left in studies_left(chosen, home):
        out.print(
            f"{left}; for it: {program()} refresh {left.name}", highlight=False, soft_wrap=True
        )


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """A plan as ``--dry-run --json`` prints it."""
    told: dict[str, Any] = {"steps": _plan_rows(plan), "fresh": list(plan.fresh)}
    told |= {"broken": dict(plan.broken), "seconds": plan.seconds, "never timed": plan.unknown}
    return told | {"estimate": plan.estimate if plan.steps else ""}


def _plan_rows(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "artifact": step.key,
            "state": step.status.state,
            "to do": step.how,
            "seconds": step.seconds,
            "estimated from": None if step.duration is None else str(step.duration),
            "why": list(step.status.reasons),
        }
        for step in plan.steps
    ]


def _report(names: str, summary: Summary) -> None:
    for failure in summary.failed:
        err.print(f"[bold red]failed[/] {failure.key}: ", end="")
        err.print(failure.message, markup=False, highlight=False, soft_wrap=True)
    for key in summary.skipped:
        err.print(f"[yellow]not made[/] {key}: something it needs failed", highlight=False)
    done = len(summary.ran) + len(summary.restored)
    if summary.complete and not done:
        out.print(f"{names}: all {len(summary.fresh)} artifacts are fresh, nothing to do")
        return
    counts: dict[str, Sequence[object]] = {
        "computed": summary.ran,
        "restored": summary.restored,
        "fresh": summary.fresh,
        "failed": summary.failed,
        "not made": summary.skipped,
    }
    told = ", ".join(f"{len(v)} {k}" for k, v in counts.items() if v)
    how = "done" if summary.complete else "not complete"
    out.print(f"{names}: {how} in {summary.seconds:.0f} s, {told}", highlight=False)


def _what_next(scene: Scene, home: Home) -> None:
    """Three lines after a scene is complete."""
    folder = home.exports / scene.name
    sheet = folder / "contact_sheet.png"
    look = f"{sheet}, and splat files beside it" if sheet.is_file() else str(folder)
    if scene.source.kind == "demo":
        next_step = f"{program()} add FOLDER (your own photos)"
    else:
        next_step = f"{program()} export {scene.name} --to {scene.name}.ply"
    lines = {
        "look": look,
        "explore": "make ui (the graph, in a browser), make lab (01_first_look.ipynb)",
        "go on": f"{next_step}, {program()} --help",
    }
    for name, text in lines.items():
        out.print(f"[bold]{name:8}[/] {text}", highlight=False, soft_wrap=True)


def why(artifact: str, as_json: bool) -> None:
    """Explain one artifact; see the help text of the command."""
    home = Home.find()
    scene = find_scene(artifact, home)
    key = artifact.strip("/")
    stage = find_stage(scene, key)
    status = scene_status(scene, home, Store(home.store))[stage.key]
    plan = make_plan(Selection((key,)), home)
    later = [f"{scene.name}/{name}" for name in dependents(scene, stage)]
    if as_json:
        out.print_json(json.dumps(_why_json(status, plan, later), default=str))
        return
    state = {"fresh": "green", "stale": "yellow"}.get(status.state, "red")
    out.print(f"[bold]{key}[/] is [{state}]{status.state}[/]", highlight=False)
    for reason in status.reasons:
        out.print(f"  {reason}", markup=False, highlight=False)
    if status.version is not None:
        _made_from(status.version)
    for remark in status.remarks:
        out.print(f"[dim]  {remark} (does not make it stale)[/]", highlight=False)
    if plan.steps:
        out.print("\n[bold]a refresh would run[/]")
        emit([{k: v for k, v in r.items() if k != "why"} for r in _plan_rows(plan)], False)
        out.print(plan.estimate, highlight=False)
        if later:
            out.print(f"and then look at what depends on it: {', '.join(later)}", highlight=False)


def _made_from(version: Version) -> None:
    made = version.provenance
    out.print(f"\n[bold]what made {version.tag}[/]", highlight=False)
    packages = ", ".join(f"{k} {v}" for k, v in made.packages.items())
    facts: Mapping[str, object] = {
        "when": f"{version.created.astimezone():%Y-%m-%d %H:%M:%S}, in {made.seconds:.1f} s",
        "device": made.device or "unknown",
        "code": f"{made.code} ({len(made.modules)} modules and functions)",
        "libraries": packages or "unknown",
        **{f"settings [{k}]": json.dumps(v) for k, v in made.settings.items()},
        **{f"input {k}": v.get("version") or v.get("content") for k, v in made.inputs.items()},
        **{f"note {i}": note for i, note in enumerate(made.notes, 1)},
    }
    for name, text in facts.items():
        out.print(f"  {name}: {text}", markup=False, highlight=False, soft_wrap=True)


def _why_json(status: Status, plan: Plan, later: list[str]) -> dict[str, Any]:
    version = status.version
    return {
        "artifact": status.key,
        "state": status.state,
        "reasons": list(status.reasons),
        "remarks": list(status.remarks),
        "version": version.tag if version else None,
        "made": version.created if version else None,
        "made from": version.provenance.to_json() if version else None,
        "now": status.now.to_json() if status.now else None,
        "would run": _plan_rows(plan),
        "seconds": plan.seconds,
        "depends on it": later,
    }
