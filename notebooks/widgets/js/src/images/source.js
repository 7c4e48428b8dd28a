// Pictures by series and view: asked for when they are needed, decoded once, a bounded number kept.
import { bytesOf } from "../dom.js";
import { decode } from "./picture.js";

const MEMORY = 256e6; // bytes of decoded pictures that are kept
const AT_ONCE = 2; // questions to the kernel
const PATIENCE = 4000; // milliseconds until the first picture

export class Source {
  constructor(panel) {
    this.panel = panel;
    this.packed = panel.alone ? panel.get("pictures") : null;
    this.kept = new Map(); // key -> Picture, least recently used first
    this.size = 0;
    this.waiting = new Map(); // key -> { promise, resolve, reject }, asked or to be asked
    this.queue = [];
    this.wanted = new Map(); // user -> keys
    this.asked = 0;
    this.thumbnails = new Map();
    if (!this.packed) this.patience = setTimeout(() => panel.unanswered(), PATIENCE);
    panel.onClose(() => this.#clear());
  }

  /** The views there are: all, or those that the page holds. */
  views() {
    const all = this.panel.get("views").map((_, i) => i);
    return this.packed ? all.filter((i) => `0/${i}` in this.packed) : all;
  }

  /** A picture that is there already, or undefined. */
  now(series, view) {
    const key = `${series}/${view}`;
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found); // the most recent
    }
    return found;
  }

  /** A picture; null where it was no longer wanted when it would have been asked for. */
  picture(series, view) {
    const found = this.now(series, view);
    return found ? Promise.resolve(found) : this.#need(`${series}/${view}`).promise;
  }

  /** Ask, for one user of the source, for nothing but these any more: pairs of series and view. */
  want(pairs, user = "") {
    this.wanted.set(user, pairs.map(([series, view]) => `${series}/${view}`));
    const keys = new Set([...this.wanted.values()].flat());
    for (const key of this.queue.filter((k) => !keys.has(k))) {
      this.waiting.get(key).resolve(null);
      this.waiting.delete(key);
    }
    this.queue = this.queue.filter((key) => keys.has(key));
  }

  /** A small picture as the URL of an image; null where there is none. */
  thumbnail(series, view) {
    const key = `${series}/${view}`;
    if (!this.thumbnails.has(key)) this.thumbnails.set(key, this.#thumbnail(series, view));
    return this.thumbnails.get(key);
  }

  async #thumbnail(series, view) {
    // The large picture says why there is none.
    const answer = await this.panel.ask({ type: "thumbnail", series, view });
    if (!answer || answer.content.error || this.panel.closed) return null;
    const url = URL.createObjectURL(new Blob([bytesOf(answer.buffers[0])], { type: "image/jpeg" }));
    this.panel.onClose(() => URL.revokeObjectURL(url));
    return url;
  }

  #need(key) {
    const there = this.waiting.get(key);
    if (there) return there;
    const need = {};
    need.promise = new Promise((resolve, reject) => Object.assign(need, { resolve, reject }));
    this.waiting.set(key, need);
    this.queue.push(key);
    this.#pump();
    return need;
  }

  #pump() {
    while (this.asked < AT_ONCE && this.queue.length) {
      const key = this.queue.shift();
      const need = this.waiting.get(key);
      this.asked++;
      this.#fetch(key)
        .then((picture) => this.#keep(key, picture))
        .then(need.resolve, need.reject)
        .finally(() => {
          this.waiting.delete(key);
          this.asked--;
          this.#pump();
        });
    }
  }

  /** A picture that the page holds, decoded anew and not kept. */
  async packedPicture(series, view) {
    const packed = this.packed[`${series}/${view}`];
    if (!packed) throw new Error("this page does not hold the picture");
    return decode(packed, packed.data);
  }

  async #fetch(key) {
    const [series, view] = key.split("/").map(Number);
    if (this.packed) return this.packedPicture(series, view);
    const answer = await this.panel.ask({ type: "picture", series, view });
    this.panel.unanswered(!answer);
    if (!answer) throw new Error("the kernel that made this is gone: run the cell again");
    clearTimeout(this.patience);
    const { content, buffers } = answer;
    if (content.error) throw new Error(content.error);
    return decode(content, buffers[0]);
  }

  #keep(key, picture) {
    if (this.panel.closed) return picture;
    this.kept.set(key, picture);
    this.size += picture.bytes;
    for (const [old, { bytes }] of this.kept) {
      if (this.size <= MEMORY || old === key) break;
      this.kept.delete(old);
      this.size -= bytes;
    }
    return picture;
  }

  #clear() {
    clearTimeout(this.patience);
    this.kept.clear();
    this.waiting.clear();
    this.thumbnails.clear();
    this.queue = [];
    this.packed = null;
  }
}
