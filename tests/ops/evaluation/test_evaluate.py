"""Evaluations of small made-up captures, the baseline and the contact sheet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.errors import InputError
from ops.evaluation import weights
from ops.evaluation.baseline import blurred_mean_psnr
from ops.evaluation.contact_sheet import (
    SheetRow,
    colourise,
    contact_sheet,
    sheet_row,
    spread,
)
from ops.evaluation.evaluate import EvaluatedView, evaluate
from ops.evaluation.metrics import psnr, ssim
from ops.evaluation.settings import EvaluationSettings
from ops.splats.model import Splats

Make = Callable[..., Any]
PLAIN = EvaluationSettings(metrics=("psnr", "ssim"), no_reference=())


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty hub folder, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def test_the_true_model_is_perfect(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    kept: list[EvaluatedView] = []
    told: list[int] = []
    result = evaluate(
        blobs,
        views,
        PLAIN,
        device="cpu",
        keep=kept.append,
        progress=lambda done, total, what, values=None: told.append(done),
    )
    assert result.means["psnr"] > 60  # all but what rounding a half up or to even changes
    assert result.means["ssim"] > 0.9999
    assert told == [0, 1, 2]
    assert [v.name for v in kept] == ["images/000.png", "images/003.png"]
    assert [(r.view, r.key) for r in result.rows] == [
        ("images/000.png", "psnr"),
        ("images/000.png", "ssim"),
        ("images/003.png", "psnr"),
        ("images/003.png", "ssim"),
    ]
    view = kept[0]
    assert view.render.shape == view.truth.shape == (40, 48, 3)
    assert view.render.dtype == torch.uint8
    assert view.error.shape == view.depth.shape == view.alpha.shape == (40, 48)
    centre = view.depth[view.alpha > 0.9]
    assert 2 < float(centre.min()) < float(centre.max()) < 6  # the camera is 4 units away


def test_numbers_are_those_of_the_metrics(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    worse = replace(blobs, sh0=blobs.sh0 * 0.5)
    kept: list[EvaluatedView] = []
    result = evaluate(worse, views, PLAIN, device="cpu", keep=kept.append)
    for view in kept:
        image, truth = view.render.double() / 255, view.truth.double() / 255
        assert view.scores["psnr"] == pytest.approx(psnr(image, truth), abs=1e-5)
        assert view.scores["ssim"] == pytest.approx(ssim(image, truth), abs=1e-6)
        torch.testing.assert_close(view.error, (image - truth).abs().mean(-1).float())
    values = [r.value for r in result.rows if r.key == "psnr"]
    assert result.means["psnr"] == pytest.approx(np.mean(values))
    assert 5 < result.means["psnr"] < 40
    assert result.rows == evaluate(worse, views, PLAIN, device="cpu").rows


def test_rounding_is_part_of_the_protocol(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    shifted = replace(blobs, sh0=blobs.sh0 + 0.3 / 255)
    values = {
        name: evaluate(
            shifted,
            views,
            replace(PLAIN, protocol=name),
            device="cpu",
        ).means
        for name in ("splatworks", "graphdeco", "gsplat", "nerfbaselines")
    }
    assert values["splatworks"] == values["graphdeco"]
    assert values["gsplat"]["psnr"] != values["graphdeco"]["psnr"]  # floats, not bytes
    assert values["nerfbaselines"]["psnr"] == values["graphdeco"]["psnr"]
    assert values["nerfbaselines"]["ssim"] != values["graphdeco"]["ssim"]  # another border


@pytest.mark.parametrize("white", [False, True])
def test_photos_with_alpha_stand_on_the_background(
    blobs: Splats, make_views: Make, white: bool
) -> None:
    views = make_views(alpha=True)
    kept: list[EvaluatedView] = []
    result = evaluate(blobs, views, PLAIN, device="cpu", white_background=white, keep=kept.append)
    assert result.means["psnr"] > 45
    assert result.background == ((1.0,) * 3 if white else (0.0,) * 3)
    corner = 255 if white else 0
    assert kept[0].truth[0, 0].tolist() == kept[0].render[0, 0].tolist() == [corner] * 3
    fixed = replace(PLAIN, background="black" if white else "white")
    other = evaluate(blobs, views, fixed, device="cpu", white_background=white)
    assert other.background != result.background


def test_masked_pixels_do_not_count(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    mask = torch.full((40, 48), 255, dtype=torch.uint8)
    mask[:, :24] = 0
    for image in views.images:
        image[:, :24] = 77
    spoiled = evaluate(blobs, views, PLAIN, device="cpu").means["psnr"]
    views.masks = [mask] * len(views)
    kept: list[EvaluatedView] = []
    result = evaluate(blobs, views, PLAIN, device="cpu", keep=kept.append)
    assert spoiled < 20 < 55 < result.means["psnr"]
    assert np.isnan(sheet_row(kept[0]).error[:, :24]).all()
    views.masks = [torch.zeros_like(mask)] * len(views)
    empty = evaluate(blobs, views, PLAIN, device="cpu")
    assert math.isnan(empty.means["psnr"])
    assert all(math.isnan(r.value) for r in empty.rows)


def test_what_is_absent_is_listed_before_anything_is_rendered(
    blobs: Splats, make_views: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = evaluate(blobs, make_views(), device="cpu")
    assert set(result.means) == {"psnr", "ssim", "piqe"}
    assert set(result.unavailable) == {"lpips_alex[-1,1]", "lpips_vgg[-1,1]", "niqe", "brisque"}
    assert set(result.unavailable) & {r.key for r in result.rows} == set()
    assert result.lower_better == {"psnr": False, "ssim": False, "piqe": True}
    assert result.weights == {}

    asked: list[str] = []

    def fetch(metric: str) -> Path:
        asked.append(metric)
        raise weights.UnavailableError(f"{metric}: no network")

    monkeypatch.setattr(weights, "fetch", fetch)
    settings = EvaluationSettings(metrics=("psnr", "lpips"), no_reference=("piqe",))
    evaluate(blobs, make_views(), settings, device="cpu")
    assert asked == []
    result = evaluate(blobs, make_views(), settings, device="cpu", allow_download=True)
    assert asked == ["lpips_alex", "lpips_vgg"]
    assert result.unavailable["lpips_alex[-1,1]"] == "lpips_alex: no network"


def test_views_of_differing_sizes(blobs: Splats, make_views: Make) -> None:
    views = make_views(sizes=((48, 40), (30, 20), (36, 36), (20, 28)))
    kept: list[EvaluatedView] = []
    evaluate(blobs, views, PLAIN, device="cpu", keep=kept.append)
    assert [tuple(v.render.shape[:2]) for v in kept] == [(40, 48), (28, 20)]
    assert 0 < blurred_mean_psnr(views) < 40
    sheet = contact_sheet([sheet_row(v) for v in kept])
    assert sheet.ndim == 3


def test_nothing_to_evaluate(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    with pytest.raises(InputError, match="found a model without any"):
        evaluate(blobs.select(torch.arange(0)), views, PLAIN, device="cpu")
    views.splits = ("train",) * len(views)
    with pytest.raises(InputError, match="none of split 'test'"):
        evaluate(blobs, views, PLAIN, device="cpu")
    with pytest.raises(InputError, match="found 6 and 0"):
        blurred_mean_psnr(views)


def test_photos_of_another_size_than_their_camera(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    views.images[3] = views.images[3][:, :-1]
    with pytest.raises(InputError, match=r"'images/003\.png' should be 48 x 40.*found.*47 x 40"):
        evaluate(blobs, views, PLAIN, device="cpu")


def test_baseline_of_photos_of_one_colour(make_views: Make) -> None:
    views = make_views()
    for i, image in enumerate(views.images):
        image[:] = 128 if views.splits[i] == "train" else 102
    expected = -20 * math.log10((128 - 102) / 255)
    assert blurred_mean_psnr(views) == pytest.approx(expected, abs=1e-4)
    mask = torch.full((40, 48), 255, dtype=torch.uint8)
    mask[:20] = 0
    views.masks = [mask] * len(views)
    for image in views.images:
        image[:20] = 255
    assert blurred_mean_psnr(views) == pytest.approx(expected, abs=1e-4)


def test_a_model_beats_the_baseline(blobs: Splats, make_views: Make) -> None:
    views = make_views()
    assert blurred_mean_psnr(views) < evaluate(blobs, views, PLAIN, device="cpu").means["psnr"]


def row(width: int, height: int, name: str = "a.png") -> SheetRow:
    ramp = np.linspace(0, 1, width * height, dtype=np.float32).reshape(height, width)
    photo = np.full((height, width, 3), 200, np.uint8)
    return SheetRow(
        name=name, caption="27.31 dB", truth=photo, render=photo, error=ramp, depth=ramp
    )


def test_sheet_has_four_columns_and_grows_with_its_rows() -> None:
    one = contact_sheet([row(64, 48)], cell_width=120)
    two = contact_sheet([row(64, 48), row(64, 48)], cell_width=120)
    assert one.dtype == np.uint8
    assert one.shape[1] == two.shape[1] == 2 * 28 + 4 * 120 + 3 * 10
    assert two.shape[0] - one.shape[0] == 90 + 38
    photo = (one == 200).all(-1)
    assert photo[:, 28:148].sum() == photo[:, 158:278].sum() > 0.95 * 120 * 90
    assert np.array_equal(one, contact_sheet([row(64, 48)], cell_width=120))


def test_sheet_of_upright_photos_and_long_names() -> None:
    sheet = contact_sheet([row(60, 240, "x" * 500)], title="t" * 500, cell_width=200)
    assert sheet.shape[0] < 450
    with pytest.raises(InputError, match="at least one view"):
        contact_sheet([])


def test_sheet_where_nothing_is_known() -> None:
    empty = np.full((48, 64), np.nan, np.float32)
    sheet = contact_sheet([replace(row(64, 48), error=empty, depth=empty)], cell_width=100)
    assert (sheet == (236, 238, 241)).all(-1).sum() > 1.9 * 100 * 75


def test_colours_are_those_of_the_map() -> None:
    values = np.array([[0.0, 0.5, 1.0, 2.0, np.nan]], np.float32)
    colours = colourise(values, "magma", 0, 1)[0]
    assert colours[0].tolist() == [0, 0, 4]
    assert colours[2].tolist() == colours[3].tolist() == [252, 253, 191]
    assert colours[4].tolist() == [236, 238, 241]


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 5, [0, 1, 2]), (7, 1, [0]), (2, 2, [0, 1])],
)
def test_spread(count: int, wanted: int, expected: list[int]) -> None:
    assert spread(count, wanted) == expected
