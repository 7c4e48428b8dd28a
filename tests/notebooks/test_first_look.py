"""The first notebook: stored clean, runs from top to bottom, shows what it says, writes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from storage.home import Home

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIRST_LOOK = NOTEBOOKS / "01_first_look.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(file: Path) -> Any:
    return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def executed(
    home: Home, tmp_path_factory: pytest.TempPathFactory, execute: Callable[..., Any]
) -> Any:
    """The notebook after all its cells ran, on this Python and the tiny home."""
    return execute(FIRST_LOOK, home, tmp_path_factory.mktemp("jupyter"))


def outputs(notebook: Any, source: str) -> list[Any]:
    """The outputs of the one cell that contains ``source``."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    return list(cell.outputs)


def test_runs_from_top_to_bottom_without_a_word_on_stderr(executed: Any) -> None:
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = [o for cell in code for o in cell.outputs if o.output_type in ("error", "stream")]
    assert [o for o in said if o.output_type == "error" or o.name == "stderr"] == []
    assert said[-1].text.strip() == sys.executable


@pytest.mark.parametrize(
    ("source", "mime", "least"),
    [
        ("artifacts(SCENE)", "text/html", 500),
        ("show_views(", "image/png", 20_000),
        ("capture_map(", "image/png", 20_000),
        ("training_curves(", "image/png", 5_000),
        ("to_dataset()", "text/html", 500),
        ("scores(evaluation)", "text/html", 300),
        ("comparison(evaluation)", "image/png", 20_000),
        ("film(trained, path", "text/html", 20_000),
        ("film(trained, path", "image/png", 5_000),
        ("origin(trained)", "text/html", 500),
        ("versions(", "text/html", 100),
    ],
)
def test_every_part_shows_what_it_should(executed: Any, source: str, mime: str, least: int) -> None:
    (shown,) = [o for o in outputs(executed, source) if o.output_type == "execute_result"]
    assert len(shown.data[mime]) >= least
    assert shown.data["text/plain"]


def test_a_widget_leaves_a_still_picture_beside_itself(executed: Any) -> None:
    still, widget = (o.data for o in outputs(executed, "compare_held_out(evaluation)"))
    assert len(still["image/png"]) >= 5_000
    assert widget[WIDGET]["model_id"]
    assert "photo and render: 3 views" in widget["text/plain"]


def test_the_numbers_shown_are_those_stored(executed: Any, home: Home) -> None:
    from notebooks.artifacts import open_artifact, scores

    shown = outputs(executed, "scores(evaluation)")[-1].data["text/plain"]
    mean = scores(open_artifact("demo/evaluation/held_out", home=home)).loc["mean", "psnr"]
    assert f"{mean:.3f}" in re.sub(r"\s+", " ", shown)


def test_stored_without_outputs_and_traces_of_a_machine() -> None:
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = read(file)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        assert set(notebook.metadata) <= {"kernelspec"}
        for cell in notebook.cells:
            assert cell.metadata == {}
            if cell.cell_type == "code":
                assert cell.outputs == []
                assert cell.execution_count is None
        assert not re.search(r"/(home|root|work|tmp|Users)/", file.read_text())
