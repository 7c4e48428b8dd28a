// The table itself: its columns, which rows are shown, in which order, and which is selected.
import { bytesOf } from "../dom.js";
import { parse } from "./filter.js";

const WORDS = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export class TableModel {
  constructor(panel) {
    this.panel = panel;
    this.count = panel.get("count");
    const bytes = bytesOf(panel.get("data"));
    const numbers = new Float64Array(bytes.slice().buffer);
    const texts = panel.get("texts");
    let at = 0;
    this.columns = panel.get("columns").map((c) => ({
      ...c,
      values: c.number ? numbers.subarray(this.count * at, this.count * ++at) : texts[c.name],
    }));
    this.problem = ""; // what is wrong with the filter
    this.update();
  }

  column(name) {
    return this.columns.find((c) => c.name === name);
  }

  /** Filter and sort anew. */
  update() {
    const filter = this.panel.get("filter");
    let test = () => true;
    this.problem = "";
    try {
      if (filter.trim()) test = parse(filter, this.columns);
    } catch (error) {
      this.problem = error.message;
    }
    this.rows = [];
    for (let row = 0; row < this.count; row++) if (test(row)) this.rows.push(row);
    const [name, direction] = this.panel.get("sort") ?? [];
    const column = this.column(name);
    if (column) this.#sort(column, direction === "down" ? -1 : 1);
    this.place = new Map(this.rows.map((row, i) => [row, i]));
  }

  #sort({ number, values }, sign) {
    this.rows.sort((a, b) => {
      if (!number) return sign * WORDS.compare(values[a], values[b]) || a - b;
      const [x, y] = [values[a], values[b]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b; // last
      return sign * (x - y) || a - b;
    });
  }

  /** A row as JSON has it. */
  row(index) {
    return Object.fromEntries(this.columns.map((c) => {
      const value = c.values[index];
      return [c.name, c.number && !Number.isFinite(value) ? null : value];
    }));
  }

  /** Select a row, here and in the kernel. */
  select(index) {
    const views = this.panel.get("row_views");
    const there = index >= 0 && index < this.count;
    const values = { index: there ? index : -1, selected: there ? { index, row: this.row(index) } : {} };
    if (there && views.length) values.view = views[index];
    this.panel.set(values);
  }

  /** The rows shown, with a line of names, as other programs read them. */
  csv() {
    const quoted = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const cell = (c, row) => {
      const value = c.values[row];
      return c.number ? (Number.isNaN(value) ? "" : String(value)) : quoted(value);
    };
    const lines = [this.columns.map((c) => quoted(c.name)).join(",")];
    for (const row of this.rows) lines.push(this.columns.map((c) => cell(c, row)).join(","));
    return `${lines.join("\n")}\n`;
  }
}
