"""Splats to images, the same on every device."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.rendering.interface import OneView, Rendering, RenderSettings, ScreenSpace
from ops.splats.model import Splats

_RIGID = 0.01  # how far R R^T may be from the identity; poses that are optimised drift


def render(
    splats: Splats,
    cameras: Cameras,
    settings: RenderSettings | None = None,
    background: Tensor | None = None,
) -> list[Rendering]:
    """Renders splats from every camera, with gradients.

    On CUDA tensors this is gsplat (Ye et al. 2024), on CPU tensors a rasteriser of our own with
    the same conventions (Kerbl et al. 2023): pixel centres at half integers, eps2d added to the
    projected covariance, alpha below 1/255 skipped and above 0.999 cut, pixels finished where
    transmittance would fall to 1e-4. Results are float32 and agree within its tolerance. A
    Gaussian with a parameter that is not finite, or a quaternion of 0, is not drawn.

    Gradients reach every tensor of ``splats``, the background and ``cameras.viewmats`` (not Ks).
    After ``backward``, ``rendering.screen.means2d.grad`` holds the [N, 2] gradient of the loss by
    the image positions in pixels, and ``.absgrad`` the sums over pixels of its absolute value
    where ``settings.absgrad`` asks for it; gsplat's strategies expect both in this unit. On the
    CPU all of it has the same bytes whatever the number of threads (``torch.set_num_threads``).

    Args:
        splats: N Gaussians; their tensors' device is where the work is done.
        cameras: C views, which may differ in size.
        settings: How to render; None for the defaults.
        background: Colour behind everything: [3] for all views, [C, 3] for each, or [H, W, 3] an
            image for all of them. None is black.

    Returns:
        One rendering per camera, in order.

    Raises:
        InputError: A background of another shape, an SH degree that the splats do not hold,
            settings that mean nothing, a camera without pixels, with numbers that are not finite,
            with skew, or with a pose that is not rigid, tensors on several devices, or a view that
            needs more memory than is free.
        UnavailableError: CUDA tensors on a machine whose gsplat cannot run.
    """
    settings = RenderSettings() if settings is None else settings
    views = checked(splats, cameras, settings, background)
    render_view = _renderer(splats.means.is_cpu)
    return [render_view(splats, views.of(c, settings)) for c in range(len(cameras))]


def differentiate(
    splats: Splats,
    views: CheckedViews,
    settings: RenderSettings,
    by_colors: Callable[[Tensor], Tensor],
) -> ScreenSpace:
    """Renders one view and takes the gradient of a loss back to the splats, as training does.

    What ``render`` and ``backward`` give, for less: nothing is checked and, on the CPU, no graph is
    built. Gradients are added to ``.grad`` of the tensors of ``splats``, which must be leaves.

    Args:
        splats: On one device.
        views: One view, of :func:`checked`.
        settings: How to render; of depths and features nothing is rendered.
        by_colors: From the colours [H, W, 3] to the gradient of the loss by them, of that shape.

    Returns:
        As ``render`` gives it, with gradients.
    """
    wanted = views.of(0, settings)
    if splats.means.is_cpu:
        from ops.rendering.cpu.direct import differentiate_view

        return differentiate_view(splats, wanted, by_colors=by_colors)
    rendering = _renderer(False)(splats, wanted)
    rendering.colors.backward(by_colors(rendering.colors.detach()))
    return rendering.screen


@functools.cache
def _renderer(on_cpu: bool) -> Callable[[Splats, OneView], Rendering]:
    """Imported when it is needed: kernels are compiled then."""
    if on_cpu:
        from ops.rendering.cpu.autograd import render_view
    else:
        from ops.rendering.gpu import render_view
    return render_view


@dataclass(frozen=True)
class CheckedViews:
    """What was asked for, as renderers take it."""

    cameras: Cameras  # float32, on the device of the splats
    degree: int  # of the spherical harmonics to use
    backgrounds: list[Tensor | None]  # [3] or [H, W, 3] each

    def of(self, c: int, settings: RenderSettings) -> OneView:
        """What a renderer draws for camera c."""
        cameras = self.cameras
        return OneView(
            *(cameras.viewmats[c], cameras.Ks[c], cameras.widths[c], cameras.heights[c]),
            *(settings, self.degree, self.backgrounds[c]),
        )


def checked(
    splats: Splats, cameras: Cameras, settings: RenderSettings, background: Tensor | None
) -> CheckedViews:
    """Checks and prepares the arguments of :func:`render`, which says what is raised."""
    _check_settings(settings)
    degree = _checked_degree(splats, settings)
    device = _checked_device(splats)
    if device.type not in ("cpu", "cuda"):
        raise InputError(
            f"rendering: splats should be on 'cpu' or 'cuda', found '{device.type}'; "
            "move them with splats.to('cpu')"
        )
    cameras = cameras.to(device=device, dtype=torch.float32)
    _check_cameras(cameras)
    return CheckedViews(cameras, degree, _backgrounds(background, cameras, device))


def _check_settings(settings: RenderSettings) -> None:
    if settings.mode not in ("classic", "antialiased"):
        raise InputError(
            f"rendering: mode should be 'classic' or 'antialiased', found {settings.mode!r}"
        )
    if not 0 <= settings.eps2d < math.inf:
        raise InputError(
            f"rendering: eps2d should be finite and not negative, found {settings.eps2d} px^2"
        )
    if not settings.near_plane < settings.far_plane:
        raise InputError(
            "rendering: near_plane should be below far_plane, found "
            f"{settings.near_plane} and {settings.far_plane}"
        )


def _checked_degree(splats: Splats, settings: RenderSettings) -> int:
    held = splats.sh_degree
    degree = held if settings.sh_degree is None else settings.sh_degree
    if degree not in range(held + 1) or not isinstance(degree, int):
        raise InputError(
            f"rendering: sh_degree should be between 0 and the {held} that the splats hold, "
            f"found {degree!r}"
        )
    return degree


def _checked_device(splats: Splats) -> torch.device:
    for name, tensor in splats.tensors().items():
        if not tensor.is_floating_point():
            raise InputError(
                f"rendering: {name} should be floating point numbers, found {tensor.dtype}"
            )
    devices = {name: tensor.device for name, tensor in splats.tensors().items()}
    if any(device != devices["means"] for device in devices.values()):
        raise InputError(f"rendering: splats should be on one device, found {devices}")
    return devices["means"]


def _check_cameras(cameras: Cameras) -> None:
    # As lists: for the few numbers of a view a tensor operation costs more than all of them.
    viewmats, Ks = cameras.viewmats.tolist(), cameras.Ks.tolist()
    sizes = zip(cameras.widths, cameras.heights, strict=True)
    for name, (width, height), viewmat, K in zip(cameras.names, sizes, viewmats, Ks, strict=True):
        whole = isinstance(width, Integral) and isinstance(height, Integral)
        if not whole or width < 1 or height < 1:
            raise InputError(
                f"rendering: camera {name!r} should have whole numbers of pixels, at least one, "
                f"found {width} x {height}"
            )
        numbers = itertools.chain(*viewmat, *K)
        if not (all(map(math.isfinite, numbers)) and K[0][0] > 0 and K[1][1] > 0):
            raise InputError(
                f"rendering: camera {name!r} should have a finite pose and intrinsics with "
                "positive focal lengths; leave it out or correct it"
            )
        if K[0][1] != 0 or K[1][0] != 0 or K[2] != [0, 0, 1]:
            raise InputError(
                f"rendering: camera {name!r} should have K = [[fx, 0, cx], [0, fy, cy], "
                f"[0, 0, 1]], found {K}; skew is not drawn: undistort photos to pinhole cameras"
            )
        if not _is_rigid(viewmat):
            raise InputError(
                f"rendering: camera {name!r} should have a viewmat of a rotation and a translation "
                f"over [0, 0, 0, 1], found {viewmat}; scale the scene and not its cameras, and "
                "make a rotation that was optimised orthonormal again"
            )


def _is_rigid(viewmat: list[list[float]]) -> bool:
    """Whether a matrix [4, 4] is a rotation (up to _RIGID, and no reflection) and a translation."""
    if viewmat[3] != [0, 0, 0, 1]:
        return False
    a, b, c = (row[:3] for row in viewmat[:3])
    products = (*(_dot(r, r) - 1 for r in (a, b, c)), _dot(a, b), _dot(a, c), _dot(b, c))
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return max(map(abs, products)) < _RIGID and _dot(cross, c) > 0


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _backgrounds(
    background: Tensor | None, cameras: Cameras, device: torch.device
) -> list[Tensor | None]:
    """For each camera its background, [3] or [H, W, 3]."""
    count = len(cameras)
    if background is None:
        return [None] * count
    if not isinstance(background, Tensor):
        raise InputError(
            f"rendering: background should be a tensor, found {type(background).__name__}; "
            "torch.tensor makes one"
        )
    background = background.to(device=device, dtype=torch.float32)
    shape = tuple(background.shape)
    if shape == (3,):
        return [background] * count
    if shape == (count, 3):
        return list(background)
    sizes = set(zip(cameras.heights, cameras.widths, strict=True))
    if len(shape) == 3 and all(shape == (*size, 3) for size in sizes):
        return [background] * count
    raise InputError(
        f"rendering: background should have shape (3,), ({count}, 3) or (H, W, 3) with the size "
        f"of every view {sorted(sizes)}, found {shape}"
    )
