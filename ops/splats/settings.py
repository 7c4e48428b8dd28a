"""How splats are trained: the numbers, without the machinery."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from ops.errors import InputError

Preset = Literal["preview", "standard", "full"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train splats; the defaults are the ``standard`` preset.

    Make one with :meth:`from_preset`, which fits the schedule to the number of iterations.
    Learning rates and thresholds are those of 3DGS (Kerbl et al. 2023) as gsplat has them.
    """

    preset: Preset = "standard"
    """The preset the values started from; a name only, :meth:`from_preset` gives its values."""
    iterations: int = 7_000
    """Steps of optimisation, each on one training view."""
    seed: int = 0
    """Seed of the order of views, random backgrounds and densification."""

    sh_degree: int = 3
    """Highest SH degree of colour: 0 (the same from all sides) to 3."""
    sh_interval: int = 1_000
    """Steps after which the SH degree in use rises by one, from 0."""
    mode: Literal["classic", "antialiased"] = "classic"
    """How to render; ``antialiased`` is the opacity compensation of Mip-Splatting."""

    means_lr: float = 1.6e-4
    """Learning rate of the means at the start, in units of the cameras' extent."""
    means_lr_final: float = 0.01
    """The means' learning rate at the end, as a part of that at the start; falls exponentially."""
    scales_lr: float = 5e-3
    """Learning rate of the logarithm of the scales."""
    quats_lr: float = 1e-3
    """Learning rate of the quaternions."""
    opacities_lr: float = 5e-2
    """Learning rate of the opacity logits."""
    sh0_lr: float = 2.5e-3
    """Learning rate of the constant SH coefficients."""
    shN_lr: float = 1.25e-4
    """Learning rate of the higher SH coefficients."""
    ssim_weight: float = 0.2
    """lambda of the loss (1 - lambda) L1 + lambda (1 - SSIM)."""
    opacity_regularisation: float = 0.0
    """Weight of the mean opacity in the loss; MCMC needs some."""
    scale_regularisation: float = 0.0
    """Weight of the mean scale (world units) in the loss; MCMC needs some."""

    initial_opacity: float = 0.1
    """Opacity of every Gaussian at the start."""
    initial_scale: float = 1.0
    """Initial scale of a Gaussian in units of the distance to its three nearest neighbours."""
    strategy: Literal["default", "mcmc"] = "default"
    """Densification: gsplat's ``default`` (3DGS: clone, split, prune) or ``mcmc`` (3DGS-MCMC)."""
    densify: bool = True
    """Whether Gaussians are added and removed at all."""
    densify_start: int = 500
    """Densification begins after this step."""
    densify_stop: int = 3_500
    """Densification ends before this step."""
    densify_every: int = 100
    """Steps between two densifications."""
    densify_gradient: float = 2e-4
    """Mean screen-space gradient above which a Gaussian is cloned or split (``default``)."""
    absgrad: bool = False
    """Densify by sums of absolute gradients (AbsGS); then ``densify_gradient`` is about 8e-4."""
    prune_opacity: float = 5e-3
    """Gaussians less opaque than this are removed (``default``) or moved (``mcmc``)."""
    reset_every: int = 0
    """Steps between two resets of all opacities to a low value (``default``); 0 for none."""
    max_count: int = 1_000_000
    """No Gaussians are added beyond this number."""
    mcmc_noise_lr: float = 5e5
    """Strength of the noise that 3DGS-MCMC adds to the means."""

    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """RGB in [0, 1] behind the splats."""
    random_background: bool = True
    """Put photos that have alpha, and the splats, on another random background every step."""
    checkpoint_every: int = 1_000
    """Steps between two checkpoints; changes nothing in the result."""

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_preset(cls, name: str = "standard", **overrides: Any) -> TrainSettings:
        """The settings of a preset, with some values of one's own.

        What a preset says of the schedule is stretched to ``iterations`` where that is given.
        ``strategy="mcmc"`` brings the values that strategy needs.

        Args:
            name: ``preview`` (a look within a minute), ``standard`` (7,000 iterations) or
                ``full`` (30,000 iterations, as published).
            **overrides: Any field but ``preset``; these win over the preset.

        Raises:
            InputError: No such preset or field, or a value that makes no sense.
        """
        if name not in _PRESETS:
            raise InputError(
                f"training: preset should be one of {', '.join(_PRESETS)}; found {name!r}"
            )
        known = [f.name for f in fields(cls) if f.name != "preset"]
        unknown = sorted(set(overrides) - set(known))
        if unknown:
            raise InputError(
                f"training: no setting is called {', '.join(unknown)}; there are {', '.join(known)}"
            )
        if isinstance(overrides.get("background"), list):
            overrides["background"] = tuple(overrides["background"])
        iterations, schedule = _PRESETS[name]
        iterations = overrides.get("iterations", iterations)
        values: dict[str, Any] = {"iterations": iterations, **schedule(iterations)}
        if overrides.get("strategy") == "mcmc":
            values |= _MCMC | {"densify_stop": int(iterations * 5 / 6)}
        return cls(preset=name, **(values | overrides))  # type: ignore[arg-type]


def _preview(iterations: int) -> dict[str, Any]:
    """A short run: larger steps, early detail, and no resets, which it could not recover from."""
    return {
        "sh_degree": 2,
        "sh_interval": max(1, iterations // 4),
        "means_lr": 1.6e-3,
        "scales_lr": 1e-2,
        "quats_lr": 2e-3,
        "sh0_lr": 5e-3,
        "shN_lr": 5e-4,
        "initial_opacity": 0.3,
        "densify_start": iterations * 3 // 20,
        "densify_stop": iterations // 2,
        "densify_every": max(1, min(100, iterations // 10)),
        "densify_gradient": 4e-4,
        "reset_every": 0,
        "checkpoint_every": 250,
    }


def _standard(iterations: int) -> dict[str, Any]:
    return {
        "sh_interval": max(1, iterations // 7),
        "densify_start": iterations // 14,
        "densify_stop": iterations // 2,
        # A reset needs some thousand steps to heal: only where that many follow it.
        "reset_every": 3_000 if iterations >= 10_000 else 0,
    }


def _full(iterations: int) -> dict[str, Any]:
    return {
        "sh_interval": max(1, iterations // 30),
        "densify_start": iterations // 60,
        "densify_stop": iterations // 2,
        "reset_every": max(1, iterations // 10),
        "max_count": 3_000_000,
        "checkpoint_every": 2_000,
    }


_PRESETS: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "preview": (1_000, _preview),
    "standard": (7_000, _standard),
    "full": (30_000, _full),
}

# 3DGS-MCMC, Kheradmand et al. 2024, section 4, and gsplat's trainer.
_MCMC: dict[str, Any] = {
    "initial_opacity": 0.5,
    "initial_scale": 0.1,
    "opacity_regularisation": 0.01,
    "scale_regularisation": 0.01,
    "reset_every": 0,
}


def _check(s: TrainSettings) -> None:
    """Refuse values that make no sense, before any work."""
    at_least: dict[str, float] = {
        "iterations": 1,
        "sh_interval": 1,
        "densify_start": 0,
        "densify_stop": 0,
        "densify_every": 1,
        "reset_every": 0,
        "max_count": 1,
        "checkpoint_every": 1,
        "densify_gradient": 0,
        "mcmc_noise_lr": 0,
        "opacity_regularisation": 0,
        "scale_regularisation": 0,
        "seed": 0,
    }
    at_least |= {f.name: 0 for f in fields(s) if f.name.endswith("_lr")}
    for name, least in at_least.items():
        value = getattr(s, name)
        if not (math.isfinite(value) and value >= least):
            raise InputError(f"training: {name} should be at least {least:g}, found {value}")
    between: dict[str, tuple[float, float]] = {
        "ssim_weight": (0, 1),
        "initial_opacity": (0.005, 0.995),
        "initial_scale": (1e-3, 100),
        "prune_opacity": (0, 0.5),
        "means_lr_final": (1e-6, 1),
        "sh_degree": (0, 3),
    }
    for name, (low, high) in between.items():
        value = getattr(s, name)
        if not low <= value <= high:
            raise InputError(
                f"training: {name} should lie between {low:g} and {high:g}, found {value}"
            )
    choices: dict[str, tuple[str, ...]] = {
        "preset": tuple(_PRESETS),
        "mode": ("classic", "antialiased"),
        "strategy": ("default", "mcmc"),
    }
    for name, allowed in choices.items():
        if getattr(s, name) not in allowed:
            raise InputError(
                f"training: {name} should be one of {', '.join(allowed)}; "
                f"found {getattr(s, name)!r}"
            )
    if len(s.background) != 3 or not all(0 <= v <= 1 for v in s.background):
        raise InputError(
            f"training: background should be three values between 0 and 1, found {s.background}"
        )
