"""The notebook of the multi-scale study, and what it is made of."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.bridge.mipmap import scale_pictures, score_rows
from assets.graph import find_scene, stages_of
from assets.produce import produce
from notebooks.artifacts import open_artifact
from notebooks.scales import compare_scale, costs, scale_scores, scale_strip, standing
from notebooks.widgets.pyramid import pyramid
from ops.errors import InputError
from ops.progress import silent
from storage.home import Home

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_mipmap.ipynb"
STUDY = """
[mipmap]
scales = ["x1_2", "x2"]
enlarge_base_by = 2
tune_iterations = 30
[mipmap_base]
iterations = 30
[mipmap_prior]
iterations = 10
channels = 8
blocks = 1
crop = 12
[mipmap_adapt]
iterations = 20
[mipmap_evaluation]
metrics = ["psnr", "ssim"]
no_reference = []
"""


@pytest.fixture(scope="module")
def study(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the study of the tiny scene is complete."""
    mine = Home(tmp_path_factory.mktemp("study") / "home")
    shutil.copytree(home.root, mine.root)
    with (mine.scenes / "demo.toml").open("a") as file:
        file.write(STUDY)
    scene = find_scene("demo", mine)
    for stage in stages_of(scene).values():
        if stage.topic == "mipmap":
            produce(scene, stage, mine, silent, lambda sentence: None)
    return mine


@pytest.fixture
def evaluation(study: Home) -> Any:
    return open_artifact("demo/mipmap/evaluation", home=study)


def test_the_notebook_runs_and_shows_the_numbers_stored(
    study: Home, tmp_path: Path, execute: Callable[..., Any], evaluation: Any
) -> None:
    notebook = execute(NOTEBOOK, study, tmp_path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = [o for cell in code for o in cell.outputs if o.output_type in ("error", "stream")]
    assert [o for o in said if o.output_type == "error" or o.name == "stderr"] == []
    assert said[-1].text.strip() == sys.executable
    pictures = [
        len(o.data["image/png"])
        for cell in code
        for o in cell.outputs
        if "image/png" in getattr(o, "data", {})
    ]
    assert len(pictures) == 4  # curves, two strips, and the still picture of the pyramid
    assert min(pictures) > 5_000
    (table,) = [c for c in code if "scale_scores(evaluation).round" in c.source]
    value = scale_scores(evaluation).loc["adapted", "x2"]
    assert f"{value:.2f}" in table.outputs[-1].data["text/plain"]


def test_tables_hold_what_is_stored(evaluation: Any) -> None:
    rows = score_rows(evaluation)
    for views in ("scored", "extra"):
        for against in ("photos", "pseudo"):
            table = scale_scores(evaluation, "ssim", views, against)
            assert list(table.columns) == ["x1_2", "x2"]
            mine = [
                r
                for r in rows
                if (r["metric"], r["views"], r["against"]) == ("ssim", views, against)
            ]
            assert len(mine) == table.size
            for r in mine:
                assert table.loc[r["method"], r["scale"]] == r["value"]
    scored = standing(evaluation)["scored"].split("; ")
    assert [s.partition(":")[0] for s in scored] == ["x1_2", "x2"]
    assert ["transductive" in s for s in scored] == [True, False]
    assert ":" not in standing(evaluation)["extra"]


def test_a_pyramid_holds_what_is_stored(study: Home, evaluation: Any) -> None:
    widget = pyramid("demo/mipmap/evaluation", views="extra", home=study)
    assert widget.scales == ["x1_2", "x2"]
    stored = scale_pictures(evaluation)
    assert {(s, m) for s in widget.scales for m in widget.methods} >= set(stored)
    for row, scale in zip(widget.cells, widget.scales, strict=True):
        for index, method in zip(row, widget.methods, strict=True):
            if index >= 0:
                found = widget._series[index].raster(0).values
                np.testing.assert_array_equal(found, stored[scale, method])
    table = scale_scores(evaluation, "psnr", "extra")
    for row, scale in zip(widget.numbers, widget.scales, strict=True):
        for value, method in zip(row, widget.methods, strict=True):
            known = method in table.index and np.isfinite(table.loc[method, scale])
            assert (value == table.loc[method, scale]) if known else value is None
    assert widget.methods[widget.truth] == "photo"
    assert any(note.startswith("pseudo ground truth: ") for note in widget.notes)
    assert any(standing(evaluation)["extra"] in note for note in widget.notes)
    # Below x1 poses of scored views are used in adaptation, above it they are not: both are said.
    (said,) = [n for n in pyramid(evaluation).notes if n.startswith("scored views: ")]
    below, above = said.removeprefix("scored views: ").split("; ")
    assert below.startswith("×1/2: poses used in adaptation")
    assert above == "×2: held out, not adapted on"
    with pytest.raises(InputError, match="no 'lpips' of 'scored' views; there are"):
        pyramid(evaluation, metric="lpips")


def test_two_methods_of_a_scale_come_first_and_the_others_can_be_chosen(evaluation: Any) -> None:
    widget = compare_scale(evaluation, "x2", "photo", "adapted")
    assert widget.series[:2] == ["photo", "adapted"]
    stored = {m: p for (s, m), p in scale_pictures(evaluation).items() if s == "x2"}
    assert set(widget.series) == set(stored)
    np.testing.assert_array_equal(widget.pair[1], stored["adapted"])


def test_costs_are_of_the_versions_that_are_current(study: Home) -> None:
    table = costs("demo", study).data
    assert table["scale"].tolist() == ["x1_2", "x2"]
    assert (table["iterations"] == 20).all()
    adapted = open_artifact("demo/mipmap/x2/adapted", home=study)
    assert table["after"].tolist()[1] == adapted["splats"].sizes["gaussian"]


def test_what_is_not_there_is_named(evaluation: Any) -> None:
    with pytest.raises(InputError, match="there are x1_2, x2"):
        scale_strip(evaluation, "x16")
    with pytest.raises(InputError, match="no picture 'best'; there are "):
        compare_scale(evaluation, "x2", "base", "best")
    with pytest.raises(InputError, match="no 'lpips'"):
        scale_scores(evaluation, "lpips")
