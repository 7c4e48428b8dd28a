"""Executed notebooks as Markdown with pictures, which GitHub and every editor show.

    python -m notebooks.publish notebooks/01_first_look.ipynb docs/notebooks

runs the notebook on the home folder that is in use and writes ``01_first_look.md`` and a folder
``01_first_look`` with its pictures. Of widgets, the still picture stands there.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from PIL import Image

from ops.errors import InputError

_WIDGET = "application/vnd.jupyter.widget-view+json"
_WIDEST = 1200  # pixels
_QUALITY = 88
_KEY = "picture"
_TIMEOUT = 1800  # seconds of a cell
_TAGS = ("table", "thead", "tbody", "tr", "th", "td", "br", "code", "b", "strong", "em", "caption")


class _Readable(Preprocessor):
    """Keeps of each output the one form that Markdown can show."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """The cell with what can be read of its outputs."""
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if _WIDGET not in o.get("data", {})]
            for number, output in enumerate(cell.outputs):
                if "data" in output:
                    said = "".join(output.data.get("text/plain", ""))
                    resources.setdefault("words", {})[f"{index}_{number}"] = said
                    output.data = _readable(output.data)
        return cell, resources


def _readable(data: Any) -> Any:
    """A picture, a table, Markdown or text: the first that there is."""
    for mime in ("image/png", "image/jpeg", "text/markdown"):
        if mime in data:
            return NotebookNode({mime: data[mime]})
    table = _table(data.get("text/html", ""))
    return NotebookNode({"text/html": table} if table else {"text/plain": data["text/plain"]})


def _table(html: str) -> str:
    """The table of a piece of HTML, without style; empty where it is something else."""
    tree = BeautifulSoup(html, "html.parser")
    table = tree.find("table")
    if table is None:
        return ""
    for line in table.find_all(string=re.compile(r"\S\n\s*\S")):
        parts = [part for part in str(line).splitlines() if part.strip()]
        line.replace_with(*[p for part in parts for p in (tree.new_tag("br"), part)][1:])
    for tag in table.find_all(True):
        tag.attrs = {k: v for k, v in tag.attrs.items() if k in ("colspan", "rowspan")}
        if tag.name not in _TAGS:
            tag.unwrap()
    table.attrs = {}
    whole = "".join(line.strip() for line in str(table).splitlines())
    return whole.replace("<tr>", "\n<tr>").replace("</tbody>", "\n</tbody>")


def executed(file: Path) -> NotebookNode:
    """A notebook after all of its cells ran, in its own folder, by this Python.

    Raises:
        InputError: There is no such notebook.
        CellExecutionError: A cell failed.
    """
    if file.suffix != ".ipynb" or not file.is_file():
        raise InputError(f"publish: expected a notebook, found {file}")
    notebook = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(file.parent.resolve())}}
    NotebookClient(notebook, timeout=_TIMEOUT, kernel_name="python3", resources=where).execute()
    return notebook


def publish(notebook: NotebookNode, name: str, folder: Path) -> Path:
    """Write an executed notebook as Markdown.

    Args:
        notebook: With its outputs.
        name: Of the page, and of the folder of its pictures, which is replaced.
        folder: Where to.

    Returns:
        The page.
    """
    exporter = MarkdownExporter(preprocessors=[_Readable])
    resources: dict[str, Any]
    text, resources = exporter.from_notebook_node(
        notebook, {"output_files_dir": name, "unique_key": _KEY}
    )
    pictures = folder / name
    if pictures.exists():
        shutil.rmtree(pictures)
    pictures.mkdir(parents=True)
    for path, data in resources["outputs"].items():
        smaller = _smaller(data)
        file = Path(path).with_suffix(".jpg" if smaller[:2] == b"\xff\xd8" else ".png")
        (folder / file).write_bytes(smaller)
        words = resources["words"][Path(path).stem.removeprefix(f"{_KEY}_")]
        text = text.replace(f"![png]({path})", f"![{words}]({file.as_posix()})")
    page = folder / f"{name}.md"
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    page.write_text(re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n", encoding="utf-8")
    return page


def _smaller(data: bytes) -> bytes:
    """A picture not wider than a page needs, as PNG or JPEG, whichever is smaller."""
    picture: Image.Image = Image.open(io.BytesIO(data))
    if picture.width > _WIDEST:
        size = (_WIDEST, round(picture.height * _WIDEST / picture.width))
        picture = picture.convert("RGBA" if "A" in picture.mode else "RGB").resize(size)
    on_white = Image.new("RGB", picture.size, "white")
    on_white.paste(picture, mask=picture.getchannel("A") if "A" in picture.mode else None)
    forms = []
    for kind, how in (("PNG", {"optimize": True}), ("JPEG", {"quality": _QUALITY})):
        with io.BytesIO() as file:
            on_white.save(file, kind, **how)
            forms.append(file.getvalue())
    return min(forms, key=len)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="notebooks.publish", description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path, help="notebooks to run")
    parser.add_argument("folder", type=Path, help="where the pages go")
    given = parser.parse_args(arguments)
    for file in given.notebooks:
        page = publish(executed(file), file.stem, given.folder)
        sys.stdout.write(f"{page}\n")


if __name__ == "__main__":
    main()
