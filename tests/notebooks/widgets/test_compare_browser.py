"""Pictures against each other in a browser: the pixels on the screen are those they must be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notebooks.widgets import shelf
from notebooks.widgets.compare import Comparison, compare
from notebooks.widgets.rasters import Raster, difference, mapped, shrunk
from notebooks.widgets.series import Series
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook

RANDOM = np.random.default_rng(1)
A = RANDOM.integers(0, 256, (50, 100, 3), np.uint8)
B = RANDOM.integers(0, 256, (50, 100, 3), np.uint8)
WIDE, ZOOM = 1100, 11  # CSS pixels of a stage; what 100 x 50 pixels are enlarged by in it
TAGS, AROUND = 32, 18  # CSS pixels that names at the top, and the line on each side, may cover


class Shown:
    """A comparison in a page of its own."""

    def __init__(self, browser: Browser, widget: Comparison, file: Path) -> None:
        browser.open_file(widget.save_html(file))
        self.browser, self.widget = browser, browser.widget()
        self.stage = self.widget.locator(".sw-pictures")
        self.wait()
        assert self.stage.bounding_box()["width"] == WIDE

    def wait(self, shown: str = "") -> None:
        """Wait for the pictures of A, B and view, as ``0 1 2``."""
        value = f'="{shown}"' if shown else ""
        self.widget.locator(f"xpath=self::*[.//*[@data-shown{value}]]").wait_for(timeout=20_000)

    def press(self, *keys: str) -> None:
        self.stage.focus()
        for key in keys:
            self.browser.page.keyboard.press(key)

    def pixels(self) -> np.ndarray:
        """What the stage looks like, [H, W, 3], without the names at the top."""
        self.browser.page.evaluate("new Promise((r) => requestAnimationFrame(() => setTimeout(r)))")
        return self.browser.pixels(self.stage)[TAGS:]

    def click(self, name: str) -> None:
        self.widget.get_by_role("button", name=re.compile(name)).click()

    def hover(self, x: float, y: float) -> str:
        """The values read at a point of the stage, CSS pixels."""
        self.stage.hover(position={"x": x, "y": y})
        return " ".join(self.widget.locator(".sw-read").inner_text().split())

    @property
    def measure(self) -> str:
        return str(self.widget.locator(".sw-measure").inner_text())


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Any:
    def shown(widget: Comparison) -> Shown:
        return Shown(browser, widget, tmp_path / "page.html")

    return shown


def enlarged(picture: np.ndarray, zoom: int = ZOOM) -> np.ndarray:
    return np.repeat(np.repeat(picture, zoom, 0), zoom, 1)


def assert_split(pixels: np.ndarray, at: float, a: np.ndarray, b: np.ndarray) -> None:
    """A is left of the line and B right of it."""
    left, right = round(at) - AROUND, round(at) + AROUND
    np.testing.assert_array_equal(pixels[:, :left], a[TAGS:, :left])
    np.testing.assert_array_equal(pixels[:, right:], b[TAGS:, right:])


def test_the_line_divides_the_pictures_where_it_was_dragged_to(show: Any) -> None:
    shown = show(compare(A, B, labels=("photo", "render")))
    assert_split(shown.pixels(), 0.5 * WIDE, enlarged(A), enlarged(B))
    shown.browser.drag(shown.stage, (0.5, 0.5), (0.3, 0.6))
    assert_split(shown.pixels(), 0.3 * WIDE, enlarged(A), enlarged(B))
    middle = shown.pixels()[100, round(0.3 * WIDE)]
    assert (middle == 255).all(), "the line is white"
    line = shown.widget.get_by_role("slider", name="line between A and B")
    line.focus()
    for _ in range(5):
        shown.browser.page.keyboard.press("ArrowRight")
    assert_split(shown.pixels(), 0.35 * WIDE, enlarged(A), enlarged(B))
    assert line.get_attribute("aria-valuenow") == "35"
    shown.browser.page.keyboard.press("End")
    np.testing.assert_array_equal(shown.pixels()[:, :-AROUND], enlarged(A)[TAGS:, :-AROUND])
    tags = shown.widget.locator(".sw-tag").all_inner_texts()
    assert [" ".join(t.split()) for t in tags] == ["A photo", "B render"]
    shown.press("x")
    np.testing.assert_array_equal(shown.pixels()[:, :-AROUND], enlarged(B)[TAGS:, :-AROUND])


@pytest.mark.parametrize("signed", [False, True])
def test_a_difference_has_the_colours_of_the_true_difference(show: Any, signed: bool) -> None:
    shown = show(compare(A, B, largest_error=0.6))
    shown.press("d")
    if signed:
        shown.widget.get_by_label("kind of difference").select_option("signed")
    gaps = difference(Series("", [A]).raster(0), Series("", [B]).raster(0), signed)
    low, name = (-0.6, "berlin") if signed else (0.0, "magma")
    colours = mapped(gaps, low, 0.6, name)
    np.testing.assert_array_equal(shown.pixels(), enlarged(colours)[TAGS:])
    ends = shown.widget.locator(".sw-legend input[type=number]")
    assert [float(ends.nth(i).input_value()) for i in range(2)] == pytest.approx([low, 0.6])
    ends.nth(1).fill("0.3")
    ends.nth(1).press("Enter")
    colours = mapped(gaps, low / 2, 0.3, name)
    np.testing.assert_array_equal(shown.pixels(), enlarged(colours)[TAGS:])


def test_a_pixel_is_a_square_of_its_colour_and_the_arrows_move(show: Any) -> None:
    shown = show(compare(A, B))
    shown.press("s", "+", "+")
    assert "3200 %" in shown.widget.locator(".sw-zoom").inner_text()
    line = shown.widget.get_by_role("slider", name="line between A and B")
    line.press("End")
    before = shown.pixels()
    height, width = 550, WIDE
    # The middle of the picture is in the middle of the stage.
    left, top = width // 2 - 50 * 32, height // 2 - 25 * 32

    def assert_squares(pixels: np.ndarray, left: int, top: int) -> None:
        for y in range(12, 36):
            for x in range(34, 66):
                x0, y0 = left + 32 * x, top + 32 * y - TAGS
                inside = x0 >= 0 and y0 >= 0 and x0 + 32 <= width - 20 and y0 + 32 <= height - TAGS
                if inside:
                    block = pixels[y0 + 1 : y0 + 31, x0 + 1 : x0 + 31]
                    assert (block == A[y, x]).all()
                    assert (pixels[y0 + 8, x0] != A[y, x]).any(), "no grid"

    assert_squares(before, left, top)
    shown.press("ArrowRight", "ArrowDown", "ArrowDown")
    assert_squares(shown.pixels(), left - 32, top - 64)
    shown.press("0")
    np.testing.assert_array_equal(shown.pixels()[:, :-AROUND], enlarged(A)[TAGS:, :-AROUND])
    shown.press("1")
    one = shown.pixels()[250 - TAGS : 300 - TAGS, 500 : 600 - AROUND]
    np.testing.assert_array_equal(one, A[:, :-AROUND])


def test_values_under_the_cursor_are_the_exact_values(show: Any) -> None:
    shown = show(compare(A, B, labels=("photo", "render")))
    x, y = 37, 21
    said = shown.hover((x + 0.5) * ZOOM, (y + 0.5) * ZOOM)
    gap = abs(A[y, x].astype(float) - B[y, x]).mean() / 255
    spelled = [", ".join(map(str, p[y, x])) for p in (A, B)]
    assert said == f"x {x}, y {y} A photo {spelled[0]} B render {spelled[1]} |B − A| {gap:.4f}"
    mse = ((A.astype(float) - B) ** 2).mean() / 255**2
    mean = abs(A.astype(float) - B).mean() / 255
    assert shown.measure == f"PSNR {-10 * np.log10(mse):.2f} dB · mean |B − A| {mean:.4f}"


def test_data_has_a_colour_map_and_exact_values(show: Any) -> None:
    depth = RANDOM.uniform(0.5, 4, (50, 100)).astype(np.float32)
    depth[3, 60] = np.nan
    half = (depth * 1.5).astype(np.float16)
    shown = show(compare(depth, half, labels=("v1", "v2"), value_range=(1, 3)))
    a, b = (enlarged(mapped(d, 1, 3, "viridis_r")) for d in (depth, half))
    pixels = shown.pixels()
    hole = pixels[3 * ZOOM - TAGS + 1 : 4 * ZOOM - TAGS, 60 * ZOOM : 61 * ZOOM]
    assert (hole == hole[0, 0]).all()
    assert (hole[0, 0] < 40).all(), "what has no value is the dark behind the pictures"
    rows = slice(4 * ZOOM - TAGS, None)
    shown_a, shown_b = pixels[rows, :532], pixels[rows, 568:]
    np.testing.assert_array_equal(shown_a, a[4 * ZOOM :, :532])
    np.testing.assert_array_equal(shown_b, b[4 * ZOOM :, 568:])
    said = shown.hover(60.5 * ZOOM, 20.5 * ZOOM)
    values = [float(t) for t in re.findall(r"v[12] ([\d.]+)", said)]
    assert np.float32(values[0]) == depth[20, 60]
    assert values[1] == float(half[20, 60])
    assert "no value" in shown.hover(60.5 * ZOOM, 3.5 * ZOOM)
    gap = abs(half.astype(np.float64) - depth)
    numbers = re.match(r"mean \|B − A\| ([\d.]+) · RMS ([\d.]+)$", shown.measure)
    assert numbers is not None
    expected = [np.nanmean(gap), np.sqrt(np.nanmean(gap**2))]
    assert [float(n) for n in numbers.groups()] == pytest.approx(expected, rel=1e-3)
    shown.widget.get_by_label("colour map").select_option("gray")
    grey = enlarged(mapped(depth, 1, 3, "gray"))
    np.testing.assert_array_equal(shown.pixels()[rows, :532], grey[4 * ZOOM :, :532])


def test_flicker_shows_one_and_then_the_other(show: Any) -> None:
    shown = show(compare(A, B))
    shown.press(" ")  # by hand: no clock
    np.testing.assert_array_equal(shown.pixels()[:-TAGS], enlarged(A)[TAGS:-TAGS])
    shown.press(" ")
    np.testing.assert_array_equal(shown.pixels()[:-TAGS], enlarged(B)[TAGS:-TAGS])
    note = shown.widget.locator(".sw-note")
    assert note.inner_text() == "B b"
    shown.press("f")
    for text in ("A a", "B b", "A a"):
        note.get_by_text(text).wait_for(timeout=10_000)
    shown.press("f")
    rested = note.inner_text()
    shown.browser.page.wait_for_timeout(1200)
    assert note.inner_text() == rested


def test_side_by_side_shows_the_same_part_of_both(show: Any) -> None:
    shown = show(compare(A, B))
    shown.click("A beside B")
    across, gap = 547, 6
    pixels = shown.pixels()
    zoom = 5  # a whole number that fits 100 pixels into 547
    left = (across - 100 * zoom) // 2
    height = shown.stage.bounding_box()["height"]
    top = round(height / 2 - 25 * zoom) - TAGS
    for picture, x in ((A, left), (B, across + gap + left)):
        area = pixels[top + TAGS : top + 50 * zoom, x : x + 100 * zoom]
        # Panes of an odd width put the middle of the picture between two pixels.
        fits = [
            (np.roll(area, s, 1)[:, 2:-2] == enlarged(picture, zoom)[TAGS:, 2:-2]).all()
            for s in (-1, 0, 1)
        ]
        assert any(fits)
    shown.stage.hover(position={"x": 400, "y": 150})
    shown.stage.focus()
    for _ in range(6):
        shown.browser.page.mouse.wheel(0, -200)
    shown.browser.page.wait_for_timeout(200)
    said = shown.hover(100, 100)
    x, y = (int(n) for n in re.findall(r"[xy] (\d+)", said)[:2])
    other = shown.hover(100 + across + gap, 100)
    assert other.startswith(f"x {x}, y {y} ")
    pixels = shown.pixels()
    assert (pixels[100 - TAGS, 100] == A[y, x]).all()
    assert (pixels[100 - TAGS, 100 + across + gap] == B[y, x]).all()


def test_any_two_of_several_and_every_view(show: Any) -> None:
    views = RANDOM.integers(0, 256, (3, 4, 50, 100, 3), np.uint8)
    names = ["one", "two", "three", "four"]
    shown = show(compare(*views, labels=("base", "mip", "ours"), names=names))
    shown.press("b")
    shown.wait("0 2 0")
    shown.press("n", "n")
    shown.wait("0 2 2")
    assert_split(shown.pixels(), 0.5 * WIDE, enlarged(views[0, 2]), enlarged(views[2, 2]))
    assert shown.widget.get_by_label("view", exact=True).input_value() == "2"
    thumbnails = shown.widget.get_by_role("option").filter(has=shown.browser.page.locator("canvas"))
    thumbnails.nth(3).wait_for(timeout=10_000)
    thumbnails.nth(3).click()
    shown.wait("0 2 3")
    shown.press("p", "a")
    shown.wait("1 2 2")
    shown.widget.get_by_label("B", exact=True).select_option("0")
    shown.wait("1 0 2")
    assert_split(shown.pixels(), 0.5 * WIDE, enlarged(views[1, 2]), enlarged(views[0, 2]))
    shown.click("all of them at once")
    shown.wait("1 0 2")
    for index in range(3):
        x = index * (362 + 6) + 181
        said = shown.hover(x, 80)
        column, row = (int(n) for n in re.findall(r"[xy] (\d+)", said)[:2])
        assert (shown.pixels()[80 - TAGS, x] == views[index, 2, row, column]).all()


def test_a_smaller_picture_is_shown_as_large_and_has_no_difference(show: Any) -> None:
    small = B[::2, ::2]
    shown = show(compare(A, small))
    assert_split(shown.pixels(), 0.5 * WIDE, enlarged(A), enlarged(small, 2 * ZOOM))
    said = shown.hover(80.5 * ZOOM, 20.5 * ZOOM)
    assert said.endswith(f"B b {', '.join(map(str, small[10, 40]))} (at 40, 10)")
    assert shown.measure == "no difference: 100 × 50 and 50 × 25 pixels"


def test_a_page_of_smaller_copies_says_so_with_its_numbers(
    show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "PAGE_BYTES", 20_000)
    shown = show(compare(A, B))
    small = [shrunk(Raster(p), 2).values.astype(float) / 255 for p in (A, B)]
    psnr = -10 * np.log10(((small[0] - small[1]) ** 2).mean())
    assert shown.measure.startswith(f"PSNR {psnr:.2f} dB · ")
    assert shown.measure.endswith("(copies at 1/2 size)")
    note = "its pictures are copies at 1/2 of their size, and so are the numbers"
    assert shown.widget.get_by_text(note).is_visible()
    copy = np.round(small[0] * 255).astype(np.uint8)
    centres = shown.pixels()[3 * ZOOM - TAGS :: 2 * ZOOM, ZOOM : 532 : 2 * ZOOM]  # beside the grid
    np.testing.assert_array_equal(centres, copy[1:, : centres.shape[1]])


def test_in_jupyterlab_pictures_come_when_they_are_looked_at(browser: Browser, lab: Lab) -> None:
    write_notebook(
        lab.folder / "compare.ipynb",
        """
import numpy as np
from notebooks.widgets.compare import compare

class Counted(list):
    read = []
    def __getitem__(self, index):
        Counted.read.append(index)
        return super().__getitem__(index)

pictures = np.random.default_rng(1).integers(0, 256, (60, 50, 100, 3), np.uint8)
widget = compare(Counted(pictures), list(255 - pictures), largest_error=0.5)
widget
""",
    )
    browser.open_notebook(lab, "compare.ipynb")
    browser.run_all()
    found = browser.widget()
    stage = found.locator(".sw-pictures")

    def shown(text: str) -> None:
        found.locator(f'[data-shown="{text}"]').wait_for(timeout=30_000)

    shown("0 1 0")
    cells = browser.page.locator(".jp-CodeCell").count()
    stage.click(position={"x": 30, "y": 200})  # moves the line
    for key in ("b", "a", "n", "d"):
        stage.press(key)
    shown("0 1 1")
    assert browser.page.locator(".jp-CodeCell").count() == cells, "a and b are for the widget"
    browser.page.wait_for_timeout(2500)  # until it has told the kernel, and the still picture
    state = browser.evaluate(
        "print(widget.a, widget.b, widget.view, widget.mode, widget.line < 0.1)"
    )
    assert state.strip() == "0 1 1 difference True"
    read = browser.evaluate("print(len(set(Counted.read)), widget.last_still().keys())")
    count, kinds = read.split(" ", 1)
    assert int(count) < 30, "pictures that nobody looked at were read"
    assert "image/jpeg" in kinds
    browser.evaluate("widget.view = 7")
    shown("0 1 7")
    browser.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    browser.page.wait_for_timeout(3000)
    browser.wait_idle()
    stage.press("s")  # what is there goes on working
    shown("0 1 7")
    assert found.locator("[data-mode=slider][data-shown]").count() == 1
    found.get_by_label("view", exact=True).select_option("40")
    found.get_by_text("run the cell again").wait_for(timeout=20_000)
    found.get_by_label("view", exact=True).select_option("7")
    shown("0 1 7")


def test_until_a_kernel_answers_the_still_picture_is_there(browser: Browser, lab: Lab) -> None:
    write_notebook(
        lab.folder / "silent.ipynb",
        "import numpy as np\nfrom notebooks import compare\n"
        "compare(np.zeros((30, 40, 3)), np.ones((30, 40, 3)))",
        "import time\nfrom pathlib import Path\n"
        "while not Path('heard').exists():\n    time.sleep(0.1)",
    )
    browser.open_notebook(lab, "silent.ipynb")
    browser.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    widget = browser.page.locator('.splatworks[data-state="unanswered"]')
    widget.wait_for(timeout=60_000)
    picture = browser.page.locator(".jp-RenderedImage img")
    assert picture.is_visible()
    assert not widget.locator(".sw-pictures").is_visible()
    assert widget.get_by_text("No kernel answers").is_visible()
    (lab.folder / "heard").touch()
    found = browser.widget()
    found.locator('[data-shown="0 1 0"]').wait_for(timeout=30_000)
    assert found.locator(".sw-pictures").is_visible()
    assert not found.locator(".sw-unanswered").is_visible()
    assert not picture.is_visible()
