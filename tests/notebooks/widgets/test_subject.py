"""What people hand to widgets, and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest

from notebooks.artifacts import open_artifact, open_splats, open_views
from notebooks.widgets.compare import compare
from notebooks.widgets.render_view import render_view
from notebooks.widgets.splats import view
from notebooks.widgets.subject import behind, held_out_cameras, subject
from ops.errors import InputError
from storage.home import Home


def test_what_is_behind_splats_is_what_was_behind_their_photos(home: Home) -> None:
    capture = open_artifact("demo/capture/views", home=home)
    white = capture.copy()
    white["images"].attrs["white_background"] = True
    splats = open_splats("demo/splats/trained", home=home)
    splats.opacity_logits.fill_(-20)  # nothing but what is behind
    assert view(splats, white).background == [1, 1, 1]
    assert view(splats, capture).background == [0, 0, 0]
    assert view(splats, white, background=(0.5, 0, 0)).background == [0.5, 0, 0]
    assert (render_view(splats, white).picture == 255).all()
    assert (render_view(splats, capture).picture == 0).all()
    pictures = compare(splats, splats, cameras=white).pair
    assert (pictures[0] == 255).all()
    with pytest.raises(InputError, match=r"background: expected three numbers, found \(1, 1\)"):
        behind((1, 1), None)


def test_held_out_cameras_are_all_where_none_is(home: Home) -> None:
    capture = open_artifact("demo/capture/views", home=home)
    views = open_views("demo/capture/views", home=home)
    held_out = held_out_cameras(capture)
    assert held_out is not None
    assert held_out.names == tuple(
        n for n, s in zip(views.cameras.names, views.splits, strict=True) if s == "test"
    )
    none = capture.copy()
    cameras = none["cameras"].to_dataset().load()
    cameras["splits"] = ("view", np.array(["train"] * len(views)))
    none["cameras"] = cameras
    everything = held_out_cameras(none)
    assert everything is not None
    assert everything.names == views.cameras.names
    assert held_out_cameras(None) is None


def test_a_key_brings_cameras_pictures_and_mode(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATWORKS_HOME", str(home.root))
    found = subject("demo/splats/trained")
    views = open_views("demo/capture/views")
    assert found.mode == "classic"
    assert found.cameras is not None
    assert found.picture is not None
    assert found.cameras.names == views.cameras.names
    np.testing.assert_array_equal(found.picture(2), views.image(2).numpy())
