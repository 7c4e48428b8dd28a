"""Checks of stated camera poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.capture.model import Array
from ops.errors import InputError

EXACT = 1e-9  # deviation of R^T R from the identity that is left as it is
NOTED = 1e-4  # above this a repaired rotation is worth a note
REFUSED = 5e-3  # above this the matrix is no rotation


def checked_pose(stated: object, told_by: str) -> tuple[Array, float]:
    """A camera-to-world matrix, made exactly rigid where it is so within rounding.

    Args:
        stated: 4x4 or 3x4 numbers, any handed frame as long as it is a rotation.
        told_by: Who states it, for messages ("transforms.json, frame 3 (images/0003.jpg)").

    Returns:
        [4, 4] float64, and how far R^T R was from the identity (largest element).

    Raises:
        InputError: Wrong shape, NaN or infinity, scale, shear or mirror.
    """
    try:
        matrix = np.asarray(stated, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape not in ((4, 4), (3, 4)):
        raise InputError(
            f"{told_by}: expected a camera-to-world matrix of 4x4 numbers, found "
            f"{'shape ' + str(matrix.shape) if matrix.size else str(stated)[:60]}. "
            "Remove the frame or export the poses again."
        )
    if not np.isfinite(matrix).all():
        raise InputError(
            f"{told_by}: the pose holds NaN or infinite numbers. Remove the frame or export the "
            "poses again."
        )
    if matrix.shape == (4, 4) and np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise InputError(
            f"{told_by}: expected the last row of the pose to be 0 0 0 1, found "
            f"{' '.join(f'{v:g}' for v in matrix[3])}. Is the matrix transposed?"
        )
    pose = np.eye(4)
    pose[:3] = matrix[:3]
    R = pose[:3, :3]
    drift = float(np.abs(R.T @ R - np.eye(3)).max())
    if drift > REFUSED:
        raise InputError(f"{told_by}: {_what_is_wrong(R)}")
    if np.linalg.det(R) < 0:
        raise InputError(
            f"{told_by}: the pose mirrors (determinant -1), which no camera does. "
            "An axis was probably negated once too often when the poses were converted."
        )
    if drift > EXACT:
        U, _, Vt = np.linalg.svd(R)
        pose[:3, :3] = U @ Vt
    return pose, drift


def check_spread(poses: Sequence[Array]) -> None:
    """Refuse cameras that all stand at one place.

    Raises:
        InputError: More than one camera, and all centres equal within rounding.
    """
    centres = np.stack([p[:3, 3] for p in poses])
    reach = np.abs(centres - centres[0]).max()
    if len(centres) > 1 and reach <= 1e-6 * max(1.0, float(np.abs(centres).max())):
        x, y, z = centres[0]
        raise InputError(
            f"all {len(centres)} cameras are at one place ({x:g}, {y:g}, {z:g}), so nothing tells "
            "how far away things are. Expected photos from different places; check that the poses "
            "are camera-to-world matrices with translations."
        )


def _what_is_wrong(R: Array) -> str:
    sizes = np.linalg.svd(R, compute_uv=False)
    if sizes[0] - sizes[2] <= REFUSED * sizes[0]:
        return (
            f"the pose is scaled by {sizes.mean():.4g}; expected a rotation. Divide the rotation "
            "part by the scale; to scale the scene, scale the translations only."
        )
    return (
        "the rotation part of the pose is not orthonormal (its axes are stretched by "
        f"{sizes[0]:.4g}, {sizes[1]:.4g} and {sizes[2]:.4g}, or sheared; expected 1, 1, 1). "
        "Remove the frame or export the poses again."
    )
