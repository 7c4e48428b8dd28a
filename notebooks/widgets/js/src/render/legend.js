// What the colours of a map mean: a strip from the least to the greatest number.
import { h, short } from "../dom.js";

export class Legend {
  #strip = h("canvas", { width: 160, height: 10, "aria-hidden": "true" });
  #low = h("span", { class: "sw-numbers" });
  #high = h("span", { class: "sw-numbers" });
  #meaning = h("span", { class: "sw-faint" });

  constructor() {
    const strip = h("span", { class: "sw-legend sw-render-legend" }, this.#low, this.#strip, this.#high, this.#meaning);
    this.element = h("div", { class: "sw-bar" }, strip, h("span", { class: "sw-space" }));
    this.element.style.visibility = "hidden";
  }

  /** `{ low, high, log, meaning, colors }`, or null for a picture that needs none. */
  show(legend) {
    this.element.style.visibility = legend ? "visible" : "hidden";
    if (!legend) return;
    this.#low.textContent = short(legend.low);
    this.#high.textContent = short(legend.high);
    this.#meaning.textContent = `${legend.meaning}${legend.log ? ", log scale" : ""}`;
    const { width, height } = this.#strip;
    const context = this.#strip.getContext("2d");
    const gradient = context.createLinearGradient(0, 0, width, 0);
    const last = legend.colors.length - 1;
    legend.colors.forEach(([r, g, b], i) => gradient.addColorStop(i / last, `rgb(${r}, ${g}, ${b})`));
    context.fillStyle = gradient;
    context.fillRect(0, 0, width, height);
  }
}
