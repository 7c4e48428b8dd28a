"""The settings that the notebooks propose: each is one that the built-in scene does not have."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from assets.graph import find_scene, stages_of
from assets.scenes import Scene
from storage.home import Home

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def examples(name: str) -> list[dict[str, Any]]:
    """What a notebook would have written into the scene's file."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]


def changed(tables: Mapping[str, Mapping[str, Any]], home: Home) -> list[str]:
    """The artifacts of the built-in scene that read other settings with these tables."""
    demo = find_scene("demo", home)
    merged: dict[str, Mapping[str, Any]] = dict(demo.tables)
    for section, table in tables.items():
        merged[section] = {**merged.get(section, {}), **table}

    def read(scene: Scene) -> dict[str, Any]:
        return {key: stage.settings_read(scene) for key, stage in stages_of(scene).items()}

    before, after = read(demo), read(replace(demo, tables=merged))
    return [key for key in after if after[key] != before[key]]


@pytest.fixture
def fresh(tmp_path: Path) -> Home:
    """A home in which nobody has changed a setting yet."""
    return Home(tmp_path).create()


@pytest.mark.parametrize("name", ["01_first_look", "03_versions"])
def test_an_example_makes_training_run_again(name: str, fresh: Home) -> None:
    (tables,) = examples(name)
    assert changed(tables, fresh) == ["splats/trained"]


def test_a_setting_of_one_scale_makes_that_scale_and_the_evaluation_stale(fresh: Home) -> None:
    (tables,) = examples("02_mipmap")
    stale = changed(tables, fresh)
    assert stale == ["mipmap/x4/adapted"]
    for key, stage in stages_of(find_scene("demo", fresh)).items():  # in topological order
        if set(stage.inputs) & set(stale):
            stale.append(key)
    assert stale == ["mipmap/x4/adapted", "mipmap/evaluation"]
