"""Small matrices: products whose sixteen sums, a vector each, stay in registers, and transposes.

Products are for many channels, a vector being a block of pixels: all indices are flat and of the
first of sixteen numbers or sixteen vectors, which lie behind each other.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ops.rendering.cpu.simd import (
    F32,
    LANES,
    broadcast,
    constant,
    f32x16,
    fused,
    vector_intrinsic,
)
from ops.rendering.cpu.simd_memory import element, load_vector, offset, rows_of, store_vector

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_SUMS = types.UniTuple(f32x16, LANES)


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
        start = element(context, builder, signature.args, arguments, count=LANES * LANES)
        vectors = [load_vector(builder, offset(builder, start, LANES * k)) for k in range(LANES)]
        return context.make_tuple(builder, signature.return_type, vectors)

    return _SUMS(array, index), codegen


@vector_intrinsic
def store16(typingctx: Any, array: Any, index: Any, vectors: Any) -> Any:
    """Writes sixteen vectors."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, count=LANES * LANES)
        for k in range(LANES):
            vector = builder.extract_value(arguments[2], k)
            store_vector(builder, vector, offset(builder, start, LANES * k))
        return context.get_dummy_value()

    return types.void(array, index, vectors), codegen


@vector_intrinsic
def add_outer(typingctx: Any, sums: Any, vector: Any, array: Any, index: Any) -> Any:
    """Adds the products of a vector with sixteen numbers to sixteen sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 2, count=LANES)
        found = []
        for k in range(LANES):
            number = builder.load(offset(builder, start, k))
            factor = broadcast(context, builder, number, types.float32)
            found.append(
                fused(builder, arguments[1], factor, builder.extract_value(arguments[0], k))
            )
        return context.make_tuple(builder, signature.return_type, found)

    return _SUMS(sums, vector, array, index), codegen


@vector_intrinsic
def add_products(typingctx: Any, sums: Any, vector: Any, array: Any, index: Any) -> Any:
    """Adds the products of a vector with sixteen vectors, lane by lane, to sixteen sums."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 2, count=LANES * LANES)
        found = []
        for k in range(LANES):
            other = load_vector(builder, offset(builder, start, LANES * k))
            found.append(
                fused(builder, arguments[1], other, builder.extract_value(arguments[0], k))
            )
        return context.make_tuple(builder, signature.return_type, found)

    return _SUMS(sums, vector, array, index), codegen


@vector_intrinsic
def weighted_sum(typingctx: Any, vectors: Any, array: Any, index: Any) -> Any:
    """The sum of sixteen vectors, each times its number."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = element(context, builder, signature.args, arguments, 1, count=LANES)
        chains = [constant(0.0)] * 4  # one would have to wait for itself
        for k in range(LANES):
            number = builder.load(offset(builder, start, k))
            factor = broadcast(context, builder, number, types.float32)
            vector = builder.extract_value(arguments[0], k)
            chains[k % 4] = fused(builder, vector, factor, chains[k % 4])
        low, high = builder.fadd(*chains[:2]), builder.fadd(*chains[2:])
        return builder.fadd(low, high)

    return f32x16(vectors, array, index), codegen


def _turn(builder: Any, source: list[Any], target: list[Any]) -> None:
    """Sixteen rows into as many, by quarters: eight vectors of eight, which fit the registers of
    any processor, so that AVX2 takes a third of the time that it takes for sixteen of sixteen.

    Rows may be turned in their place: the two quarters that change places are read before either
    is written.
    """

    def mixed(a: Any, b: Any, which: list[int]) -> Any:
        kind = ir.VectorType(_I32, len(which))
        return builder.shuffle_vector(a, b, ir.Constant(kind, which))

    def piece(row: int, column: int) -> Any:
        kind = ir.PointerType(ir.VectorType(F32, 4))
        value = builder.load(builder.bitcast(offset(builder, source[row], column), kind))
        value.align = 4
        return value

    def read(top: int, left: int) -> list[Any]:
        """Eight rows of eight as eight vectors, each of four columns of two rows four apart."""
        return [
            mixed(piece(top + r, left + c), piece(top + r + 4, left + c), list(range(8)))
            for c in (0, 4)
            for r in range(4)
        ]

    def write(vectors: list[Any], top: int, left: int) -> None:
        for c in (0, 4):
            p, q, r, s = vectors[c : c + 4]
            low, high = [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]
            first, second = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
            for k, half in ((0, low), (2, high)):
                pq, rs = mixed(p, q, half), mixed(r, s, half)
                for row, pair in ((k, first), (k + 1, second)):
                    address = offset(builder, target[top + c + row], left)
                    store_vector(builder, mixed(pq, rs, pair), address)

    for corner in (0, 8):
        write(read(corner, corner), corner, corner)
    upper, lower = read(0, 8), read(8, 0)
    write(upper, 8, 0)
    write(lower, 0, 8)


@vector_intrinsic
def transpose(
    typingctx: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, target_stride: Any
) -> Any:
    """Turns 16 x 16 numbers around: sixteen rows, ``stride`` apart, become sixteen columns."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args

        source_rows, target_rows = (
            rows_of(context, builder, kinds, arguments, array, rows=LANES, width=LANES)
            for array in (0, 3)
        )
        _turn(builder, source_rows, target_rows)
        return context.get_dummy_value()

    return types.void(source, at, stride, target, to, target_stride), codegen
