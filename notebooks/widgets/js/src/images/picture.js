// A decoded picture: the exact values that came, and a canvas that shows them.
import { bytesOf, h } from "../dom.js";

/**
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {1 | 3} channels 1 is data, shown by a colour map; 3 are colours
 * @property {boolean} whole whether values are 0 to 255, as the bytes were; floats stand for themselves
 * @property {number} stride values per pixel in `values`
 * @property {Uint8ClampedArray | Float32Array} values
 * @property {number} shrunk this is a copy at 1/shrunk of the size
 * @property {number} bytes memory it takes
 */

/** A picture from what came over the wire. @returns {Promise<Picture>} */
export async function decode(about, data) {
  const { width, height, channels } = about;
  const common = { width, height, channels, shrunk: about.shrunk ?? 1 };
  const bytes = bytesOf(data);
  if (about.format === "png") {
    const blob = new Blob([bytes], { type: "image/png" });
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(blob, options);
    const context = context2d(width, height, true);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const values = context.getImageData(0, 0, width, height).data;
    return { ...common, whole: true, stride: 4, values, bytes: values.byteLength };
  }
  const values = about.format === "f16" ? fromHalf(bytes) : new Float32Array(bytes.slice().buffer);
  return { ...common, whole: false, stride: channels, values, bytes: values.byteLength };
}

/** A 2D context of a fresh canvas. */
export function context2d(width, height, read = false) {
  return h("canvas", { width, height }).getContext("2d", { willReadFrequently: read });
}

function fromHalf(bytes) {
  const halves = new Uint16Array(bytes.slice().buffer);
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) values[i] = sign * fraction * 2 ** -24;
    else if (exponent === 31) values[i] = fraction ? NaN : sign * Infinity;
    else values[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return values;
}

/** The values of a pixel, as many as there are channels. */
export function valuesAt(picture, x, y) {
  const at = (y * picture.width + x) * picture.stride;
  return Array.from(picture.values.subarray(at, at + picture.channels));
}

/** Exactly what a pixel holds, in words: `12, 0, 255`, or the shortest decimals of its floats. */
export function spelled(picture, x, y) {
  return valuesAt(picture, x, y).map(picture.whole ? String : exact).join(", ");
}

/** The shortest decimal number that is this float32. */
export function exact(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "no value" : value > 0 ? "∞" : "−∞";
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

/** A canvas of a picture of colours; floats are cut to 0 to 1. */
export function colourCanvas(picture) {
  const context = context2d(picture.width, picture.height);
  let pixels = picture.values;
  if (!picture.whole) {
    pixels = new Uint8ClampedArray(picture.width * picture.height * 4);
    for (let i = 0, k = 0; k < pixels.length; k += 4) {
      for (let c = 0; c < 3; c++) {
        const value = picture.values[i++];
        pixels[k + c] = Number.isNaN(value) ? 0 : Math.round(value * 255); // clamped
      }
      pixels[k + 3] = 255;
    }
  }
  context.putImageData(new ImageData(pixels, picture.width, picture.height), 0, 0);
  return context.canvas;
}

/** A canvas of data [height * width] (every `stride`-th value) in a colour map; NaN is clear. */
export function dataCanvas({ width, height, values, stride = 1 }, { low, high, table }) {
  const context = context2d(width, height);
  const image = context.createImageData(width, height);
  const pixels = image.data;
  for (let i = 0, k = 0; k < pixels.length; i += stride, k += 4) {
    const part = (values[i] - low) / (high - low);
    if (!Number.isFinite(part)) continue;
    const entry = 3 * Math.min(255, Math.max(0, Math.floor(part * 256)));
    pixels[k] = table[entry];
    pixels[k + 1] = table[entry + 1];
    pixels[k + 2] = table[entry + 2];
    pixels[k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return context.canvas;
}
