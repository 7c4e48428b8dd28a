"""Pictures of the study: that nothing is left out, and what is cut or said is as it is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import InputError
from ops.mipmap.baselines import METHODS
from ops.mipmap.evaluate import EXTRA, HELD_OUT, TRANSDUCTIVE, ScaleEvaluation, ScaleScore
from ops.mipmap.figures import (
    ablation_bars,
    bar_limits,
    curves,
    strip,
    strip_places,
    views_in_words,
)


def score(scale: str, standing: str, method: str = "base", value: float = 20.0) -> ScaleScore:
    number = Fraction(scale.removeprefix("x").replace("_", "/"))
    return ScaleScore(
        **{"scale": scale, "factor": float(number), "method": method, "label": "", "value": value},
        **{"views": "extra" if standing == EXTRA else "scored", "standing": standing},
        **{"against": "photos", "metric": "psnr", "units": "dB", "count": 3},
    )


def evaluation(*methods: str) -> ScaleEvaluation:
    """Pictures of one colour each."""
    colours = {m: 40 + 17 * k for k, m in enumerate(methods)}
    return ScaleEvaluation(
        scale=Fraction(8),
        scores=tuple(score("x8", HELD_OUT, m) for m in methods if m != "photo"),
        models=(),
        pictures={
            m: torch.full((30, 40, 3), c, dtype=torch.uint8) * torch.tensor([1, 0, 1]).byte()
            for m, c in colours.items()
        },
        view="test/000.png",
        pseudo_label="base renders, enlarged",
        unavailable={},
    )


@pytest.mark.parametrize("left_out", [(), ("antialiased_base", "retrained"), ("photo",)])
def test_a_strip_shows_every_method(left_out: tuple[str, ...]) -> None:
    methods = [m for m in ("photo", *METHODS) if m not in left_out]
    shown = strip(evaluation(*methods), dpi=50).reshape(-1, 3)
    for k, method in enumerate(methods):
        wanted = (40 + 17 * k, 0, 40 + 17 * k)
        assert (shown == wanted).all(1).sum() > 4000, method


@pytest.mark.parametrize("count", range(1, 12))
def test_pictures_of_a_strip_stand_in_places_of_their_own(count: int) -> None:
    places = strip_places(count)
    assert len(set(places)) == count
    assert places[0] == (0, 0)
    blocks, columns = (1 + max(p[k] for p in places) for k in (0, 1))
    # The first column of a second block is free, for what all of it is; else at most one is.
    free = {(b, c) for b in range(blocks) for c in range(columns)} - set(places)
    assert ((1, 0) in free) == (blocks == 2)
    assert len(free) <= 2 * (blocks - 1)


def test_a_title_says_what_the_views_are_at_every_scale() -> None:
    extra = [score(s, EXTRA) for s in ("x1_8", "x4")]
    assert views_in_words(extra) == "held-out views never adapted on"
    scored = [score("x1_8", TRANSDUCTIVE), score("x1_2", TRANSDUCTIVE), score("x4", HELD_OUT)]
    assert views_in_words(scored).splitlines() == [
        "scored views",
        "×1/8, ×1/2: held-out views whose poses, not photos, were adapted on",
        "×4: held-out views not adapted on",
    ]
    assert curves(scored, views="scored").std() > 10
    with pytest.raises(InputError, match="found none"):
        curves(scored)


def test_a_bar_far_longer_than_the_others_is_cut_and_the_others_are_not() -> None:
    low, high = bar_limits([0.0, -2.2, 0.2, -13.9, -0.5])
    assert -3.0 < low < -2.2
    assert 0.2 < high < 0.5
    low, high = bar_limits([0.0, -2.2, 0.2, -3.9])
    assert low < -3.9
    assert bar_limits([0.0]) == (-1.0, 1.0)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30))
def test_at_most_one_bar_is_cut(gains: list[float]) -> None:
    low, high = bar_limits(gains)
    assert low < high
    assert low <= 0 <= high
    cut = [g for g in gains if not low <= g <= high]
    assert len(cut) <= 1
    if cut:
        assert abs(cut[0]) >= 2 * max(abs(g) for g in gains if g != cut[0])


def test_the_others_fill_the_panel_beside_a_bar_that_is_cut() -> None:
    def rows(worst: float) -> list[dict[str, Any]]:
        gains = {"as set": 0.0, "loss=l1": -1.0, "views=test": worst, "prune=false": -2.0}
        return [
            {"scale": "x4", "name": n, "views": "extra", "psnr": 25.0 + g} for n, g in gains.items()
        ]

    def red(worst: float) -> int:
        """The longest line of red in the row of the bar of two dB."""
        picture = ablation_bars(rows(worst)).astype(int)
        bars = (picture == (0xD6, 0x27, 0x28)).all(2)
        return int(bars[int(np.flatnonzero(bars.any(1))[-4])].sum())

    assert red(-30.0) > 0.7 * red(-2.4)
    with pytest.raises(InputError, match="found none"):
        ablation_bars(rows(-30.0), views="scored")
