"""The splat viewer: what is sent, what is drawn, and what it answers to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from notebooks import view
from notebooks.widgets.packing import importance, pack
from notebooks.widgets.splats import SplatView
from notebooks.widgets.subject import from_arrays
from ops.cameras import Cameras, look_at
from ops.errors import InputError
from ops.rendering.render import render
from ops.splats.model import Splats
from storage.home import Home
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook

HEIGHT = 300


def some_splats(n: int, sh_degree: int = 3, seed: int = 0) -> Splats:
    """A cloud of Gaussians of all shapes around the origin."""
    g = torch.Generator().manual_seed(seed)
    return Splats(
        means=torch.randn(n, 3, generator=g) * 0.6,
        quats=torch.randn(n, 4, generator=g),
        log_scales=torch.rand(n, 3, generator=g) * 2 - 3.2,
        opacity_logits=torch.randn(n, generator=g) + 1,
        sh0=torch.randn(n, 1, 3, generator=g),
        shN=torch.randn(n, (sh_degree + 1) ** 2 - 1, 3, generator=g) * 0.3,
    )


def some_cameras(count: int = 5, width: int = 300, height: int = 200) -> Cameras:
    """Cameras on a circle, all of them with their own lens, off centre."""
    turn = torch.arange(count) * (2 * torch.pi / count)
    eyes = torch.stack([3 * turn.sin(), -0.4 * torch.ones(count), -3 * turn.cos()], 1)
    Ks = torch.tensor([[280.0, 0, 140], [0, 290, 110], [0, 0, 1]]).repeat(count, 1, 1)
    return Cameras(
        viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, -1, 0])),
        Ks=Ks,
        widths=(width,) * count,
        heights=(height,) * count,
        names=tuple(f"photo {i}" for i in range(count)),
    )


def rendered(splats: Splats, camera: Cameras, background: Any = None) -> np.ndarray:
    """[H, W, 3] uint8 of the project's renderer."""
    behind = None if background is None else torch.tensor(background)
    colors = render(splats, camera, background=behind)[0].colors
    return (colors.clamp(0, 1) * 255).round().byte().numpy()


def screen(browser: Browser) -> np.ndarray:
    """The picture without what lies over it, and without its round corners."""
    browser.page.wait_for_timeout(600)
    browser.page.locator(".splatworks[data-drawn=all]").wait_for(timeout=60_000)
    hidden = (
        ".sw-note, .sw-frame { display: none !important } .sw-stage { border-radius: 0 !important }"
    )
    browser.page.add_style_tag(content=hidden)
    return browser.pixels(browser.page.locator(".sw-stage canvas").first)


def wait_for(browser: Browser, view_: int) -> None:
    """Until the widget says that it shows a camera."""
    browser.page.wait_for_function(f"window.model.get('view') === {view_}", timeout=30_000)


def state(browser: Browser, name: str) -> Any:
    """A trait of the widget of a saved page."""
    return browser.page.evaluate(f"window.model.get('{name}')")


def on_screen(browser: Browser) -> Cameras:
    """The camera that the widget reports."""
    width, height = state(browser, "size")
    return Cameras(
        viewmats=torch.tensor(state(browser, "viewmat")).reshape(1, 4, 4).float(),
        Ks=torch.tensor(state(browser, "K")).reshape(1, 3, 3).float(),
        widths=(width,),
        heights=(height,),
        names=("screen",),
    )


def show(browser: Browser, widget: SplatView, folder: Path) -> None:
    """Open a widget as a page of its own."""
    browser.open_file(widget.save_html(folder / "page.html"))
    browser.widget()


def assert_alike(picture: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rounding of half floats."""
    error = np.abs(picture.astype(int) - expected.astype(int))
    assert picture.shape == expected.shape
    assert error.mean() < 0.4
    assert np.percentile(error, 99.9) <= 5, np.percentile(error, [50, 99, 99.9, 100])


# What is sent -------------------------------------------------------------------------------------


def test_most_visible_come_first_and_all_arrive() -> None:
    splats = some_splats(200)
    packed = pack(splats)
    assert sorted(packed.order.tolist()) == list(range(200))
    assert (packed.count, packed.sh_degree, packed.notes) == (200, 3, [])
    seen = importance(splats)[torch.from_numpy(packed.order)]
    assert (seen.diff() <= 0).all()


def unpacked(packed: Any, name: str) -> np.ndarray:
    """An array as the browser reads it."""
    entry = next(e for e in packed.layout if e["name"] == name)
    count = int(np.prod(entry["shape"]))
    array = np.frombuffer(packed.data, entry["dtype"], count, entry["offset"])
    return array.reshape(entry["shape"])


def test_half_precision_is_all_that_is_lost() -> None:
    splats = some_splats(300)
    packed = pack(splats)
    sent = splats.select(torch.from_numpy(packed.order))
    np.testing.assert_array_equal(unpacked(packed, "means"), sent.means.numpy())
    np.testing.assert_allclose(
        unpacked(packed, "log_scales"), sent.log_scales.numpy(), rtol=2**-11, atol=1e-6
    )
    scale = unpacked(packed, "shN_scale").astype(np.float32)[:, None]
    shN = unpacked(packed, "shN") * (scale / 127)
    found = np.abs(shN - sent.shN.reshape(300, -1).numpy())
    assert (found <= 0.51 * scale / 127 + scale * 2**-11).all()


def test_what_does_not_fit_is_left_out_and_said() -> None:
    splats = some_splats(1000)
    lower = pack(splats, budget=1000 * 40)
    assert (lower.count, lower.sh_degree) == (1000, 0)
    assert lower.notes == ["drawn with SH degree 0 of 3"]
    fewer = pack(splats, budget=34 * 100)
    assert fewer.count == 100
    assert "the 100 most visible of 1,000 Gaussians are drawn" in fewer.notes
    assert len(fewer.data) <= 34 * 100 + 32


def test_gaussians_that_are_not_finite_are_left_out() -> None:
    splats = some_splats(10)
    splats.means[3, 1] = torch.nan
    splats.quats[7] = 0
    packed = pack(splats)
    assert packed.count == 8
    assert not {3, 7} & set(packed.order.tolist())
    assert packed.notes == ["2 Gaussians that are not finite are not drawn"]


def test_arrays_of_every_kind_make_the_same_splats() -> None:
    splats = some_splats(20, sh_degree=0)
    arrays = {
        "means": splats.means.numpy(),
        "quats": splats.quats,
        "scales": xr.DataArray(splats.scales.numpy(), dims=("gaussian", "axis")),
        "opacities": splats.opacities,
        "sh0": splats.sh0.numpy(),
    }
    made = from_arrays(arrays)
    torch.testing.assert_close(made.log_scales, splats.log_scales)
    torch.testing.assert_close(made.opacity_logits, splats.opacity_logits, rtol=1e-4, atol=1e-4)
    dataset = xr.Dataset(
        {"means": (("g", "xyz"), arrays["means"]), "quats": (("g", "q"), splats.quats.numpy())}
    )
    with pytest.raises(InputError, match="one of log_scales and scales"):
        view(dataset)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"splats": 3}, "expected a model, the key of an artifact"),
        ({"values": {"fisher": np.zeros(3)}}, r"should have shape \(10,\)"),
        ({"color_by": "beauty"}, "color_by should be one of"),
        ({"background": (1, 1)}, "three numbers"),
        ({"cameras": 5}, "cameras: expected"),
    ],
)
def test_bad_input_is_named(wrong: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"splats": some_splats(10), **wrong}
    with pytest.raises(InputError, match=words):
        view(given.pop("splats"), **given)


# What is drawn ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_picture_is_that_of_the_rasteriser(browser: Browser, tmp_path: Path, seed: int) -> None:
    splats, cameras = some_splats(1500, seed=seed), some_cameras()
    background = (0.2, 0.4, 0.6)
    widget = view(splats, cameras, height=HEIGHT, background=background)
    widget.show_cameras = False
    show(browser, widget, tmp_path)
    assert_alike(screen(browser), rendered(splats, on_screen(browser), background))
    assert state(browser, "view") == 0
    np.testing.assert_array_equal(
        np.float32(state(browser, "viewmat")), cameras.viewmats[0].flatten().numpy()
    )


def test_round_and_level_gaussians_are_drawn(browser: Browser, tmp_path: Path) -> None:
    splats = Splats(
        means=torch.tensor([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.6, 0.2]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        log_scales=torch.tensor([[-1.5, -1.5, -1.5], [-1.0, -2.5, -2.5], [-2.5, -1.0, -2.5]]),
        opacity_logits=torch.tensor([2.0, 2.0, 2.0]),
        sh0=torch.tensor([[[1.0, 0, 0]], [[0, 1.0, 0]], [[3.0, 3.0, 3.0]]]),
        shN=torch.zeros(3, 0, 3),
    )
    front = torch.eye(4)[None].clone()
    front[0, 2, 3] = 3
    cameras = Cameras(
        viewmats=front,
        Ks=torch.tensor([[[200.0, 0, 100], [0, 200, 100], [0, 0, 1]]]),
        widths=(200,),
        heights=(200,),
        names=("front",),
    )
    widget = view(splats, cameras, height=HEIGHT)
    show(browser, widget, tmp_path)
    picture = screen(browser)
    assert picture.max() > 200
    assert_alike(picture, rendered(splats, on_screen(browser)))


def test_far_gaussians_do_not_spoil_the_order(browser: Browser, tmp_path: Path) -> None:
    near, far = some_splats(800, seed=3), some_splats(10, seed=4)
    far.means.mul_(5000)
    splats = Splats(**{k: torch.cat([v, far.tensors()[k]]) for k, v in near.tensors().items()})
    widget = view(splats, some_cameras(), height=HEIGHT)
    widget.show_cameras = False
    show(browser, widget, tmp_path)
    assert_alike(screen(browser), rendered(splats, on_screen(browser)))


def test_what_is_drawn_in_parts_is_the_whole(browser: Browser, tmp_path: Path) -> None:
    """More Gaussians than are drawn at once, also where a move interrupts the drawing."""
    splats = some_splats(230_000, sh_degree=0, seed=7)
    splats.log_scales.sub_(2.5)
    splats.opacity_logits.sub_(2)
    widget = view(splats, some_cameras(), height=HEIGHT)
    widget.show_cameras = False
    show(browser, widget, tmp_path)
    assert_alike(screen(browser), rendered(splats, on_screen(browser)))
    stage = browser.page.locator(".sw-stage")
    browser.drag(stage, (0.5, 0.5), (0.6, 0.5))
    browser.page.get_by_text("drawing all:").wait_for(state="attached", timeout=30_000)
    browser.drag(stage, (0.5, 0.5), (0.5, 0.55))
    assert_alike(screen(browser), rendered(splats, on_screen(browser)))
    assert "drawing all" not in browser.page.locator(".sw-note").inner_text()
    assert state(browser, "view") == -1


def test_huge_gaussian_before_the_camera_covers_what_it_does(
    browser: Browser, tmp_path: Path
) -> None:
    splats = some_splats(300, seed=6)
    splats.means[0] = torch.tensor([0.05, -0.4, -2.9])  # 0.1 before the camera
    splats.log_scales[0] = 0.0
    splats.opacity_logits[0] = 0.0
    widget = view(splats, some_cameras(), height=HEIGHT)
    widget.show_cameras = False
    show(browser, widget, tmp_path)
    assert_alike(screen(browser), rendered(splats, on_screen(browser)))


def test_drag_wheel_and_keys_move_the_camera_that_is_reported(
    browser: Browser, tmp_path: Path
) -> None:
    splats = some_splats(600, seed=5)
    widget = view(splats, some_cameras(), height=HEIGHT)
    widget.show_cameras = False
    show(browser, widget, tmp_path)
    stage = browser.page.locator(".sw-stage")
    before = screen(browser)
    browser.drag(stage, (0.5, 0.5), (0.62, 0.45))
    browser.page.mouse.wheel(0, -200)
    browser.page.keyboard.press("Shift+ArrowLeft")
    after = screen(browser)
    assert np.abs(after.astype(int) - before).mean() > 3
    assert state(browser, "view") == -1
    assert_alike(after, rendered(splats, on_screen(browser)))
    browser.page.keyboard.press("r")
    wait_for(browser, 0)
    assert_alike(screen(browser), before)
    browser.page.keyboard.press("n")
    wait_for(browser, 1)
    assert_alike(screen(browser), rendered(splats, on_screen(browser)))


def test_two_fingers_zoom_and_one_turns(browser: Browser, tmp_path: Path) -> None:
    show(browser, view(some_splats(200), some_cameras(), height=HEIGHT), tmp_path)
    screen(browser)
    box = browser.page.locator(".sw-stage").bounding_box()
    fingers = browser.page.context.new_cdp_session(browser.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": i}
            for i, (x, y) in enumerate(points)
        ]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    def eye() -> torch.Tensor:
        screen(browser)
        (viewmat,) = on_screen(browser).viewmats
        return -viewmat[:3, :3].T @ viewmat[:3, 3]

    before = eye()
    touch("touchStart", (0.45, 0.5))
    touch("touchMove", (0.55, 0.5))
    touch("touchEnd")
    turned = eye()
    assert torch.linalg.norm(turned - before) > 0.3
    torch.testing.assert_close(turned.norm(), before.norm(), rtol=0.05, atol=0)  # around the middle
    touch("touchStart", (0.45, 0.5), (0.55, 0.5))
    touch("touchMove", (0.4, 0.5), (0.6, 0.5))
    touch("touchEnd")
    nearer = eye()
    assert float(nearer.norm()) == pytest.approx(float(turned.norm()) / 2, rel=0.1)


def test_click_on_a_camera_and_on_its_picture_goes_there(browser: Browser, tmp_path: Path) -> None:
    cameras = some_cameras()
    pictures = [np.full((20, 30, 3), 40 * i, np.uint8) for i in range(5)]
    show(browser, view(some_splats(50), cameras, pictures=pictures, height=HEIGHT), tmp_path)
    thumbnails = browser.page.locator(".sw-thumb")
    assert thumbnails.count() == 5
    shown = browser.pixels(thumbnails.nth(3).locator("img"))
    assert abs(int(shown[20, 40, 0]) - 120) <= 3
    thumbnails.nth(3).click()
    wait_for(browser, 3)
    assert thumbnails.nth(3).get_attribute("aria-current") is not None

    # Camera 0 as it is seen from camera 3: at its centre, projected.
    seen = on_screen(browser)
    at = seen.viewmats[0, :3, :3] @ cameras.centers[0] + seen.viewmats[0, :3, 3]
    if at[2] > 0:
        x, y = (seen.Ks[0] @ (at / at[2]))[:2].tolist()
        box = browser.page.locator(".sw-stage").bounding_box()
        if 0 < x < box["width"] and 0 < y < box["height"]:
            browser.page.mouse.click(box["x"] + x, box["y"] + y)
            wait_for(browser, 0)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("train/000.png", "train/001.png", "test/000.png"), ["train/000.png", "train/001.png"]),
        (("a/images/0.jpg", "a/images/1.jpg", "b/2.jpg"), ["0.jpg", "1.jpg"]),
        (("a/left/0.jpg", "b/left/0.jpg", "0.jpg"), ["a/left/0.jpg", "b/left/0.jpg"]),
    ],
)
def test_names_below_pictures_tell_them_apart(
    names: tuple[str, ...], shown: list[str], browser: Browser, tmp_path: Path
) -> None:
    cameras = replace(some_cameras(3), names=names)
    pictures = [np.zeros((20, 30, 3), np.uint8)] * 3
    show(browser, view(some_splats(5), cameras, pictures=pictures, height=HEIGHT), tmp_path)
    texts = browser.page.locator(".sw-thumb span").all_text_contents()
    assert texts[:2] == shown
    assert len(set(texts)) == len(set(names))


def test_colour_by_a_quantity_shows_the_map(browser: Browser, tmp_path: Path) -> None:
    import matplotlib as mpl

    splats = some_splats(3, sh_degree=0)
    splats.means[:] = torch.tensor([[-0.7, 0.0, 0.0], [0.0, 0.0, 0.0], [0.7, 0.0, 0.0]])
    splats.log_scales[:] = -2.0
    splats.opacity_logits[:] = 8.0
    widget = view(
        splats,
        some_cameras(1),
        values={"fisher": torch.tensor([0.0, 5.0, 10.0]), "label": np.array([2, 0, 7])},
        color_by="fisher",
        height=HEIGHT,
    )
    widget.show_cameras = False
    show(browser, widget, tmp_path)

    def colours() -> list[np.ndarray]:
        picture, camera = screen(browser), on_screen(browser)
        at = splats.means @ camera.viewmats[0, :3, :3].T + camera.viewmats[0, :3, 3]
        uv = (at / at[:, 2:]) @ camera.Ks[0].T
        return [picture[int(v), int(u)].astype(int) for u, v, _ in uv.tolist()]

    viridis = np.round(mpl.colormaps["viridis"](np.array([0.0, 0.5, 1.0]))[:, :3] * 255)
    np.testing.assert_allclose(colours(), viridis, atol=3)
    assert "10" in browser.page.locator(".sw-legend").first.inner_text()
    browser.page.get_by_label("colour by").first.select_option("label")
    tab = np.round(mpl.colormaps["tab20"](np.array([2, 0, 7]))[:, :3] * 255)
    np.testing.assert_allclose(colours(), tab, atol=3)
    browser.page.get_by_label("colour by").first.select_option("")
    own = rendered(splats, on_screen(browser))
    assert_alike(screen(browser), own)


# In JupyterLab ------------------------------------------------------------------------------------


def test_in_jupyterlab(browser: Browser, lab: Lab, home: Home) -> None:
    cells = (
        "from notebooks import view",
        "w = view('demo/splats/trained', height=260)\nw",
    )
    write_notebook(lab.folder / "splats.ipynb", *cells)
    browser.open_notebook(lab, "splats.ipynb")
    browser.run_all()
    browser.widget()
    picture = browser.page.locator(".jp-RenderedImage img")
    assert picture.count() == 1
    assert not picture.is_visible()

    # The kernel hears of a drag, and what it renders is what is seen.
    browser.drag(browser.page.locator(".sw-stage"), (0.5, 0.5), (0.6, 0.5))
    code = """
import numpy as np, io
from PIL import Image
from ops.rendering.render import render
still = next(iter(w.last_still().values()))
sent = np.asarray(Image.open(io.BytesIO(still)).convert("RGB")).astype(int)
made = render(w.given.splats, w.camera())[0].colors.clamp(0, 1).mul(255).numpy()
made = Image.fromarray(made.astype(np.uint8))
small = np.asarray(made.resize(sent.shape[1::-1], Image.BILINEAR))
print(w.view, round(np.abs(sent - small).mean(), 2))
"""
    for _ in range(60):
        said = browser.evaluate(code)  # a traceback, until the first picture is there
        if said.startswith("-1 ") and float(said.split()[1]) < 3:
            break
        browser.page.wait_for_timeout(500)
    assert said.startswith("-1 "), said
    assert float(said.split()[1]) < 3

    # A cell that is run again closes what it made before.
    count = (
        "from ipywidgets.widgets.widget import _instances\n"
        "print(sum(type(x).__name__ == 'SplatView' for x in _instances.values()))"
    )
    browser.run_all()
    browser.widget()
    assert browser.evaluate(count).strip() == "1"
    assert browser.page.locator(".splatworks").count() == 1

    # Closed and opened again, with the kernel alive: the widget is there, at the pose of before.
    browser.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    browser.page.wait_for_timeout(1500)
    browser.page.reload()
    browser.widget()

    # Without a kernel it goes on in the browser.
    browser.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    browser.page.wait_for_timeout(3000)
    before = screen(browser)
    browser.drag(browser.page.locator(".sw-stage"), (0.5, 0.5), (0.4, 0.5))
    assert np.abs(screen(browser).astype(int) - before).mean() > 1
