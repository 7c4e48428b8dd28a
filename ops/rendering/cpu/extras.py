"""Channels beside colour: depth and features, few or many.

Few are blended one by one, with everything else. From :data:`MANY` on they are matrix products: a
tile keeps the weights of a chunk of its Gaussians, and works on sixteen channels of all of them at
a time, which stay in registers. Gradients likewise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.rendering.cpu.jit import helper
from ops.rendering.cpu.simd import LANES, any_lane, fma, gt, splat
from ops.rendering.cpu.simd_matrix import (
    add_outer,
    add_products,
    load16,
    store16,
    weighted_sum,
    zero16,
)
from ops.rendering.cpu.simd_memory import sum16, vfill, vload, vstore
from ops.rendering.cpu.tiles import BIT, BLOCKS, lowest_block

_f = np.float32

MANY = 12  # extras that are not blended one by one
CHUNK = 128  # Gaussians whose weights are kept until their extras are blended; whole rounds
SLOTS = (BLOCKS + 1) * CHUNK
BACK_CHUNK = 32  # Gaussians whose gradients are worked on together
ROW = (BLOCKS + 1) * LANES  # of what a Gaussian of a chunk has in every block


def padded_extras(n_extras: int) -> int:
    """How many extras a block has room for: where they are many, whole vectors of them."""
    return n_extras if n_extras < MANY else -(-n_extras // LANES) * LANES


def forward_space(n_extras: int) -> int:
    """Floats for the chunks of the forward pass: weights; whose they are, and how many a block has;
    extras."""
    return SLOTS * LANES + SLOTS + (BLOCKS + 1) + CHUNK * LANES if n_extras >= MANY else 0


def backward_space(n_extras: int) -> int:
    """Floats for the chunks of the backward pass: products with the extras, then weights; extras;
    two masks for each Gaussian or block."""
    return BACK_CHUNK * (ROW + LANES + 2) + 2 * BLOCKS if n_extras >= MANY else 0


@helper
def blend_extras(at: int, weight: Any, i: int, extras: Any, scratch: Any) -> None:
    """Adds the extras of Gaussian i to those of a block, which lie from ``at`` on."""
    n_extras = extras.shape[1]
    for k in range(i * n_extras, (i + 1) * n_extras):
        vstore(scratch, at, fma(weight, vfill(extras, k), vload(scratch, at)))
        at += LANES


@helper
def forget_weights(whose: Any) -> None:
    """Begins a chunk: no block has a weight."""
    for block in range(BLOCKS + 1):
        whose[SLOTS + block] = 0


@helper
def keep_weight(block: int, number: int, weight: Any, weights: Any, whose: Any) -> None:
    """Keeps a block's weights of a Gaussian of the chunk, unless they are 0."""
    count = whose[SLOTS + block]
    slot = block * CHUNK + count
    vstore(weights, slot * LANES, weight)
    whose[slot] = number
    whose[SLOTS + block] = count + np.int32(any_lane(gt(weight, splat(_f(0)))))


@helper
def copy_extras(i: int, first: int, extras: Any, to: Any, at: int) -> None:
    """Sixteen extras of Gaussian i from ``first``; 0 behind the last."""
    n_extras = extras.shape[1]
    if first + LANES <= n_extras:
        vstore(to, at, vload(extras, i * n_extras + first))
        return
    for k in range(LANES):
        to[at + k] = extras[i, first + k] if first + k < n_extras else _f(0)


@helper
def blend_chunk(
    start: int,
    stop: int,
    entries: Any,
    extras: Any,
    extras_at: int,
    stride: int,
    scratch: Any,
    weights: Any,
    whose: Any,
    local: Any,
) -> None:
    """Adds the extras of the Gaussians from start to stop to all blocks, whose own lie
    ``extras_at`` behind their beginnings, and forgets the weights.

    For sixteen extras at a time a block is the product of its weights with the extras: what is
    blended stays in registers, and the extras of a chunk in the nearest cache.
    """
    for first in range(0, extras.shape[1], LANES):
        for e in range(start, stop):
            copy_extras(entries[e, 0], first, extras, local, (e - start) * LANES)
        for block in range(BLOCKS):
            count = whose[SLOTS + block]
            if count > 0:
                o = block * stride + extras_at + first * LANES
                sums = load16(scratch, o)
                for slot in range(block * CHUNK, block * CHUNK + count):
                    sums = add_outer(sums, vload(weights, slot * LANES), local, whose[slot] * LANES)
                store16(scratch, o, sums)
    forget_weights(whose)


@helper
def extra_gradients(at: int, weight: Any, i: int, extras: Any, sums: int, scratch: Any) -> Any:
    """Adds to the sums of the gradients of Gaussian i's extras; returns the products with the
    loss gradients of a block, which lie from ``at`` on, summed."""
    n_extras = extras.shape[1]
    total = splat(_f(0))
    for k in range(n_extras):
        v = vload(scratch, at + k * LANES)
        total = fma(v, vfill(extras, i * n_extras + k), total)
        to = sums + k * LANES
        vstore(scratch, to, fma(weight, v, vload(scratch, to)))
    return total


@helper
def chunk_products(
    start: int,
    stop: int,
    live: int,
    entries: Any,
    masks: Any,
    extras: Any,
    extras_at: int,
    stride: int,
    scratch: Any,
    products: Any,
    local: Any,
    reached_by: Any,
) -> None:
    """For the Gaussians from start to stop and the blocks they reach, what
    :func:`extra_gradients` returns: sixteen extras of a chunk at a time, block by block, whose
    gradients then stay in registers."""
    for block in range(BLOCKS):
        reached_by[block] = 0
    for e in range(start, stop):
        todo = masks[e] & live
        while todo != 0:
            reached_by[lowest_block(todo)] |= BIT[e - start]
            todo &= todo - 1
    for first in range(0, extras.shape[1], LANES):
        for e in range(start, stop):
            copy_extras(entries[e, 0], first, extras, local, (e - start) * LANES)
        for block in range(BLOCKS):
            todo = reached_by[block]
            if todo != 0:
                gradients = load16(scratch, block * stride + extras_at + first * LANES)
                while todo != 0:
                    number = lowest_block(todo)
                    todo &= todo - 1
                    slot = number * ROW + block * LANES
                    product = weighted_sum(gradients, local, number * LANES)
                    if first > 0:
                        product = product + vload(products, slot)
                    vstore(products, slot, product)


@helper
def chunk_gradients(
    start: int,
    stop: int,
    visited: Any,
    entries: Any,
    extras_at: int,
    stride: int,
    scratch: Any,
    weights: Any,
    table: Any,
    column: int,
) -> None:
    """The gradients of the extras of the Gaussians from start to stop, from their weights in the
    blocks that they visited, into their rows from ``column`` on."""
    n_columns = table.shape[1]
    for first in range(0, n_columns - column, LANES):
        for e in range(start, stop):
            sums = zero16()
            todo = visited[e - start]
            while todo != 0:
                block = lowest_block(todo)
                todo &= todo - 1
                weight = vload(weights, (e - start) * ROW + block * LANES)
                o = block * stride + extras_at + first * LANES
                sums = add_products(sums, weight, scratch, o)
            sum16(table, entries[e, 1] * n_columns + column + first, sums)
