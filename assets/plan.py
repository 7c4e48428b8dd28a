"""What a refresh would do: which artifacts, in which order, why, and about how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from assets.durations import Duration, expected, span
from assets.freshness import Status, code_version, scene_status
from assets.graph import find_scene, scenes_of, select, stages_of, with_inputs
from assets.produce import reusable
from assets.scenes import Scene
from assets.stage import Stage
from ops.errors import InputError
from storage.home import Home
from storage.store import Store

How = Literal["compute", "restore", "check"]


@dataclass(frozen=True)
class Step:
    """One artifact that is not fresh, and what is to be done about it."""

    scene: Scene
    stage: Stage
    status: Status
    how: How
    """``compute``: nothing in the store was made from this code and these settings. ``restore``: a
    version in the store was made from exactly this. ``check``: decided when its inputs are there:
    it stays if they turn out as they were."""
    duration: Duration | None
    """About how long it takes, by an earlier run; None where it never ran."""

    @property
    def seconds(self) -> float | None:
        """About how long it takes; None where it never ran."""
        return None if self.duration is None else self.duration.seconds

    @property
    def key(self) -> str:
        """``scene/topic/name``."""
        return self.status.key


@dataclass(frozen=True)
class Plan:
    """The steps of a refresh in order, and what needs none."""

    steps: tuple[Step, ...]
    fresh: tuple[str, ...]
    broken: Mapping[str, str]
    """Scenes that cannot be read, and why."""

    @property
    def seconds(self) -> float:
        """About how long all that ever ran before takes; restoring is counted as nothing."""
        return sum(s.seconds or 0.0 for s in self._work)

    @property
    def unknown(self) -> int:
        """How many steps never ran before, so that nobody knows how long they take."""
        return sum(s.seconds is None for s in self._work)

    @property
    def estimate(self) -> str:
        """How many steps, and about how long they take, with what that is from, in words.

        ``2 steps, about 400 s by earlier runs (demo/splats/trained: 57 s at 1,000 iterations)``.
        """
        count, work, unknown = len(self.steps), self._work, self.unknown
        words = f"{count} step{'' if count == 1 else 's'}, "
        if not work:
            return words + "to be restored from the store, which takes seconds"
        if unknown == len(work):
            if count == 1:
                return words + "which never ran before, so its time is unknown"
            which = "none of which" if unknown == count else f"{unknown} of which never"
            return words + f"{which} ran before, so their time is unknown"
        took = span(float(f"{self.seconds:.2g}"))
        words += f"{took if self.seconds < 1 else f'about {took}'} by earlier runs"
        scaled = [f"{s.key}: {s.duration.basis}" for s in work if s.duration and s.duration.basis]
        if scaled:
            more = f"; {len(scaled) - 1} more from others" if len(scaled) > 1 else ""
            words += f" ({scaled[0]}{more})"
        if unknown:
            words += f", and {unknown} that never ran, whose time is unknown"
        if any(s.how == "check" for s in work):
            words += "; fewer steps where inputs turn out as they were"
        return words

    @property
    def _work(self) -> list[Step]:
        return [s for s in self.steps if s.how != "restore"]


@dataclass(frozen=True)
class Selection:
    """What a user asked for: the names as given, checked against the scenes there are."""

    names: tuple[str, ...]
    everything: bool = False
    """All artifacts of all scenes; ``names`` is empty then."""

    @classmethod
    def of(cls, names: Iterable[str], home: Home) -> Selection:
        """A selection by scenes, ``scene/topic`` or ``scene/topic/name``; none for everything.

        Raises:
            InputError: If a name names nothing, with what there is.
        """
        chosen = tuple(name.strip("/") for name in names)
        if not chosen:
            return cls((), everything=True)
        for name in chosen:
            select(find_scene(name, home), name)
        return cls(chosen)

    def stages(self, scene: Scene) -> list[Stage]:
        """The chosen stages of a scene, without their inputs, in topological order."""
        if self.everything:
            return list(stages_of(scene).values())
        mine = [n for n in self.names if n.partition("/")[0] == scene.name]
        keys = {s.key for name in mine for s in select(scene, name)}
        return [s for s in stages_of(scene).values() if s.key in keys]

    def keys(self, home: Home) -> list[str]:
        """The chosen artifacts, without what they need, as ``scene/topic/name``."""
        return [
            f"{scene.name}/{stage.key}"
            for scene in scenes_of(home).values()
            if isinstance(scene, Scene)
            for stage in self.stages(scene)
        ]


@dataclass(frozen=True)
class StudyLeft:
    """A study of a scene that the scene's bare name does not select, and that is not fresh."""

    name: str
    """``scene/topic``: what to select it by."""
    total: int
    """How many artifacts it has."""
    states: Mapping[str, int]
    """How many of them are in which state, without those that are fresh."""

    def __str__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        scene = self.name.partition("/")[0]
        return f"study {self.name} is not part of {scene!r} and not up to date: {states}"


def studies_left(selection: Selection, home: Home) -> list[StudyLeft]:
    """Studies that somebody who selected a scene by its bare name may think were included."""
    scenes = scenes_of(home)
    found = []
    for name in selection.names:
        scene = scenes.get(name)  # none of a name with a topic
        if not isinstance(scene, Scene) or not scene.studies:
            continue
        status = scene_status(scene, home, Store(home.store))
        for study in scene.studies:
            states = [s.state for key, s in status.items() if key.startswith(f"{study}/")]
            wrong = Counter[str](state for state in states if state != "fresh")
            if wrong and f"{name}/{study}" not in selection.names:
                found.append(StudyLeft(f"{name}/{study}", len(states), dict(wrong)))
    return found


def make_plan(selection: Selection, home: Home, forced: Collection[str] = ()) -> Plan:
    """What is stale or missing of a selection and of what it needs, in topological order.

    Scenes and settings are read anew each time.

    Args:
        selection: What to bring up to date.
        home: Where scenes and store are.
        forced: Keys to compute in any case.
    """
    steps: list[Step] = []
    fresh: list[str] = []
    broken: dict[str, str] = {}
    for name, scene in scenes_of(home).items():
        if isinstance(scene, InputError):
            if selection.everything or any(n.partition("/")[0] == name for n in selection.names):
                broken[name] = str(scene)
            continue
        chosen = with_inputs(scene, selection.stages(scene))
        if not chosen:
            continue
        store = Store(home.store)
        status = scene_status(scene, home, store)
        for stage in chosen:
            found = status[stage.key]
            if found.state == "fresh" and found.key not in forced:
                fresh.append(found.key)
            else:
                steps.append(_step(scene, stage, found, home, store, found.key in forced))
    return Plan(tuple(steps), tuple(fresh), broken)


def _step(
    scene: Scene, stage: Stage, status: Status, home: Home, store: Store, forced: bool
) -> Step:
    artifact = store.artifact(status.key)
    try:
        versions = artifact.history()
    except Exception:  # damaged: it is made anew, whatever there was
        versions = []
    how: How = "compute"
    if status.now is not None and not forced:
        alike = code_version(status.now)
        known = [v for v in versions if code_version(v.provenance) == alike]
        if status.waits_for:
            how = "check" if known else "compute"
        elif reusable(artifact, stage, home, scene, status.now):
            how = "restore"
    return Step(scene, stage, status, how, expected(versions, status.now))
