from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ops.cameras import Cameras, look_at
from ops.capture.model import Split
from ops.rendering.render import render
from ops.splats.model import Splats, rgb_to_sh0


@dataclass
class MadeViews:
    """Views held in memory; counts how often a photo is asked for."""

    cameras: Cameras
    splits: tuple[Split, ...]
    images: list[Tensor]
    alphas: list[Tensor] | None = None
    masks: list[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Tensor:
        return self.images[index]

    def alpha(self, index: int) -> Tensor | None:
        return None if self.alphas is None else self.alphas[index]

    def mask(self, index: int) -> Tensor | None:
        return None if self.masks is None else self.masks[index]


@pytest.fixture(scope="session")
def blobs() -> Splats:
    """Forty opaque blobs around the origin."""
    g = torch.Generator().manual_seed(11)
    return Splats(
        means=torch.rand(40, 3, generator=g) * 2 - 1,
        quats=torch.nn.functional.normalize(torch.randn(40, 4, generator=g), dim=-1),
        log_scales=torch.full((40, 3), -1.4),
        opacity_logits=torch.full((40,), 4.0),
        sh0=rgb_to_sh0(torch.rand(40, 1, 3, generator=g)),
        shN=torch.zeros(40, 0, 3),
    )


@pytest.fixture(scope="session")
def make_views(blobs: Splats) -> Callable[..., MadeViews]:
    """A function that photographs the blobs from around, over black or with alpha."""

    def make(
        count: int = 6,
        sizes: tuple[tuple[int, int], ...] = ((48, 40),),
        alpha: bool = False,
    ) -> MadeViews:
        angle = torch.arange(count) * 0.4
        eyes = torch.stack([4 * angle.sin(), torch.full_like(angle, -0.5), -4 * angle.cos()], -1)
        widths = tuple(sizes[i % len(sizes)][0] for i in range(count))
        heights = tuple(sizes[i % len(sizes)][1] for i in range(count))
        Ks = torch.zeros(count, 3, 3)
        for i in range(count):
            Ks[i] = torch.tensor(
                [[widths[i], 0, widths[i] / 2], [0, widths[i], heights[i] / 2], [0, 0, 1]]
            )
        cameras = Cameras(
            viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, -1.0, 0.0])),
            Ks=Ks,
            widths=widths,
            heights=heights,
            names=tuple(f"images/{i:03}.png" for i in range(count)),
        )
        renderings = render(blobs, cameras)
        covers = [r.alphas[..., None].clamp(min=1e-6) for r in renderings]
        colors = [
            r.colors / c if alpha else r.colors for r, c in zip(renderings, covers, strict=True)
        ]
        splits: tuple[Split, ...] = tuple("test" if i % 3 == 0 else "train" for i in range(count))
        return MadeViews(
            cameras,
            splits,
            [(c.clamp(0, 1) * 255).round().to(torch.uint8) for c in colors],
            [(r.alphas * 255).round().to(torch.uint8) for r in renderings] if alpha else None,
        )

    return make
