"""One view on the CPU, as torch's autograd sees it."""

from __future__ import annotations

import functools
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
from ops.rendering.cpu.jit import announced, run, threads
from ops.rendering.interface import Rendering, RenderSettings, ScreenSpace
from ops.splats.model import Splats

with announced("drawing"):
    from ops.rendering.cpu.binning import TILE, fill, pack_and_count, scan, sort_by_depth
    from ops.rendering.cpu.projection import FOOTPRINT, project
    from ops.rendering.cpu.raster_forward import raster_forward

Floats = NDArray[np.float32]

ENTRY_BYTES = 12
_FREE_SHARE = 0.8  # of the memory that is free, which one view may take


@dataclass(frozen=True)
class _Parameters:
    """Arrays of the splats, float32 and contiguous; coefficients and features flattened."""

    means: Floats  # [N, 3]
    quats: Floats  # [N, 4]
    log_scales: Floats  # [N, 3]
    opacity_logits: Floats  # [N]
    sh0: Floats  # [N, 3]
    shN: Floats  # [N, 3 (K - 1)]
    features: Floats  # [N, F]


@dataclass(frozen=True)
class _View:
    """What the forward pass leaves for the backward pass."""

    parameters: _Parameters
    cam: Floats
    width: int
    height: int
    degree: int
    order: NDArray[np.int32]  # [M] Gaussians that are seen, from near to far
    footprints: Floats  # [M, 8]
    channels: Floats  # [M, D]
    offsets: NDArray[np.int64]  # [tiles + 1]
    first_rows: NDArray[np.int64]  # [M + 1]
    entries: NDArray[np.int32]  # [intersections, 3]


def _array(tensor: Tensor, columns: int | None = None) -> Floats:
    array = tensor.detach().to(torch.float32).contiguous().numpy()
    return array if columns is None else array.reshape(array.shape[0], columns)


def _guard_memory(needed: int, what: str) -> None:
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
) -> tuple[_View, Floats, NDArray[np.int32]]:
    """Projects, sorts and bins; also returns means2d [N, 2] and radii [N, 2]."""
    p, n, parts = parameters, len(parameters.means), threads()
    all_footprints = np.empty((n, FOOTPRINT), np.float32)
    means2d = np.empty((n, 2), np.float32)
    radii = np.empty((n, 2), np.int32)
    run(
        parts if n > 1000 else 1,
        *(project, p.means, p.quats, p.log_scales, p.opacity_logits, cam),
        *(all_footprints, means2d, radii),
    )
    order = np.empty(n, np.int32)
    count = np.empty(1, np.int64)
    sort_by_depth(0, 1, all_footprints, radii, order, count)
    seen = int(count[0])
    order = order[:seen]

    binning_parts = parts if seen > 1000 else 1
    tiles = -(-width // TILE) * -(-height // TILE)
    n_channels = 3 + p.features.shape[1] + with_depth
    footprints = np.empty((seen, FOOTPRINT), np.float32)
    channels = np.empty((seen, n_channels), np.float32)
    counts = np.empty((binning_parts, tiles), np.int32)
    touched = np.empty(seen, np.int64)
    run(
        binning_parts,
        *(pack_and_count, order, all_footprints, p.means, cam[camera.CENTER : camera.CENTER + 3]),
        *(p.sh0, p.shN, p.features, degree, with_depth),
        *(radii, footprints, channels, width, height, counts, touched),
    )
    intersections = int(touched.sum())
    if intersections >= 1 << 31:
        raise InputError(
            f"rendering: {intersections:,} intersections of Gaussians with image tiles; at most "
            f"{(1 << 31) - 1:,} can be handled. Render a smaller image or fewer Gaussians"
        )
    _guard_memory(
        intersections * ENTRY_BYTES, f"a list of {intersections:,} intersections with image tiles"
    )
    offsets = np.empty(tiles + 1, np.int64)
    first_rows = np.empty(seen + 1, np.int64)
    scan(0, 1, counts, touched, offsets, first_rows)
    entries = np.empty((intersections, 3), np.int32)
    run(
        binning_parts,
        *(fill, footprints, width, height, counts, touched, offsets, first_rows, entries),
    )
    view = _View(
        parameters=p,
        cam=cam,
        width=width,
        height=height,
        degree=degree,
        order=order,
        footprints=footprints,
        channels=channels,
        offsets=offsets,
        first_rows=first_rows,
        entries=entries,
    )
    return view, means2d, radii


def _background_planes(background: Tensor | None, width: int) -> tuple[Floats, int, int, int]:
    """Background as the forward kernel takes it: values and the strides of plane, row and step."""
    if background is None:
        return np.zeros(48, np.float32), TILE, 0, 0
    values = background.detach().to(torch.float32).numpy()
    if values.ndim == 1:
        return np.repeat(values, TILE), TILE, 0, 0
    height, padded = values.shape[0], -(-width // TILE) * TILE
    planes = np.zeros((3, height, padded), np.float32)
    planes[:, :, :width] = values.transpose(2, 0, 1)
    return planes.reshape(-1), height * padded, padded, 1


@functools.cache
def _gradient_kernels() -> tuple[Any, Any, int, int, int]:
    """The kernels of the backward pass, which those who only draw need not compile."""
    with announced("gradients"):
        from ops.rendering.cpu import projection_backward, raster_backward

    return (
        raster_backward.raster_backward,
        projection_backward.project_backward,
        raster_backward.CHANNELS,
        projection_backward.CHUNK,
        projection_backward.CAMERA_GRADIENT,
    )


class _Draw(torch.autograd.Function):
    """Blending of one prepared view, with gradients for everything it was prepared from."""

    @staticmethod
    def forward(
        ctx: Any,
        view: _View,
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
        width, height = view.width, view.height
        n_channels, n_features = view.channels.shape[1], view.parameters.features.shape[1]
        padded = -(-width // TILE) * TILE
        image = torch.empty(n_channels, height, padded)
        transmittance = torch.empty(height, padded)
        median = torch.empty((height, padded) if settings.median_depth else (0, 0))
        ends = np.empty(len(view.offsets) - 1, np.int64)
        run(
            threads(),
            *(raster_forward, width, height, view.offsets, view.entries),
            *(view.footprints, view.channels, *_background_planes(background, width)),
            *(image.numpy(), transmittance.numpy(), median.numpy(), ends),
        )
        ctx.view, ctx.ends, ctx.absgrad, ctx.screen = view, ends, settings.absgrad, screen
        ctx.background_shape = None if background is None else background.shape
        parameters = (means, quats, log_scales, opacity_logits, sh0, shN)
        ctx.save_for_backward(image, transmittance, *parameters, features)
        ctx.set_materialize_grads(False)
        pixels = image[:, :, :width].permute(1, 2, 0)
        depth = median[:, :width] if settings.median_depth else None
        if depth is not None:
            ctx.mark_non_differentiable(depth)
        return (
            pixels[..., :3],
            pixels[..., 3 : 3 + n_features] if features is not None else None,
            pixels[..., -1] if settings.expected_depth else None,
            1 - transmittance[:, :width],
            depth,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        raster_backward, project_backward, CHANNELS, CHUNK, CAMERA_GRADIENT = _gradient_kernels()
        view: _View = ctx.view
        p, height, width = view.parameters, view.height, view.width
        image, transmittance, *_ = ctx.saved_tensors  # raises where one was changed in place
        n_features = p.features.shape[1]
        v_colors, v_features, v_depth, v_alpha, _ = gradients
        nothing = torch.zeros(1)

        def pixels(gradient: Tensor | None, *shape: int) -> Floats:
            given = nothing.expand(height, width, *shape) if gradient is None else gradient
            return given.to(torch.float32).numpy()

        rows = len(view.entries)
        columns = CHANNELS + view.channels.shape[1] + 2 * ctx.absgrad
        _guard_memory(rows * columns * 4, f"the gradient of {rows:,} intersections")
        table = np.empty((rows, columns), np.float32)
        run(
            threads(),
            *(raster_backward, width, height, view.offsets, ctx.ends, view.entries),
            *(view.footprints, view.channels, image.numpy(), transmittance.numpy()),
            *(pixels(v_colors, 3), pixels(v_features, n_features)),
            *(pixels(v_depth), pixels(v_alpha), ctx.absgrad, table),
        )
        out = _Parameters(
            *(torch.zeros(a.shape).numpy() for a in vars(p).values())  # zeroed pages come late
        )
        means2d = torch.zeros(len(p.means), 2)
        absolute = torch.zeros(len(p.means) if ctx.absgrad else 0, 2)
        seen = len(view.order)
        cameras = np.zeros((-(-seen // CHUNK), CAMERA_GRADIENT))
        run(
            threads() if seen > 1000 else 1,
            *(project_backward, view.order, view.first_rows, table),
            *(p.means, p.quats, p.log_scales, p.opacity_logits, p.sh0, p.shN),
            *(view.footprints, view.channels, view.degree, view.cam),
            *(out.means, out.quats, out.log_scales, out.opacity_logits, out.sh0, out.shN),
            *(out.features, means2d.numpy(), absolute.numpy()),
            *(ctx.needs_input_grad[4] or ctx.needs_input_grad[5], cameras),
        )
        if ctx.absgrad:
            before = getattr(ctx.screen, "absgrad", None)
            ctx.screen.absgrad = absolute if before is None else before + absolute
        camera_gradient = torch.from_numpy(cameras.sum(axis=0)).to(torch.float32)
        v_viewmat = torch.cat([camera_gradient[:12].reshape(3, 4), torch.zeros(1, 4)])
        v_background = None
        if ctx.needs_input_grad[3] and v_colors is not None:
            v_background = _background_gradient(
                v_colors.numpy(), transmittance[:, :width].numpy(), len(ctx.background_shape)
            )
        n = len(p.means)
        return (
            *(None, means2d, None, v_background, v_viewmat, camera_gradient[12:]),
            *(torch.from_numpy(a) for a in (out.means, out.quats, out.log_scales)),
            torch.from_numpy(out.opacity_logits),
            torch.from_numpy(out.sh0).reshape(n, 1, 3),
            torch.from_numpy(out.shN).reshape(n, p.shN.shape[1] // 3, 3),
            torch.from_numpy(out.features) if ctx.needs_input_grad[12] else None,
        )


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
    parameters = _Parameters(
        means=_array(splats.means),
        quats=_array(splats.quats),
        log_scales=_array(splats.log_scales),
        opacity_logits=_array(splats.opacity_logits),
        sh0=_array(splats.sh0, 3),
        shN=_array(splats.shN, 3 * splats.shN.shape[1]),
        features=np.empty((n, 0), np.float32) if features is None else _array(features),
    )
    cam = camera.pack(_array(viewmat), _array(K), _array(center), width, height, settings)
    padded_pixels = height * (-(-width // TILE) * TILE)
    _guard_memory(4 * padded_pixels * (3 + n_features + 3), f"an image of {width} x {height}")
    view, means2d, radii = _prepare(parameters, cam, width, height, degree, settings.expected_depth)
    tensors = [splats.means, splats.quats, splats.log_scales, splats.opacity_logits]
    tensors += [splats.sh0, splats.shN]
    wanted = [*tensors, viewmat] + [t for t in (features, background) if t is not None]
    # A leaf of its own, so that its gradient is there after backward, as densification expects.
    screen = torch.from_numpy(means2d).requires_grad_(
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
        screen=ScreenSpace(means2d=screen, radii=torch.from_numpy(radii)),
    )
