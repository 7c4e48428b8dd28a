// Numbers as the kernel packs them: half floats, deflated, in units of a power of two.

/** The number of a half float's 16 bits (IEEE 754 binary16). */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A map of numbers; `at(x, y)` of a pixel. */
export async function unpack(bytes, unit, width, height) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const view = new DataView(await new Response(stream).arrayBuffer());
  if (view.byteLength !== 2 * width * height) throw new Error("the numbers of the picture came incomplete");
  return {
    width,
    height,
    at: (x, y) => halfToNumber(view.getUint16(2 * (y * width + x), true)) * unit,
  };
}
