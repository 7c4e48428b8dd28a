// Numbers in the formats that Python has for them, and the ticks of an axis.

const FORMAT = /^(,?)(?:\.(\d+))?([fegd%]?)$/;

/** A number in a format like ".3f", ",d" or ".1%"; empty for what is none. */
export function formatted(value, format) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "" : String(value).replace("Infinity", "∞");
  const [, comma, digits, kind] = FORMAT.exec(format) ?? [, "", undefined, "g"];
  const n = digits === undefined ? 6 : Number(digits);
  let text;
  if (kind === "d") text = Math.round(value).toFixed(0);
  else if (kind === "f") text = value.toFixed(n);
  else if (kind === "%") text = (value * 100).toFixed(n);
  else if (kind === "e") text = exponent(value.toExponential(n));
  else text = general(value, Math.max(n, 1));
  if (comma) text = text.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  return kind === "%" ? `${text}%` : text;
}

function exponent(text) {
  return text.replace(/e([+-])(\d)$/, "e$10$2"); // Python writes two digits
}

function general(value, n) {
  if (value === 0) return "0";
  const power = Number(value.toExponential(n - 1).split("e")[1]);
  if (power < -4 || power >= n) return exponent(value.toExponential(n - 1).replace(/\.?0+e/, "e"));
  const text = value.toFixed(Math.max(n - 1 - power, 0));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Round numbers between low and high, about so many. */
export function ticks(low, high, about) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((s) => s * power >= rough) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

/** The least and the largest finite value of some rows of a column; null where there is none. */
export function range(values, rows) {
  let low = Infinity;
  let high = -Infinity;
  for (const row of rows) {
    const value = values[row];
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}
