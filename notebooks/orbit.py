"""Camera paths around what a capture's cameras look at, in closed form from the cameras alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ops.cameras import Cameras, look_at
from ops.errors import InputError

_LEVEL = 0.01  # how much the cameras' mean up counts against their being level
_PARALLEL = 1e-3  # least eigenvalue from which axes count as meeting (2 degrees apart, or so)
_NEAR = 4.0  # concentration of the weights that carry radius and height along the path
_GAP = math.pi / 2  # without cameras over more than this, the path does not go around


@dataclass(frozen=True, kw_only=True)
class Focus:
    """What a capture looks at, and how it stands in the world."""

    point: Tensor  # [3] float64, world units: nearest to all optical axes
    up: Tensor  # [3] float64, unit: away from the ground
    outward: bool  # the cameras stand around the point and look away from it


def focus(cameras: Cameras) -> Focus:
    """Where the cameras look, by least squares.

    The point X that minimises the sum of its squared distances to the optical axes (centre c,
    direction d) solves ``sum(I - d d^T) X = sum((I - d d^T) c)``. Where the axes are parallel the
    point is not determined along them: it is then put in front of the cameras, at twice the
    extent of their centres.

    Up is ``(mean(x x^T) + 0.01 I)^-1 mean(-y)`` of the cameras' x and y axes, made unit: the
    direction at right angles to every x axis (that is, all cameras are level), which for
    directions that this leaves open is the cameras' mean up.

    Raises:
        InputError: There are no cameras.
    """
    if not len(cameras):
        raise InputError("orbit: expected at least one camera, found none")
    poses = cameras.camtoworlds.double().cpu()
    x, y, d, c = poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2], poses[:, :3, 3]
    identity = torch.eye(3, dtype=torch.float64)

    mean_up = -y.mean(0) if y.mean(0).norm() > 1e-9 else -y[0]
    level = torch.einsum("ci,cj->ij", x, x) / len(x)
    up = torch.linalg.solve(level + _LEVEL * identity, mean_up)

    across = identity - d[:, :, None] * d[:, None, :]
    A, b = across.mean(0), torch.einsum("cij,cj->i", across, c) / len(c)
    outward = False
    if torch.linalg.eigvalsh(A)[0] < _PARALLEL:
        extent = (c - c.mean(0)).norm(dim=1).max()
        point = c.mean(0) + d.mean(0) * (2 * extent if extent > 0 else 1.0)
    else:
        point = torch.linalg.solve(A, b)
        outward = bool((((point - c) * d).sum(1) <= 0).double().mean() > 0.5)
    return Focus(point=point, up=up / up.norm(), outward=outward)


def orbit(cameras: Cameras, frames: int = 48, max_size: int = 400) -> Cameras:
    """A closed path of cameras around what ``cameras`` look at, as near to them as can be.

    Radius and height at an angle are means over the capture's cameras, weighted by how near they
    are in angle, so that the path runs where photos were taken. Where photos were taken from one
    side only, it swings to and fro there; where the cameras look outward, it turns on the spot.

    Args:
        cameras: Of a capture.
        frames: Number of cameras on the path; the step from the last to the first is like others.
        max_size: The longer side of the images, pixels; they have the shape of the first camera's.

    Returns:
        ``frames`` cameras, float32.

    Raises:
        InputError: No cameras, or fewer than 2 frames.
    """
    if frames < 2:
        raise InputError(f"orbit: expected at least 2 frames, found {frames}")
    seen = focus(cameras)
    centers = cameras.centers.double().cpu()
    turn = torch.arange(frames, dtype=torch.float64) * (2 * math.pi / frames)
    if seen.outward:
        eyes = centers.mean(0).expand(frames, 3)
        a, b = _horizontal(seen.up)
        targets = eyes + torch.cos(turn)[:, None] * a + torch.sin(turn)[:, None] * b
    else:
        eyes, targets = _around(centers, seen, turn), seen.point
    viewmats = look_at(eyes, targets, seen.up).float()

    first = cameras[0]
    scale = max_size / max(first.widths[0], first.heights[0])
    first = first.resized([round(first.widths[0] * scale)], [round(first.heights[0] * scale)])
    return Cameras(
        viewmats=viewmats,
        Ks=first.Ks.float().cpu().expand(frames, 3, 3).clone(),
        widths=first.widths * frames,
        heights=first.heights * frames,
        names=tuple(f"orbit {i:03d}" for i in range(frames)),
    )


def _around(centers: Tensor, seen: Focus, turn: Tensor) -> Tensor:
    """[F, 3] eyes around the focus, through where the cameras stand."""
    a, b = _horizontal(seen.up)
    from_point = centers - seen.point
    height = from_point @ seen.up
    u, v = from_point @ a, from_point @ b
    angle, radius = torch.atan2(v, u), torch.hypot(u, v)
    start, width = _arc(angle)
    at = turn + start
    if width < 2 * math.pi:
        at = start + width * (1 - torch.cos(turn)) / 2
    weight = torch.exp(_NEAR * torch.cos(at[:, None] - angle))
    weight = weight / weight.sum(1, keepdim=True)
    r, h = weight @ radius, weight @ height
    return (
        seen.point
        + (r * torch.cos(at))[:, None] * a
        + (r * torch.sin(at))[:, None] * b
        + h[:, None] * seen.up
    )


def _arc(angle: Tensor) -> tuple[float, float]:
    """Start and width of the arc that the cameras cover; a full circle where no gap is wide."""
    ordered = torch.sort(angle).values
    gaps = torch.cat([ordered[1:], ordered[:1] + 2 * math.pi]) - ordered
    widest = int(gaps.argmax())
    if gaps[widest] <= _GAP:
        return float(ordered[0]), 2 * math.pi
    start = ordered[(widest + 1) % len(ordered)]
    return float(start), float(2 * math.pi - gaps[widest])


def _horizontal(up: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit directions at right angles to ``up`` (a unit) and each other, right-handed."""
    axis = torch.zeros(3, dtype=up.dtype)
    axis[int(up.abs().argmin())] = 1.0
    a = torch.linalg.cross(axis, up)
    a = a / a.norm()
    return a, torch.linalg.cross(up, a)


def upright(up: Tensor) -> Tensor:
    """[3, 3] rotation that turns the world so that ``up`` [3], of any length, is its third axis."""
    up = up / up.norm()
    return torch.stack([*_horizontal(up), up])
