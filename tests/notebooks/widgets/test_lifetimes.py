"""Every kind of widget through a notebook's day: rerun, saved, closed, opened, restarted."""

from __future__ import annotations

import json

import nbformat
import numpy as np

from storage.home import Home
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook

CELLS = {
    "SplatView": "view('demo/splats/trained', height=200)",
    "RenderView": "render_view('demo/splats/trained', what='depth')",
    "Comparison": "compare_held_out('demo/evaluation/held_out')",
    "ScoreTable": "score_table('demo/evaluation/held_out', height=200)",
    "StorePanel": "store_panel('demo')",
    "Pyramid": "pyramid({'x1': {'a': dark, 'photo': light}, 'x2': {'a': dark, 'photo': light}})",
    "MeshView": "view_mesh(corners, [[0, 1, 2]])",
}
FIRST = (
    "import numpy as np\nfrom notebooks import *\n"
    "from ipywidgets.widgets.widget import _instances\n"
    "from notebooks.widgets.base import BrowserWidget\n"
    "dark, light = np.full((30, 40, 3), 0.2), np.full((30, 40, 3), 0.7)\n"
    "corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])\n"
    "def alive():\n"
    "    names = [type(w).__name__ for w in _instances.values() if isinstance(w, BrowserWidget)]\n"
    "    print(','.join(sorted(names)))"
)


def ready(browser: Browser) -> None:
    """Wait until all widgets are there, with something in them."""
    for index in range(len(CELLS)):
        found = browser.widget(index)
        found.scroll_into_view_if_needed()
        assert found.bounding_box()["height"] > 100, list(CELLS)[index]
    assert browser.page.locator(".splatworks").count() == len(CELLS)
    shown = [p for p in browser.page.locator(".jp-RenderedImage").all() if p.is_visible()]
    assert shown == [], "a still picture beside a living widget"


def contexts(browser: Browser) -> int:
    """Canvases that draw with WebGL."""
    code = "[...document.querySelectorAll('canvas')].filter((c) => c.getContext('webgl2')).length"
    return int(browser.page.evaluate(code))


def test_every_widget_lives_as_long_as_its_cell(browser: Browser, lab: Lab, home: Home) -> None:
    file = write_notebook(lab.folder / "day.ipynb", FIRST, *CELLS.values())
    browser.open_notebook(lab, "day.ipynb")
    browser.run_all()
    ready(browser)
    drawing = contexts(browser)
    browser.run_all()
    browser.run_all()
    ready(browser)
    assert browser.evaluate("alive()").strip() == ",".join(sorted(CELLS))
    assert contexts(browser) == drawing, "contexts of earlier runs are given back"

    # Closed and opened while the kernel lives, all are there, and answer.
    browser.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    browser.page.wait_for_timeout(1500)
    browser.page.reload()
    ready(browser)
    browser.evaluate("view_ = [w for w in _instances.values() if type(w).__name__ == 'SplatView']")
    browser.evaluate("view_[0].view = 2")
    browser.page.wait_for_timeout(1000)
    assert browser.evaluate("print(view_[0].view)").strip() == "2"

    # A restarted kernel knows none of them; what they show stays, and a run makes them anew.
    browser.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    browser.page.wait_for_timeout(3000)
    browser.wait_idle()
    assert browser.page.locator(".splatworks").count() == len(CELLS)
    browser.run_all()
    ready(browser)
    assert browser.evaluate("alive()").strip() == ",".join(sorted(CELLS))

    # In the file there are pictures for whoever has no kernel, and nothing large beside them.
    browser.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    browser.page.wait_for_timeout(1500)
    cells = nbformat.read(file, as_version=4).cells[1:]  # type: ignore[no-untyped-call]
    for name, cell in zip(CELLS, cells, strict=True):
        still, widget = (o["data"] for o in cell.outputs)
        assert any(mime.startswith("image/") for mime in still), name
        assert len(json.dumps(widget)) < 2000, name


def test_a_notebook_whose_kernel_is_gone_shows_pictures(
    browser: Browser, lab: Lab, home: Home
) -> None:
    write_notebook(lab.folder / "gone.ipynb", FIRST, *CELLS.values())
    browser.open_notebook(lab, "gone.ipynb")
    browser.run_all()
    ready(browser)
    browser.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    browser.page.wait_for_timeout(1500)
    browser.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    browser.page.wait_for_timeout(1000)
    browser.page.reload()
    pictures = browser.page.locator(".jp-RenderedImage img")
    pictures.first.wait_for(timeout=60_000)
    browser.page.wait_for_timeout(3000)
    assert pictures.count() == len(CELLS)
    assert browser.page.locator(".splatworks").count() == 0
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        assert picture.is_visible()
        assert np.asarray(browser.pixels(picture)).std() > 0
