"""The scenes that are measured: always the same, and like trained ones."""

from __future__ import annotations

import pytest
import torch

from ops.errors import InputError
from ops.rendering.bench import kernels
from ops.rendering.bench.scenes import SIZES, Size, find_sizes, make_scene
from ops.rendering.render import render


def test_the_same_scene_for_the_same_seed():
    one, two, other = (make_scene(SIZES["tiny"], seed) for seed in (3, 3, 4))
    for name, tensor in one.splats.tensors().items():
        assert torch.equal(tensor, two.splats.tensors()[name]), name
    assert torch.equal(one.target, two.target)
    assert not torch.equal(one.splats.means, other.splats.means)


@pytest.mark.parametrize("name", list(SIZES))
def test_sizes_are_what_they_say(name):
    size = SIZES[name]
    if size.count > 10_000:
        size = Size(name=name, count=2_000, width=size.width // 8, height=size.height // 8)
    scene = make_scene(size)
    assert len(scene.splats) == size.count
    assert scene.splats.sh_degree == 3
    assert scene.target.shape == (size.height, size.width, 3)
    assert ((scene.target >= 0) & (scene.target <= 1)).all()
    assert all(torch.isfinite(t).all() for t in scene.splats.tensors().values())


def test_flat_sides_lie_in_their_surface():
    scene = make_scene(Size(name="walls", count=4_000, width=32, height=32))
    scales = scene.splats.scales
    assert (scales[:, 2] < scales[:, :2].amax(dim=1)).float().mean() > 0.95
    # On the floor the thin axis, the third column of the rotation, points up or down.
    w, x, y, z = torch.nn.functional.normalize(scene.splats.quats, dim=-1).unbind(-1)
    up = 2 * (y * z - w * x)
    floor = (scene.splats.means[:, 1] + 1.5).abs() < 0.02
    inner = (scene.splats.means[:, [0, 2]].abs() < 2.5).all(1)
    assert up[floor & inner].abs().median() > 0.95


def test_the_cost_is_that_of_a_trained_model():
    scene = make_scene(Size(name="part", count=20_000, width=304, height=171))
    scene.splats.means.requires_grad_()
    rendering = render(scene.splats, scene.cameras)[0]
    facts = kernels.view_facts(kernels.view_of(rendering))
    assert 0.5 < facts.visible < 0.7
    assert 350 < facts.entries_per_tile < 500  # tiles of 32 x 32 pixels
    assert 35 < facts.blended_per_pixel < 50
    assert 0.05 < 1 - rendering.alphas.mean().item() < 0.15


def test_sizes_by_name():
    assert [s.name for s in find_sizes(None)] == ["10k", "50k", "200k", "500k"]
    assert [s.name for s in find_sizes(["50k", "tiny", "50k"])] == ["50k", "tiny"]
    with pytest.raises(InputError, match="10k, 50k, 200k, 500k; found '1M'"):
        find_sizes(["1M"])
