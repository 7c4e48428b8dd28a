"""Small cameras in the built-in scene, shared by the tests of this folder."""

import math
from collections.abc import Callable

import pytest
import torch

from ops.cameras import Cameras, look_at

MakeCameras = Callable[..., Cameras]


@pytest.fixture(scope="session")
def make_cameras() -> MakeCameras:
    """Cameras of one size from eyes and targets (metres)."""

    def make(
        eyes: list[tuple[float, float, float]],
        targets: list[tuple[float, float, float]],
        width: int = 48,
        height: int = 36,
        fov: float = 60.0,
    ) -> Cameras:
        focal = width / 2 / math.tan(math.radians(fov) / 2)
        K = torch.tensor(
            [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float64
        )
        n = len(eyes)
        return Cameras(
            viewmats=look_at(
                torch.tensor(eyes, dtype=torch.float64),
                torch.tensor(targets, dtype=torch.float64),
                torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64),
            ),
            Ks=K.expand(n, 3, 3).clone(),
            widths=(width,) * n,
            heights=(height,) * n,
            names=tuple(f"{i}.png" for i in range(n)),
        )

    return make
