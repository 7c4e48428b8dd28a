"""A camera and the settings of a rendering as one float32 vector, which kernels take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ops.rendering.interface import OneView

# Where things are in the vector. 0 to 11: the rows of [R | t], world to camera.
FX, FY, CX, CY = 12, 13, 14, 15
X_MIN, X_MAX, Y_MIN, Y_MAX = 16, 17, 18, 19  # bounds of x / z and y / z inside the Jacobian
EPS2D, NEAR, FAR, ANTIALIASED = 20, 21, 22, 23
CENTER = 24  # 24 to 26: the camera's centre in the world
WIDTH, HEIGHT = 27, 28


def pack(wanted: OneView) -> NDArray[np.float32]:
    """The vector of one view.

    The affine approximation of a projection breaks down far outside the image; like gsplat we
    take its Jacobian no further out than 0.15 image widths (and heights) beyond the border.
    """
    width, height, settings = wanted.width, wanted.height, wanted.settings
    # Lists: for so few numbers an operation on tensors or arrays costs more than all of them.
    rows = wanted.viewmat.tolist()[:3]
    (fx, _, cx), (_, fy, cy), _ = wanted.K.tolist()
    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    bounds = (
        -cx / fx - margin_x,
        (width - cx) / fx + margin_x,
        -cy / fy - margin_y,
        (height - cy) / fy + margin_y,
    )
    antialiased = settings.mode == "antialiased"
    return np.array(
        [
            *(number for row in rows for number in row),
            *(fx, fy, cx, cy),
            *bounds,
            *(settings.eps2d, settings.near_plane, settings.far_plane, antialiased),
            *(-sum(row[k] * row[3] for row in rows) for k in range(3)),
            *(width, height),
        ],
        np.float32,
    )


def with_center(
    cam: NDArray[np.float32], by_rows: NDArray[np.float64], by_center: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The gradient [3, 4] of the rows of [R | t], with what comes by way of the centre -R^T t.

    Args:
        cam: From :func:`pack`.
        by_rows: [3, 4] the gradient where the centre stays.
        by_center: [3] the gradient by the centre.
    """
    rows = cam[:12].reshape(3, 4).astype(np.float64)
    by_R, by_t = -np.outer(rows[:, 3], by_center), -rows[:, :3] @ by_center
    return by_rows + np.column_stack([by_R, by_t])
