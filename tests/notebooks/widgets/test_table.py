"""The table of scores: what it takes, sorts, filters and selects, and widgets that follow it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import traitlets
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from notebooks.artifacts import open_artifact, scores
from notebooks.widgets.compare import compare_held_out
from notebooks.widgets.export import save_page
from notebooks.widgets.links import link
from notebooks.widgets.records import columns_of, usual_format
from notebooks.widgets.splats import view
from notebooks.widgets.stills import COLOURS, draw
from notebooks.widgets.table import ScoreTable, score_table, table
from ops.cameras import Cameras, look_at
from ops.errors import InputError
from ops.splats.model import Splats
from storage.home import Home
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook

ROWS = [
    {"view": "a", "psnr": 25.5, "step": 3, "method": "ours"},
    {"view": "b", "psnr": 21.25, "step": 1, "method": "3dgs"},
    {"view": "c", "psnr": None, "step": 2, "method": "ours"},
    {"view": "d", "psnr": 30.0, "step": 4, "method": "Mip, x2"},
]


# What it takes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["rows", "frame", "dataset", "numpy", "torch", "indexed", "mixed"])
def test_tables_of_every_kind_are_the_same(form: str) -> None:
    names, values = ["a", "b", "c"], [1.5, 2.25, 0.5]
    forms: dict[str, Any] = {
        "rows": [{"view": n, "psnr": v} for n, v in zip(names, values, strict=True)],
        "frame": pd.DataFrame({"view": names, "psnr": values}),
        "dataset": xr.Dataset({"psnr": ("view", values)}, coords={"view": names}),
        "numpy": {"view": np.array(names), "psnr": np.array(values, np.float32)},
        "torch": {"view": names, "psnr": torch.tensor(values, dtype=torch.bfloat16)},
        "indexed": pd.DataFrame({"psnr": values}, index=pd.Index(names, name="view")),
        "mixed": {"view": names, "psnr": xr.DataArray(values, dims="row")},
    }
    columns = {c.name: c for c in columns_of(forms[form])}
    assert columns["view"].values.tolist() == names
    np.testing.assert_array_equal(columns["psnr"].values, values)
    assert columns["psnr"].is_number
    assert not columns["view"].is_number


def test_a_dataset_of_two_dimensions_has_a_row_for_each_combination() -> None:
    dataset = xr.Dataset(
        {"psnr": (("scale", "view"), np.arange(6.0).reshape(2, 3))}, coords={"scale": [1, 8]}
    )
    columns = {c.name: c.values.tolist() for c in columns_of(dataset)}
    assert columns == {"scale": [1, 1, 1, 8, 8, 8], "psnr": [0, 1, 2, 3, 4, 5]}


def test_values_that_are_missing_truths_and_text_with_numbers() -> None:
    columns = {
        c.name: c
        for c in columns_of(
            {"n": [1, None, 3], "b": [True, False, True], "t": [1, "x", None], "d": [1.5, None, 2]}
        )
    }
    assert columns["n"].whole
    assert np.isnan(columns["n"].values[1])
    assert columns["n"].plain(1) is None
    assert columns["n"].plain(2) == 3
    assert columns["b"].values.tolist() == ["yes", "no", "yes"]
    assert columns["t"].values.tolist() == ["1", "x", ""]
    assert not columns["d"].whole


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        (3, {}, "expected a DataFrame"),
        ([], {}, "no columns"),
        ({"a": []}, {}, "no rows"),
        ([{"a": 1}, 2], {}, "a dict for each row, found int"),
        ({"a": [1, 2], "b": [1]}, {}, "same length, found a 2, b 1"),
        ({"a": np.zeros((2, 2))}, {}, r"column 'a' should hold one value.*\(2, 2\)"),
        ({"a": np.zeros(200_001)}, {}, "at most 200,000 rows"),
        (xr.Dataset({"a": (("y", "x"), np.zeros((500, 500)))}), {}, "y 500, x 500 makes 250,000"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "different names"),
        (ROWS, {"y": "ssim"}, r"y should be one of \['psnr', 'step'\], found 'ssim'"),
        (ROWS, {"y": "method"}, "y should be one of"),
        (ROWS, {"group": "x"}, "group should be one of"),
        (ROWS, {"formats": {"lpips": ".2f"}}, "formats names 'lpips'"),
        (ROWS, {"formats": {"psnr": "02x"}}, "format like"),
        (ROWS, {"pictures": [np.zeros((2, 2))]}, "expected 4 pictures, found 1"),
    ],
)
def test_bad_input_is_named(rows: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        table(rows, **more)


@given(st.lists(st.floats(-1e5, 1e5).filter(lambda v: v == 0 or abs(v) > 1e-2), min_size=2))
@settings(max_examples=60)
def test_usual_formats_tell_values_apart_to_a_hundredth_of_their_spread(
    values: list[float],
) -> None:
    (column,) = columns_of({"a": np.array(values)})
    text = [float(format(v, usual_format(column))) for v in column.values]
    # Half a unit of the last digit; six digits are the most, whatever the spread.
    spread = float(column.values.std()) or float(np.abs(column.values).max())
    allowed = max(0.005 * spread, 5e-7) * (1 + 1e-6)
    assert np.abs(np.array(text) - column.values).max() <= allowed


# Selecting from Python ----------------------------------------------------------------------------


def test_selecting_in_python_tells_row_and_view() -> None:
    widget = table(ROWS)
    seen: list[tuple[int, dict[str, Any]]] = []

    @widget.on_select
    def _(index: int, row: dict[str, Any]) -> None:
        seen.append((index, row))

    assert (widget.index, widget.selected) == (-1, {})
    widget.index = 2
    assert seen == [(2, ROWS[2])]
    assert widget.selected == {"index": 2, "row": ROWS[2]}
    assert widget.view == 2
    widget.view = 0
    assert (widget.index, widget.selected["row"]["view"]) == (0, "a")
    widget.index = -1
    assert widget.selected == {}
    assert [i for i, _ in seen] == [2, 0]
    with pytest.raises(traitlets.TraitError, match="from 0 to 3"):
        widget.index = 4
    with pytest.raises(InputError, match="from 0 to 3"):
        widget.row(9)


def test_scores_of_an_evaluation(home: Home) -> None:
    evaluation = open_artifact("demo/evaluation/held_out", home=home)
    widget = score_table(evaluation)
    expected = scores(evaluation).iloc[:-1]
    assert widget.count == len(expected)
    assert [widget.row(i)["psnr"] for i in range(3)] == expected["psnr"].tolist()
    assert [widget.row(i)["view"] for i in range(3)] == expected.index.tolist()
    assert widget.has_pictures
    both = score_table({"one": evaluation, "two": evaluation})
    assert (both.count, both.curve["group"]) == (6, "version")
    assert both.row_views == [0, 1, 2, 0, 1, 2]
    with pytest.raises(InputError, match=r"expected an evaluation.*found \['history', 'splats'\]"):
        score_table(open_artifact("demo/splats/trained", home=home))


def test_still_picture_has_bars_as_long_as_numbers_are_large() -> None:
    widget = table({"x": [0.0, 5.0, 10.0], "y": [1.0, 1.0, 1.0]}, y="y")
    picture = np.asarray(Image.open(io.BytesIO(widget.still())).convert("RGBA")).astype(int)
    # Bars are a quarter of their blue, over nothing: rows 2 and 3 of the first column.
    blue = (picture[..., 3] > 50) & (picture[..., 3] < 80) & (picture[..., 2] > 190)
    left = blue[: picture.shape[0] // 2, : picture.shape[1] // 18]
    extents = np.array([np.ptp(np.flatnonzero(line)) + 1 if line.any() else 0 for line in left])
    bars = np.split(extents, np.flatnonzero(extents == 0))
    lengths = [int(bar.max()) for bar in bars if bar.any()]
    assert lengths[-2] / lengths[-1] == pytest.approx(0.5, abs=0.06)
    assert len(lengths) == 2 or lengths[0] <= 2  # that of 0


def test_the_still_has_a_line_for_each_group_as_the_page_has() -> None:
    rows = {
        "view": ["a", "b", "c", "a", "b", "c"],
        "version": ["v1", "v1", "v1", "v2", "v2", "v2"],
        "psnr": [20.0, 22.0, 24.0, 30.0, np.nan, 28.0],
        "step": [20, 10, 0, 0, 10, 20],
        "time": [0.5, 0.1, 0.9, 0.5, 0.1, 0.9],
    }
    by_order = table(rows, y="psnr", group="version").plot()
    assert by_order is not None
    assert (by_order.x, by_order.whole) == ("order of rows", True)
    assert [(m.name, m.x.tolist(), m.y.tolist()) for m in by_order.lines] == [
        ("v1", [0, 1, 2], [20, 22, 24]),
        ("v2", [0, 2], [30, 28]),
    ]
    over_steps = table(rows, y="psnr", x="step", group="version").plot()
    assert over_steps is not None
    assert [m.x.tolist() for m in over_steps.lines] == [[0, 10, 20], [0, 20]]
    assert over_steps.lines[0].y.tolist() == [24, 22, 20]
    over_time = table(rows, y="psnr", x="time").plot()
    assert over_time is not None
    assert not over_time.whole
    assert [m.name for m in over_time.lines] == [""]
    assert table({"view": ["a", "b"]}).plot() is None
    numbers = table({"psnr": [1.0, 2.0, 3.0], "fold": [0, None, 0]}, y="psnr", group="fold").plot()
    assert numbers is not None
    assert [(m.name, m.y.tolist()) for m in numbers.lines] == [("0", [1, 3]), ("(none)", [2])]

    def colours(widget: ScoreTable) -> list[bool]:
        """Which of the colours of lines are in the picture, as opaque as lines are."""
        picture = np.asarray(Image.open(io.BytesIO(widget.still())).convert("RGBA"))
        wanted = [(*(int(c[i : i + 2], 16) for i in (1, 3, 5)), 255) for c in COLOURS[:3]]
        return [bool((picture == w).all(2).sum() > 30) for w in wanted]

    assert colours(table(rows, y="psnr", group="version")) == [True, True, False]
    assert colours(table(rows, y="psnr")) == [True, False, False]


@pytest.mark.parametrize("count", [2, 3, 10, 200])
def test_an_axis_of_positions_has_whole_numbers(count: int) -> None:
    plot = table({"psnr": np.linspace(20, 30, count)}).plot()
    assert plot is not None
    axes = Figure().add_subplot()
    draw(axes, plot)
    low, high = axes.get_xlim()
    ticks = [t for t in axes.get_xticks() if low <= t <= high]
    assert len(ticks) >= 2
    assert all(t == round(t) for t in ticks)


# In a page ----------------------------------------------------------------------------------------


def show(browser: Browser, widget: ScoreTable, folder: Path) -> None:
    browser.open_file(widget.save_html(folder / "page.html"))
    browser.widget()


def state(browser: Browser, name: str, widget: int = 0) -> Any:
    return browser.page.evaluate(f"window.models[{widget}].get('{name}')")


def column(browser: Browser, number: int) -> list[str]:
    """The texts of a column, from above."""
    cells = f".sw-space-y .sw-row > div:nth-child({number})"
    found = browser.page.locator(cells).evaluate_all(
        "(cells) => cells.map((c) => [c.getBoundingClientRect().top, c.textContent])"
    )
    return [text for _, text in sorted(found)]


def wait_rows(browser: Browser, count: int) -> None:
    browser.page.wait_for_function(
        "(n) => document.querySelectorAll('.sw-space-y .sw-row').length === n", arg=count
    )


def test_sorts_and_filters(browser: Browser, tmp_path: Path) -> None:
    show(browser, table(ROWS, formats={"psnr": ".1f"}), tmp_path)
    assert column(browser, 2) == ["25.5", "21.3", "", "30.0"]
    header = browser.page.get_by_role("button", name="psnr")
    header.click()
    assert column(browser, 2) == ["21.3", "25.5", "30.0", ""]
    assert state(browser, "sort") == ["psnr", "up"]
    header.focus()
    browser.page.keyboard.press("Enter")
    assert column(browser, 2) == ["30.0", "25.5", "21.3", ""]
    sorts = browser.page.locator("[role=columnheader]").evaluate_all(
        "(all) => all.map((e) => e.getAttribute('aria-sort'))"
    )
    assert sorts == ["none", "descending", "none", "none"]
    browser.page.keyboard.press("Enter")
    assert column(browser, 1) == ["a", "b", "c", "d"]

    field = browser.page.locator(".sw-filter")
    cases = {
        "psnr < 26": ["a", "b"],
        "psnr<26 ours": ["a"],
        "method = ours": ["a", "c"],
        'method="mip, x2"': ["d"],
        "step>=2 step != 3": ["c", "d"],
        "MIP": ["d"],
        "nothing": [],
    }
    for text, left in cases.items():
        field.fill(text)
        wait_rows(browser, len(left))
        assert column(browser, 1) == left, text
    field.fill("psnr < x")
    said = browser.page.locator("[role=status]")
    browser.page.wait_for_function(
        "() => document.querySelector('[role=status]').textContent.includes('needs a number')"
    )
    field.fill("lpips < 1")
    browser.page.wait_for_function(
        "() => document.querySelector('[role=status]').textContent.includes('no column lpips')"
    )
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("ours")
    browser.page.wait_for_function(
        "() => document.querySelector('[role=status]').textContent === '2 of 4 rows'"
    )
    assert "25.5" in browser.page.locator(".sw-foot").inner_text()  # the mean of what is shown
    assert said.inner_text() == "2 of 4 rows"


def test_bars_are_as_long_as_numbers_are_large(browser: Browser, tmp_path: Path) -> None:
    show(browser, table({"x": [0.0, 5.0, 10.0], "y": [-2.0, 0.0, 2.0]}), tmp_path)
    found = browser.page.locator(".sw-cell-bar").evaluate_all(
        """(bars) => bars.map((b) => {
            const [bar, cell] = [b, b.parentElement].map((e) => e.getBoundingClientRect());
            return [(bar.left - cell.left) / cell.width, bar.width / cell.width];
        })"""
    )
    expected = [(0, 0), (0, 0.5), (0, 0.5), (0.5, 0), (0, 1), (0.5, 0.5)]
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    ("value", "format_"),
    [
        *((v, f) for v in (0.1, 1234567.891, -2.5, 1e-7, 3.0) for f in (".3f", ".2e", ",.1f")),
        *((v, f) for v in (12.0, 1234567.0, -7.0) for f in ("d", ",d")),
        *((v, f) for v in (0.125, 123456.0, 1e-7, 2.0, 12345678.0) for f in (".3g", ".1%")),
    ],
)
def test_formats_are_those_of_python(value: float, format_: str, formatted: Any) -> None:
    number = int(value) if format_.endswith("d") else value
    assert formatted(value, format_) == format(number, format_)


@pytest.fixture(scope="module")
def formatted() -> Any:
    """The browser's formatting of numbers, by Node."""
    import json
    import shutil
    import subprocess

    from notebooks.widgets.bundle import FOLDER

    if shutil.which("node") is None:
        pytest.skip("no Node on this machine")
    module = (FOLDER / "js/src/table/numbers.js").as_uri()
    code = (
        f"import {{ formatted }} from {json.dumps(module)};"
        "import { createInterface } from 'node:readline';"
        "for await (const line of createInterface({ input: process.stdin }))"
        " console.log(formatted(...JSON.parse(line)));"
    )
    with subprocess.Popen(
        ["node", "--no-warnings", "--input-type=module", "-e", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None

        def ask(value: float, format_: str) -> str:
            node.stdin.write(json.dumps([value, format_]) + "\n")
            node.stdin.flush()
            return str(node.stdout.readline()).rstrip("\n")

        yield ask
        node.stdin.close()


def many(count: int = 5000) -> ScoreTable:
    return table({"view": np.arange(count), "psnr": np.linspace(20, 30, count)}, height=300)


def test_thousands_of_rows_are_few_elements_and_keys_reach_all(
    browser: Browser, tmp_path: Path
) -> None:
    show(browser, many(), tmp_path)
    rows = browser.page.locator(".sw-space-y .sw-row")
    assert rows.count() < 40
    browser.page.locator(".sw-grid").focus()
    press = browser.page.keyboard.press
    press("ArrowDown")
    press("ArrowDown")
    assert state(browser, "index") == 1
    press("End")
    assert state(browser, "selected") == {"index": 4999, "row": {"view": 4999, "psnr": 30}}
    selected = browser.page.locator("[aria-selected=true]")
    assert selected.count() == 1
    assert selected.get_attribute("aria-rowindex") == "5001"
    grid, row = (x.bounding_box() for x in (browser.page.locator(".sw-grid"), selected))
    assert grid["y"] < row["y"] < grid["y"] + grid["height"] - row["height"]
    identity = selected.get_attribute("id")
    assert browser.page.locator(".sw-grid").get_attribute("aria-activedescendant") == identity
    press("PageUp")
    assert 4985 < state(browser, "index") < 4999
    press("Home")
    assert state(browser, "index") == 0
    press("Escape")
    assert (state(browser, "index"), state(browser, "selected")) == (-1, {})
    assert rows.count() < 40


def colour(browser: Browser, x: float, y: float, radius: int = 2) -> np.ndarray:
    """[3] mean colour about a point of the plot."""
    pixels = browser.pixels(browser.page.locator(".sw-plot"))
    part = pixels[
        round(y) - radius : round(y) + radius + 1, round(x) - radius : round(x) + radius + 1
    ]
    return part.reshape(-1, 3).mean(0)


def test_curve_and_table_have_one_selection(browser: Browser, tmp_path: Path) -> None:
    rows = {
        "view": ["a", "b", "c", "a", "b", "c"],
        "of": ["v1"] * 3 + ["v2"] * 3,
        "psnr": [20.0, 22.0, 24.0, 21.0, 26.0, 30.0],
        "step": [0, 10, 20, 0, 10, 20],
    }
    show(browser, table(rows, x="step", group="of"), tmp_path)
    plot = browser.page.locator(".sw-plot")
    box = plot.bounding_box()
    # Axes as curve.js lays them out: x over all of its range, y with 6 % more on either side.
    across, down = box["width"] - 56 - 14, box["height"] - 12 - 34

    def place(step: float, psnr: float) -> tuple[float, float]:
        low, high = 20 - 0.6, 30 + 0.6
        return 56 + step / 20 * across, 12 + (1 - (psnr - low) / (high - low)) * down

    blue, orange = np.array([0x3D, 0x8F, 0xD1]), np.array([0xE8, 0x83, 0x3A])
    for row in range(6):
        wanted = blue if row < 3 else orange
        at = place(rows["step"][row], rows["psnr"][row])  # type: ignore[call-overload]
        np.testing.assert_allclose(colour(browser, *at, radius=1), wanted, atol=40)
    browser.page.mouse.click(*(a + box[k] for a, k in zip(place(10, 26), "xy", strict=True)))
    assert state(browser, "index") == 4
    assert browser.page.locator("[aria-selected=true]").inner_text().split() == [
        *("b", "v2", "26.00", "10"),
    ]
    # The ring of the selected point is filled with the colour of its line.
    np.testing.assert_allclose(colour(browser, *place(10, 26)), orange, atol=12)
    plot.focus()
    browser.page.keyboard.press("ArrowRight")
    assert state(browser, "index") == 5
    browser.page.locator(".sw-space-y .sw-row").nth(1).click()
    assert state(browser, "index") == 1
    np.testing.assert_allclose(colour(browser, *place(10, 22)), blue, atol=12)
    browser.page.locator(".sw-filter").fill("v1")
    wait_rows(browser, 3)
    low, high = 20 - 0.24, 24 + 0.24  # the scale is that of what is left
    at = 56 + across, 12 + (1 - (24 - low) / (high - low)) * down
    np.testing.assert_allclose(colour(browser, *at, radius=1), blue, atol=40)


def test_copies_what_is_shown_as_csv(browser: Browser, tmp_path: Path) -> None:
    show(browser, table(ROWS), tmp_path)
    browser.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    browser.page.get_by_role("button", name="psnr").click()
    browser.page.get_by_role("button", name="copy the rows shown, as CSV").click()
    browser.page.get_by_text("copied").wait_for()
    expected = 'view,psnr,step,method\nb,21.25,1,3dgs\na,25.5,3,ours\nd,30,4,"Mip, x2"\nc,,2,ours\n'
    assert browser.page.evaluate("navigator.clipboard.readText()") == expected


def test_pictures_of_rows_are_theirs(browser: Browser, tmp_path: Path) -> None:
    pictures = [np.full((30, 40, 3), (i * 40, 90, 20), np.uint8) for i in range(5)]
    widget = table({"view": np.arange(5), "psnr": [3.0, 1.0, 2.0, 5.0, 4.0]}, pictures=pictures)
    show(browser, widget, tmp_path)
    assert widget.thumbnails == {}  # only the page has them
    browser.page.get_by_role("button", name="psnr").click()
    images = browser.page.locator(".sw-picture img")
    order = sorted((images.nth(i).bounding_box()["y"], i) for i in range(5))
    shown = [browser.pixels(images.nth(i))[15, 20].astype(int) for _, i in order]
    expected = [(row * 40, 90, 20) for row in (1, 2, 0, 4, 3)]
    np.testing.assert_allclose(shown, expected, atol=4)


# Linked widgets -----------------------------------------------------------------------------------


def some_cameras(count: int) -> Cameras:
    turn = torch.arange(count) * (2 * torch.pi / count)
    eyes = torch.stack([3 * turn.sin(), -0.4 * torch.ones(count), -3 * turn.cos()], 1)
    return Cameras(
        viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, -1, 0])),
        Ks=torch.tensor([[80.0, 0, 40], [0, 80, 30], [0, 0, 1]]).repeat(count, 1, 1),
        widths=(80,) * count,
        heights=(60,) * count,
        names=tuple(f"photo {i}" for i in range(count)),
    )


def viewer(count: int = 4) -> Any:
    g = torch.Generator().manual_seed(0)
    splats = Splats(
        means=torch.randn(30, 3, generator=g) * 0.4,
        quats=torch.randn(30, 4, generator=g),
        log_scales=torch.full((30, 3), -2.0),
        opacity_logits=torch.ones(30),
        sh0=torch.randn(30, 1, 3, generator=g),
        shN=torch.zeros(30, 0, 3),
    )
    return view(splats, some_cameras(count), height=200)


def test_links_by_name_in_both_directions() -> None:
    rows = table({"view": ["photo 3", "mean", "photo 1", "photo 3"], "psnr": [1.0, 2, 3, 4]})
    shown = viewer()
    link(shown, rows)  # in either order
    assert rows.links[0]["to"] == [3, -1, 1, 3]
    rows.index = 2
    assert shown.view == 1
    shown.view = 3
    assert rows.index == 0
    rows.index = 3  # another row of the same view
    assert (shown.view, rows.index) == (3, 3)
    rows.index = 1  # of no view: the viewer stays
    assert shown.view == 3
    shown.view = 0  # of no row: the table stays
    assert rows.index == 1


def test_what_the_browser_sets_python_does_not_set_again() -> None:
    rows, shown = table({"view": [2, 0, 3], "psnr": [1.0, 2, 3]}), viewer()
    link(rows, shown)
    # The browser has moved both on by the time the kernel hears of a row.
    rows.set_state({"index": 0, "view": 2, "selected": {"index": 0, "row": {}}})
    assert (rows.index, shown.view) == (0, -1)
    shown.set_state({"view": 3})
    assert (rows.index, shown.view) == (0, 3)
    assert not rows.hearing
    rows.index = 1
    assert shown.view == 0


def test_links_by_number_and_what_cannot_be_linked() -> None:
    rows, shown = table({"view": [2, 0, 9], "psnr": [1.0, 2, 3]}), viewer()
    link(rows, shown)
    assert rows.links[0]["to"] == [2, 0, -1]
    with pytest.raises(InputError, match=r"no view of the first.*x, y.*photo 0"):
        link(table({"view": ["x", "y"], "psnr": [1.0, 2.0]}), shown)
    with pytest.raises(InputError, match="no column that names a view"):
        link(table({"psnr": [1.0, 2.0]}), shown)
    with pytest.raises(InputError, match="no column 'photo'"):
        link(rows, shown, by="photo")
    with pytest.raises(InputError, match="expected one or more widgets"):
        save_page([], "x.html")


def test_page_of_linked_widgets_has_one_bundle_and_follows(
    browser: Browser, tmp_path: Path
) -> None:
    rows = table({"view": ["photo 3", "photo 1"], "psnr": [1.0, 2.0]}, height=150)
    other = table({"view": ["photo 1", "photo 3"], "ssim": [0.5, 0.75]}, height=150)
    shown = viewer()
    link(rows, shown)
    link(rows, other)
    alone = rows.save_html(tmp_path / "alone.html").stat().st_size
    file = save_page([rows, shown, other], tmp_path / "page.html", "three of them")
    assert file.stat().st_size < 1.2 * alone
    browser.open_file(file)
    for i in range(3):
        browser.widget(i)
    # No row is selected yet, and the view that the viewer begins with has none.
    assert state(browser, "index") == -1
    browser.page.locator(".sw-grid").first.locator(".sw-space-y .sw-row").first.click()
    assert [state(browser, "view", 1), state(browser, "index", 2)] == [3, 1]
    browser.page.wait_for_function(  # the viewer says where it is when it has arrived and drawn
        """() => {
            const now = window.models[1].get("viewmat");
            const wanted = window.models[1].get("cameras")[3].viewmat;
            return now.length && now.every((x, i) => Math.abs(x - wanted[i]) < 1e-5);
        }"""
    )
    assert [state(browser, "index"), state(browser, "index", 2)] == [0, 1]
    browser.page.locator(".sw-thumb").nth(1).click()  # the viewer's own strip
    browser.page.wait_for_function("window.models[0].get('index') === 1")
    assert state(browser, "index", 2) == 0
    assert browser.page.locator("[aria-selected=true]").count() == 2


def test_page_of_scores_pictures_and_splats_follows(
    browser: Browser, home: Home, tmp_path: Path
) -> None:
    evaluation = open_artifact("demo/evaluation/held_out", home=home)
    rows, pictures = score_table(evaluation, height=200), compare_held_out(evaluation)
    splats = viewer(3)
    link(rows, pictures)
    link(rows, splats, names=[rows.row(i)["view"] for i in (2, 1, 0)])
    assert (rows.index, splats.view) == (0, 2)  # the comparison shows its first view
    browser.open_file(save_page([rows, pictures, splats], tmp_path / "page.html"))
    assert pictures.pictures == {}
    for i in range(3):
        browser.widget(i)
    browser.page.locator(".sw-grid").focus()
    browser.page.keyboard.press("ArrowDown")
    assert [state(browser, "view", 1), state(browser, "index")] == [1, 1]
    browser.page.wait_for_function("window.models[2].get('view') === 1")
    browser.page.evaluate("window.models[1].set('view', 2)")
    browser.page.wait_for_function("window.models[2].get('view') === 0")
    assert state(browser, "selected")["row"]["view"] == rows.row(2)["view"]


# In JupyterLab ------------------------------------------------------------------------------------


def test_in_jupyterlab(browser: Browser, lab: Lab) -> None:
    cells = (
        "import ipywidgets, numpy as np\n"
        "from notebooks.widgets.table import table\n"
        "from notebooks.widgets.links import link\n"
        "pictures = lambda i: np.full((20, 30, 3), (i % 5 * 50, 100, 0), np.uint8)\n"
        "n = 2000\n"
        "t = table({'view': np.arange(n), 'psnr': np.arange(n) / 7}, pictures=pictures)\n"
        "u = table({'view': np.arange(n)[::-1], 'ssim': np.arange(n) / 9}, height=160)\n"
        "link(t, u)\n"
        "seen = []\n"
        "t.on_select(lambda i, row: seen.append((i, row['psnr'])));",
        "t",
        "u",
        "s = ipywidgets.IntSlider(value=-1, min=-1, max=n)\n"
        "joined = ipywidgets.jslink((t, 'index'), (s, 'value'))\n"
        "s",
    )
    write_notebook(lab.folder / "table.ipynb", *cells)
    browser.open_notebook(lab, "table.ipynb")
    browser.run_all()
    browser.widget(0)
    browser.widget(1)
    grid = browser.page.locator(".sw-grid").first
    grid.locator(".sw-space-y .sw-row").nth(3).click()
    grid.focus()
    for _ in range(4):
        browser.page.keyboard.press("ArrowDown")
    browser.page.wait_for_timeout(800)
    assert browser.evaluate("print(t.index, u.index, s.value, seen[0], seen[-1])").split() == (
        f"7 {1999 - 7} 7 (3, {3 / 7}) (7, 1.0)".split()
    )
    image = grid.locator("[data-row='4'] img")
    browser.page.wait_for_function("(i) => i.naturalWidth > 0", arg=image.element_handle())
    np.testing.assert_allclose(browser.pixels(image)[10, 15], (200, 100, 0), atol=6)

    # What stands for it where it does not live is what is seen.
    browser.page.wait_for_timeout(1800)
    code = "import base64; print(base64.b64encode(t.last_still()['image/png']).decode())"
    still = Image.open(io.BytesIO(base64.b64decode(browser.evaluate(code)))).convert("RGB")
    seen = Image.fromarray(browser.pixels(browser.widget(0))).resize(still.size)
    error = np.abs(np.asarray(still).astype(int) - np.asarray(seen)).mean(-1)
    assert error.mean() < 4
    assert (error > 60).mean() < 0.03

    # Set from Python, in the page too.
    browser.evaluate("u.index = 1000")
    browser.page.wait_for_timeout(600)
    assert grid.locator("[aria-selected=true]").get_attribute("data-row") == "999"
    assert browser.evaluate("print(t.index, s.value)").split() == ["999", "999"]

    # Without a kernel the two go on together.
    browser.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    browser.page.wait_for_timeout(3000)
    grid.focus()
    browser.page.keyboard.press("ArrowDown")
    browser.page.wait_for_timeout(400)
    rows = browser.page.locator(".splatworks [aria-selected=true]")
    assert [rows.nth(i).get_attribute("data-row") for i in range(2)] == ["1000", "999"]
