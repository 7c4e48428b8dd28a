"""Where a capture looks, and the path around it, on cameras whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from notebooks.orbit import focus, orbit, upright
from ops.cameras import Cameras, invert_rigid, look_at
from ops.errors import InputError

POINT = torch.tensor([3.0, -2.0, 5.0], dtype=torch.float64)
UP = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64), dim=0)


def pinholes(viewmats: torch.Tensor, width: int = 160, height: int = 120) -> Cameras:
    n = len(viewmats)
    K = torch.tensor([[100.0, 0, width / 2], [0, 100.0, height / 2], [0, 0, 1]])
    return Cameras(
        viewmats=viewmats,
        Ks=K.double().expand(n, 3, 3).clone(),
        widths=(width,) * n,
        heights=(height,) * n,
        names=tuple(map(str, range(n))),
    )


def ring(angles: np.ndarray, radius: float = 4.0, height: float = 1.5) -> Cameras:
    """Level cameras around POINT, with UP as up, looking at POINT."""
    a, b, up = upright(UP)
    t = torch.tensor(angles, dtype=torch.float64)[:, None]
    eyes = POINT + radius * (torch.cos(t) * a + torch.sin(t) * b) + height * up
    return pinholes(look_at(eyes, POINT, UP))


def full(count: int = 24) -> np.ndarray:
    return np.arange(count) * 2 * math.pi / count


def test_focus_of_a_ring_is_its_centre_and_its_axis() -> None:
    seen = focus(ring(full()))
    torch.testing.assert_close(seen.point, POINT)
    torch.testing.assert_close(seen.up, UP)
    assert not seen.outward


def test_focus_is_the_least_squares_point_of_any_axes() -> None:
    rng = torch.Generator().manual_seed(3)
    eyes = torch.randn(9, 3, generator=rng, dtype=torch.float64) * 3
    targets = torch.randn(9, 3, generator=rng, dtype=torch.float64)
    cameras = pinholes(look_at(eyes, targets, UP))
    poses = cameras.camtoworlds
    d, c = poses[:, :3, 2].numpy(), poses[:, :3, 3].numpy()
    # The same by another way: unknown point and distances along the axes, solved as one system.
    system = np.zeros((27, 12))
    for i in range(9):
        system[3 * i : 3 * i + 3, :3] = np.eye(3)
        system[3 * i : 3 * i + 3, 3 + i] = -d[i]
    expected = np.linalg.lstsq(system, c.reshape(-1), rcond=None)[0][:3]
    np.testing.assert_allclose(focus(cameras).point.numpy(), expected, atol=1e-9)


def test_up_of_a_part_of_a_ring_seen_from_above_is_hardly_tilted() -> None:
    cameras = ring(np.linspace(0, 1.2, 12), radius=3.0, height=3.0)
    found = focus(cameras).up
    angle = math.degrees(math.acos(float(found @ UP)))
    mean_up = -cameras.camtoworlds[:, :3, 1].mean(0)
    naive = math.degrees(math.acos(float(mean_up @ UP / mean_up.norm())))
    assert naive > 30
    assert angle < 6


def test_parallel_axes_look_ahead() -> None:
    eyes = torch.tensor([[x, 0.0, 0.0] for x in (-1, 0, 1)], dtype=torch.float64)
    forward = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    seen = focus(pinholes(look_at(eyes, eyes + forward, up)))
    torch.testing.assert_close(seen.point, 2 * forward)
    torch.testing.assert_close(seen.up, up)


def test_a_single_camera_is_enough() -> None:
    path = orbit(ring(np.array([0.4])), frames=5)
    assert torch.isfinite(path.viewmats).all()


def test_orbit_of_a_ring_is_the_ring() -> None:
    frames = 36
    path = orbit(ring(full()), frames=frames)
    a, b, up = upright(UP)
    away = path.centers.double() - POINT
    torch.testing.assert_close(away @ up, torch.full((frames,), 1.5).double(), atol=1e-5, rtol=0)
    radius = torch.hypot(away @ a, away @ b)
    torch.testing.assert_close(radius, torch.full((frames,), 4.0).double(), atol=1e-5, rtol=0)
    around = torch.atan2(away @ b, away @ a)
    steps = torch.remainder(torch.diff(around, append=around[:1]), 2 * math.pi)
    even = torch.full_like(steps, 2 * math.pi / frames)
    torch.testing.assert_close(steps, even, atol=1e-5, rtol=0)


def test_every_frame_looks_at_the_point_and_stands_upright() -> None:
    path = orbit(ring(full()), frames=12)
    seen = path.viewmats @ torch.cat([POINT, torch.ones(1)]).float()
    torch.testing.assert_close(seen[:, :2], torch.zeros(12, 2), atol=1e-5, rtol=0)
    assert (seen[:, 2] > 0).all()
    x, y = path.camtoworlds[:, :3, 0], path.camtoworlds[:, :3, 1]
    torch.testing.assert_close(x @ UP.float(), torch.zeros(12), atol=1e-6, rtol=0)
    assert (y @ UP.float() < 0).all()


def test_orbit_of_an_arc_stays_on_it_and_comes_back() -> None:
    angles = np.linspace(-0.5, 0.9, 15)
    path = orbit(ring(angles), frames=20)
    found = focus(ring(angles))
    a, b, _ = upright(UP)
    away = path.centers.double() - found.point
    around = torch.atan2(away @ b, away @ a)
    assert around.min() > -0.6
    assert around.max() < 1.0
    assert around.max() - around.min() > 1.2
    torch.testing.assert_close(path.viewmats[1:], path.viewmats[1:].flip(0), atol=1e-5, rtol=0)


def test_an_arc_turned_and_moved_gives_the_path_turned_and_moved() -> None:
    cameras = ring(np.linspace(-0.5, 0.9, 15))
    turn = torch.eye(4, dtype=torch.float64)
    turn[:3, :3] = upright(torch.tensor([0.1, 0.9, -0.4], dtype=torch.float64))
    turn[:3, 3] = torch.tensor([7.0, 1.0, -3.0])
    moved = pinholes(invert_rigid(turn @ cameras.camtoworlds))
    expected = turn.float() @ orbit(cameras).camtoworlds
    torch.testing.assert_close(orbit(moved).camtoworlds, expected, atol=2e-5, rtol=0)


def test_cameras_that_look_outward_are_answered_by_a_turn_on_the_spot() -> None:
    inward = ring(full(), radius=0.3, height=0.0)
    poses = inward.camtoworlds
    poses[:, :3, [0, 2]] *= -1  # half a turn about their own up
    path = orbit(pinholes(invert_rigid(poses)), frames=16)
    assert focus(pinholes(invert_rigid(poses))).outward
    torch.testing.assert_close(path.centers, POINT.float().expand(16, 3), atol=1e-5, rtol=0)
    directions = path.camtoworlds[:, :3, 2]
    torch.testing.assert_close(directions.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(directions @ UP.float(), torch.zeros(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (120, 160)])
def test_frames_have_the_shape_and_field_of_view_of_the_photos(width: int, height: int) -> None:
    cameras = pinholes(ring(full()).viewmats, width, height)
    path = orbit(cameras, frames=3, max_size=400)
    assert max(path.widths[0], path.heights[0]) == 400
    assert path.widths[0] / path.heights[0] == width / height
    scale = path.widths[0] / width
    torch.testing.assert_close(path.Ks[1, :2], (cameras.Ks[0, :2] * scale).float())


def test_what_cannot_be_answered_is_said() -> None:
    with pytest.raises(InputError, match="at least one camera"):
        focus(ring(full())[[]])
    with pytest.raises(InputError, match="at least 2 frames, found 1"):
        orbit(ring(full()), frames=1)
