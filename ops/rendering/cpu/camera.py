"""A camera and the settings of a rendering as one float32 vector, which kernels take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ops.rendering.settings import RenderSettings

# Where things are in the vector. 0 to 11: the rows of [R | t], world to camera.
FX, FY, CX, CY = 12, 13, 14, 15
X_MIN, X_MAX, Y_MIN, Y_MAX = 16, 17, 18, 19  # bounds of x / z and y / z inside the Jacobian
EPS2D, NEAR, FAR, ANTIALIASED = 20, 21, 22, 23
CENTER = 24  # 24 to 26: the camera's centre in the world
WIDTH, HEIGHT = 27, 28


def pack(
    viewmat: NDArray[np.float32],
    K: NDArray[np.float32],
    center: NDArray[np.float32],
    width: int,
    height: int,
    settings: RenderSettings,
) -> NDArray[np.float32]:
    """The vector of one camera.

    The affine approximation of a projection breaks down far outside the image; like gsplat we
    take its Jacobian no further out than 0.15 image widths (and heights) beyond the border.
    """
    (fx, _, cx), (_, fy, cy), _ = K.tolist()
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
            *viewmat[:3].ravel().tolist(),
            *(fx, fy, cx, cy),
            *bounds,
            *(settings.eps2d, settings.near_plane, settings.far_plane, antialiased),
            *center.tolist(),
            *(width, height),
        ],
        np.float32,
    )
