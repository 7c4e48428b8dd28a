"""What all widgets have in common, in a page and in JupyterLab."""

from __future__ import annotations

import hashlib
from pathlib import Path

from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.bundle import BUNDLE, FOLDER, Bundle
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook


def test_bundle_is_that_of_the_sources() -> None:
    js = FOLDER / "js"
    files = [f.relative_to(js).as_posix() for f in (js / "src").rglob("*") if f.is_file()]
    total = hashlib.sha256()
    for file in sorted([*files, "build.mjs", "package-lock.json"]):
        total.update(file.encode() + b"\0" + (js / file).read_bytes() + b"\0")
    assert total.hexdigest() in BUNDLE.read_text()[:200], "run `make widgets` and commit the bundle"


def test_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (FOLDER / "js" / "package-lock.json").read_text()


def test_bundle_is_made_once_and_again_when_it_was_closed() -> None:
    first = Bundle.shared()
    assert BrowserWidget().bundle is first is BrowserWidget().bundle
    first.close()
    assert Bundle.shared() is not first


def test_unknown_kind_says_so_in_the_page(browser: Browser, tmp_path: Path) -> None:
    file = BrowserWidget(alt="nothing").save_html(tmp_path / "a.html")
    browser.open_file(file)
    found = browser.page.locator(".splatworks[data-state=failed]")
    found.wait_for(timeout=60_000)
    assert "no widget of kind" in found.inner_text()


def test_bundle_reaches_jupyterlab(browser: Browser, lab: Lab) -> None:
    code = "from notebooks.widgets.base import BrowserWidget\nBrowserWidget(alt='nothing')"
    write_notebook(lab.folder / "bare.ipynb", code)
    browser.open_notebook(lab, "bare.ipynb")
    browser.run_all()
    found = browser.page.locator(".splatworks[data-state=failed]")
    found.wait_for(timeout=60_000)
    assert "no widget of kind" in found.inner_text()
