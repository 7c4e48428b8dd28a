"""Opening artifacts, and what is said where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from notebooks.artifacts import (
    artifacts,
    open_artifact,
    open_splats,
    open_views,
    origin,
    scores,
    versions,
)
from notebooks.film import render_frames
from ops.errors import InputError
from storage.errors import ArtifactNotFoundError, VersionNotFoundError
from storage.home import Home


def test_what_was_never_made_says_how_to_make_it(home: Home) -> None:
    with pytest.raises(ArtifactNotFoundError) as raised:
        open_artifact("demo/splats/trained", home=Home(home.root / "elsewhere"))
    message = str(raised.value)
    assert "demo/splats/trained has not been made yet" in message
    assert "splatworks materialize demo/splats/trained" in message
    assert str(home.root / "elsewhere" / "store") in message


def test_names_of_nothing_are_answered_with_what_there_is(home: Home) -> None:
    with pytest.raises(InputError, match=r"no scene 'fox'; there are: demo, empty"):
        open_artifact("fox/splats/trained", home=home)
    with pytest.raises(InputError, match=r"names no artifact.*demo/splats/trained"):
        open_artifact("demo/splats/traned", home=home)
    with pytest.raises(VersionNotFoundError, match="v1"):
        open_artifact("demo/splats/trained", "v9", home)


def test_an_artifact_of_another_kind_is_named(home: Home) -> None:
    with pytest.raises(InputError, match="holds no splats but cameras, images"):
        open_splats("demo/capture/views", home=home)
    with pytest.raises(InputError, match="holds no cameras but a table"):
        open_views("demo/capture/points", home=home)


def test_splats_and_views_are_those_stored(home: Home) -> None:
    splats = open_splats("demo/splats/trained", "v1", home)
    tree = open_artifact("demo/splats/trained", home=home)
    np.testing.assert_array_equal(splats.means.numpy(), tree["splats"]["means"].values)
    views = open_views("demo/capture/views", home=home)
    assert (len(views), views.image(0).shape) == (15, (48, 64, 3))


def test_scores_have_a_row_per_held_out_view_and_their_mean(home: Home) -> None:
    table = scores(open_artifact("demo/evaluation/held_out", home=home))
    assert list(table.columns) == ["psnr", "ssim"]
    assert table.index[-1] == "mean"
    assert len(table) == 4
    np.testing.assert_allclose(table.loc["mean"], table.iloc[:3].mean())


def test_tables_of_a_scene(home: Home) -> None:
    table = artifacts("demo", home).data
    assert table.loc["demo/splats/trained", ["state", "version"]].tolist() == ["fresh", "v1"]
    assert table.loc["demo/splats/exports", "state"] == "missing"
    missing = artifacts("empty", home).data
    assert set(missing["state"]) == {"missing"}
    assert missing.loc["empty/capture/views", "why it is not fresh"] == "never made"


def test_a_changed_setting_is_named_as_the_reason(home: Home) -> None:
    file = home.scenes / "demo.toml"
    before = file.read_text()
    try:
        file.write_text(before.replace("iterations = 60", "iterations = 61"))
        table = artifacts("demo", home).data
    finally:
        file.write_text(before)
    assert table.loc["demo/splats/trained", "state"] == "stale"
    assert "train.iterations 60 -> 61" in table.loc["demo/splats/trained", "why it is not fresh"]
    assert table.loc["demo/capture/views", "state"] == "fresh"


def test_versions_and_origin(home: Home) -> None:
    assert versions("demo/splats/trained", home).data.index.tolist() == ["v1"]
    assert versions("empty/splats/trained", home).data.empty
    made = origin(open_artifact("demo/splats/trained", home=home)).data[""]
    assert "iterations = 60" in made["settings, [train]"]
    assert made["input demo/capture/views"].startswith("v1 ")
    assert "torch" in made["packages"]


def test_renders_here_are_those_that_were_scored(home: Home) -> None:
    trained = open_artifact("demo/splats/trained", home=home)
    renders = open_artifact("demo/evaluation/held_out", home=home)["renders"]
    cameras = open_views("demo/capture/views", home=home).cameras
    held_out = [cameras.names.index(str(name)) for name in renders["names"].values]
    frames = render_frames(trained, cameras[held_out])
    difference = np.abs(np.stack(frames).astype(int) - renders["colors"].values)
    assert difference.max() <= 1
