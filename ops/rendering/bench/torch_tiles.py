"""The same rendering in plain PyTorch, to compare with: what one writes before writing kernels.

Tiles of 16 x 16 pixels in a loop, every tile one batch of tensor operations over its Gaussians and
pixels, gradients by autograd. No pixel stops early: what lies behind an opaque one weighs less than
1e-4 and costs its time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.rendering.reference import MAX_ALPHA, MIN_ALPHA, project, sh_colors
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

TILE = 16


def render_torch_tiles(
    splats: Splats, cameras: Cameras, settings: RenderSettings | None = None
) -> Tensor:
    """The colours [H, W, 3] of one view over black, with gradients for the splats.

    Conventions are those of :func:`ops.rendering.render.render`, but for the early stop.

    Args:
        splats: N Gaussians.
        cameras: One view.
        settings: How to render; depths are not rendered.
    """
    settings = RenderSettings() if settings is None else settings
    viewmat, K = cameras.viewmats[0], cameras.Ks[0]
    width, height = cameras.widths[0], cameras.heights[0]
    projected = project(splats, viewmat, K, width, height, settings)
    degree = splats.sh_degree if settings.sh_degree is None else settings.sh_degree
    directions = torch.nn.functional.normalize(splats.means - cameras.centers[0], dim=-1)
    colors = sh_colors(splats.sh_coeffs, directions, degree)

    xx, yy = projected.covariances[:, 0, 0], projected.covariances[:, 1, 1]
    xy = projected.covariances[:, 0, 1]
    determinant = xx * yy - xy * xy
    # alpha = exp(a dx^2 + b dx dy + c dy^2 + log opacity)
    a, b, c = -0.5 * yy / determinant, xy / determinant, -0.5 * xx / determinant
    logs = projected.opacities.log()
    rows = torch.cat(
        [projected.means2d, torch.stack([a, b, c, logs], dim=-1), colors],
        dim=-1,
    )
    with torch.no_grad():
        ids, counts = _tile_lists(
            projected.means2d, xx, yy, logs, projected.depths, projected.drawn, width, height
        )
    # One gather for all tiles: one per tile would make autograd add up N rows for each of them.
    across, down = -(-width // TILE), -(-height // TILE)
    lists = rows.index_select(0, ids).split(counts)
    centers = torch.arange(TILE).to(rows) + 0.5
    tiles = [
        _blend(entries, centers + TILE * (i % across), centers + TILE * (i // across))
        for i, entries in enumerate(lists)
    ]
    image = torch.stack(tiles).reshape(down, across, TILE, TILE, 3)
    return image.transpose(1, 2).reshape(down * TILE, across * TILE, 3)[:height, :width]


def _blend(entries: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """[16 * 16, 3] colours of a tile from its Gaussians [L, 9], near to far."""
    mx, my, a, b, c, log_opacity = (v[:, None] for v in entries[:, :6].unbind(-1))
    dx, dy = xs - mx, ys - my  # [L, 16]
    along_x, along_y = a * dx * dx, torch.addcmul(log_opacity, c * dy, dy)
    exponent = torch.addcmul(along_x[:, None, :], (b * dy)[:, :, None], dx[:, None, :])
    alpha = (exponent + along_y[:, :, None]).flatten(1).exp()  # [L, 256]
    alpha = torch.where(alpha >= MIN_ALPHA, alpha.clamp(max=MAX_ALPHA), 0.0)
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    return (alpha * before).T @ entries[:, 6:]


def _tile_lists(
    means2d: Tensor,
    xx: Tensor,
    yy: Tensor,
    log_opacities: Tensor,
    depths: Tensor,
    drawn: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, list[int]]:
    """The Gaussians of all tiles, tile by tile and near to far, and how many each tile has.

    A tile lists the Gaussians whose box of alpha >= 1/255 it meets.
    """
    across, down = -(-width // TILE), -(-height // TILE)
    order = torch.argsort(depths, stable=True)
    order = order[drawn[order]]
    reach = (2 * (log_opacities[order] - math.log(MIN_ALPHA)).clamp(min=0)).sqrt()[:, None]
    half = reach * torch.stack([xx[order], yy[order]], dim=-1).sqrt()
    size = torch.tensor([across, down], device=half.device)
    first = ((means2d[order] - half) / TILE).floor().long().clamp(min=0)
    last = ((means2d[order] + half) / TILE).floor().long().minimum(size - 1)
    spans = (last - first + 1).clamp(min=0)
    reached = spans.prod(dim=-1)
    # Each Gaussian once for every tile of its box, then sorted by tile; depth order stays.
    which = torch.repeat_interleave(torch.arange(len(order), device=half.device), reached)
    position = torch.arange(len(which), device=half.device)
    position = position - (reached.cumsum(0) - reached)[which]
    column = first[which, 0] + position % spans[which, 0]
    row = first[which, 1] + position // spans[which, 0]
    tile = row * across + column
    by_tile = torch.argsort(tile, stable=True)
    counts = torch.bincount(tile, minlength=across * down).tolist()
    return order[which[by_tile]], counts
