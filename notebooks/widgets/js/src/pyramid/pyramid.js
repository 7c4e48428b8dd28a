// Scales in rows, methods in columns: one stage for all of them, and one scale large below it.
import css from "../images/images.css";
import { button, choice, h } from "../dom.js";
import { Comparison } from "../compare/comparison.js";
import { colourTables } from "../images/colours.js";
import { apart, measure } from "../images/measure.js";
import { colourCanvas, dataCanvas, spelled } from "../images/picture.js";
import { Source } from "../images/source.js";
import { Stage } from "../images/stage.js";
import own from "./pyramid.css";

const SIDE = 62, HEAD = 22, FOOT = 20, GAP = 4; // CSS pixels
const NARROW = 92; // below that, a picture has room for one number
const SHARED = ["view", "native", "picked", "a", "b", "mode", "line", "signed", "largest"];
const CHOICES = ["mode", "line", "signed", "largest"]; // of the large comparison
const PATIENCE = 3000;

class Pyramid {
  constructor(panel) {
    this.panel = panel;
    for (const name of ["scales", "methods", "cells", "numbers", "truth", "views", "low", "high"]) this[name] = panel.get(name);
    this.tables = colourTables(panel);
    this.table = this.tables.get(panel.get("colour_map"));
    this.source = new Source(panel);
    this.there = this.source.views();
    this.state = Object.fromEntries(SHARED.map((name) => [name, panel.get(name)]));
    if (!this.there.includes(this.state.view)) this.state.view = this.there[0];
    this.stage = new Stage({
      label: "all pictures: arrows move, + and - zoom, 0 fits; click one to see it large",
      layout: (width) => this.#layout(width),
      onpoint: (at) => this.#read(at),
      onview: () => this.#placed(),
      onclick: (at) => this.#clicked(at),
    });
    this.stage.element.classList.add("sw-grid");
    this.large = h("div", { class: "sw-large" });
    this.reading = h("span", { class: "sw-read sw-numbers", "aria-live": "polite" });
    this.status = h("span", { class: "sw-faint", role: "status" });
    this.element = h("div", {}, this.#bar(), this.stage.element, h("div", { class: "sw-bar" }, this.reading), this.#words(), this.large);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.load();
    this.pick();
  }

  close() {
    this.closed = true;
    clearTimeout(this.patience);
    clearTimeout(this.telling);
    this.stage.close();
    this.comparison?.close();
  }

  #bar() {
    const { stage } = this;
    this.percent = h("span", { class: "sw-numbers sw-faint", style: { minWidth: "48px", textAlign: "right" } });
    this.same = button("One size", "every picture as large as the others", () => this.choose({ native: false }));
    this.own = button("Own pixels", "every picture at its own number of pixels", () => this.choose({ native: true }));
    const views = this.there.length > 1
      ? [
          button("‹", "previous view (p)", () => this.step(-1)),
          (this.view = choice("view", this.there.map((i) => [i, this.views[i]]), this.state.view, (v) => this.choose({ view: Number(v) }))),
          button("›", "next view (n)", () => this.step(1)),
        ]
      : [h("span", { text: this.views[this.there[0]] ?? "" })];
    return h(
      "div", { class: "sw-bar" }, ...views,
      h("span", { class: "sw-modes", role: "group", "aria-label": "sizes" }, this.same, this.own), this.status,
      h("span", { class: "sw-space" }), h("span", { class: "sw-zoom" }, this.percent,
        button("−", "zoom out (-)", () => stage.pressed("-")),
        button("+", "zoom in (+)", () => stage.pressed("+")),
        button("Fit", "show all (0)", () => stage.fit()),
      ),
    );
  }

  /** What the numbers are, and what one must know of them. */
  #words() {
    const lines = [];
    const truth = this.methods[this.truth];
    if (truth) lines.push(`dB below a picture: its PSNR against ${truth}; the highest of a scale is bold.`);
    if (this.panel.get("about_numbers")) lines.push(`In brackets (where it is narrow, when you point at it): ${this.panel.get("about_numbers")}.`);
    lines.push(...this.panel.get("notes"), "Click a picture or a scale to see it large.");
    return h("div", { class: "sw-faint sw-words" }, ...lines.map((text) => h("div", { text })));
  }

  /** Show something else. */
  set(changes) {
    const news = Object.entries(changes).filter(([key, value]) => this.state[key] !== value);
    if (!news.length) return;
    Object.assign(this.state, Object.fromEntries(news));
    const changed = (...keys) => news.some(([key]) => keys.includes(key));
    if (changed("view")) {
      this.load();
      this.comparison?.set({ view: this.state.view });
    }
    if (changed("native")) this.#sizes();
    if (changed("picked", "a", "b")) this.pick();
    else this.comparison?.set(Object.fromEntries(CHOICES.map((name) => [name, this.state[name]])));
  }

  choose(changes) {
    this.set(changes);
    Object.assign((this.untold ??= {}), changes);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      const values = this.untold;
      this.untold = null;
      this.panel.set(values);
    }, 150);
  }

  step(by) {
    const at = this.there.indexOf(this.state.view) + by;
    if (at >= 0 && at < this.there.length) this.choose({ view: this.there[at] });
  }

  /** Get the pictures of the view; each is shown when it comes. */
  async load() {
    const { view } = this.state;
    const task = (this.task = {});
    if (this.view) this.view.value = view;
    const wanted = this.cells.flat().filter((i) => i >= 0);
    this.source.want(wanted.map((i) => [i, view]), "grid");
    this.pictures = new Map();
    this.images = new Map();
    clearTimeout(this.patience);
    this.status.textContent = "";
    this.patience = setTimeout(() => (this.status.textContent = "waiting for the kernel: it is busy, or was restarted (then run the cell again)"), PATIENCE);
    this.#draw();
    const come = wanted.map(async (i) => {
      const picture = await this.source.picture(i, view);
      if (!picture || task !== this.task || this.closed) return;
      this.pictures.set(i, picture);
      this.images.set(i, picture.channels === 3 ? colourCanvas(picture) : dataCanvas(picture, this));
      this.#soon();
    });
    const failed = (await Promise.allSettled(come)).filter((one) => one.status === "rejected");
    if (task !== this.task || this.closed) return;
    clearTimeout(this.patience);
    this.status.textContent = failed.length ? failed[0].reason.message : "";
    this.#draw();
    this.element.dataset.shown = view;
  }

  #soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.closed) this.#draw();
    });
  }

  #draw() {
    const sheets = this.cells.flat().map((i) => (this.images.has(i) ? [{ canvas: this.images.get(i) }] : []));
    const widest = [...this.pictures.values()].reduce((a, b) => (b && (!a || b.width > a.width) ? b : a), null);
    this.scored = this.#scores();
    this.stage.native = this.state.native;
    this.stage.show(sheets, widest ? { width: widest.width, height: widest.height } : undefined);
    this.#pressed();
  }

  /** PSNR of each picture against the truth of its scale, by row and column. */
  #scores() {
    this.known ??= new WeakMap();
    return this.cells.map((row) => {
      const truth = this.pictures.get(row[this.truth]);
      return row.map((index, column) => {
        const picture = this.pictures.get(index);
        if (!truth || !picture || column === this.truth || apart(truth, picture)) return null;
        if (!this.known.has(picture)) this.known.set(picture, measure(truth, picture).psnr);
        return this.known.get(picture);
      });
    });
  }

  #sizes() {
    this.stage.native = this.state.native;
    if (this.state.native) this.stage.zoomTo(1);
    else this.stage.fit();
    this.#pressed();
  }

  #pressed() {
    this.same.setAttribute("aria-pressed", String(!this.state.native));
    this.own.setAttribute("aria-pressed", String(this.state.native));
  }

  #layout(width) {
    const { width: w, height: high } = this.stage.reference;
    const columns = this.methods.length, rows = this.scales.length;
    const across = Math.max(24, Math.floor((width - SIDE - GAP * (columns - 1)) / columns));
    const down = Math.max(24, Math.round(Math.min((across * high) / w, 260)));
    const boxes = [];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        boxes.push({ x: SIDE + column * (across + GAP), y: HEAD + row * (down + FOOT), width: across, height: down });
      }
    }
    return { height: HEAD + rows * (down + FOOT), boxes };
  }

  /** Names and numbers where the panes now are. */
  #placed() {
    const { panes, overlay, scale } = this.stage;
    const columns = this.methods.length;
    const place = (x, y, width, height) => ({ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
    const parts = this.methods.map((name, column) => {
      const { x, width } = panes[column].box;
      return h("div", { class: "sw-head", text: name, title: name, style: place(x, 0, width, HEAD) });
    });
    this.scales.forEach((name, row) => {
      const { y, height } = panes[row * columns].box;
      const pressed = String(this.state.picked === row);
      const label = button(name.replace("_", "/").replace("x", "×"), `see ${name} large`, () => this.#pickScale(row), { class: "sw-scale", "aria-pressed": pressed });
      Object.assign(label.style, place(0, y + height / 2 - 13, SIDE - 8, 26));
      parts.push(label);
      const best = Math.max(...this.scored[row].filter((v) => v !== null));
      this.methods.forEach((method, column) => {
        const { x, y: top, width, height: high } = panes[row * columns + column].box;
        const numbers = this.#caption(row, column);
        if (!numbers.length) return;
        const all = numbers.join(" ");
        const text = width < NARROW ? numbers[0] : all; // the rest is in the title
        const style = place(x, top + high, width, FOOT);
        const strong = this.scored[row][column] === best ? " sw-best" : "";
        parts.push(h("div", { class: `sw-score sw-numbers${strong}`, text, title: `${name} ${method}: ${all}`, style }));
      });
    });
    const { picked, a, b } = this.state;
    if (picked >= 0) {
      for (const [letter, column] of [["A", a], ["B", b]]) {
        const { x, y } = panes[picked * columns + column].box;
        parts.push(h("div", { class: "sw-tag", text: letter, style: { left: `${x + 3}px`, top: `${y + 3}px` } }));
      }
    }
    const focused = [...overlay.children].indexOf(document.activeElement);
    overlay.replaceChildren(...parts);
    if (focused >= 0) overlay.children[focused]?.focus({ preventScroll: true });
    this.percent.textContent = `${scale < 0.1 ? (100 * scale).toFixed(1) : Math.round(100 * scale)} %`;
    if (this.pictures.size) this.panel.changed(this.stage.canvas);
  }

  #caption(row, column) {
    if (this.cells[row][column] < 0) return [];
    const psnr = this.scored[row][column], stored = this.numbers[row][column];
    const parts = [];
    if (psnr !== null) parts.push(psnr === Infinity ? "equal" : psnr.toFixed(2));
    if (stored !== null) parts.push(`(${stored.toFixed(2)})`);
    return parts;
  }

  #clicked({ pane }) {
    const row = Math.floor(pane / this.methods.length), column = pane % this.methods.length;
    if (this.cells[row][column] < 0) return;
    const have = this.#have(row);
    const other = column === this.truth ? have.find((i) => i !== column) : this.#truthOf(row, column);
    if (other === undefined) return;
    const [a, b] = column === this.truth ? [column, other] : [other, column];
    this.choose({ picked: row, a, b });
  }

  #pickScale(row) {
    if (row === this.state.picked) return this.choose({ picked: -1 });
    const have = this.#have(row);
    if (have.length < 2) return;
    const { a, b } = this.state;
    if (a !== b && have.includes(a) && have.includes(b)) return this.choose({ picked: row });
    const score = (i) => this.scored[row][i] ?? -Infinity;
    const best = have.filter((i) => i !== this.truth).reduce((x, y) => (score(y) > score(x) ? y : x));
    this.choose({ picked: row, a: this.#truthOf(row, best), b: best });
  }

  /** The methods that a scale has pictures of. */
  #have(row) {
    return this.methods.map((_, i) => i).filter((i) => this.cells[row][i] >= 0);
  }

  /** What a method is compared with at a scale: the truth, else the first other. */
  #truthOf(row, column) {
    const have = this.#have(row);
    return have.includes(this.truth) ? this.truth : have.find((i) => i !== column);
  }

  /** Show the picked scale large. */
  pick() {
    const { picked, a, b } = this.state;
    if (this.shownScale !== picked) {
      this.comparison?.close();
      this.comparison = null;
      this.large.replaceChildren();
      this.source.want([], "large");
      this.shownScale = picked;
    }
    if (picked >= 0) {
      const have = this.#have(picked);
      const place = { a: have.indexOf(a), b: have.indexOf(b) };
      if (this.comparison) this.comparison.set(place);
      else if (place.a >= 0 && place.b >= 0) this.#compare(picked, have, place);
    }
    if (this.stage.panes.length) this.#placed();
  }

  #compare(row, have, place) {
    const index = have.map((column) => this.cells[row][column]);
    const { source } = this;
    const choices = Object.fromEntries(CHOICES.map((name) => [name, this.state[name]]));
    const { low, high } = this;
    this.comparison = new Comparison({
      series: have.map((column) => this.methods[column]),
      views: this.views, there: this.there, captions: [], slow: have.map(() => true), bare: true,
      source: {
        now: (i, view) => source.now(index[i], view),
        picture: (i, view) => source.picture(index[i], view),
        want: (pairs) => source.want(pairs.map(([i, view]) => [index[i], view]), "large"),
      },
      tables: this.tables, errorMaps: this.panel.get("error_maps"),
      state: { ...choices, ...place, view: this.state.view, low, high, colour_map: this.panel.get("colour_map") },
      onchoice: (choice) => {
        const mine = Object.fromEntries(CHOICES.filter((name) => name in choice).map((name) => [name, choice[name]]));
        for (const side of ["a", "b"]) if (side in choice) mine[side] = have[choice[side]];
        if ("view" in choice) mine.view = choice.view;
        if (Object.keys(mine).length) this.choose(mine);
      },
    });
    const title = h("span", { class: "sw-side", text: `${this.scales[row].replace("_", "/").replace("x", "×")} large` });
    const away = button("close", "back to all scales", () => this.choose({ picked: -1 }));
    this.large.append(h("div", { class: "sw-bar" }, title, h("span", { class: "sw-space" }), away), this.comparison.element);
  }

  /** The values of one scale, or of the pane, under the cursor. */
  #read(at) {
    if (!at) return this.reading.replaceChildren();
    const row = Math.floor(at.pane / this.methods.length);
    const parts = this.cells[row].map((index, column) => {
      const picture = this.pictures.get(index);
      if (!picture) return null;
      const x = Math.floor(at.u * picture.width), y = Math.floor(at.v * picture.height);
      this.place = `${this.scales[row].replace("_", "/").replace("x", "×")}  x ${x}, y ${y}`;
      return h("span", {}, h("span", { class: "sw-faint", text: `${this.methods[column]} ` }), spelled(picture, x, y));
    });
    this.reading.replaceChildren(h("span", { class: "sw-faint", text: this.place ?? "" }), ...parts.filter(Boolean));
  }

  #key(event) {
    if (event.target.closest("input, select, .sw-large") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { n: 1, p: -1 }[event.key];
    if (step) this.step(step);
    else if (event.key === "Escape" && this.state.picked >= 0) this.choose({ picked: -1 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Show a pyramid in a panel. */
export function showPyramid(panel) {
  panel.style("images", css);
  panel.style("pyramid", own);
  panel.root.setAttribute("data-lm-suppress-shortcuts", "true");
  const shown = new Pyramid(panel);
  for (const name of SHARED) {
    panel.listen(`change:${name}`, () => (shown.untold && name in shown.untold) || shown.set({ [name]: panel.get(name) }));
  }
  panel.root.append(shown.element);
  if (panel.alone && panel.get("page_note")) panel.root.append(h("div", { class: "sw-faint", text: panel.get("page_note") }));
  return () => shown.close();
}
