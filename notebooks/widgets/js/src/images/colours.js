// Colour maps, and the legend that says what their ends stand for.
import { bytesOf, h } from "../dom.js";
import { exact } from "./picture.js";

/** Colour maps by name, of the traits `maps` and `tables`: 256 entries of red, green, blue. */
export function colourTables(panel) {
  const all = bytesOf(panel.get("tables"));
  return new Map(panel.get("maps").map((name, i) => [name, all.subarray(768 * i, 768 * (i + 1))]));
}

/**
 * A bar of colours between two numbers that can be changed.
 * `onchange(low, high)` is called with the new ends; `auto` makes them fit what is seen.
 */
export class Legend {
  constructor({ onchange, auto }) {
    this.onchange = onchange;
    this.what = h("span", { class: "sw-faint" });
    this.bar = h("canvas", { width: 256, height: 1, "aria-hidden": true });
    this.low = this.#end("lower end of the colours");
    this.high = this.#end("upper end of the colours");
    const fit = h("button", {
      type: "button", title: "fit the ends to the pictures shown", text: "auto", onclick: auto,
    });
    this.element = h("span", { class: "sw-legend" }, this.what, this.low, this.bar, this.high, fit);
  }

  #end(label) {
    const box = h("input", { type: "number", step: "any", "aria-label": label, title: label });
    box.addEventListener("change", () => {
      const low = Number(this.low.value), high = Number(this.high.value);
      if (low < high && Number.isFinite(high - low)) this.onchange(low, high);
      else this.show(this.shown);
    });
    return box;
  }

  /** Show a range and its colours; `fixed` is whether the lower end follows from the upper one. */
  show(shown) {
    const { what, low, high, table, fixed } = (this.shown = shown);
    this.what.textContent = what;
    this.low.value = text(low);
    this.high.value = text(high);
    this.low.disabled = fixed;
    const context = this.bar.getContext("2d");
    const image = context.createImageData(256, 1);
    for (let i = 0; i < 256; i++) image.data.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(image, 0, 0);
  }
}

function text(value) {
  return exact(Math.fround(Number(value.toPrecision(4))));
}
