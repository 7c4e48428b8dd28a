// The rows in sight, out of any number: a tall empty box scrolls, and the rows that can be seen lie in it.
import { h } from "../dom.js";
import { formatted, range } from "./numbers.js";

const MARGIN = 6; // rows drawn above and below those in sight
const BODY = 26; // CSS pixels of a row
const WITH_PICTURE = 44;
const LETTER = 7.2; // CSS pixels, about
const WIDEST = 260;

export class Grid {
  /** @param on what happens: sort(name), select(row), move(by), clear() */
  constructor(panel, table, pictures, on) {
    this.panel = panel;
    this.table = table;
    this.pictures = pictures;
    this.on = on;
    this.rowHeight = pictures ? WITH_PICTURE : BODY;
    this.id = `sw-${Math.random().toString(36).slice(2, 8)}`;
    this.live = new Map(); // by row: its element
    this.images = new Map(); // by row: its image
    this.#ranges();
    this.#build();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.element);
    panel.onClose(() => this.watcher.disconnect());
  }

  /** What a bar of each column stands for: from 0, or from the least where all are far from 0. */
  #ranges() {
    const all = Array.from({ length: this.table.count }, (_, i) => i);
    this.bars = new Map();
    for (const c of this.table.columns) {
      const found = c.number ? range(c.values, all) : null;
      if (!found || found[0] === found[1]) continue;
      let [low, high] = found;
      if (low >= 0 && low <= 0.5 * high) low = 0;
      else if (low > 0) low -= 0.06 * (high - low);
      if (high < 0) high += 0.06 * (high - low);
      this.bars.set(c.name, [low, high]);
    }
  }

  #build() {
    const { table, panel } = this;
    const widths = table.columns.map((c) => this.#width(c));
    if (this.pictures) widths.unshift(66);
    this.template = widths.map((w) => `minmax(${w}px, ${w}fr)`).join(" ");
    this.least = widths.reduce((a, b) => a + b, 0);
    this.headers = table.columns.map((c, i) =>
      h("div", { role: "columnheader", "aria-colindex": i + 1, class: c.number ? "sw-right" : null },
        h("button", { type: "button", title: `sort by ${c.name}`, onclick: () => this.on.sort(c.name) }, h("span", { text: c.name }), h("i", { "aria-hidden": "true" }))),
    );
    const style = { gridTemplateColumns: this.template, minWidth: `${this.least}px` };
    this.head = h("div", { class: "sw-row sw-head", role: "row", style }, this.pictures ? h("div", { role: "columnheader", "aria-label": "picture" }) : null, ...this.headers);
    this.space = h("div", { class: "sw-space-y", role: "rowgroup", style: { minWidth: `${this.least}px` } });
    this.means = h("div", { class: "sw-row sw-foot", role: "row", style });
    this.element = h("div", {
      class: "sw-grid", role: "grid", tabindex: 0, "aria-label": panel.get("alt"), "aria-colcount": table.columns.length,
      style: { height: `${panel.get("height")}px` },
      onscroll: () => this.draw(), onkeydown: (event) => this.#key(event),
    }, this.head, this.space, this.means);
  }

  #width(c) {
    let longest = c.name.length + 2;
    const step = Math.max(1, Math.floor(this.table.count / 200));
    for (let row = 0; row < this.table.count; row += step) {
      longest = Math.max(longest, (c.number ? formatted(c.values[row], c.format) : c.values[row]).length);
    }
    return Math.min(Math.max(longest * LETTER + 20, 64), WIDEST);
  }

  /** The table was filtered or sorted anew. */
  refresh() {
    const { table, panel } = this;
    const [name, direction] = panel.get("sort") ?? [];
    table.columns.forEach((c, i) => {
      const sorted = c.name === name;
      this.headers[i].setAttribute("aria-sort", sorted ? (direction === "down" ? "descending" : "ascending") : "none");
      this.headers[i].querySelector("i").textContent = sorted ? (direction === "down" ? "▼" : "▲") : "";
    });
    this.element.setAttribute("aria-rowcount", table.rows.length + 1);
    this.space.style.height = `${table.rows.length * this.rowHeight}px`;
    this.space.replaceChildren();
    this.live.clear();
    this.images.clear();
    this.#means();
    this.draw();
  }

  #means() {
    const { rows, columns } = this.table;
    let named = false;
    const cells = columns.map((c) => {
      if (!c.number) {
        const text = named ? "" : "mean";
        named = true;
        return h("div", { role: "gridcell", text, title: `mean of the ${rows.length.toLocaleString("en")} rows shown` });
      }
      let sum = 0;
      let n = 0;
      for (const row of rows) {
        if (!Number.isFinite(c.values[row])) continue;
        sum += c.values[row];
        n++;
      }
      const format = c.format === "d" ? ".1f" : c.format;
      return h("div", { role: "gridcell", class: "sw-right", text: n && c.name !== "view" ? formatted(sum / n, format) : "" });
    });
    this.means.replaceChildren(...(this.pictures ? [h("div")] : []), ...cells);
  }

  /** Put the rows in sight there, and take away the others. */
  draw() {
    const { table, element, rowHeight } = this;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - MARGIN);
    const seen = Math.ceil(element.clientHeight / rowHeight) + 2 * MARGIN;
    const rows = new Set(table.rows.slice(first, first + seen));
    for (const [row, shown] of this.live) {
      if (rows.has(row)) continue;
      shown.remove();
      this.live.delete(row);
      this.images.delete(row);
    }
    const made = [];
    let place = first;
    for (const row of rows) {
      if (!this.live.has(row)) made.push(this.#row(row, place));
      place++;
    }
    this.space.append(...made);
    this.pictures?.only(rows);
    this.mark();
  }

  #row(row, place) {
    const cells = this.table.columns.map((c) => this.#cell(c, row));
    if (this.pictures) {
      const image = h("img", { alt: "", draggable: "false", src: this.pictures.url(row) });
      this.images.set(row, image);
      cells.unshift(h("div", { role: "gridcell", class: "sw-picture" }, image));
    }
    const shown = h("div", {
      class: `sw-row${place % 2 ? " sw-odd" : ""}`, role: "row", id: `${this.id}-${row}`, "aria-rowindex": place + 2, "data-row": row,
      style: { gridTemplateColumns: this.template, height: `${this.rowHeight}px`, top: `${place * this.rowHeight}px` },
      onclick: () => this.on.select(row),
    }, ...cells);
    this.live.set(row, shown);
    return shown;
  }

  #cell(c, row) {
    const value = c.values[row];
    if (!c.number) return h("div", { role: "gridcell", title: value, text: value });
    const bar = this.bars.get(c.name);
    const cell = h("div", { role: "gridcell", class: "sw-right sw-numbers", title: Number.isNaN(value) ? null : String(value) }, h("span", { text: formatted(value, c.format) }));
    if (bar && Number.isFinite(value)) {
      const at = (x) => ((Math.min(Math.max(x, bar[0]), bar[1]) - bar[0]) / (bar[1] - bar[0])) * 100;
      const [a, b] = [at(Math.min(0, value)), at(Math.max(0, value))];
      const left = bar[0] >= 0 ? 0 : a;
      cell.prepend(h("i", { class: "sw-cell-bar", style: { left: `${left}%`, width: `${b - left}%` } }));
    }
    return cell;
  }

  /** A picture has come. */
  picture(row, url) {
    const image = this.images.get(row);
    if (image) image.src = url;
  }

  /** Mark the selected row. */
  mark() {
    const index = this.panel.get("index");
    for (const [row, shown] of this.live) shown.setAttribute("aria-selected", row === index ? "true" : "false");
    if (this.live.has(index)) this.element.setAttribute("aria-activedescendant", `${this.id}-${index}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Scroll so that the selected row is in sight. */
  reveal() {
    const place = this.table.place.get(this.panel.get("index"));
    if (place === undefined) return;
    const { element, rowHeight } = this;
    const above = this.head.offsetHeight;
    const room = element.clientHeight - above - this.means.offsetHeight;
    const top = place * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + room) element.scrollTop = top + rowHeight - room;
    this.draw();
  }

  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 3);
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.on.move(moves[event.key]);
    else if (event.key === "Escape") this.on.select(-1);
    else if (event.key === "/") this.on.find();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
