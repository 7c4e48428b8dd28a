import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ops.rendering.interface import ScreenSpace
from ops.splats.initialise import as_parameters
from ops.splats.model import Splats
from ops.splats.optimise import make_optimisers, take_step
from ops.splats.settings import TrainSettings
from ops.splats.strategies import Densification, covariances, relocation

CPU = torch.device("cpu")


def exact_relocation(opacity: float, scale: float, ratio: int) -> tuple[float, float]:
    """Equation 9 of 3DGS-MCMC as printed, with sums in exact arithmetic."""
    new = 1 - (1 - opacity) ** (1 / ratio)
    o = Fraction(new)
    total = 0.0
    for k in range(ratio):
        inner = sum(Fraction(math.comb(i - 1, k)) for i in range(k + 1, ratio + 1))
        term = inner * (-1) ** k * o ** (k + 1)
        total += float(term) / math.sqrt(k + 1)
    return new, opacity / total * scale


@given(
    opacity=st.floats(0.006, 0.9999),
    scale=st.floats(1e-4, 1e3),
    ratio=st.integers(1, 20),
)
def test_relocation_is_the_papers_equation(opacity: float, scale: float, ratio: int) -> None:
    new, scales = relocation(
        torch.tensor([opacity], dtype=torch.float64),
        torch.full((1, 3), scale, dtype=torch.float64),
        torch.tensor([ratio]),
    )
    expected_opacity, expected_scale = exact_relocation(opacity, scale, ratio)
    assert float(new) == pytest.approx(expected_opacity, rel=1e-9)
    assert scales[0].tolist() == pytest.approx([expected_scale] * 3, rel=1e-7)


def test_relocation_of_one_changes_nothing() -> None:
    opacities, scales = torch.tensor([0.01, 0.5, 0.99]), torch.rand(3, 3)
    new, new_scales = relocation(opacities, scales, torch.ones(3, dtype=torch.int64))
    torch.testing.assert_close(new, opacities)
    torch.testing.assert_close(new_scales, scales)


def test_relocated_gaussians_are_as_opaque_together_in_the_middle() -> None:
    opacities, ratios = torch.tensor([0.3, 0.8, 0.95]), torch.tensor([2, 7, 51])
    new, scales = relocation(opacities, torch.ones(3, 3), ratios)
    torch.testing.assert_close(1 - (1 - new) ** ratios, opacities)
    assert torch.isfinite(scales).all()


def test_covariances_against_quaternion_rotation() -> None:
    """A quarter turn about z takes the x axis to y; length of the quaternion does not matter."""
    half = math.sqrt(0.5)
    found = covariances(torch.tensor([[2 * half, 0, 0, 2 * half]]), torch.tensor([[3.0, 2, 1]]))
    torch.testing.assert_close(found[0], torch.diag(torch.tensor([4.0, 9, 1])))


def model(count: int, seed: int = 0) -> Splats:
    random = torch.Generator().manual_seed(seed)
    return Splats(
        means=torch.randn(count, 3, generator=random),
        quats=torch.randn(count, 4, generator=random),
        log_scales=torch.full((count, 3), -6.0),
        opacity_logits=torch.zeros(count),
        sh0=torch.rand(count, 1, 3, generator=random),
        shN=torch.zeros(count, 3, 3),
    )


class Bench:
    """A densification with parameters that have taken a step, and a view to tell it about."""

    def __init__(self, settings: TrainSettings, splats: Splats) -> None:
        self.parameters: dict[str, Tensor] = as_parameters(splats)
        self.optimisers = make_optimisers(self.parameters, settings, 1.0)
        self.densification = Densification(settings, 1.0, CPU)

    def step(self, step: int, gradient: Tensor | None = None) -> None:
        count = len(self.parameters["means"])
        for value in self.parameters.values():
            value.grad = torch.ones_like(value)
        take_step(self.optimisers)
        means2d = torch.zeros(count, 2)
        means2d.grad = torch.zeros(count, 2) if gradient is None else gradient
        screen = ScreenSpace(means2d=means2d, radii=torch.ones(count, 2, dtype=torch.int32))
        self.densification.after_backward(
            self.parameters, self.optimisers, step, screen, (100, 50), 1e-3
        )

    def sizes(self) -> set[int]:
        sizes = {len(v) for v in self.parameters.values()}
        for optimiser in self.optimisers.values():
            (parameter,) = optimiser.param_groups[0]["params"]
            sizes |= {len(parameter), len(optimiser.state[parameter]["exp_avg"])}
        return sizes


def settings(**values: object) -> TrainSettings:
    defaults = {"densify_start": 0, "densify_every": 10, "densify_stop": 100, "reset_every": 0}
    return TrainSettings.from_preset("standard", **{**defaults, **values})


def test_default_clones_small_and_splits_large_gaussians_with_a_high_gradient() -> None:
    splats = model(30)
    splats.log_scales[:4] = math.log(0.5)  # large for a scene of extent 1
    bench = Bench(settings(scales_lr=0.0), splats)
    gradient = torch.zeros(30, 2)
    gradient[:10] = 1
    before = bench.parameters["means"].detach().clone()
    bench.step(10, gradient)
    # 6 small ones cloned, 4 large ones replaced by two each.
    assert bench.sizes() == {30 + 6 + 4}
    moved = bench.parameters["means"].detach()[-8:] - before[:4].repeat(2, 1)
    assert (moved.abs().sum(dim=1) > 0).all()
    torch.testing.assert_close(
        bench.parameters["scales"].detach()[-8:].exp(), torch.full((8, 3), 0.5 / 1.6)
    )


def test_low_gradients_add_nothing() -> None:
    bench = Bench(settings(), model(30))
    bench.step(10)
    assert bench.sizes() == {30}


def test_default_stops_growing_at_the_limit() -> None:
    bench = Bench(settings(max_count=30), model(30))
    bench.step(10, torch.ones(30, 2))
    assert bench.sizes() == {30}


def test_default_prunes_transparent_gaussians() -> None:
    splats = model(30)
    splats.opacity_logits[:7] = -9.0
    bench = Bench(settings(), splats)
    bench.step(10)
    assert bench.sizes() == {23}


def test_opacities_are_reset_when_due() -> None:
    """gsplat 1.5.3 alone never resets them."""
    bench = Bench(settings(reset_every=15, opacities_lr=0.0), model(30))
    for step in range(14, 16):
        assert torch.allclose(bench.parameters["opacities"], torch.zeros(30))
        bench.step(step)
    torch.testing.assert_close(bench.parameters["opacities"].sigmoid(), torch.full((30,), 0.01))


def test_no_densification_when_it_is_off() -> None:
    bench = Bench(settings(densify=False), model(30))
    bench.step(10, torch.ones(30, 2))
    assert bench.sizes() == {30}


def test_mcmc_moves_the_transparent_and_grows_by_a_twentieth() -> None:
    splats = model(100)
    splats.opacity_logits[:20] = -9.0
    bench = Bench(settings(strategy="mcmc", opacities_lr=0.0, mcmc_noise_lr=0.0), splats)
    bench.step(10)
    assert bench.sizes() == {105}
    assert bool((bench.parameters["opacities"].sigmoid() > 0.005).all())
    assert all(bool(torch.isfinite(v).all()) for v in bench.parameters.values())


def test_mcmc_keeps_the_limit() -> None:
    bench = Bench(settings(strategy="mcmc", max_count=102), model(100))
    bench.step(10)
    assert bench.sizes() == {102}


def test_mcmc_noise_moves_transparent_gaussians_only() -> None:
    splats = model(100)
    splats.opacity_logits[:50], splats.opacity_logits[50:] = -9.0, 9.0
    bench = Bench(settings(strategy="mcmc", means_lr=0.0), splats)
    bench.step(3)
    moved = (bench.parameters["means"].detach() - splats.means).abs().sum(dim=1)
    assert (moved[:50] > 1e-5).all()
    assert moved[50:].max() < 1e-6


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_random_state_of_the_caller_is_left_alone(strategy: str) -> None:
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        torch.rand(7)
        splats = model(30)
        splats.log_scales[:4] = math.log(0.5)
        bench = Bench(settings(strategy=strategy), splats)
        here = torch.get_rng_state()
        bench.step(10, torch.ones(30, 2))
        assert torch.equal(here, torch.get_rng_state())
        results.append(bench.parameters["means"].detach().numpy().tobytes())
    torch.set_rng_state(before)
    assert results[0] == results[1]


def test_removal_keeps_statistics_and_moments_in_step() -> None:
    bench = Bench(settings(), model(30))
    bench.step(3, torch.arange(60.0).reshape(30, 2))
    kept = bench.densification.state["grad2d"][1:].clone()
    which = torch.zeros(30, dtype=torch.bool)
    which[0] = True
    bench.densification.remove(bench.parameters, bench.optimisers, which)
    assert bench.sizes() == {29}
    assert torch.equal(bench.densification.state["grad2d"], kept)
