"""Pictures of the built-in scene: exact, anti-aliased, deterministic, detailed at every scale."""

import numpy as np
import pytest
import torch

from ops.cameras import Cameras
from ops.capture.demo import room
from ops.capture.demo.cameras import close_up_cameras
from ops.capture.demo.render import DemoView, render_demo, surface_points, to_srgb
from ops.capture.demo.scene import demo_scene
from ops.errors import InputError

EYES = [(1.2, -1.0, 1.35), (-1.3, 1.1, 1.6)]
MIDDLE = [(0.0, 0.0, 0.82)] * 2


def render(cameras: Cameras, **kwargs: float) -> list[DemoView]:
    return list(render_demo(cameras, **kwargs))  # type: ignore[arg-type]


def test_every_pixel_hits_something_and_is_known_exactly(make_cameras) -> None:
    cameras = make_cameras(EYES, MIDDLE, 64, 48)
    names = demo_scene(0)[1]
    for index, view in enumerate(render(cameras)):
        assert view.color.shape == (48, 64, 3)
        assert view.color.dtype == np.uint8
        assert view.depth.dtype == view.normal.dtype == np.float32
        assert (view.depth > 0.1).all()
        assert (view.depth < 8).all()
        assert (view.label < len(names)).all()
        assert len(np.unique(view.label)) > 8
        assert np.isfinite(view.linear).all()
        assert (view.linear >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(view.normal, axis=-1), 1, atol=1e-6)
        y, x = np.mgrid[:48, :64] + 0.5
        K, pose = cameras.Ks[index].numpy(), cameras.camtoworlds[index].numpy()
        rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], x * 0 + 1], -1)
        rays = rays @ pose[:3, :3].T
        assert ((rays * view.normal).sum(-1) < 1e-6).all()
        points = pose[:3, 3] + rays * view.depth[..., None]
        low, high = np.array(room.LOW), np.array(room.HIGH)
        assert (points > low - 1e-5).all()
        assert (points < high + 1e-5).all()


def test_depths_of_two_views_agree(make_cameras) -> None:
    """A point seen in one view lies on, or behind, the surface that the other view sees there."""
    cameras = make_cameras([EYES[0], (1.0, -1.15, 1.4)], MIDDLE, 160, 120)
    a, b = render(cameras)
    y, x = np.mgrid[:120, :160] + 0.5
    K = cameras.Ks[0].numpy()
    own = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], x * 0 + 1], -1)
    world = (own * a.depth[..., None]).reshape(-1, 3) @ cameras.camtoworlds[0, :3, :3].numpy().T
    world += cameras.camtoworlds[0, :3, 3].numpy()
    there = world @ cameras.viewmats[1, :3, :3].numpy().T + cameras.viewmats[1, :3, 3].numpy()
    u = (there[:, 0] / there[:, 2] * K[0, 0] + K[0, 2]).astype(int)
    v = (there[:, 1] / there[:, 2] * K[1, 1] + K[1, 2]).astype(int)
    seen = (u >= 0) & (u < 160) & (v >= 0) & (v < 120)
    assert seen.mean() > 0.5
    gap = there[seen, 2] - b.depth[v[seen], u[seen]]
    # Within a pixel of slope on most surfaces; the rest is hidden from the second view.
    assert np.median(np.abs(gap)) < 0.01
    assert (np.abs(gap) < 0.05).mean() > 0.85
    assert (gap > -0.05).mean() > 0.93
    # An exact check: shoot the second view's camera at points of the first.
    picks = np.flatnonzero(seen & (np.abs(there[:, 2] - 1.5) < 0.5))[::400]
    aimed = make_cameras([(1.0, -1.15, 1.4)] * len(picks), [tuple(p) for p in world[picks]], 8, 6)
    hit = surface_points(aimed)
    exact = np.linalg.norm(hit - world[picks], axis=1)
    nearer = (
        np.linalg.norm(hit - aimed.centers.numpy(), axis=1)
        < np.linalg.norm(world[picks] - aimed.centers.numpy(), axis=1) + 1e-5
    )
    assert nearer.all()
    assert (exact < 1e-5).mean() > 0.7


def test_colours_are_those_of_many_samples(make_cameras) -> None:
    cameras = make_cameras(EYES[:1], [(0.0, -0.15, 0.8)], 48, 36, fov=25)
    usual = render(cameras, samples=16)[0]
    many = render(cameras, samples=324)[0]
    error = np.abs(usual.linear - many.linear)
    # Of radiances around 0.4: what is left is detail at the sampling limit.
    assert error.mean() < 0.011
    assert np.abs((usual.linear - many.linear).mean()) < 0.002
    closer = np.abs(render(cameras, samples=100)[0].linear - many.linear)
    assert closer.mean() < 0.5 * error.mean()
    one = render(cameras, samples=4)[0]
    assert error.mean() < np.abs(one.linear - many.linear).mean()


def test_a_larger_picture_shrinks_to_the_direct_one(make_cameras) -> None:
    small = make_cameras(EYES[:1], MIDDLE[:1], 64, 48)
    large = small.resized([128], [96])
    direct = render(small)[0].linear
    shrunk = render(large)[0].linear.reshape(48, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(direct - shrunk).mean() < 0.01
    assert np.corrcoef(direct.ravel(), shrunk.ravel())[0, 1] > 0.995


def test_same_bytes_for_any_number_of_threads_and_other_bytes_for_another_seed(
    make_cameras,
) -> None:
    cameras = make_cameras(EYES[:1], MIDDLE[:1])
    one, two = render(cameras, threads=1)[0], render(cameras, threads=2)[0]
    for name in ("color", "linear", "depth", "normal", "label"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    other = render(cameras, seed=5)[0]
    assert (other.color != one.color).any(-1).mean() > 0.5


def test_time_moves_the_ball_and_nothing_else(make_cameras) -> None:
    cameras = make_cameras([(0.3, -1.6, 1.9)], [(0.0, -0.35, 0.74)], 128, 96, fov=50)
    start, end = render(cameras, time=0.0)[0], render(cameras, time=1.0)[0]
    ball = demo_scene(0)[1].index("ball")
    moved = (start.label == ball) | (end.label == ball)
    assert 20 < (start.label == ball).sum() < 400
    assert 20 < (end.label == ball).sum() < 400
    assert ((start.label != end.label) <= moved).all()
    np.testing.assert_array_equal(start.depth[~moved], end.depth[~moved])
    changed = np.abs(start.color.astype(int) - end.color).max(-1) > 1
    assert changed[moved].mean() > 0.6
    y, x = np.nonzero(moved)
    far = np.ones_like(moved)
    for v, u in zip(y, x, strict=True):  # the shadow and the edge of the ball are near it
        far[max(v - 30, 0) : v + 31, max(u - 30, 0) : u + 31] = False
    assert far.mean() > 0.2
    assert not changed[far].any()


def test_times_of_cameras_are_used(make_cameras) -> None:
    cameras = make_cameras([(0.6, -1.5, 1.9)], [(0.0, -0.25, 0.78)])
    timed = Cameras(**{**vars(cameras), "times": (0.7,)})
    a, b = render(timed)[0], render(cameras, time=0.7)[0]
    assert a.color.tobytes() == b.color.tobytes()
    assert (a.color != render(cameras)[0].color).any()


@pytest.mark.parametrize("target", [(0.0, 0.6, 0.74), (-0.1, 0.07, 0.84), (1.9, -0.5, 0.0)])
def test_close_ups_show_new_structure_at_every_scale(make_cameras, target) -> None:
    """Fine detail of a view 27 times nearer: neighbouring pixels still differ from their blur."""
    base = make_cameras([(1.15, -0.95, 1.5)], [target], 64, 48)
    for factor in (1, 3, 9, 27):
        cameras = close_up_cameras(base, factor)
        view = render(cameras)[0]
        grey = view.linear.mean(-1)
        same = view.label == view.label[24, 32]  # detail of one surface, not of outlines
        blur = (grey[:-2] + grey[2:])[:, 1:-1] / 4 + (grey[:, :-2] + grey[:, 2:])[1:-1] / 4
        detail = np.abs(grey[1:-1, 1:-1] - blur)[same[1:-1, 1:-1]]
        assert detail.mean() / grey[same].mean() > 0.004, factor


def test_close_ups_keep_what_is_in_the_middle(make_cameras) -> None:
    base = make_cameras(EYES, MIDDLE)
    points = surface_points(base)
    far = np.linalg.norm(base.centers.numpy() - points, axis=1)
    near = close_up_cameras(base, 9)
    np.testing.assert_allclose(surface_points(near), points, atol=1e-9)
    distance = np.linalg.norm(near.centers.numpy() - points, axis=1)
    np.testing.assert_allclose(distance, far / 9, rtol=1e-9)
    assert near.names == ("x9/0.png", "x9/1.png")
    torch.testing.assert_close(near.Ks, base.Ks)
    torch.testing.assert_close(near.viewmats[:, :3, :3], base.viewmats[:, :3, :3])
    with pytest.raises(InputError, match="factor should be above 0, found 0"):
        close_up_cameras(base, 0)


def test_tone_curve_is_monotone_and_ends_in_white() -> None:
    x = np.linspace(0, 20, 5000)
    y = to_srgb(x).astype(int)
    assert (np.diff(y) >= 0).all()
    assert y[0] == 0
    assert y[-1] >= 250
    assert to_srgb(np.array([0.2140]))[0] == 127  # below the shoulder it is sRGB


def test_bad_input_says_what_to_do(make_cameras) -> None:
    cameras = make_cameras(EYES[:1], MIDDLE[:1])
    with pytest.raises(InputError, match=r"square number, 4 or more .* found 5"):
        render(cameras, samples=5)
    with pytest.raises(InputError, match=r"time should be in \[0, 1\], found 1.5"):
        render(cameras, time=1.5)
    with pytest.raises(InputError, match="seed should be 0 or greater, found -1"):
        render(cameras, seed=-1)
    outside = make_cameras([(9.0, 0.0, 1.0)], MIDDLE[:1])
    with pytest.raises(InputError, match=r"camera 0.png should be inside the room, .* \(9.00"):
        render(outside)
