// Gaussians coloured by a number each.
import { bytesOf, h, short } from "../dom.js";

const SPREAD = 100; // from this ratio of high to low on, positive numbers are shown by their logarithm

/** Range and scale of numbers: percentiles 1 and 99, logarithmic where they spread widely. */
function scaleOf(values) {
  const sorted = Float32Array.from(values.filter(Number.isFinite)).sort();
  if (!sorted.length) return { low: 0, high: 1, logarithmic: false };
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  const [low, high] = [at(0.01), at(0.99)];
  return { low, high, logarithmic: low > 0 && high / low >= SPREAD };
}

/** Colours [r, g, b] in 0 to 1 of a quantity, and what explains them. */
export function colouring(model, name, { maps, labels, count }) {
  const values = model.quantity(name, count);
  if (labels.includes(name)) {
    const map = bytesOf(maps.tab20);
    const colours = Array.from(values, (v) => triple(map, ((v % 256) + 256) % 256));
    const seen = [...new Set(model.quantity(name))].sort((a, b) => a - b);
    return { colours, seen, map, name };
  }
  const map = bytesOf(maps.viridis);
  const { low, high, logarithmic } = scaleOf(model.quantity(name));
  const f = logarithmic ? Math.log : (x) => x;
  const [a, b] = [f(low), f(high)];
  const colours = Array.from(values, (v) => {
    const t = b > a ? (f(v) - a) / (b - a) : 0.5;
    return triple(map, Math.round(255 * Math.min(1, Math.max(0, Number.isFinite(t) ? t : 0))));
  });
  return { colours, low, high, logarithmic, map, name };
}

function triple(map, at) {
  return [map[3 * at] / 255, map[3 * at + 1] / 255, map[3 * at + 2] / 255];
}

/** The legend of a colouring. */
export function legend({ name, low, high, logarithmic, map, seen }) {
  if (seen) {
    const shown = seen.slice(0, 12).map((label) => {
      const [r, g, b] = triple(map, label % 256).map((x) => Math.round(x * 255));
      return h("span", { class: "sw-legend" }, h("i", { style: { background: `rgb(${r},${g},${b})`, width: "10px", height: "10px", borderRadius: "2px", display: "inline-block" } }), String(label));
    });
    if (seen.length > 12) shown.push(h("span", { class: "sw-faint", text: `and ${seen.length - 12} more` }));
    return h("span", { class: "sw-legend", role: "img", "aria-label": `labels of ${name}` }, ...shown);
  }
  const bar = h("canvas", { width: 256, height: 1 });
  const context = bar.getContext("2d");
  const pixels = context.createImageData(256, 1);
  for (let i = 0; i < 256; i++) pixels.data.set([map[3 * i], map[3 * i + 1], map[3 * i + 2], 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  const how = logarithmic ? " (logarithmic)" : "";
  return h(
    "span",
    { class: "sw-legend sw-numbers", role: "img", "aria-label": `${name} from ${short(low)} to ${short(high)}${how}` },
    short(low), bar, short(high), logarithmic ? h("span", { class: "sw-faint", text: "log" }) : null,
  );
}
