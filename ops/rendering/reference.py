"""The definition of a rendering, in plain torch, one Gaussian after the other.

Written to be read and to be differentiated by autograd, in whatever precision it is given; slow.
What renderers of this project have to agree with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

MIN_ALPHA = 1 / 255
MAX_ALPHA = 0.999
STOP = 1e-4  # transmittance


@dataclass(frozen=True, kw_only=True)
class Projected:
    """N Gaussians in one image."""

    means2d: Tensor  # [N, 2] pixels
    depths: Tensor  # [N] z of the mean in the camera
    covariances: Tensor  # [N, 2, 2] pixels squared, with eps2d on the diagonal
    opacities: Tensor  # [N] peak opacity in this view
    drawn: Tensor  # [N] bool


@dataclass(frozen=True, kw_only=True)
class ReferenceRendering:
    """One view, and how far each pixel is from a jump of the rules."""

    colors: Tensor  # [H, W, 3]
    alphas: Tensor  # [H, W]
    features: Tensor | None  # [H, W, F]
    expected_depth: Tensor  # [H, W]
    median_depth: Tensor  # [H, W]
    margin: Tensor
    """[H, W] the smallest relative distance of an alpha to 1/255 or of a transmittance to the stop
    or to one half: where it is tiny, rounding may decide otherwise."""


def render_reference(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
    background: Tensor | None = None,
    offsets2d: Tensor | None = None,
) -> ReferenceRendering:
    """Renders one view.

    Args:
        splats: N Gaussians.
        viewmat: [4, 4] world to camera, OpenCV axes.
        K: [3, 3] intrinsics, pixels.
        width: Pixels.
        height: Pixels.
        settings: How to render; depths are always rendered.
        background: [3] or [H, W, 3]; None is black.
        offsets2d: [N, 2] added to the projected means: their gradient is that of means2d.
    """
    projected = project(splats, viewmat, K, width, height, settings)
    means2d = projected.means2d if offsets2d is None else projected.means2d + offsets2d
    degree = splats.sh_degree if settings.sh_degree is None else settings.sh_degree
    center = -viewmat[:3, :3].T @ viewmat[:3, 3]
    directions = torch.nn.functional.normalize(splats.means - center, dim=-1)
    values = [sh_colors(splats.sh_coeffs, directions, degree), projected.depths[:, None]]
    if splats.features is not None:
        values.append(splats.features)
    channels = torch.cat(values, dim=-1)

    like = splats.means
    ys, xs = torch.meshgrid(
        torch.arange(height).to(like) + 0.5, torch.arange(width).to(like) + 0.5, indexing="ij"
    )
    blended = like.new_zeros(height, width, channels.shape[1])
    transmittance = like.new_ones(height, width)
    finished = like.new_zeros(height, width, dtype=torch.bool)
    median = like.new_zeros(height, width)
    margin = like.new_full((height, width), torch.inf)

    order = torch.argsort(projected.depths, stable=True)
    for i in order[projected.drawn[order]].tolist():
        d = torch.stack([xs - means2d[i, 0], ys - means2d[i, 1]], dim=-1)
        inverse = torch.linalg.inv(projected.covariances[i])
        exponent = -0.5 * torch.einsum("hwi,ij,hwj->hw", d, inverse, d)
        alpha = (projected.opacities[i] * exponent.exp()).clamp(max=MAX_ALPHA)
        after = transmittance * (1 - alpha)
        hit = (alpha >= MIN_ALPHA) & ~finished
        stops = hit & (after <= STOP)
        finished = finished | stops
        drawn = hit & ~stops
        with torch.no_grad():
            jumps = [(alpha / MIN_ALPHA - 1).abs().where(~finished | stops, torch.inf)]
            jumps.append((after / STOP - 1).abs().where(hit, torch.inf))
            jumps.append((after / 0.5 - 1).abs().where(hit, torch.inf))
            margin = torch.stack([margin, *jumps]).amin(0)
            crossed = drawn & (transmittance >= 0.5) & (after < 0.5)
            median = torch.where(crossed, projected.depths[i], median)
        weight = torch.where(drawn, alpha * transmittance, 0.0)
        blended = blended + weight[..., None] * channels[i]
        transmittance = torch.where(drawn, after, transmittance)

    alphas = 1 - transmittance
    colors = blended[..., :3]
    if background is not None:
        colors = colors + transmittance[..., None] * background
    return ReferenceRendering(
        colors=colors,
        alphas=alphas,
        features=None if splats.features is None else blended[..., 4:],
        expected_depth=blended[..., 3] / alphas.clamp(min=1e-10),
        median_depth=median,
        margin=margin,
    )


def project(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
) -> Projected:
    """EWA projection (Zwicker et al. 2001) with the limits of gsplat 1.5.3."""
    R, t = viewmat[:3, :3], viewmat[:3, 3]
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    camera = splats.means @ R.T + t
    x, y, z = camera.unbind(-1)
    seen = (z >= settings.near_plane) & (z <= settings.far_plane)
    z = torch.where(seen, z, 1.0)  # keeps gradients of Gaussians that are not drawn finite

    # The Jacobian is taken no further than 15 % of the image size beyond its border.
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    bounded_x = z * (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    bounded_y = z * (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack(
        [
            torch.stack([fx / z, zero, -fx * bounded_x / z**2], dim=-1),
            torch.stack([zero, fy / z, -fy * bounded_y / z**2], dim=-1),
        ],
        dim=-2,
    )
    axes = rotation_matrices(splats.quats) * splats.scales[:, None, :]
    spread = J @ R @ axes
    sharp = spread @ spread.transpose(-1, -2)
    blurred = sharp + settings.eps2d * torch.eye(2, dtype=z.dtype, device=z.device)
    opacities = splats.opacities
    if settings.mode == "antialiased":
        ratio = torch.linalg.det(sharp) / torch.linalg.det(blurred)
        opacities = opacities * ratio.clamp(min=0).sqrt()
    return Projected(
        means2d=torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1),
        depths=z,
        covariances=blurred,
        opacities=opacities,
        drawn=seen & (opacities >= MIN_ALPHA),
    )


def rotation_matrices(quats: Tensor) -> Tensor:
    """[N, 3, 3] rotations of wxyz quaternions [N, 4] of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def sh_colors(coefficients: Tensor, directions: Tensor, degree: int) -> Tensor:
    """[N, 3] colours ``clamp(sh(d) + 0.5, min=0)`` along unit ``directions`` [N, 3]."""
    x, y, z = directions.unbind(-1)
    bases = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        bases += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        bases += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree >= 3:
        bases += [
            -0.5900435899266435 * y * (3 * x * x - y * y),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
            0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
            1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    values = torch.stack(bases, dim=-1)
    colors = torch.einsum("nk,nkc->nc", values, coefficients[:, : values.shape[1]])
    return (colors + 0.5).clamp(min=0)
