"""Scenes and comparisons that the rendering tests share."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from ops.cameras import Cameras, look_at
from ops.splats.model import Splats


def _splats(
    n: int = 60, *, seed: int = 0, degree: int = 3, features: int = 0, size: float = 0.12
) -> Splats:
    """Gaussians of mixed shapes in a ball of radius 1 around the origin."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g)

    return Splats(
        means=normal(n, 3) * 0.5,
        quats=normal(n, 4),
        log_scales=torch.log(torch.tensor(size)) + 0.6 * normal(n, 3),
        opacity_logits=0.5 + 1.5 * normal(n),
        sh0=normal(n, 1, 3),
        shN=0.3 * normal(n, (degree + 1) ** 2 - 1, 3),
        features=normal(n, features) if features else None,
    )


def _cameras(sizes: list[tuple[int, int]], *, seed: int = 0, distance: float = 3.0) -> Cameras:
    """A camera per (width, height), around the ball, with off-centre principal points."""
    g = torch.Generator().manual_seed(seed)
    eyes = torch.nn.functional.normalize(torch.randn(len(sizes), 3, generator=g), dim=-1)
    viewmats = look_at(eyes * distance, torch.zeros(3), torch.tensor([0.1, 0.9, 0.2]))
    Ks = torch.zeros(len(sizes), 3, 3)
    for K, (w, h) in zip(Ks, sizes, strict=True):
        K[0, 0], K[1, 1] = 1.3 * max(w, h), 1.2 * max(w, h)
        K[0, 2], K[1, 2], K[2, 2] = 0.47 * w, 0.55 * h, 1
    return Cameras(
        viewmats=viewmats,
        Ks=Ks,
        widths=tuple(w for w, _ in sizes),
        heights=tuple(h for _, h in sizes),
        names=tuple(str(i) for i in range(len(sizes))),
    )


def _trainable(splats: Splats) -> Splats:
    return Splats(**{k: v.clone().requires_grad_() for k, v in splats.tensors().items()})


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    expected = expected.double()
    return float((found.double() - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.fixture
def make() -> SimpleNamespace:
    """``make.splats``, ``make.cameras``, ``make.trainable``, ``make.relative``."""
    return SimpleNamespace(
        splats=_splats, cameras=_cameras, trainable=_trainable, relative=_relative
    )


@pytest.fixture
def torch_threads() -> Callable[[int], None]:
    """Sets torch's threads for a test and puts them back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
