"""One step of Adam for all parameters of splats at once, compiled for the CPU.

Torch's fused Adam is called once per parameter and is no faster on two threads than on one. This
is the same update on the same state (Kingma and Ba 2015, algorithm 1; torch keeps the averages by
``exp_avg`` and ``exp_avg_sq``), so that optimisers may be stepped by either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import carray, types
from numba.core import cgutils

from ops.rendering.cpu.jit import helper, kernel
from ops.rendering.cpu.simd import LANES, fma, splat, vector_intrinsic, vsqrt
from ops.rendering.cpu.simd_memory import vload, vstore
from ops.rendering.cpu.team import finish, run
from ops.threads import threads

KINDS = 6  # parameters of splats: means, scales, quats, opacities, sh0, shN
_FEW = 20_000  # values that are not worth several threads


def can_step(optimisers: Sequence[torch.optim.Adam]) -> bool:
    """Whether :func:`step_together` takes them: plain Adam, a float32 tensor of the CPU each."""
    if len(optimisers) != KINDS:
        return False
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            [value] = group["params"]
            if not value.is_cpu or value.dtype is not torch.float32:
                return False
            if not value.is_contiguous():
                return False
            if group["amsgrad"] or group["maximize"] or group["weight_decay"] != 0:
                return False
    return True


def step_together(optimisers: Sequence[torch.optim.Adam]) -> None:
    """One step of optimisers that :func:`can_step` takes; those without a gradient stand still.

    Every value is updated by itself: the bytes do not depend on the number of threads.
    """
    where = np.zeros((KINDS, 5), np.int64)
    factors = np.empty((KINDS, 5), np.float32)
    total, kept = 0, []
    for k, optimiser in enumerate(optimisers):
        [group] = optimiser.param_groups
        [value] = group["params"]
        if value.grad is None:
            continue
        state = optimiser.state[value]
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32, device="cpu")
            state["exp_avg"] = torch.zeros_like(value, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(value, memory_format=torch.contiguous_format)
        step = float(state["step"]) + 1
        state["step"].fill_(step)
        beta1, beta2 = group["betas"]
        slope = float(group["lr"]) / (1 - beta1**step)
        factors[k] = 1 - beta1, beta2, slope, 1 / math.sqrt(1 - beta2**step), group["eps"]
        gradient = value.grad.contiguous()
        kept.append(gradient)
        tensors = (value, gradient, state["exp_avg"], state["exp_avg_sq"])
        where[k] = *(tensor.data_ptr() for tensor in tensors), value.numel()
        total += value.numel()
    run(threads() if total > _FEW else 1, _step_together, where, factors)


@vector_intrinsic
def _pointer(typingctx: Any, address: Any) -> Any:
    """An address as what `carray` takes."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), codegen


@helper
def _updated(value: Any, gradient: Any, first: Any, second: Any, factors: Any, k: int) -> Any:
    """Value and averages of gradient and squared gradient after a step."""
    rest1, beta2 = splat(factors[k, 0]), factors[k, 1]
    slope, inverse_root, eps = splat(factors[k, 2]), factors[k, 3], factors[k, 4]
    first = fma(rest1, gradient - first, first)
    second = second * beta2 + gradient * gradient * (np.float32(1) - beta2)
    change = slope * first / (vsqrt(second) * inverse_root + eps)
    return value - change, first, second


@kernel("void(i8, i8, i8[:,::1], f4[:,::1])", allocates=True)
def _step_together(part: int, parts: int, where: Any, factors: Any) -> None:
    """Each part updates its share of every parameter.

    Args:
        part: Which share.
        parts: Number of shares.
        where: [kinds, 5] addresses of values, gradients and both averages, and how many there are.
        factors: [kinds, 5] as :func:`_updated` takes them.
    """
    edge = np.zeros((4, LANES), np.float32)
    for k in range(where.shape[0]):
        size = where[k, 4]
        value = carray(_pointer(where[k, 0]), (size,), np.float32)
        gradient = carray(_pointer(where[k, 1]), (size,), np.float32)
        first = carray(_pointer(where[k, 2]), (size,), np.float32)
        second = carray(_pointer(where[k, 3]), (size,), np.float32)
        groups = size // LANES
        for group in range(groups * part // parts, groups * (part + 1) // parts):
            i = group * LANES
            v, m, s = _updated(
                vload(value, i), vload(gradient, i), vload(first, i), vload(second, i), factors, k
            )
            vstore(value, i, v)
            vstore(first, i, m)
            vstore(second, i, s)
        if part == 0:
            start = groups * LANES
            for lane in range(size - start):
                edge[0, lane], edge[1, lane] = value[start + lane], gradient[start + lane]
                edge[2, lane], edge[3, lane] = first[start + lane], second[start + lane]
            v, m, s = _updated(
                *(vload(edge, 0), vload(edge, LANES)),
                *(vload(edge, 2 * LANES), vload(edge, 3 * LANES)),
                *(factors, k),
            )
            vstore(edge, 0, v)
            vstore(edge, 2 * LANES, m)
            vstore(edge, 3 * LANES, s)
            for lane in range(size - start):
                value[start + lane] = edge[0, lane]
                first[start + lane], second[start + lane] = edge[2, lane], edge[3, lane]
    finish(part, parts)
