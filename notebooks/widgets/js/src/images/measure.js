// What two pictures of one size differ in.

/** Why two pictures have no difference; empty where they have one. */
export function apart(a, b) {
  if (a.channels !== b.channels) return "no difference: one is data, the other colours";
  if (a.width === b.width && a.height === b.height) return "";
  return `no difference: ${a.width} × ${a.height} and ${b.width} × ${b.height} pixels`;
}

/** What the values of a picture are divided by: colours count from 0 to 1. */
function unit(picture) {
  return picture.channels === 3 && picture.whole ? 255 : 1;
}

/**
 * b - a of every pixel, [height * width]: the mean over the channels of it, or of its absolute value.
 */
export function difference(a, b, signed) {
  const values = new Float32Array(a.width * a.height);
  const ua = unit(a), ub = unit(b), { channels } = a;
  for (let i = 0, p = 0, q = 0; i < values.length; i++, p += a.stride, q += b.stride) {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      const gap = Math.fround(b.values[q + c] / ub) - Math.fround(a.values[p + c] / ua);
      sum += signed ? gap : Math.abs(gap);
    }
    values[i] = sum / channels;
  }
  return { width: a.width, height: a.height, values, stride: 1 };
}

/**
 * Mean absolute and root mean square difference over all values that both have, and of colours the
 * PSNR for a peak of 1 (floats are cut to 0 to 1, as they are shown).
 */
export function measure(a, b) {
  const ua = unit(a), ub = unit(b), colours = a.channels === 3;
  const value = (raw, by) => (colours ? Math.min(1, Math.max(0, raw / by)) : raw / by);
  let total = 0, squares = 0, count = 0;
  for (let i = 0, p = 0, q = 0; i < a.width * a.height; i++, p += a.stride, q += b.stride) {
    for (let c = 0; c < a.channels; c++) {
      const gap = value(b.values[q + c], ub) - value(a.values[p + c], ua);
      if (!Number.isFinite(gap)) continue;
      total += Math.abs(gap);
      squares += gap * gap;
      count++;
    }
  }
  const mse = squares / count;
  const psnr = colours ? -10 * Math.log10(mse) : null;
  return { mean: total / count, rms: Math.sqrt(mse), psnr, count };
}

/** The measures as a line; it says what they are of. */
export function measureText(a, b) {
  const why = apart(a, b);
  if (why) return why;
  const { mean, rms, psnr, count } = measure(a, b);
  if (!count) return "no pixel has a value in both";
  const of = a.shrunk > 1 ? ` (copies at 1/${a.shrunk} size)` : "";
  if (psnr === null) return `mean |B − A| ${digits(mean)} · RMS ${digits(rms)}${of}`;
  const ratio = psnr === Infinity ? "equal" : `PSNR ${psnr.toFixed(2)} dB`;
  return `${ratio} · mean |B − A| ${mean.toFixed(4)}${of}`;
}

function digits(value) {
  return String(Number(value.toPrecision(4)));
}

/** A number that a part (0 to 1) of the finite absolute values stay below. */
export function quantile(values, part) {
  const known = Array.from(values.filter(Number.isFinite), Math.abs).sort((x, y) => x - y);
  return known.length ? known[Math.round(part * (known.length - 1))] : 0;
}

/** The lowest and highest values of most of some pictures of data. */
export function valueRange(pictures) {
  let known = [];
  for (const p of pictures) {
    const step = Math.max(1, Math.floor((p.width * p.height) / 50000)) * p.stride;
    for (let i = 0; i < p.values.length; i += step) if (Number.isFinite(p.values[i])) known.push(p.values[i]);
  }
  known = known.sort((x, y) => x - y);
  if (!known.length) return [0, 1];
  const low = known[Math.round(0.01 * (known.length - 1))];
  const high = known[Math.round(0.99 * (known.length - 1))];
  return high > low ? [low, high] : [low, low + Math.max(Math.abs(low), 1) * 1e-3];
}
