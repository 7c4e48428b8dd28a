from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.capture.model import indices_of
from ops.errors import InputError
from ops.mipmap import at_once
from ops.mipmap.adapt import AdaptResult, adapt, opacity_histogram, splat_bytes
from ops.mipmap.baselines import mip_tuned, mip_tuned_candidate
from ops.mipmap.losses import adaptation_loss
from ops.mipmap.prior.bicubic import BicubicPrior
from ops.mipmap.prior.dispatch import make_prior
from ops.mipmap.pseudo import PseudoTruth, base_renders, pseudo_truth
from ops.mipmap.resample import bicubic, shrink
from ops.mipmap.scales import scaled_cameras
from ops.mipmap.settings import AdaptSettings, PriorSettings, PseudoSettings
from ops.mipmap.targets import Phase, Targets
from ops.rendering.render import render
from ops.splats.model import Splats

from .conftest import DOUBLE, HALF, MadeViews

QUICK = AdaptSettings.from_preset("preview", iterations=40, control_every=10, checkpoint_every=15)


def pseudo_of(splats: Splats, views: MadeViews, scale: Fraction) -> PseudoTruth:
    renders = base_renders(splats, views.cameras)
    cameras = scaled_cameras(views.cameras, scale)
    return pseudo_truth(renders, cameras, scale, PseudoSettings(), BicubicPrior())


def targets_of(splats: Splats, views: MadeViews, scale: Fraction) -> Targets:
    renders = [r.clamp(0, 1) for r in base_renders(splats, views.cameras)]
    at_base = Targets(cameras=views.cameras, colors=renders)
    return replace(pseudo_of(splats, views, scale).targets(range(len(views))), at_base=at_base)


def run(splats: Splats, views: MadeViews, scale: Fraction, **changed: object) -> AdaptResult:
    settings = replace(QUICK, **changed)  # type: ignore[arg-type]
    return adapt(
        splats,
        targets_of(splats, views, scale),
        settings,
        scale=scale,
        train_cameras=views.cameras,
    )


def error(splats: Splats, pseudo: PseudoTruth) -> float:
    with torch.no_grad():
        renderings = render(splats, pseudo.cameras)
    pairs = zip(renderings, pseudo.colors, strict=True)
    return float(np.mean([((r.colors - c / 255) ** 2).mean() for r, c in pairs]))


def same(a: Splats, b: Splats) -> bool:
    return all(torch.equal(v, b.tensors()[k]) for k, v in a.tensors().items())


def test_pseudo_ground_truth_has_the_size_of_the_scale(splats: Splats, views: MadeViews) -> None:
    for scale, size in ((Fraction(1, 8), (4, 5)), (Fraction(3, 8), (12, 15)), (DOUBLE, (64, 80))):
        found = pseudo_of(splats, views, scale)
        assert {tuple(c.shape[:2]) for c in found.colors} == {size}
        assert (found.cameras.heights[0], found.cameras.widths[0]) == size
        assert ("area" in found.label) == (scale < 1)
    with pytest.raises(InputError, match="x2 needs a prior"):
        pseudo_truth(base_renders(splats, views.cameras), views.cameras, DOUBLE, PseudoSettings())
    with pytest.raises(InputError, match="a render for each of 12 cameras, found 0"):
        pseudo_truth((), views.cameras, HALF, PseudoSettings())


def test_pseudo_ground_truth_has_the_size_of_the_photos_whatever_the_rounding(
    splats: Splats, views: MadeViews
) -> None:
    """13 x 11 enlarged by 8 is larger than photos of 101 and smaller than photos of 91 pixels."""
    coarse = views.cameras.resized([13] * 12, [11] * 12)
    renders = base_renders(splats, coarse)
    for width, height in ((101, 85), (104, 91), (107, 88)):
        fine = coarse.resized([width] * 12, [height] * 12)
        found = pseudo_truth(renders, fine, Fraction(8), PseudoSettings(), BicubicPrior())
        assert {tuple(c.shape) for c in found.colors} == {(height, width, 3)}
        expected = bicubic(renders[3].clamp(0, 1), width, height).clamp(0, 1)
        assert (found.colors[3] / 255 - expected).abs().mean() < 0.01


def test_pseudo_ground_truth_has_the_same_bytes_on_any_number_of_threads(
    splats: Splats, views: MadeViews
) -> None:
    """Also where pictures are so large that they come one by one; errors come out as they are."""
    learned = PriorSettings(iterations=5, channels=24, blocks=2)
    prior = make_prior(views, range(3), learned)
    renders = base_renders(splats, views.cameras)[:5]
    fine = scaled_cameras(views.cameras[:5], DOUBLE)
    threads = torch.get_num_threads()
    found: list[tuple[torch.Tensor, ...]] = []
    told: list[int] = []
    try:
        for count, small in ((1, 2**21), (2, 2**21), (2, 1)):
            torch.set_num_threads(count)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(at_once, "_SMALL", small)
                made = pseudo_truth(
                    renders, fine, DOUBLE, PseudoSettings(), prior, lambda i, *_: told.append(i)
                )
            assert torch.get_num_threads() == count
            found.append(made.colors)
    finally:
        torch.set_num_threads(threads)
    assert told == 3 * [0, 1, 2, 3, 4, 5]
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))

    class Broken(BicubicPrior):
        def __call__(self, image: torch.Tensor, factor: int) -> torch.Tensor:
            raise InputError("no")

    with pytest.raises(InputError, match=r"^no$"):
        pseudo_truth(renders, fine, DOUBLE, PseudoSettings(), Broken())


def test_nothing_moves_where_there_is_nothing_to_learn(splats: Splats, views: MadeViews) -> None:
    """At x1 with the identity, the loss is 0 from the start and only pruning changes anything."""
    targets = Targets(cameras=views.cameras, colors=base_renders(splats, views.cameras))
    settings = replace(QUICK, opacity_regularisation=0.0)
    found = adapt(splats, targets, settings)
    assert not found.history["loss"][0]
    kept = splats.select(splats.opacities >= settings.prune_opacity)
    assert len(kept) == 280
    # Removing what is almost transparent makes a difference too small to see, but not to learn.
    first = adapt(splats, targets, replace(settings, iterations=9))
    assert same(first.splats, splats)
    unpruned = adapt(splats, targets, replace(settings, prune=False))
    assert same(unpruned.splats, splats)
    assert len(found.splats) == 280


@pytest.mark.parametrize("scale", [Fraction(1, 4), HALF, DOUBLE])
@pytest.mark.parametrize("start", ["base", "balanced"])
def test_adaptation_comes_nearer_and_leaves_the_base_alone(
    splats: Splats, views: MadeViews, scale: Fraction, start: str
) -> None:
    before = splats.detach().to(dtype=torch.float32)
    before = replace(before, **{k: v.clone() for k, v in before.tensors().items()})
    pseudo = pseudo_of(splats, views, scale)
    found = run(splats, views, scale, start=start, densify="never")
    assert same(splats, before)
    assert error(found.splats, pseudo) < 0.7 * error(splats, pseudo)
    assert found.count_before == 300
    if scale < 1:
        assert len(found.splats) < 300
    assert found.opacity_before.sum() == 300
    assert found.opacity_after.sum() == len(found.splats)
    assert found.history["iteration"].tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("scale", [HALF, Fraction(1, 4), DOUBLE])
def test_the_same_bytes_come_back_on_any_threads_and_after_an_interruption(
    splats: Splats, views: MadeViews, tmp_path: Path, scale: Fraction
) -> None:
    whole = run(splats, views, scale)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert same(run(splats, views, scale).splats, whole.splats)
    finally:
        torch.set_num_threads(threads)

    targets = targets_of(splats, views, scale)

    class StoppedError(Exception):
        pass

    def stop(done: int, *_: object) -> None:
        if done >= 30 and not tmp_path.joinpath("stopped").exists():
            tmp_path.joinpath("stopped").touch()
            raise StoppedError

    steps: list[int] = []

    def attempt(progress: object) -> AdaptResult:
        return adapt(
            splats,
            targets,
            QUICK,
            scale=scale,
            train_cameras=views.cameras,
            checkpoint_path=tmp_path / "state",
            progress=progress,  # type: ignore[arg-type]
        )

    with pytest.raises(StoppedError):
        attempt(stop)
    again = attempt(lambda done, *_: steps.append(done))
    assert steps[0] == 15
    assert same(again.splats, whole.splats)
    for name, column in whole.history.items():
        np.testing.assert_array_equal(again.history[name], column)


def test_switches_do_what_they_say(splats: Splats, views: MadeViews) -> None:
    frozen = run(splats, views, HALF, means_lr=0.0, prune=False, densify="never")
    assert torch.equal(frozen.splats.means, splats.means)
    assert not torch.equal(frozen.splats.log_scales, splats.log_scales)
    grown = run(splats, views, DOUBLE, densify="always", densify_gradient=1e-9, prune=False)
    assert len(grown.splats) > 300
    capped = run(splats, views, DOUBLE, densify="never", densify_gradient=1e-9, prune=False)
    assert len(capped.splats) == 300
    below = run(splats, views, HALF, densify="above", densify_gradient=1e-9, prune=False)
    assert len(below.splats) == 300
    for loss in ("l1", "l1_ssim"):
        assert not same(run(splats, views, HALF, loss=loss).splats, frozen.splats)


def test_phases_teach_what_one_grid_does_not_show(splats: Splats, views: MadeViews) -> None:
    """At grids that none of the pictures of one phase lies on."""
    scale, quarter = Fraction(1, 4), (10, 8)
    renders = [r.clamp(0, 1) for r in base_renders(splats, views.cameras)]

    def off(found: Splats) -> float:
        errors = []
        for i in range(len(views)):
            camera, picture = Phase(x=2, y=2).of(views.cameras[i], renders[i], quarter, "area")
            with torch.no_grad():
                errors.append(((render(found, camera)[0].colors - picture) ** 2).mean())
        return float(np.mean(errors))

    one, all_ = (
        off(run(splats, views, scale, phases=n, views_at_once=1, iterations=150).splats)
        for n in (1, 4)
    )
    assert all_ < 0.8 * one


def test_renders_come_to_agree_with_the_photos(splats: Splats, views: MadeViews) -> None:
    renders = [r.clamp(0, 1) for r in base_renders(splats, views.cameras)]
    cameras = scaled_cameras(views.cameras, DOUBLE)

    def off(found: Splats) -> float:
        with torch.no_grad():
            shown = [r.colors for r in render(found, cameras)]
        pairs = zip(shown, renders, strict=True)
        return float(np.mean([((shrink(s, 40, 32) - p) ** 2).mean() for s, p in pairs]))

    apart, near = (
        off(run(splats, views, DOUBLE, photo_weight=w, densify="never").splats) for w in (0.0, 0.8)
    )
    assert near < 0.7 * apart


def test_opacities_are_reset_on_white_only(splats: Splats, views: MadeViews) -> None:
    targets = pseudo_of(splats, views, HALF).targets(range(len(views)))
    settings = replace(QUICK, iterations=2, reset="white", prune=False, start="base", phases=1)
    for background, resets in ((torch.ones(3), True), (torch.zeros(3), False)):
        found = adapt(splats, targets, settings, background=background)
        assert (float(found.splats.opacities.max()) <= 0.0101) == resets
    always = adapt(splats, targets, replace(settings, reset="always"))
    assert float(always.splats.opacities.max()) <= 0.0101


def test_the_gradient_of_the_squared_loss_is_the_closed_form() -> None:
    g = torch.Generator().manual_seed(0)
    image, target = (torch.rand(7, 5, 3, generator=g) for _ in range(2))
    image.requires_grad_()
    plain = AdaptSettings(edge_weight=0.0)
    adaptation_loss(image, target, plain).loss.backward()
    torch.testing.assert_close(image.grad, 2 * (image - target).detach() / (3 * 7 * 5))
    weights = (torch.rand(7, 5, generator=g) > 0.5).float()
    image.grad = None
    holes = torch.where(weights[..., None] > 0, target, torch.nan)
    adaptation_loss(image, holes, plain, weights).loss.backward()
    expected = 2 * (image - target).detach() * weights[..., None] / (3 * weights.sum())
    torch.testing.assert_close(image.grad, expected)


def test_the_loss_of_edges_is_the_mean_of_squared_changes() -> None:
    g = torch.Generator().manual_seed(1)
    image, target = (torch.rand(6, 7, 3, generator=g, dtype=torch.float64) for _ in range(2))
    settings, d = AdaptSettings(edge_weight=0.7), image - target
    down, right = ((d[1:] - d[:-1]) ** 2).mean(), ((d[:, 1:] - d[:, :-1]) ** 2).mean()
    found = adaptation_loss(image, target, settings)
    torch.testing.assert_close(found.loss, (d**2).mean() + 0.7 * (down + right))
    assert found.psnr == pytest.approx(-10 * float((d**2).mean().log10()))
    apart = adaptation_loss(image, target, settings, spacing=2).loss
    down, right = ((d[2:] - d[:-2]) ** 2).mean(), ((d[:, 2:] - d[:, :-2]) ** 2).mean()
    torch.testing.assert_close(apart, (d**2).mean() + 0.7 * (down + right))
    assert adaptation_loss(image[:1, :1], target[:1, :1], settings).loss == (d[0, 0] ** 2).mean()
    # Only pairs of pixels that both count.
    weights = torch.ones(6, 7)
    weights[2, 3] = 0
    holes = target.clone()
    holes[2, 3] = torch.nan
    pairs = [(y, x, v, u) for y in range(6) for x in range(7) for v, u in ((y + 1, x), (y, x + 1))]
    kept = [p for p in pairs if p[2] < 6 and p[3] < 7 and (2, 3) not in (p[:2], p[2:])]
    sides = [[p for p in kept if p[0] != p[2]], [p for p in kept if p[1] != p[3]]]
    means = [torch.stack([(d[v, u] - d[y, x]) ** 2 for y, x, v, u in s]).mean() for s in sides]
    plain = (d**2)[weights > 0].mean()
    some = adaptation_loss(image, holes, settings, weights)
    torch.testing.assert_close(some.loss, plain + 0.7 * sum(means))
    leaf = image.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: adaptation_loss(x, holes, settings, weights).loss, (leaf,)
    )


def test_mip_tuning_learns_behind_the_filters(splats: Splats, views: MadeViews) -> None:
    train = indices_of(views.splits, "train")
    cameras = views.cameras[train]

    def off(result: AdaptResult) -> float:
        candidate = mip_tuned_candidate(result, cameras)
        with torch.no_grad():
            renderings = render(candidate.splats, cameras, candidate.settings)
        photos = [views.image(i) / 255 for i in train]
        pairs = zip(renderings, photos, strict=True)
        return float(np.mean([((r.colors - p) ** 2).mean() for r, p in pairs]))

    assert off(mip_tuned(splats, views, iterations=60)) < 0.5 * off(
        mip_tuned(splats, views, iterations=1)
    )


def test_bytes_and_histograms_are_of_the_parameters(splats: Splats) -> None:
    assert splat_bytes(splats) == 300 * (3 + 4 + 3 + 1 + 3 + 9) * 4
    counts = opacity_histogram(splats)
    assert (counts[0], counts[-1]) == (20, 280)


def test_bad_input_is_refused_before_any_work(splats: Splats, views: MadeViews) -> None:
    pseudo = pseudo_of(splats, views, HALF)
    targets = pseudo.targets(range(len(views)))
    for scale, name in ((HALF, "phases"), (DOUBLE, "photo_weight")):
        with pytest.raises(InputError, match=f"{name} .* needs pictures of the base size"):
            adapt(splats, targets, QUICK, scale=scale, train_cameras=views.cameras)
    plain = replace(QUICK, phases=1)
    with pytest.raises(InputError, match="give train_cameras"):
        adapt(splats, targets, plain, scale=HALF)
    with pytest.raises(InputError, match="model without any"):
        adapt(splats.select(torch.zeros(0, dtype=torch.long)), targets, QUICK)
    with pytest.raises(InputError, match="a picture for each"):
        Targets(cameras=pseudo.cameras, colors=pseudo.colors[:3])
    with pytest.raises(InputError, match=r"should have shape \(16, 20, 3\)"):
        Targets(cameras=pseudo.cameras, colors=[torch.zeros(3, 4, 3)] * 12)
    with pytest.raises(InputError, match="at least 2 training views"):
        adapt(splats, pseudo.targets([0]), plain, scale=HALF, train_cameras=views.cameras)
