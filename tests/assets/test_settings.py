"""Settings from TOML tables: conversion, presets and error messages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from assets.settings import Section, as_json, resolve
from ops.errors import InputError
from ops.splats.settings import TrainSettings


@dataclass(frozen=True)
class Example:
    count: int = 3
    rate: float = 0.5
    mode: Literal["fast", "exact"] = "fast"
    names: tuple[str, ...] = ("a",)
    flag: bool = False
    limit: int | None = None


def section(tmp_path: Path, text: str) -> Section:
    file = tmp_path / "scene.toml"
    file.write_text(text)
    return Section("example", file)


def test_overrides_are_converted_to_the_declared_types() -> None:
    table = {"rate": 1, "names": ["x", "y"], "limit": 4, "flag": True}
    found = resolve(Example, table, Section("example"))
    assert found == Example(rate=1.0, names=("x", "y"), limit=4, flag=True)
    assert isinstance(found.rate, float)


def test_unknown_key_names_file_line_and_nearest(tmp_path: Path) -> None:
    where = section(tmp_path, "[source]\ncount = 1\n\n[example]\nrate = 1\ncoutn = 4\n")
    with pytest.raises(InputError, match=r"scene\.toml:6: \[example\] coutn.*'count'"):
        resolve(Example, {"rate": 1, "coutn": 4}, where)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"count": 2.5}, "expected int, found 2.5"),
        ({"count": True}, "expected int, found True"),
        ({"rate": "high"}, "expected float, found 'high'"),
        ({"mode": "exakt"}, "expected one of 'fast', 'exact', found 'exakt'; did you mean 'exact'"),
        ({"names": "x"}, "names: expected"),
        ({"flag": 1}, "expected bool, found 1"),
    ],
)
def test_wrong_values_say_what_was_expected(table: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(Example, table, Section("example"))
    assert words in str(caught.value)


def test_preset_gives_defaults_that_the_table_overrides() -> None:
    found = resolve(TrainSettings, {"preset": "standard", "seed": 5}, Section("train"))
    assert found.preset == "standard"
    assert found.seed == 5
    assert found.iterations == 7000
    assert resolve(TrainSettings, {"iterations": 123}, Section("train")).iterations == 123


def test_same_values_give_the_same_json() -> None:
    assert as_json(Example(names=("a", "b"))) == as_json(Example(names=("a", "b")))
    assert as_json(Example())["names"] == ["a"]
