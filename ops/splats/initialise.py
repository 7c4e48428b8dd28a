"""The splats that training starts from, and the size of the scene its rates are relative to."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.model import Points
from ops.errors import InputError
from ops.splats.model import Splats, rgb_to_sh0

NEIGHBOURS = 3

PARAMETERS = {
    "means": "means",
    "scales": "log_scales",
    "quats": "quats",
    "opacities": "opacity_logits",
    "sh0": "sh0",
    "shN": "shN",
}
"""gsplat's name of every trained parameter: the field of :class:`Splats`."""


def camera_extent(cameras: Cameras) -> float:
    """1.1 times the largest distance of a camera from the cameras' centroid, in world units.

    This is the scene scale of 3DGS (``getNerfppNorm``) that learning rates and densification
    thresholds are relative to.

    Raises:
        InputError: Fewer than two cameras, or all at one place.
    """
    advice = (
        "splats need photos of the scene from different places; check the poses of the capture "
        "and which of its views are held out"
    )
    if len(cameras) < 2:
        raise InputError(
            f"training: expected at least 2 training views, found {len(cameras)}; {advice}"
        )
    centers = cameras.centers.double()
    if not bool(torch.isfinite(centers).all()):
        raise InputError("training: expected finite camera poses, found NaN or infinity in them")
    distances = torch.linalg.vector_norm(centers - centers.mean(dim=0), dim=1)
    extent = 1.1 * float(distances.max())
    if extent <= 1e-6 * max(1.0, float(centers.abs().max())):
        raise InputError(
            f"training: all {len(cameras)} training cameras are at one place "
            f"({', '.join(f'{v:.4g}' for v in centers[0].tolist())}); {advice}"
        )
    return extent


def splats_from_points(
    points: Points, *, sh_degree: int, opacity: float, scale: float, extent: float
) -> Splats:
    """A round Gaussian at every point, as large as the points near it are far.

    The standard deviation is the root mean square of the distances to the three nearest
    neighbours (Kerbl et al. 2023, section 5.1), times ``scale``; the colour is the point's.

    Args:
        points: Where to start.
        sh_degree: Highest SH degree to hold; the higher coefficients start at 0.
        opacity: Of every Gaussian, in (0, 1).
        scale: Factor on every standard deviation.
        extent: World units; bounds the size of Gaussians whose neighbours are very far or at the
            same place.

    Raises:
        InputError: No points, or points that are not finite.
    """
    count = len(points.xyz)
    if count == 0:
        raise InputError(
            "training: expected at least 1 point to start from, found none; let the points be "
            "triangulated from the photos, or ask for random ones"
        )
    bad = int((~np.isfinite(points.xyz).all(axis=1)).sum())
    if bad:
        raise InputError(
            f"training: expected finite points, found NaN or infinity in {bad} of {count}; "
            "make the points again or remove these"
        )
    distances = np.clip(_neighbour_distances(points.xyz, extent), 1e-4 * extent, extent)
    log_scales = torch.from_numpy(np.log(scale * distances).astype(np.float32))
    quats = log_scales.new_zeros(count, 4)
    quats[:, 0] = 1
    colours = torch.from_numpy(points.rgb.astype(np.float32) / 255)
    return Splats(
        means=torch.from_numpy(points.xyz.astype(np.float32)),
        quats=quats,
        log_scales=log_scales[:, None].repeat(1, 3),
        opacity_logits=log_scales.new_full((count,), math.log(opacity / (1 - opacity))),
        sh0=rgb_to_sh0(colours)[:, None],
        shN=log_scales.new_zeros(count, (sh_degree + 1) ** 2 - 1, 3),
    )


def _neighbour_distances(xyz: np.ndarray, extent: float) -> np.ndarray:
    """[P] float64 root mean square distance to the three nearest other points."""
    others = min(NEIGHBOURS, len(xyz) - 1)
    if others == 0:
        return np.full(1, 0.1 * extent)  # a lone point has no neighbours to measure by
    xyz = xyz.astype(np.float64)
    found, _ = cKDTree(xyz).query(xyz, k=others + 1)
    return np.sqrt((found[:, 1:] ** 2).mean(axis=1))


def as_parameters(splats: Splats) -> dict[str, Tensor]:
    """The splats as trainable leaves, under the names that gsplat's strategies know."""
    return {
        ours: torch.nn.Parameter(getattr(splats, theirs).detach().clone().contiguous())
        for ours, theirs in PARAMETERS.items()
    }


def as_splats(parameters: dict[str, Tensor]) -> Splats:
    """The splats that the leaves of :func:`as_parameters` stand for; gradients reach the leaves."""
    return Splats(**{theirs: parameters[ours] for ours, theirs in PARAMETERS.items()})
