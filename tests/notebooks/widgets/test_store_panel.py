"""The panel of the store: what it says, and a refresh that it begins, shows and stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assets import background
from assets.graph import find_scene, stages_of
from assets.produce import produce
from notebooks.widgets import store_report
from notebooks.widgets.store_panel import StorePanel, store_panel
from ops.errors import InputError
from ops.progress import silent
from storage.home import Home
from storage.lock import hold
from storage.store import Store
from tests.notebooks.conftest import TINY
from tests.notebooks.widgets.lab import Browser, jupyter_lab, write_notebook

POINTS = "demo/capture/points"
TRAINED = "demo/splats/trained"


def make(home: Home, *keys: str) -> None:
    scene = find_scene("demo", home)
    for key in keys:
        produce(scene, stages_of(scene)[key], home, silent, lambda _: None)


def settings(home: Home, old: str = "", new: str = "") -> None:
    (home.scenes / "demo.toml").write_text(TINY.replace(old, new) if old else TINY)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with two versions of the points, the second current, and a stale third setting."""
    home = Home(tmp_path_factory.mktemp("several")).create()
    settings(home)
    make(home, "capture/views", "capture/points")
    settings(home, "count = 800", "count = 700")
    make(home, "capture/points")
    Store(home.store).artifact(POINTS).tag("paper", "v1")
    settings(home, "count = 800", "count = 600")
    return home


@pytest.fixture
def panel(several: Home) -> Iterator[StorePanel]:
    widget = store_panel("demo", home=several)
    yield widget
    widget.close()


def of(widget: StorePanel, key: str) -> dict[str, Any]:
    return next(a for a in widget.artifacts if a["key"] == key)


def wait(until: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


# What it says -------------------------------------------------------------------------------------


def test_states_reasons_and_versions_are_those_of_the_store(panel: StorePanel) -> None:
    points = of(panel, POINTS)
    assert (points["state"], points["version"], points["topic"]) == ("stale", "v2", "capture")
    assert points["reasons"] == ["settings: points.count 700 -> 600"]
    first, second = points["versions"]
    assert (first["names"], first["current"], first["since"]) == (["paper"], False, [])
    assert (second["current"], second["same"]) == (True, False)
    assert second["since"] == ["settings: points.count 800 -> 700"]
    assert of(panel, "demo/capture/views")["state"] == "fresh"
    assert of(panel, TRAINED)["state"] == "missing"
    assert panel.scenes == ["demo"]


def test_details_plan_and_difference(several: Home) -> None:
    made = store_report.details(POINTS, "paper", several)
    assert made["settings"]["points"]["count"] == "800"
    assert made["inputs"][0]["key"] == "demo/capture/views"
    assert made["facts"]["names"] == "paper"
    assert "torch" in made["packages"]

    plan = store_report.plan(["demo/splats"], several)
    assert plan["command"] == "splatworks refresh demo/splats"
    assert {s["key"]: s["how"] for s in plan["steps"]}[TRAINED] == "compute"
    assert plan["steps"][0]["key"] == POINTS
    assert plan["steps"][0]["seconds"] is not None
    assert plan["steps"][0]["from"].startswith("v2: ")
    assert plan["steps"][0]["from"].endswith(" s with other settings")
    assert plan["estimate"].startswith(f"{len(plan['steps'])} steps, ")
    with pytest.raises(InputError, match="names no artifact"):
        store_report.plan(["demo/nothing"], several)

    found, picture = store_report.difference(POINTS, "v1", "v2", several)
    assert found["provenance"] == ["settings: points.count 800 -> 700"]
    assert {"name": "point", "old": 800, "new": 700} in found["counts"]
    assert picture is None
    assert store_report.difference(POINTS, "v2", "v2", several)[0]["same"]


def test_a_setting_put_back_would_be_restored(several: Home) -> None:
    file = several.scenes / "demo.toml"
    before = file.read_text()
    try:
        settings(several)
        (step,) = store_report.plan([POINTS], several)["steps"]
        assert step["how"] == "restore"
    finally:
        file.write_text(before)


def test_stamp_changes_with_what_is_shown_and_only_then(several: Home) -> None:
    def now() -> str:
        return store_report.stamp(several, "demo")

    first, file = now(), several.scenes / "demo.toml"
    assert now() == first
    before = file.read_text()
    settings(several, "count = 800", "count = 650")
    assert now() != first
    file.write_text(before)
    with hold("maker", Store(several.store).artifact(TRAINED).folder, TRAINED, 0, "somebody"):
        assert now() != first
        busy = store_report.report(several, "demo")["artifacts"]
        words = next(a["busy"] for a in busy if a["key"] == TRAINED)
        assert words.startswith(f"being made by process {os.getpid()} on")
        assert "for somebody since" in words
    assert now() == first
    Store(several.store).artifact(POINTS).tag("again", "v2")
    assert now() != first


def test_an_unknown_scene_and_a_broken_one_are_named(several: Home) -> None:
    with pytest.raises(InputError, match=r"no scene 'fox'"):
        store_panel("fox", home=several)
    file = several.scenes / "bad.toml"
    file.write_text("[train]\niterations = 'many'\n[nonsense]\n")
    try:
        widget = store_panel(home=several)
        assert list(widget.broken) == ["bad"]
        assert of(widget, POINTS)["state"] == "stale"
        widget.close()
    finally:
        file.unlink()


# In a page ----------------------------------------------------------------------------------------


def test_page_shows_versions_and_needs_no_kernel(
    browser: Browser, panel: StorePanel, tmp_path: Path
) -> None:
    browser.open_file(panel.save_html(tmp_path / "panel.html"))
    widget = browser.widget()
    row = browser.page.locator(f"[data-key='{POINTS}']")
    assert "settings: points.count 700 -> 600" in row.inner_text()
    counts = browser.page.locator(".sw-counts").inner_text()
    assert "1 fresh" in counts
    assert "1 stale" in counts
    row.click()
    assert browser.page.evaluate("window.model.get('artifact')") == POINTS
    text = browser.page.locator(".sw-details").inner_text()
    assert 'open_artifact("demo/capture/points", "v2")' in text
    assert "settings: points.count 800 -> 700" in text
    browser.page.locator("[data-version=v1]").click()
    shown = browser.page.locator(".sw-details")
    assert 'open_artifact("demo/capture/points", "v1")' in shown.inner_text()
    settings_shown = shown.locator("details").first.inner_text().split()
    assert settings_shown[settings_shown.index("count") + 1] == "800"
    browser.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.get_by_role("button", name="copy this line").click()
    shown.get_by_text("copied").wait_for()
    copied = browser.page.evaluate("navigator.clipboard.readText()")
    assert copied == 'open_artifact("demo/capture/points", "v1")'

    shown.get_by_role("button", name="what differs").click()
    assert "splatworks diff demo/capture/points v1 v2" in shown.locator(".sw-error").inner_text()
    browser.page.get_by_role("button", name="refresh of this scene").click()
    browser.page.locator(".sw-error[role=alert]").wait_for()
    assert "splatworks refresh demo" in widget.inner_text()

    browser.page.locator(".sw-artifacts").focus()
    browser.page.keyboard.press("ArrowUp")
    assert browser.page.evaluate("window.model.get('artifact')") == "demo/capture/views"
    browser.page.keyboard.press("End")
    last = browser.page.evaluate("window.model.get('artifact')")
    assert last == panel.artifacts[-1]["key"]
    selected = browser.page.locator(".sw-artifact[aria-selected=true]")
    boxes = [e.bounding_box() for e in (selected, browser.page.locator(".sw-artifacts"))]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"] + boxes[1]["height"] + 1


# Refreshing ---------------------------------------------------------------------------------------


def test_a_refresh_is_seen_by_another_panel_and_stops(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    settings(home, "iterations = 60", "iterations = 100000")
    first = store_panel("demo", home=home)
    # A kernel ignores SIGINT between cells, and its children inherit that.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        first.begin(["demo/splats/trained"])
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        with pytest.raises(InputError, match="a refresh is running already"):
            first.begin([POINTS])
        wait(lambda: first.running["bars"] and first.running["bars"][-1]["key"] == TRAINED, 120)
        second = store_panel("demo", home=home)  # as after a restart of the kernel
        assert second.running["state"] == "running"
        assert second.running["command"] == "splatworks refresh demo/splats/trained"
        assert [s["key"] for s in second.running["steps"]][-1] == TRAINED
        assert "being made by process" in of(second, TRAINED)["busy"]
        second.receive({"type": "here"}, [])
        second.stop()
        assert second.running["state"] == "stopping"
        wait(lambda: second.running["state"] == "stopped")
        assert "what was finished is kept" in second.running["words"]
        wait(lambda: first.running["state"] == "stopped")
        wait(lambda: of(first, POINTS)["state"] == "fresh")
        wait(lambda: not of(first, TRAINED)["busy"])
        assert of(first, TRAINED)["state"] == "missing"
        second.close()
    finally:
        job = background.running(home)
        if job is not None:
            os.kill(int(job.process.partition("-")[0]), signal.SIGKILL)
        first.close()
    assert background.running(home) is None


def test_a_refresh_that_is_killed_or_fails_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    settings(home)
    widget = store_panel("demo", home=home)
    try:
        widget.begin([POINTS])
        job = background.running(home)
        assert job is not None
        os.kill(int(job.process.partition("-")[0]), signal.SIGKILL)
        wait(lambda: widget.running["state"] == "failed")
        assert widget.running["words"] == "it ended before it was done: it was killed"
    finally:
        widget.close()


def test_refresh_by_its_button(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = Home(tmp_path_factory.mktemp("own")).create()
    settings(home)
    folder = tmp_path_factory.mktemp("panel_lab")
    with jupyter_lab(folder, {"SPLATWORKS_HOME": str(home.root)}) as lab:
        code = (
            "from notebooks.widgets.store_panel import store_panel\n"
            "panel = store_panel('demo')\npanel",
        )
        write_notebook(folder / "panel.ipynb", *code)
        browser.open_notebook(lab, "panel.ipynb")
        browser.run_all()
        browser.widget()
        page = browser.page
        row = page.locator(f"[data-key='{POINTS}']")
        assert "missing" in row.inner_text()
        row.click()
        page.locator(".sw-details").get_by_role("button", name="refresh").click()
        run = page.get_by_role("button", name="outside the kernel")
        run.wait_for()
        plan = page.locator(".sw-plan").inner_text()
        assert "2 steps, none of which ran before, so their time is unknown" in plan
        assert "demo/capture/views" in plan
        assert "splatworks refresh demo/capture/points" in plan
        assert Store(home.store).keys() == []  # a plan does nothing
        run.click()
        job = page.locator(".sw-job")
        job.get_by_text("running").wait_for(timeout=30_000)
        # The kernel is busy from now on; the panel goes on all the same.
        page.evaluate(
            """() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
                .requestExecute({ code: "import time; time.sleep(25)" }); }"""
        )
        page.locator(".sw-job[data-state=done]").wait_for(timeout=90_000)
        assert "2 computed" in job.inner_text()
        page.wait_for_function(
            "(e) => e.querySelector('.sw-fresh')", arg=row.element_handle(), timeout=30_000
        )
        assert Store(home.store).keys() == [POINTS, "demo/capture/views"]

        # A setting changed in its file is seen without a click.
        browser.wait_idle()
        settings(home, "count = 800", "count = 500")
        page.locator(f"[data-key='{POINTS}'] .sw-stale").wait_for(timeout=30_000)
        assert "points.count 800 -> 500" in page.locator(f"[data-key='{POINTS}']").inner_text()
        page.locator("details").first.wait_for(timeout=30_000)  # what made v1, asked of the kernel
        assert "800" in page.locator("details").first.inner_text().split()
        assert Store(home.store).artifact(POINTS).resolve().tag == "v1"

        # A long one goes on when the kernel is restarted, and can be stopped by the next panel.
        settings(home, "iterations = 60", "iterations = 100000")
        page.locator(f"[data-key='{TRAINED}']").click()
        page.locator(".sw-details").get_by_role("button", name="refresh").click()
        page.get_by_role("button", name="outside the kernel").click()
        page.locator(".sw-progress", has_text="splats/trained").wait_for(timeout=90_000)
        page.evaluate(
            "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )
        page.wait_for_timeout(2000)
        page.get_by_role("button", name="look at the store now").click()
        page.get_by_text("the kernel of this panel has gone").wait_for()
        running = background.running(home)
        assert running is not None
        browser.wait_idle()
        browser.run_all()
        page.locator(".sw-progress", has_text="splats/trained").wait_for(timeout=60_000)
        assert "in work" in page.locator(f"[data-key='{TRAINED}']").inner_text()
        page.get_by_role("button", name="stop the refresh").click()
        page.locator(".sw-job[data-state=stopped]").wait_for(timeout=60_000)
        assert "what was finished is kept" in page.locator(".sw-job").inner_text()
        assert background.running(home) is None
        assert Store(home.store).artifact(TRAINED).current() is None
