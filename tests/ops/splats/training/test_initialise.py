import numpy as np
import pytest
import torch

from ops.cameras import Cameras, look_at
from ops.capture.model import Points
from ops.errors import InputError
from ops.splats.initialise import as_parameters, as_splats, camera_extent, splats_from_points
from ops.splats.model import sh0_to_rgb


def cameras_at(eyes: list[list[float]]) -> Cameras:
    n = len(eyes)
    return Cameras(
        viewmats=look_at(
            torch.tensor(eyes, dtype=torch.float32),
            torch.tensor([0.0, 0, -50]),
            torch.tensor([0.0, 1, 0]),
        ),
        Ks=torch.eye(3).repeat(n, 1, 1),
        widths=(4,) * n,
        heights=(4,) * n,
        names=tuple(f"{i}.png" for i in range(n)),
    )


def cloud(xyz: np.ndarray) -> Points:
    xyz = np.asarray(xyz, np.float32)
    rgb = np.tile(np.array([[255, 0, 51]], np.uint8), (len(xyz), 1))
    return Points(xyz=xyz, rgb=rgb, errors=np.zeros(len(xyz), np.float32), source="random")


def start(points: Points, **values: float):
    settings = {"sh_degree": 2, "opacity": 0.1, "scale": 1.0, "extent": 10.0} | values
    return splats_from_points(points, **settings)


def test_extent_is_the_largest_distance_from_the_centroid() -> None:
    found = camera_extent(cameras_at([[0, 0, 0], [3, 0, 0], [0, 3, 0]]))
    assert found == pytest.approx(1.1 * np.sqrt(2**2 + 1**2))


def test_cameras_at_one_place_are_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"all 3 training cameras are at one place.*check"):
        camera_extent(cameras_at([[5, 5, 5]] * 3))


def test_a_single_camera_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 training views, found 1"):
        camera_extent(cameras_at([[1, 2, 3]]))


def test_gaussians_are_as_large_as_their_neighbours_are_far() -> None:
    points = cloud(np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [9, 9, 9]]))
    splats = start(points, scale=0.5)
    expected = 0.5 * np.sqrt((1 + 4 + 9) / 3)
    assert splats.scales[0].tolist() == pytest.approx([expected] * 3, rel=1e-6)


def test_points_at_one_place_or_far_apart_get_a_bounded_size() -> None:
    splats = start(cloud(np.array([[0, 0, 0]] * 4 + [[1e6, 0, 0]])), extent=2.0)
    assert splats.scales[0, 0] == pytest.approx(2e-4, rel=1e-5)
    assert splats.scales[4, 0] == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_points_work(count: int) -> None:
    splats = start(cloud(np.eye(3)[:count]))
    assert len(splats) == count
    assert torch.isfinite(splats.log_scales).all()


def test_opacity_colour_and_degree() -> None:
    splats = start(cloud(np.eye(3)))
    torch.testing.assert_close(splats.opacities, torch.full((3,), 0.1))
    torch.testing.assert_close(sh0_to_rgb(splats.sh0[0, 0]), torch.tensor([1.0, 0.0, 0.2]))
    assert splats.sh_degree == 2
    assert (splats.shN == 0).all()


def test_no_points_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 point to start from, found none"):
        start(cloud(np.zeros((0, 3))))


def test_points_that_are_not_finite_are_counted() -> None:
    xyz = np.zeros((5, 3))
    xyz[1, 2], xyz[3, 0] = np.nan, np.inf
    with pytest.raises(InputError, match="NaN or infinity in 2 of 5"):
        start(cloud(xyz))


def test_parameters_and_splats_are_two_names_for_the_same() -> None:
    splats = start(cloud(np.eye(3)))
    parameters = as_parameters(splats)
    back = as_splats(parameters)
    for name, value in splats.tensors().items():
        assert torch.equal(value, getattr(back, name))
    back.log_scales.sum().backward()
    assert torch.equal(parameters["scales"].grad, torch.ones(3, 3))
