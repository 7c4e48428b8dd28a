"""Every phase of a picture shows what its own camera sees."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.demo.render import render_demo
from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import demo_views
from ops.errors import InputError
from ops.mipmap.pseudo import pseudo_truth
from ops.mipmap.resample import resize, to_float
from ops.mipmap.scales import scaled_cameras, scaled_size
from ops.mipmap.settings import PseudoSettings
from ops.mipmap.targets import Phase, Shots, Targets, phases_of
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

from .conftest import MadeViews, cameras_around

SIXTY = settings(max_examples=60)


def at_pixels(camera: Cameras, base: Cameras) -> tuple[Tensor, Tensor]:
    """[W] x and [H] y in the base picture of the centres of a camera's pixels."""
    K, whole = camera.Ks[0].double(), base.Ks[0].double()
    x = (torch.arange(camera.widths[0]) + 0.5 - K[0, 2]) / K[0, 0]
    y = (torch.arange(camera.heights[0]) + 0.5 - K[1, 2]) / K[1, 1]
    return x * whole[0, 0] + whole[0, 2], y * whole[1, 1] + whole[1, 2]


def ramp(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x[None].expand(len(y), -1), (y[:, None] + 2 * x[None])], -1).float()


def ramp_at(camera: Cameras) -> Tensor:
    """[H, W, 2] linear in the base picture's pixels."""
    x, y = torch.arange(camera.widths[0]) + 0.5, torch.arange(camera.heights[0]) + 0.5
    return ramp(x.double(), y.double())


@SIXTY
@given(st.sampled_from([2, 3, 4, 8]), st.data())
def test_a_linear_picture_stays_what_its_camera_sees(s: int, data: st.DataObject) -> None:
    across, down = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    fine = data.draw(st.sampled_from([f for f in range(1, s + 1) if s % f == 0]))
    step = s // fine
    phase = Phase(x=data.draw(st.integers(0, s - 1)), y=data.draw(st.integers(0, s - 1)), fine=fine)
    camera = cameras_around(1, s * across, s * down)
    seen, picture = phase.of(camera, ramp_at(camera), (across, down), "area")
    assert picture.shape[:2] == (seen.heights[0], seen.widths[0])
    torch.testing.assert_close(picture, ramp(*at_pixels(seen, camera)), rtol=0, atol=2e-4)
    # It shows the whole of the base picture that whole pixels of it fit in.
    assert seen.widths[0] == (across - (phase.x > 0)) * fine - fine + 1
    x, _ = at_pixels(seen, camera)
    assert float(x[0]) == pytest.approx(phase.x + s / 2, abs=1e-4)
    assert float(x[-1] - x[0]) == pytest.approx(step * (len(x) - 1), abs=1e-3)


@SIXTY
@given(st.integers(17, 140), st.integers(17, 140), st.sampled_from(["1/8", "3/8", "2/5"]))
def test_sizes_that_do_not_come_out_even_shift_nothing(width: int, height: int, scale: str) -> None:
    camera = cameras_around(1, width, height)
    small = scaled_size(width, height, Fraction(scale))
    for phase in phases_of(Fraction(scale), 8, 2)[:9]:
        seen, picture = phase.of(camera, ramp_at(camera), small, "area")
        assert picture.shape[:2] == (seen.heights[0], seen.widths[0])
        # Parts of pixels count as plain, which a slope of 1 shows by up to a quarter of a pixel.
        off = (picture - ramp(*at_pixels(seen, camera)))[..., 0]
        assert float(off.abs().max()) < 0.26 + 1e-3
        x, y = at_pixels(seen, camera)
        assert min(float(x[0]), float(y[0])) > 0
        assert (float(x[-1]), float(y[-1])) < (width, height)


@pytest.mark.parametrize("how", ["area", "bilinear"])
@pytest.mark.parametrize("size", [(40, 32), (101, 75), (13, 11)])
@pytest.mark.parametrize("scale", ["1/2", "1/4", "3/8"])
def test_phase_0_is_the_pseudo_ground_truth(how: str, size: tuple[int, int], scale: str) -> None:
    g = torch.Generator().manual_seed(4)
    base = cameras_around(3, *size)
    images = [torch.rand(size[1], size[0], 3, generator=g) for _ in range(3)]
    small = scaled_cameras(base, Fraction(scale))
    chosen = PseudoSettings(shrink=how)  # type: ignore[arg-type]
    pseudo = pseudo_truth(images, small, Fraction(scale), chosen)
    at_base = Targets(cameras=base, colors=images)
    targets = replace(pseudo.targets(range(3)), at_base=at_base)
    shots = Shots(targets, Fraction(scale), phases=8, how=how)  # type: ignore[arg-type]
    assert shots.phases[0] == Phase()
    shot = shots.at(0, 0)
    assert torch.equal(shot.colors, pseudo.colors[0] / 255)
    assert (shot.settings, shot.weights) == (RenderSettings(), None)
    seen, made = Phase().of(base[1], images[1], scaled_size(*size, Fraction(scale)), how)  # type: ignore[arg-type]
    assert torch.equal(made, resize(images[1], small.widths[1], small.heights[1], how))  # type: ignore[arg-type]
    assert (seen.widths, seen.heights) == (small[1].widths, small[1].heights)
    torch.testing.assert_close(seen.Ks, small[1].Ks)


def test_phases_of_the_built_in_scene_are_what_shifted_cameras_see() -> None:
    """As exactly as phase 0: the scene averages light, and pictures are means of its sRGB."""
    made = DemoSettings(width=64, height=48, train_views=6, test_views=2)
    camera = demo_views(made).cameras[3]
    finer = camera.resized([256], [192])

    def seen(view: Cameras, samples: int) -> Tensor:
        [found] = render_demo(view, seed=made.seed, samples=samples, exposure=made.exposure)
        return torch.from_numpy(found.color).float() / 255

    def psnr(a: Tensor, b: Tensor) -> float:
        return -10 * float(((a - b) ** 2).mean().log10())

    base, plain = seen(finer, 16), seen(camera, 256)
    expected = psnr(Phase().of(finer, base, (64, 48), "area")[1], plain)
    for phase in (Phase(x=1, y=3), Phase(x=2), Phase(x=3, y=1, fine=2)):
        shifted, picture = phase.of(finer, base, (64, 48), "area")
        if phase.fine == 2:  # every other pixel is the picture of one phase
            K = shifted.Ks / torch.tensor([2.0, 2.0, 1.0])[:, None]
            K[:, :2, 2] += 0.25
            picture = picture[::2, ::2]
            height, width = picture.shape[:2]
            shifted = replace(shifted, Ks=K, widths=(width,), heights=(height,))
        height, width = picture.shape[:2]
        assert psnr(picture, seen(shifted, 256)) > expected - 1
        assert psnr(picture, plain[:height, :width]) < expected - 8


@pytest.mark.parametrize("fine", [2, 4])
def test_phases_taken_at_once_are_those_taken_one_by_one(
    splats: Splats, views: MadeViews, fine: int
) -> None:
    """Pictures to the last bit of float32, and renders of splats as nearly as they are culled."""
    camera, image = views.cameras[1], to_float(views.image(1))
    seen, picture = Phase(fine=fine).of(camera, image, (5, 4), "area")
    dense = RenderSettings(eps2d=0.3 * fine**2)
    with torch.no_grad():
        shown = render(splats, seen, dense)[0].colors
    for y in range(fine):
        for x in range(fine):
            one = Phase(x=x * 8 // fine, y=y * 8 // fine)
            alone, expected = one.of(camera, image, (5, 4), "area")
            rows, columns = expected.shape[:2]
            part = (slice(y, None, fine), slice(x, None, fine))
            torch.testing.assert_close(picture[part][:rows, :columns], expected, rtol=0, atol=2e-6)
            with torch.no_grad():
                rendered = render(splats, alone)[0].colors
            off = (shown[part][:rows, :columns] - rendered).abs()
            assert float(off.max()) < 0.02
            assert float(off.mean()) < 2e-3


def test_weights_shift_with_the_picture(views: MadeViews) -> None:
    camera, small = views.cameras[:1], scaled_cameras(views.cameras[:1], Fraction(1, 4))
    counts = torch.ones(32, 40)
    counts[9, 14] = 0  # pixel (3, 2) of phase 0
    grey = torch.full((32, 40, 3), 128, dtype=torch.uint8)
    whole = torch.ones(8, 10)
    whole[2, 3] = 0
    small_grey = torch.full((8, 10, 3), 128, dtype=torch.uint8)
    at_base = Targets(cameras=camera, colors=[grey], weights=[counts])
    targets = Targets(cameras=small, colors=[small_grey], weights=[whole], at_base=at_base)
    shots = Shots(targets, Fraction(1, 4), phases=4)
    for seen, phase in enumerate(shots.phases):
        shot = shots.at(0, seen)
        assert shot.weights is not None
        assert shot.weights.shape == shot.colors.shape[:2]
        [[y, x]] = (shot.weights == 0).nonzero().tolist()
        assert (x, y) == ((14 - phase.x) // 4, (9 - phase.y) // 4)
    fine = Shots(targets, Fraction(1, 4), phases=4, fine=2).at(0, 0)
    assert fine.weights is not None
    assert float((fine.weights == 0).sum()) == 4  # the pixel is part of 2 x 2 overlapping means


@pytest.mark.parametrize(
    ("scale", "phases", "fine", "count", "taken"),
    [
        ("1/8", 8, 1, 64, 1),
        ("1/8", 8, 2, 16, 2),
        ("1/8", 4, 1, 16, 1),
        ("1/4", 8, 2, 4, 2),
        ("1/4", 4, 9, 1, 3),
        ("1/2", 8, 2, 4, 1),  # two at once would be the base picture again
        ("3/8", 8, 1, 4, 1),
        ("1/8", 1, 4, 1, 1),
        ("2", 8, 2, 1, 1),
        ("1", 8, 2, 1, 1),
    ],
)
def test_there_are_as_many_phases_as_base_pixels_allow(
    scale: str, phases: int, fine: int, count: int, taken: int
) -> None:
    found = phases_of(Fraction(scale), phases, fine)
    assert len(found) == len(set(found)) == count
    assert {p.fine for p in found} == {taken}
    assert (found[0].x, found[0].y) == (0, 0)
    assert all(max(p.x, p.y) < 1 / Fraction(scale) for p in found)


def test_every_view_comes_at_every_phase(views: MadeViews) -> None:
    small = scaled_cameras(views.cameras, Fraction(1, 4))
    blank = [torch.zeros(8, 10, 3, dtype=torch.uint8)] * 12
    whole = [views.image(i) for i in range(12)]
    at_base = Targets(cameras=views.cameras, colors=whole)
    targets = Targets(cameras=small, colors=blank, at_base=at_base)
    shots = Shots(targets, Fraction(1, 4), phases=4)
    for which in range(12):
        centres = {
            tuple(shots.at(which, 12 * turn + 5).camera.Ks[0, :2, 2].tolist()) for turn in range(16)
        }
        assert len(centres) == 16


def test_pictures_of_other_views_are_refused(views: MadeViews) -> None:
    half = scaled_cameras(views.cameras[:3], Fraction(1, 2))
    at_base = Targets(cameras=views.cameras[1:4], colors=[views.image(i) for i in (1, 2, 3)])
    with pytest.raises(InputError, match="of the same views in the same order"):
        Targets(cameras=half, colors=[torch.zeros(16, 20, 3)] * 3, at_base=at_base)
