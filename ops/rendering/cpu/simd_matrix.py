"""Small matrix products: sixteen sums, a vector each, that stay in registers.

For many channels, a vector being a block of pixels: all indices are flat and of the first of
sixteen numbers or sixteen vectors, which lie behind each other.
"""

from __future__ import annotations

from typing import Any

from numba import types

from ops.rendering.cpu.simd import LANES, VF, broadcast, call, constant, f32x16, vector_intrinsic
from ops.rendering.cpu.simd_memory import element, load_vector, offset, store_vector

_SUMS = types.UniTuple(f32x16, LANES)


def _fma(builder: Any, x: Any, y: Any, z: Any) -> Any:
    return call(builder, "llvm.fmuladd.v16f32", VF, [x, y, z])


@vector_intrinsic
def zero16(typingctx: Any) -> Any:
    """Sixteen vectors of 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, [constant(0.0)] * LANES)

    return _SUMS(), codegen


@vector_intrinsic
def load16(typingctx: Any, array: Any, index: Any) -> Any:
    """Sixteen vectors."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 0)
        vectors = [load_vector(builder, offset(builder, start, LANES * k)) for k in range(LANES)]
        return context.make_tuple(builder, signature.return_type, vectors)

    return _SUMS(array, index), codegen


@vector_intrinsic
def store16(typingctx: Any, array: Any, index: Any, vectors: Any) -> Any:
    """Writes sixteen vectors."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 0)
        for k in range(LANES):
            vector = builder.extract_value(arguments[2], k)
            store_vector(builder, vector, offset(builder, start, LANES * k))
        return context.get_dummy_value()

    return types.void(array, index, vectors), codegen


@vector_intrinsic
def add_outer(typingctx: Any, sums: Any, vector: Any, array: Any, index: Any) -> Any:
    """Adds the products of a vector with sixteen numbers to sixteen sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 2)
        found = []
        for k in range(LANES):
            number = builder.load(offset(builder, start, k))
            factor = broadcast(context, builder, number, types.float32)
            found.append(
                _fma(builder, arguments[1], factor, builder.extract_value(arguments[0], k))
            )
        return context.make_tuple(builder, signature.return_type, found)

    return _SUMS(sums, vector, array, index), codegen


@vector_intrinsic
def add_products(typingctx: Any, sums: Any, vector: Any, array: Any, index: Any) -> Any:
    """Adds the products of a vector with sixteen vectors, lane by lane, to sixteen sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 2)
        found = []
        for k in range(LANES):
            other = load_vector(builder, offset(builder, start, LANES * k))
            found.append(_fma(builder, arguments[1], other, builder.extract_value(arguments[0], k)))
        return context.make_tuple(builder, signature.return_type, found)

    return _SUMS(sums, vector, array, index), codegen


@vector_intrinsic
def weighted_sum(typingctx: Any, vectors: Any, array: Any, index: Any) -> Any:
    """The sum of sixteen vectors, each times its number."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 1)
        chains = [constant(0.0)] * 4  # one would have to wait for itself
        for k in range(LANES):
            number = builder.load(offset(builder, start, k))
            factor = broadcast(context, builder, number, types.float32)
            vector = builder.extract_value(arguments[0], k)
            chains[k % 4] = _fma(builder, vector, factor, chains[k % 4])
        low, high = builder.fadd(*chains[:2]), builder.fadd(*chains[2:])
        return builder.fadd(low, high)

    return f32x16(vectors, array, index), codegen
