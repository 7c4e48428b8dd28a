"""Exact Fisher information of one view on the CPU."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.rendering.cpu.camera import ANTIALIASED
from ops.rendering.cpu.jit import aligned, announced, workspace
from ops.rendering.cpu.projection import BLUE, RED
from ops.rendering.cpu.simd import LANES
from ops.rendering.cpu.team import run
from ops.rendering.cpu.view import (
    FEW,
    PROJECTOR,
    Floats,
    Projector,
    View,
    empty,
    guard_memory,
    padded_array,
    prepare_view,
    rasterise,
)
from ops.rendering.interface import OneView
from ops.splats.model import Splats
from ops.threads import threads


@dataclass(frozen=True)
class Drawn:
    """What came of drawing a view."""

    image: Floats  # [H, W, 3]
    planes: Floats  # [E, H, W]
    ends: NDArray[np.int64]  # [tiles] where each tile's list was left


@functools.cache
def _kernels() -> tuple[Any, Any]:
    """The modules of the kernels, which those who only draw and train need not compile."""
    with announced("Fisher information"):
        from ops.rendering.cpu import projection_fisher, raster_fisher

    return raster_fisher, projection_fisher


@functools.cache
def _gram_kernels() -> tuple[Any, Any]:
    """Those for more than the diagonal."""
    _kernels()
    with announced("blocks of Fisher information"):
        from ops.rendering.cpu import projection_gram, raster_gram

    return raster_gram, projection_gram


def fisher_view(
    splats: Splats,
    wanted: OneView,
    *,
    features_reach_shapes: bool,
    one_channel: bool,
    blocks: bool,
) -> tuple[dict[str, Tensor], Tensor | None]:
    """diag(J^T J) of one view by parameter, each of the parameter's shape, and blocks.

    Other arguments as for :func:`ops.rendering.fisher.fisher_information`; ``one_channel`` adds
    red, green and blue up to a grey image first, and goes without blocks.
    """
    n = len(splats)
    projector, moves = (PROJECTOR, None) if blocks else _with_moves(n, one_channel)
    view, _, _ = prepare_view(splats, wanted, projector)
    image, planes, _, _, _, ends = rasterise(view, wanted.background)
    # By NumPy, which asks for huge pages: large arrays are taken from the system at every call.
    found = {
        name: torch.from_numpy(np.empty(array.shape, np.float32))
        for name, array in vars(view.parameters).items()
    }
    drawn = Drawn(image.numpy(), planes.numpy(), ends)
    whole = None
    if moves is None:
        whole = _blocks(view, drawn, found, features_reach_shapes)
    else:
        _diagonal(view, drawn, moves, found, features_reach_shapes, one_channel)
    shapes = {name: tensor.shape for name, tensor in splats.tensors().items()}
    diagonal = {name: found[name][:n].reshape(shape) for name, shape in shapes.items()}
    return diagonal, None if whole is None else whole[:n]


def _with_moves(n: int, one_channel: bool) -> tuple[Projector, Floats]:
    """The projection that also finds what moving a mean does, and where it writes that."""
    raster, projection = _kernels()
    moves = aligned(max(n, LANES), raster.MOVES)
    more = (one_channel, moves)
    return Projector(projection.project_with_moves, projection.WORKSPACE, more), moves


def _grey(footprints: Floats, image: Floats) -> tuple[Floats, Floats]:
    """Footprints and image with one channel, the sum of three, in the place of red."""
    summed = aligned(*footprints.shape)
    summed[:] = footprints
    grey = np.zeros_like(image)
    with np.errstate(all="ignore"):  # what is not seen has no colour
        np.sum(footprints[:, RED : BLUE + 1], axis=1, out=summed[:, RED])
    summed[:, RED + 1 : BLUE + 1] = 0
    np.sum(image, axis=2, out=grey[:, :, 0])
    return summed, grey


def _sums_table(view: View, columns: int) -> Floats:
    rows = len(view.entries)
    guard_memory(rows * columns * 4, f"the Fisher sums of {rows:,} intersections")
    return aligned(view.n_records, columns)


def _diagonal(
    view: View,
    drawn: Drawn,
    moves: Floats,
    found: dict[str, Tensor],
    features_reach_shapes: bool,
    one_channel: bool,
) -> None:
    """Fills ``found``, by parameter."""
    raster, projection = _kernels()
    p, n = view.parameters, len(view.depths)
    few = threads() if n > FEW else 1
    table = _sums_table(view, raster.COLUMNS)
    footprints, image = view.footprints, drawn.image
    if one_channel:
        footprints, image = _grey(footprints, image)
    parts = threads()
    run(
        *(parts, raster.raster_fisher, workspace(parts, raster.workspace_size(len(drawn.planes)))),
        *(np.zeros(1, np.int64), view.width, view.height),
        *(view.offsets, drawn.ends, view.entries, view.masks, footprints, moves, view.extras),
        *(image, drawn.planes, features_reach_shapes, bool(view.cam[ANTIALIASED]), table),
    )
    run(
        *(few, projection.project_fisher, workspace(few, projection.WORKSPACE)),
        *(view.depths, view.spans, table, moves, p.means, p.quats, p.log_scales),
        *(p.opacity_logits, p.shN, view.footprints, view.degree, view.cam),
        *(found[name].numpy() for name in vars(p)),
    )


def _blocks(
    view: View,
    drawn: Drawn,
    found: dict[str, Tensor],
    features_reach_shapes: bool,
) -> Tensor:
    """Fills ``found``, by parameter; returns the blocks [N, 11, 11]."""
    raster, projection = _gram_kernels()
    p, n = view.parameters, len(view.depths)
    table = _sums_table(view, raster.COLUMNS)
    parts = threads()
    size = _kernels()[0].workspace_size(len(drawn.planes))
    run(
        *(parts, raster.raster_gram, workspace(parts, size)),
        *(np.zeros(1, np.int64), view.width, view.height),
        *(view.offsets, drawn.ends, view.entries, view.masks, view.footprints, view.extras),
        *(drawn.image, drawn.planes, features_reach_shapes, table),
    )
    blocks = torch.from_numpy(
        np.empty((n, projection.PARAMETERS, projection.PARAMETERS), np.float32)
    )
    parts = threads() if n > FEW else 1
    run(
        *(parts, projection.project_gram, workspace(parts, projection.WORKSPACE)),
        *(view.depths, view.spans, table, p.means, p.quats, p.log_scales, p.opacity_logits),
        *(p.shN, view.footprints, view.degree, view.cam),
        *(found[name].numpy() for name in vars(p)),
        blocks.numpy(),
    )
    return blocks


def uncertainty_view(
    splats: Splats,
    wanted: OneView,
    *,
    variances: dict[str, Tensor],
    features_reach_shapes: bool,
) -> Tensor:
    """[H, W] variance of a view's pixels, summed over channels; ``variances`` by parameter."""
    with announced("uncertainty"):
        from ops.rendering.cpu import raster_gram, uncertainty

    view, _, _ = prepare_view(splats, wanted)
    image, planes, _, _, _, ends = rasterise(view, wanted.background)
    p, padded = view.parameters, len(view.depths)
    given = {name: padded_array(variances[name], padded) for name in variances}
    given.setdefault("features", np.empty((padded, 0), np.float32))
    coefs = aligned(padded, raster_gram.COLUMNS)
    parts = threads() if len(splats) > FEW else 1
    run(
        *(parts, uncertainty.project_uncertainty, workspace(parts, uncertainty.WORKSPACE)),
        *(view.depths, p.means, p.quats, p.log_scales, p.opacity_logits, p.shN),
        *(view.footprints, view.degree, view.cam),
        *(given[name] for name in vars(p)),
        coefs,
    )
    found = empty(view.height, view.width)
    parts = threads()
    run(
        *(parts, uncertainty.raster_uncertainty),
        workspace(parts, uncertainty.workspace_size(len(planes))),
        *(np.zeros(1, np.int64), view.width, view.height),
        *(view.offsets, ends, view.entries, view.masks),
        *(view.footprints, coefs, view.extras, image.numpy(), planes.numpy()),
        *(features_reach_shapes, found.numpy()),
    )
    return found
