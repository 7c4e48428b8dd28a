"""How long something takes is estimated from the version that is most like it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assets.durations import Duration, expected, span
from assets.plan import Plan, Selection, Step, make_plan
from assets.scenes import Scene, Source
from storage.artifact import Version
from storage.home import Home
from storage.provenance import Provenance


def made_from(views: str = "a", seconds: float = 0.0, **train: Any) -> Provenance:
    return Provenance(
        settings={"train": {"iterations": 1_000, "sh_degree": 3, **train}},
        inputs={"shed/capture/views": {"content": views, "version": "v1"}},
        seconds=seconds,
    )


def versions(*made: Provenance, current: int = -1) -> list[Version]:
    return [
        Version(
            artifact="shed/splats/trained",
            number=number,
            tag=f"v{number}",
            snapshot_id=f"s{number}",
            content_hash=f"c{number}",
            created=datetime(2030, 1, number, tzinfo=UTC),
            provenance=provenance,
            schema="splats",
            schema_version=1,
            nbytes=1,
            current=number == (current if current > 0 else len(made)),
        )
        for number, provenance in enumerate(made, 1)
    ]


def test_the_same_settings_take_as_long() -> None:
    found = versions(made_from(seconds=57), made_from(seconds=9, iterations=150))
    assert expected(found, made_from()) == Duration(57, "v1")


def test_more_iterations_take_longer_in_proportion() -> None:
    found = expected(versions(made_from(seconds=57)), made_from(iterations=7_000, sh_degree=2))
    assert found == Duration(399, "v1", "57 s at 1,000 iterations")
    assert str(found) == "v1: 57 s at 1,000 iterations"
    tuned = Provenance(settings={"mipmap": {"tune_iterations": 100}}, seconds=3)
    more = Provenance(settings={"mipmap": {"tune_iterations": 1_000}})
    assert expected(versions(tuned), more) == Duration(30, "v1", "3 s at 100 iterations")


def test_the_most_similar_version_is_taken() -> None:
    found = versions(
        made_from(seconds=10, iterations=100),
        made_from(seconds=90, sh_degree=0, densify=False),
        made_from(seconds=80, sh_degree=2),
        made_from("b", seconds=70, sh_degree=2),
        made_from(seconds=300, iterations=5_000),
    )
    now = made_from("b", sh_degree=1)
    # The iterations count most, then how many settings differ, then the photos.
    assert expected(found, now) == Duration(70, "v4", "70 s with other settings")
    assert expected(found[:3], now) == Duration(80, "v3", "80 s with other settings")
    twice = versions(*[made_from(seconds=s) for s in (1, 2, 3)], current=2)
    assert expected(twice, made_from()) == Duration(2, "v2")


def test_what_nothing_is_known_of() -> None:
    assert expected([], made_from()) is None
    assert expected(versions(made_from()), made_from()) is None  # imported: it took no time
    # The settings cannot be read now: as long as what is current took.
    assert expected(versions(made_from(seconds=5)), None) == Duration(5, "v1")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than 1 s"), (57.4, "57 s"), (399, "399 s"), (1500, "25 min"), (9000, "2.5 h")],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def plan(*steps: tuple[str, Duration | None]) -> Plan:
    scene = Scene("shed", Source(path="."))
    made: list[Step] = []
    for number, (how, duration) in enumerate(steps):
        status: Any = SimpleNamespace(key=f"shed/a/b{number}")
        stage: Any = None
        made.append(Step(scene, stage, status, how, duration))  # type: ignore[arg-type]
    return Plan(tuple(made), (), {})


KNOWN, SCALED = Duration(12, "v1"), Duration(399, "v1", "57 s at 1,000 iterations")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (
            [("compute", SCALED)],
            "1 step, about 400 s by earlier runs (shed/a/b0: 57 s at 1,000 iterations)",
        ),
        (
            [("compute", KNOWN), ("compute", SCALED), ("check", SCALED)],
            "3 steps, about 14 min by earlier runs (shed/a/b1: 57 s at 1,000 iterations; 1 more "
            "from others); fewer steps where inputs turn out as they were",
        ),
        (
            [("compute", KNOWN), ("compute", None), ("restore", SCALED)],
            "3 steps, about 12 s by earlier runs, and 1 that never ran, whose time is unknown",
        ),
        (
            [("check", Duration(0.1, "v1"))],
            "1 step, less than 1 s by earlier runs; fewer steps where inputs turn out as they were",
        ),
        ([("compute", None)], "1 step, which never ran before, so its time is unknown"),
        (
            [("compute", None)] * 7,
            "7 steps, none of which ran before, so their time is unknown",
        ),
        (
            [("compute", None), ("restore", KNOWN)],
            "2 steps, 1 of which never ran before, so their time is unknown",
        ),
        ([("restore", KNOWN)], "1 step, to be restored from the store, which takes seconds"),
    ],
)
def test_a_plan_says_what_its_estimate_is_from(
    steps: list[tuple[str, Duration | None]], words: str
) -> None:
    assert plan(*steps).estimate == words


def test_a_longer_training_is_planned_as_longer(home: Home, demo_scene: Any, tiny: str) -> None:
    def steps() -> Mapping[str, Step]:
        return {s.key: s for s in make_plan(Selection.of(["demo"], home), home).steps}

    demo_scene(home, tiny.replace("iterations = 40", "iterations = 4_000"))
    trained = steps()["demo/splats/trained"]
    assert trained.status.version is not None
    took = trained.status.version.provenance.seconds
    assert trained.seconds == pytest.approx(100 * took)
    assert trained.duration is not None
    assert trained.duration.basis.endswith(" at 40 iterations")


def test_a_first_plan_knows_no_times(tmp_path: Path, demo_scene: Any, tiny: str) -> None:
    home = Home(tmp_path / "new")
    demo_scene(home, tiny)
    found = make_plan(Selection.of(["demo"], home), home)
    assert found.estimate == "6 steps, none of which ran before, so their time is unknown"
