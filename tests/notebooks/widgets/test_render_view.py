"""The view that the renderer draws: what it gives for a pose, and what a browser shows of it."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from notebooks.artifacts import open_splats, open_views
from notebooks.widgets.planes import Plane, legend, limits_of, packed, shown, table
from notebooks.widgets.render_sources import principal_colors
from notebooks.widgets.render_view import RenderView, render_view
from notebooks.widgets.viewpoint import outlook
from ops.cameras import Cameras
from ops.errors import InputError
from ops.rendering.fisher import fisher_information, uncertainty_maps
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats, rgb_to_sh0
from storage.home import Home
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook
from tests.notebooks.widgets.scenes import scene


class Answers:
    """What a widget says to its half in the browser."""

    def __init__(self, widget: RenderView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget = widget
        self.said: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(widget, "send", lambda content, data: self.said.append((content, data)))

    def ask(self, cameras: Cameras, **content: Any) -> tuple[dict[str, Any], list[bytes]]:
        pose = {
            "viewmat": cameras.viewmats[0].flatten().tolist(),
            "K": cameras.Ks[0].flatten().tolist(),
            "width": cameras.widths[0],
            "height": cameras.heights[0],
        }
        self.widget.receive({"type": "frame", "id": 7, **pose, **content}, [])
        answer = self.said.pop()
        assert answer[0]["answers"] == 7
        return answer


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def numbers_of(data: bytes, about: dict[str, Any]) -> np.ndarray:
    half = np.frombuffer(zlib.decompress(data), "<f2").astype(np.float32)
    return half.reshape(about["height"], about["width"]) * about["unit"]


def bytes_of_colors(colors: torch.Tensor) -> np.ndarray:
    return (colors.clamp(0, 1) * 255).round().byte().numpy()


def test_colours_are_those_of_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, background=(0.2, 0.0, 0.4), near=2.9)
    answers = Answers(widget, monkeypatch)
    for mode in ("classic", "antialiased"):
        widget.antialiased = mode == "antialiased"
        about, data = answers.ask(cameras[2])
        settings = RenderSettings(mode=mode, near_plane=2.9)
        [truth] = render(splats, cameras[2], settings, torch.tensor([0.2, 0.0, 0.4]))
        assert (about["mime"], about["legend"]) == ("image/png", None)
        assert np.array_equal(pixels_of(data[0]), bytes_of_colors(truth.colors))
        assert np.array_equal(widget.picture, pixels_of(data[0]))
    assert np.array_equal(widget.viewmat, cameras.viewmats[2].double().numpy())
    assert np.array_equal(widget.K, cameras.Ks[2].double().numpy())


def test_what_is_drawn_while_moving_does_not_become_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras)
    answers = Answers(widget, monkeypatch)
    before = widget.picture
    about, data = answers.ask(cameras[2], moving=True)
    assert about["mime"] == "image/jpeg"
    assert len(data) == 1
    near = np.abs(pixels_of(data[0]).astype(int) - bytes_of_colors(
        render(splats, cameras[2])[0].colors
    ))  # fmt: skip
    assert 0 < near.mean() < 4
    assert np.array_equal(widget.picture, before)


@pytest.mark.parametrize("what", ["depth", "median depth", "alpha"])
def test_numbers_are_those_of_the_renderer(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, what=what)
    about, data = Answers(widget, monkeypatch).ask(cameras[1])
    settings = RenderSettings(expected_depth=True, median_depth=True)
    [truth] = render(splats, cameras[1], settings)
    wanted = {"depth": truth.expected_depth, "median depth": truth.median_depth}.get(what)
    wanted = truth.alphas if wanted is None else wanted
    seen = truth.alphas.numpy() > 1e-3 if what != "alpha" else np.ones((60, 80), bool)
    values = widget.values
    assert values is not None
    assert np.array_equal(values[seen], wanted.numpy()[seen])
    assert np.isnan(values[~seen]).all()
    got = numbers_of(data[1], about)
    assert np.allclose(got[seen], values[seen], rtol=2**-11, atol=1e-7)
    assert about["legend"]["meaning"].startswith(what.split()[-1])


def test_a_number_per_gaussian_is_blended_as_colours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    numbers = splats.means[:, 2].clone()
    widget = render_view(splats, cameras, quantities={"height": numbers}, what="height")
    Answers(widget, monkeypatch).ask(cameras[0])
    as_color = rgb_to_sh0((numbers * 0.1 + 0.5)[:, None, None].expand(-1, 1, 3))
    grey = replace(splats, features=None, sh0=as_color)
    [seen] = render(grey, cameras[0])
    alpha = seen.alphas.numpy()
    inside = alpha > 0.05
    mean = (seen.colors[..., 0].numpy() / np.maximum(alpha, 1e-9) - 0.5) * 10
    values = widget.values
    assert values is not None
    assert inside.mean() > 0.2
    assert np.allclose(values[inside], mean[inside], atol=2e-4)


def test_a_gaussian_without_a_number_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    numbers = np.full(len(splats), np.nan, np.float32)
    numbers[5] = 4.5
    widget = render_view(splats, cameras, quantities={"q": numbers}, what="q")
    Answers(widget, monkeypatch).ask(cameras[0])
    values = widget.values
    assert values is not None
    assert np.isnan(values).any()
    assert np.allclose(values[np.isfinite(values)], 4.5, atol=1e-4)


def test_uncertainty_is_that_of_the_information(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    bare = Splats(**{**splats.tensors(), "features": None})
    [information] = fisher_information(bare, cameras[0])
    widget = render_view(splats, cameras, information=information, what="uncertainty")
    about, _ = Answers(widget, monkeypatch).ask(cameras[3])
    [truth] = uncertainty_maps(bare, cameras[3], information)
    values = widget.values
    assert values is not None
    assert about["legend"]["log"]
    assert np.array_equal(np.nan_to_num(values), truth.numpy())
    own = render_view(splats, cameras, what="uncertainty")
    about, _ = Answers(own, monkeypatch).ask(cameras[3])
    assert "6 of 6 views at 80 px" in about["legend"]["meaning"]
    assert own.values is not None
    assert np.nanmedian(own.values) < np.nanmedian(values)  # more is known from more views


def test_a_pixel_is_as_deep_as_in_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras)
    answers = Answers(widget, monkeypatch)
    [whole] = render(splats, cameras[4], RenderSettings(median_depth=True))
    assert whole.median_depth is not None
    for x, y in ((40, 30), (35, 22), (50, 37)):
        about, _ = answers.ask(cameras[4], type="depth", x=x + 0.5, y=y + 0.5)
        assert about["depth"] == pytest.approx(float(whole.median_depth[y, x]), rel=1e-5)
    about, _ = answers.ask(cameras[4], type="depth", x=-4000.0, y=0.5)
    assert about["depth"] is None


def test_principal_colours_are_even_and_do_not_depend_on_rotation() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(500, 4, generator=g) ** 3 * torch.tensor([4.0, 2.0, 1.0, 0.1])
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=g)).Q
    colors = principal_colors(x)
    assert colors.shape == (500, 3)
    assert float(colors.min()) == 0
    assert float(colors.max()) == 1
    assert torch.allclose(colors, principal_colors(x @ rotation + 5), atol=1e-4)
    first = torch.argsort(colors[:, 0])
    assert torch.corrcoef(torch.stack([colors[:, 0], x[:, 0]]))[0, 1].abs() > 0.9
    assert len(first) == 500
    one = principal_colors(torch.arange(10.0)[:, None])
    assert torch.equal(one[:, 1:], torch.full((10, 2), 0.5))


def test_features_are_splatted(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, what="features")
    _, data = Answers(widget, monkeypatch).ask(cameras[0])
    colored = Splats(**{**splats.tensors(), "features": principal_colors(splats.features)})
    truth = render(colored, cameras[0])[0].features
    assert truth is not None
    assert np.array_equal(pixels_of(data[0]), bytes_of_colors(truth))
    with pytest.raises(InputError, match="features: expected an array"):
        render_view(splats, cameras, features=np.zeros((3, 4)))


def test_a_colour_map_keeps_its_range_when_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, what="depth")
    answers = Answers(widget, monkeypatch)
    first = answers.ask(cameras[0])[0]["legend"]
    far = Cameras(viewmats=cameras.viewmats[:1].clone(), Ks=cameras.Ks[:1], widths=(80,),
                  heights=(60,), names=("far",))  # fmt: skip
    far.viewmats[0, 2, 3] += 5
    assert answers.ask(far, moving=True)[0]["legend"] == first
    widget.locked = True
    assert answers.ask(far)[0]["legend"] == first
    widget.locked = False
    assert answers.ask(far)[0]["legend"]["low"] == pytest.approx(first["low"] + 5, abs=0.5)


def test_a_range_that_was_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, what="depth", ranges={"depth": (1, 8)})
    legend_ = Answers(widget, monkeypatch).ask(cameras[0])[0]["legend"]
    assert (legend_["low"], legend_["high"]) == (1, 8)
    with pytest.raises(InputError, match="'heat' is none of"):
        render_view(splats, cameras, ranges={"heat": (0, 1)})
    with pytest.raises(InputError, match="expected low < high"):
        render_view(splats, cameras, ranges={"depth": (1, 1)})


def test_a_request_says_itself_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras)
    answers = Answers(widget, monkeypatch)
    about, _ = answers.ask(cameras[1], what="alpha", near=2.9, antialiased=True)
    settings = RenderSettings(mode="antialiased", near_plane=2.9)
    assert about["legend"]["meaning"] == "alpha"
    assert np.array_equal(widget.values, render(splats, cameras[1], settings)[0].alphas.numpy())
    assert "unknown" in answers.ask(cameras[1], what="unknown")[0]["error"]
    assert "near: expected a positive" in answers.ask(cameras[1], near=-1)[0]["error"]


def test_a_function_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cameras = scene()
    calls = []

    def ramp(viewmat: np.ndarray, K: np.ndarray, width: int, height: int) -> Any:
        calls.append((viewmat, K, width, height))
        if K[0, 0] < 1:
            raise ValueError("a lens of nothing")
        return torch.linspace(0, 2, width * height).reshape(height, width)

    widget = render_view(render=ramp, cameras=cameras)
    answers = Answers(widget, monkeypatch)
    about, _ = answers.ask(cameras[1])
    assert np.array_equal(calls[-1][0], cameras.viewmats[1].double().numpy())
    assert calls[-1][2:] == (80, 60)
    assert about["legend"]["low"] == pytest.approx(0.02, abs=1e-3)
    assert widget.values is not None
    assert widget.values[-1, -1] == 2
    bad = Cameras(viewmats=cameras.viewmats[:1], Ks=cameras.Ks[:1] * 1e-3, widths=(80,),
                  heights=(60,), names=("bad",))  # fmt: skip
    about, data = answers.ask(bad)
    assert about["error"] == "ValueError: a lens of nothing"
    assert data == []
    assert answers.ask(cameras[1])[0]["mime"] == "image/png"


def test_a_function_must_give_the_size_it_was_asked_for() -> None:
    with pytest.raises(InputError, match=r"asked for a picture of 720 x 480 .* found 4 x 5"):
        render_view(render=lambda viewmat, K, width, height: np.zeros((5, 4, 3)))


def test_a_key_brings_the_cameras_of_its_scene(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLATWORKS_HOME", str(home.root))
    widget = render_view("demo/splats/trained", view=3)
    views = open_views("demo/capture/views")
    [truth] = render(open_splats("demo/splats/trained"), views.cameras[3])
    assert np.array_equal(widget.picture, bytes_of_colors(truth.colors))
    assert [row["name"] for row in widget._cameras] == list(views.cameras.names)
    bare = render_view(open_splats("demo/splats/trained"), "demo/capture/views", view=3)
    assert np.array_equal(bare.picture, widget.picture)
    with pytest.raises(InputError, match="expected an artifact with splats, found one with"):
        render_view("demo/capture/views")


def test_what_cannot_be_shown_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    splats, cameras = scene()
    with pytest.raises(InputError, match="found neither"):
        render_view()
    with pytest.raises(InputError, match="found both"):
        render_view(splats, render=lambda *a: None)
    with pytest.raises(InputError, match="'q' should be one number per Gaussian"):
        render_view(splats, quantities={"q": np.zeros(3)})
    with pytest.raises(InputError, match="'depth' is the name of something else"):
        render_view(splats, quantities={"depth": np.zeros(len(splats))})
    with pytest.raises(InputError, match="what: expected one of colors"):
        render_view(splats, cameras, what="heat")
    with pytest.raises(InputError, match="found 6"):
        render_view(splats, cameras, view=6)
    with pytest.raises(InputError, match=r"expected ops.cameras.Cameras, .* found list"):
        render_view(splats, [1, 2])
    widget = render_view(splats, cameras)
    with pytest.raises(InputError, match="near: expected a positive number"):
        widget.near = 0
    large = cameras[0].resized([90_000], [1000])
    assert "choose a smaller scale" in Answers(widget, monkeypatch).ask(large)[0]["error"]


def test_planes_have_the_colours_of_their_map() -> None:
    values = np.array([[0.0, 1.0, 2.0, np.nan]], np.float32)
    plane = Plane(values=values, limits=(0.0, 2.0))
    seen = shown(plane, limits_of(plane))
    assert np.array_equal(seen[0, :3], table("viridis")[[0, 128, 255]])
    assert np.array_equal(seen[0, 3], [26, 28, 32])
    logs = Plane(values=np.array([[1e-4, 1.02e-2, 1.0, 0.0]], np.float32), log=True)
    seen = shown(logs, (1e-4, 1.0))
    assert np.array_equal(seen[0, 1], table("viridis")[128])
    assert limits_of(Plane(values=np.full((2, 2), 3.0))) == (2.5, 3.5)
    assert limits_of(Plane(values=np.full((2, 2), np.nan))) == (0.0, 1.0)
    half = Plane(values=np.ones((1, 1)), alpha=np.full((1, 1), 0.5), limits=(0.0, 1.0))
    mid = (table("viridis")[255] + np.array([26.0, 28.0, 32.0])) / 2
    assert np.abs(shown(half, (0.0, 1.0))[0, 0] - mid).max() <= 0.5
    assert len(legend(plane, (0.0, 2.0))["colors"]) == 32


@pytest.mark.parametrize("size", [1e-12, 1.0, 3e7])
def test_packed_numbers_come_back(size: float) -> None:
    values = (np.random.default_rng(0).random((7, 5)) * size).astype(np.float32)
    values[0, 0] = np.nan
    data, unit = packed(values)
    got = numbers_of(data, {"width": 5, "height": 7, "unit": unit})
    assert np.isnan(got[0, 0])
    assert math.log2(unit) % 1 == 0
    assert np.allclose(got[1:], values[1:], rtol=2**-11)


def test_outlook_sees_the_points() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)) * 0.3 + [5, -2, 9]
    start = outlook(points, None)
    eye, target = np.array(start["eye"]), np.array(start["target"])
    assert np.allclose(target, [5, -2, 9], atol=0.15)
    assert start["up"] == [0, -1, 0]
    ahead = (target - eye) / np.linalg.norm(target - eye)
    angle = np.arccos((points - eye) @ ahead / np.linalg.norm(points - eye, axis=1))
    assert np.quantile(angle, 0.9) < start["fov"] / 2
    assert eye[1] < target[1]


def test_outlook_knows_the_cameras() -> None:
    _, cameras = scene()
    at_third = outlook(np.zeros((1, 3)), cameras, 2)
    assert np.allclose(at_third["eye"], cameras.centers[2], atol=1e-6)
    assert np.allclose(at_third["target"], 0, atol=1e-5)
    assert np.allclose(at_third["up"], [0, 0, 1], atol=0.05)
    outside = outlook(np.zeros((1, 3)), cameras)
    assert np.allclose(outside["target"], 0)
    assert outside["eye"][2] > 0


def canvas_pixels(widget: Any) -> np.ndarray:
    """The pixels of the picture in a widget, not those of the screen."""
    url = widget.locator("canvas").first.evaluate("(c) => c.toDataURL()")
    return pixels_of(base64.b64decode(url.split(",")[1]))


def test_saved_page_shows_the_last_picture(browser: Browser, tmp_path: Path) -> None:
    splats, cameras = scene()
    widget = render_view(splats, cameras, what="depth", view=2)
    browser.open_file(widget.save_html(tmp_path / "a.html"))
    shown_ = browser.widget()
    assert np.array_equal(canvas_pixels(shown_), widget.picture)
    assert "needs a running kernel" in shown_.inner_text()
    browser.drag(shown_.locator(".sw-stage"), (0.3, 0.5), (0.6, 0.5))
    assert np.array_equal(canvas_pixels(shown_), widget.picture)


def test_render_view_in_jupyterlab(browser: Browser, lab: Lab) -> None:
    """Jump, drag, hover, a busy kernel, a kernel that is gone."""
    reading = (
        "import base64, json, numpy as np, torch\n"
        "from dataclasses import replace\n"
        "from notebooks.widgets.render_sources import Pose\n"
        "def report():\n"
        "    pose = Pose(viewmat=w.viewmat, K=w.K, width=w.picture.shape[1], "
        "height=w.picture.shape[0])\n"
        "    mine = w._source.draw(w.what, pose, w._look({}).settings())\n"
        "    same = bool(np.array_equal(mine, w.picture)) if w.what == 'colors' else None\n"
        "    print(json.dumps(dict(view=w.view, same=same, pixels=base64.b64encode("
        "w.picture.tobytes()).decode(), size=w.picture.shape, viewmat=w.viewmat.tolist(), "
        "K=w.K.tolist())))\n"
    )
    show = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    show += "from scenes import scene\nsplats, cameras = scene()\n"
    show += "from notebooks.widgets.render_view import render_view\n"
    show += "w = render_view(splats, cameras, scale=1, background=(0.1, 0.2, 0.3)); w"
    write_notebook(lab.folder / "render.ipynb", reading, show)
    browser.open_notebook(lab, "render.ipynb")
    browser.run_all()
    widget = browser.widget()
    stage = widget.locator(".sw-stage")
    splats, cameras = scene()

    def still() -> dict[str, Any]:
        """Wait until the picture is whole, and what the kernel says of it."""
        browser.page.wait_for_timeout(100)
        stage.evaluate(
            "(e) => new Promise((ok) => { const look = () => e.dataset.shown === 'still' ? ok() "
            ": setTimeout(look, 30); look(); })"
        )
        said: dict[str, Any] = json.loads(browser.evaluate("report()"))
        said["pixels"] = np.frombuffer(base64.b64decode(said["pixels"]), np.uint8).reshape(
            said["size"]
        )
        return said

    def truth(i: int) -> np.ndarray:
        behind = torch.tensor([0.1, 0.2, 0.3])
        return bytes_of_colors(render(splats, cameras[i], None, behind)[0].colors)

    first = still()
    assert first["view"] == 0
    assert np.array_equal(canvas_pixels(widget), truth(0))

    stage.focus()
    browser.page.keyboard.press("n")
    browser.page.wait_for_timeout(1000)
    second = still()
    assert second["view"] == 1
    assert second["viewmat"] == cameras.viewmats[1].double().tolist()
    assert np.array_equal(canvas_pixels(widget), truth(1))
    assert np.array_equal(second["pixels"], truth(1))
    cells = browser.page.locator(".jp-Notebook .jp-Cell").count()

    browser.drag(stage, (0.4, 0.5), (0.6, 0.6))
    browser.page.wait_for_timeout(300)
    dragged = still()
    assert dragged["view"] == -1
    assert dragged["same"]
    assert np.array_equal(canvas_pixels(widget), dragged["pixels"])
    assert np.abs(dragged["pixels"].astype(int) - second["pixels"]).mean() > 3
    assert dragged["K"] == second["K"]

    for key in "adab":  # keys that make and delete cells where JupyterLab hears them
        browser.page.keyboard.press(key)
    assert browser.page.locator(".jp-Notebook .jp-Cell").count() == cells

    browser.evaluate("w.view = 3")
    browser.page.wait_for_timeout(1000)
    widget.get_by_label("what is drawn").select_option("depth")
    still()
    [third] = render(splats, cameras[3], RenderSettings(expected_depth=True))
    depth = np.array(json.loads(browser.evaluate("print(np.nan_to_num(w.values).tolist())")))
    assert third.expected_depth is not None
    assert np.allclose(depth, np.where(third.alphas > 1e-3, third.expected_depth, 0), atol=1e-6)
    assert browser.evaluate("print(w.what, w.view)").split() == ["depth", "3"]
    box = stage.bounding_box()
    browser.page.mouse.move(box["x"] + box["width"] * 0.505, box["y"] + box["height"] * 0.505)
    x, y = int(80 * 0.505), int(60 * 0.505)
    number = float(browser.evaluate(f"print(w.values[{y}, {x}])"))
    text = widget.locator(".sw-render-value").inner_text()
    assert text.startswith(f"({x}, {y})")
    assert float(text.split()[-1]) == pytest.approx(number, rel=0.006)

    browser.evaluate(  # JupyterLab may hear widgets while a cell runs: the drawing has to be slow
        "import time\n"
        "draws, plain = [], w._source.draw\n"
        "def slow(*a):\n    draws.append(0)\n    time.sleep(3)\n    return plain(*a)\n"
        "w._source.draw = slow"
    )
    browser.drag(stage, (0.4, 0.5), (0.7, 0.6))
    widget.get_by_text("The kernel is busy").wait_for(timeout=8000)
    still()
    assert widget.get_by_text("The kernel is busy").count() == 0
    assert 2 <= int(browser.evaluate("print(len(draws))")) - 1 <= 4  # report() draws once

    browser.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    widget.get_by_text("is gone").wait_for(timeout=60_000)
    before = canvas_pixels(widget)
    browser.drag(stage, (0.4, 0.5), (0.7, 0.6))
    assert np.array_equal(canvas_pixels(widget), before)
