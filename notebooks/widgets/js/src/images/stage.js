// A canvas of panes that show pictures, zoomed and moved together, down to single pixels.
import { h } from "../dom.js";

const GRID_FROM = 16; // device pixels of a picture's pixel from which a grid is drawn
const LARGEST = 64; // device pixels of a pixel of the reference at most
const BEHIND = "#17191d";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} Sheet a picture in a pane
 * @property {HTMLCanvasElement} canvas
 * @property {[number, number]} [part] of what is seen of it, from left to right; [0, 1] is all
 *
 * @typedef {object} Pane
 * @property {{x: number, y: number, width: number, height: number}} box CSS pixels
 * @property {Sheet[]} sheets drawn one over the other
 */

/**
 * Zoom and place are in relative coordinates, so that pictures with more and with fewer pixels show
 * the same part. `zoom` is the number of device pixels of a pixel of `reference`; null fits it.
 */
export class Stage {
  /**
   * @param {object} options
   * @param {string} options.label for screen readers
   * @param {(width: number) => {height: number, boxes: Pane["box"][]}} options.layout places panes
   * @param {(at: object | null) => void} options.onpoint what the mouse (or, moved by keys, the
   *   middle) is at: `{ pane, u, v }`, u and v from 0 to 1; null where it is at nothing
   * @param {() => void} options.onview called when zoom or place or size changed
   * @param {(point: {x: number, y: number}, pane: number) => ((p: {x: number, y: number}) => void) | null}
   *   [options.grab] takes a press of the mouse over, instead of moving the pictures
   * @param {(at: {pane: number, u: number, v: number}) => void} [options.onclick]
   */
  constructor({ label, layout, onpoint, onview, grab, onclick }) {
    Object.assign(this, { layout, onpoint, onview, grab, onclick });
    this.canvas = h("canvas", { "aria-hidden": true });
    this.overlay = h("div", { class: "sw-over" });
    this.element = h(
      "div",
      { class: "sw-stage sw-pictures", tabindex: 0, role: "application", "aria-label": label },
      this.canvas,
      this.overlay,
    );
    this.panes = [];
    this.reference = { width: 1, height: 1 };
    this.native = false; // every picture at its own number of pixels
    this.u = this.v = 0.5;
    this.zoom = null;
    this.fingers = new Map();
    this.#listen();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
    this.canvas.width = this.canvas.height = 0; // gives the memory back at once
    this.panes = [];
  }

  get ratio() {
    return globalThis.devicePixelRatio || 1;
  }

  /** What is in each pane, in the order of the boxes. `reference` is the size that zoom counts in. */
  show(sheets, reference) {
    this.sheets = sheets;
    if (reference) this.reference = reference;
    this.resize(true);
  }

  /** Place the panes anew. */
  resize(force = false) {
    const width = Math.floor(this.element.clientWidth);
    if (!width || !this.sheets) return;
    const { height, boxes } = this.layout(width);
    if (force || width !== this.width || height !== this.height || this.ratio !== this.drawnAt) {
      Object.assign(this, { width, height, drawnAt: this.ratio });
      this.panes = this.sheets.map((sheets, i) => ({ box: boxes[i], sheets }));
      this.element.style.height = `${height}px`;
      const across = Math.floor(width * this.ratio), down = Math.floor(height * this.ratio);
      if (this.canvas.width !== across) this.canvas.width = across;
      if (this.canvas.height !== down) this.canvas.height = down;
      this.canvas.style.width = `${across / this.ratio}px`;
      this.canvas.style.height = `${down / this.ratio}px`;
    }
    this.#moved();
  }

  /** The zoom that shows all of the reference; whole numbers from 4 on, so that pixels are equal. */
  get fitting() {
    const { box } = this.panes[0];
    const zoom = Math.min(box.width / this.reference.width, box.height / this.reference.height);
    const fit = zoom * this.ratio;
    return fit >= 4 ? Math.min(Math.floor(fit), LARGEST) : fit;
  }

  /** The zoom now. */
  get scale() {
    return this.zoom ?? this.fitting;
  }

  /** Whether all of the reference is seen. */
  get whole() {
    return this.panes.length > 0 && this.scale <= this.fitting;
  }

  fit() {
    this.zoom = null;
    this.u = this.v = 0.5;
    this.#moved();
  }

  /** Zoom so that what is at `point` ({x, y} in CSS pixels, in a pane) stays there. */
  zoomTo(zoom, point = null) {
    if (!this.panes.length) return;
    const fitting = this.fitting;
    const next = Math.min(Math.max(zoom, Math.min(fitting, 1) / 2), Math.max(LARGEST, fitting));
    const at = point && this.at(point);
    const before = at && this.rect(at.pane);
    this.zoom = next;
    if (at) {
      const after = this.rect(at.pane);
      const { box } = this.panes[at.pane];
      const dx = point.x * this.ratio - (box.x + box.width / 2) * this.ratio;
      const dy = point.y * this.ratio - (box.y + box.height / 2) * this.ratio;
      const u = (point.x * this.ratio - before.left) / before.width;
      const v = (point.y * this.ratio - before.top) / before.height;
      this.u = u - dx / after.width;
      this.v = v - dy / after.height;
    }
    this.#moved();
  }

  /** Move the pictures by CSS pixels. */
  pan(dx, dy, pane = 0) {
    if (!this.panes.length) return;
    const { width, height } = this.rect(pane);
    this.u -= (dx * this.ratio) / width;
    this.v -= (dy * this.ratio) / height;
    this.#moved();
  }

  /** Where the picture of a pane lies, in device pixels of the canvas; `pixel` is the size of one. */
  rect(index) {
    const { box, sheets } = this.panes[index];
    const size = sheets[0]?.canvas ?? this.reference;
    const whole = this.native ? size : this.reference;
    const width = whole.width * this.scale, height = whole.height * this.scale;
    const place = (middle, part, extent) => {
      const start = middle * this.ratio - part * extent;
      return Math.round(start); // crisp
    };
    return {
      left: place(box.x + box.width / 2, this.u, width),
      top: place(box.y + box.height / 2, this.v, height),
      width,
      height,
      pixel: width / size.width,
    };
  }

  /** The left and right end of what is seen of a pane's picture, in CSS pixels. */
  seen(index) {
    const { box } = this.panes[index];
    const { left, width } = this.rect(index);
    const from = Math.max(box.x, left / this.ratio);
    const to = Math.min(box.x + box.width, (left + width) / this.ratio);
    return { from, to: Math.max(from, to), top: box.y, height: box.height };
  }

  /** The pane and the place in its picture at a point of the stage; null where there is none. */
  at({ x, y }) {
    const inside = ({ box }) => x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height;
    const pane = this.panes.findIndex(inside);
    if (pane < 0) return null;
    const { left, top, width, height } = this.rect(pane);
    return { pane, u: (x * this.ratio - left) / width, v: (y * this.ratio - top) / height };
  }

  /** Keep the pictures in sight, draw, and tell. */
  #moved() {
    if (!this.panes.length) return;
    if (this.zoom !== null && this.zoom === this.fitting) this.zoom = null;
    const { width, height } = this.rect(0), { box } = this.panes[0];
    const keep = (part, extent, seen) => (extent <= seen && !this.native ? 0.5 : Math.min(1, Math.max(0, part)));
    this.u = keep(this.u, width, Math.ceil(box.width * this.ratio));
    this.v = keep(this.v, height, Math.ceil(box.height * this.ratio));
    this.draw();
    this.onview?.();
    if (this.pointed) this.#point(this.pointed);
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.panes.forEach((pane, i) => this.#drawPane(context, pane, i));
  }

  #drawPane(context, { box, sheets }, index) {
    const r = this.ratio;
    const area = [box.x * r, box.y * r, box.width * r, box.height * r].map(Math.round);
    context.save();
    context.beginPath();
    context.rect(...area);
    context.clip();
    context.fillStyle = BEHIND;
    context.fillRect(...area);
    const rect = this.rect(index);
    for (const { canvas, part = [0, 1] } of sheets) {
      const { from, to } = this.seen(index);
      const [start, end] = part.map((p) => Math.round((from + p * (to - from)) * r));
      const left = part[0] === 0 ? area[0] : start;
      const right = part[1] === 1 ? area[0] + area[2] : end;
      drawPart(context, canvas, rect, [left, area[1], right, area[1] + area[3]]);
    }
    if (rect.pixel >= GRID_FROM && sheets.length) drawGrid(context, sheets[0].canvas, rect, area);
    context.restore();
  }

  #point(point) {
    const at = point && this.at(point);
    const inside = at && at.u >= 0 && at.u < 1 && at.v >= 0 && at.v < 1;
    this.onpoint?.(inside ? at : null);
  }

  #place(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #listen() {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => {
        this.fingers.delete(event.pointerId);
        const at = end === "pointerup" && this.held?.still && this.at(this.held.from);
        if (at) this.onclick?.(at);
        this.held = null;
        element.classList.remove("sw-held");
      });
    }
    element.addEventListener("pointerleave", () => this.#point((this.pointed = null)));
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("dblclick", (event) => {
      if (event.target.closest("button")) return;
      if (this.zoom === null) this.zoomTo(Math.max(1, 2 * this.fitting), this.#place(event));
      else this.fit();
    });
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest("button, input, select")) return;
    const point = this.#place(event);
    this.element.setPointerCapture(event.pointerId);
    if (!this.element.contains(document.activeElement)) this.element.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, point);
    const pane = this.at(point)?.pane ?? -1;
    const grabbed = pane >= 0 && this.fingers.size === 1 && this.grab?.(point, pane);
    if (grabbed) grabbed(point);
    else this.element.classList.add("sw-held");
    this.held = { pane: Math.max(pane, 0), grabbed, from: point, still: true };
  }

  #move(event) {
    const point = this.#place(event);
    const last = this.fingers.get(event.pointerId);
    this.pointed = point;
    if (!last || !this.held) return this.#point(point);
    this.fingers.set(event.pointerId, point);
    const { from } = this.held;
    if (Math.hypot(point.x - from.x, point.y - from.y) > 3) this.held.still = false;
    if (this.held.grabbed) return this.held.grabbed(point);
    if (this.fingers.size === 2) {
      const [other] = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const gap = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      return this.zoomTo(this.scale * (gap(point) / gap(last)), other);
    }
    this.pan(point.x - last.x, point.y - last.y, this.held.pane);
  }

  #wheel(event) {
    // The page scrolls over a stage that nobody has touched.
    const mine = event.ctrlKey || event.metaKey || this.element.contains(document.activeElement);
    if (!mine || !this.panes.length) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoomTo(this.scale * Math.exp(-event.deltaY * lines * 0.002), this.#place(event));
  }

  #key(event) {
    if (event.target !== this.element || event.altKey || event.ctrlKey || event.metaKey) return;
    if (!this.panes.length || !this.pressed(event.key, event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** What a key does: arrows move (with Shift far), + - 0 1 zoom. Returns whether it is one. */
  pressed(key, far = false) {
    const { box } = this.panes[0];
    if (key in KEYS) {
      const [x, y] = KEYS[key];
      const step = far ? 0.5 * Math.min(box.width, box.height) : Math.max(24, this.rect(0).pixel / this.ratio);
      this.pan(-x * step, -y * step);
      this.#middle();
    } else if (key === "+" || key === "=") this.zoomTo(nextZoom(this.scale, 1));
    else if (key === "-") this.zoomTo(nextZoom(this.scale, -1));
    else if (key === "0") this.fit();
    else if (key === "1") this.zoomTo(1);
    else return false;
    return true;
  }

  /** Read the values in the middle: keys have no cursor. */
  #middle() {
    const { box } = this.panes[0];
    this.pointed = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    this.#point(this.pointed);
  }
}

/** The next power of two, up or down. */
function nextZoom(zoom, way) {
  const power = Math.log2(zoom);
  return 2 ** (way > 0 ? Math.floor(power + 1 + 1e-9) : Math.ceil(power - 1 - 1e-9));
}

/** Draw what is seen of a picture between two corners: pixels are squares, smaller ones averages. */
function drawPart(context, canvas, { left, top, width, height }, [x0, y0, x1, y1]) {
  if (x1 <= x0) return;
  const sx = width / canvas.width, sy = height / canvas.height;
  const from = Math.max(0, Math.floor((x0 - left) / sx)), to = Math.min(canvas.width, Math.ceil((x1 - left) / sx));
  const high = Math.max(0, Math.floor((y0 - top) / sy)), low = Math.min(canvas.height, Math.ceil((y1 - top) / sy));
  if (to <= from || low <= high) return;
  context.save();
  context.beginPath();
  context.rect(x0, y0, x1 - x0, y1 - y0);
  context.clip();
  context.imageSmoothingEnabled = sx < 1;
  context.imageSmoothingQuality = "high";
  const part = [from, high, to - from, low - high];
  context.drawImage(canvas, ...part, left + from * sx, top + high * sy, part[2] * sx, part[3] * sy);
  context.restore();
}

function drawGrid(context, canvas, { left, top, width, height, pixel }, [x, y, w, h]) {
  const right = Math.min(x + w, left + width), bottom = Math.min(y + h, top + height);
  const x0 = Math.max(x, left), y0 = Math.max(y, top), sy = height / canvas.height;
  context.fillStyle = "rgba(128, 128, 128, 0.45)";
  for (let i = Math.ceil((x0 - left) / pixel); left + i * pixel <= right && i <= canvas.width; i++) {
    context.fillRect(Math.round(left + i * pixel), y0, 1, bottom - y0);
  }
  for (let i = Math.ceil((y0 - top) / sy); top + i * sy <= bottom && i <= canvas.height; i++) {
    context.fillRect(x0, Math.round(top + i * sy), right - x0, 1);
  }
}
