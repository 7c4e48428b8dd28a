"""Notebooks of one's own: runs leave the checkout as it was, and what a user changed stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from assets.cli import machine
from assets.cli.own_notebooks import copy_notebooks

PROJECT = Path(__file__).parents[2] / "notebooks"


def notebook(*cells: str, output: str = "") -> dict[str, Any]:
    made = [
        {
            **{"cell_type": "code", "id": str(i), "metadata": {}, "execution_count": None},
            "source": cell.splitlines(keepends=True),
            "outputs": [{"output_type": "stream", "name": "stdout", "text": output}]
            if output
            else [],
        }
        for i, cell in enumerate(cells)
    ]
    return {"cells": made, "metadata": {"kernelspec": {}}, "nbformat": 4, "nbformat_minor": 5}


def write(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8")))


def run_in_lab(file: Path, **cells: str) -> None:
    """What JupyterLab saves: outputs, a language, and the text of cells that were changed."""
    found = read(file)
    found["metadata"]["language_info"] = {"name": "python"}
    for cell in found["cells"]:
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "3"}]
        cell["source"] = cells.get(f"cell{cell['id']}", "".join(cell["source"]))  # one string
    write(file, found)


def test_copies_have_the_cells_of_the_project(tmp_path: Path) -> None:
    assert copy_notebooks(PROJECT, tmp_path / "own") == []
    there = sorted(PROJECT.glob("*.ipynb"))
    assert [f.name for f in sorted((tmp_path / "own").iterdir())] == [f.name for f in there]
    for file in there:
        assert read(tmp_path / "own" / file.name)["cells"] == read(file)["cells"]


def test_a_copy_that_was_only_run_is_brought_up_to_date(tmp_path: Path) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    write(project / "a.ipynb", notebook("x = 1\nx + 2"))
    copy_notebooks(project, own)
    run_in_lab(own / "a.ipynb")
    ran = (own / "a.ipynb").read_bytes()
    assert copy_notebooks(project, own) == []
    assert (own / "a.ipynb").read_bytes() == ran  # with its outputs
    write(project / "a.ipynb", notebook("x = 1\nx + 3"))
    assert copy_notebooks(project, own) == []
    assert read(own / "a.ipynb")["cells"] == notebook("x = 1\nx + 3")["cells"]


def test_what_a_user_changed_or_put_there_stays(tmp_path: Path) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    write(project / "a.ipynb", notebook("SCENE = 'demo'"))
    write(project / "b.ipynb", notebook("1"))
    copy_notebooks(project, own)
    run_in_lab(own / "a.ipynb", cell0="SCENE = 'shed'")
    (own / "b.ipynb").write_text("not a notebook")
    write(own / "mine.ipynb", notebook("2"))
    before = {f.name: f.read_bytes() for f in own.iterdir()}
    (said,) = copy_notebooks(project, own)
    assert said.startswith(f"{own / 'b.ipynb'} has changes of yours and stays")
    write(project / "a.ipynb", notebook("SCENE = 'demo'\n"))
    assert [s.split()[0] for s in copy_notebooks(project, own)] == [
        *(str(own / "a.ipynb"), str(own / "b.ipynb")),
    ]
    assert {f.name: f.read_bytes() for f in own.iterdir()} == before


def test_the_lab_opens_the_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("SPLATWORKS_HOME", str(home))
    for name in ("DAGSTER_HOME", "PATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "")  # set again afterwards
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "jupyter").touch()
    started: list[list[str]] = []
    monkeypatch.setattr(machine.os, "execv", lambda _, command: started.append(command))
    machine.lab("127.0.0.1", 8888)
    assert f"--notebook-dir={home}/notebooks" in started[0]
    assert {f.name for f in (home / "notebooks").iterdir()} == {
        f.name for f in PROJECT.glob("*.ipynb")
    }
