"""One view on the CPU: projected, sorted and binned, and drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.errors import InputError
from ops.rendering.cpu import camera
from ops.rendering.cpu.jit import aligned, announced, workspace
from ops.rendering.cpu.simd import LANES
from ops.rendering.cpu.team import run
from ops.rendering.cpu.tiles import TILE
from ops.rendering.interface import OneView
from ops.splats.model import Splats
from ops.threads import threads

with announced("drawing"):
    from ops.rendering.cpu import binning
    from ops.rendering.cpu.binning import bin_gaussians, place, scan, sort_by_depth
    from ops.rendering.cpu.projection import FOOTPRINT, WORKSPACE, project
    from ops.rendering.cpu.raster_forward import ROUND, raster_forward, workspace_size

Floats = NDArray[np.float32]

RECORD_BYTES = 16  # tile and Gaussian, and 64 blocks
_FREE_SHARE = 0.8  # of the memory that is free, which one view may take
FEW = 2_000  # Gaussians that are not worth several threads
_MANY = 1 << 24  # records, for which it pays to count before memory is asked for


@dataclass(frozen=True)
class Parameters:
    """Arrays of the splats, float32 and contiguous, at least sixteen rows; rows flattened."""

    means: Floats  # [N, 3]
    quats: Floats  # [N, 4]
    log_scales: Floats  # [N, 3]
    opacity_logits: Floats  # [N]
    sh0: Floats  # [N, 3]
    shN: Floats  # [N, 3 (K - 1)]
    features: Floats  # [N, F]


class Projector(NamedTuple):
    """A kernel that does what :func:`projection.project` does, and more."""

    kernel: Any
    workspace: int  # floats per thread
    more: tuple[Any, ...] = ()  # arguments behind those of ``project``


PROJECTOR = Projector(project, WORKSPACE)


@dataclass(frozen=True)
class View:
    """What the forward pass leaves for the backward pass."""

    parameters: Parameters
    count: int  # of Gaussians; rows behind them are padding
    cam: Floats
    width: int
    height: int
    degree: int
    depths: Floats  # [N] 0 where a Gaussian is not seen
    footprints: Floats  # [N, 16]
    extras: Floats  # [N, E] features, then depth where it is wanted
    offsets: NDArray[np.int64]  # [tiles + 1]
    entries: NDArray[np.int32]  # [intersections, 2]
    masks: NDArray[np.int64]  # [intersections + ROUND], the last ROUND not used
    spans: NDArray[np.int32]  # [N, 2] the records of each Gaussian
    n_records: int  # rows that a table with one for each record needs


class Drawn(NamedTuple):
    """The pixels of a view, and what its backward pass takes up."""

    image: Tensor  # [H, W, 3]
    planes: Tensor  # [E, H, W] of the extras
    transmittance: Tensor  # [H, W] what of the background is seen
    alphas: Tensor  # [H, W]
    median: Tensor  # [H, W] depth, or [0, 0]
    ends: NDArray[np.int64]  # [tiles] where each tile's list was left


def empty(*shape: int) -> Tensor:
    """Memory for kernels to fill, whatever torch's default type and device are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def as_array(tensor: Tensor) -> Floats:
    """The values as float32, row after row, shared with the tensor where they are so already."""
    # Each operation on a tensor costs a microsecond, and ten after a kernel has run.
    tensor = tensor.detach() if tensor.requires_grad else tensor
    tensor = tensor if tensor.dtype is torch.float32 else tensor.to(torch.float32)
    return np.ascontiguousarray(tensor.numpy())


def padded_array(tensor: Tensor, rows: int, fill: float = 0.0) -> Floats:
    """The values as [N, columns] or [N]; where N < rows, with rows of ``fill`` behind."""
    array = as_array(tensor)
    if array.ndim > 2:
        array = array.reshape(len(array), math.prod(array.shape[1:]))
    if len(array) < rows:
        padded = np.full((rows, *array.shape[1:]), fill, np.float32)
        padded[: len(array)] = array
        return padded
    return array


def guard_memory(needed: int, what: str) -> None:
    if needed < 1 << 28:
        return
    free = psutil.virtual_memory().available
    if needed > _FREE_SHARE * free:
        raise InputError(
            f"rendering: {what} needs {needed / 2**30:.1f} GiB, but only {free / 2**30:.1f} GiB of "
            "memory are free. Render a smaller image, fewer Gaussians or fewer channels, or remove "
            "Gaussians that cover most of the image"
        )


def _guard_image(wanted: OneView, n_features: int) -> None:
    width, height = wanted.width, wanted.height
    per_pixel = 3 + 4 + n_features + int(wanted.settings.expected_depth)
    tiles = -(-width // TILE) * -(-height // TILE)
    needed = 4 * (width * height * per_pixel + tiles * (threads() + 4))
    guard_memory(needed, f"an image of {width} x {height}")


def prepare_view(
    splats: Splats, wanted: OneView, projector: Projector = PROJECTOR
) -> tuple[View, Floats, NDArray[np.int32]]:
    """Everything about a view but its pixels.

    Returns the view, means2d [N, 2] and radii [N, 2] int32 in pixels, with N at least 16.

    Raises:
        InputError: When this, or the pixels, would take more memory than is free.
    """
    n, features = splats.means.shape[0], splats.features
    rows = max(n, LANES)
    parameters = Parameters(
        means=padded_array(splats.means, rows),
        quats=padded_array(splats.quats, rows),
        log_scales=padded_array(splats.log_scales, rows),
        opacity_logits=padded_array(splats.opacity_logits, rows, fill=-math.inf),
        sh0=padded_array(splats.sh0, rows),
        shN=padded_array(splats.shN, rows),
        features=np.empty((rows, 0), np.float32)
        if features is None
        else padded_array(features, rows),
    )
    return _prepare(parameters, n, wanted, projector)


def _prepare(
    parameters: Parameters, count: int, wanted: OneView, projector: Projector
) -> tuple[View, Floats, NDArray[np.int32]]:
    """Projects, sorts and bins; also returns means2d [N, 2] and radii [N, 2]."""
    p, n = parameters, len(parameters.means)
    _guard_image(wanted, p.features.shape[1])
    cam, width, height = camera.pack(wanted), wanted.width, wanted.height
    footprints = aligned(n, FOOTPRINT)
    depths, reach = np.empty(n, np.float32), np.empty(n, np.float32)
    means2d = np.empty((n, 2), np.float32)
    radii = np.empty((n, 2), np.int32)
    parts = threads() if n > FEW else 1
    run(
        *(parts, projector.kernel, workspace(parts, projector.workspace)),
        *(p.means, p.quats, p.log_scales, p.opacity_logits, p.sh0, p.shN, p.features),
        *(wanted.degree, cam, footprints, depths, reach, means2d, radii, *projector.more),
    )
    order = np.empty(n, np.int32)
    shares, at_most = np.empty(parts + 1, np.int64), np.empty(parts, np.int64)
    run(parts, sort_by_depth, depths, reach, order, shares, at_most)
    order = order[: int(shares[-1])]
    extras = p.features
    if wanted.settings.expected_depth:
        extras = np.concatenate([p.features, depths[:, None]], axis=1)
    listed = _bin(order, shares, footprints, at_most, n, width, height)
    offsets, entries, masks, spans, n_records = listed
    view = View(
        parameters=p,
        count=count,
        cam=cam,
        width=width,
        height=height,
        degree=wanted.degree,
        depths=depths,
        footprints=footprints,
        extras=extras,
        offsets=offsets,
        entries=entries,
        masks=masks,
        spans=spans,
        n_records=n_records,
    )
    return view, means2d, radii


def _bin(
    order: NDArray[np.int32],
    shares: NDArray[np.int64],
    footprints: Floats,
    at_most: NDArray[np.int64],
    n: int,
    width: int,
    height: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """The tiles' lists: offsets, entries, masks, each Gaussian's records, and how many there are.

    Each share of the Gaussians writes its records behind each other, with some room left unused
    behind them; memory that is never touched is not taken.
    """
    parts = len(at_most)
    across = -(-width // TILE)
    tiles = across * -(-height // TILE)
    counts = np.empty((parts, tiles), np.int32)
    spans = np.zeros((n, 2), np.int32)
    starts, ends = np.zeros(parts, np.int64), np.empty(parts, np.int64)
    nothing = (np.empty((0, 2), np.int32), np.empty(0, np.int64))
    where = (workspace(parts, binning.WORKSPACE), order, shares, footprints, width, height)
    room = int(at_most.sum())
    if room > _MANY:
        run(parts, bin_gaussians, *where, starts, False, *nothing, counts, spans, ends)
        at_most = ends.copy()
        exact = int(at_most.sum())
        if exact >= 1 << 31:
            raise InputError(
                f"rendering: {exact:,} intersections of Gaussians with image tiles; at most "
                f"{(1 << 31) - 1:,} can be handled. Render a smaller image or fewer Gaussians"
            )
        what = f"a list of {exact:,} intersections with image tiles"
        guard_memory(2 * exact * RECORD_BYTES, what)
        room = exact
    room += parts  # the last one of a share is written before it is known to be any
    for part in range(1, parts):
        starts[part] = starts[part - 1] + at_most[part - 1] + 1
    records, masks = np.empty((room, 2), np.int32), np.empty(room, np.int64)
    run(parts, bin_gaussians, *where, starts, True, records, masks, counts, spans, ends)
    offsets = np.empty(tiles + 1, np.int64)
    scan(0, 1, counts, offsets)
    entries = np.empty((int(offsets[-1]), 2), np.int32)
    entry_masks = np.empty(len(entries) + ROUND, np.int64)  # read a whole round at a time
    run(parts, place, starts, ends, records, masks, counts, entries, entry_masks)
    return offsets, entries, entry_masks, spans, room


def _background(background: Tensor | None) -> Floats:
    """Background as the forward kernel takes it: [1, 1, 3] or [H, W, 3]."""
    if background is None:
        return np.zeros((1, 1, 3), np.float32)
    values = as_array(background)
    return values if values.ndim == 3 else values.reshape(1, 1, 3)


def rasterise(view: View, background: Tensor | None, *, median_depth: bool = False) -> Drawn:
    """Draws a prepared view."""
    width, height, n_extras = view.width, view.height, view.extras.shape[1]
    image, planes = empty(height, width, 3), empty(n_extras, height, width)
    transmittance, alphas = empty(height, width), empty(height, width)
    median = empty(height, width) if median_depth else empty(0, 0)
    plain = n_extras == 0 and not median_depth
    ends = np.empty(len(view.offsets) - 1, np.int64)
    parts = threads()
    run(
        *(parts, raster_forward, workspace(parts, workspace_size(n_extras))),
        *(np.zeros(1, np.int64), width, height),
        *(view.offsets, view.entries, view.masks),
        *(view.footprints, None if plain else view.extras, _background(background)),
        *(image.numpy(), planes.numpy(), transmittance.numpy(), alphas.numpy()),
        *(None if plain else median.numpy(), ends),
    )
    return Drawn(image, planes, transmittance, alphas, median, ends)
