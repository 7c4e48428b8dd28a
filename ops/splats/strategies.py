"""gsplat's densification strategies behind one small interface, on any device.

Two operations under gsplat's MCMC strategy exist as CUDA kernels only, the relocation and the
covariance of a Gaussian. Importing this module gives ``gsplat.strategy.ops`` versions that take
tensors of the CPU as well and call gsplat's own for all others.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import gsplat.strategy.ops as gsplat_ops
import torch
from gsplat.strategy import DefaultStrategy, MCMCStrategy
from torch import Tensor

from ops.rendering.interface import ScreenSpace
from ops.splats.optimise import Optimisers
from ops.splats.settings import TrainSettings


class Densification:
    """When and where Gaussians are added, split, moved and removed while training."""

    def __init__(self, settings: TrainSettings, extent: float, device: torch.device) -> None:
        """Start without statistics.

        Args:
            settings: Their ``strategy``, ``densify*``, ``prune*`` ... fields and ``seed``.
            extent: World units; what counts as a large Gaussian is relative to it.
            device: That of the parameters.
        """
        self.settings = s = settings
        self.state: dict[str, Any] = {}
        self._random = _PrivateRandom(settings.seed + 2, device)
        self._strategy: DefaultStrategy | MCMCStrategy
        if s.strategy == "default":
            self._strategy = DefaultStrategy(
                prune_opa=s.prune_opacity,
                grow_grad2d=s.densify_gradient,
                refine_start_iter=s.densify_start,
                refine_stop_iter=s.densify_stop,
                refine_every=s.densify_every,
                # Also the step from which very large Gaussians are removed.
                reset_every=s.reset_every or s.iterations + 1,
                absgrad=s.absgrad,
            )
            self.state |= self._strategy.initialize_state(scene_scale=extent)
        else:
            self._strategy = MCMCStrategy(
                cap_max=s.max_count,
                noise_lr=s.mcmc_noise_lr,
                refine_start_iter=s.densify_start,
                refine_stop_iter=s.densify_stop,
                refine_every=s.densify_every,
                min_opacity=s.prune_opacity,
            )
            self.state |= self._strategy.initialize_state()

    def after_backward(
        self,
        parameters: dict[str, Tensor],
        optimisers: Optimisers,
        step: int,
        screen: ScreenSpace,
        size: tuple[int, int],
        means_rate: float,
    ) -> None:
        """Note what the view just trained on tells, and densify when it is time.

        Replaces entries of ``parameters`` and the state of ``optimisers`` in place.

        Args:
            parameters: As :func:`ops.splats.initialise.as_parameters` gives them.
            optimisers: One per parameter.
            step: Counted from 0.
            screen: Of the rendering, with the gradients of the loss.
            size: (width, height) of the view in pixels.
            means_rate: The means' current learning rate; MCMC's noise is relative to it.
        """
        if not self.settings.densify:
            return
        if isinstance(self._strategy, MCMCStrategy):
            with torch.no_grad(), self._random:
                self._strategy.step_post_backward(
                    parameters, optimisers, self.state, step, {}, lr=means_rate
                )
            return
        full = len(parameters["means"]) >= self.settings.max_count
        self._strategy.grow_grad2d = math.inf if full else self.settings.densify_gradient
        info = {
            "means2d": SimpleNamespace(**_gradients(screen, self.settings.absgrad)),
            "radii": screen.radii[None],
            "width": size[0],
            "height": size[1],
            "n_cameras": 1,
            "gaussian_ids": None,
        }
        with torch.no_grad(), self._random:
            self._strategy.step_post_backward(parameters, optimisers, self.state, step, info)
            if self._resets_opacity(step):
                gsplat_ops.reset_opa(
                    parameters, optimisers, self.state, value=2 * self.settings.prune_opacity
                )

    def remove(self, parameters: dict[str, Tensor], optimisers: Optimisers, which: Tensor) -> None:
        """Remove the Gaussians that the boolean tensor ``which`` [N] marks."""
        per_gaussian = {
            name: value
            for name, value in self.state.items()
            if isinstance(value, Tensor) and name != "binoms"
        }
        gsplat_ops.remove(parameters, optimisers, per_gaussian, which)
        self.state |= per_gaussian

    def reset_opacities(
        self, parameters: dict[str, Tensor], optimisers: Optimisers, value: float
    ) -> None:
        """Cut all opacities to ``value`` in (0, 1), and forget how Adam moved them."""
        gsplat_ops.reset_opa(parameters, optimisers, self.state, value=value)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors that :meth:`restore` takes."""
        return {"statistics": dict(self.state), "random": self._random.states}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the densification that gave ``state`` was."""
        device = self._random.device
        self.state = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in state["statistics"].items()
        }
        self._random.states = state["random"]

    def _resets_opacity(self, step: int) -> bool:
        # gsplat 1.5.3 writes ``step % reset_every == 0 & step > 0``, which Python reads as
        # ``... == (0 & step) > 0`` and is never true: its strategy resets nothing by itself.
        every = self.settings.reset_every
        return 0 < step < self.settings.densify_stop and every > 0 and step % every == 0


class _PrivateRandom:
    """Torch's global random state, exchanged for one of our own while the block runs.

    gsplat's strategies draw from the global generator and take no other.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.states = [torch.Generator().manual_seed(seed).get_state()]
        if device.type == "cuda":
            self.states.append(torch.Generator(device).manual_seed(seed).get_state())

    def __enter__(self) -> None:
        self._outside = self._exchange(self.states)

    def __exit__(self, *_: object) -> None:
        self.states = self._exchange(self._outside)

    def _exchange(self, states: list[Tensor]) -> list[Tensor]:
        before = [torch.get_rng_state()]
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            before.append(torch.cuda.get_rng_state(self.device))
            torch.cuda.set_rng_state(states[1], self.device)
        return before


def _gradients(screen: ScreenSpace, absolute: bool) -> dict[str, Tensor]:
    """[1, N, 2] the screen-space gradients by the name under which gsplat looks for them."""
    name = "absgrad" if absolute else "grad"
    gradient = getattr(screen.means2d, name)
    if gradient is None:
        gradient = torch.zeros_like(screen.means2d)
    return {name: gradient[None]}


def relocation(opacities: Tensor, scales: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """What N Gaussians at one place must be so that together they look like the one before.

    Kheradmand et al. 2024 (3DGS-MCMC), equation 9, with the sums over i swapped for the binomial
    identity ``sum_{i=j}^N C(i-1, j-1) = C(N, j)``:
    opacity' = 1 - (1 - opacity)^(1/N) and
    scale' = scale opacity / sum_{j=1}^N C(N, j) (-1)^(j-1) opacity'^j / sqrt(j).

    Args:
        opacities: [M] in (0, 1).
        scales: [M, 3] standard deviations.
        ratios: [M] integers, N of each Gaussian, at least 1.

    Returns:
        Opacities [M] and scales [M, 3] of the same type as given.
    """
    most = int(ratios.max()) if len(ratios) else 1
    o = opacities.double()
    # 1 - (1 - o)^(1/N) without the cancellation that small opacities suffer.
    new = -torch.expm1(torch.log1p(-o) / ratios)
    powers = new[:, None] ** torch.arange(1, most + 1, dtype=torch.float64, device=o.device)
    denominator = (_alternating_binomials(most).to(o.device)[ratios.long()] * powers).sum(dim=1)
    new_scales = scales.double() * (o / denominator)[:, None]
    return new.to(opacities.dtype), new_scales.to(scales.dtype)


@lru_cache(maxsize=8)
def _alternating_binomials(most: int) -> Tensor:
    """[most + 1, most] float64: C(N, j) (-1)^(j-1) / sqrt(j) in row N, column j - 1."""
    return torch.tensor(
        [
            [math.comb(n, j) * (-1) ** (j - 1) / math.sqrt(j) for j in range(1, most + 1)]
            for n in range(most + 1)
        ],
        dtype=torch.float64,
    )


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """[N, 3, 3] R diag(scales^2) R^T of quaternions wxyz [N, 4] of any length and scales [N, 3]."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rotations = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=-1,
    ).reshape(-1, 3, 3)  # fmt: skip
    half = rotations * scales[:, None, :]
    return half @ half.transpose(-1, -2)


_cuda_relocation = gsplat_ops.compute_relocation
_cuda_covariances = gsplat_ops.quat_scale_to_covar_preci


def _relocation_anywhere(
    opacities: Tensor, scales: Tensor, ratios: Tensor, binoms: Tensor
) -> tuple[Tensor, Tensor]:
    """``gsplat.relocation.compute_relocation`` for tensors of any device."""
    if opacities.is_cuda:
        return _cuda_relocation(opacities, scales, ratios, binoms)
    return relocation(opacities, scales, ratios.clamp(1, binoms.shape[0]))


def _covariances_anywhere(quats: Tensor, scales: Tensor, **wanted: bool) -> tuple[Any, Any]:
    """``gsplat.quat_scale_to_covar_preci`` for tensors of any device."""
    if quats.is_cuda:
        return _cuda_covariances(quats, scales, **wanted)
    return covariances(quats, scales), None


gsplat_ops.compute_relocation = _relocation_anywhere
gsplat_ops.quat_scale_to_covar_preci = _covariances_anywhere
