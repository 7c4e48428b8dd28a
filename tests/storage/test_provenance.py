"""What made a version: as a record, as a recipe, and in words what changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from storage.errors import SchemaError
from storage.provenance import Provenance

MADE = Provenance(
    code="c0de",
    modules={"ops.train": "1", "ops.loss": "2"},
    settings={"train": {"iterations": 1000, "rates": (0.1, 0.2)}, "mode": "classic"},
    seed=3,
    inputs={"fox/capture/views": {"content": "aa", "version": "v1"}},
    packages={"torch": "2.14.1"},
    device="cpu",
    seconds=1.5,
    notes=("random points",),
)


def test_round_trip_through_json():
    record = json.loads(json.dumps(MADE.to_json()))
    assert Provenance.from_json(record) == MADE
    assert record["recipe"] == MADE.recipe
    assert Provenance.from_json(record | {"later": 1}) == MADE
    assert MADE.settings["train"]["rates"] == [0.1, 0.2]


def test_the_recipe_is_code_settings_seed_and_content_of_inputs():
    same = [
        replace(MADE, seconds=9.0),
        replace(MADE, packages={"torch": "3"}),
        replace(MADE, device="cuda"),
        replace(MADE, notes=()),
        replace(MADE, inputs={"fox/capture/views": {"content": "aa", "version": "v7"}}),
        replace(MADE, settings=dict(reversed(MADE.settings.items()))),
    ]
    assert {p.recipe for p in same} == {MADE.recipe}
    other = [
        replace(MADE, code="d"),
        replace(MADE, seed=4),
        replace(MADE, settings={}),
        replace(MADE, inputs={"fox/capture/views": {"content": "bb", "version": "v1"}}),
        replace(MADE, inputs={"fox/capture/other": {"content": "aa", "version": "v1"}}),
        replace(MADE, inputs={}),
    ]
    assert len({p.recipe for p in [MADE, *other]}) == len(other) + 1


def test_differences_in_words():
    now = replace(
        MADE,
        code="d0de",
        modules={"ops.train": "9", "ops.new": "3"},
        settings={"train": {"iterations": 2000, "rates": [0.1, 0.2]}, "views": 7},
        seed=4,
        inputs={"fox/capture/views": {"content": "bb", "version": "v2"}},
        packages={"torch": "2.15.0", "numpy": "2"},
        device="cuda",
        notes=("stand-in",),
    )
    assert MADE.differences(now) == [
        "code: ops.train changed",
        "code: ops.loss no longer used",
        "code: ops.new newly used",
        'settings: mode no longer read, was "classic"',
        "settings: train.iterations 1000 -> 2000",
        "settings: views newly read, 7",
        "seed: 3 -> 4",
        "inputs: fox/capture/views v1 -> v2",
        "packages: numpy none -> 2",
        "packages: torch 2.14.1 -> 2.15.0",
        "device: cpu -> cuda",
        "notes: 'random points' dropped",
        "notes: 'stand-in' added",
    ]
    assert MADE.differences(MADE) == []
    assert MADE.stale_against(replace(MADE, packages={}, device="", notes=())) == []
    assert MADE.stale_against(replace(MADE, code="x")) == ["code: changed"]


def test_equal_in_python_is_not_equal_in_settings():
    for old, new, words in ((1, 1.0, "1 -> 1.0"), (1, True, "1 -> true")):
        a, b = Provenance(settings={"x": old}), Provenance(settings={"x": new})
        assert a.stale_against(b) == [f"settings: x {words}"]
        assert a.recipe != b.recipe


def test_what_is_not_json_is_refused():
    with pytest.raises(SchemaError, match=r"settings: expected text, numbers"):
        Provenance(settings={"x": float("nan")})
