"""One view on the CPU, as torch's autograd sees it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from ops.errors import InputError
from ops.rendering.cpu import camera
from ops.rendering.cpu.jit import aligned, announced, run, threads, workspace
from ops.rendering.cpu.simd import LANES
from ops.rendering.cpu.tiles import TILE
from ops.rendering.interface import Rendering, RenderSettings, ScreenSpace
from ops.splats.model import Splats

with announced("drawing"):
    from ops.rendering.cpu.binning import bin_gaussians, bound_records, place, scan, sort_by_depth
    from ops.rendering.cpu.projection import FOOTPRINT, WORKSPACE, project
    from ops.rendering.cpu.raster_forward import raster_forward, workspace_size

Floats = NDArray[np.float32]

RECORD_BYTES = 16  # tile and Gaussian, and 64 blocks
_FREE_SHARE = 0.8  # of the memory that is free, which one view may take
FEW = 2_000  # Gaussians that are not worth several threads
_MANY = 1 << 24  # records, for which it pays to count before memory is asked for


@dataclass(frozen=True)
class _Parameters:
    """Arrays of the splats, float32 and contiguous, at least sixteen rows; rows flattened."""

    means: Floats  # [N, 3]
    quats: Floats  # [N, 4]
    log_scales: Floats  # [N, 3]
    opacity_logits: Floats  # [N]
    sh0: Floats  # [N, 3]
    shN: Floats  # [N, 3 (K - 1)]
    features: Floats  # [N, F]


@dataclass(frozen=True)
class View:
    """What the forward pass leaves for the backward pass."""

    parameters: _Parameters
    cam: Floats
    width: int
    height: int
    degree: int
    depths: Floats  # [N] 0 where a Gaussian is not seen
    footprints: Floats  # [N, 16]
    extras: Floats  # [N, E] features, then depth where it is wanted
    offsets: NDArray[np.int64]  # [tiles + 1]
    entries: NDArray[np.int32]  # [intersections, 2]
    masks: NDArray[np.int64]  # [intersections]
    spans: NDArray[np.int32]  # [N, 2] the records of each Gaussian
    n_records: int  # rows that a table with one for each record needs


def padded_array(tensor: Tensor, rows: int, fill: float = 0.0) -> Floats:
    """The values as [N, columns] or [N]; where N < rows, with rows of ``fill`` behind."""
    array = tensor.detach().to(torch.float32).contiguous().numpy()
    if array.ndim > 1:
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
            "memory are free. Render a smaller image or fewer Gaussians, or remove Gaussians that "
            "cover most of the image"
        )


def _prepare(
    parameters: _Parameters, cam: Floats, width: int, height: int, degree: int, with_depth: bool
) -> tuple[View, Floats, NDArray[np.int32]]:
    """Projects, sorts and bins; also returns means2d [N, 2] and radii [N, 2]."""
    p, n = parameters, len(parameters.means)
    footprints = aligned(n, FOOTPRINT)
    depths, reach = np.empty(n, np.float32), np.empty(n, np.float32)
    means2d = np.empty((n, 2), np.float32)
    radii = np.empty((n, 2), np.int32)
    parts = threads() if n > FEW else 1
    run(
        *(parts, project, workspace(parts, WORKSPACE)),
        *(p.means, p.quats, p.log_scales, p.opacity_logits, p.sh0, p.shN, p.features),
        *(degree, cam, footprints, depths, reach, means2d, radii),
    )
    order = np.empty(n, np.int32)
    count = np.empty(1, np.int64)
    sort_by_depth(0, 1, depths, order, count)
    order = order[: int(count[0])]
    extras = p.features
    if with_depth:
        extras = np.concatenate([p.features, depths[:, None]], axis=1)
    offsets, entries, masks, spans, n_records = _bin(order, footprints, reach, n, width, height)
    view = View(
        parameters=p,
        cam=cam,
        width=width,
        height=height,
        degree=degree,
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
    order: NDArray[np.int32], footprints: Floats, reach: Floats, n: int, width: int, height: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """The tiles' lists: offsets, entries, masks, each Gaussian's records, and how many there are.

    Each share of the Gaussians writes its records behind each other, with some room left unused
    behind them; memory that is never touched is not taken.
    """
    parts = threads() if len(order) > FEW else 1
    tiles = -(-width // TILE) * -(-height // TILE)
    counts = np.empty((parts, tiles), np.int32)
    spans = np.zeros((n, 2), np.int32)
    at_most, ends = np.empty(parts, np.int64), np.empty(parts, np.int64)
    starts = np.zeros(parts, np.int64)
    nothing = (np.empty((0, 2), np.int32), np.empty(0, np.int64))
    where = (order, footprints, width, height)
    run(parts, bound_records, order, reach, at_most)
    if int(at_most.sum()) > _MANY:
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
    at_most += 2  # the last one is written before it is known to be any
    room = int(at_most.sum())
    starts[1:] = np.cumsum(at_most)[:-1]
    records, masks = np.empty((room, 2), np.int32), np.empty(room, np.int64)
    run(parts, bin_gaussians, *where, starts, True, records, masks, counts, spans, ends)
    offsets = np.empty(tiles + 1, np.int64)
    scan(0, 1, counts, offsets)
    entries = np.empty((int(offsets[-1]), 2), np.int32)
    entry_masks = np.empty(len(entries), np.int64)
    run(parts, place, starts, ends, records, masks, counts, entries, entry_masks)
    return offsets, entries, entry_masks, spans, room


def _background(background: Tensor | None) -> Floats:
    """Background as the forward kernel takes it: [1, 1, 3] or [H, W, 3]."""
    if background is None:
        return np.zeros((1, 1, 3), np.float32)
    values = background.detach().to(torch.float32).contiguous().numpy()
    return values if values.ndim == 3 else values.reshape(1, 1, 3)


@functools.cache
def _gradient_kernels() -> tuple[Any, Any]:
    """The modules of the backward pass, which those who only draw need not compile."""
    with announced("gradients"):
        from ops.rendering.cpu import projection_backward, raster_backward

    return raster_backward, projection_backward


def rasterise(
    view: View, background: Tensor | None, *, median_depth: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, NDArray[np.int64]]:
    """Draws a prepared view.

    Returns colours [H, W, 3], planes of the extras [E, H, W], transmittance and alpha [H, W],
    median depth [H, W] or [0, 0], and where each tile's list was left [tiles].
    """
    width, height, n_extras = view.width, view.height, view.extras.shape[1]
    image = torch.empty(height, width, 3)
    planes = torch.empty(n_extras, height, width)
    transmittance, alphas = torch.empty(height, width), torch.empty(height, width)
    median = torch.empty((height, width) if median_depth else (0, 0))
    ends = np.empty(len(view.offsets) - 1, np.int64)
    parts = threads()
    run(
        *(parts, raster_forward, workspace(parts, workspace_size(n_extras))),
        *(np.zeros(1, np.int64), width, height),
        *(view.offsets, view.entries, view.masks),
        *(view.footprints, view.extras, _background(background)),
        *(image.numpy(), planes.numpy(), transmittance.numpy(), alphas.numpy()),
        *(median.numpy(), ends),
    )
    return image, planes, transmittance, alphas, median, ends


class _Draw(torch.autograd.Function):
    """Blending of one prepared view, with gradients for everything it was prepared from."""

    @staticmethod
    def forward(
        ctx: Any,
        view: View,
        screen: Tensor,
        settings: RenderSettings,
        background: Tensor | None,
        viewmat: Tensor,
        center: Tensor,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh0: Tensor,
        shN: Tensor,
        features: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        image, planes, transmittance, alphas, median, ends = rasterise(
            view, background, median_depth=settings.median_depth
        )
        ctx.view, ctx.ends, ctx.absgrad, ctx.screen = view, ends, settings.absgrad, screen
        ctx.background_shape = None if background is None else background.shape
        parameters = (means, quats, log_scales, opacity_logits, sh0, shN)
        ctx.save_for_backward(image, planes, transmittance, *parameters, features)
        ctx.set_materialize_grads(False)
        if settings.median_depth:
            ctx.mark_non_differentiable(median)
        n_features = view.parameters.features.shape[1]
        return (
            image,
            planes[:n_features].permute(1, 2, 0) if features is not None else None,
            planes[-1] if settings.expected_depth else None,
            alphas,
            median if settings.median_depth else None,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        raster, projection = _gradient_kernels()
        view: View = ctx.view
        p, height, width = view.parameters, view.height, view.width
        image, planes, transmittance, *_ = ctx.saved_tensors  # raises where one was changed
        n, n_features = len(ctx.screen), p.features.shape[1]
        v_colors, v_features, v_depth, v_alphas, _ = gradients
        v_image = np.zeros((height, width, 3), np.float32)
        if v_colors is not None:
            v_image = v_colors.to(torch.float32).contiguous().numpy()
        v_planes = _plane_gradients(v_features, v_depth, planes.shape)
        v_opacity = torch.empty(0, 0) if v_alphas is None else v_alphas.to(torch.float32)

        columns = raster.columns(len(planes))
        rows = len(view.entries)
        guard_memory(rows * columns * 4, f"the gradient of {rows:,} intersections")
        table = aligned(view.n_records, columns)
        parts = threads()
        run(
            *(parts, raster.raster_backward, workspace(parts, raster.workspace_size(len(planes)))),
            *(np.zeros(1, np.int64), width, height),
            *(view.offsets, ctx.ends, view.entries, view.masks),
            *(view.footprints, view.extras),
            *(image.numpy(), planes.numpy(), transmittance.numpy()),
            *(v_image, v_planes, v_opacity.contiguous().numpy(), ctx.absgrad, table),
        )
        out = {name: torch.empty(a.shape) for name, a in vars(p).items()}
        means2d = torch.empty(len(p.means), 2)
        absolute = torch.empty(len(p.means) if ctx.absgrad else 0, 2)
        chunks = -(-len(p.means) // (LANES * projection.CHUNK))
        cameras = np.zeros((chunks, projection.CAMERA_GRADIENT))
        parts = threads() if n > FEW else 1
        run(
            *(parts, projection.project_backward, workspace(parts, projection.WORKSPACE)),
            *(view.depths, view.spans, table),
            *(p.means, p.quats, p.log_scales, p.opacity_logits, p.shN),
            *(view.footprints, view.degree, view.cam, len(planes) > n_features),
            *(out[name].numpy() for name in vars(p)),
            *(means2d.numpy(), absolute.numpy()),
            *(ctx.needs_input_grad[4] or ctx.needs_input_grad[5], cameras),
        )
        if ctx.absgrad:
            before = getattr(ctx.screen, "absgrad", None)
            absolute = absolute[:n]
            ctx.screen.absgrad = absolute if before is None else before + absolute
        camera_gradient = torch.from_numpy(cameras.sum(axis=0)).to(torch.float32)
        v_viewmat = torch.cat([camera_gradient[:12].reshape(3, 4), torch.zeros(1, 4)])
        v_background = None
        if ctx.needs_input_grad[3] and v_colors is not None:
            v_background = _background_gradient(
                v_colors.numpy(), transmittance.numpy(), len(ctx.background_shape)
            )
        found = {name: value[:n] for name, value in out.items()}
        return (
            *(None, means2d[:n], None, v_background, v_viewmat, camera_gradient[12:]),
            *(found["means"], found["quats"], found["log_scales"], found["opacity_logits"]),
            found["sh0"].reshape(n, 1, 3),
            found["shN"].reshape(n, p.shN.shape[1] // 3, 3),
            found["features"] if ctx.needs_input_grad[12] else None,
        )


def _plane_gradients(
    v_features: Tensor | None, v_depth: Tensor | None, shape: tuple[int, ...]
) -> Floats:
    """[E, H, W] of the extras' gradients; 0 where there is none."""
    n_extras, height, width = shape
    if v_depth is None and v_features is not None:
        return v_features.permute(2, 0, 1).to(torch.float32).contiguous().numpy()
    planes = np.zeros((n_extras, height, width), np.float32)
    if v_features is not None:
        planes[: v_features.shape[2]] = v_features.permute(2, 0, 1).numpy()
    if v_depth is not None:
        planes[-1] = v_depth.numpy()
    return planes


def _background_gradient(v_colors: Floats, transmittance: Floats, ndim: int) -> Tensor:
    per_pixel = v_colors * transmittance[..., None]
    if ndim == 3:
        return torch.from_numpy(per_pixel)
    # NumPy sums on one thread, in the same order on every machine run.
    total = per_pixel.reshape(-1, 3).sum(axis=0, dtype=np.float64)
    return torch.from_numpy(total.astype(np.float32))


def render_view(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    center: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
    degree: int,
    background: Tensor | None,
) -> Rendering:
    """One view of splats on the CPU; see :func:`ops.rendering.render.render`.

    Args:
        splats: The Gaussians, on the CPU.
        viewmat: [4, 4] world to camera.
        K: [3, 3] intrinsics, pixels.
        center: [3] the camera's centre in the world, a function of ``viewmat``.
        width: Pixels.
        height: Pixels.
        settings: How to render.
        degree: SH degree to use, at most what the splats hold.
        background: [3] or [H, W, 3] or None for black.

    Raises:
        InputError: When the view would take more memory than is free.
    """
    n, features = len(splats), splats.features
    n_features = 0 if features is None else features.shape[1]
    view, means2d, radii = prepare_view(splats, viewmat, K, center, width, height, settings, degree)
    pixels = height * width
    guard_memory(4 * pixels * (3 + n_features + 4), f"an image of {width} x {height}")
    tensors = [splats.means, splats.quats, splats.log_scales, splats.opacity_logits]
    tensors += [splats.sh0, splats.shN]
    wanted = [*tensors, viewmat] + [t for t in (features, background) if t is not None]
    # A leaf of its own, so that its gradient is there after backward, as densification expects.
    screen = torch.from_numpy(means2d[:n]).requires_grad_(
        torch.is_grad_enabled() and any(t.requires_grad for t in wanted)
    )
    outputs = _Draw.apply(view, screen, settings, background, viewmat, center, *tensors, features)
    colors, blended, depth, alphas, median = outputs
    if depth is not None:
        depth = depth / alphas.clamp(min=1e-10)
    return Rendering(
        colors=colors,
        alphas=alphas,
        features=blended,
        expected_depth=depth,
        median_depth=median,
        screen=ScreenSpace(means2d=screen, radii=torch.from_numpy(radii[:n])),
    )


def prepare_view(
    splats: Splats,
    viewmat: Tensor,
    K: Tensor,
    center: Tensor,
    width: int,
    height: int,
    settings: RenderSettings,
    degree: int,
) -> tuple[View, Floats, NDArray[np.int32]]:
    """Everything about a view but its pixels; arguments as for :func:`render_view`.

    Returns the view, means2d [N, 2] and radii [N, 2] int32 in pixels, with N at least 16.
    """
    n, features = len(splats), splats.features
    rows = max(n, LANES)
    parameters = _Parameters(
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
    cam = camera.pack(
        padded_array(viewmat, 0),
        padded_array(K, 0),
        padded_array(center, 0),
        width,
        height,
        settings,
    )
    return _prepare(parameters, cam, width, height, degree, settings.expected_depth)
