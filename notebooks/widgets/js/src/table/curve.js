// A column drawn over another, or over the order of the rows; a line for each group.
import { choice, h } from "../dom.js";
import { formatted, range, ticks } from "./numbers.js";

const COLOURS = ["#3d8fd1", "#e8833a", "#3aa76d", "#b468c8", "#d1495b", "#8a9a2f", "#2aa5a5", "#9c6b4e"];
const EDGE = { left: 56, right: 14, top: 12, bottom: 34 };
const NEAR = 14; // CSS pixels within which a point is hit
const MOST_GROUPS = 40;

export class Curve {
  constructor(panel, table, on) {
    this.panel = panel;
    this.table = table;
    this.on = on;
    this.hovered = -1;
    this.canvas = h("canvas", { "aria-label": "curve", role: "img" });
    this.stage = h("div", {
      class: "sw-plot", tabindex: 0, role: "application", "aria-label": "curve: arrow keys step along it",
      onpointermove: (event) => this.#hover(event), onpointerleave: () => this.#leave(),
      onclick: (event) => this.#click(event), onkeydown: (event) => this.#key(event),
    }, this.canvas);
    this.tip = h("div", { class: "sw-point", hidden: true });
    this.stage.append(this.tip);
    this.legend = h("div", { class: "sw-groups" });
    this.choices = h("div", { class: "sw-bar" });
    this.element = h("div", { class: "sw-curve" }, this.choices, this.stage, this.legend);
    this.#choices();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.stage);
    panel.onClose(() => this.watcher.disconnect());
  }

  #choices() {
    const curve = this.panel.get("curve");
    const numbers = this.table.columns.filter((c) => c.number).map((c) => [c.name, c.name]);
    const texts = this.table.columns.filter((c) => this.#groupable(c)).map((c) => [c.name, c.name]);
    const change = (name) => (value) => {
      this.panel.set({ curve: { ...this.panel.get("curve"), [name]: value } });
    };
    const x = [["", "order of rows"], ...numbers];
    this.choices.replaceChildren(
      h("label", {}, choice("curve of", numbers, curve.y, change("y"))),
      h("label", {}, "over", choice("over", x, curve.x, change("x"))),
      texts.length ? h("label", {}, "lines by", choice("lines by", [["", "—"], ...texts], curve.group, change("group"))) : "",
    );
  }

  #groupable(c) {
    return !c.number || c.whole ? new Set(c.values).size <= MOST_GROUPS : false;
  }

  /** The choices, or the rows shown, have changed. */
  refresh() {
    this.#choices();
    const { table } = this;
    const { y, x, group } = this.panel.get("curve");
    const of = table.column(y);
    const over = table.column(x);
    const by = table.column(group);
    this.y = of;
    this.x = over;
    this.points = []; // row, x, y, group
    this.groups = by ? [...new Set(Array.from({ length: table.count }, (_, i) => String(by.values[i])))] : [""];
    if (of) {
      const places = new Map(); // the order within its own group
      for (const row of table.rows) {
        const name = by ? String(by.values[row]) : "";
        const place = places.get(name) ?? 0;
        places.set(name, place + 1);
        const at = over ? (over.number ? over.values[row] : place) : place;
        if (!Number.isFinite(at) || !Number.isFinite(of.values[row])) continue;
        this.points.push({ row, x: at, y: of.values[row], group: this.groups.indexOf(name) });
      }
    }
    this.at = new Map(this.points.map((p) => [p.row, p]));
    this.#legend();
    this.draw();
  }

  #legend() {
    const shown = this.groups.length > 1 || this.groups[0] !== "";
    const items = this.groups.map((name, i) =>
      h("span", {}, h("i", { style: { background: COLOURS[i % COLOURS.length] } }), name || "(none)"));
    this.legend.replaceChildren(...(shown ? items : []));
  }

  /** Draw all of it: the size, the rows or the theme have changed. */
  draw() {
    const { stage } = this;
    const canvas = (this.base ??= h("canvas")); // all but what is selected
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    if (!width || !height) return;
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    this.size = [width, height, dense];
    const look = getComputedStyle(stage);
    this.ink = look.getPropertyValue("--sw-faint");
    this.line = look.getPropertyValue("--sw-line");
    this.strong = look.getPropertyValue("--sw-ink");
    pen.font = `11px ${look.fontFamily}`;
    if (!this.points?.length) {
      pen.fillStyle = this.ink;
      pen.textAlign = "center";
      pen.fillText("nothing to draw", width / 2, height / 2);
      this.show();
      return;
    }
    this.#scales(width, height);
    this.#axes(pen, width, height);
    this.#lines(pen);
    this.show();
  }

  /** Draw what is selected over the rest. */
  show() {
    if (!this.size) return;
    const [width, height, dense] = this.size;
    this.canvas.width = this.base.width;
    this.canvas.height = this.base.height;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(this.base, 0, 0);
    pen.scale(dense, dense);
    if (this.points?.length) this.#mark(pen, width, height);
  }

  #scales(width, height) {
    const spread = (values) => {
      const [low, high] = range(values, values.keys());
      const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
      return [low - pad, high + pad];
    };
    const xs = this.points.map((p) => p.x);
    const [y0, y1] = spread(this.points.map((p) => p.y));
    let [x0, x1] = range(xs, xs.keys());
    if (x0 === x1) [x0, x1] = [x0 - 0.5, x1 + 0.5];
    const across = width - EDGE.left - EDGE.right;
    const down = height - EDGE.top - EDGE.bottom;
    this.limits = { x0, x1, y0, y1 };
    this.px = (x) => EDGE.left + ((x - x0) / (x1 - x0)) * across;
    this.py = (y) => EDGE.top + (1 - (y - y0) / (y1 - y0)) * down;
  }

  #axes(pen, width, height) {
    const { x0, x1, y0, y1 } = this.limits;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const y of ticks(y0, y1, Math.max(2, height / 48))) {
      const at = Math.round(this.py(y)) + 0.5;
      pen.strokeStyle = this.line;
      pen.beginPath();
      pen.moveTo(EDGE.left, at);
      pen.lineTo(width - EDGE.right, at);
      pen.stroke();
      pen.fillStyle = this.ink;
      pen.fillText(tick(y, y1 - y0), EDGE.left - 6, at);
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const bottom = height - EDGE.bottom;
    const whole = !this.x || this.x.whole || !this.x.number;
    const shown = ticks(x0, x1, Math.max(2, width / 90)).filter((x) => !whole || Number.isInteger(x));
    for (const x of shown) pen.fillText(tick(x, x1 - x0), this.px(x), bottom + 5);
    pen.fillText(this.x?.name ?? "order of rows", (EDGE.left + width - EDGE.right) / 2, height - 14);
  }

  #lines(pen) {
    const many = this.points.length > 600;
    this.groups.forEach((_, g) => {
      const mine = this.points.filter((p) => p.group === g);
      if (this.x?.number) mine.sort((a, b) => a.x - b.x);
      pen.strokeStyle = pen.fillStyle = COLOURS[g % COLOURS.length];
      pen.lineWidth = many ? 1 : 1.5;
      pen.lineJoin = many ? "bevel" : "round";
      pen.beginPath();
      thinned(mine.map((p) => [this.px(p.x), this.py(p.y)])).forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
      if (many) return;
      for (const p of mine) {
        pen.beginPath();
        pen.arc(this.px(p.x), this.py(p.y), 2.6, 0, 2 * Math.PI);
        pen.fill();
      }
    });
  }

  #mark(pen, width, height) {
    const ring = (p, radius, fill) => {
      pen.beginPath();
      pen.arc(this.px(p.x), this.py(p.y), radius, 0, 2 * Math.PI);
      pen.fillStyle = COLOURS[p.group % COLOURS.length];
      if (fill) pen.fill();
      pen.strokeStyle = this.strong;
      pen.lineWidth = 1.6;
      pen.stroke();
    };
    const selected = this.at.get(this.panel.get("index"));
    if (selected) {
      pen.strokeStyle = this.ink;
      pen.lineWidth = 1;
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(this.px(selected.x), EDGE.top);
      pen.lineTo(this.px(selected.x), height - EDGE.bottom);
      pen.stroke();
      pen.setLineDash([]);
      ring(selected, 5.5, true);
    }
    const hovered = this.at.get(this.hovered);
    if (hovered && hovered !== selected) ring(hovered, 4.5, false);
  }

  #nearest(event) {
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    let least = NEAR;
    for (const p of this.points ?? []) {
      const gap = Math.hypot(this.px(p.x) - x, this.py(p.y) - y);
      if (gap < least) [best, least] = [p.row, gap];
    }
    return best;
  }

  #hover(event) {
    const row = this.#nearest(event);
    if (row === this.hovered) return;
    this.hovered = row;
    this.stage.style.cursor = row < 0 ? "default" : "pointer";
    this.tip.hidden = row < 0;
    if (row >= 0) {
      const p = this.at.get(row);
      const named = this.table.columns.filter((c) => !c.number).map((c) => c.values[row]);
      const at = this.x?.number ? `, ${this.x.name} ${formatted(p.x, this.x.format)}` : "";
      this.tip.textContent = `${named.join(" · ")} ${this.y.name} ${formatted(p.y, this.y.format)}${at}`;
      const far = this.px(p.x) > this.stage.clientWidth / 2;
      Object.assign(this.tip.style, {
        left: far ? "" : `${this.px(p.x) + 10}px`,
        right: far ? `${this.stage.clientWidth - this.px(p.x) + 10}px` : "",
        top: `${Math.max(this.py(p.y) - 28, 2)}px`,
      });
    }
    this.show();
  }

  #leave() {
    this.hovered = -1;
    this.tip.hidden = true;
    this.show();
  }

  #click(event) {
    const row = this.#nearest(event);
    if (row >= 0) this.on.select(row);
  }

  /** Step along the line of the selected point. */
  #key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !this.points?.length) return;
    event.preventDefault();
    event.stopPropagation();
    const now = this.at.get(this.panel.get("index"));
    const line = this.points.filter((p) => !now || p.group === now.group);
    if (this.x?.number) line.sort((a, b) => a.x - b.x);
    const at = now ? line.indexOf(now) + by : 0;
    if (line[at]) this.on.select(line[at].row);
  }
}

/** A line from left to right without what cannot be seen: of each half pixel its ends and extremes. */
function thinned(line) {
  const found = [];
  let at = -1;
  let [first, low, high, last] = [null, null, null, null];
  const close = () => {
    if (!first) return;
    const between = low[2] < high[2] ? [low, high] : [high, low];
    for (const p of [first, ...between, last]) if (p !== found.at(-1)) found.push(p);
  };
  line.forEach(([x, y], i) => {
    const p = [x, y, i];
    const column = Math.floor(x * 2);
    if (column !== at) {
      close();
      at = column;
      first = low = high = p;
    }
    if (y < low[1]) low = p;
    if (y > high[1]) high = p;
    last = p;
  });
  close();
  return found;
}

function tick(value, span) {
  const digits = Math.max(0, Math.ceil(-Math.log10(span)) + 1);
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && span < 1e-4)) return value.toExponential(1);
  return String(Number(value.toFixed(Math.min(digits, 8))));
}
