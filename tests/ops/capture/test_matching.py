"""Matching along epipolar lines."""

import numpy as np
import pytest
import torch

from ops.cameras import look_at
from ops.capture.matching import Features, fundamental_matrix, match, pairs_to_match

K1 = np.array([[300.0, 0, 160], [0, 310, 120], [0, 0, 1]])
K2 = np.array([[280.0, 0, 150], [0, 280, 130], [0, 0, 1]])


@pytest.fixture
def two_views():
    eyes = torch.tensor([[0.0, 0, -5], [2, 0.5, -4]], dtype=torch.float64)
    up = torch.tensor([0.0, -1, 0], dtype=torch.float64)
    viewmats = look_at(eyes, torch.zeros(3, dtype=torch.float64), up).numpy()
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    pixels = []
    for viewmat, K in zip(viewmats, (K1, K2), strict=True):
        x = (points @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T
        pixels.append((x[:, :2] / x[:, 2:]).astype(np.float32))
    return viewmats, pixels


def descriptors(count, seed):
    raw = np.random.default_rng(seed).gamma(0.5, 1, (count, 128))
    raw *= 512 / np.linalg.norm(raw, axis=1, keepdims=True)
    return np.clip(np.rint(raw), 0, 255).astype(np.uint8)


def test_fundamental_matrix_joins_pixels_of_the_same_point(two_views):
    viewmats, (first, second) = two_views
    F = fundamental_matrix(K1, viewmats[0], K2, viewmats[1])
    ones = np.ones((300, 1))
    lines = np.hstack([first, ones]) @ F.T
    distance = (lines * np.hstack([second, ones])).sum(1) / np.linalg.norm(lines[:, :2], axis=1)
    assert np.abs(distance).max() < 1e-3


def test_true_partners_are_found_and_only_near_the_line(two_views):
    viewmats, (first, second) = two_views
    F = fundamental_matrix(K1, viewmats[0], K2, viewmats[1])
    described = descriptors(300, 1)
    order = np.random.default_rng(2).permutation(300)
    a = Features(first, described)
    b = Features(np.ascontiguousarray(second[order]), np.ascontiguousarray(described[order]))
    found = match(a, b, F, 2.0)
    assert found.dtype == np.uint32
    assert len(found) > 290  # a rival may stand on the line by chance
    np.testing.assert_array_equal(order[found[:, 1]], found[:, 0])
    far = Features(b.xy + np.float32(40), b.descriptors)
    assert len(match(a, far, F, 2.0)) < 5


def test_ambiguous_partners_are_dropped(two_views):
    viewmats, (first, second) = two_views
    F = fundamental_matrix(K1, viewmats[0], K2, viewmats[1])
    described = descriptors(300, 1)
    line = F @ np.array([*first[0], 1])
    along = np.array([line[1], -line[0]]) / np.hypot(line[0], line[1])
    # A twin elsewhere on the line of feature 0.
    twin = (second[0] + 10 * along).astype(np.float32)
    b = Features(np.vstack([second, twin]), np.vstack([described, described[:1]]))
    found = match(Features(first, described), b, F, 2.0)
    assert 0 not in found[:, 0]
    # The same place with another orientation is no rival.
    b = Features(np.vstack([second, second[:1]]), b.descriptors)
    assert 0 in match(Features(first, described), b, F, 2.0)[:, 0]


def test_empty_views_match_nothing():
    none = Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    some = Features(np.zeros((3, 2), np.float32), descriptors(3, 0))
    assert match(none, some, np.eye(3), 1.0).shape == (0, 2)
    assert match(some, none, np.eye(3), 1.0).shape == (0, 2)


def test_pairs_look_the_same_way_near_and_far():
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    centres = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=-1)
    pairs = pairs_to_match(centres, -centres, 6)
    apart = [min(j - i, 72 - j + i) for i, j in pairs]
    assert max(apart) * 5 <= 60
    assert {1, 2} <= set(apart)
    assert max(apart) >= 10
    assert pairs == sorted(set(pairs))
    assert 72 * 3 <= len(pairs) <= 72 * 6
    all_pairs = pairs_to_match(centres[:5], -centres[:5], 10)
    assert all_pairs == [(i, j) for i in range(5) for j in range(i + 1, 5)]
