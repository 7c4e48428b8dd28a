"""Cameras: pinhole, OpenCV axes, world-to-camera, as gsplat and COLMAP have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ops.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """A batch of C pinhole cameras without distortion.

    Axes are OpenCV's: x right, y down, z forward. A point X in the world lies at
    ``viewmats[c] @ [X, 1]`` in the camera and at ``Ks[c] @ x / z`` in the image, where the
    centre of the top left pixel is (0.5, 0.5).
    """

    viewmats: Tensor  # [C, 4, 4] float, world to camera, rigid
    Ks: Tensor  # [C, 3, 3] float, pixels: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    widths: tuple[int, ...]  # C, pixels
    heights: tuple[int, ...]  # C, pixels
    names: tuple[str, ...]  # C, unique; by convention the photo's path inside its dataset
    times: tuple[float, ...] | None = None  # C, in [0, 1] for scenes that move, else None

    def __post_init__(self) -> None:
        n = len(self.names)
        found = {
            "viewmats": tuple(self.viewmats.shape),
            "Ks": tuple(self.Ks.shape),
            "widths": (len(self.widths),),
            "heights": (len(self.heights),),
            "times": (n if self.times is None else len(self.times),),
        }
        expected = {
            "viewmats": (n, 4, 4),
            "Ks": (n, 3, 3),
            "widths": (n,),
            "heights": (n,),
            "times": (n,),
        }
        for name, shape in expected.items():
            if found[name] != shape:
                raise InputError(
                    f"cameras: {name} should have shape {shape} for {n} names, found {found[name]}"
                )
        if len(set(self.names)) != n:
            twice = sorted({m for m in self.names if self.names.count(m) > 1})[:3]
            raise InputError(f"cameras: names must be unique, found twice: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, which: int | slice | Sequence[int]) -> Cameras:
        """A sub-batch; an integer gives a batch of one."""
        if isinstance(which, slice):
            index = list(range(len(self)))[which]
        else:
            index = [which] if isinstance(which, int) else list(which)
        return Cameras(
            viewmats=self.viewmats[index],
            Ks=self.Ks[index],
            widths=tuple(self.widths[i] for i in index),
            heights=tuple(self.heights[i] for i in index),
            names=tuple(self.names[i] for i in index),
            times=None if self.times is None else tuple(self.times[i] for i in index),
        )

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cameras:
        """The same cameras with tensors on ``device`` and of ``dtype``."""
        given = (self.viewmats, self.Ks)
        if all(t.device == device and t.dtype is dtype for t in given):  # sooner seen than done
            return self
        viewmats, Ks = (t.to(device=device, dtype=dtype) for t in given)
        if viewmats is self.viewmats and Ks is self.Ks:
            return self
        return replace(self, viewmats=viewmats, Ks=Ks)

    @property
    def camtoworlds(self) -> Tensor:
        """[C, 4, 4] camera to world, OpenCV axes; the inverse of ``viewmats``."""
        return invert_rigid(self.viewmats)

    @property
    def centers(self) -> Tensor:
        """[C, 3] camera centres in the world, -R^T t."""
        return camera_centers(self.viewmats)

    def resized(self, widths: Sequence[int], heights: Sequence[int]) -> Cameras:
        """The same views at other image sizes; Ks scale with the true size ratio of each axis."""
        wide = torch.float64  # the ratio of odd sizes is not one of float32
        sx = torch.tensor([w / v for w, v in zip(widths, self.widths, strict=True)], dtype=wide)
        sy = torch.tensor([h / v for h, v in zip(heights, self.heights, strict=True)], dtype=wide)
        Ks = self.Ks.clone()
        Ks[:, 0] *= sx.to(Ks)[:, None]
        Ks[:, 1] *= sy.to(Ks)[:, None]
        return replace(self, Ks=Ks, widths=tuple(widths), heights=tuple(heights))


def camera_centers(viewmats: Tensor) -> Tensor:
    """[..., 3] camera centres in the world, -R^T t, of world-to-camera matrices [..., 4, 4]."""
    R, t = viewmats[..., :3, :3], viewmats[..., :3, 3:]
    # A product of matrices takes longer to start, and users may have asked for fewer bits of it.
    return -(R * t).sum(dim=-2)


def invert_rigid(matrices: Tensor) -> Tensor:
    """Inverse of rigid transforms [..., 4, 4], exact up to rounding: R^T and -R^T t."""
    R, t = matrices[..., :3, :3], matrices[..., :3, 3:]
    out = torch.zeros_like(matrices)
    out[..., :3, :3] = R.transpose(-1, -2)
    out[..., :3, 3:] = -R.transpose(-1, -2) @ t
    out[..., 3, 3] = 1
    return out


def opengl_to_opencv(camtoworlds: Tensor) -> Tensor:
    """Camera-to-world [..., 4, 4] from OpenGL/Blender camera axes (y up, -z forward) to OpenCV.

    The change is its own inverse.
    """
    out = camtoworlds.clone()
    out[..., :3, 1:3] *= -1
    return out


def look_at(eyes: Tensor, targets: Tensor, up: Tensor) -> Tensor:
    """World-to-camera matrices [C, 4, 4] of cameras at ``eyes`` that look at ``targets``.

    Args:
        eyes: [C, 3] camera centres.
        targets: [C, 3] or [3]; each must differ from its eye.
        up: [3] the world's up; must not be parallel to a viewing direction.
    """
    forward = torch.nn.functional.normalize(targets.expand_as(eyes) - eyes, dim=-1)
    right = torch.nn.functional.normalize(
        torch.linalg.cross(forward, up.expand_as(forward)), dim=-1
    )
    down = torch.linalg.cross(forward, right)
    camtoworlds = torch.zeros(len(eyes), 4, 4, dtype=eyes.dtype, device=eyes.device)
    camtoworlds[:, :3] = torch.stack([right, down, forward, eyes], dim=-1)
    camtoworlds[:, 3, 3] = 1
    return invert_rigid(camtoworlds)
