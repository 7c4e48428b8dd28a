// Small pictures of rows, asked for when they come into sight; some hundred are kept.
import { bytesOf } from "../dom.js";

const WAIT = 60; // milliseconds in which requests are gathered
const AT_ONCE = 16; // pictures of one request
const KEPT = 400;

export class RowPictures {
  constructor(panel, onPicture) {
    this.panel = panel;
    this.onPicture = onPicture;
    this.urls = new Map(); // by row, the last used last
    this.asked = new Set();
    this.wanted = new Set();
    this.stored = panel.get("thumbnails") ?? {};
    panel.onClose(() => this.#close());
  }

  /** The picture of a row as a URL; asked for where it is not here yet. */
  url(row) {
    const url = this.urls.get(row);
    if (url) {
      this.urls.delete(row);
      this.urls.set(row, url);
      return url;
    }
    if (row in this.stored) return this.#keep(row, bytesOf(this.stored[row]));
    this.wanted.add(row);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#fetch(), WAIT);
    return null;
  }

  /** These rows alone are in sight: others that were wanted are not any more. */
  only(rows) {
    for (const row of this.wanted) if (!rows.has(row)) this.wanted.delete(row);
  }

  async #fetch() {
    const rows = [...this.wanted].filter((row) => !this.asked.has(row)).slice(0, AT_ONCE);
    if (!rows.length || this.panel.closed) return;
    rows.forEach((row) => this.asked.add(row));
    const answer = await this.panel.ask({ type: "thumbnails", rows });
    rows.forEach((row) => {
      this.asked.delete(row);
      this.wanted.delete(row);
    });
    if (!answer || this.panel.closed) return;
    answer.content.rows.forEach((row, k) => this.onPicture(row, this.#keep(row, bytesOf(answer.buffers[k]))));
    this.#fetch();
  }

  #keep(row, bytes) {
    const url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.urls.set(row, url);
    if (this.urls.size > KEPT) {
      const [oldest, old] = this.urls.entries().next().value;
      this.urls.delete(oldest);
      URL.revokeObjectURL(old);
    }
    return url;
  }

  #close() {
    clearTimeout(this.timer);
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
    this.urls.clear();
  }
}
