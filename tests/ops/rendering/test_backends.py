"""The CUDA path: against the CPU renderer on a GPU, and its own code against a stand-in without."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from ops.rendering import gpu
from ops.rendering.interface import Rendering, RenderSettings
from ops.rendering.render import checked, render

SETTINGS = RenderSettings(expected_depth=True, median_depth=True, absgrad=True)
IMAGES = ("colors", "alphas", "features", "expected_depth", "median_depth")


def _loss(seen: Rendering) -> Tensor:
    outputs = [getattr(seen, name) for name in IMAGES[:-1]]
    return sum(
        (o * torch.linspace(-1, 2, o.numel(), device=o.device).reshape(o.shape)).sum()
        for o in outputs
    )


@pytest.mark.cuda
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("features", [2, 40])
def test_cuda_and_cpu_agree(make, mode, features):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    settings = replace(SETTINGS, mode=mode)
    seen, grads = {}, {}
    for device in ("cpu", "cuda"):
        splats = make.trainable(make.splats(300, features=features).to(device))
        cameras = make.cameras([(70, 50), (33, 64)])
        background = torch.tensor([0.1, 0.5, 0.8])
        views = render(splats, cameras, settings, background)
        sum(_loss(v) for v in views).backward()
        seen[device] = views
        grads[device] = {k: v.grad.cpu() for k, v in splats.tensors().items()}
        for c, view in enumerate(views):
            grads[device][f"means2d {c}"] = view.screen.means2d.grad.cpu()
            grads[device][f"absgrad {c}"] = view.screen.means2d.absgrad.cpu()
    for a, b in zip(seen["cpu"], seen["cuda"], strict=True):
        for name in IMAGES:
            difference = (getattr(a, name) - getattr(b, name).cpu()).abs()
            assert difference.flatten().quantile(0.99) < 1e-4, name  # jumps may fall either way
        assert ((a.screen.radii > 0).all(1) == (b.screen.radii.cpu() > 0).all(1)).all()
    for name, gradient in grads["cpu"].items():
        assert make.relative(grads["cuda"][name], gradient) < 1e-2, name


class _StandIn:
    """gsplat's functions as the CUDA path calls them, with gsplat's own torch code where it has it.

    A single tile; "batches" are of ``gpu._BATCH`` Gaussians.
    """

    def __init__(self) -> None:
        self.impl = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is missing")
        self.calls: list[dict] = []

    def spherical_harmonics(self, degree, directions, coefficients):
        normalized = torch.nn.functional.normalize(directions, dim=-1)
        return self.impl._spherical_harmonics(degree, normalized, coefficients)

    def _alpha(self, i, pixels_x, pixels_y, means2d, conics, opacities):
        dx, dy = pixels_x - means2d[0, i, 0], pixels_y - means2d[0, i, 1]
        a, b, c = conics[0, i]
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        return (opacities[0, i] * torch.exp(-sigma)).clamp(max=0.999)

    def rasterization(self, **given):
        self.calls.append(given)
        g = SimpleNamespace(**given)
        covariances, _ = self.impl._quat_scale_to_covar_preci(g.quats, g.scales, True, False)
        radii, means2d, depths, conics, factors = self.impl._fully_fused_projection(
            *(g.means, covariances, g.viewmats, g.Ks, g.width, g.height),
            eps2d=g.eps2d,
            near_plane=g.near_plane,
            far_plane=g.far_plane,
            calc_compensations=g.rasterize_mode == "antialiased",
        )
        opacities = g.opacities[None] if factors is None else g.opacities[None] * factors
        # As in CUDA, where the projection is given opacities; in torch code it is not.
        radii = radii * (opacities >= 1 / 255)[..., None].int()
        if means2d.requires_grad and g.absgrad:
            # CUDA sets it during backward, before hooks on the gradient run.
            means2d.register_hook(lambda v: setattr(means2d, "absgrad", v.abs()))
        ys, xs = torch.meshgrid(
            torch.arange(g.height) + 0.5, torch.arange(g.width) + 0.5, indexing="ij"
        )
        channels = torch.cat([g.colors, depths[0][:, None]], dim=-1)
        image, T = torch.zeros(g.height, g.width, channels.shape[1]), torch.ones(g.height, g.width)
        done = torch.zeros(g.height, g.width, dtype=torch.bool)
        order = torch.argsort(depths[0])
        order = order[(radii[0] > 0).all(-1)[order]]
        for i in order.tolist():
            alpha = self._alpha(i, xs, ys, means2d, conics, opacities)
            hit = (alpha >= 1 / 255) & ~done
            done = done | (hit & (T * (1 - alpha) <= 1e-4))
            alpha = torch.where(hit & ~done, alpha, 0.0)
            image = image + (T * alpha)[..., None] * channels[i]
            T = T * (1 - alpha)
        if g.render_mode == "RGB+ED":
            image = torch.cat(
                [image[..., :-1], image[..., -1:] / (1 - T[..., None]).clamp(1e-10)], -1
            )
        else:
            image = image[..., :-1]
        meta = {
            **{"means2d": means2d, "radii": radii, "conics": conics, "opacities": opacities},
            **{"depths": depths, "isect_offsets": torch.zeros(1, 1, 1, dtype=torch.int32)},
            "flatten_ids": order,
        }
        return image[None], (1 - T)[None, ..., None], meta

    def rasterize_to_indices_in_range(
        self, start, end, T, means2d, conics, opacities, width, height, tile, offsets, flatten_ids
    ):
        ids, pixels = [], []
        for pixel in range(width * height):
            y, x = divmod(pixel, width)
            left = T[0, y, x]
            for i in flatten_ids[start * gpu._BATCH : end * gpu._BATCH].tolist():
                alpha = self._alpha(i, x + 0.5, y + 0.5, means2d, conics, opacities)
                if alpha < 1 / 255:
                    continue
                left = left * (1 - alpha)
                if left <= 1e-4:
                    break
                ids.append(i)
                pixels.append(pixel)
        found = torch.tensor([ids, pixels], dtype=torch.int64).reshape(2, -1)
        return found[0], found[1], torch.zeros_like(found[0])


@pytest.fixture
def stand_in(monkeypatch) -> _StandIn:
    stand_in = _StandIn()
    monkeypatch.setattr(gpu, "_gsplat", lambda: stand_in)
    monkeypatch.setattr(gpu, "_BATCH", 4)
    monkeypatch.setattr(gpu, "_STEPS", 2)
    return stand_in


def _on_the_cuda_path(splats, cameras, settings, background=None) -> Rendering:
    return gpu.render_view(splats, checked(splats, cameras, settings, background).of(0, settings))


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_same_results_through_gsplats_functions(make, stand_in, mode):
    settings = replace(SETTINGS, mode=mode, sh_degree=2)
    cameras, background = make.cameras([(24, 20)]), torch.tensor([0.1, 0.5, 0.8])
    a, b = (make.trainable(make.splats(50, features=3)) for _ in range(2))
    [cpu] = render(a, cameras, settings, background)
    cuda = _on_the_cuda_path(b, cameras, settings, background)
    for name in IMAGES:
        assert (getattr(cpu, name) - getattr(cuda, name)).abs().max() < 1e-4, name
    assert torch.equal((cpu.screen.radii > 0).all(1), (cuda.screen.radii > 0).all(1))
    assert cuda.screen.means2d.shape == (50, 2)
    _loss(cpu).backward()
    _loss(cuda).backward()
    for name, tensor in a.tensors().items():
        assert make.relative(tensor.grad, b.tensors()[name].grad) < 1e-3, name
    assert make.relative(cpu.screen.means2d.grad, cuda.screen.means2d.grad) < 1e-3
    assert torch.equal(cuda.screen.means2d.absgrad, cuda.screen.means2d.grad.abs())


def test_gradients_are_handed_over_and_add_up(make, stand_in):
    splats = make.trainable(make.splats(10))
    seen = _on_the_cuda_path(splats, make.cameras([(12, 12)]), SETTINGS)
    seen.screen.means2d.retain_grad()
    seen.colors.sum().backward(retain_graph=True)
    once = seen.screen.means2d.grad.clone()
    seen.colors.sum().backward()
    assert torch.allclose(seen.screen.means2d.grad, 2 * once)
    assert torch.allclose(seen.screen.means2d.absgrad, 2 * once.abs())


def test_broken_gaussians_are_kept_from_gsplat(make, stand_in):
    splats, cameras = make.splats(12, features=2), make.cameras([(12, 12)])
    broken = {name: t.clone() for name, t in splats.tensors().items()}
    for i, name in enumerate(broken):
        broken[name][i] = float("nan")
    broken["quats"][len(broken)] = 0
    broken["shN"][11, 8:] = float("inf")  # of degree 3, which is not used
    splats = make.trainable(replace(splats, **broken))
    settings = replace(SETTINGS, sh_degree=2)
    seen = _on_the_cuda_path(splats, cameras, settings)
    assert (seen.screen.radii[: len(broken) + 1] == 0).all()
    [expected] = render(splats, cameras, settings)
    assert (seen.colors - expected.colors).abs().max() < 1e-5
    _loss(seen).backward()
    for name, tensor in splats.tensors().items():
        assert torch.isfinite(tensor.grad).all(), name


def test_no_gaussians_and_no_gradients(make, stand_in):
    none = make.splats(3, features=2).select(torch.zeros(3, dtype=torch.bool))
    seen = _on_the_cuda_path(none, make.cameras([(5, 4)]), SETTINGS, torch.ones(3))
    assert torch.equal(seen.colors, torch.ones(4, 5, 3))
    assert seen.features.shape == (4, 5, 2)
    with torch.no_grad():
        seen = _on_the_cuda_path(make.splats(3, features=2), make.cameras([(5, 4)]), SETTINGS)
    assert not seen.screen.means2d.requires_grad


def test_gsplat_takes_what_it_is_given(make, stand_in):
    gsplat = pytest.importorskip("gsplat", reason="gsplat is missing")
    _on_the_cuda_path(make.splats(3, features=40), make.cameras([(5, 4)]), SETTINGS)
    [call] = stand_in.calls
    inspect.signature(gsplat.rasterization).bind(**call)  # raises where an argument is unknown
    assert call["channel_chunk"] == 44  # one chunk, or absolute gradients would be lost
    assert call["packed"] is False
    parameters = inspect.signature(gsplat.rasterize_to_indices_in_range).parameters
    expected = inspect.signature(stand_in.rasterize_to_indices_in_range).parameters
    assert len(parameters) == len(expected)
