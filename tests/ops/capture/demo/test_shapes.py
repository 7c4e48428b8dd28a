"""Intersections against closed forms and brute force."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.capture.demo import materials
from ops.capture.demo.build import Builder, Material, Place, toward, turn
from ops.capture.demo.model import KIND
from ops.capture.demo.shapes import BALL, BLOCK, LATHE, MISS, RING, intersect, normal

PLAIN = Material(kind=materials.PLASTER, colors=("#808080",), sizes=(0.1, 0.1))


def one(kind: int) -> tuple[np.ndarray, np.ndarray]:
    """The row and bounding box of a turned and moved shape of a kind."""
    b = Builder(0)
    b.start("thing", Place((0.2, -0.1, 0.3), turn("z", 30) @ turn("x", 40)))
    if kind == BALL:
        b.ball(PLAIN, (0.05, 0, 0), (0.5, 0.3, 0.1))
    elif kind == BLOCK:
        b.box(PLAIN, (0, 0.1, 0), (0.6, 0.2, 0.9))
    elif kind == RING:
        b.ring(PLAIN, (0, 0, 0), 0.5, 0.12)
    else:
        b.lathe(PLAIN, (0, 0, -0.2), [(0, 0.2), (0.25, 0.5), (0.5, 0.1)])
    return np.array(b.shapes), np.array(b.bounds)


def inside(kind: int, row: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Sign of the implicit function at points [P, 3]: negative inside."""
    q = (p - row[9:12]) @ row[:9].reshape(3, 3).T
    rho = q[:, 0] ** 2 + q[:, 1] ** 2
    if kind == BALL:
        return (q**2).sum(1) - 1
    if kind == BLOCK:
        return (np.abs(q) - row[12:15]).max(1)
    if kind == RING:
        return (np.sqrt(rho) - row[12]) ** 2 + q[:, 2] ** 2 - row[13] ** 2
    profile = np.polynomial.polynomial.polyval(q[:, 2], row[14:18])
    return np.maximum(np.maximum(row[12] - q[:, 2], q[:, 2] - row[13]), rho - profile)


@pytest.mark.parametrize("kind", [BALL, BLOCK, RING, LATHE])
def test_first_hit_is_where_a_fine_march_enters(kind: int) -> None:
    rows, _ = one(kind)
    row = rows[0].copy()
    if kind == LATHE:  # a piece alone is closed by discs, so that inside is defined
        row[19] = row[20] = 1.0
    rng = np.random.default_rng(kind)
    hits = 0
    steps = np.linspace(0, 4, 40_001)
    for _ in range(60):
        o = rng.normal(size=3)
        o = 1.6 * o / np.linalg.norm(o) + row[9:12]
        d = row[9:12] + rng.normal(size=3) * 0.3 - o
        d /= np.linalg.norm(d)
        t = intersect(row, tuple(o), tuple(d), 1e-6, MISS)
        values = inside(kind, row, o + steps[:, None] * d)
        entered = np.flatnonzero(values < 0)
        if len(entered) == 0:
            # A grazing hit may be too short for the march to see.
            assert t == MISS or abs(inside(kind, row, (o + t * d)[None])[0]) < 1e-9
            continue
        hits += 1
        assert steps[entered[0]] - 1e-4 - 1e-9 <= t <= steps[entered[0]] + 1e-9
        assert abs(inside(kind, row, (o + t * d)[None])[0]) < 1e-12
    assert hits > 20


@pytest.mark.parametrize("kind", [BALL, BLOCK, RING, LATHE])
def test_normal_is_the_gradient_towards_the_ray(kind: int) -> None:
    row = one(kind)[0][0]
    rng = np.random.default_rng(10 + kind)
    checked = 0
    for _ in range(80):
        o = rng.normal(size=3)
        o = 1.6 * o / np.linalg.norm(o) + row[9:12]
        d = row[9:12] + rng.normal(size=3) * 0.2 - o
        d /= np.linalg.norm(d)
        t = intersect(row, tuple(o), tuple(d), 1e-6, MISS)
        if t == MISS:
            continue
        p = o + t * d
        n = np.array(normal(row, tuple(p), tuple(d)))
        h = 1e-6
        offsets = np.concatenate([np.eye(3), -np.eye(3)]) * h
        values = inside(kind, row, p + offsets)
        gradient = (values[:3] - values[3:]) / (2 * h)
        gradient /= np.linalg.norm(gradient)
        if gradient @ d > 0:
            gradient = -gradient
        assert abs(np.linalg.norm(n) - 1) < 1e-12
        assert n @ d <= 0
        assert n @ gradient > 1 - 1e-5
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("kind", [BALL, BLOCK, RING, LATHE])
def test_bounding_boxes_hold_their_shapes(kind: int) -> None:
    rows, bounds = one(kind)
    p = np.random.default_rng(3).uniform(-1.5, 1.5, (200_000, 3)) + rows[0, 9:12]
    for row, box in zip(rows, bounds, strict=True):
        within = p[inside(kind, row, p) < 0]
        assert len(within) > 100
        assert (within >= box[:3]).all()
        assert (within <= box[3:]).all()
        # and are not much too large
        assert ((within.max(0) - within.min(0)) > 0.55 * (box[3:] - box[:3])).all()


@given(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2), st.floats(0.05, 0.9), st.floats(0.01, 0.45))
@settings(max_examples=60)
def test_ring_seen_along_its_axis(x: float, y: float, major: float, share: float) -> None:
    minor = share * major
    row = np.zeros(26)
    row[[0, 4, 8]] = 1
    row[12:14] = major, minor
    row[KIND] = RING
    t = intersect(row, (x, y, 2.0), (0.0, 0.0, -1.0), 1e-6, MISS)
    lift = minor**2 - (np.hypot(x, y) - major) ** 2
    if lift > 1e-12:
        assert t == pytest.approx(2 - np.sqrt(lift), abs=1e-7)
    elif lift < -1e-12:
        assert t == MISS


def test_open_ends_show_the_inside() -> None:
    b = Builder(0)
    b.start("cup")
    b.lathe(PLAIN, (0, 0, 0), [(0, 0.5), (1, 0.5)], ends=(True, False), smooth=False)
    row = b.shapes[0]
    assert intersect(row, (0, 0, 3.0), (0, 0, -1.0), 1e-6, MISS) == pytest.approx(3.0)
    assert intersect(row, (0, 0, -3.0), (0, 0, 1.0), 1e-6, MISS) == pytest.approx(3.0)
    d = (0.6, 0.0, -0.8)
    t = intersect(row, (0, 0, 1.5), d, 1e-6, MISS)
    assert t == pytest.approx(0.5 / 0.6)
    assert normal(row, (0.5, 0.0, 1.5 - 0.8 * t), d)[0] == pytest.approx(-1.0)


def test_profiles_stay_between_their_points_and_join_without_a_kink() -> None:
    b = Builder(0)
    b.start("foot")
    points = [(0, 0.055), (0.006, 0.056), (0.014, 0.03), (0.05, 0.012), (0.085, 0.016), (0.1, 0.03)]
    b.lathe(PLAIN, (0, 0, 0), points)
    ends = []
    for row, (z0, r0), (z1, r1) in zip(b.shapes, points[:-1], points[1:], strict=True):
        q = np.polynomial.Polynomial(row[14:18])
        z = np.linspace(z0, z1, 50)
        assert (q(z) >= min(r0, r1) ** 2 - 1e-12).all()
        assert (q(z) <= max(r0, r1) ** 2 + 1e-12).all()
        ends.append((q.deriv()(z0), q.deriv()(z1)))
    for (_, a), (c, _) in pairwise(ends):
        assert a == pytest.approx(c, abs=1e-9)


def test_toward_takes_z_to_the_direction() -> None:
    for d in ([0, 0, 1], [0, 1, 0], [1, 2, -3]):
        R = toward(d)
        np.testing.assert_allclose(R @ [0, 0, 1], np.array(d) / np.linalg.norm(d), atol=1e-12)
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(R) == pytest.approx(1)
