"""The multi-scale study on captures as people have them: odd sizes, alpha, masks, few views."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from assets.bridge.mipmap import model_rows, pictures_from, score_rows
from assets.bridge.splats import splats_from
from assets.bridge.views import StoredViews
from assets.graph import known_sections, stages_of
from assets.produce import produce
from assets.scenes import load_scene
from ops.cameras import Cameras, look_at
from ops.mipmap.evaluate import EXTRA, FITTED, HELD_OUT, TRANSDUCTIVE
from ops.rendering.render import render
from ops.splats.model import Splats, rgb_to_sh0
from storage.home import Home
from storage.store import Store

SCENE = """\
studies = ["mipmap"]

[source]
path = "{path}"

[points]
source = "random"
random_points = 1500

[train]
preset = "preview"
iterations = 400

[mipmap]
preset = "preview"
scales = ["x1_8", "x1_2", "x2", "x4"]
tune_iterations = 20
{more}
[mipmap_base]
iterations = 400

[mipmap_prior]
kind = "fitted"

[mipmap_adapt]
iterations = 300

[mipmap_evaluation]
metrics = ["psnr"]
no_reference = []
"""
BASES = ("splats/trained", "mipmap/zoom_in/base")
Function = Callable[..., Any]


def cloud() -> Splats:
    g = torch.Generator().manual_seed(5)
    return Splats(
        means=torch.randn(250, 3, generator=g) * 0.5,
        quats=torch.nn.functional.normalize(torch.randn(250, 4, generator=g), dim=-1),
        log_scales=torch.rand(250, 3, generator=g) - 2.9,
        opacity_logits=torch.full((250,), 4.0),
        sh0=rgb_to_sh0(torch.rand(250, 1, 3, generator=g)),
        shN=torch.zeros(250, 3, 3),
    )


def frames(
    folder: Path, sizes: list[tuple[int, int]], focals: list[float], alpha: bool
) -> list[dict[str, Any]]:
    """Photos of the cloud from all around, and what a ``transforms.json`` says of each."""
    count, rows = len(sizes), []
    for i, ((width, height), focal) in enumerate(zip(sizes, focals, strict=True)):
        angle = 2 * math.pi * i / count
        eye = torch.tensor([[3 * math.sin(angle), -0.6 + 0.2 * (i % 3), -3 * math.cos(angle)]])
        K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        up = torch.tensor([0.0, -1.0, 0.0])
        camera = Cameras(
            viewmats=look_at(eye, torch.zeros(3), up),
            Ks=K[None],
            widths=(width,),
            heights=(height,),
            names=(f"{i:02}.png",),
        )
        shown = render(cloud(), camera)[0]
        cover = shown.alphas[..., None].clamp(min=1e-6)
        parts = [(shown.colors / cover).clamp(0, 1), shown.alphas[..., None]]
        pixels = torch.cat(parts, -1) if alpha else shown.colors.clamp(0, 1)
        Image.fromarray((pixels * 255).round().byte().numpy()).save(folder / f"{i:02}.png")
        c2w = torch.linalg.inv(camera.viewmats[0])
        c2w[:, 1:3] *= -1  # OpenGL
        row = {"file_path": f"{i:02}.png", "transform_matrix": c2w.tolist(), "fl_x": focal}
        rows.append(
            {**row, "fl_y": focal, "cx": width / 2, "cy": height / 2} | size_of(width, height)
        )
    return rows


def size_of(width: int, height: int) -> dict[str, int]:
    return {"w": width, "h": height}


def study(tmp_path: Path, capture: Path, more: str = "", text: str = SCENE) -> tuple[Home, Any]:
    """A home in which the study of a capture is complete, and its evaluation.

    The bases are byte for byte what they were when they were made.
    """
    home = Home(tmp_path / "home")
    home.create()
    (home.scenes / "thing.toml").write_text(text.format(path=capture, more=more))
    contents = make(home, lambda _: True)
    check_bases(home, contents)
    return home, Store(home.store).artifact("thing/mipmap/evaluation").open()


def make(home: Home, wanted: Callable[[str], bool]) -> dict[str, tuple[str, str]]:
    """Make the artifacts of the study, or those wanted; version and content of each."""
    scene = load_scene(home.scenes / "thing.toml", known_sections())
    store, contents = Store(home.store), {}
    for stage in stages_of(scene).values():
        studied = stage.topic in ("capture", "mipmap") or stage.key == "splats/trained"
        if studied and wanted(stage.key):
            produce(scene, stage, home, lambda *_: None, lambda _: None)
            made = store.artifact(f"thing/{stage.key}").resolve()
            contents[stage.key] = (made.tag, made.content_hash)
    return contents


def check_bases(home: Home, contents: dict[str, tuple[str, str]]) -> None:
    """Version and bytes on disk of both bases are what they were."""
    for key in BASES:
        found = Store(home.store).artifact(f"thing/{key}").verify()  # hashes every byte
        assert (found.tag, found.content_hash) == contents[key]


def psnr(tree: Any) -> dict[tuple[str, str], float]:
    return {
        (r["method"], r["scale"]): r["value"]
        for r in score_rows(tree)
        if (r["metric"], r["views"], r["against"]) == ("psnr", "scored", "photos")
    }


def check(tree: Any, scales: tuple[str, ...] = ("x1_8", "x1_2", "x2", "x4")) -> None:
    found = psnr(tree)
    assert {s for m, s in found if m == "adapted"} == set(scales)
    assert all(np.isfinite(v) for v in found.values())
    for scale in scales:
        assert found["adapted", scale] > found["base", scale], scale


def sizes_at(home: Home, scale: str) -> set[tuple[int, int]]:
    images, cameras = pictures_from(
        Store(home.store).artifact(f"thing/mipmap/{scale}/pseudo").open()
    )
    assert [i.shape[:2] for i in images] == list(zip(cameras.heights, cameras.widths, strict=True))
    return set(zip(cameras.widths, cameras.heights, strict=True))


def blender_capture(capture: Path, size: tuple[int, int] = (101, 75)) -> Path:
    """An object with alpha in the layout of NeRF-Synthetic, whose background is white."""
    (capture / "train").mkdir(parents=True)
    (capture / "test").mkdir()
    angle = 2 * math.atan(0.5 * size[0] / 110)
    for split, count in (("train", 7), ("test", 3)):
        kept = [
            {"file_path": f"./{split}/{Path(row['file_path']).stem}"}
            | {"transform_matrix": row["transform_matrix"]}
            for row in frames(capture / split, [size] * count, [110.0] * count, alpha=True)
        ]
        text = json.dumps({"camera_angle_x": angle, "frames": kept})
        (capture / f"transforms_{split}.json").write_text(text)
    return capture


@pytest.mark.slow
def test_an_object_with_alpha_of_odd_size_on_white(tmp_path: Path) -> None:
    capture = blender_capture(tmp_path / "blender")
    home, found = study(tmp_path, capture)
    check(found)
    assert sizes_at(home, "x4") == {(101, 75)}
    assert sizes_at(home, "x1_8") == {(13, 9)}
    images, _ = pictures_from(Store(home.store).artifact("thing/mipmap/x1_2/pseudo").open())
    corners = torch.stack([i[0, [0, -1]] for i in images]).float()
    assert float(corners.median()) > 250, "the background of this layout is white"
    standing = {(r["views"], r["factor"] > 1): r["standing"] for r in score_rows(found)}
    assert standing == {
        ("scored", False): TRANSDUCTIVE,
        ("scored", True): HELD_OUT,
        ("extra", False): EXTRA,
        ("extra", True): EXTRA,
    }


@pytest.mark.slow
def test_bases_keep_every_byte_when_other_settings_are_tried(tmp_path: Path) -> None:
    home, found = study(tmp_path, blender_capture(tmp_path / "blender"))
    file, old, store = home.scenes / "thing.toml", psnr(found), Store(home.store)
    bases = {k: store.artifact(f"thing/{k}").resolve() for k in BASES}
    kept = {key: (made.tag, made.content_hash) for key, made in bases.items()}
    other = "[mipmap_adapt]\nphases = 1\nphoto_weight = 0.0\nloss = 'l1'\n"
    file.write_text(file.read_text().replace("[mipmap_adapt]\n", other))
    made = make(home, lambda key: key.endswith("/adapted") or key == "mipmap/evaluation")
    assert len(made) == 5
    check_bases(home, kept)
    new = psnr(store.artifact("thing/mipmap/evaluation").open())
    changed = {key[0] for key in new if new[key] != old[key]}
    assert changed == {"adapted"}


@pytest.mark.slow
def test_photos_of_several_sizes_and_focal_lengths_none_held_out(tmp_path: Path) -> None:
    capture = tmp_path / "photos"
    capture.mkdir()
    sizes = [(90, 121), (131, 77), (90, 121), (131, 77), (90, 121)]
    rows = frames(capture, sizes, [100.0, 140.0, 120.0, 110.0, 95.0], alpha=False)
    (capture / "transforms.json").write_text(json.dumps({"frames": rows}))
    more = '[capture]\nsplit = "all_train"\n'
    home, found = study(tmp_path, capture, more)
    check(found)
    assert sizes_at(home, "x4") == {(90, 121), (131, 77)}
    assert {r["standing"] for r in score_rows(found)} == {FITTED}
    assert "pseudo" not in {r["method"] for r in score_rows(found)}
    prior = Store(home.store).artifact("thing/mipmap/prior").open()
    assert prior.attrs["photos"] == 0
    assert "psnr_bicubic" not in prior.attrs


@pytest.mark.slow
def test_pixels_that_may_not_be_used_are_not_adapted_to(tmp_path: Path) -> None:
    """A red patch on every photo, masked out, appears at no scale."""
    capture = tmp_path / "masked"
    capture.mkdir()
    rows = frames(capture, [(96, 80)] * 18, [100.0] * 18, alpha=False)
    for row in rows:
        file = capture / row["file_path"]
        pixels, mask = np.array(Image.open(file)), np.full((80, 96), 255, np.uint8)
        pixels[20:50, 30:60] = (255, 0, 0)
        mask[18:52, 28:62] = 0
        Image.fromarray(pixels).save(file)
        Image.fromarray(mask).save(capture / f"mask_{file.name}")
        row["mask_path"] = f"mask_{file.name}"
    (capture / "transforms.json").write_text(json.dumps({"frames": rows}))
    home, found = study(tmp_path, capture)
    check(found)
    views = StoredViews(Store(home.store).artifact("thing/capture/views").open())
    assert views.mask(0) is not None
    for scale in ("x1_2", "x2"):
        images, _ = pictures_from(Store(home.store).artifact(f"thing/mipmap/{scale}/pseudo").open())
        for image in images:
            red = (image[..., 0].int() > 200) & (image[..., 1:].max(dim=-1).values < 40)
            assert float(red.float().mean()) < 0.005, scale


@pytest.mark.slow
def test_references_that_were_asked_for_stand_in_the_table(tmp_path: Path) -> None:
    capture = tmp_path / "photos"
    capture.mkdir()
    rows = frames(capture, [(64, 72)] * 14, [80.0] * 14, alpha=False)
    (capture / "transforms.json").write_text(json.dumps({"frames": rows}))
    more = "retrain = true\nantialiased_base = true\n"
    more = more + "enlarge_base_by = 2\n"  # so x4 is beyond the photos
    home, found = study(tmp_path, capture, more)
    by_scale = psnr(found)
    check(found, ("x1_8", "x1_2", "x2"))
    for scale in ("x1_8", "x1_2", "x2"):
        # Next to the base scale the base is as good, and a rounding error somewhere in training
        # has moved either by up to 2 dB.
        slack = 2 if scale == "x1_2" else 0
        assert by_scale["retrained", scale] > by_scale["base", scale] - slack
        assert ("antialiased_base", scale) in by_scale
    assert by_scale["antialiased_base", "x1_8"] > by_scale["base", "x1_8"]
    assert {r["scale"] for r in score_rows(found) if r["method"] == "adapted"} == {
        "x1_8", "x1_2", "x2", "x4",
    }  # fmt: skip
    assert Store(home.store).artifact("thing/mipmap/x4/retrained").current() is None
    spent = {(r["method"], r["scale"]): r["iterations"] for r in model_rows(found)}
    assert spent["retrained", "x2"] == 400


@pytest.mark.slow
def test_the_protocol_of_the_paper_through_the_assets(tmp_path: Path) -> None:
    """Held-out poses alone, frozen means, reset on white, bilinear; photos 8 times larger."""
    capture = blender_capture(tmp_path / "blender", (136, 136))
    text = SCENE.replace('preset = "preview"\nscales', 'preset = "paper"\nscales')
    home, found = study(tmp_path, capture, "", text.replace('"x4"]', '"x4", "x8"]'))
    scales = ("x1_8", "x1_2", "x2", "x4", "x8")
    assert {s for m, s in psnr(found) if m == "adapted"} == set(scales)
    assert sizes_at(home, "x8") == {(136, 136)}
    assert sizes_at(home, "x1_8") == {(17, 17)}
    assert {r["views"] for r in score_rows(found)} == {"scored"}
    # So few steps heal the reset of opacities only where the base is far off.
    assert psnr(found)["adapted", "x1_8"] > psnr(found)["base", "x1_8"] + 1
    store = Store(home.store)
    for scale in scales:
        pseudo = store.artifact(f"thing/mipmap/{scale}/pseudo").open()
        _, cameras = pictures_from(pseudo)
        assert len(cameras) == 3, "the poses of the three held-out views"
        assert pseudo.attrs["label"].startswith("base renders, ")
        if scale.startswith("x1_"):
            assert "bilinear" in pseudo.attrs["label"]
            base = splats_from(store.artifact("thing/splats/trained").open())
            adapted = splats_from(store.artifact(f"thing/mipmap/{scale}/adapted").open())
            known = {tuple(m) for m in base.means.tolist()}
            kept = [tuple(m) in known for m in adapted.means.tolist()]
            assert np.mean(kept) > 0.5, "means do not move; only those of splits are new"
