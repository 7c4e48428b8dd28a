"""A model of 3D Gaussians, with the parameters as training optimises them and files store them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ops.errors import InputError

SH_C0 = 0.28209479177387814  # the constant SH basis function, 1 / (2 sqrt(pi))


@dataclass(frozen=True, kw_only=True)
class Splats:
    """N Gaussians in the world frame of their cameras.

    Colour seen along the unit direction d from the camera centre to the mean is
    ``clamp(sh(d) + 0.5, min=0)`` with the real SH basis in the order of 3DGS and gsplat
    (Kerbl et al. 2023). SH degree l has ``(l + 1) ** 2`` bases, of which ``sh0`` holds the first.
    """

    means: Tensor  # [N, 3] world units
    quats: Tensor  # [N, 4] wxyz, rotation from the Gaussian's axes to the world, any length but 0
    log_scales: Tensor  # [N, 3] natural log of the standard deviation along each axis
    opacity_logits: Tensor  # [N] inverse sigmoid of the peak opacity
    sh0: Tensor  # [N, 1, 3] RGB coefficient of the constant basis
    shN: Tensor  # [N, K - 1, 3] of the higher bases; K = 1, 4, 9 or 16
    features: Tensor | None = None  # [N, F] anything else to be blended like colour

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        expected = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,)}
        expected["sh0"] = (n, 1, 3)
        expected["shN"] = (n, self.shN.shape[1] if self.shN.ndim == 3 else -1, 3)
        for name, shape in expected.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise InputError(f"splats: {name} should have shape {shape}, found {found}")
        if self.shN.shape[1] + 1 not in (1, 4, 9, 16):
            raise InputError(
                "splats: sh0 and shN together should hold 1, 4, 9 or 16 coefficients "
                f"(SH degree 0 to 3), found {self.shN.shape[1] + 1}"
            )
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != n):
            raise InputError(
                f"splats: features should have shape ({n}, F), found {tuple(self.features.shape)}"
            )

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """The highest SH degree held: 0, 1, 2 or 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.shN.shape[1] + 1]

    @property
    def scales(self) -> Tensor:
        """[N, 3] standard deviations, world units."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """[N] peak opacities in (0, 1)."""
        return self.opacity_logits.sigmoid()

    @property
    def sh_coeffs(self) -> Tensor:
        """[N, K, 3] all SH coefficients, constant basis first."""
        return torch.cat([self.sh0, self.shN], dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters by field name, without ``features`` where there are none."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Splats:
        """The same splats on ``device`` and of ``dtype``."""
        return replace(
            self, **{k: v.to(device=device, dtype=dtype) for k, v in self.tensors().items()}
        )

    def detach(self) -> Splats:
        """The same splats, cut from any autograd graph."""
        return replace(self, **{k: v.detach() for k, v in self.tensors().items()})

    def select(self, which: Tensor) -> Splats:
        """The Gaussians picked by an index or boolean tensor over N."""
        return replace(self, **{k: v[which] for k, v in self.tensors().items()})


def rgb_to_sh0(rgb: Tensor) -> Tensor:
    """The constant SH coefficient that shows ``rgb`` (in [0, 1], any shape)."""
    return (rgb - 0.5) / SH_C0


def sh0_to_rgb(sh0: Tensor) -> Tensor:
    """The colour that a constant SH coefficient shows; the inverse of :func:`rgb_to_sh0`."""
    return sh0 * SH_C0 + 0.5
