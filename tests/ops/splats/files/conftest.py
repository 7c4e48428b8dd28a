from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.splats.model import Splats


@pytest.fixture(scope="session")
def shared_splats() -> Path:
    """The folder of small real files beside the repository."""
    folder = Path(__file__).parents[5] / "shared" / "splats"
    if not folder.is_dir():
        pytest.skip(f"the sample files are not on this machine ({folder})")
    return folder


@pytest.fixture(scope="session")
def make_splats() -> Callable[..., Splats]:
    """A function that makes N random splats of an SH degree, typical of a trained model."""

    def make(count: int, degree: int, seed: int = 0, extent: float = 4.0) -> Splats:
        rng = np.random.default_rng(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

        return Splats(
            means=normal(count, 3) * extent,
            quats=normal(count, 4),
            log_scales=normal(count, 3) - 4,
            opacity_logits=2 * normal(count),
            sh0=normal(count, 1, 3) * 0.8,
            shN=normal(count, (degree + 1) ** 2 - 1, 3) * 0.2,
        )

    return make
