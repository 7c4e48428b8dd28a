"""Pictures have the size they should, show the pixels they were given, and refuse what is empty."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from notebooks.artifacts import open_artifact, open_views
from notebooks.orbit import orbit
from notebooks.pictures import capture_map, comparison, grid, show_views, spread, training_curves
from notebooks.style import Picture
from ops.capture.model import Points
from ops.errors import InputError
from storage.home import Home


def pixels(picture: Picture) -> np.ndarray:
    """[H, W, 4] uint8 of what the notebook shows."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGBA"))


def test_a_grid_shows_its_pictures_in_order_on_nothing() -> None:
    colours = [(200, 30, 40), (20, 180, 60), (10, 60, 220)]
    shown = pixels(grid([np.full((30, 40, 3), c, np.uint8) for c in colours], columns=2))
    height, width = shown.shape[:2]
    for i, colour in enumerate(colours):
        y, x = (i // 2 + 0.5) * height / 2, (i % 2 + 0.5) * width / 2
        np.testing.assert_allclose(shown[int(y), int(x), :3], colour, atol=1)
    assert shown[int(height * 0.75), int(width * 0.75), 3] == 0


def test_upright_pictures_do_not_become_huge() -> None:
    one = grid([torch.zeros(300, 100, 3)], columns=1)
    assert one.width == 120
    height, width = pixels(one).shape[:2]
    assert abs(height - 3 * width) <= 3


def test_views_are_evenly_spread() -> None:
    assert spread(70, 4) == [0, 23, 46, 69]
    assert spread(3, 12) == [0, 1, 2]
    assert spread(0, 12) == []


def test_pictures_of_a_scene(home: Home) -> None:
    views = open_views("demo/capture/views", home=home)
    cloud = open_artifact("demo/capture/points", home=home)
    points = Points(
        **{name: cloud[name].values for name in ("xyz", "rgb", "errors")}, source="exact"
    )
    evaluation = open_artifact("demo/evaluation/held_out", home=home)
    trained = open_artifact("demo/splats/trained", home=home)
    for picture, words in (
        (show_views(views, 5), "5 of 15 views"),
        (capture_map(views, points, orbit(views.cameras)), "15 cameras and 800 points"),
        (comparison(evaluation, [1]), "1 held-out views"),
        (training_curves(trained), "over 60 iterations"),
    ):
        assert words in repr(picture)
        shown = pixels(picture)
        assert picture.width <= 980
        assert shown[..., 3].min() == 0  # transparent: the page's own colour shows through
        assert len(np.unique(shown.reshape(-1, 4), axis=0)) > 20


def test_the_cross_of_a_map_is_seen_on_points_of_any_colour(home: Home) -> None:
    views = open_views("demo/capture/views", home=home)
    dots = np.random.default_rng(0).uniform(-0.3, 0.3, (20_000, 3)).astype(np.float32)
    for grey in (20, 128, 235):
        points = Points(
            xyz=dots,
            rgb=np.full((len(dots), 3), grey, np.uint8),
            errors=np.zeros(len(dots), np.float32),
            source="exact",
        )
        shown = pixels(capture_map(views, points)).astype(int)
        shown = shown[: int(0.85 * shown.shape[0])]  # without the legend
        for half in np.array_split(shown, 2, axis=1):
            for colour in ((0x11, 0x15, 0x1C), (255, 255, 255)):
                same = (half == (*colour, 255)).all(2)
                assert same.sum() > 60, (grey, colour)
                assert np.ptp(np.argwhere(same), axis=0).max() < 40  # at one place


def test_what_has_nothing_to_show_says_so(home: Home) -> None:
    evaluation = open_artifact("demo/evaluation/held_out", home=home)
    with pytest.raises(InputError, match="at least one held-out view, found none"):
        comparison(evaluation, [])
    with pytest.raises(InputError, match="came from a file, without a history"):
        training_curves(xr.DataTree.from_dict({"/splats": xr.Dataset()}))
