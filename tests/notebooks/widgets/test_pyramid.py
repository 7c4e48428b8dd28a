"""Scales by methods: what is refused, and the pixels, numbers and pairs in a browser."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from notebooks.widgets.pyramid import pyramid
from ops.errors import InputError
from tests.notebooks.widgets.lab import Browser

RANDOM = np.random.default_rng(4)
SIZES = {"x2": (40, 60), "x1_2": (10, 15), "x1": (20, 30)}


def pictures(views: int = 2) -> dict[str, dict[str, list[np.ndarray]]]:
    """Random pictures; at the smallest scale ``ours`` is missing."""
    made = {
        scale: {
            method: [RANDOM.integers(0, 256, (*size, 3), np.uint8) for _ in range(views)]
            for method in ("base", "ours", "photo")
        }
        for scale, size in SIZES.items()
    }
    del made["x1_2"]["ours"]
    return made


def test_scales_are_in_order_and_holes_stay_holes() -> None:
    widget = pyramid(pictures(), names=["front", "back"])
    assert widget.scales == ["x1_2", "x1", "x2"]
    assert widget.methods == ["base", "ours", "photo"]
    assert [row.count(-1) for row in widget.cells] == [1, 0, 0]
    assert widget.methods[widget.truth] == "photo"
    names = [[widget.series[i] if i >= 0 else "" for i in row] for row in widget.cells]
    assert names[0] == ["x1_2 base", "", "x1_2 photo"]
    assert pyramid(pictures(), truth="ours").truth == 1
    assert Image.open(io.BytesIO(widget.still())).size[0] > 500


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ({}, {}, "expected scale -> method -> pictures"),
        ([1, 2], {}, "expected scale -> method -> pictures"),
        ({"x1": {}}, {}, "expected scale -> method -> pictures"),
        (
            {"x1": {"a": np.zeros((2, 4, 5, 3)), "b": np.zeros((1, 4, 5, 3))}},
            {},
            "as many views everywhere, found {'x1 a': 2, 'x1 b': 1}",
        ),
        ({"x1": {"a": np.zeros((4, 5, 3))}}, {"truth": "gt"}, "no method 'gt' .* there are a"),
        ({"x1": {"a": np.zeros((4, 5, 3))}}, {"names": ["a", "b"]}, "expected 1 names, found 2"),
        (
            {"x1": {"a": np.zeros((40, 50, 3))}, "x2": {"a": np.zeros((80, 50, 3))}},
            {},
            "pictures of one shape",
        ),
    ],
)
def test_what_is_no_pyramid_is_refused(source: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pyramid(source, **more)


def at(browser: Browser, stage: Any, pane: Any, u: float, v: float) -> tuple[str, np.ndarray]:
    """What is read, and the colour seen, at a point of a pane."""
    x, y = pane["x"] + u * pane["width"], pane["y"] + v * pane["height"]
    stage.hover(position={"x": x, "y": y})
    said = " ".join(stage.locator("xpath=following-sibling::*[1]").inner_text().split())
    box = stage.bounding_box()
    return said, browser.pixels(stage)[int(y), int(x)] if box else np.zeros(3)


def panes(widths: int = 3, rows: int = 3, down: int = 229) -> list[dict[str, float]]:
    """Boxes of the grid in a stage 1100 CSS pixels wide, as the layout has them."""
    across = (1100 - 62 - 4 * (widths - 1)) // widths
    return [
        {"x": 62 + c * (across + 4), "y": 22 + r * (down + 20), "width": across, "height": down}
        for r in range(rows)
        for c in range(widths)
    ]


def test_every_picture_shows_the_same_part(browser: Browser, tmp_path: Path) -> None:
    source = pictures()
    browser.open_file(pyramid(source, names=["front", "back"]).save_html(tmp_path / "a.html"))
    widget = browser.widget()
    widget.locator("xpath=self::*[.//*[@data-shown='0']]").wait_for(timeout=20_000)
    stage = widget.locator(".sw-grid")
    boxes = panes()
    names = [(s, m) for s in ("x1_2", "x1", "x2") for m in ("base", "ours", "photo")]

    def check(u: float, v: float, view: int) -> set[tuple[float, float]]:
        seen = set()
        for (scale, method), box in zip(names, boxes, strict=True):
            if method not in source[scale]:
                continue
            said, colour = at(browser, stage, box, u, v)
            place = said.split()
            x, y = int(place[2].strip(",")), int(place[4])
            picture = source[scale][method][view]
            assert f"{method} {', '.join(map(str, picture[y, x]))}" in said
            np.testing.assert_array_equal(colour, picture[y, x], f"{scale} {method}")
            seen.add(((x + 0.5) / picture.shape[1], (y + 0.5) / picture.shape[0]))
        return seen

    places = check(0.4, 0.6, 0)
    spread = np.ptp(np.array(sorted(places)), axis=0)
    assert (spread <= [0.5 / 15 + 0.01, 0.5 / 10 + 0.01]).all(), "not one place"
    stage.focus()
    for key in ("+", "+", "ArrowRight", "n"):
        browser.page.keyboard.press(key)
    widget.locator("xpath=self::*[.//*[@data-shown='1']]").wait_for(timeout=20_000)
    places = check(0.45, 0.4, 1)
    spread = np.ptp(np.array(sorted(places)), axis=0)
    assert (spread <= [0.5 / 15 + 0.01, 0.5 / 10 + 0.01]).all(), "not one place"
    widget.get_by_role("button", name="every picture at its own number of pixels").click()
    check(0.5, 0.5, 1)
    shown = browser.pixels(stage)
    box = boxes[0]  # 15 x 10 pixels, as they are, in the middle of a pane
    left, top = round(box["x"] + box["width"] / 2 - 7.5), round(box["y"] + box["height"] / 2 - 5)
    fits = [
        (shown[top + dy : top + dy + 10, left + dx : left + dx + 15] == source["x1_2"]["base"][1])
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
    ]
    assert any(f.all() for f in fits)


def test_numbers_and_the_pair_that_is_picked(browser: Browser, tmp_path: Path) -> None:
    source = pictures(views=1)
    truth = source["x2"]["photo"][0]
    source["x2"]["ours"][0] = np.clip(truth.astype(int) + 3, 0, 255).astype(np.uint8)
    browser.open_file(pyramid(source).save_html(tmp_path / "a.html"))
    widget = browser.widget()
    widget.locator("xpath=self::*[.//*[@data-shown='0']]").wait_for(timeout=20_000)
    scores = widget.locator(".sw-score")

    def psnr(scale: str, method: str) -> str:
        a, b = (source[scale][m][0].astype(float) / 255 for m in (method, "photo"))
        return f"{-10 * np.log10(((a - b) ** 2).mean()):.2f}"

    cells = [("x1_2", "base"), ("x1", "base"), ("x1", "ours"), ("x2", "base"), ("x2", "ours")]
    assert scores.all_inner_texts() == [psnr(*cell) for cell in cells]
    assert widget.locator(".sw-best").last.inner_text() == psnr("x2", "ours")
    widget.get_by_role("button", name="see x2 large").click()
    large = widget.locator(".sw-large")
    large.locator("[data-shown]").wait_for(timeout=20_000)
    sides = [large.get_by_label(side, exact=True) for side in "AB"]
    chosen = [s.locator("option:checked").inner_text() for s in sides]
    assert chosen == ["photo", "ours"], "the best against the truth"
    assert large.locator(".sw-measure").inner_text().startswith(f"PSNR {psnr('x2', 'ours')} dB")
    # A click on another picture of another scale compares that one.
    box = panes()[3]
    widget.locator(".sw-grid").click(
        position={"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    )
    large.get_by_text("×1 large").wait_for(timeout=20_000)
    measure = large.locator(".sw-measure")
    measure.get_by_text(f"PSNR {psnr('x1', 'base')} dB").wait_for(timeout=20_000)
    stage = large.locator(".sw-pictures")
    browser.drag(stage, (0.5, 0.5), (1.0, 0.5))
    stage.press("d")
    large.locator("[data-mode=difference][data-shown]").first.wait_for(timeout=20_000)
    widget.get_by_role("button", name="back to all scales").click()
    assert large.inner_text() == ""
