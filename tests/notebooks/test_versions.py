"""The notebook of versions, on a scene with one version and on one with several."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.graph import find_scene, stages_of
from assets.produce import produce
from notebooks.artifacts import open_artifact, scores
from notebooks.versions import changes, tags, what_if
from ops.errors import InputError
from ops.progress import silent
from storage.errors import VersionNotFoundError
from storage.home import Home
from storage.store import Store
from tests.notebooks.conftest import READ, TINY

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_versions.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"
TRAINED, HELD_OUT = "demo/splats/trained", "demo/evaluation/held_out"


@pytest.fixture(scope="module")
def several(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The tiny home with a second version of the splats and of their evaluation, and a name."""
    copy = Home(tmp_path_factory.mktemp("several") / "home")
    shutil.copytree(home.root, copy.root)
    (copy.scenes / "demo.toml").write_text(TINY.replace("iterations = 60", "iterations = 90"))
    scene = find_scene("demo", copy)
    for key in READ:
        produce(scene, stages_of(scene)[key], copy, silent, lambda _: None)
    Store(copy.store).artifact(TRAINED).tag("submitted", "v1")
    return copy


def executed_on(home: Home, folder: Path, execute: Callable[..., Any]) -> Any:
    notebook = execute(NOTEBOOK, home, folder)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = [o for cell in code for o in cell.outputs if o.output_type in ("error", "stream")]
    assert [o for o in said if o.output_type == "error" or o.name == "stderr"] == []
    assert said[-1].text.strip() == sys.executable
    return notebook


def shown(notebook: Any, source: str, mime: str = "text/html") -> str:
    """What the one cell that contains ``source`` shows."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    found = [o.data[mime] for o in cell.outputs if "data" in o and mime in o.data]
    assert found, (source, [list(o.get("data", {})) for o in cell.outputs])
    return str(found[-1])


def test_runs_where_there_is_one_version(home: Home, tmp_path: Path, execute: Any) -> None:
    notebook = executed_on(home, tmp_path, execute)
    assert "only **v1**" in shown(notebook, "changes(TRAINED)", "text/markdown")
    assert "only **v1**" in shown(notebook, "changes(HELD_OUT)", "text/markdown")
    asked = shown(notebook, '"iterations": 800').replace("&gt;", ">")
    assert "settings: train.iterations 60 -> 800" in asked
    assert "v1" in shown(notebook, "versions(TRAINED)")
    for source in (
        "store_panel(SCENE)",
        "score_table(evaluations",
        "compare_versions(HELD",
        "viewer = view(",
    ):
        assert "model_id" in shown(notebook, source, WIDGET)
        assert len(shown(notebook, source, "image/png")) > 3000


def test_runs_where_there_are_several(several: Home, tmp_path: Path, execute: Any) -> None:
    notebook = executed_on(several, tmp_path, execute)
    text = shown(notebook, "changes(TRAINED)")
    assert "settings: train.iterations 60 -> 90" in text.replace("&gt;", ">")
    assert "number of splats/gaussian" in text
    assert "v1 becomes current again" in shown(notebook, 'made["iterations"]')
    old, new = (
        float(scores(open_artifact(HELD_OUT, tag, several)).loc["mean", "psnr"])
        for tag in ("v1", "v2")
    )
    assert "model_id" in shown(notebook, "compare_versions(HELD", WIDGET)
    metrics = shown(notebook, "changes(HELD_OUT)")
    for value in (old, new, new - old):
        assert format(value, ".5g") in metrics
    assert shown(notebook, "first = tags").startswith("<div")


# What the cells call ------------------------------------------------------------------------------


def test_what_if_names_what_a_setting_touches_and_changes_nothing(home: Home) -> None:
    file = home.scenes / "demo.toml"
    before = file.read_text()
    table = what_if("demo", {"train": {"iterations": 61}}, home).data
    assert list(table.index) == [TRAINED, HELD_OUT]
    assert table.loc[TRAINED, ["now", "would be"]].tolist() == ["fresh", "stale"]
    assert "settings: train.iterations 60 -> 61" in table.loc[TRAINED, "why"]
    assert table.loc[HELD_OUT, "a refresh then"].startswith("runs, unless")
    other = what_if("demo", {"evaluation": {"metrics": ["psnr"]}}, home).data
    assert list(other.index) == [HELD_OUT]
    assert what_if("demo", {"train": {"iterations": 60}}, home).data.empty
    assert file.read_text() == before
    with pytest.raises(InputError, match="iterations"):
        what_if("demo", {"train": {"iterations": "many"}}, home)
    with pytest.raises(InputError, match=r"expected sections of .*train.*found 'trian'"):
        what_if("demo", {"trian": {}}, home)
    with pytest.raises(InputError, match="no scene 'fox'"):
        what_if("fox", {}, home)


def test_what_if_leaves_out_what_the_question_does_not_change(home: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    # The evaluation is stale for a reason of its own: the file asks for another metric.
    file = copy.scenes / "demo.toml"
    file.write_text(TINY.replace('metrics = ["psnr", "ssim"]', 'metrics = ["psnr"]'))
    same = what_if("demo", {"train": {"iterations": 60}}, copy).data
    assert same.empty, "this is what there is now"
    elsewhere = what_if("demo", {"exports": {}, "evaluation": {"metrics": ["psnr"]}}, copy).data
    assert elsewhere.empty
    # Other splats change what it would be made from, and another question its own settings.
    trained = what_if("demo", {"train": {"iterations": 61}}, copy).data
    assert list(trained.index) == [TRAINED, HELD_OUT]
    assert trained.loc[HELD_OUT, ["now", "would be"]].tolist() == ["stale", "stale"]
    again = what_if("demo", {"evaluation": {"metrics": ["ssim"]}}, copy).data
    assert list(again.index) == [HELD_OUT]
    # Set back, it is fresh, and there is nothing to do.
    assert what_if("demo", {"evaluation": {"metrics": ["psnr", "ssim"]}}, copy).data.empty


def test_what_if_follows_what_was_stale_already(home: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    (copy.scenes / "demo.toml").write_text(TINY.replace("iterations = 60", "iterations = 70"))
    assert what_if("demo", {"train": {"iterations": 70}}, copy).data.empty
    # The evaluation waits for the splats now as it would then; it would be of other splats.
    table = what_if("demo", {"train": {"iterations": 80}}, copy).data
    assert list(table.index) == [TRAINED, HELD_OUT]


def test_what_if_knows_what_can_be_restored(several: Home) -> None:
    table = what_if("demo", {"train": {"iterations": 60}}, several).data
    assert table.loc[TRAINED, "a refresh then"] == "v1 becomes current again, in a moment"


def test_changes_of_versions_by_number_and_by_name(several: Home, home: Home) -> None:
    assert tags(TRAINED, several) == ["v1", "v2"]
    last = changes(TRAINED, home=several)
    assert list(last.data.columns) == ["v1", "v2", "change"]
    back = changes(TRAINED, "v2", "submitted", several).data
    assert list(back.columns) == ["v2", "v1", "change"]
    count = "number of splats/gaussian"
    assert back.loc[count, "v1"] == last.data.loc[count, "v1"]
    same = changes(TRAINED, "v1", "v1", several).data
    assert same.loc["content", "change"] == ""
    with pytest.raises(VersionNotFoundError, match="v9"):
        changes(TRAINED, "v1", "v9", several)
    assert "none" in changes("empty/splats/trained", home=home).data
