"""Notebooks of one's own: copies of the project's in the home folder, to run, change and save.

JupyterLab saves what it ran into the file that it opened. Were that the project's own, every run
would leave the checkout changed, and the next update would stop there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from storage.whole import write_whole

_MARK = "splatworks"
"""Name in a copy's metadata of the hash of the cells that it was copied with."""


def copy_notebooks(project: Path, own: Path) -> list[str]:
    """Copy the project's notebooks, and bring older copies up to date unless they were changed.

    A copy counts as changed when the text of a cell is another one; outputs do not count. What a
    user has changed, or put there, is never touched.

    Args:
        project: The folder of the project's notebooks.
        own: Where the copies go; made if it is not there.

    Returns:
        A sentence for each copy that the project has another version of and that was kept.
    """
    own.mkdir(parents=True, exist_ok=True)
    kept = []
    for file in sorted(project.glob("*.ipynb")):
        copy, notebook = own / file.name, json.loads(file.read_text("utf-8"))
        cells = _cells(notebook)
        if copy.exists():
            copied_with, now = _state(copy)
            if cells in (copied_with, now):  # the project's has not changed since
                continue
            if now != copied_with:
                kept.append(
                    f"{copy} has changes of yours and stays; the project has a newer {file.name}: "
                    "rename yours to get that"
                )
                continue
        notebook["metadata"][_MARK] = {"cells": cells}
        write_whole(copy, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return kept


def _state(copy: Path) -> tuple[str, str]:
    """The hash of the cells that a copy was made with, and of those that it has."""
    try:
        notebook = json.loads(copy.read_text("utf-8"))
        return str(notebook["metadata"].get(_MARK, {}).get("cells", "")), _cells(notebook)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", "unreadable"  # nothing of ours to replace


def _cells(notebook: Any) -> str:
    """A hash of what was written into the cells."""
    text = [(c["cell_type"], "".join(c["source"])) for c in notebook["cells"]]
    return hashlib.sha256(json.dumps(text).encode()).hexdigest()
