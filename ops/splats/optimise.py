"""Adam over the parameters of splats, one optimiser each as gsplat's strategies want it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ops.splats.adam import can_step, step_together
from ops.splats.settings import TrainSettings

Optimisers = dict[str, torch.optim.Adam]


def make_optimisers(
    parameters: dict[str, Tensor], settings: TrainSettings, extent: float
) -> Optimisers:
    """One Adam per parameter with the learning rates of the first step.

    Their own ``step`` is torch's fused one; see :func:`take_step`.
    """
    rates = {name: getattr(settings, f"{name}_lr") for name in parameters}
    rates["means"] *= extent
    return {
        name: torch.optim.Adam([value], lr=rates[name], eps=1e-15, fused=True)
        for name, value in parameters.items()
    }


def means_rate(settings: TrainSettings, extent: float, step: int) -> float:
    """The means' learning rate (world units) at a step counted from 0: exponential decay."""
    progress = min(1.0, step / settings.iterations)
    return settings.means_lr * extent * settings.means_lr_final**progress


def set_means_rate(optimisers: Optimisers, rate: float) -> None:
    """Make the next step move the means at this learning rate."""
    optimisers["means"].param_groups[0]["lr"] = rate


def take_step(optimisers: Optimisers) -> None:
    """One step of every optimiser, which then forgets its gradients."""
    together = list(optimisers.values())
    if can_step(together):
        step_together(together)
    else:
        for optimiser in together:
            optimiser.step()
    for optimiser in together:
        optimiser.param_groups[0]["params"][0].grad = None


def moments(optimisers: Optimisers) -> dict[str, dict[str, Tensor]]:
    """Adam's state by parameter: plain tensors, empty where a parameter was not yet moved."""
    return {
        name: dict(optimiser.state[optimiser.param_groups[0]["params"][0]])
        for name, optimiser in optimisers.items()
    }


def restore_moments(optimisers: Optimisers, states: dict[str, dict[str, Any]]) -> None:
    """Give freshly made optimisers the state that :func:`moments` returned."""
    for name, optimiser in optimisers.items():
        parameter = optimiser.param_groups[0]["params"][0]
        if states[name]:
            optimiser.state[parameter] = {
                key: value.to(parameter.device) for key, value in states[name].items()
            }
