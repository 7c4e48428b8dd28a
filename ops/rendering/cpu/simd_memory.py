"""Vectors to and from memory: neighbours, interleaved columns, sums of several vectors.

All indices are flat, into C-contiguous arrays.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ops.rendering.cpu.jit import config, helper
from ops.rendering.cpu.simd import (
    F32,
    LANES,
    VF,
    VI,
    broadcast,
    f32x16,
    vector_intrinsic,
)

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _address(context: Any, builder: Any, kinds: Any, arguments: Any, which: int = 0) -> Any:
    """The address of an element, and its index: argument ``which`` is the array, the next one the
    index."""
    made = context.make_array(kinds[which])(context, builder, arguments[which])
    index = context.cast(builder, arguments[which + 1], kinds[which + 1], types.intp)
    return builder.gep(made.data, [index]), index, made.nitems


def element(
    context: Any, builder: Any, kinds: Any, arguments: Any, which: int = 0, *, count: Any = 1
) -> Any:
    """The address of an element: argument ``which`` is the array, the next one the index.

    With NUMBA_BOUNDSCHECK=1 the process ends with a message where ``count`` elements from there on
    do not lie in the array.
    """
    address, index, size = _address(context, builder, kinds, arguments, which)
    if config.BOUNDSCHECK:
        count = ir.Constant(_I64, count) if isinstance(count, int) else count
        _check_bounds(builder, index, count, size)
    return address


def _check_bounds(builder: Any, index: Any, count: Any, size: Any) -> None:
    before = builder.icmp_signed("<", index, ir.Constant(_I64, 0))
    behind = builder.icmp_signed(">", builder.add(index, count), size)
    with builder.if_then(builder.or_(before, behind), likely=False):
        name = builder.function.name.split("$")[0]
        text = bytearray(f"{name}: %lld elements at %lld of %lld\n\0".encode())
        words = cgutils.global_constant(
            builder, "out_of_bounds", ir.Constant(ir.ArrayType(ir.IntType(8), len(text)), text)
        )
        kind = ir.FunctionType(_I32, [_I32, ir.PointerType(ir.IntType(8))], var_arg=True)
        dprintf = cgutils.get_or_insert_function(builder.module, kind, "dprintf")
        start = builder.bitcast(words, ir.PointerType(ir.IntType(8)))
        builder.call(dprintf, [ir.Constant(_I32, 2), start, count, index, size])
        ends = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, ends, "abort"), [])


def rows_of(
    context: Any, builder: Any, kinds: Any, arguments: Any, which: int, *, rows: int, width: int
) -> list[Any]:
    """The addresses of rows of ``width`` elements: argument ``which`` is the array, then come the
    index of the first and how far they lie apart."""
    step = context.cast(builder, arguments[which + 2], kinds[which + 2], types.intp)
    last = builder.mul(step, ir.Constant(_I64, rows - 1))
    reach = builder.add(last, ir.Constant(_I64, width))
    start = element(context, builder, kinds, arguments, which, count=reach)
    return [builder.gep(start, [builder.mul(step, ir.Constant(_I64, r))]) for r in range(rows)]


def load_vector(builder: Any, address: Any) -> Any:
    value = builder.load(builder.bitcast(address, ir.PointerType(VF)))
    value.align = 4
    return value


def store_vector(builder: Any, value: Any, address: Any) -> None:
    pointer = builder.bitcast(address, ir.PointerType(value.type))
    builder.store(value, pointer).align = 4


def offset(builder: Any, address: Any, elements: int) -> Any:
    return builder.gep(address, [ir.Constant(_I64, elements)])


@vector_intrinsic
def vload(typingctx: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours of a float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        return load_vector(builder, element(context, builder, kinds, arguments, count=LANES))

    return f32x16(array, index), codegen


@vector_intrinsic
def vfill(typingctx: Any, array: Any, index: Any) -> Any:
    """One number of a float32 array in all lanes."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        value = builder.load(element(context, builder, kinds, arguments))
        return broadcast(context, builder, value, types.float32)

    return f32x16(array, index), codegen


@vector_intrinsic
def item(typingctx: Any, array: Any, index: Any) -> Any:
    """An element by its flat index, which unlike with [] may not count from the end."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        address = element(context, builder, kinds, arguments)
        return builder.load(address)

    return array.dtype(array, index), codegen


@vector_intrinsic
def put(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes an element by its flat index, which unlike with [] may not count from the end."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        address = element(context, builder, kinds, arguments)
        builder.store(context.cast(builder, arguments[2], kinds[2], kinds[0].dtype), address)
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


@vector_intrinsic
def vstore(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes sixteen neighbours of a float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        address = element(context, builder, kinds, arguments, count=LANES)
        store_vector(builder, arguments[2], address)
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


def _gathered(builder: Any, vectors: list[Any], positions: list[int]) -> Any:
    """The elements at ``positions`` (at most sixteen) of vectors laid end to end."""
    found = ir.Constant(VF, ir.Undefined)
    for number, vector in enumerate(vectors):
        mine = {lane: p % LANES for lane, p in enumerate(positions) if p // LANES == number}
        if mine:
            wanted = [LANES + mine[lane] if lane in mine else lane for lane in range(LANES)]
            found = builder.shuffle_vector(found, vector, ir.Constant(VI, wanted))
    if len(positions) == LANES:
        return found
    shorter = ir.VectorType(ir.IntType(32), len(positions))
    first = ir.Constant(shorter, list(range(len(positions))))
    return builder.shuffle_vector(found, found, first)


def _column_loader(count: int) -> Any:
    @vector_intrinsic
    def load(typingctx: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            start = element(context, builder, kinds, arguments, count=count * LANES)
            vectors = [
                load_vector(builder, offset(builder, start, LANES * v)) for v in range(count)
            ]
            columns = [
                _gathered(builder, vectors, [count * lane + c for lane in range(LANES)])
                for c in range(count)
            ]
            return context.make_tuple(builder, signature.return_type, columns)

        return types.UniTuple(f32x16, count)(array, index), codegen

    return load


load2 = _column_loader(2)
"""The two columns of sixteen rows of an array [N, 2]."""
load3 = _column_loader(3)
"""The three columns of sixteen rows of an array [N, 3]."""
load4 = _column_loader(4)
"""The four columns of sixteen rows of an array [N, 4]."""


def _column_storer(count: int, *, whole: bool = False) -> Any:
    @vector_intrinsic
    def store(typingctx: Any, array: Any, index: Any, columns: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            start = element(context, builder, kinds, arguments, count=count * LANES)
            vectors = [builder.extract_value(arguments[2], c) for c in range(count)]
            for v in range(count):
                places = range(LANES * v, LANES * (v + 1))
                row = _gathered(
                    builder, vectors, [LANES * (p % count) + p // count for p in places]
                )
                if whole:
                    row = builder.fptosi(row, VI)
                store_vector(builder, row, offset(builder, start, LANES * v))
            return context.get_dummy_value()

        return types.void(array, index, columns), codegen

    return store


store2 = _column_storer(2)
"""Writes two columns of sixteen rows of an array [N, 2]; takes a tuple of vectors."""
store3 = _column_storer(3)
"""Writes three columns of sixteen rows of an array [N, 3]."""
store4 = _column_storer(4)
"""Writes four columns of sixteen rows of an array [N, 4]."""
store2_whole = _column_storer(2, whole=True)
"""Writes two columns of whole numbers of an int32 array [N, 2]."""


_QUAD = 4


def _block_loader(count: int) -> Any:
    @vector_intrinsic
    def load(typingctx: Any, array: Any, index: Any, stride: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            rows = rows_of(context, builder, kinds, arguments, 0, rows=_QUAD, width=_QUAD * count)
            quads = []
            for begin in rows:
                for q in range(count):
                    pointer = builder.bitcast(
                        offset(builder, begin, _QUAD * q),
                        ir.PointerType(ir.VectorType(F32, _QUAD)),
                    )
                    quad = builder.load(pointer)
                    quad.align = 4
                    quads.append(quad)
            joined = [_joined(builder, quads[v : v + _QUAD]) for v in range(0, len(quads), _QUAD)]
            columns = [
                _gathered(builder, joined, [count * lane + c for lane in range(LANES)])
                for c in range(count)
            ]
            return context.make_tuple(builder, signature.return_type, columns)

        return types.UniTuple(f32x16, count)(array, index, stride), codegen

    return load


def _joined(builder: Any, quads: list[Any]) -> Any:
    """Four vectors of four, end to end."""
    eight = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(range(8)))
    low, high = (builder.shuffle_vector(quads[i], quads[i + 1], eight) for i in (0, 2))
    return builder.shuffle_vector(low, high, ir.Constant(VI, list(range(LANES))))


def _block_storer(count: int) -> Any:
    @vector_intrinsic
    def store(typingctx: Any, array: Any, index: Any, stride: Any, columns: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            rows = rows_of(context, builder, kinds, arguments, 0, rows=_QUAD, width=_QUAD * count)
            vectors = [builder.extract_value(arguments[3], c) for c in range(count)]
            for row, begin in enumerate(rows):
                for q in range(count):
                    places = range(_QUAD * (count * row + q), _QUAD * (count * row + q + 1))
                    quad = _gathered(
                        builder, vectors, [LANES * (p % count) + p // count for p in places]
                    )
                    store_vector(builder, quad, offset(builder, begin, _QUAD * q))
            return context.get_dummy_value()

        return types.void(array, index, stride, columns), codegen

    return store


load_block = _block_loader(1)
"""4 x 4 numbers of an image [H, W], row by row; index of the first, length of an image row."""
load_block3 = _block_loader(3)
"""4 x 4 pixels of an image [H, W, 3]; index of the first number, numbers in an image row."""
store_block = _block_storer(1)
"""Writes 4 x 4 numbers of an image [H, W]; takes a tuple of one vector."""
store_block3 = _block_storer(3)
"""Writes 4 x 4 pixels of an image [H, W, 3]; takes a tuple of three vectors."""


def _lane_sums(builder: Any, vectors: list[Any]) -> Any:
    """2, 4, 8 or 16 vectors to one that holds their sums, repeated where there is room.

    Every step adds neighbouring lanes of two vectors and keeps them in one, so that sixteen sums
    cost little more than four sums of one vector each.
    """
    even = ir.Constant(VI, list(range(0, 2 * LANES, 2)))  # of two vectors, end to end
    odd = ir.Constant(VI, list(range(1, 2 * LANES, 2)))
    level, lanes = vectors, LANES
    while lanes > 1:
        level = [*level, level[-1]] if len(level) % 2 else level
        level = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in zip(level[::2], level[1::2], strict=True)
        ]
        lanes //= 2
    [sums] = level
    return sums


def _sum_storer(count: int) -> Any:
    @vector_intrinsic
    def store(typingctx: Any, array: Any, index: Any, vectors: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args
            start = element(context, builder, kinds, arguments, count=count)
            given = [builder.extract_value(arguments[2], v) for v in range(count)]
            sums = _lane_sums(builder, given)
            if count < LANES:
                first = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
                sums = builder.shuffle_vector(sums, sums, first)
            store_vector(builder, sums, start)
            return context.get_dummy_value()

        return types.void(array, index, vectors), codegen

    return store


sum16 = _sum_storer(16)
"""Writes the lane sums of a tuple of sixteen vectors to sixteen neighbours."""


@vector_intrinsic
def next_of(typingctx: Any, counter: Any) -> Any:
    """Takes the next number of an int64 array [1] that several threads count up."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(_I64, 1), "monotonic")

    return types.int64(counter), codegen


def _prefetch(builder: Any, address: Any, to_write: bool) -> None:
    whole = ir.IntType(32)
    pointer = builder.bitcast(address, ir.PointerType(ir.IntType(8)))
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, whole, whole, whole])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    use, keep, data = (ir.Constant(whole, value) for value in (int(to_write), 3, 1))
    builder.call(function, [pointer, use, keep, data])


@vector_intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line of an element, which is going to be read soon."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        address, _, _ = _address(context, builder, kinds, arguments)
        _prefetch(builder, address, False)
        return context.get_dummy_value()

    return types.void(array, index), codegen


@vector_intrinsic
def prefetch_to_write(typingctx: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line of an element, which is going to be written soon."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        address, _, _ = _address(context, builder, kinds, arguments)
        _prefetch(builder, address, True)
        return context.get_dummy_value()

    return types.void(array, index), codegen


@helper
def prefetch_rows(array: Any, row: int) -> None:
    """Asks for sixteen rows of a table from ``row`` on, which may lie behind its end."""
    columns = array.shape[1]
    for at in range(row * columns, (row + LANES) * columns, LANES):
        prefetch(array, at)


@helper
def prefetch_rows_to_write(array: Any, row: int) -> None:
    """As :func:`prefetch_rows`, of rows that are going to be written."""
    columns = array.shape[1]
    for at in range(row * columns, (row + LANES) * columns, LANES):
        prefetch_to_write(array, at)


@vector_intrinsic
def align_stack(typingctx: Any) -> Any:
    """Makes the stack of the kernel that calls it start at a cache line.

    Vectors that find no register are kept on the stack. LLVM does not align it for their sake, and
    each of them would lie across two cache lines.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        attributes = builder.function.attributes
        attributes.add("nounwind")  # llvmlite writes the alignment only where there is another one
        attributes.alignstack = 4 * LANES
        return context.get_dummy_value()

    return types.void(), codegen
