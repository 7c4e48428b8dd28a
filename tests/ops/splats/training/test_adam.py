"""Adam for all parameters at once: torch's update, on torch's state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from ops.splats.adam import can_step, step_together

SHAPES = [(3,), (3,), (4,), (), (1, 3), (15, 3)]


def _optimisers(count: int, dtype: torch.dtype = torch.float32) -> list[torch.optim.Adam]:
    g = torch.Generator().manual_seed(0)
    return [
        torch.optim.Adam(
            [torch.nn.Parameter(torch.randn(count, *shape, generator=g).to(dtype))],
            lr=10.0 ** -(1 + k % 4),
            eps=1e-15,
            fused=dtype == torch.float32,
        )
        for k, shape in enumerate(SHAPES)
    ]


def _values(optimisers: list[torch.optim.Adam]) -> list[Tensor]:
    return [optimiser.param_groups[0]["params"][0] for optimiser in optimisers]


def _give_gradients(optimisers: list[torch.optim.Adam], step: int) -> None:
    """Of very different sizes, and 0 for some of them, as for Gaussians that are not seen."""
    g = torch.Generator().manual_seed(100 + step)
    for value in _values(optimisers):
        size = 10 ** (4 * torch.rand(value.shape, generator=g) - 6)
        gradient = torch.randn(value.shape, generator=g) * size
        gradient[torch.rand(len(value), generator=g) < 0.3] = 0
        value.grad = gradient.to(value.dtype)


@pytest.mark.parametrize("count", [1, 5, 33, 1000])
def test_same_update_as_torch_in_float64(count):
    ours, exact = _optimisers(count), _optimisers(count, torch.float64)
    for step in range(20):
        _give_gradients(ours, step)
        _give_gradients(exact, step)
        step_together(ours)
        for optimiser in exact:
            optimiser.step()
    start = _values(_optimisers(count))
    for found, expected, before in zip(_values(ours), _values(exact), start, strict=True):
        moved = (expected - before).detach().abs().max()
        # Float32 rounds every step: of the value, and of the change.
        bound = 20 * 2e-7 * expected.detach().abs() + 1e-5 * moved
        assert ((found - expected).detach().abs() <= bound).all()


def test_either_may_go_on_from_the_other():
    one, other = _optimisers(50), _optimisers(50)
    for step in range(6):
        _give_gradients(one, step)
        _give_gradients(other, step)
        step_together(one)
        if step % 2:
            step_together(other)
        else:
            for optimiser in other:
                optimiser.step()
    for a, b in zip(one, other, strict=True):
        [value], [theirs] = a.param_groups[0]["params"], b.param_groups[0]["params"]
        assert torch.allclose(value, theirs, rtol=1e-5, atol=3e-6)
        mine, its = a.state[value], b.state[theirs]
        assert list(mine) == list(its)
        assert all(mine[k].dtype == its[k].dtype and mine[k].shape == its[k].shape for k in its)
        assert float(mine["step"]) == 6


def test_same_bytes_for_any_number_of_threads(torch_threads):
    def trained(threads: int) -> list[bytes]:
        torch_threads(threads)
        optimisers = _optimisers(1501)
        for step in range(3):
            _give_gradients(optimisers, step)
            step_together(optimisers)
        return [value.detach().numpy().tobytes() for value in _values(optimisers)]

    one = trained(1)
    assert one != [v.detach().numpy().tobytes() for v in _values(_optimisers(1501))]
    assert all(trained(count) == one for count in (2, 3, 7))


def test_without_a_gradient_nothing_moves():
    optimisers = _optimisers(40)
    before = copy.deepcopy(_values(optimisers))
    _give_gradients(optimisers, 0)
    _values(optimisers)[2].grad = None
    step_together(optimisers)
    moved = [not torch.equal(a, b) for a, b in zip(_values(optimisers), before, strict=True)]
    assert moved == [True, True, False, True, True, True]
    assert not optimisers[2].state


def test_what_is_left_to_torch():
    assert can_step(_optimisers(3))
    assert not can_step(_optimisers(3)[:5])
    assert not can_step(_optimisers(3, torch.float64))
    others = _optimisers(3)
    others[1].param_groups[0]["weight_decay"] = 0.1
    assert not can_step(others)
