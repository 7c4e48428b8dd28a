// Splats as the kernel packs them (notebooks/widgets/packing.py), as arrays by name.
import { bytesOf } from "../dom.js";

const SIZES = { float32: 4, float16: 2, int8: 1 };

// The value of each of the 65,536 half floats.
let halves = null;
function halfTable() {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const sign = i & 0x8000 ? -1 : 1;
    const exponent = (i >> 10) & 31;
    const fraction = i & 1023;
    if (exponent === 31) halves[i] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) halves[i] = sign * fraction * 2 ** -24;
    else halves[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return halves;
}

/** N Gaussians, the most visible first; columns are made when they are asked for. */
export class SplatModel {
  constructor(data, layout) {
    this.bytes = bytesOf(data);
    this.layout = new Map(layout.map((entry) => [entry.name, entry]));
    this.count = this.layout.get("means").shape[0];
    const shN = this.layout.get("shN");
    this.coefficients = shN ? shN.shape[1] / 3 : 0;
    this.shBands = { 0: 0, 3: 1, 8: 2, 15: 3 }[this.coefficients];
    this.quantities = [...this.layout.keys()]
      .filter((name) => name.startsWith("value:"))
      .map((name) => name.slice("value:".length));
  }

  /** The stored numbers of an array, without a copy where the alignment allows. */
  raw(name) {
    const { dtype, shape, offset } = this.layout.get(name);
    const length = shape.reduce((a, b) => a * b, 1);
    const start = this.bytes.byteOffset + offset;
    const Kind = { float32: Float32Array, float16: Uint16Array, int8: Int8Array }[dtype];
    if (start % SIZES[dtype] === 0) return new Kind(this.bytes.buffer, start, length);
    return new Kind(this.bytes.slice(offset, offset + length * SIZES[dtype]).buffer);
  }

  /** One column of an array as Float32Array of the first `count` Gaussians. */
  column(name, index = 0, count = this.count) {
    const { dtype, shape } = this.layout.get(name);
    const width = shape.slice(1).reduce((a, b) => a * b, 1);
    const source = this.raw(name);
    const out = new Float32Array(count);
    if (dtype === "float16") {
      const table = halfTable();
      for (let i = 0, j = index; i < count; i++, j += width) out[i] = table[source[j]];
    } else {
      for (let i = 0, j = index; i < count; i++, j += width) out[i] = source[j];
    }
    return out;
  }

  /** A column of the higher SH coefficients: coefficient and colour channel. */
  shColumn(coefficient, channel, count) {
    const source = this.raw("shN");
    const scale = this.column("shN_scale", 0, count);
    const width = this.coefficients * 3;
    const out = new Float32Array(count);
    for (let i = 0, j = coefficient * 3 + channel; i < count; i++, j += width) {
      out[i] = (source[j] / 127) * scale[i];
    }
    return out;
  }

  /** A quantity to colour by: given ones, and those that every model has. */
  quantity(name, count = this.count) {
    if (this.quantities.includes(name)) return this.column(`value:${name}`, 0, count);
    if (name === "opacity") {
      return this.column("opacity_logits", 0, count).map((x) => 1 / (1 + Math.exp(-x)));
    }
    if (name === "scale") {
      const [x, y, z] = [0, 1, 2].map((axis) => this.column("log_scales", axis, count));
      return x.map((value, i) => Math.exp(Math.max(value, y[i], z[i])));
    }
    throw new Error(`no quantity ${name}`);
  }

  /** The points at which half of the Gaussians are nearer: centre and radius, robust to strays. */
  bounds() {
    const axes = [0, 1, 2].map((axis) => this.column("means", axis).sort());
    const at = (values, part) => values[Math.min(values.length - 1, Math.floor(values.length * part))];
    const centre = axes.map((values) => at(values, 0.5));
    const radius = Math.hypot(...axes.map((values) => (at(values, 0.95) - at(values, 0.05)) / 2));
    return { centre, radius: radius || 1 };
  }
}
