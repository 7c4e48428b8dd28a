"""Matching features between views whose cameras are known.

With known cameras a feature's partner lies near one line, so it is looked for there only: faster
than comparing all descriptors and verifying afterwards, without random choices, and repeated
texture elsewhere in the photo does not hide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from ops.capture.model import Array

MAX_RATIO = 0.8  # COLMAP's: angle to the best descriptor over angle to the second best
MAX_ANGLE = 0.7  # radians between descriptors, COLMAP's
WIDEST_TURN = math.radians(60)  # between viewing directions; SIFT rarely matches beyond


@dataclass(frozen=True)
class Features:
    """SIFT features of one view."""

    xy: Array  # [n, 2] float32 pixels, centres at +0.5
    descriptors: Array  # [n, 128] uint8 of length about 512


def pairs_to_match(centres: Array, forwards: Array, neighbours: int) -> list[tuple[int, int]]:
    """Pairs of views worth matching, sorted.

    A view is paired with others that look within 60 degrees of where it looks; of those, where
    there are many, with ones at growing distance: near ones share most, far ones tell depth.

    Args:
        centres: [C, 3] camera centres.
        forwards: [C, 3] unit viewing directions.
        neighbours: How many for each view.
    """
    pairs: set[tuple[int, int]] = set()
    for i in range(len(centres)):
        turn = np.arccos(np.clip(forwards @ forwards[i], -1, 1))
        distance = np.linalg.norm(centres - centres[i], axis=-1)
        order = [int(j) for j in np.lexsort((np.arange(len(centres)), distance)) if j != i]
        alike = [j for j in order if turn[j] <= WIDEST_TURN]
        if len(alike) > neighbours:
            # Ranks in geometric steps, each taken once.
            steps = np.geomspace(1, len(alike), neighbours)
            ranks = np.maximum(np.rint(steps).astype(int) - 1, np.arange(neighbours))
            alike = [alike[r] for r in np.unique(np.minimum(ranks, len(alike) - 1))]
        pairs.update((min(i, j), max(i, j)) for j in alike)
    return sorted(pairs)


def fundamental_matrix(K1: Array, viewmat1: Array, K2: Array, viewmat2: Array) -> Array:
    """[3, 3] F with x2^T F x1 = 0 for pixels of the same point (Hartley & Zisserman 2004, 9.2)."""
    relative = viewmat2 @ np.linalg.inv(viewmat1)
    x, y, z = relative[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.linalg.inv(K2).T @ cross @ relative[:3, :3] @ np.linalg.inv(K1)


def match(first: Features, second: Features, F: Array, band: float) -> Array:
    """Mutually best matches near each other's epipolar lines.

    Args:
        first: Features of the view that ``F`` takes pixels of.
        second: Features of the other view.
        F: [3, 3] fundamental matrix, ``x2^T F x1 = 0``.
        band: Pixels on either side of the line.

    Returns:
        [m, 2] uint32 positions in ``first`` and ``second``, sorted.
    """
    there = _best(first.xy, first.descriptors, *_padded(second), F, band)
    back = _best(second.xy, second.descriptors, *_padded(first), F.T.copy(), band)
    i = np.flatnonzero(there >= 0)
    i = i[back[there[i]] == i]
    return np.stack([i, there[i]], axis=-1).astype(np.uint32)


def _padded(features: Features) -> tuple[Array, Array, Array]:
    """Coordinates in a column each, filled up to a multiple of 8 with places on no line."""
    columns = np.full((2, -(-len(features.xy) // 8) * 8), np.inf, np.float32)
    columns[:, : len(features.xy)] = features.xy.T
    return columns[0], columns[1], features.descriptors


@numba.njit(cache=True, nogil=True)
def _dot(first: Array, second: Array) -> int:
    total = np.int32(0)  # of 128 products of bytes; 64 bits would halve the speed
    for k in range(128):
        total += np.int32(first[k]) * np.int32(second[k])
    return int(total)


@numba.njit(cache=True, nogil=True)
def _best(
    xy1: Array,
    descriptors1: Array,
    x2: Array,
    y2: Array,
    descriptors2: Array,
    F: Array,
    band: float,
) -> Array:
    """For each feature of the first view its best in the second, or -1."""
    n1 = len(xy1)
    best = np.full(n1, -1, np.int64)
    near = np.zeros(len(x2), np.uint8)
    near_of_8 = near.view(np.uint64)
    same_place = np.float32(2.25)  # pixels squared: SIFT may give a place several orientations
    for i in range(n1):
        a = np.float32(F[0, 0] * xy1[i, 0] + F[0, 1] * xy1[i, 1] + F[0, 2])
        b = np.float32(F[1, 0] * xy1[i, 0] + F[1, 1] * xy1[i, 1] + F[1, 2])
        c = np.float32(F[2, 0] * xy1[i, 0] + F[2, 1] * xy1[i, 1] + F[2, 2])
        limit = np.float32(band * math.sqrt(a * a + b * b))
        for j in range(len(x2)):
            near[j] = abs(a * x2[j] + b * y2[j] + c) <= limit
        top, second, at = -1, -1, -1
        for block in range(len(near_of_8)):
            if near_of_8[block] == 0:
                continue
            for j in range(8 * block, 8 * block + 8):
                if near[j] == 0:
                    continue
                score = _dot(descriptors1[i], descriptors2[j])
                apart = at < 0 or (x2[j] - x2[at]) ** 2 + (y2[j] - y2[at]) ** 2 > same_place
                if score > top:
                    if apart:
                        second = top
                    top, at = score, j
                elif apart and score > second:
                    second = score
        if at < 0:
            continue
        angle = math.acos(min(1.0, top / 262144.0))  # descriptors have length 512
        other = math.acos(min(1.0, max(second, 0) / 262144.0))
        if angle <= MAX_ANGLE and angle < MAX_RATIO * other:
            best[i] = at
    return best
