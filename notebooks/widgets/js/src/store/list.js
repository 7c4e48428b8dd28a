// Artifacts by topic: state and why, version, age, size, time.
import { button, h } from "../dom.js";
import { age, size, span } from "./words.js";

const DOTS = 8; // versions drawn beside each

export class ArtifactList {
  constructor(panel, on) {
    this.panel = panel;
    this.on = on;
    this.rows = new Map();
    this.element = h("div", {
      class: "sw-artifacts", role: "listbox", tabindex: 0, "aria-label": panel.get("alt"), style: { maxHeight: `${panel.get("height")}px` },
      onkeydown: (event) => this.#key(event),
    });
  }

  draw(artifacts) {
    this.rows.clear();
    const parts = [];
    for (const topic of new Set(artifacts.map((a) => a.topic))) {
      const mine = artifacts.filter((a) => a.topic === topic);
      const selection = `${mine[0].scene}/${topic}`;
      parts.push(h("div", { class: "sw-topic", role: "presentation" }, h("span", { text: topic }),
        mine.every((a) => a.state === "fresh") ? null : button("refresh…", `show what a refresh of ${selection} would run`, () => this.on.refresh([selection]), { class: "sw-small" })));
      for (const artifact of mine) parts.push(this.#row(artifact));
    }
    const { scrollTop } = this.element;
    this.element.replaceChildren(...parts);
    this.element.scrollTop = scrollTop;
    this.mark();
  }

  #row(a) {
    const dots = a.versions.slice(-DOTS).map((v) => h("i", { class: v.current ? "sw-now" : "", title: v.tag }));
    const more = a.versions.length > DOTS ? `${a.versions.length - DOTS}+ ` : "";
    const id = `sw-artifact-${a.key.replaceAll("/", "-")}`;
    const reasons = a.version ? a.reasons : a.reasons.filter((text) => text !== "never made"); // it is missing
    const row = h("div", { class: "sw-artifact", role: "option", id, "data-key": a.key, onclick: () => this.on.choose(a.key) },
      h("span", { class: "sw-name", text: a.name, title: a.about }),
      h("span", { class: `sw-state sw-${a.busy ? "busy" : a.state}`, text: a.busy ? "in work" : a.state, title: a.busy }),
      h("span", { class: "sw-dots" }, more, ...dots, h("span", { text: a.version })),
      h("span", { class: "sw-faint", "data-made": a.made || null, text: age(a.made) }),
      h("span", { class: "sw-faint sw-right", text: a.bytes === null ? "" : size(a.bytes), title: "size of its values" }),
      h("span", { class: "sw-faint sw-right", text: span(a.seconds), title: "time it took" }),
      a.busy ? h("span", { class: "sw-why", text: a.busy }) : null,
      ...reasons.slice(0, 3).map((text) => h("span", { class: "sw-why", text, title: text })),
      reasons.length > 3 ? h("span", { class: "sw-why", text: `and ${reasons.length - 3} more` }) : null,
    );
    this.rows.set(a.key, row);
    return row;
  }

  /** Mark the chosen one. */
  mark() {
    const chosen = this.panel.get("artifact");
    for (const [key, row] of this.rows) row.setAttribute("aria-selected", key === chosen ? "true" : "false");
    const row = this.rows.get(chosen);
    if (!row) return;
    this.element.setAttribute("aria-activedescendant", row.id);
    const [top, bottom] = [row.offsetTop, row.offsetTop + row.offsetHeight];
    if (top < this.element.scrollTop) this.element.scrollTop = top - 24;
    else if (bottom > this.element.scrollTop + this.element.clientHeight) this.element.scrollTop = bottom - this.element.clientHeight;
  }

  #key(event) {
    const keys = [...this.rows.keys()];
    const now = keys.indexOf(this.panel.get("artifact"));
    const to = { ArrowUp: now - 1, ArrowDown: now + 1, Home: 0, End: keys.length - 1 }[event.key];
    if (to === undefined || event.target !== this.element) return;
    event.preventDefault();
    event.stopPropagation();
    if (keys[to]) this.on.choose(keys[to]);
  }
}
