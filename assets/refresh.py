"""Bringing artifacts up to date: only what is stale or missing, in order, with early cutoff."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from assets.plan import Plan, Selection, Step, make_plan
from assets.produce import making, restore, reusable
from storage.errors import StorageError
from storage.home import Home
from storage.lock import held, holder
from storage.store import Store

_TRIES = 3  # of one artifact in one refresh: its code or settings may change while it is made
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Failed:
    """One artifact that could not be made."""

    key: str
    message: str
    bad_input: bool


@dataclass
class Batch:
    """What came of one run of several artifacts."""

    ran: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """Found fresh when their turn came: another process had made them."""
    failed: list[Failed] = field(default_factory=list)
    run_id: str = ""
    """Of the run in Dagster."""


@dataclass
class Summary:
    """What came of one request."""

    ran: list[str] = field(default_factory=list)
    """Computed, in order."""
    restored: list[str] = field(default_factory=list)
    """Made current again from the store."""
    fresh: list[str] = field(default_factory=list)
    """Nothing was done for them."""
    failed: list[Failed] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Not made, because something they need failed."""
    seconds: float = 0.0
    runs: list[str] = field(default_factory=list)
    """Ids of the runs in Dagster that computed."""

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is fresh now."""
        return not self.failed and not self.skipped


class Launch(Protocol):
    """Runs artifacts in order and tells what came of it; see :func:`assets.run.run`."""

    def __call__(self, keys: Sequence[str], forced: Sequence[str]) -> Batch:
        """Make the artifacts of these keys, those in ``forced`` in any case."""
        ...


def refresh(
    selection: Selection,
    home: Home,
    launch: Launch,
    restored: Callable[[Step], None],
    say: Callable[[str], None],
    force: bool = False,
) -> Summary:
    """Bring a selection, and what it needs, up to date.

    Looks again after each step: what turns out as it was leaves what depends on it alone, and a
    setting changed meanwhile counts. What fails does not stop what does not depend on it.

    Args:
        selection: What to bring up to date.
        home: Where scenes and store are.
        launch: Makes a batch of artifacts.
        restored: Told of each artifact that became current again without computing.
        say: Told, in a sentence, what happens.
        force: Compute the selected (not what they need) in any case, once.
    """
    started = time.monotonic()
    work = _Refresh(home, restored, say)
    pending = set(selection.keys(home)) if force else set[str]()
    plan = make_plan(selection, home, pending)
    while steps := work.runnable(plan):
        ready, waiting = work.free(steps)
        if not ready:
            work.wait(waiting)
        elif ready[0].how == "restore":
            for step in ready:
                work.restore(step)
        else:
            keys = [s.key for s in ready]
            batch = launch(keys, [k for k in keys if k in pending])
            work.took(keys, batch)
            pending -= set(batch.ran)
        plan = make_plan(selection, home, pending - set(work.failed))
    work.finish(plan, started)
    return work.summary


class _Refresh:
    """What one refresh has done so far."""

    def __init__(self, home: Home, restored: Callable[[Step], None], say: Callable[[str], None]):
        self.home, self.told, self.say = home, restored, say
        self.summary = Summary()
        self.failed: dict[str, Failed] = {}
        self.tries = Counter[str]()
        self.said: set[str] = set()

    def runnable(self, plan: Plan) -> list[Step]:
        """Steps that can go in the next run, in order.

        Those whose inputs are fresh, and those that must be computed whatever comes of their
        inputs, if these go in the same run. While anything can be restored, that alone.
        """
        chosen: dict[str, Step] = {}
        for step in plan.steps:
            if step.key in self.failed or self._worn_out(step):
                continue
            inputs = {f"{step.scene.name}/{k}" for k in step.stage.inputs}
            certain = step.how == "compute" and chosen.keys() >= set(step.status.waits_for)
            if certain or not (step.status.waits_for or inputs & chosen.keys()):
                chosen[step.key] = step
        restores = [s for s in chosen.values() if s.how == "restore"]
        return restores or list(chosen.values())

    def _worn_out(self, step: Step) -> bool:
        if self.tries[step.key] < _TRIES:
            return False
        words = f"it is still not fresh after {_TRIES} attempts: {'; '.join(step.status.reasons)}"
        self.failed[step.key] = Failed(step.key, words, False)
        return True

    def free(self, steps: list[Step]) -> tuple[list[Step], list[Step]]:
        """Steps that nobody else is making (nor what they need), and those that somebody is."""
        waiting: dict[str, Step] = {}
        for step in steps:
            inputs = {f"{step.scene.name}/{k}" for k in step.stage.inputs}
            if inputs & waiting.keys() or held(self._folder(step), "maker"):
                waiting[step.key] = step
        return [s for s in steps if s.key not in waiting], list(waiting.values())

    def wait(self, steps: list[Step]) -> None:
        """Let others finish, saying once who they are."""
        for step in steps:
            who = holder(self._folder(step), "maker")
            sentence = f"waiting: {step.key} is being made by {who}"
            if held(self._folder(step), "maker") and sentence not in self.said:
                self.said.add(sentence)
                self.say(sentence)
        time.sleep(_POLL_SECONDS)

    def restore(self, step: Step) -> None:
        """Make the version current again that was made from exactly this."""
        artifact = Store(self.home.store).artifact(step.key)
        self.tries[step.key] += 1
        try:
            with making(artifact, self.say):
                assert step.status.now is not None
                version = reusable(artifact, step.stage, self.home, step.scene, step.status.now)
                if version is None:
                    return
                version, action = restore(artifact, version, self.home, step.scene)
                if action == "fresh":
                    return
        except StorageError as error:
            self.failed[step.key] = Failed(step.key, str(error), False)
            return
        self.summary.restored.append(step.key)
        self.say(f"{step.key}  {version.tag}  restored: made from the same before")
        self.told(step)

    def took(self, keys: Sequence[str], batch: Batch) -> None:
        """Count what a run of these artifacts did."""
        self.summary.ran += batch.ran
        self.summary.runs += [batch.run_id] if batch.run_id else []
        self.tries.update(keys)
        for failure in batch.failed:
            if not self._inputs_damaged(failure.key):
                self.failed[failure.key] = failure

    def _inputs_damaged(self, key: str) -> bool:
        """Whether it failed because an input was found damaged: that is made again first."""
        selection = Selection((key,))
        steps = {s.key: s for s in make_plan(selection, self.home).steps}
        return bool(key in steps and steps[key].status.waits_for)

    def finish(self, plan: Plan, started: float) -> None:
        """Complete the summary."""
        done = {*self.summary.ran, *self.summary.restored}
        self.summary.fresh = [k for k in plan.fresh if k not in done]
        self.summary.failed = [
            *self.failed.values(),
            *(Failed(name, words, True) for name, words in plan.broken.items()),
        ]
        self.summary.skipped = [s.key for s in plan.steps if s.key not in self.failed]
        self.summary.seconds = time.monotonic() - started

    def _folder(self, step: Step) -> Path:
        return Store(self.home.store).artifact(step.key).folder
