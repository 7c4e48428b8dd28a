"""The process that compiles the kernels gives the bytes of those that load them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.rendering.cpu import jit

ROOT = Path(__file__).parents[3]

RENDERER = """
import hashlib
import torch
from ops.cameras import Cameras, look_at
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.losses import photo_loss
from ops.splats.model import Splats

g = torch.Generator().manual_seed(0)
def normal(*shape):
    return torch.randn(*shape, generator=g)
n = 400
splats = Splats(
    means=0.5 * normal(n, 3), quats=normal(n, 4), log_scales=-3 + 0.6 * normal(n, 3),
    opacity_logits=1.5 * normal(n), sh0=normal(n, 1, 3), shN=0.3 * normal(n, 15, 3),
    features=normal(n, 5),
)
splats = Splats(**{k: v.requires_grad_() for k, v in splats.tensors().items()})
cameras = Cameras(
    viewmats=look_at(torch.tensor([[0.3, 0.4, 3.0]]), torch.zeros(3), torch.tensor([0.0, 1, 0])),
    Ks=torch.tensor([[[90.0, 0, 40], [0, 90, 30], [0, 0, 1]]]),
    widths=(80,), heights=(60,), names=("a",),
)
digest = hashlib.sha256()
for mode in ("classic", "antialiased"):
    settings = RenderSettings(mode=mode, expected_depth=True, median_depth=True, absgrad=True)
    [seen] = render(splats, cameras, settings)
    loss = photo_loss(seen.colors, torch.full_like(seen.colors, 0.4)).loss
    (loss + 0.1 * seen.expected_depth.sum() + seen.features.square().sum()).backward()
    images = [seen.colors, seen.alphas, seen.features, seen.expected_depth, seen.median_depth]
    for value in [*images, seen.screen.means2d.grad, *(v.grad for v in splats.tensors().values())]:
        digest.update(value.detach().contiguous().numpy().tobytes())
print(digest.hexdigest())
"""

DEMO = """
import hashlib
from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import demo_views

views = demo_views(DemoSettings(width=40, height=30, train_views=2, test_views=1))
arrays = (views.colors, views.depths, views.normals, views.labels)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def _output(code: str, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_renderer_has_the_same_bytes_compiled_and_loaded(tmp_path):
    compiled = _output(RENDERER, tmp_path)
    assert list(tmp_path.rglob("*.nbc"))
    assert compiled == _output(RENDERER, tmp_path)


@pytest.mark.slow
def test_the_built_in_scene_has_the_same_bytes_compiled_and_loaded(tmp_path):
    compiled = _output(DEMO, tmp_path)
    assert list(tmp_path.rglob("*.nbc"))
    assert compiled == _output(DEMO, tmp_path)


def test_no_helper_is_a_function_of_its_own():
    # A helper that is not inlined is exported as a weak symbol, and which of several copies of it
    # runs depends on what a process loaded first.
    from ops.rendering.cpu import projection_backward, raster_backward  # noqa: F401

    for marker in (jit.helper, jit.scalar_helper):
        made = marker(lambda x: x)
        assert made.targetoptions["forceinline"]
        assert "fastmath" in made.targetoptions
