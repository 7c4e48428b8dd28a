"""How an image is cut: tiles of 32 x 32 pixels, in blocks of 4 x 4 that are one vector each.

A square block wastes fewer lanes on a round Gaussian than a row of sixteen pixels does. Which of
the 64 blocks of a tile a Gaussian reaches is one 64-bit mask: block ``b`` is column ``b % 8`` and
row ``b // 8``, lane ``l`` of a block column ``l % 4`` and row ``l // 4``. While a tile is worked
on, what is known per pixel lies block after block, one vector per quantity.

Blocks are worked on in twos: a processor can look only some hundred instructions ahead, and the
chain from a pixel's place to its transmittance is long. Where a Gaussian reaches an odd number of
blocks, the last one's fellow is block 64, which no pixel is in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ops.rendering.cpu.jit import helper
from ops.rendering.cpu.simd import LANES, VI, both, ge, gt, note_lanes, splat, vector_intrinsic
from ops.rendering.cpu.simd_memory import (
    element,
    load_block,
    load_block3,
    store3,
    store_block,
    store_block3,
    vload,
    vstore,
)

_f = np.float32
TILE = 32  # pixels
BLOCK = 4  # pixels
ACROSS = TILE // BLOCK  # blocks in a row of a tile
BLOCKS = ACROSS * ACROSS
ALL_BLOCKS = -1  # a mask of 64 ones

# Where blocks begin, and lanes within a block, in pixels.
_NOWHERE = 1e6
BLOCK_X = np.array([BLOCK * (b % ACROSS) for b in range(BLOCKS)] + [_NOWHERE], np.float32)
BLOCK_Y = np.array([BLOCK * (b // ACROSS) for b in range(BLOCKS)] + [_NOWHERE], np.float32)
# Where the pixels of a column, and of a row, of blocks lie in a tile, a vector each. The last row
# is that of the block beside the tile: results there are never used, but have to be finite.
PIXEL_X = np.array(
    [BLOCK * column + lane % BLOCK for column in range(ACROSS) for lane in range(LANES)], np.float32
)
PIXEL_Y = np.array(
    [BLOCK * row + lane // BLOCK for row in range(ACROSS + 1) for lane in range(LANES)], np.float32
)
BIT = np.array([1 << b for b in range(BLOCKS)] + [0], np.uint64).view(np.int64)
LANE_X = np.array([lane % BLOCK for lane in range(LANES)], np.float32)
LANE_Y = np.array([lane // BLOCK for lane in range(LANES)], np.float32)


@vector_intrinsic
def lowest_block(typingctx: Any, mask: Any) -> Any:
    """The number of the lowest block in a mask; 64 in none, which is a block beside the tile."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(64)
        kind = ir.FunctionType(whole, [whole, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(function, [arguments[0], ir.Constant(ir.IntType(1), 0)])

    return types.int64(mask), codegen


@vector_intrinsic
def count_blocks(typingctx: Any, mask: Any) -> Any:
    """How many blocks are in a mask."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(64)
        kind = ir.FunctionType(whole, [whole])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.i64")
        return builder.call(function, [arguments[0]])

    return types.int64(mask), codegen


@vector_intrinsic
def transpose_masks(typingctx: Any, masks: Any, at: Any, reached_by: Any) -> Any:
    """Turns 64 masks of blocks, from ``at`` on, around: into a mask of 64 bits for each block."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        many, width = 64, 8
        words, octets = ir.VectorType(ir.IntType(64), many), ir.VectorType(ir.IntType(8), many)
        kinds = signature.args
        start = element(context, builder, kinds, arguments, count=many)
        rows = builder.load(builder.bitcast(start, ir.PointerType(words)))
        rows.align = 8
        to = context.make_array(kinds[2])(context, builder, arguments[2]).data
        none = ir.Constant(octets, [0] * many)
        for row in range(width):
            shifted = builder.lshr(rows, ir.Constant(words, [width * row] * many))
            columns = builder.trunc(shifted, octets)
            for column in range(width):
                bit = ir.Constant(octets, [1 << column] * many)
                there = builder.icmp_unsigned("!=", builder.and_(columns, bit), none)
                place = builder.gep(to, [ir.Constant(ir.IntType(64), width * row + column)])
                builder.store(builder.bitcast(there, ir.IntType(many)), place)
        return context.get_dummy_value()

    return types.void(masks, at, reached_by), codegen


@vector_intrinsic
def mask_of_rows(typingctx: Any, columns: Any) -> Any:
    """The mask of the blocks that lie in an interval of columns for each of the eight block rows.

    Intervals are whole numbers from 0 to 8: where they begin in lanes 8 to 15, where they end, not
    included, in lanes 0 to 7. Those that end before they begin are empty.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.VectorType(ir.IntType(32), ACROSS)
        one = ir.Constant(VI, [1] * LANES)
        power = builder.shl(one, builder.fptosi(arguments[0], VI))
        end, begin = (
            builder.shuffle_vector(power, power, ir.Constant(whole, list(range(o, o + ACROSS))))
            for o in (0, ACROSS)
        )
        bits = builder.sub(end, begin)
        none = ir.Constant(whole, [0] * ACROSS)
        bits = builder.select(builder.icmp_signed(">", bits, none), bits, none)
        rows = builder.trunc(bits, ir.VectorType(ir.IntType(8), ACROSS))
        return builder.bitcast(rows, ir.IntType(64))

    return types.int64(columns), codegen


@helper
def forget_lanes(lanes: Any) -> None:
    """Before a tile is begun: all lanes of its blocks count as going on."""
    zero = splat(_f(0))
    for block in range(BLOCKS):
        note_lanes(lanes, block, ge(zero, zero))


@helper
def pixels_of(block: int) -> tuple[Any, Any]:
    """x and y of the pixels of a block in its tile."""
    return vload(PIXEL_X, block % ACROSS * LANES), vload(PIXEL_Y, block // ACROSS * LANES)


@helper
def inside_image(block: int, tile_x: int, tile_y: int, width: int, height: int) -> Any:
    """Which pixels of a block of the tile at (tile_x, tile_y) pixels the image has."""
    columns = _f(width - tile_x) - BLOCK_X[block]
    rows = _f(height - tile_y) - BLOCK_Y[block]
    return both(gt(columns, vload(LANE_X, 0)), gt(rows, vload(LANE_Y, 0)))


@helper
def blocks_in_image(tile_x: int, tile_y: int, width: int, height: int) -> int:
    """The mask of the blocks of a tile that have any pixel of the image."""
    mask = 0
    across = min((width - tile_x + BLOCK - 1) // BLOCK, ACROSS)
    for row in range(min((height - tile_y + BLOCK - 1) // BLOCK, ACROSS)):
        mask |= ((1 << across) - 1) << (ACROSS * row)
    return mask


@helper
def read_block(image: Any, Y: int, X: int, edge: Any) -> Any:
    """4 x 4 pixels of an image [H, W] from pixel (Y, X), 0 beyond its border; edge is scratch."""
    height, width = image.shape
    if height >= Y + BLOCK and width >= X + BLOCK:
        return load_block(image, Y * width + X, width)[0]
    for lane in range(LANES):
        y, x = Y + lane // BLOCK, X + lane % BLOCK
        edge[lane] = image[y, x] if y < height and x < width else _f(0)
    return vload(edge, 0)


@helper
def read_block3(image: Any, Y: int, X: int, edge: Any) -> Any:
    """As :func:`read_block` of an image [H, W, 3], a vector per channel."""
    height, width = image.shape[0], image.shape[1]
    if height >= Y + BLOCK and width >= X + BLOCK:
        return load_block3(image, 3 * (Y * width + X), 3 * width)
    for lane in range(LANES):
        y, x = Y + lane // BLOCK, X + lane % BLOCK
        for k in range(3):
            there = y < height and x < width
            edge[k * LANES + lane] = image[y, x, k] if there else _f(0)
    return vload(edge, 0), vload(edge, LANES), vload(edge, 2 * LANES)


@helper
def write_block(image: Any, Y: int, X: int, value: Any, edge: Any) -> None:
    """4 x 4 pixels of an image [H, W] from pixel (Y, X), as far as the image goes."""
    height, width = image.shape
    if height >= Y + BLOCK and width >= X + BLOCK:
        store_block(image, Y * width + X, width, (value,))
        return
    vstore(edge, 0, value)
    for y in range(Y, min(Y + BLOCK, height)):
        for x in range(X, min(X + BLOCK, width)):
            image[y, x] = edge[(y - Y) * BLOCK + x - X]


@helper
def write_block3(image: Any, Y: int, X: int, values: Any, edge: Any) -> None:
    """As :func:`write_block` for an image [H, W, 3] and a vector per channel."""
    height, width = image.shape[0], image.shape[1]
    if height >= Y + BLOCK and width >= X + BLOCK:
        store_block3(image, 3 * (Y * width + X), 3 * width, values)
        return
    store3(edge, 0, values)
    for y in range(Y, min(Y + BLOCK, height)):
        for x in range(X, min(X + BLOCK, width)):
            for k in range(3):
                image[y, x, k] = edge[((y - Y) * BLOCK + x - X) * 3 + k]
