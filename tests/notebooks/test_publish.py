"""Executed notebooks as Markdown: what of their outputs is kept, and in what form."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from notebooks.publish import executed, main, publish
from ops.errors import InputError

CELLS = (
    "import pandas as pd\n"
    "from notebooks.artifacts import to_read\n"
    "to_read(pd.DataFrame({'score': ['1', '2'], 'why': ['a < b\\nb', 'c']}, index=['x', 'y']))",
    "import numpy as np\nfrom notebooks import compare\n"
    "compare(np.zeros((60, 80, 3)), np.ones((60, 80, 3)))",
    "import xarray as xr\nxr.Dataset({'depth': ('pixel', [1.0, 2.0])})",
    "print('said')",
    "from IPython.display import Markdown\nMarkdown('only **one** version')",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    cells = [new_markdown_cell("# Title"), *(new_code_cell(c) for c in CELLS)]  # type: ignore[no-untyped-call]
    file = folder / "some.ipynb"
    nbformat.write(new_notebook(cells=cells), file)  # type: ignore[no-untyped-call]
    main([str(file), str(folder / "docs")])
    assert not any(c.get("outputs") for c in nbformat.read(file, 4).cells)  # type: ignore[no-untyped-call]
    return folder / "docs" / "some.md"


def test_tables_text_and_markdown_are_read_without_style(page: Path) -> None:
    text = page.read_text()
    assert text.startswith("# Title\n")
    assert "<tr><th>x</th><td>1</td><td>a &lt; b<br/>b</td></tr>\n<tr><th>y</th><td>2" in text
    assert "style" not in text
    assert "class" not in text
    assert "    <xarray.Dataset>" in text
    assert "    said\n" in text
    assert "\nonly **one** version\n" in text
    assert "\n\n\n" not in text
    assert "widget-view" not in text


def test_a_widget_is_its_still_picture(page: Path) -> None:
    assert "](some/picture_2_0." in page.read_text()
    (picture,) = (page.parent / "some").iterdir()
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels[:, 10].max() < 10  # black, white, and their difference
    assert pixels[:, 100].min() > 245


def test_wide_pictures_are_made_smaller_and_the_folder_replaced(tmp_path: Path) -> None:
    with io.BytesIO() as file:
        Image.new("RGBA", (3000, 300), (255, 0, 0, 128)).save(file, "PNG")
        data = file.getvalue()
    import base64

    output = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
        "display_data", {"image/png": base64.b64encode(data).decode(), "text/plain": "a bar"}
    )
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[output])])  # type: ignore[no-untyped-call]
    (tmp_path / "bar").mkdir()
    (tmp_path / "bar" / "old.png").write_bytes(b"")
    page = publish(notebook, "bar", tmp_path)
    assert "![a bar](bar/picture_0_0.png)" in page.read_text()
    (file_,) = (tmp_path / "bar").iterdir()
    picture = Image.open(file_)
    assert picture.size == (1200, 120)
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 127, 127)  # on white


def test_what_is_no_notebook_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a notebook, found .*some\.md"):
        executed(tmp_path / "some.md")
