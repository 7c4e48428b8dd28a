// Small pictures of all views, asked for when they come into sight.
import { h } from "../dom.js";

export class Strip {
  constructor(comparison) {
    this.comparison = comparison;
    this.element = h("div", { class: "sw-strip", role: "listbox", "aria-label": "views", "aria-orientation": "horizontal" });
    this.items = new Map();
    for (const view of comparison.there) {
      const name = comparison.views[view];
      const item = h("button", {
        type: "button", role: "option", title: name, "aria-label": name, tabindex: -1,
        onclick: () => comparison.choose({ view }),
      });
      item.dataset.view = view;
      this.items.set(view, item);
      this.element.append(item);
    }
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.observer = new IntersectionObserver((entries) => this.#seen(entries), { root: this.element, rootMargin: "0px 200px" });
    for (const item of this.items.values()) this.observer.observe(item);
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.observer.unobserve(target);
      this.#fill(target);
    }
  }

  async #fill(item) {
    const { comparison } = this;
    const view = Number(item.dataset.view);
    const image = await comparison.small(view);
    if (image && !comparison.closed) item.replaceChildren(image);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.comparison.step(step);
    this.items.get(this.comparison.state.view)?.focus();
  }

  update(view) {
    for (const [key, item] of this.items) {
      item.setAttribute("aria-selected", String(key === view));
      item.tabIndex = key === view ? 0 : -1;
    }
    const { offsetLeft, offsetWidth } = this.items.get(view) ?? this.element;
    const { scrollLeft, clientWidth } = this.element;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth) {
      this.element.scrollLeft = offsetLeft - (clientWidth - offsetWidth) / 2;
    }
  }
}
