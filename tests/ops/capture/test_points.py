"""First points: on the true surfaces, from training views only, the same bytes again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ops.capture.model import Points
from ops.capture.points import initial_points
from ops.capture.settings import PointsSettings
from ops.errors import InputError

QUICK = PointsSettings(max_features=1500, min_points=100, random_points=500)


def distance_to_corner(xyz):
    """To the nearest of the planes x = 0, y = 0, z = 0."""
    return np.abs(xyz).min(axis=1)


@pytest.fixture(scope="module")
def triangulated(corner_views):
    return initial_points(corner_views, None, QUICK)


def test_triangulated_points_lie_on_the_surfaces(triangulated):
    assert triangulated.source == "triangulated"
    assert len(triangulated.xyz) > 300
    off = distance_to_corner(triangulated.xyz)
    assert np.median(off) < 0.01  # of a scene 5 away; a pixel is 0.017
    assert np.quantile(off, 0.95) < 0.06
    assert (triangulated.errors <= QUICK.max_error).all()
    assert triangulated.xyz.dtype == triangulated.errors.dtype == np.float32


def test_their_colours_are_those_of_the_photos(corner_views, triangulated):
    index = 4
    camera = corner_views.cameras[index]
    x = torch.from_numpy(triangulated.xyz) @ camera.viewmats[0, :3, :3].T
    x = (x + camera.viewmats[0, :3, 3]) @ camera.Ks[0].T
    pixel = (x[:, :2] / x[:, 2:]).floor().long()
    inside = ((pixel >= 0) & (pixel < torch.tensor([320, 240]))).all(dim=1)
    seen = corner_views.image(index)[pixel[inside, 1], pixel[inside, 0]].float()
    difference = (seen - torch.from_numpy(triangulated.rgb)[inside].float()).abs()
    assert difference.median() < 12


def test_the_same_bytes_again(corner_views, triangulated):
    again = initial_points(corner_views, None, QUICK)
    assert again.xyz.tobytes() == triangulated.xyz.tobytes()
    assert again.rgb.tobytes() == triangulated.rgb.tobytes()
    assert again.errors.tobytes() == triangulated.errors.tobytes()


def test_held_out_views_are_not_looked_at(corner_views, triangulated):
    blank = [i.clone() for i in corner_views.images]
    assert corner_views.splits[0] == "test"
    blank[0][:] = 0
    points = initial_points(replace(corner_views, images=blank), None, QUICK)
    assert points.xyz.tobytes() == triangulated.xyz.tobytes()


@pytest.mark.parametrize("kind", ["masks", "alphas"])
def test_nothing_comes_from_what_is_masked_or_transparent(corner_views, kind):
    """Only the floor, z = 0, may be used."""
    floor = []
    for camtoworld in corner_views.cameras.camtoworlds:
        v, u = torch.meshgrid(torch.arange(240) + 0.5, torch.arange(320) + 0.5, indexing="ij")
        rays = torch.stack([(u - 160) / 300, (v - 120) / 300, torch.ones_like(u)], dim=-1)
        rays = rays @ camtoworld[:3, :3].T
        t = torch.where(rays < 0, -camtoworld[:3, 3] / rays, torch.inf)
        floor.append(((t.argmin(dim=-1) == 2) * 255).to(torch.uint8))
    views = replace(corner_views, **{kind: floor})
    points = initial_points(views, None, QUICK)
    assert points.source == "triangulated"
    assert np.quantile(np.abs(points.xyz[:, 2]), 0.9) < 0.05


def test_the_datasets_own_points_come_first(corner_views):
    own = Points(
        xyz=np.ones((3, 3), np.float32),
        rgb=np.zeros((3, 3), np.uint8),
        errors=np.zeros(3, np.float32),
        source="dataset",
    )
    assert initial_points(corner_views, own, QUICK) is own
    assert initial_points(corner_views, own, replace(QUICK, source="random")).source == "random"


def test_without_texture_points_are_random_and_say_so(corner_views):
    grey = [torch.full_like(i, 90) for i in corner_views.images]
    views = replace(corner_views, images=grey)
    points = initial_points(views, None, QUICK)
    assert points.source == "random"
    assert len(points.xyz) == 500
    assert np.isnan(points.errors).all()
    assert (points.rgb == 90).all()
    seen = 0
    for viewmat, K in zip(views.cameras.viewmats[1:], views.cameras.Ks[1:], strict=True):
        x = points.xyz @ viewmat[:3, :3].T.numpy() + viewmat[:3, 3].numpy()
        pixel = (x @ K.T.numpy())[:, :2] / x[:, 2:]
        seen = seen + ((x[:, 2] > 0) & (pixel >= 0).all(1) & (pixel < [320, 240]).all(1))
    assert (seen >= 4).all()  # of 7
    again = initial_points(views, None, QUICK)
    assert again.xyz.tobytes() == points.xyz.tobytes()
    other = initial_points(views, None, replace(QUICK, seed=1))
    assert other.xyz.tobytes() != points.xyz.tobytes()
    with pytest.raises(InputError, match="no point could be triangulated"):
        initial_points(views, None, replace(QUICK, source="triangulated"))


def test_random_points_stay_inside_the_visual_hull(corner_views):
    """Of a ball of radius 0.5 that every view sees as a disc."""
    centre, alphas = torch.full((3,), 0.8), []
    for viewmat in corner_views.cameras.viewmats:
        v, u = torch.meshgrid(torch.arange(240) + 0.5, torch.arange(320) + 0.5, indexing="ij")
        rays = torch.stack([(u - 160) / 300, (v - 120) / 300, torch.ones_like(u)], dim=-1)
        rays = torch.nn.functional.normalize(rays, dim=-1)
        middle = viewmat[:3, :3] @ centre + viewmat[:3, 3]
        along = rays @ middle
        alphas.append((((middle @ middle - along**2) < 0.25) * 255).to(torch.uint8))
    views = replace(corner_views, alphas=alphas)
    points = initial_points(views, None, replace(QUICK, source="random"))
    assert len(points.xyz) > 200
    x = torch.from_numpy(points.xyz)
    for i in range(1, len(views)):
        p = (x @ views.cameras.viewmats[i, :3, :3].T + views.cameras.viewmats[i, :3, 3]) @ (
            views.cameras.Ks[i].T
        )
        pixel = (p[:, :2] / p[:, 2:]).floor().long()
        assert (alphas[i][pixel[:, 1], pixel[:, 0]] > 0).all()


def test_larger_views_must_be_of_the_same_photos(corner_views):
    other = replace(
        corner_views,
        cameras=replace(corner_views.cameras, names=tuple(f"x{i}" for i in range(8))),
    )
    with pytest.raises(InputError, match="same photos"):
        initial_points(corner_views, None, QUICK, full=other)


def test_asking_for_points_that_are_not_there(corner_views):
    with pytest.raises(InputError, match="the dataset brings no points"):
        initial_points(corner_views, None, replace(QUICK, source="dataset"))
