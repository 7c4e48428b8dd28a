import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from ops.cameras import Cameras, look_at
from ops.capture.model import Split
from ops.rendering.render import render
from ops.splats.model import Splats, rgb_to_sh0


@dataclass(frozen=True)
class MadeViews:
    cameras: Cameras
    splits: tuple[Split, ...]
    images: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Tensor:
        return self.images[index]

    def alpha(self, index: int) -> Tensor | None:
        return None

    def mask(self, index: int) -> Tensor | None:
        return None


def cameras_around(count: int, width: int, height: int) -> Cameras:
    angle = torch.arange(count) * (2 * math.pi / count)
    eyes = torch.stack([4 * angle.sin(), torch.full_like(angle, -0.7), -4 * angle.cos()], -1)
    K = torch.tensor([[float(width), 0, width / 2], [0, float(width), height / 2], [0, 0, 1]])
    return Cameras(
        viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, -1.0, 0.0])),
        Ks=K.expand(count, 3, 3).clone(),
        widths=(width,) * count,
        heights=(height,) * count,
        names=tuple(f"{i:03}.png" for i in range(count)),
    )


@pytest.fixture(scope="session")
def splats() -> Splats:
    """A cloud of small Gaussians, some of them almost transparent."""
    g = torch.Generator().manual_seed(3)
    logits = torch.full((300,), 3.0)
    logits[:20] = -6.0
    return Splats(
        means=torch.randn(300, 3, generator=g) * 0.6,
        quats=torch.nn.functional.normalize(torch.randn(300, 4, generator=g), dim=-1),
        log_scales=torch.rand(300, 3, generator=g) * 1.2 - 3.4,
        opacity_logits=logits,
        sh0=rgb_to_sh0(torch.rand(300, 1, 3, generator=g)),
        shN=torch.zeros(300, 3, 3),
    )


@pytest.fixture(scope="session")
def views(splats: Splats) -> MadeViews:
    """Photos of the cloud, every third held out."""
    cameras = cameras_around(12, 40, 32)
    images = [(r.colors.clamp(0, 1) * 255).round().to(torch.uint8) for r in render(splats, cameras)]
    splits: tuple[Split, ...] = tuple("test" if i % 3 == 0 else "train" for i in range(12))
    return MadeViews(cameras, splits, images)


HALF, DOUBLE = Fraction(1, 2), Fraction(2)
