"""Sixteen floats as one Numba value.

Numba vectorises plain loops only when LLVM happens to; the type ``f32x16`` (and its mask ``m16``)
makes sure of it. LLVM turns it into one AVX-512 register, two AVX2 or four NEON ones, so the same
kernels run at whatever width a machine has. Operators ``+ - * /`` work between vectors and
between a vector and a scalar; the rest are the functions below.

No operation here may be fused or reordered by the compiler, except inside :func:`vsum`: forward
and backward kernels must find the same transmittance to the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing import signature as typing_signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from ops.rendering.cpu.jit import helper

LANES = 16

_F32 = ir.FloatType()
_I16 = ir.IntType(16)
_VF = ir.VectorType(_F32, LANES)
_VI = ir.VectorType(ir.IntType(32), LANES)
_VM = ir.VectorType(ir.IntType(1), LANES)


class _Vector(types.Type):
    pass


f32x16 = _Vector("f32x16")
m16 = _Vector("m16")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VF if kind.name == "f32x16" else _VM)


def _intrinsic(function: Callable[..., Any]) -> Any:
    """Numba's decorator, for type checkers: the context argument is not the caller's to give."""
    return intrinsic(function)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VF, [float(np.float32(value))] * LANES)


def _broadcast(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """A vector as it is; a number in all lanes."""
    if kind is f32x16:
        return value
    scalar = context.cast(builder, value, kind, types.float32)
    undefined = ir.Constant(_VF, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_VI, [0] * LANES))


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _elementwise(count: int, generate: Callable[..., Any], result: Any) -> Any:
    """A Numba function of ``count`` vectors or numbers from a generator of LLVM instructions."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return generate(builder, *[_broadcast(context, builder, v, t) for v, t in pairs])

    if count == 1:

        def typing1(typingctx: Any, a: Any) -> Any:
            return result(a), codegen

        return _intrinsic(typing1)
    if count == 2:

        def typing2(typingctx: Any, a: Any, b: Any) -> Any:
            return result(a, b), codegen

        return _intrinsic(typing2)

    def typing3(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return result(a, b, c), codegen

    return _intrinsic(typing3)


def _exp2(builder: Any, x: Any) -> Any:
    # Adding 1.5 * 2^23 rounds x to an integer n that sits in the low bits; 2^(x - n) is a
    # polynomial; n is then added to the exponent.
    magic = _constant(12582912.0)
    shifted = builder.fadd(x, magic)
    fraction = builder.fsub(x, builder.fsub(shifted, magic))
    power = _constant(_EXP2[0])
    for coefficient in _EXP2[1:]:
        power = _call(
            builder, "llvm.fmuladd.v16f32", _VF, [power, fraction, _constant(coefficient)]
        )
    exponent = builder.shl(builder.bitcast(shifted, _VI), ir.Constant(_VI, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(power, _VI), exponent), _VF)


# 2^f on [-1/2, 1/2]: least squares of the relative error at 200 Chebyshev nodes, highest power
# first. Relative error under 2e-7 before rounding.
_EXP2 = (
    0.0013266970636323094,
    0.009675459936261177,
    0.05550742521882057,
    0.24022121727466583,
    0.6931469440460205,
    1.0,
)


fma = _elementwise(3, lambda b, x, y, z: _call(b, "llvm.fmuladd.v16f32", _VF, [x, y, z]), f32x16)
"""x * y + z; rounded once where the machine can, which is settled for all kernels alike."""
fnma = _elementwise(
    3, lambda b, x, y, z: _call(b, "llvm.fmuladd.v16f32", _VF, [b.fneg(x), y, z]), f32x16
)
"""z - x * y, rounded like :func:`fma`."""
vmin = _elementwise(2, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y), f32x16)
vneg = _elementwise(1, lambda b, x: b.fneg(x), f32x16)
vabs = _elementwise(1, lambda b, x: _call(b, "llvm.fabs.v16f32", _VF, [x]), f32x16)
splat = _elementwise(1, lambda b, x: x, f32x16)
"""A number in all lanes."""
exp2 = _elementwise(1, _exp2, f32x16)
"""2 to the power of x for |x| < 126, relative error under 3e-7."""
gt = _elementwise(2, lambda b, x, y: b.fcmp_ordered(">", x, y), m16)
ge = _elementwise(2, lambda b, x, y: b.fcmp_ordered(">=", x, y), m16)


@_intrinsic
def vsum(typingctx: Any, a: Any) -> Any:
    """The sum of the lanes, in an order that is fixed for a machine."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_F32, [_F32, _VF])
        name = "llvm.vector.reduce.fadd.v16f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        zero = ir.Constant(_F32, 0.0)
        return builder.call(function, [zero, arguments[0]], fastmath=("reassoc", "nsz"))

    return types.float32(a), codegen


def _sum_of_eight(builder: Any, vectors: list[Any]) -> Any:
    """Eight vectors to one that holds their sums in lanes 0 to 7, and again in 8 to 15.

    Every step adds neighbouring lanes of two vectors and keeps them in one, so eight sums cost
    little more than two sums of one vector each.
    """

    index = ir.VectorType(ir.IntType(32), LANES)
    even = ir.Constant(index, list(range(0, 2 * LANES, 2)))  # of two vectors, end to end
    odd = ir.Constant(index, list(range(1, 2 * LANES, 2)))
    level = vectors
    while len(level) > 1:
        level = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in zip(level[::2], level[1::2], strict=True)
        ]
    # Now two neighbouring lanes for each vector, in their order.
    [last] = level
    return builder.fadd(
        builder.shuffle_vector(last, last, even), builder.shuffle_vector(last, last, odd)
    )


@_intrinsic
def store_sums(
    typingctx: Any,
    array: Any,
    index: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
) -> Any:
    """Writes the lane sums of eight vectors to eight neighbours from a flat index."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _sum_of_eight(builder, list(arguments[2:]))
        eight = builder.shuffle_vector(
            sums, sums, ir.Constant(ir.VectorType(ir.IntType(32), 8), list(range(8)))
        )
        pointer = builder.bitcast(
            _pointer(context, builder, signature, arguments),
            ir.PointerType(ir.VectorType(_F32, 8)),
        )
        builder.store(eight, pointer).align = 4
        return context.get_dummy_value()

    return types.void(array, index, a, b, c, d, e, f, g, h), codegen


@_intrinsic
def iota(typingctx: Any) -> Any:
    """0, 1, ..., 15."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(_VF, [float(i) for i in range(LANES)])

    return f32x16(), codegen


@_intrinsic
def both(typingctx: Any, a: Any, b: Any) -> Any:
    """Lanes in which both masks hold."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(*arguments)

    return m16(a, b), codegen


@_intrinsic
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Whether a mask holds in any lane."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _I16)
        return builder.icmp_unsigned("!=", bits, ir.Constant(_I16, 0))

    return types.boolean(mask), codegen


@_intrinsic
def select(typingctx: Any, mask: Any, yes: Any, no: Any) -> Any:
    """``yes`` in the lanes of the mask, ``no`` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a = _broadcast(context, builder, arguments[1], signature.args[1])
        b = _broadcast(context, builder, arguments[2], signature.args[2])
        return builder.select(arguments[0], a, b)

    return f32x16(mask, yes, no), codegen


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    index = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [index]), ir.PointerType(_VF))


@_intrinsic
def vload(typingctx: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours from a flat index of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature, arguments))
        value.align = 4
        return value

    return f32x16(array, index), codegen


@_intrinsic
def vfill(typingctx: Any, array: Any, index: Any) -> Any:
    """One number, at a flat index of a C-contiguous float32 array, in all lanes."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        at = context.cast(builder, arguments[1], signature.args[1], types.intp)
        value = builder.load(builder.gep(array.data, [at]))
        return _broadcast(context, builder, value, types.float32)

    return f32x16(array, index), codegen


@_intrinsic
def vstore(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes sixteen neighbours at a flat index of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store = builder.store(arguments[2], _pointer(context, builder, signature, arguments))
        store.align = 4
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


def _register_operator(symbol: Any, generate: Callable[..., Any]) -> None:
    """``symbol`` between two vectors, or a vector and a float32 in either order."""
    operands = ((f32x16, f32x16), (f32x16, types.float32), (types.float32, f32x16))

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return generate(builder, *[_broadcast(context, builder, v, t) for v, t in pairs])

    for pair in operands:
        lower_builtin(symbol, *pair)(lower)
    template = type(
        f"{symbol.__name__}_f32x16",
        (ConcreteTemplate,),
        {"cases": [typing_signature(f32x16, *pair) for pair in operands]},
    )
    infer_global(symbol)(template)


_register_operator(operator.add, lambda b, x, y: b.fadd(x, y))
_register_operator(operator.sub, lambda b, x, y: b.fsub(x, y))
_register_operator(operator.mul, lambda b, x, y: b.fmul(x, y))
_register_operator(operator.truediv, lambda b, x, y: b.fdiv(x, y))


@helper
def aligned_empty(size: int) -> Any:
    """An uninitialised float32 array that starts at a cache line, so that no vector spans two."""
    raw = np.empty(size + LANES, np.float32)
    past = (raw.ctypes.data // 4) % LANES
    start = (LANES - past) % LANES
    return raw[start : start + size]
