"""A browser and a JupyterLab for the tests of this folder; skipped where there is no Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from storage.home import Home
from tests.notebooks.widgets.lab import CHROMIUM, Browser, Lab, jupyter_lab, new_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Playwright, where Chromium is.

    Not longer than its module: its event loop runs in this thread, where others then cannot.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """A fresh page; at the end, it must not have asked anyone outside for anything."""
    browser = new_browser(chromium)
    yield browser
    browser.page.context.browser.close()
    assert browser.outside == []
    assert browser.errors == []


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, home: Home) -> Iterator[Lab]:
    """JupyterLab on the home of the notebooks' tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    folder = tmp_path_factory.mktemp("lab")
    with jupyter_lab(folder, {"SPLATWORKS_HOME": str(home.root)}) as lab:
        yield lab
