"""One view on the CPU and the gradients of a loss, without a graph for autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ops.rendering.cpu.gradients import PixelGradients, differentiate
from ops.rendering.cpu.view import prepare_view, rasterise
from ops.rendering.interface import OneView, ScreenSpace
from ops.splats.model import Splats


def differentiate_view(
    splats: Splats, wanted: OneView, *, by_colors: Callable[[Tensor], Tensor]
) -> ScreenSpace:
    """As :func:`ops.rendering.render.differentiate` for one view."""
    view, means2d, radii = prepare_view(splats, wanted)
    drawn = rasterise(view, wanted.background)
    pixels = PixelGradients(colors=by_colors(drawn.image))
    found = differentiate(view, drawn, pixels, absgrad=wanted.settings.absgrad, camera=False)
    for name, tensor in splats.tensors().items():
        if tensor.requires_grad:
            gradient = found.parameters[name]
            gradient = gradient if gradient.dtype is tensor.dtype else gradient.to(tensor.dtype)
            tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient
    screen = torch.from_numpy(means2d[: view.count])
    screen.grad = found.means2d
    if found.absolute is not None:
        screen.absgrad = found.absolute  # type: ignore[attr-defined]
    return ScreenSpace(means2d=screen, radii=torch.from_numpy(radii[: view.count]))
