"""The rasteriser in plain PyTorch draws what all others draw."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ops.rendering.bench.torch_tiles import render_torch_tiles
from ops.rendering.interface import RenderSettings
from ops.rendering.reference import render_reference
from ops.rendering.render import render


def see_through(splats):
    """The splats so faint that no pixel is finished early."""
    return replace(splats, opacity_logits=splats.opacity_logits.clamp(max=-1.5))


def safe(reference):
    """Pixels where rounding decides nothing."""
    return reference.margin > 1e-3


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("image", [(48, 32), (45, 37), (7, 5)])
def test_images_agree_with_the_reference(make, image, mode):
    splats, cameras = see_through(make.splats(120)), make.cameras([image])
    settings = RenderSettings(mode=mode)
    found = render_torch_tiles(splats, cameras, settings)
    exact = cameras.to(dtype=torch.float64)
    reference = render_reference(
        splats.to(dtype=torch.float64), exact.viewmats[0], exact.Ks[0], *image, settings
    )
    good = safe(reference)
    assert good.float().mean() > 0.9
    assert found.shape == (image[1], image[0], 3)
    assert (found - reference.colors)[good].abs().max() < 1e-4
    ours = render(splats, cameras, settings)[0].colors
    assert (found - ours)[good].abs().max() < 1e-4


def test_gradients_agree_with_the_reference(make):
    image, settings = (40, 30), RenderSettings()
    start, cameras = see_through(make.splats(60, seed=2)), make.cameras([image])
    exact = cameras.to(dtype=torch.float64)
    precise = make.trainable(start.to(dtype=torch.float64))
    reference = render_reference(precise, exact.viewmats[0], exact.Ks[0], *image, settings)
    weights = torch.linspace(-1, 2, reference.colors.numel()).reshape(reference.colors.shape)
    weights = weights * safe(reference)[..., None]
    (reference.colors * weights).sum().backward()
    splats = make.trainable(start)
    (render_torch_tiles(splats, cameras) * weights).sum().backward()
    for name, tensor in splats.tensors().items():
        assert make.relative(tensor.grad, precise.tensors()[name].grad) < 1e-4, name


def test_what_stops_early_weighs_less_than_the_stop(make):
    splats, cameras = make.splats(400, size=0.3), make.cameras([(48, 32)])
    found = render_torch_tiles(splats, cameras)
    ours = render(splats, cameras)[0]
    assert ours.alphas.max() > 0.999
    exact = cameras.to(dtype=torch.float64)
    reference = render_reference(
        *(splats.to(dtype=torch.float64), exact.viewmats[0], exact.Ks[0], 48, 32),
        RenderSettings(),
    )
    good = safe(reference)
    assert good.float().mean() > 0.5
    assert (found - ours.colors)[good].abs().max() < 1e-3  # 1e-4 times colours above 1


def test_nothing_to_see(make):
    cameras = make.cameras([(20, 18)])
    cameras.viewmats[:, 2, 3] -= 50
    assert not render_torch_tiles(make.splats(5), cameras).any()
