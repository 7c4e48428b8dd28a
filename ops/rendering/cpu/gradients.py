"""The backward pass of one view on the CPU."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.rendering.cpu.camera import with_center
from ops.rendering.cpu.jit import aligned, announced, workspace
from ops.rendering.cpu.simd import LANES
from ops.rendering.cpu.team import run
from ops.rendering.cpu.view import FEW, Drawn, Floats, View, as_array, guard_memory
from ops.threads import threads


@dataclass(frozen=True)
class PixelGradients:
    """A loss's gradients by what was drawn; None where there is none."""

    colors: Tensor | None = None  # [H, W, 3]
    features: Tensor | None = None  # [H, W, F]
    depth: Tensor | None = None  # [H, W] of the blended depth, not divided by alpha
    alphas: Tensor | None = None  # [H, W]


@dataclass(frozen=True)
class ViewGradients:
    """A loss's gradients by everything a view was prepared from."""

    parameters: dict[str, Tensor]  # by field of Splats; each of its shape
    means2d: Tensor  # [N, 2] pixels
    absolute: Tensor | None  # [N, 2] sums over pixels of absolute gradients
    viewmat: Tensor  # [4, 4]; 0 where not asked for


@functools.cache
def _gradient_kernels() -> tuple[Any, Any]:
    """The modules of the backward pass, which those who only draw need not compile."""
    with announced("gradients"):
        from ops.rendering.cpu import projection_backward, raster_backward

    return raster_backward, projection_backward


def differentiate(
    view: View, drawn: Drawn, pixels: PixelGradients, *, absgrad: bool, camera: bool
) -> ViewGradients:
    """Takes gradients of pixels back to the splats and the camera.

    Args:
        view: What was drawn.
        drawn: By :func:`ops.rendering.cpu.view.rasterise`.
        pixels: Gradients of the loss.
        absgrad: Whether to sum absolute gradients, too.
        camera: Whether gradients of the camera are wanted.

    Raises:
        InputError: When it would take more memory than is free.
    """
    raster, projection = _gradient_kernels()
    p, height, width = view.parameters, view.height, view.width
    image, planes, transmittance = drawn.image, drawn.planes, drawn.transmittance
    n, n_features = view.count, p.features.shape[1]
    needed = 4 * height * width * (3 + len(planes))
    guard_memory(needed, f"the gradient of {width} x {height} pixels")
    if pixels.colors is None:
        v_image = np.zeros((height, width, 3), np.float32)
    else:
        v_image = as_array(pixels.colors)
    v_planes = _plane_gradients(pixels.features, pixels.depth, planes.shape)
    v_alphas = np.empty((0, 0), np.float32) if pixels.alphas is None else as_array(pixels.alphas)

    columns = raster.columns(len(planes))
    rows = len(view.entries)
    guard_memory(rows * columns * 4, f"the gradient of {rows:,} intersections")
    table = aligned(view.n_records, columns)
    plain = len(planes) == 0 and not absgrad
    parts = threads()
    run(
        *(parts, raster.raster_backward, workspace(parts, raster.workspace_size(len(planes)))),
        *(np.zeros(1, np.int64), width, height),
        *(view.offsets, drawn.ends, view.entries, view.masks),
        *(view.footprints, None if plain else view.extras),
        *(image.numpy(), planes.numpy(), transmittance.numpy()),
        *(v_image, v_planes, v_alphas, None if plain else absgrad, table),
    )
    arrays = {name: np.empty(a.shape, np.float32) for name, a in vars(p).items()}
    means2d = np.empty((len(p.means), 2), np.float32)
    absolute = np.empty((len(p.means) if absgrad else 0, 2), np.float32)
    chunks = -(-len(p.means) // (LANES * projection.CHUNK))
    cameras = np.zeros((chunks, projection.CAMERA_GRADIENT))
    parts = threads() if n > FEW else 1
    run(
        *(parts, projection.project_backward, workspace(parts, projection.WORKSPACE)),
        *(view.depths, view.spans, table),
        *(p.means, p.quats, p.log_scales, p.opacity_logits, p.shN),
        *(view.footprints, view.degree, view.cam, len(planes) > n_features),
        *(arrays.values()),
        *(means2d, absolute, camera, cameras),
    )
    arrays["sh0"] = arrays["sh0"].reshape(len(p.means), 1, 3)
    arrays["shN"] = arrays["shN"].reshape(len(p.means), p.shN.shape[1] // 3, 3)
    by_viewmat = np.zeros((4, 4), np.float32)  # the last row of a viewmat is constant
    if camera:
        summed = cameras.sum(axis=0)
        by_viewmat[:3] = with_center(view.cam, summed[:12].reshape(3, 4), summed[12:])
    return ViewGradients(
        parameters={name: torch.from_numpy(a[:n]) for name, a in arrays.items()},
        means2d=torch.from_numpy(means2d[:n]),
        absolute=torch.from_numpy(absolute[:n]) if absgrad else None,
        viewmat=torch.from_numpy(by_viewmat),
    )


def _plane_gradients(
    v_features: Tensor | None, v_depth: Tensor | None, shape: tuple[int, ...]
) -> Floats:
    """[E, H, W] of the extras' gradients; 0 where there is none."""
    n_extras, height, width = shape
    if v_features is not None and v_features.shape[2] == n_extras:  # depth is none of them
        return as_array(v_features.permute(2, 0, 1))
    planes = np.zeros((n_extras, height, width), np.float32)
    if v_features is not None:
        planes[: v_features.shape[2]] = v_features.permute(2, 0, 1).numpy()
    if v_depth is not None:
        planes[-1] = v_depth.numpy()
    return planes
