from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.cameras import Cameras, look_at
from ops.capture.model import Points, Split
from ops.rendering.render import render
from ops.splats.model import Splats


@dataclass
class SmallViews:
    """Views of some Gaussians, rendered with the same renderer that training uses."""

    cameras: Cameras
    splits: tuple[Split, ...]
    images: list[Tensor]
    alphas: list[Tensor] | None = None
    masks: list[Tensor] | None = None
    asked: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Tensor:
        self.asked.append(index)
        return self.images[index]

    def alpha(self, index: int) -> Tensor | None:
        return None if self.alphas is None else self.alphas[index]

    def mask(self, index: int) -> Tensor | None:
        return None if self.masks is None else self.masks[index]


MakeViews = Callable[..., SmallViews]


def ring_of_cameras(count: int, size: int) -> Cameras:
    angles = torch.arange(count) * (2 * torch.pi / count)
    eyes = torch.stack([3 * angles.cos(), 3 * angles.sin(), 1 + 0.3 * (2 * angles).cos()], dim=-1)
    K = torch.tensor([[1.2 * size, 0, size / 2], [0, 1.2 * size, size / 2], [0, 0, 1]])
    return Cameras(
        viewmats=look_at(eyes, torch.zeros(3), torch.tensor([0.0, 0, 1])),
        Ks=K.repeat(count, 1, 1),
        widths=(size,) * count,
        heights=(size,) * count,
        names=tuple(f"{i:02d}.png" for i in range(count)),
    )


@pytest.fixture(scope="session")
def subject() -> Splats:
    random = torch.Generator().manual_seed(4)
    n = 60
    return Splats(
        means=0.5 * torch.randn(n, 3, generator=random),
        quats=torch.randn(n, 4, generator=random),
        log_scales=-1.8 + 0.4 * torch.randn(n, 3, generator=random),
        opacity_logits=torch.full((n,), 3.0),
        sh0=1.2 * torch.randn(n, 1, 3, generator=random),
        shN=torch.zeros(n, 0, 3),
    )


@pytest.fixture
def make_views(subject: Splats) -> MakeViews:
    def make(count: int = 9, size: int = 32, alpha: bool = False) -> SmallViews:
        cameras = ring_of_cameras(count, size)
        renderings = render(subject, cameras, background=torch.zeros(3))
        images, alphas = [], []
        for rendering in renderings:
            colours = rendering.colors.clamp(0, 1)
            cover = rendering.alphas
            if alpha:  # what a photo with alpha holds is not premultiplied
                colours = (colours / cover.clamp(min=1e-3)[..., None]).clamp(0, 1)
            images.append((255 * colours).round().to(torch.uint8))
            alphas.append((255 * cover).round().to(torch.uint8))
        splits: tuple[Split, ...] = tuple("test" if i % 8 == 0 else "train" for i in range(count))
        return SmallViews(cameras, splits, images, alphas if alpha else None)

    return make


@pytest.fixture
def points(subject: Splats) -> Points:
    random = np.random.default_rng(0)
    xyz = subject.means.numpy() + random.normal(scale=0.05, size=subject.means.shape)
    return Points(
        xyz=xyz.astype(np.float32),
        rgb=random.integers(60, 200, subject.means.shape).astype(np.uint8),
        errors=np.zeros(len(subject), np.float32),
        source="triangulated",
    )


@pytest.fixture
def torch_threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's threads for a test and puts them back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
