"""Settings of a rendering. Light: drawing the graph reads them without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """How to render; the defaults are gsplat's."""

    mode: Literal["classic", "antialiased"] = "classic"
    """``antialiased`` scales each opacity by sqrt(det(cov2d) / det(cov2d + eps2d I)), the
    compensation of Mip-Splatting (Yu et al. 2024, eq. 9) as gsplat has it."""
    sh_degree: int | None = None
    """SH degree used for colour; None takes all that the splats hold."""
    near_plane: float = 0.01
    """World units; Gaussians whose mean is nearer along the optical axis are not drawn."""
    far_plane: float = 1e10
    """World units."""
    eps2d: float = 0.3
    """Pixels squared, added to the diagonal of every projected covariance."""
    expected_depth: bool = False
    """Also render depth: the blend of the z of the means, divided by alpha."""
    median_depth: bool = False
    """Also render the z of the Gaussian at which transmittance falls below one half."""
    absgrad: bool = False
    """Also keep the sum of absolute screen-space gradients (AbsGS, Ye et al. 2024)."""
