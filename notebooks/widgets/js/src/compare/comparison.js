// Two pictures of a view against each other, in a bar, a stage and a line of numbers. It is told what
// to show by `set`, and tells what the user chose by `onchoice`.
import { h } from "../dom.js";
import { difference, apart, measureText, quantile, valueRange } from "../images/measure.js";
import { colourCanvas, context2d, dataCanvas, exact, spelled } from "../images/picture.js";
import { Stage } from "../images/stage.js";
import { Controls } from "./controls.js";

const HIGHEST = 560; // CSS pixels of the stage
const GAP = 6;
const PATIENCE = 3000; // milliseconds until it says that it waits for the kernel
const GRABBED = 14; // CSS pixels around the line that hold it

/** Choices that all comparisons start with; positions count in `series` and `views`. */
export const START = {
  a: 0, b: 1, view: 0, mode: "slider", line: 0.5, signed: false, largest: 0.1,
  low: 0, high: 1, colour_map: "viridis_r", speed: 2,
};

export class Comparison {
  /**
   * @param {object} options
   * @param {string[]} options.series names of what is compared
   * @param {string[]} options.views names of the views
   * @param {number[]} options.there the views that can be shown
   * @param {string[][]} options.captions by series and view
   * @param {boolean[]} options.slow by series: nothing is asked ahead
   * @param {import("../images/source.js").Source} options.source
   * @param {Map<string, Uint8Array>} options.tables colour maps
   * @param {[string, string]} options.errorMaps of absolute and of signed differences
   * @param {boolean} [options.bare] without a choice of views
   * @param {(view: number) => Promise<Element | null>} [options.small] a thumbnail of a view
   * @param {(choice: object) => void} options.onchoice
   * @param {(canvas: HTMLCanvasElement) => void} [options.onshown]
   */
  constructor(options) {
    Object.assign(this, options);
    this.state = { ...START, ...options.state };
    this.turn = 0; // of flicker: 0 shows A
    this.paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.painted = new WeakMap();
    this.measured = new WeakMap();
    this.stage = new Stage({
      label: "pictures: arrows move, + and - zoom, 0 fits, 1 is one to one",
      layout: (width) => this.#layout(width),
      onpoint: (at) => this.#read(at),
      onview: () => this.#placed(),
      grab: (point, pane) => this.#grab(point, pane),
    });
    this.line = h("div", {
      class: "sw-line", tabindex: 0, role: "slider", "aria-label": "line between A and B",
      "aria-valuemin": 0, "aria-valuemax": 100, onkeydown: (event) => this.#moveLine(event),
    });
    this.waiting = h("div", { class: "sw-note", role: "status" });
    this.reading = h("span", { class: "sw-read sw-numbers", "aria-live": "polite" });
    this.numbers = h("span", { class: "sw-numbers sw-measure" });
    this.controls = new Controls(this);
    const foot = h("div", { class: "sw-bar" }, this.reading, this.numbers);
    this.element = h("div", { class: "sw-compare" }, ...this.controls.above, this.stage.element, foot, ...this.controls.below);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.refresh();
  }

  close() {
    this.closed = true;
    clearTimeout(this.patience);
    clearInterval(this.clock);
    this.stage.close();
  }

  /** Show something else. */
  set(changes) {
    const news = Object.entries(changes).filter(([key, value]) => this.state[key] !== value);
    if (!news.length) return;
    const only = (...keys) => news.every(([key]) => keys.includes(key));
    Object.assign(this.state, Object.fromEntries(news));
    if (only("line")) this.#redraw();
    else this.refresh();
  }

  /** What the user chose: shown, and told. */
  choose(changes) {
    if ("mode" in changes) this.turn = 0;
    this.set(changes);
    this.onchoice(changes);
  }

  /** Show the view that many places on. */
  step(by) {
    const at = this.there.indexOf(this.state.view);
    const next = this.there[Math.min(Math.max(at + by, 0), this.there.length - 1)];
    if (next !== undefined) this.choose({ view: next });
  }

  /** Make another series A (or B). */
  cycle(side) {
    const count = this.series.length, other = side === "a" ? "b" : "a";
    let next = (this.state[side] + 1) % count;
    if (next === this.state[other] && count > 2) next = (next + 1) % count;
    if (next === this.state[other]) this.choose({ a: this.state.b, b: this.state.a });
    else this.choose({ [side]: next });
  }

  /** Fit the ends of the colours of differences, or of data, to what is shown. */
  fitColours(what) {
    const [a, b] = this.pair ?? [];
    if (!a || !b) return;
    if (what === "data") {
      const [low, high] = valueRange(this.shown.filter((p) => p?.channels === 1));
      this.choose({ low, high });
    } else if (!apart(a, b)) {
      const largest = quantile(difference(a, b, this.state.signed).values, 0.99);
      this.choose({ largest: largest || this.state.largest });
    }
  }

  /** The positions of the series that the mode shows. */
  get sides() {
    const { a, b, mode } = this.state;
    return mode === "all" ? this.series.map((_, i) => i) : [a, b];
  }

  async refresh() {
    const { view } = this.state;
    const task = (this.task = {});
    const sides = this.sides;
    const pairs = sides.map((series) => [series, view]);
    const ahead = this.#ahead();
    this.controls.update();
    this.#flicker();
    this.source.want([...pairs, ...ahead]);
    const needed = pairs.map(([series, v]) => this.source.picture(series, v));
    this.#wait(task, sides);
    try {
      const pictures = await Promise.all(needed);
      if (task !== this.task || this.closed || pictures.includes(null)) return;
      this.shown = pictures;
      this.pair = this.state.mode === "all" ? [this.state.a, this.state.b].map((i) => pictures[i]) : pictures;
      this.problem = "";
      this.#redraw();
      this.controls.update();
      for (const [series, v] of ahead) this.source.picture(series, v).catch(() => {});
    } catch (error) {
      if (task !== this.task || this.closed) return;
      this.#clear();
      this.problem = error.message;
      this.waiting.textContent = this.problem;
    } finally {
      if (task === this.task) clearTimeout(this.patience);
    }
  }

  /** The next and the last view, where pictures are quick to have. */
  #ahead() {
    const at = this.there.indexOf(this.state.view);
    const views = [this.there[at + 1], this.there[at - 1]].filter((v) => v !== undefined);
    const quick = this.sides.filter((i) => !this.slow[i]);
    return this.state.mode === "all" ? [] : views.flatMap((v) => quick.map((i) => [i, v]));
  }

  /** Until the pictures come: nothing that could be taken for them. */
  #wait(task, sides) {
    clearTimeout(this.patience);
    if (sides.every((i) => this.source.now(i, this.state.view))) return;
    this.waiting.textContent = "loading…";
    const blank = () => {
      if (task === this.task) this.#clear();
      this.patience = setTimeout(() => {
        if (task === this.task) this.waiting.textContent = "waiting for the kernel: it is busy, or was restarted (then run the cell again)";
      }, PATIENCE);
    };
    this.patience = setTimeout(blank, 150);
  }

  #clear() {
    this.pair = this.shown = null;
    delete this.element.dataset.shown;
    this.numbers.textContent = "";
    this.stage.show(this.#panes().map(() => []));
  }

  /** What each pane shows: names of pictures, `d` is their difference. */
  #panes() {
    const { mode } = this.state;
    if (mode === "side") return ["a", "b"];
    if (mode === "all") return this.series.map((_, i) => i);
    return [mode === "difference" ? "d" : mode];
  }

  #redraw() {
    if (!this.shown) return;
    const [a, b] = this.pair, { line, mode } = this.state;
    const sheet = (picture, part) => ({ canvas: this.#paint(picture), part });
    let sheets;
    if (mode === "slider") sheets = [[sheet(a, [0, line]), sheet(b, [line, 1])]];
    else if (mode === "flicker") sheets = [[sheet(this.turn ? b : a)]];
    else if (mode === "difference") sheets = [this.#differenceSheets()];
    else sheets = this.shown.map((picture) => [sheet(picture)]);
    const widest = this.shown.reduce((x, y) => (y.width > x.width ? y : x));
    this.stage.show(sheets, { width: widest.width, height: widest.height });
    this.waiting.textContent = this.#note();
    this.numbers.textContent = this.#measure(a, b);
    Object.assign(this.element.dataset, { mode, shown: `${this.state.a} ${this.state.b} ${this.state.view}` });
  }

  #note() {
    const { a, b, mode } = this.state;
    if (mode === "flicker") return this.turn ? `B ${this.series[b]}` : `A ${this.series[a]}`;
    return mode === "difference" ? apart(...this.pair) : "";
  }

  #measure(a, b) {
    let found = this.measured.get(a);
    if (!found) this.measured.set(a, (found = new WeakMap()));
    if (!found.has(b)) found.set(b, measureText(a, b));
    return found.get(b);
  }

  /** A canvas of a picture in the colours of now. */
  #paint(picture) {
    if (picture.channels === 3) {
      if (!this.painted.has(picture)) this.painted.set(picture, colourCanvas(picture));
      return this.painted.get(picture);
    }
    const { low, high, colour_map } = this.state, key = `${low} ${high} ${colour_map}`;
    const found = this.painted.get(picture);
    if (found?.key === key) return found.canvas;
    const canvas = dataCanvas(picture, { low, high, table: this.tables.get(colour_map) });
    this.painted.set(picture, { key, canvas });
    return canvas;
  }

  #differenceSheets() {
    const [a, b] = this.pair, { signed, largest } = this.state;
    if (apart(a, b)) return [];
    const last = this.last;
    const same = last && last.a === a && last.b === b && last.signed === signed;
    const gaps = same ? last.gaps : difference(a, b, signed);
    if (!same || last.largest !== largest) {
      const colours = { low: signed ? -largest : 0, high: largest, table: this.errorTable };
      this.last = { a, b, signed, largest, gaps, canvas: dataCanvas(gaps, colours) };
    }
    return [{ canvas: this.last.canvas }];
  }

  /** A small canvas of a picture. */
  thumbnail(picture) {
    const by = Math.min(1, 96 / Math.max(picture.width, picture.height));
    const context = context2d(Math.ceil(picture.width * by), Math.ceil(picture.height * by));
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#paint(picture), 0, 0, context.canvas.width, context.canvas.height);
    return context.canvas;
  }

  get errorTable() {
    return this.tables.get(this.errorMaps[this.state.signed ? 1 : 0]);
  }

  #layout(width) {
    const count = this.#panes().length, { width: w, height: h } = this.stage.reference;
    const columns = count <= 2 ? count : Math.min(count, w > 1.6 * h ? 3 : 4, Math.ceil(Math.sqrt(count * 1.6)));
    const rows = Math.ceil(count / columns);
    const across = Math.floor((width - GAP * (columns - 1)) / columns);
    const most = rows > 1 ? HIGHEST / 1.6 : HIGHEST;
    const down = Math.max(140, Math.round(Math.min(most, (across * h) / w)));
    const boxes = Array.from({ length: count }, (_, i) => ({
      x: (i % columns) * (across + GAP), y: Math.floor(i / columns) * (down + GAP), width: across, height: down,
    }));
    return { height: rows * down + (rows - 1) * GAP, boxes };
  }

  /** Names, line and notes where the panes now are. */
  #placed() {
    const { a, b, mode, line } = this.state;
    const { overlay, panes } = this.stage;
    const tag = (text, { x, y, width }, right = false) =>
      h("div", {
        class: "sw-tag", text,
        style: { left: right ? "auto" : `${x + 6}px`, right: right ? `${this.stage.width - x - width + 6}px` : "auto", top: `${y + 6}px`, maxWidth: `${width / 2 - 12}px` },
      });
    const full = (side, name) => `${side}  ${name}`;
    const tags = [];
    if (mode === "slider") tags.push(tag(full("A", this.series[a]), panes[0].box), tag(full("B", this.series[b]), panes[0].box, true));
    if (mode === "side") tags.push(tag(full("A", this.series[a]), panes[0].box), tag(full("B", this.series[b]), panes[1].box));
    if (mode === "all") panes.forEach(({ box }, i) => tags.push(tag(`${i === a ? "A  " : i === b ? "B  " : ""}${this.series[i]}`, box)));
    if (mode === "slider" && this.shown) {
      const { from, to, top, height } = this.stage.seen(0);
      const style = { left: `${from + line * (to - from)}px`, top: `${top}px`, height: `${height}px` };
      Object.assign(this.line.style, style);
      this.line.setAttribute("aria-valuenow", Math.round(100 * line));
      tags.push(this.line);
    }
    if (this.line.parentElement !== overlay || !tags.includes(this.line)) overlay.replaceChildren(...tags, this.waiting);
    else {
      // The line stays in the document, so that it keeps the focus while it moves.
      for (const child of [...overlay.children]) if (child !== this.line) child.remove();
      overlay.append(...tags.filter((t) => t !== this.line), this.waiting);
    }
    this.controls.zoomed(this.stage);
    if (this.shown && mode !== "flicker") this.onshown?.(this.stage.canvas);
  }

  #grab({ x }, pane) {
    if (this.state.mode !== "slider" || !this.shown) return null;
    const { from, to } = this.stage.seen(pane);
    const near = Math.abs(x - (from + this.state.line * (to - from))) <= GRABBED;
    if (!near && !this.stage.whole) return null;
    return (point) => {
      const seen = this.stage.seen(pane);
      this.choose({ line: Math.min(1, Math.max(0, (point.x - seen.from) / (seen.to - seen.from))) });
    };
  }

  #moveLine(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, Home: -1000, End: 1000 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const line = Math.round(100 * this.state.line + step * (event.shiftKey ? 10 : 1)) / 100;
    this.choose({ line: Math.min(1, Math.max(0, line)) });
  }

  /** The values under the cursor. */
  #read(at) {
    if (!at || !this.shown) return this.reading.replaceChildren();
    const { a, b, mode } = this.state;
    const names = mode === "all" ? this.series : [`A ${this.series[a]}`, `B ${this.series[b]}`];
    const place = (p) => [Math.floor(at.u * p.width), Math.floor(at.v * p.height)];
    const parts = this.shown.map((p, i) => {
      const [x, y] = place(p);
      const size = p.width === this.stage.reference.width ? "" : ` (at ${x}, ${y})`;
      return h("span", {}, h("span", { class: "sw-faint", text: `${names[i]} ` }), `${spelled(p, x, y)}${size}`);
    });
    const [x, y] = [Math.floor(at.u * this.stage.reference.width), Math.floor(at.v * this.stage.reference.height)];
    const gap = this.#gap(x, y);
    if (gap !== null) parts.push(h("span", {}, h("span", { class: "sw-faint", text: this.state.signed ? "B − A " : "|B − A| " }), gap));
    this.reading.replaceChildren(h("span", { class: "sw-faint", text: `x ${x}, y ${y}` }), ...parts);
  }

  #gap(x, y) {
    const [a, b] = this.pair;
    if (apart(a, b)) return null;
    const pixel = (p) => ({ ...p, width: 1, height: 1, values: p.values.subarray((y * p.width + x) * p.stride) });
    const value = difference(pixel(a), pixel(b), this.state.signed).values[0];
    return Number.isNaN(value) ? "no value" : a.channels === 1 ? exact(value) : value.toFixed(4);
  }

  #flicker() {
    clearInterval(this.clock);
    if (this.state.mode !== "flicker" || this.paused) return;
    this.clock = setInterval(() => this.flip(), 1000 / this.state.speed);
  }

  /** Show the other of the two. */
  flip() {
    this.turn = 1 - this.turn;
    this.#redraw();
  }

  /** Flicker, or stop it. */
  toggleFlicker() {
    if (this.state.mode === "flicker") this.paused = !this.paused;
    else this.paused = false;
    if (this.state.mode !== "flicker") return this.choose({ mode: "flicker" });
    this.#flicker();
    this.controls.update();
  }

  #key(event) {
    if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const keys = {
      a: () => this.cycle("a"), b: () => this.cycle("b"), n: () => this.step(1), p: () => this.step(-1),
      f: () => this.toggleFlicker(), s: () => this.choose({ mode: "slider" }),
      d: () => this.choose({ mode: "difference" }), x: () => this.choose({ a: this.state.b, b: this.state.a }),
    };
    if (key === " " && !event.target.closest("button")) {
      this.paused = true;
      if (this.state.mode === "flicker") {
        this.#flicker();
        this.flip();
      } else this.choose({ mode: "flicker" });
      this.controls.update();
    } else if (key in keys) keys[key]();
    else if (event.target === this.stage.element || event.target.closest("button") || !this.stage.panes.length) return;
    else if (!this.stage.pressed(key, event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
