"""Textures are filtered for what a sample covers, and have detail at every size."""

import numpy as np
import pytest

from ops.capture.demo import textures as tx


@pytest.mark.parametrize("w", [0.0, 0.1, 0.37, 1.0, 2.6])
def test_stripe_and_checker_are_box_means(w: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        x, y = rng.uniform(-5, 5, 2)
        offsets = w * (np.arange(400) + 0.5) / 400 - w / 2
        a = np.mod(x + offsets, 1) < 0.3
        assert tx.stripe(x, 0.3, w) == pytest.approx(a.mean(), abs=0.01)
        u = np.floor(x + offsets)[:, None] + np.floor(y + offsets)[None]
        assert tx.checker(x, y, w) == pytest.approx((u % 2 == 1).mean(), abs=0.02)


def test_cosine_is_the_box_mean() -> None:
    offsets = 0.4 * (np.arange(1000) + 0.5) / 1000 - 0.2
    expected = np.cos(2 * np.pi * (0.17 + offsets)).mean()
    assert tx.cosine(0.17, 0.4) == pytest.approx(expected, abs=1e-5)
    assert tx.cosine(0.17, 1.5) == 0


def test_noise_is_smooth_centred_and_of_the_stated_spread() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(-50, 50, (20_000, 3))
    values = np.array([tx.noise(*q, 3.0) for q in p])
    assert abs(values.mean()) < 0.01
    assert 0.25 < values.std() < 0.4
    assert np.abs(values).max() < 1.8
    near = np.array([tx.noise(*(q + 1e-5), 3.0) for q in p[:2000]])
    assert np.abs(near - values[:2000]).max() < 1e-3
    other = np.array([tx.noise(*q, 4.0) for q in p[:2000]])
    assert abs(np.corrcoef(other, values[:2000])[0, 1]) < 0.1


def test_octaves_below_the_footprint_are_left_out_without_a_jump() -> None:
    p = (0.123, 0.456, 0.789)
    widths = np.geomspace(1e-4, 0.2, 4000)
    values = np.array([tx.fractal(p, 0.1, w, 0.8, 1.0) for w in widths])
    assert np.abs(np.diff(values)).max() < 0.02
    assert values[-1] == 0
    # Every finer footprint adds an octave.
    octaves = [tx.fractal(p, 0.1, 0.1 / 2**k, 0.8, 1.0) for k in range(2, 9)]
    assert len(set(octaves)) == len(octaves)


def test_filtered_fractal_is_close_to_the_mean_of_the_fine_one() -> None:
    rng = np.random.default_rng(5)
    w = 0.01
    errors, spread = [], []
    for _ in range(60):
        x, y, z = rng.uniform(0, 3, 3)
        coarse = tx.fractal((x, y, z), 0.1, w, 0.6, 2.0)
        offsets = w * ((np.arange(8) + 0.5) / 8 - 0.5)
        fine = np.mean(
            [tx.fractal((x + a, y + b, z), 0.1, w / 8, 0.6, 2.0) for a in offsets for b in offsets]
        )
        errors.append(fine - coarse)
        spread.append(fine)
    assert np.std(errors) < 0.3 * np.std(spread)


@pytest.mark.parametrize("name", ["spots", "cells", "writing"])
def test_small_features_turn_into_their_mean(name: str) -> None:
    rng = np.random.default_rng(6)
    p = rng.uniform(0, 4, (4000, 3))

    def value(q: np.ndarray, w: float) -> float:
        if name == "spots":
            return tx.spots(tuple(q), 0.1, 0.35, w, 1.0)[0]
        if name == "cells":
            return tx.cells(tuple(q), 0.1, w, 1.0)[0]
        return tx.writing(q[0] % 1.0, q[1], 0.1, 4.0, w, 1.0)

    near = np.mean([value(q, 0.001) for q in p])
    far = np.mean([value(q, 0.045) for q in p])
    assert far == pytest.approx(near, abs=0.05)


def test_weave_keeps_its_mean() -> None:
    rng = np.random.default_rng(7)
    p = rng.uniform(0, 1, (4000, 2))
    near = np.mean([tx.weave(x, y, 0.01, 2e-4, 1.0)[0] for x, y in p])
    assert near == pytest.approx(tx.weave(0.3, 0.3, 0.01, 0.01, 1.0)[0], abs=0.1)
