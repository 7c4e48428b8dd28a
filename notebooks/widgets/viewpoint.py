"""Where viewers stand at first, and the cameras of a capture as browsers take them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from notebooks.orbit import focus
from ops.cameras import Cameras, look_at
from ops.errors import InputError

FOV = math.radians(50)  # of the shorter side, where no camera says otherwise


def camera_rows(cameras: Cameras | None) -> list[dict[str, Any]]:
    """One dict per camera, as ``OrbitCamera.setCameras`` takes them; numbers are exact."""
    if cameras is None:
        return []
    viewmats, Ks = cameras.viewmats.cpu().flatten(1), cameras.Ks.cpu().flatten(1)
    return [
        {"viewmat": viewmat, "K": K, "width": width, "height": height, "name": name}
        for viewmat, K, width, height, name in zip(
            viewmats.tolist(),
            Ks.tolist(),
            cameras.widths,
            cameras.heights,
            cameras.names,
            strict=True,
        )
    ]


def outlook(
    points: Any,
    cameras: Cameras | None,
    view: int = -1,
    up: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Where to stand at first: ``up``, ``target`` and ``eye`` in the world, ``fov`` in radians.

    From outside, the eye stands off far enough to see most of the points, a little above and to the
    side. At a camera, eye is its centre, and target is what all cameras look at.

    Args:
        points: [N, 3], of the scene, world units; NumPy or torch.
        cameras: Of its capture, or None.
        view: The camera to be at; -1 for outside.
        up: Away from the ground, of any length; None is what the cameras say (see
            :func:`notebooks.orbit.focus`), and -y, as in the first camera of many captures, where
            there are none.

    Raises:
        InputError: There is no such camera, or ``up`` is no direction.
    """
    count = 0 if cameras is None else len(cameras)
    if not -1 <= view < count:
        raise InputError(f"view: expected one of {count} cameras, or -1, found {view}")
    if up is None:
        up = focus(cameras).up.tolist() if cameras is not None and count else (0.0, -1.0, 0.0)
    above = np.asarray(up, np.float64)
    if above.shape != (3,) or not 0 < np.linalg.norm(above) < math.inf:
        raise InputError(f"up: expected a direction of three numbers, found {up}")
    above = above / np.linalg.norm(above)
    if cameras is not None and view >= 0:
        return {**_among(cameras, view), "up": above.tolist(), "fov": FOV}
    xyz = np.asarray(torch.as_tensor(points).detach().cpu(), np.float64)
    xyz = xyz[np.isfinite(xyz).all(1)]
    middle = (np.percentile(xyz, 2, 0) + np.percentile(xyz, 98, 0)) / 2 if len(xyz) else np.zeros(3)
    away = np.linalg.norm(xyz - middle, axis=1) if len(xyz) else np.ones(1)
    radius = max(float(np.percentile(away, 95)), 1e-6)
    side = np.cross(above, np.eye(3)[int(np.abs(above).argmin())])
    ahead = np.cross(side, above)
    direction = 0.4 * above + (0.9 * ahead + 0.45 * side) / np.linalg.norm(side)
    eye_at = middle + direction / np.linalg.norm(direction) * radius / math.sin(FOV / 2) * 1.05
    return {
        "up": above.tolist(),
        "target": middle.tolist(),
        "eye": eye_at.tolist(),
        "fov": FOV,
    }


def _among(cameras: Cameras, view: int) -> dict[str, Any]:
    """At a camera, looking where all look; straight ahead where they look outward."""
    seen = focus(cameras)
    eye = cameras.centers[view].double().cpu()
    target = seen.point
    if seen.outward or float((target - eye).norm()) < 1e-9:
        ahead = cameras.camtoworlds[view, :3, 2].double().cpu()
        target = eye + ahead * max(float((target - eye).norm()), 1e-3)
    return {"target": target.tolist(), "eye": eye.tolist()}


def pose_of(start: Mapping[str, Any], width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Viewmat [4, 4] and K [3, 3] of an outlook, for a picture of a size in pixels."""
    eye, target, up = (
        torch.tensor(start[name], dtype=torch.float64) for name in ("eye", "target", "up")
    )
    f = min(width, height) / (2 * math.tan(start["fov"] / 2))
    K = np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]])
    return look_at(eye[None], target[None], up)[0].numpy(), K
