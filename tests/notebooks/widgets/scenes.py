"""A very small scene for the tests of viewers; notebooks of the tests import it, too."""

from __future__ import annotations

import math

import torch

from ops.cameras import Cameras, look_at
from ops.splats.model import Splats, rgb_to_sh0


def scene(count: int = 60) -> tuple[Splats, Cameras]:
    """Gaussians about the origin, and six cameras around them."""
    g = torch.Generator().manual_seed(3)
    means = torch.randn(count, 3, generator=g) * 0.5
    splats = Splats(
        means=means,
        quats=torch.randn(count, 4, generator=g),
        log_scales=torch.log(torch.rand(count, 3, generator=g) * 0.15 + 0.05),
        opacity_logits=torch.randn(count, generator=g) + 2,
        sh0=rgb_to_sh0((means * 0.7 + 0.5).clamp(0.05, 0.95))[:, None],
        shN=torch.zeros(count, 0, 3),
        features=torch.cat([means, means**2], 1),
    )
    angle = torch.arange(6) * (2 * math.pi / 6)
    eyes = torch.stack([3 * torch.cos(angle), 3 * torch.sin(angle), torch.ones(6)], 1)
    K = torch.tensor([[70.0, 0, 41], [0, 72.0, 29], [0, 0, 1]])
    cameras = Cameras(
        viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])),
        Ks=K.expand(6, 3, 3).clone(),
        widths=(80,) * 6,
        heights=(60,) * 6,
        names=tuple(f"{i:02d}.png" for i in range(6)),
    )
    return splats, cameras
