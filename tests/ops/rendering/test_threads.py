"""The same bytes whatever the number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ops.rendering.interface import RenderSettings
from ops.rendering.render import checked, differentiate, render


def _everything(make, settings, features) -> dict[str, bytes]:
    splats = make.trainable(make.splats(3000, features=features, degree=2, size=0.03))
    cameras = make.cameras([(70, 61)])
    cameras.viewmats.requires_grad_()
    background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    [seen] = render(splats, cameras, settings, background)
    outputs = [seen.colors, seen.alphas, seen.features, seen.expected_depth]
    loss = sum((o * torch.linspace(-1, 2, o.numel()).reshape(o.shape)).sum() for o in outputs)
    loss.backward()
    found = {
        "colors": seen.colors,
        "alphas": seen.alphas,
        "features": seen.features,
        "expected_depth": seen.expected_depth,
        "median_depth": seen.median_depth,
        "radii": seen.screen.radii,
        "means2d": seen.screen.means2d.grad,
        "absgrad": seen.screen.means2d.absgrad,
        "viewmats": cameras.viewmats.grad,
        "background": background.grad,
        **{k: v.grad for k, v in splats.tensors().items()},
    }
    return {k: v.detach().contiguous().numpy().tobytes() for k, v in found.items()}


@pytest.mark.parametrize(
    ("mode", "features"), [("classic", 3), ("antialiased", 3), ("classic", 21)]
)
def test_same_bytes_for_any_number_of_threads(make, torch_threads, mode, features):
    settings = RenderSettings(mode=mode, expected_depth=True, median_depth=True, absgrad=True)
    torch_threads(1)
    one = _everything(make, settings, features)
    for count in (2, 3, 7):
        torch_threads(count)
        several = _everything(make, settings, features)
        assert [k for k in one if one[k] != several[k]] == []


def test_several_renderings_at_once(make, torch_threads):
    torch_threads(2)
    splats, cameras = make.splats(2000, size=0.03), make.cameras([(64, 48)])
    [alone] = render(splats, cameras)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: render(splats, cameras)[0].colors, range(12)))
    assert all(torch.equal(alone.colors, other) for other in together)


@pytest.mark.parametrize("count", [5, 400])
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_without_a_graph_the_same_bytes(make, mode, count):
    """What training calls gives what `render` and `backward` give."""
    settings = RenderSettings(mode=mode, absgrad=True)
    splats, cameras = make.splats(count, features=2, degree=2), make.cameras([(70, 61)])
    background = torch.tensor([0.1, 0.2, 0.3])
    gradient = torch.linspace(-1, 2, 61 * 70 * 3).reshape(61, 70, 3)
    graph, direct = make.trainable(splats), make.trainable(splats)
    [seen] = render(graph, cameras, settings, background)
    seen.colors.backward(gradient)
    views = checked(direct, cameras, settings, background)
    found: list[torch.Tensor] = []

    def by_colors(colors):
        found.append(colors)
        return gradient

    screen = differentiate(direct, views, settings, by_colors)
    assert torch.equal(found[0], seen.colors)
    assert torch.equal(screen.radii, seen.screen.radii)
    assert torch.equal(screen.means2d.grad, seen.screen.means2d.grad)
    assert torch.equal(screen.means2d.absgrad, seen.screen.means2d.absgrad)
    for name, tensor in graph.tensors().items():
        assert torch.equal(getattr(direct, name).grad, tensor.grad), name
    assert screen.means2d.grad.any()
    differentiate(direct, views, settings, by_colors)  # gradients are added up
    assert torch.equal(direct.means.grad, 2 * graph.means.grad)
