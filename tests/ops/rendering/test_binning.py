"""The order of Gaussians by depth, whoever sorts what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ops.rendering.cpu.binning import sort_by_depth

_DEPTHS = st.one_of(
    st.just(0.0),  # not seen
    st.sampled_from([1.0, 1.5, 2.0]),  # as far away as others
    st.floats(0.0625, 128, width=32),
    st.floats(2.0**-126, 2.0**126, width=32),
)


def _sorted(depths, reach, parts):
    order = np.full(len(depths), -1, np.int32)
    shares, at_most = np.full(parts + 1, -1), np.full(parts, -1)
    for part in reversed(range(parts)):  # none may wait for another
        sort_by_depth(part, parts, depths, reach, order, shares, at_most)
    return order, shares, at_most


@given(hnp.arrays(np.float32, st.integers(1, 400), elements=_DEPTHS), st.integers(1, 7))
@example(np.zeros(20, np.float32), 3)
@example(np.full(300, 2.5, np.float32), 4)
@example(np.where(np.arange(1000) == 1, 2, 0).astype(np.float32), 2)  # in no sample
@example(np.concatenate([np.zeros(64), np.arange(1, 65)]).astype(np.float32), 2)
def test_from_near_to_far(depths, parts):
    reach = np.arange(len(depths), dtype=np.float32) % 5
    order, shares, at_most = _sorted(depths, reach, parts)

    expected = np.argsort(depths, kind="stable")  # in their own order where equally far
    expected = expected[depths[expected] > 0]
    np.testing.assert_array_equal(order[: len(expected)], expected)
    assert shares[0] == 0
    assert shares[-1] == len(expected)
    assert (np.diff(shares) >= 0).all()
    for part in range(parts):
        assert at_most[part] == reach[order[shares[part] : shares[part + 1]]].sum()


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_shares_are_about_equal(parts):
    random = np.random.default_rng(0)
    depths = np.exp(random.normal(size=40_000)).astype(np.float32)
    depths[random.random(40_000) < 0.6] = 0
    _, shares, _ = _sorted(depths, np.ones_like(depths), parts)
    sizes = np.diff(shares)
    assert sizes.max() < 1.6 * sizes.mean()
