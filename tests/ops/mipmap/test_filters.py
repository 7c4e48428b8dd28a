import math
from fractions import Fraction

import pytest
import torch

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.filters import (
    balanced,
    dilation_error,
    mip_filtered,
    mip_render_settings,
    sampling_rates,
    scale_matched,
    smooth,
)
from ops.mipmap.scales import scaled_cameras
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats, rgb_to_sh0

from .conftest import cameras_around

SCALES = [Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1), *map(Fraction, (2, 4, 8))]
# methods/mipmap notes: rows by sigma in base pixels, columns by scale.
TABLE = {
    0.2: (56.6, 14.2, 3.65, 1, 0.34, 0.17, 0.13),
    0.5: (35.4, 9.18, 2.64, 1, 0.59, 0.49, 0.46),
    1.0: (15.5, 4.46, 1.69, 1, 0.83, 0.78, 0.77),
    2.0: (5.40, 2.05, 1.21, 1, 0.95, 0.93, 0.93),
}


def one_splat(sigma: float, opacity: float, focal: float = 100.0, depth: float = 5.0) -> Splats:
    """A round white splat of ``sigma`` pixels in front of :func:`facing`."""
    return Splats(
        means=torch.tensor([[0.0, 0.0, depth]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), math.log(sigma * depth / focal)),
        opacity_logits=torch.full((1,), math.log(opacity / (1 - opacity))),
        sh0=rgb_to_sh0(torch.ones(1, 1, 3)),
        shN=torch.zeros(1, 0, 3),
    )


def facing(size: int = 96, focal: float = 100.0) -> Cameras:
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Cameras(
        viewmats=torch.eye(4)[None], Ks=K[None], widths=(size,), heights=(size,), names=("a",)
    )


def integrated(splats: Splats, scale: Fraction, how: RenderSettings | None = None) -> float:
    return float(render(splats, scaled_cameras(facing(), scale), how)[0].alphas.double().sum())


@pytest.mark.parametrize("sigma", TABLE)
def test_the_closed_form_is_the_table(sigma: float) -> None:
    for scale, expected in zip(SCALES, TABLE[sigma], strict=True):
        assert dilation_error(sigma, float(scale)) == pytest.approx(expected, rel=0.015, abs=0.005)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("scale", SCALES)
def test_a_rendered_splat_is_as_wrong_as_the_closed_form_says(
    sigma: float, scale: Fraction
) -> None:
    splat = one_splat(sigma, 0.9)
    s2 = float(scale) ** 2
    found = integrated(splat, scale) / (s2 * integrated(splat, Fraction(1)))
    # The cut of alpha below 1/255 and few pixels under the footprint cost a little.
    assert found == pytest.approx(dilation_error(sigma, float(scale)), rel=0.02)


@pytest.mark.parametrize("scale", [Fraction(2), Fraction(4), Fraction(8)])
def test_a_balanced_splat_covers_as_much_as_at_the_base_above(scale: Fraction) -> None:
    splat = one_splat(0.7, 0.9)
    rates = sampling_rates(splat.means, facing())
    for model, how in (
        (balanced(splat, rates, scale), None),
        (splat, scale_matched(scale)),
    ):
        found = integrated(model, scale, how) / (float(scale) ** 2 * integrated(splat, Fraction(1)))
        assert found == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1, 4)])
def test_a_balanced_splat_covers_as_much_as_at_the_base_below(scale: Fraction) -> None:
    splat = one_splat(1.5, 0.9)
    found = integrated(balanced(splat, sampling_rates(splat.means, facing()), scale), scale)
    assert found / (float(scale) ** 2 * integrated(splat, Fraction(1))) == pytest.approx(1, rel=0.1)


def test_balancing_for_the_base_scale_changes_nothing(splats: Splats) -> None:
    rates = sampling_rates(splats.means, cameras_around(4, 40, 32))
    same = balanced(splats, rates, Fraction(1))
    torch.testing.assert_close(same.log_scales, splats.log_scales)
    assert torch.equal(same.opacity_logits, splats.opacity_logits)


def test_sampling_rates_are_the_highest_of_those_that_see() -> None:
    near, far = facing(), facing()
    far.viewmats[0, 2, 3] = 5.0  # sees everything 5 further away
    cameras = Cameras(
        viewmats=torch.cat([near.viewmats, far.viewmats]),
        Ks=torch.cat([near.Ks, far.Ks]),
        widths=(96, 96),
        heights=(96, 96),
        names=("a", "b"),
    )
    # In both; beside the first by more than 15 %, so in the second alone; behind both.
    means = torch.tensor([[0.0, 0, 5], [4.0, 0, 5], [0.0, 0, -20]])
    found = sampling_rates(means, cameras)
    torch.testing.assert_close(found, torch.tensor([20.0, 10.0, 10.0]))
    with pytest.raises(InputError, match="none of 2 cameras sees any of 1"):
        sampling_rates(means[2:], cameras)


def test_smoothing_is_the_paper_in_float64() -> None:
    g = torch.Generator().manual_seed(0)
    log_scales = torch.randn(20, 3, generator=g, dtype=torch.float64) - 2
    logits = torch.randn(20, generator=g, dtype=torch.float64) * 3
    rates = torch.rand(20, generator=g, dtype=torch.float64) * 20 + 1
    made = Splats(
        means=torch.zeros(20, 3, dtype=torch.float64),
        quats=torch.ones(20, 4, dtype=torch.float64),
        log_scales=log_scales,
        opacity_logits=logits,
        sh0=torch.zeros(20, 1, 3, dtype=torch.float64),
        shN=torch.zeros(20, 0, 3, dtype=torch.float64),
    )
    found = smooth(made, rates)
    covariances = torch.diag_embed(made.scales**2)
    wider = covariances + torch.eye(3) * (0.2 / rates**2)[:, None, None]
    torch.testing.assert_close(torch.diag_embed(found.scales**2), wider)
    ratio = torch.sqrt(torch.linalg.det(covariances) / torch.linalg.det(wider))
    torch.testing.assert_close(found.opacities, made.opacities * ratio)
    none = smooth(made, rates, 0.0)
    torch.testing.assert_close(none.opacities, made.opacities)
    with pytest.raises(InputError, match="a sampling rate for each of 20"):
        smooth(made, rates[:3])


def test_smoothing_passes_gradients(splats: Splats) -> None:
    rates = torch.rand(5, dtype=torch.float64) * 10 + 5
    few = splats.select(torch.arange(5)).to(dtype=torch.float64)

    def filtered(scales: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        changed = Splats(
            means=few.means,
            quats=few.quats,
            log_scales=scales,
            opacity_logits=logits,
            sh0=few.sh0,
            shN=few.shN,
        )
        out = smooth(changed, rates)
        return out.log_scales, out.opacity_logits

    inputs = (few.log_scales.requires_grad_(), few.opacity_logits.requires_grad_())
    assert torch.autograd.gradcheck(filtered, inputs)


def test_the_mip_filters_keep_energy_where_the_dilation_does_not() -> None:
    splat = one_splat(1.5, 0.9)
    filtered, how = mip_filtered(splat, facing())
    assert how == mip_render_settings()
    assert (how.mode, how.eps2d) == ("antialiased", 0.1)
    full = integrated(filtered, Fraction(1), how)
    small = integrated(filtered, Fraction(1, 4), how) * 16
    assert small == pytest.approx(full, rel=0.1)
    assert integrated(splat, Fraction(1, 4)) * 16 > 2 * integrated(splat, Fraction(1))
