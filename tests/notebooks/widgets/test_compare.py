"""Pictures against each other: what is refused, read, sent and kept."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from notebooks.artifacts import open_artifact, open_splats, open_views
from notebooks.film import backdrop, render_frames
from notebooks.widgets import shelf
from notebooks.widgets.compare import compare, compare_held_out
from notebooks.widgets.rasters import difference, mapped
from notebooks.widgets.series import Series
from notebooks.widgets.versions import compare_versions
from ops.errors import InputError
from ops.splats.files.dispatch import write_splats
from storage.home import Home
from storage.schemas.evaluation import EVALUATION
from storage.schemas.training import TRAINING
from storage.store import Store

A = np.random.default_rng(1).integers(0, 256, (3, 10, 20, 3), np.uint8)
B = np.random.default_rng(2).integers(0, 256, (3, 10, 20, 3), np.uint8)
DEPTH = np.random.default_rng(3).uniform(1, 9, (5, 10, 20)).astype(np.float32)


class Counted:
    """Pictures that count how often each is read."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.pictures, self.read = pictures, [0] * len(pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> np.ndarray:
        self.read[index] += 1
        return self.pictures[index]


def shown(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def answers(widget: Any, *questions: dict[str, Any]) -> list[tuple[dict[str, Any], list[bytes]]]:
    """What the kernel says to messages of the browser."""
    said: list[tuple[dict[str, Any], list[bytes]]] = []
    widget.send = lambda content, buffers=(): said.append((content, list(buffers)))
    for question in questions:
        widget.receive(question, [])
    return said


def test_still_picture_is_both_and_their_difference() -> None:
    widget = compare(A, torch.from_numpy(B), largest_error=0.5)
    still = shown(widget.still())
    np.testing.assert_array_equal(still[:, :20], A[0])
    np.testing.assert_array_equal(still[:, 26:46], B[0])
    np.testing.assert_array_equal(
        still[:, 52:],
        mapped(abs(A[0] / 255.0 - B[0] / 255.0).mean(-1).astype(np.float32), 0, 0.5, "magma"),
    )
    widget.view = 2
    np.testing.assert_array_equal(shown(widget.still())[:, :20], A[2])


def test_pictures_are_read_when_they_are_asked_for() -> None:
    a, b = Counted(A), Counted(B)
    widget = compare(a, b, largest_error=0.2)
    assert a.read == b.read == [1, 0, 0]
    ((about, (data,)),) = answers(widget, {"type": "picture", "series": 1, "view": 2, "id": 7})
    assert about["answers"] == 7
    np.testing.assert_array_equal(shown(data), B[2])
    assert (a.read, b.read) == ([1, 0, 0], [1, 0, 1])


def test_a_range_is_taken_from_some_views_unless_it_is_given() -> None:
    a = Counted(np.repeat(A, 20, 0))
    widget = compare(a, np.repeat(B, 20, 0))
    assert sum(a.read) <= 6
    everything = difference(*(Series("", [np.concatenate(list(p))]).raster(0) for p in (A, B)))
    assert widget.largest == pytest.approx(np.percentile(everything, 99), rel=0.05)
    assert compare(A, A).largest == 0.02
    data = compare(DEPTH, DEPTH * 2)
    both = np.concatenate([DEPTH, DEPTH * 2])
    np.testing.assert_allclose([data.low, data.high], np.percentile(both, [1, 99]), rtol=1e-5)
    assert data.colour_map == "viridis_r"
    given = compare(DEPTH, DEPTH * 2, value_range=(0, 4))
    assert (given.low, given.high) == (0, 4)
    masks = compare(list(A[..., 0] > 90), list(A[..., 1] > 90))
    assert (masks.low, masks.high, masks.colour_map) == (0, 255, "gray")


def test_a_mapping_names_the_sides() -> None:
    widget = compare({"photo": A[0], "render": B[0], "other": B[1]}, names=["front"])
    assert widget.series == ["photo", "render", "other"]
    assert widget.views == ["front"]
    widget.b = 2
    np.testing.assert_array_equal(widget.pair[1], B[1])


def test_a_stack_of_depth_is_several_and_a_plane_is_one() -> None:
    assert len(compare(DEPTH, DEPTH).views) == 5
    assert len(compare(DEPTH[0], DEPTH[0]).views) == 1
    three = xr.DataArray(DEPTH[:3], dims=("view", "y", "x"))
    assert len(compare(three, three).views) == 3


@pytest.mark.parametrize(
    ("pictures", "more", "message"),
    [
        ((A,), {}, "at least two pictures or lists, found 1"),
        ((A, B[:2]), {}, "as many pictures of a as of b, and at least one, found 3 and 2"),
        ((A[:0], B[:0]), {}, "found 0 and 0"),
        ((A, B), {"names": ("one",)}, "expected 3 names, found 1"),
        ((A, B), {"labels": ("x", "x")}, "expected 2 labels that differ, found x, x"),
        ((A, B), {"labels": ("x",)}, "expected 2 labels that differ, found x"),
        ((A[0], B[0, :5]), {}, "one shape .* found a 20 x 10 and b 20 x 5"),
        ((A, B), {"mode": "wipe"}, "slider, flicker, side, difference, all, found 'wipe'"),
        ((A, B), {"largest_error": 0.0}, "largest_error should be above 0"),
        ((DEPTH, DEPTH), {"value_range": (2, 1)}, r"\(low, high\), found \(2, 1\)"),
        ((A, ["nothing"] * 3), {}, "b, view 1: picture: expected an array"),
        ((A, 3), {}, "b: expected a picture, a list of pictures or splats, found int"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(
    pictures: tuple[Any, ...], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare(*pictures, **more)


def test_sizes_may_differ_where_the_shape_is_the_same() -> None:
    widget = compare(A[0], A[0, ::2, ::2])
    still = shown(widget.still())
    np.testing.assert_array_equal(still[:5, 26:36], A[0, ::2, ::2])
    compare(np.zeros((31, 47, 3)), np.zeros((61, 95, 3)))  # halves are rounded


def test_what_goes_wrong_with_a_picture_is_told_to_the_browser() -> None:
    class Broken(Counted):
        def __getitem__(self, index: int) -> np.ndarray:
            if index == 1:
                raise OSError("the disk is gone")
            return super().__getitem__(index) if index == 0 else np.zeros((5, 3, 9))

    widget = compare(Broken(A), B, largest_error=0.1)
    question = {"type": "picture", "series": 0, "view": 2, "id": 1}
    ((about, _),) = answers(widget, question)
    assert about["error"] == "a, view 3: picture: expected an array [H, W], [H, W, 3] or " + (
        "[H, W, 4], or with channels first, found shape (5, 3, 9)"
    )
    with pytest.raises(OSError, match="disk"):
        answers(widget, {**question, "view": 1})


def test_thumbnails_are_small() -> None:
    large = np.repeat(np.repeat(A, 30, 1), 30, 2)
    for widget in (compare(large, large), compare(DEPTH, DEPTH)):
        ((_, (data,)),) = answers(widget, {"type": "thumbnail", "series": 0, "view": 1, "id": 1})
        image = Image.open(io.BytesIO(data))
        assert image.format == "JPEG"
        assert max(image.size) <= 96


def test_a_page_holds_all_pictures_exactly() -> None:
    widget = compare(A, FLOATS, labels=("a", "f"))
    widget.complete()
    assert set(widget.pictures) == {f"{s}/{v}" for s in range(2) for v in range(3)}
    np.testing.assert_array_equal(shown(widget.pictures["0/1"]["data"]), A[1])
    floats = np.frombuffer(widget.pictures["1/2"]["data"], "<f4").reshape(10, 20, 3)
    np.testing.assert_array_equal(floats, FLOATS[2])
    assert widget.page_note == ""


FLOATS = np.random.default_rng(5).uniform(0, 1, (3, 10, 20, 3)).astype(np.float32)


def test_a_page_holds_forty_views_and_says_so(tmp_path: Path) -> None:
    many = np.repeat(A, 30, 0)
    widget = compare(many, many)
    widget.view = 41
    widget.complete()
    views = {int(key.split("/")[1]) for key in widget.pictures}
    assert len(views) == shelf.PAGE_VIEWS == 40
    assert {0, 41, 89} <= views
    assert widget.page_note == "this page holds 40 of 90 views"
    text = widget.save_html(tmp_path / "a.html").read_text()
    assert "this page holds 40 of 90 views" in text
    assert widget.pictures == {}


def test_a_page_that_would_be_too_large_holds_smaller_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelf, "PAGE_BYTES", 1500)
    large = np.random.default_rng(1).uniform(0, 1, (2, 16, 24)).astype(np.float32)
    widget = compare(large, large)
    widget.complete()
    by = {p["shrunk"] for p in widget.pictures.values()}
    assert by == {3}
    assert sum(len(p["data"]) for p in widget.pictures.values()) <= 1500
    first = np.frombuffer(widget.pictures["0/0"]["data"], "<f4").reshape(6, 8)
    assert first[0, 0] == pytest.approx(large[0, :3, :3].astype(np.float64).mean())
    assert "copies at 1/3 of their size" in widget.page_note


def test_held_out_views_are_photo_and_render_with_their_score(home: Home) -> None:
    widget = compare_held_out(open_artifact("demo/evaluation/held_out", home=home))
    views = open_views("demo/capture/views", home=home)
    held_out = [i for i, split in enumerate(views.splits) if split == "test"]
    np.testing.assert_array_equal(widget.pair[0], views.image(held_out[0]).numpy())
    assert widget.series == ["photo", "render"]
    assert len(widget.views) == 3
    assert all(name.endswith(" dB") for name in widget.views)


@pytest.fixture(scope="module")
def two(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which splats and evaluation of the tiny scene have a second version."""
    mine = Home(tmp_path_factory.mktemp("two") / "home")
    shutil.copytree(home.root, mine.root)
    store = Store(mine.store)
    made = {"demo/splats/trained": TRAINING, "demo/evaluation/held_out": EVALUATION}
    for key, schema in made.items():
        artifact = store.artifact(key)
        tree, version = artifact.open(), artifact.resolve()
        fresh = xr.DataTree.from_dict({k: v.to_dataset().load() for k, v in tree.subtree_with_keys})
        fresh.attrs = {k: v for k, v in tree.attrs.items() if k in ("notes",)}
        if schema is TRAINING:
            dark = fresh["splats"].to_dataset().copy(deep=True)
            dark["sh0"] = dark["sh0"] - 0.5
            fresh["splats"] = xr.DataTree(dark)
        else:
            renders = fresh["renders"].to_dataset().copy(deep=True)
            renders["colors"] = renders["colors"] // 2
            fresh["renders"] = xr.DataTree(renders.isel(view=[2, 0]))
        artifact.write(fresh, schema, version.provenance)
    return mine


def test_versions_of_splats_are_rendered_from_the_held_out_cameras(two: Home) -> None:
    widget = compare_versions("demo/splats/trained", "v1", "v2", home=two)
    assert widget.series == ["v1", "v2", "photo"]
    views = open_views("demo/capture/views", home=two)
    held_out = [i for i, split in enumerate(views.splits) if split == "test"]
    assert widget.views == [views.cameras.names[i] for i in held_out]
    assert widget.slow == [True, True, False]
    widget.view = 1
    behind = backdrop(open_artifact("demo/capture/views", home=two))
    for side, version in enumerate(("v1", "v2")):
        splats = open_splats("demo/splats/trained", version, two)
        (expected,) = render_frames(splats, views.cameras[held_out[1]], behind)
        np.testing.assert_array_equal(widget.pair[side], expected)
    assert (widget.pair[0] != widget.pair[1]).any()
    widget.b = 2
    np.testing.assert_array_equal(widget.pair[1], views.image(held_out[1]).numpy())
    ((_, (data,)),) = answers(widget, {"type": "thumbnail", "series": 0, "view": 1, "id": 1})
    assert Image.open(io.BytesIO(data)).format == "JPEG"


def test_versions_of_evaluations_share_views_by_name(two: Home) -> None:
    widget = compare_versions("demo/evaluation/held_out", "v1", "v2", home=two)
    trees = [open_artifact("demo/evaluation/held_out", v, two) for v in ("v1", "v2")]
    names = [str(n) for n in trees[0]["renders"]["names"].values]
    assert widget.views == [names[0], names[2]]
    widget.view = 1
    np.testing.assert_array_equal(widget.pair[0], trees[0]["renders"]["colors"].values[2])
    np.testing.assert_array_equal(widget.pair[1], trees[1]["renders"]["colors"].values[0])
    assert all(caption.endswith(" dB") for caption in widget.captions[0])
    depth = compare_versions("demo/evaluation/held_out", "v1", "v2", what="depth", home=two)
    assert depth.pair[0].ndim == 2


@pytest.mark.parametrize(
    ("key", "versions", "what", "message"),
    [
        ("demo/splats/trained", ("v1",), "colors", "two or more versions that differ, found"),
        ("demo/splats/trained", ("v1", "v1"), "colors", "two or more versions that differ"),
        ("demo/evaluation/held_out", ("v1", "v2"), "normals", "expected one of .*depth.*'normals'"),
    ],
)
def test_versions_that_cannot_be_compared(
    two: Home, key: str, versions: tuple[str, ...], what: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare_versions(key, *versions, what=what, home=two)


def test_keys_files_and_arrays_are_sides_too(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATWORKS_HOME", str(home.root))
    splats = open_splats("demo/splats/trained")
    held_out = compare_held_out("demo/evaluation/held_out")
    file = tmp_path / "same.ply"
    write_splats(file, splats)
    arrays = {name: value.numpy() for name, value in splats.tensors().items()}
    widget = compare({"key": "demo/splats/trained", "file": file, "arrays": arrays})
    assert widget.views == [name.partition(" ·")[0] for name in held_out.views]
    pictures = [s.raster(1).values.astype(int) for s in widget._series]
    np.testing.assert_allclose(pictures[1], pictures[0], atol=1)
    np.testing.assert_array_equal(pictures[2], pictures[0])
    everywhere = compare("demo/splats/trained", splats, cameras="demo/capture/views")
    assert len(everywhere.views) == 15
    alone = compare("demo/evaluation/held_out", mode="side")
    assert (alone.series, alone.views, alone.mode) == (held_out.series, held_out.views, "side")
    with pytest.raises(InputError, match="expected an evaluation with renders"):
        compare_held_out("demo/splats/trained")


def test_splats_need_cameras(home: Home) -> None:
    splats = open_splats("demo/splats/trained", home=home)
    with pytest.raises(InputError, match="a: splats need cameras"):
        compare(splats, splats)
    tree = open_artifact("demo/capture/views", home=home)
    with pytest.raises(InputError, match="an artifact with splats or renders, found one with"):
        compare(tree, tree)
    cameras = open_views("demo/capture/views", home=home).cameras[:2]
    widget = compare(splats, open_artifact("demo/splats/trained", home=home), cameras=cameras)
    assert widget.views == list(cameras.names)
    np.testing.assert_array_equal(*widget.pair)
