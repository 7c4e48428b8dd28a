"""Sixteen floats as one Numba value.

Numba vectorises plain loops only when LLVM happens to; the type ``f32x16`` (and its mask ``m16``)
makes sure of it. LLVM turns it into one AVX-512 register, two AVX2 or four NEON ones, so the same
kernels run at whatever width a machine has. Operators ``+ - * /`` work between vectors and
between a vector and a scalar; the rest are the functions below.

No operation here may be fused or reordered by the compiler, except inside :func:`vsum`: forward
and backward kernels must find the same transmittance to the last bit.
"""

from __future__ import annotations

import math
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

LANES = 16

F32 = ir.FloatType()
_I16 = ir.IntType(16)
_I32 = ir.IntType(32)
VF = ir.VectorType(F32, LANES)
VI = ir.VectorType(ir.IntType(32), LANES)
VM = ir.VectorType(ir.IntType(1), LANES)


class _Vector(types.Type):
    """Numba's name for a vector of floats or of truth values."""


f32x16 = _Vector("f32x16")
m16 = _Vector("m16")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VF if kind.name == "f32x16" else VM)


def vector_intrinsic(function: Callable[..., Any]) -> Any:
    """Numba's decorator, for type checkers: the context argument is not the caller's to give."""
    return intrinsic(function)


def constant(value: float) -> ir.Constant:
    return ir.Constant(VF, [float(np.float32(value))] * LANES)


def broadcast(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """A vector as it is; a number in all lanes."""
    if kind is f32x16:
        return value
    scalar = context.cast(builder, value, kind, types.float32)
    undefined = ir.Constant(VF, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(VI, [0] * LANES))


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def fused(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """x y + z."""
    return call(builder, "llvm.fmuladd.v16f32", VF, [x, y, z])


def _elementwise(count: int, generate: Callable[..., Any], result: Any) -> Any:
    """A Numba function of ``count`` vectors or numbers from a generator of LLVM instructions."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return generate(builder, *[broadcast(context, builder, v, t) for v, t in pairs])

    if count == 1:

        def typing1(typingctx: Any, a: Any) -> Any:
            return result(a), codegen

        return vector_intrinsic(typing1)
    if count == 2:

        def typing2(typingctx: Any, a: Any, b: Any) -> Any:
            return result(a, b), codegen

        return vector_intrinsic(typing2)

    def typing3(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return result(a, b, c), codegen

    return vector_intrinsic(typing3)


def _round(builder: Any, x: Any) -> tuple[Any, Any]:
    """x rounded to an integer n, for |x| < 2^22: n in the low bits of a float, and n as a float."""
    magic = constant(12582912.0)  # 1.5 * 2^23
    shifted = builder.fadd(x, magic)
    return shifted, builder.fsub(shifted, magic)


def _polynomial(builder: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    """Horner's rule, highest power first."""
    value = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        value = fused(builder, value, x, constant(coefficient))
    return value


def _quintic(builder: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    """A polynomial of degree 5, highest power first, by Estrin's scheme: one operation more than by
    Horner's, but no more than three wait for each other. Drawing waits for them."""
    c5, c4, c3, c2, c1, c0 = (constant(c) for c in coefficients)

    square = builder.fmul(x, x)
    upper = fused(builder, square, fused(builder, x, c5, c4), fused(builder, x, c3, c2))
    return fused(builder, square, upper, fused(builder, x, c1, c0))


def has_feature(context: Any, feature: str) -> bool:
    """Whether the processor that is compiled for is known to have a feature, by LLVM's name."""
    return f"+{feature}" in context.codegen()._tm_features.split(",")


def _scaled(builder: Any, power: Any, shifted: Any) -> Any:
    """``power`` times 2^n, by adding n to its exponent."""
    exponent = builder.shl(builder.bitcast(shifted, VI), ir.Constant(VI, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(power, VI), exponent), VF)


def _exp2(builder: Any, x: Any) -> Any:
    shifted, whole = _round(builder, x)
    return _scaled(builder, _quintic(builder, _EXP2, builder.fsub(x, whole)), shifted)


def _exp2_avx512(builder: Any, mask: Any, x: Any) -> Any:
    """2^x where the mask holds, else 0. Two instructions that x86 processors with AVX-512 DQ have:
    x less its largest integer n, and a power times 2^n, save four others."""
    down, every, current = 1, -1, 4  # rounding; lanes; no exception is suppressed
    flag = [ir.Constant(_I32, down), x, ir.Constant(_I16, every), ir.Constant(_I32, current)]
    fraction = call(builder, "llvm.x86.avx512.mask.reduce.ps.512", VF, [x, *flag])
    power = _polynomial(builder, _EXP2_UP, fraction)
    where = [constant(0.0), builder.bitcast(mask, _I16), ir.Constant(_I32, current)]
    return call(builder, "llvm.x86.avx512.mask.scalef.ps.512", VF, [power, x, *where])


@vector_intrinsic
def exp2_where(typingctx: Any, mask: Any, x: Any) -> Any:
    """:func:`exp2` in the lanes of a mask, 0 in the others."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if has_feature(context, "avx512dq"):
            return _exp2_avx512(builder, *arguments)
        return builder.select(arguments[0], _exp2(builder, arguments[1]), constant(0.0))

    return f32x16(mask, x), codegen


def _exp(builder: Any, x: Any) -> Any:
    # Held to where neither the result nor 1 / result overflows. The remainder is taken in two
    # parts, since n ln 2 rounds.
    low, high = constant(-87.0), constant(87.0)
    x = builder.select(builder.fcmp_ordered(">", x, low), x, low)
    x = builder.select(builder.fcmp_ordered("<", x, high), x, high)
    shifted, whole = _round(builder, builder.fmul(x, constant(1.4426950408889634)))
    minus = builder.fneg(whole)
    rest = fused(builder, minus, constant(0.693145751953125), x)
    rest = fused(builder, minus, constant(1.4286068203e-6), rest)
    fraction = builder.fmul(rest, constant(1.4426950408889634))
    return _scaled(builder, _polynomial(builder, _EXP2, fraction), shifted)


def _log2(builder: Any, x: Any) -> Any:
    # x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s) with s = (m - 1) / (m + 1).
    bits = builder.bitcast(x, VI)
    root = ir.Constant(VI, [0x3F3504F3] * LANES)
    exponent = builder.ashr(builder.sub(bits, root), ir.Constant(VI, [23] * LANES))
    mantissa = builder.sub(bits, builder.shl(exponent, ir.Constant(VI, [23] * LANES)))
    f = builder.fsub(builder.bitcast(mantissa, VF), constant(1.0))
    s = builder.fdiv(f, builder.fadd(f, constant(2.0)))
    square = builder.fmul(s, s)
    series = _polynomial(builder, tuple(2 / (math.log(2) * k) for k in (9, 7, 5, 3, 1)), square)
    whole = builder.sitofp(exponent, VF)
    return fused(builder, s, series, whole)


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


# 2^f on [0, 1), likewise.
_EXP2_UP = (
    0.001876232945168866,
    0.008992584031410233,
    0.05582360446219699,
    0.24015452988676997,
    0.6931529681766228,
    0.9999999269249825,
)


fma = _elementwise(3, fused, f32x16)
"""x * y + z; rounded once where the machine can, which is settled for all kernels alike."""
fnma = _elementwise(3, lambda b, x, y, z: fused(b, b.fneg(x), y, z), f32x16)
"""z - x * y, rounded like :func:`fma`."""
fms = _elementwise(3, lambda b, x, y, z: fused(b, x, y, b.fneg(z)), f32x16)
"""x * y - z, rounded like :func:`fma`."""
vmin = _elementwise(2, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y), f32x16)
vmax = _elementwise(2, lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y), f32x16)
vneg = _elementwise(1, lambda b, x: b.fneg(x), f32x16)
vabs = _elementwise(1, lambda b, x: call(b, "llvm.fabs.v16f32", VF, [x]), f32x16)
vsqrt = _elementwise(1, lambda b, x: call(b, "llvm.sqrt.v16f32", VF, [x]), f32x16)
vfloor = _elementwise(1, lambda b, x: call(b, "llvm.floor.v16f32", VF, [x]), f32x16)
vceil = _elementwise(1, lambda b, x: call(b, "llvm.ceil.v16f32", VF, [x]), f32x16)
splat = _elementwise(1, lambda b, x: x, f32x16)
"""A number in all lanes."""
exp2 = _elementwise(1, _exp2, f32x16)
"""2 to the power of x for |x| < 126, relative error under 3e-7."""
exp = _elementwise(1, _exp, f32x16)
"""e to the power of x held to [-87, 87], relative error under 4e-7; NaN does not come through."""
log2 = _elementwise(1, _log2, f32x16)
"""Logarithm to base 2 of a positive normal number, error under 2e-7 of max(1, |result|)."""
gt = _elementwise(2, lambda b, x, y: b.fcmp_ordered(">", x, y), m16)
ge = _elementwise(2, lambda b, x, y: b.fcmp_ordered(">=", x, y), m16)


@vector_intrinsic
def vsum(typingctx: Any, a: Any) -> Any:
    """The sum of the lanes, in an order that is fixed for a machine."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(F32, [F32, VF])
        name = "llvm.vector.reduce.fadd.v16f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        zero = ir.Constant(F32, 0.0)
        return builder.call(function, [zero, arguments[0]], fastmath=("reassoc", "nsz"))

    return types.float32(a), codegen


def _extreme(name: str) -> Any:
    @vector_intrinsic
    def extreme(typingctx: Any, a: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = ir.FunctionType(F32, [VF])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            # Without this, lanes would be compared one after the other.
            return builder.call(function, arguments, fastmath=("nnan", "nsz"))

        return types.float32(a), codegen

    return extreme


lowest = _extreme("llvm.vector.reduce.fmin.v16f32")
"""The smallest of the lanes, of which none may be NaN."""
highest = _extreme("llvm.vector.reduce.fmax.v16f32")
"""The largest of the lanes, of which none may be NaN."""


@vector_intrinsic
def iota(typingctx: Any) -> Any:
    """0, 1, ..., 15."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(VF, [float(i) for i in range(LANES)])

    return f32x16(), codegen


@vector_intrinsic
def both(typingctx: Any, a: Any, b: Any) -> Any:
    """Lanes in which both masks hold."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(*arguments)

    return m16(a, b), codegen


@vector_intrinsic
def unless(typingctx: Any, a: Any, b: Any) -> Any:
    """Lanes in which the first mask holds and the second does not."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(arguments[0], builder.not_(arguments[1]))

    return m16(a, b), codegen


@vector_intrinsic
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Whether a mask holds in any lane."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _I16)
        return builder.icmp_unsigned("!=", bits, ir.Constant(_I16, 0))

    return types.boolean(mask), codegen


@vector_intrinsic
def note_lanes(typingctx: Any, array: Any, index: Any, mask: Any) -> Any:
    """Writes a mask, sixteen bits, to the place ``index`` of an array that is counted in masks.

    The array is one of floats: a view of it as integers would hold a reference to it.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = context.cast(builder, arguments[1], signature.args[1], types.intp)
        masks = builder.bitcast(data, ir.PointerType(_I16))
        builder.store(builder.bitcast(arguments[2], _I16), builder.gep(masks, [at]))
        return context.get_dummy_value()

    return types.void(array, index, mask), codegen


@vector_intrinsic
def not_equal64(typingctx: Any, array: Any, value: Any) -> Any:
    """A bit for each of the first 64 masks of an array, see note_lanes: set where not ``value``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(_I16, 64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        elements = builder.load(builder.bitcast(data, ir.PointerType(kind)))
        elements.align = 2
        number = context.cast(builder, arguments[1], signature.args[1], types.int16)
        undefined = ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(undefined, number, ir.Constant(_I32, 0))
        every = ir.Constant(ir.VectorType(_I32, 64), [0] * 64)
        filled = builder.shuffle_vector(first, undefined, every)
        return builder.bitcast(builder.icmp_signed("!=", elements, filled), ir.IntType(64))

    return types.int64(array, value), codegen


@vector_intrinsic
def select(typingctx: Any, mask: Any, yes: Any, no: Any) -> Any:
    """``yes`` in the lanes of the mask, ``no`` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a = broadcast(context, builder, arguments[1], signature.args[1])
        b = broadcast(context, builder, arguments[2], signature.args[2])
        return builder.select(arguments[0], a, b)

    return f32x16(mask, yes, no), codegen


def _register_operator(symbol: Any, generate: Callable[..., Any]) -> None:
    """``symbol`` between two vectors, or a vector and a float32 in either order."""
    operands = ((f32x16, f32x16), (f32x16, types.float32), (types.float32, f32x16))

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = zip(arguments, signature.args, strict=True)
        return generate(builder, *[broadcast(context, builder, v, t) for v, t in pairs])

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
