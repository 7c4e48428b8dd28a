"""The default capture: its path, its views and the points it starts from."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from ops.capture.demo.cameras import demo_cameras
from ops.capture.demo.render import surface_points
from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import DemoViews, demo_points, demo_views
from ops.errors import InputError

SMALL = DemoSettings(width=40, height=30, train_views=6, test_views=2)


@pytest.fixture(scope="module")
def views() -> DemoViews:
    return demo_views(SMALL)


def test_default_path_sees_the_table_from_all_sides_and_stands_clear() -> None:
    cameras, splits = demo_cameras(DemoSettings())
    assert (splits.count("train"), splits.count("test")) == (60, 10)
    assert len(set(cameras.names)) == 70
    assert cameras.names[0] == "train/000.png"
    assert "test/009.png" in cameras.names
    eyes = cameras.centers.numpy()
    angles = np.sort(np.arctan2(eyes[:, 1], eyes[:, 0]))
    assert np.diff(angles).max() < 0.5
    seen = surface_points(cameras)
    assert np.linalg.norm(seen - eyes, axis=1).min() > 0.5
    # Held-out views have training views on both sides, not far away.
    test = [i for i, s in enumerate(splits) if s == "test"]
    train = [i for i, s in enumerate(splits) if s == "train"]
    gaps = np.linalg.norm(eyes[test][:, None] - eyes[train][None], axis=-1)
    assert np.sort(gaps, axis=1)[:, 1].max() < 0.8


def test_path_follows_the_settings() -> None:
    a, _ = demo_cameras(SMALL)
    b, _ = demo_cameras(SMALL)
    c, _ = demo_cameras(replace(SMALL, seed=1))
    assert torch.equal(a.viewmats, b.viewmats)
    assert not torch.equal(a.viewmats, c.viewmats)
    wide, splits = demo_cameras(replace(SMALL, field_of_view=90, test_views=0))
    assert wide.Ks[0, 0, 0] == pytest.approx(20.0)
    assert set(splits) == {"train"}


@pytest.mark.parametrize(
    ("name", "value"), [("width", 4), ("field_of_view", 150.0), ("train_views", 0)]
)
def test_settings_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{name} should be from .* found {value}"):
        demo_cameras(replace(SMALL, **{name: value}))


def test_views_are_complete(views: DemoViews) -> None:
    assert len(views) == 8
    assert views.splits.count("test") == 2
    assert views.colors.shape == (8, 30, 40, 3)
    assert views.depths.shape == views.labels.shape == (8, 30, 40)
    assert views.normals.shape == (8, 30, 40, 3)
    assert views.image(3).dtype == torch.uint8
    assert views.alpha(0) is None
    assert views.mask(0) is None
    assert {"table", "teapot", "ball", "floor", "wall"} <= set(views.label_names)
    assert 60 < views.colors.mean() < 190


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    demo_views(
        replace(SMALL, train_views=2, test_views=1),
        lambda done, total, what, values=None: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_points_lie_on_what_training_views_see(views: DemoViews) -> None:
    points = demo_points(views, count=500)
    assert points.source == "exact"
    assert points.xyz.dtype == np.float32
    assert points.rgb.dtype == np.uint8
    again = demo_points(views, count=500)
    assert points.xyz.tobytes() == again.xyz.tobytes()
    assert points.xyz.tobytes() != demo_points(views, count=500, seed=1).xyz.tobytes()
    # Each comes back to the centre of a pixel of a training view, with its depth and colour.
    found = np.zeros(500, bool)
    for i, split in enumerate(views.splits):
        if split == "test":
            continue
        M, K = views.cameras.viewmats[i].numpy(), views.cameras.Ks[i].numpy()
        own = points.xyz @ M[:3, :3].T + M[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = own[:, 0] / own[:, 2] * K[0, 0] + K[0, 2] - 0.5
            y = own[:, 1] / own[:, 2] * K[1, 1] + K[1, 2] - 0.5
        u, v = np.rint(x).clip(-1, 40).astype(int), np.rint(y).clip(-1, 30).astype(int)
        ok = (u >= 0) & (u < 40) & (v >= 0) & (v < 30) & (own[:, 2] > 0)
        ok &= (np.abs(x - u) < 1e-3) & (np.abs(y - v) < 1e-3)
        k = np.flatnonzero(ok)
        k = k[np.abs(views.depths[i, v[k], u[k]] - own[k, 2]) < 1e-4]
        k = k[(views.colors[i, v[k], u[k]] == points.rgb[k]).all(-1)]
        found[k] = True
    assert found.all()
    with pytest.raises(InputError, match="count should be from 1 to 7200"):
        demo_points(views, count=7201)


def test_settings_and_package_are_light() -> None:
    code = (
        "import sys, ops.capture.demo, ops.capture.demo.settings;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numba', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
