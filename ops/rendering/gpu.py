"""One view on CUDA, by gsplat (Ye et al. 2024, https://arxiv.org/abs/2409.06765)."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ops.cameras import camera_centers
from ops.errors import UnavailableError
from ops.rendering.interface import OneView, Rendering, RenderSettings, ScreenSpace
from ops.splats.model import Splats

TILE = 16
CHANNELS_AT_ONCE = 32  # gsplat's own default; more runs out of shared memory on small cards
_BATCH = TILE * TILE  # Gaussians of a tile that rasterize_to_indices_in_range counts as one step
_STEPS = 16  # of these per call, for median depth


def _gsplat() -> ModuleType:
    """gsplat, with its CUDA code loaded. Only ever called with CUDA tensors at hand."""
    try:
        import gsplat
        from gsplat.cuda import _backend
    except Exception as error:
        raise UnavailableError(_how_to_get_it(str(error))) from error
    if getattr(_backend, "_C", None) is None:
        raise UnavailableError(_how_to_get_it("its CUDA code is not compiled"))
    module: ModuleType = gsplat
    return module


def _how_to_get_it(why: str) -> str:
    return (
        f"rendering on CUDA needs gsplat with its CUDA code, which cannot be loaded: {why}. "
        "Install the CUDA toolkit (nvcc) that torch was built with so that gsplat can compile it, "
        "or a prebuilt wheel from https://docs.gsplat.studio/whl, or render on the CPU with "
        "splats.to('cpu')"
    )


def render_view(splats: Splats, wanted: OneView) -> Rendering:
    """One view of splats on CUDA; see :func:`ops.rendering.render.render`.

    Args:
        splats: The Gaussians, on a CUDA device.
        wanted: What to draw of them.

    Raises:
        UnavailableError: When gsplat's CUDA code cannot be loaded.
    """
    gsplat = _gsplat()
    viewmat, K, width, height, settings, degree, background = wanted
    n_features = 0 if splats.features is None else splats.features.shape[1]
    if len(splats) == 0:
        given = None if splats.features is None else n_features
        return _blank(splats.means, given, width, height, settings, background)
    splats = _drawable(splats.to(dtype=torch.float32), degree)
    directions = splats.means - camera_centers(viewmat)
    colors = gsplat.spherical_harmonics(degree, directions, splats.sh_coeffs)
    channels = [torch.clamp_min(colors + 0.5, 0.0)]
    if splats.features is not None:
        channels.append(splats.features)
    total = 3 + n_features + settings.expected_depth
    blended, alphas, meta = gsplat.rasterization(
        means=splats.means,
        quats=splats.quats,
        scales=splats.scales,
        opacities=splats.opacities,
        colors=torch.cat(channels, dim=-1),
        viewmats=viewmat[None],
        Ks=K[None],
        width=width,
        height=height,
        near_plane=settings.near_plane,
        far_plane=settings.far_plane,
        eps2d=settings.eps2d,
        packed=False,
        tile_size=TILE,
        render_mode="RGB+ED" if settings.expected_depth else "RGB",
        absgrad=settings.absgrad,
        rasterize_mode=settings.mode,
        # The absolute gradients of several chunks would replace each other.
        channel_chunk=total if settings.absgrad else CHANNELS_AT_ONCE,
    )
    image, alpha = blended[0], alphas[0, ..., 0]
    rgb = image[..., :3]
    if background is not None:
        rgb = rgb + (1 - alpha)[..., None] * background
    median = None
    if settings.median_depth:
        with torch.no_grad():
            median = _median_depth(gsplat, meta, width, height)
    return Rendering(
        colors=rgb,
        alphas=alpha,
        features=None if splats.features is None else image[..., 3 : 3 + n_features],
        expected_depth=image[..., -1] if settings.expected_depth else None,
        median_depth=median,
        screen=_screen_space(meta, settings.absgrad),
    )


def _drawable(splats: Splats, degree: int) -> Splats:
    """The splats with the bases in use, and such as cannot be drawn made invisible.

    gsplat would pass their NaN on to pixels and gradients.
    """
    splats = replace(splats, shN=splats.shN[:, : (degree + 1) ** 2 - 1])
    named = splats.tensors()
    good = splats.quats.norm(dim=-1) > 0
    for tensor in named.values():
        good = good & torch.isfinite(tensor).reshape(len(tensor), -1).all(1)
    harmless = {"quats": 1.0, "opacity_logits": -30.0}
    return replace(
        splats,
        **{
            name: torch.where(
                good.reshape(-1, *[1] * (tensor.ndim - 1)), tensor, harmless.get(name, 0.0)
            )
            for name, tensor in named.items()
        },
    )


def _blank(
    like: Tensor,
    n_features: int | None,
    width: int,
    height: int,
    settings: RenderSettings,
    background: Tensor | None,
) -> Rendering:
    """What no Gaussians look like."""
    plane = like.new_zeros(height, width)
    colors = plane[..., None].expand(height, width, 3)
    return Rendering(
        colors=colors.clone() if background is None else colors + background,
        alphas=plane,
        features=None if n_features is None else plane.new_zeros(height, width, n_features),
        expected_depth=plane.clone() if settings.expected_depth else None,
        median_depth=plane.clone() if settings.median_depth else None,
        screen=ScreenSpace(
            means2d=plane.new_zeros(0, 2),
            radii=torch.zeros(0, 2, dtype=torch.int32, device=like.device),
        ),
    )


def _screen_space(meta: dict[str, Any], absgrad: bool) -> ScreenSpace:
    """A leaf [N, 2] that is handed the gradient of gsplat's [1, N, 2]."""
    means2d: Tensor = meta["means2d"]
    leaf = means2d[0].detach().clone().requires_grad_(means2d.requires_grad)

    def hand_over(gradient: Tensor) -> None:
        leaf.grad = gradient[0].clone() if leaf.grad is None else leaf.grad + gradient[0]
        if absgrad:
            absolute = means2d.absgrad[0]  # type: ignore[attr-defined]
            before = getattr(leaf, "absgrad", None)
            leaf.absgrad = (  # type: ignore[attr-defined]
                absolute.clone() if before is None else before + absolute
            )

    if means2d.requires_grad:
        means2d.register_hook(hand_over)
    return ScreenSpace(means2d=leaf, radii=meta["radii"][0])


def _median_depth(gsplat: ModuleType, meta: dict[str, Any], width: int, height: int) -> Tensor:
    """[H, W] depth of the Gaussian at which transmittance falls below one half, else 0.

    gsplat does not render it. It does list, in depth order, which Gaussians a pixel meets; from
    these the transmittance is followed in steps of a few thousand Gaussians per tile.
    """
    means2d, conics, opacities = meta["means2d"], meta["conics"], meta["opacities"]
    depths = meta["depths"][0]
    offsets, flatten_ids = meta["isect_offsets"], meta["flatten_ids"]
    median = depths.new_zeros(height * width)
    logs = torch.zeros(height * width, dtype=torch.float64, device=depths.device)
    ends = torch.cat([offsets.flatten()[1:], offsets.new_tensor([len(flatten_ids)])])
    longest = int((ends - offsets.flatten()).max()) if len(flatten_ids) else 0
    for step in range(0, -(-longest // _BATCH), _STEPS):
        ids, pixels, _ = gsplat.rasterize_to_indices_in_range(
            step,
            step + _STEPS,
            logs.exp().to(torch.float32).reshape(1, height, width),
            *(means2d, conics, opacities, width, height, TILE, offsets, flatten_ids),
        )
        if len(ids) == 0:
            continue
        order = torch.argsort(pixels, stable=True)
        ids, pixels = ids[order], pixels[order]
        dx = pixels % width + 0.5 - means2d[0, ids, 0]
        dy = pixels // width + 0.5 - means2d[0, ids, 1]
        a, b, c = conics[0, ids].unbind(-1)
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = (opacities[0, ids] * torch.exp(-sigma)).clamp(max=0.999)
        running = torch.cumsum(torch.log1p(-alpha.double()), dim=0)
        first = torch.ones_like(pixels, dtype=torch.bool)
        first[1:] = pixels[1:] != pixels[:-1]
        # What the running sum was before the first entry of each pixel.
        start = torch.cummax(torch.where(first, torch.arange(len(ids), device=ids.device), 0), 0)[0]
        before_pixel = torch.where(start > 0, running[(start - 1).clamp(min=0)], 0.0)
        after = logs[pixels] + running - before_pixel
        before = after - torch.log1p(-alpha.double())
        half = torch.log(torch.tensor(0.5, dtype=torch.float64, device=ids.device))
        crossed = (before >= half) & (after < half)
        median[pixels[crossed]] = depths[ids[crossed]]
        last = torch.ones_like(first)
        last[:-1] = first[1:]
        logs[pixels[last]] = after[last]
    return median.reshape(height, width)
