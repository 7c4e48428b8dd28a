"""The mesh viewer: known colours at known pixels, what lies in front, keys, drags and pictures."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from notebooks.meshes.picture import picture
from notebooks.widgets.mesh import BACKGROUNDS, MeshView, view_mesh
from ops.cameras import Cameras, look_at
from ops.errors import InputError
from tests.notebooks.meshes.test_files import glb
from tests.notebooks.widgets.lab import Browser, Lab, write_notebook

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
TWO = np.array([[0, 1, 2], [0, 2, 3]])
RED, BLUE = [210, 40, 30], [20, 60, 220]
TEXELS = np.random.default_rng(5).integers(0, 256, (4, 4, 3), dtype=np.uint8)


def cameras(*eyes: tuple[float, float, float], size: tuple[int, int] = (300, 200)) -> Cameras:
    """Cameras that look at the origin with -y up; from 4 away, 2 units are 150 pixels of 200."""
    width, height = size
    K = torch.tensor([[300.0, 0, width / 2], [0, 300.0, height / 2], [0, 0, 1]])
    up = torch.tensor([0.0, -1.0, 0.001])
    return Cameras(
        viewmats=look_at(torch.tensor(eyes), torch.zeros(3), up),
        Ks=K.expand(len(eyes), 3, 3).clone(),
        widths=(width,) * len(eyes),
        heights=(height,) * len(eyes),
        names=tuple(f"{i}.png" for i in range(len(eyes))),
    )


def textured(**options: Any) -> MeshView:
    """A square whose texture of 4 x 4 colours is magnified, so that a texel is a flat field."""
    texture = np.kron(TEXELS, np.ones((32, 32, 1), np.uint8))
    uv = (SQUARE[:, :2] + 1) / 2  # y is down, and so is v
    seen_from = cameras((0.0, 0.0, -4.0), (0.0, 0.0, 4.0))
    return view_mesh(SQUARE, TWO, uv=uv, texture=texture, uv_origin="top", cameras=seen_from,
                     view=0, **options)  # fmt: skip


def canvas_pixels(widget: Any) -> np.ndarray:
    url = widget.locator("canvas").first.evaluate("(c) => c.toDataURL()")
    data = base64.b64decode(url.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def at(pixels: np.ndarray, x: float, y: float, z: float = 0.0) -> list[int]:
    """The colour at a point of the world, seen from (0, 0, -4) by a camera of those above."""
    height, width = pixels.shape[:2]
    focal = 300 * min(height / 200, width / 300)
    u, v = width / 2 + focal * x / (4 + z), height / 2 + focal * y / (4 + z)
    return [int(c) for c in pixels[int(v), int(u)]]


def centers() -> list[tuple[int, int, float, float]]:
    return [(i, j, -0.75 + 0.5 * j, -0.75 + 0.5 * i) for i in range(4) for j in range(4)]


def open_page(browser: Browser, widget: MeshView, tmp_path: Path) -> Any:
    browser.open_file(widget.save_html(tmp_path / "mesh.html"))
    return browser.widget()


def test_texture_is_shown_as_it_is_from_both_sides(browser: Browser, tmp_path: Path) -> None:
    shown = open_page(browser, textured(), tmp_path)
    pixels = canvas_pixels(shown)
    for i, j, x, y in centers():
        assert at(pixels, x, y) == TEXELS[i, j].tolist()
    assert at(pixels, 1.2, 0) == list(BACKGROUNDS["dark"])
    screen = browser.pixels(shown.locator(".sw-stage"))  # and what people see is the canvas
    middle = np.array(screen.shape[:2]) // 2
    assert np.array_equal(screen[middle[0] - 60, middle[1] - 40], at(pixels, -0.25, -0.25))

    shown.locator(".sw-stage").focus()
    browser.page.keyboard.press("n")
    browser.page.wait_for_timeout(1200)
    behind = canvas_pixels(shown)
    for i, j, x, y in centers():
        assert at(behind, -x, y) == TEXELS[i, j].tolist()
    assert "4 vertices · 2 faces" in shown.inner_text()


def test_glb_with_the_default_of_metal_is_not_black(browser: Browser, tmp_path: Path) -> None:
    seen_from = cameras((0.0, 0.0, 4.0))  # +y of the file is down in the picture
    move = np.diag([2, 2, 1, 1]).astype(float)
    data = glb(nodes__0={"children": [1], "translation": [-1, -1, 0]},
               nodes__1={"mesh": 0, "matrix": move.T.ravel().tolist()})  # fmt: skip
    pixels = canvas_pixels(open_page(browser, view_mesh(data, cameras=seen_from, view=0), tmp_path))
    wanted = {
        (0.5, 0.5): [255, 0, 0],  # the file's left is the picture's right
        (-0.5, 0.5): [0, 255, 0],
        (0.5, -0.5): [0, 0, 255],
        (-0.5, -0.5): [90, 60, 30],
    }
    for (x, y), color in wanted.items():  # where a texel has its middle, up to half a pixel
        assert np.abs(np.array(at(pixels, x, y)) - color).max() <= 2


def test_what_is_nearer_hides_what_is_behind(browser: Browser, tmp_path: Path) -> None:
    """Two squares that cross: each hides the other on one side, whatever their order."""
    left_near = SQUARE.copy()
    left_near[:, 2] = 0.5 * SQUARE[:, 0]  # the left side is nearer to z = -4
    right_near = SQUARE.copy()
    right_near[:, 2] = -0.5 * SQUARE[:, 0]
    vertices = np.concatenate([left_near, right_near])
    colors = np.array([RED] * 4 + [BLUE] * 4, np.uint8)
    for faces in (np.concatenate([TWO, TWO + 4]), np.concatenate([TWO + 4, TWO])):
        widget = view_mesh(
            vertices, faces, colors=colors, cameras=cameras((0.0, 0.0, -4.0)), view=0
        )
        pixels = canvas_pixels(open_page(browser, widget, tmp_path))
        for x in (-0.8, -0.3, -0.05):
            assert at(pixels, x, 0.3, 0.5 * x) == RED
            assert at(pixels, -x, 0.3, 0.5 * x) == BLUE


def test_shadings_have_the_colours_they_must(browser: Browser, tmp_path: Path) -> None:
    shown = open_page(browser, textured(), tmp_path)
    choose = shown.get_by_label("shading")

    def shade(name: str) -> np.ndarray:
        choose.select_option(name)
        browser.page.wait_for_timeout(500)
        return canvas_pixels(shown)

    normal = np.cross(SQUARE[1] - SQUARE[0], SQUARE[2] - SQUARE[0])
    wanted = np.round(255 * (0.5 + 0.5 * normal / np.linalg.norm(normal)))
    assert np.abs(np.array(at(shade("normals"), 0.1, 0.3)) - wanted).max() <= 1
    lit = shade("lit")
    head_on, aside = at(lit, 0.25, 0.25), at(lit, 0.75, 0.75)
    for found, (x, y), (i, j) in ((head_on, (0.25, 0.25), (2, 2)), (aside, (0.75, 0.75), (3, 3))):
        facing = 4 / np.sqrt(16 + x * x + y * y)
        wanted = TEXELS[i, j] * (0.25 + 0.75 * facing)
        assert np.abs(found - wanted).max() <= 1
    checker = shade("checker")
    assert at(checker, 0.03, 0.03) != at(checker, 0.16, 0.03)
    bare = shade("none")
    assert at(bare, 0.5, 0.2) == list(BACKGROUNDS["dark"])
    height, width = bare.shape[:2]
    spot = bare[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3]
    assert spot.max() > 100  # the diagonal of the square goes through the middle
    shade("colors")
    shown.get_by_label("edges").check()
    browser.page.wait_for_timeout(400)
    edges = canvas_pixels(shown)
    spot = edges[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3]
    assert spot.sum(-1).min() < 60
    shown.get_by_label("background").select_option("light")
    browser.page.wait_for_timeout(400)
    assert at(canvas_pixels(shown), 1.2, 0) == list(BACKGROUNDS["light"])


def cube() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cube, a colour per side."""
    vertices, faces, colors = [], [], []
    rng = np.random.default_rng(2)
    for axis in range(3):
        for sign in (-1, 1):
            side = np.zeros((4, 3), np.float32)
            side[:, [(axis + 1) % 3, (axis + 2) % 3]] = SQUARE[:, :2] * 0.6
            side[:, axis] = 0.6 * sign
            faces.append(TWO + 4 * len(vertices))
            vertices.append(side)
            colors.append(np.tile(rng.integers(40, 256, 3, dtype=np.uint8), (4, 1)))
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(colors)


def same(seen: np.ndarray, wanted: np.ndarray) -> float:
    """Part of the pixels that are the same; edges are smooth in one of them."""
    return float((np.abs(seen.astype(int) - wanted).max(-1) <= 1).mean())


def test_cube_from_all_sides_is_that_of_another_renderer(browser: Browser, tmp_path: Path) -> None:
    vertices, faces, colors = cube()
    eyes = ((2.0, -1.5, -3.0), (-3.0, 1.0, 1.5), (0.5, 3.5, -0.5))
    seen_from = cameras(*eyes)
    widget = view_mesh(vertices, faces, colors=colors, cameras=seen_from, view=0)
    shown = open_page(browser, widget, tmp_path)
    shown.locator(".sw-stage").focus()
    for i in range(3):
        pixels = canvas_pixels(shown)
        height, width = pixels.shape[:2]
        scale = min(height / 200, width / 300)
        K = np.array([[300 * scale, 0, width / 2], [0, 300 * scale, height / 2], [0, 0, 1]])
        viewmat = seen_from.viewmats[i].double().numpy()
        wanted = picture(widget._mesh, viewmat, K, width, height, BACKGROUNDS["dark"])
        assert (wanted != BACKGROUNDS["dark"]).any(-1).mean() > 0.1
        assert same(pixels, wanted) > 0.985
        browser.page.keyboard.press("n")
        browser.page.wait_for_timeout(1200)
    assert same(canvas_pixels(shown), pixels) < 0.9  # around the end, at the first again


def test_double_click_brings_a_point_to_the_middle(browser: Browser, tmp_path: Path) -> None:
    shown = open_page(browser, textured(), tmp_path)
    stage = shown.locator(".sw-stage")
    box = stage.bounding_box()
    focal = 300 * min(box["height"] / 200, box["width"] / 300)
    browser.page.mouse.dblclick(
        box["x"] + box["width"] / 2 + focal * 0.75 / 4,
        box["y"] + box["height"] / 2 - focal * 0.25 / 4,
    )
    browser.page.wait_for_timeout(1200)
    pixels = canvas_pixels(shown)
    middle = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
    assert middle.tolist() == TEXELS[1, 3].tolist()
    assert shown.get_by_label("camera of the capture").input_value() == "-1"
    browser.page.keyboard.press("r")
    browser.page.wait_for_timeout(1200)
    assert at(canvas_pixels(shown), 1.2, 0) == list(BACKGROUNDS["dark"])


def test_context_that_is_lost_is_made_again(browser: Browser, tmp_path: Path) -> None:
    shown = open_page(browser, textured(), tmp_path)
    before = canvas_pixels(shown)
    shown.locator("canvas").first.evaluate(
        "(c) => c.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    )
    shown.get_by_text("draw again").click()
    browser.page.wait_for_timeout(1000)
    assert np.array_equal(canvas_pixels(shown), before)
    assert shown.get_by_text("draw again").is_hidden()


def test_still_is_there_without_a_browser() -> None:
    widget = textured()
    data = widget.still()
    assert data is not None
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert pixels.shape == (480, 720, 3)
    for i, j, x, y in centers():
        assert at(pixels, x, y) == TEXELS[i, j].tolist()
    assert widget.viewmat is None


def test_torch_and_objects_are_meshes_too() -> None:
    class Mesh:
        vertices = torch.tensor(SQUARE)
        faces = torch.tensor(TWO)
        colors = torch.full((4, 3), 0.5)

    by_object, by_arrays = (
        view_mesh(Mesh()),
        view_mesh(Mesh.vertices, Mesh.faces, colors=Mesh.colors),
    )
    assert by_object._parts == by_arrays._parts
    assert bytes(by_object._parts[0]["colors"]) == bytes([128] * 12)
    assert by_object.alt == "a mesh of 4 vertices and 2 faces"


def test_uv_begin_at_the_bottom_unless_said() -> None:
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    bottom = view_mesh(SQUARE, TWO, uv=uv)._mesh[0].uv
    top = view_mesh(SQUARE, TWO, uv=uv, uv_origin="top")._mesh[0].uv
    assert bottom[:, 1].tolist() == [1, 1, 0, 0]
    assert top[:, 1].tolist() == [0, 0, 1, 1]


def test_what_cannot_be_shown_says_so() -> None:
    with pytest.raises(InputError, match="found ndarray"):
        view_mesh(SQUARE)
    with pytest.raises(InputError, match="leave the others out"):
        view_mesh(glb(), TWO)
    with pytest.raises(InputError, match="shading: expected one of colors"):
        view_mesh(SQUARE, TWO, shading="shiny")
    with pytest.raises(InputError, match="has none"):
        view_mesh(SQUARE, TWO, shading="checker")
    with pytest.raises(InputError, match="expected one of 0 cameras, or -1, found 0"):
        view_mesh(SQUARE, TWO, view=0)
    with pytest.raises(InputError, match="up: expected a direction"):
        view_mesh(SQUARE, TWO, up=(0, 0, 0))
    with pytest.raises(InputError, match="uv_origin"):
        view_mesh(SQUARE, TWO, uv_origin="left")


def test_mesh_in_jupyterlab_tells_where_it_is_seen_from(browser: Browser, lab: Lab) -> None:
    vertices, faces, colors = cube()
    code = (
        "import numpy as np\nfrom notebooks.widgets.mesh import view_mesh\n"
        f"w = view_mesh(np.array({vertices.tolist()}), np.array({faces.tolist()}), "
        f"colors=np.array({colors.tolist()}, np.uint8))\nw"
    )
    write_notebook(lab.folder / "mesh.ipynb", code)
    browser.open_notebook(lab, "mesh.ipynb")
    browser.run_all()
    shown = browser.widget()
    browser.drag(shown.locator(".sw-stage"), (0.4, 0.5), (0.65, 0.35))
    browser.page.wait_for_timeout(1000)
    viewmat = np.array(json.loads(browser.evaluate("print(w.viewmat.tolist())")))
    pixels = canvas_pixels(shown)
    height, width = pixels.shape[:2]
    widget = view_mesh(vertices, faces, colors=colors)
    focal = min(width, height) / (2 * np.tan(widget._start["fov"] / 2))
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    wanted = picture(widget._mesh, viewmat, K, width, height, BACKGROUNDS["dark"])
    assert same(pixels, wanted) > 0.985
    browser.page.wait_for_timeout(2000)  # the still picture follows
    seen = browser.evaluate("print(w._seen[0], len(w._seen[1]))").split()
    assert seen[0] == "image/jpeg"
    assert int(seen[1]) > 3000
