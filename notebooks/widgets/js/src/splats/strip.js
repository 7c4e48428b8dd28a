// Pictures of the cameras in a row, loaded when they come into sight.
import { bytesOf, h } from "../dom.js";
import { shortNames } from "./names.js";

const WAIT = 60; // milliseconds in which requests are gathered
const AT_ONCE = 16; // pictures of one request

export class Strip {
  constructor(panel, cameras, onPick) {
    this.panel = panel;
    this.urls = new Map();
    this.wanted = new Set();
    const shown = shortNames(cameras.map((camera) => camera.name));
    this.items = cameras.map((camera, i) =>
      h(
        "button",
        { type: "button", class: "sw-thumb", title: camera.name, "aria-label": `camera ${camera.name}`, "data-view": i, tabindex: -1, onclick: () => onPick(i) },
        h("img", { alt: "", draggable: "false" }),
        h("span", { text: shown[i] }),
      ),
    );
    this.element = h("div", { class: "sw-strip", role: "listbox", "aria-label": "cameras" }, ...this.items);
    const stored = panel.get("thumbnails") ?? {};
    for (const [i, data] of Object.entries(stored)) this.#show(Number(i), bytesOf(data));
    this.watcher = new IntersectionObserver((seen) => this.#seen(seen), { root: this.element, rootMargin: "200px" });
    if (panel.get("has_pictures")) for (const item of this.items) this.watcher.observe(item);
    panel.onClose(() => this.#close());
  }

  /** The picture of a camera as a URL; null as long as it is not here. */
  url(index) {
    return this.urls.get(index) ?? null;
  }

  /** Mark the camera that is shown. */
  mark(index) {
    this.items.forEach((item, i) => {
      const on = i === index;
      if (item.hasAttribute("aria-current") === on) return;
      item.toggleAttribute("aria-current", on);
      if (on) this.element.scrollTo({ left: item.offsetLeft - this.element.clientWidth / 2 + 50, behavior: "smooth" });
    });
  }

  /** Ask for a picture now. */
  want(index) {
    if (!this.panel.get("has_pictures") || this.urls.has(index) || this.wanted.has(index)) return;
    this.wanted.add(index);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#fetch(), WAIT);
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) this.want(Number(target.dataset.view));
    }
  }

  async #fetch() {
    const views = [...this.wanted].slice(0, AT_ONCE);
    if (!views.length || this.panel.closed) return;
    const answer = await this.panel.ask({ type: "thumbnails", views });
    views.forEach((view) => this.wanted.delete(view));
    answer?.content.views.forEach((view, k) => this.#show(view, bytesOf(answer.buffers[k])));
    if (this.wanted.size) this.#fetch();
  }

  #show(index, bytes) {
    if (this.closed || this.urls.has(index)) return;
    const url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.urls.set(index, url);
    const picture = this.items[index]?.querySelector("img");
    if (picture) picture.src = url;
  }

  #close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.watcher.disconnect();
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
  }
}
