"""Exact Fisher information of one view on the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.rendering.cpu.jit import aligned, announced, workspace
from ops.rendering.cpu.team import run, threads
from ops.rendering.cpu.view import FEW, guard_memory, padded_array, prepare_view, rasterise
from ops.rendering.interface import RenderSettings
from ops.splats.model import Splats


@functools.cache
def _kernels() -> tuple[Any, Any]:
    """The modules of the kernels, which those who only draw and train need not compile."""
    with announced("Fisher information"):
        from ops.rendering.cpu import projection_fisher, raster_fisher

    return raster_fisher, projection_fisher


def fisher_view(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    center: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
    degree: int,
    background: Tensor | None,
    *,
    features_reach_shapes: bool,
    blocks: bool,
) -> tuple[dict[str, Tensor], Tensor | None]:
    """diag(J^T J) of one view by parameter, each of the parameter's shape, and blocks.

    Arguments as for :func:`ops.rendering.cpu.autograd.render_view` and
    :func:`ops.rendering.fisher.fisher_information`.
    """
    raster, projection = _kernels()
    view, _, _ = prepare_view(splats, viewmat, K, center, width, height, settings, degree)
    image, planes, _, _, _, ends = rasterise(view, background)
    rows = len(view.entries)
    guard_memory(rows * raster.COLUMNS * 4, f"the Fisher sums of {rows:,} intersections")
    table = aligned(view.n_records, raster.COLUMNS)
    parts = threads()
    run(
        *(parts, raster.raster_fisher, workspace(parts, raster.workspace_size(len(planes)))),
        *(np.zeros(1, np.int64), width, height, view.offsets, ends, view.entries, view.masks),
        *(view.footprints, view.extras, image.numpy(), planes.numpy()),
        *(features_reach_shapes, table),
    )
    p = view.parameters
    n, padded = len(splats), len(p.means)
    found = {name: torch.empty(array.shape) for name, array in vars(p).items()}
    whole = projection.PARAMETERS
    block = torch.empty((padded, whole, whole) if blocks else (0, 0, 0))
    parts = threads() if n > FEW else 1
    run(
        *(parts, projection.project_fisher, workspace(parts, projection.WORKSPACE)),
        *(view.depths, view.spans, table, p.means, p.quats, p.log_scales, p.opacity_logits),
        *(p.shN, view.footprints, degree, view.cam),
        *(found[name].numpy() for name in vars(p)),
        block.numpy(),
    )
    shapes = {name: tensor.shape for name, tensor in splats.tensors().items()}
    diagonal = {name: found[name][:n].reshape(shape) for name, shape in shapes.items()}
    return diagonal, block[:n] if blocks else None


def uncertainty_view(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    center: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
    degree: int,
    background: Tensor | None,
    *,
    variances: dict[str, Tensor],
    features_reach_shapes: bool,
) -> Tensor:
    """[H, W] variance of a view's pixels, summed over channels; ``variances`` by parameter."""
    with announced("uncertainty"):
        from ops.rendering.cpu import raster_fisher, uncertainty

    view, _, _ = prepare_view(splats, viewmat, K, center, width, height, settings, degree)
    image, planes, _, _, _, ends = rasterise(view, background)
    p, padded = view.parameters, len(view.depths)
    given = {name: padded_array(variances[name], padded) for name in variances}
    given.setdefault("features", np.empty((padded, 0), np.float32))
    coefs = aligned(padded, raster_fisher.COLUMNS)
    parts = threads() if len(splats) > FEW else 1
    run(
        *(parts, uncertainty.project_uncertainty, workspace(parts, uncertainty.WORKSPACE)),
        *(view.depths, p.means, p.quats, p.log_scales, p.opacity_logits, p.shN),
        *(view.footprints, degree, view.cam),
        *(given[name] for name in vars(p)),
        coefs,
    )
    found = torch.empty(height, width)
    parts = threads()
    run(
        *(parts, uncertainty.raster_uncertainty),
        workspace(parts, uncertainty.workspace_size(len(planes))),
        *(np.zeros(1, np.int64), width, height, view.offsets, ends, view.entries, view.masks),
        *(view.footprints, coefs, view.extras, image.numpy(), planes.numpy()),
        *(features_reach_shapes, found.numpy()),
    )
    return found
