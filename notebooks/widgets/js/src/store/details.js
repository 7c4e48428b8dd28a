// One artifact: its versions over time, what made the chosen one, and what differs from another.
import { bytesOf, button, choice, h } from "../dom.js";
import { copy } from "../clipboard.js";
import { number, size, span, when } from "./words.js";

export class Details {
  constructor(panel, refresh) {
    this.panel = panel;
    this.refresh = refresh;
    this.kept = new Map(); // by artifact@version: what made it
    this.old = "";
    this.url = null;
    this.element = h("div", { class: "sw-details", style: { maxHeight: `${panel.get("height")}px` } });
    this.facts = h("div");
    this.compared = h("div", { class: "sw-compared", "aria-live": "polite" });
    panel.onClose(() => this.#forgetPicture());
  }

  get artifact() {
    return this.panel.get("artifacts").find((a) => a.key === this.panel.get("artifact"));
  }

  draw() {
    const a = this.artifact;
    if (!a) {
      this.element.replaceChildren(h("p", { class: "sw-faint", text: "no artifact is chosen" }));
      return;
    }
    const tag = a.versions.some((v) => v.tag === this.panel.get("version")) ? this.panel.get("version") : a.version;
    const version = a.versions.find((v) => v.tag === tag);
    if (this.shown !== `${a.key}@${tag}`) {
      this.shown = `${a.key}@${tag}`;
      this.#forgetPicture();
      this.compared.replaceChildren();
    }
    this.element.replaceChildren(
      h("h4", {}, a.key, " ", h("span", { class: `sw-state sw-${a.state}`, text: a.state }),
        a.state === "fresh" ? null : button("refresh…", `show what a refresh of ${a.key} would run`, () => this.refresh([a.key]), { class: "sw-small" })),
      h("p", { class: "sw-faint", text: a.about.split("\n\n")[0] }),
      ...a.reasons.map((text) => h("p", { class: "sw-why", text })),
      ...a.remarks.map((text) => h("p", { class: "sw-faint", text: `${text} (does not make it stale)` })),
      version ? this.#timeline(a, tag) : h("p", { class: "sw-faint", text: "there is no version yet" }),
      version ? this.#code(a, tag) : "",
      version ? this.facts : "",
      a.versions.length > 1 ? this.#comparing(a, tag) : "",
      this.compared,
    );
    if (version) this.#made(a, version);
  }

  #timeline(a, tag) {
    const items = a.versions.map((v) =>
      h("button", {
        type: "button", class: "sw-version", "aria-pressed": v.tag === tag ? "true" : "false", "data-version": v.tag,
        title: `${v.tag}, ${when(v.made)}${v.current ? ", current" : ""}`, onclick: () => this.panel.set({ version: v.tag }),
      }, h("i", { class: `${v.current ? "sw-now" : ""}${v.same ? " sw-same" : ""}` }), h("b", { text: v.tag }), h("span", { text: v.names.join(", ") || (v.current ? "current" : "") })));
    const version = a.versions.find((v) => v.tag === tag);
    const before = a.versions[a.versions.indexOf(version) - 1];
    const words = before && (version.since.length ? version.since : ["made again from the same code, settings and inputs"]);
    return h("div", {}, h("div", { class: "sw-timeline", role: "group", "aria-label": "versions over time" }, ...items),
      before ? h("div", { class: "sw-since" }, h("span", { class: "sw-faint", text: `since ${before.tag}` }), ...words.map((text) => h("p", { text })),
        version.same ? h("p", { text: "the same content" }) : null) : null);
  }

  #code(a, tag) {
    const line = `open_artifact("${a.key}", "${tag}")`;
    const done = button("copy", "copy this line", async () => {
      done.textContent = (await copy(line)) ? "copied" : "not allowed";
      setTimeout(() => (done.textContent = "copy"), 1500);
    }, { class: "sw-small" });
    return h("div", { class: "sw-code" }, h("code", { text: line }), done);
  }

  async #made(a, version) {
    const name = `${a.key}@${version.tag}`;
    const stored = this.panel.get("stored_details")?.[name];
    if (stored) this.kept.set(name, stored);
    const about = { made: `${when(version.made)}, in ${span(version.seconds)}`, size: size(version.bytes) };
    if (!this.kept.has(name)) {
      if (this.showing !== name) this.facts.replaceChildren(facts(about));
      this.showing = name;
      const answer = await this.panel.ask({ type: "details", key: a.key, version: version.tag });
      if (answer === null || answer.content.error) {
        const words = answer?.content.error ?? "what made it is known to the kernel, which has gone: run the cell again";
        if (this.showing === name) this.facts.replaceChildren(facts(about), h("p", { class: "sw-faint", text: words }));
        return;
      }
      this.kept.set(name, answer.content.found);
      if (this.showing !== name) return;
    }
    this.showing = name;
    const found = this.kept.get(name);
    const inputs = Object.fromEntries(found.inputs.map((i) => [i.key, `${i.version} ${i.content.slice(0, 12)}`.trim()]));
    this.facts.replaceChildren(
      facts({ ...about, ...found.facts }),
      ...Object.entries(found.settings).map(([section, values]) => part(`settings [${section}]`, values, true)),
      Object.keys(inputs).length ? part("inputs", inputs, true) : "",
      part("packages", found.packages, false),
      found.files.length ? part("files", Object.fromEntries(found.files.map((f, i) => [String(i + 1), f])), false) : "",
    );
  }

  #comparing(a, tag) {
    const others = a.versions.filter((v) => v.tag !== tag).map((v) => v.tag);
    if (!others.includes(this.old)) this.old = others.at(-1);
    const list = choice("version to compare with", others.map((t) => [t, t]), this.old, (value) => (this.old = value));
    return h("div", { class: "sw-bar" }, h("label", {}, `${tag} against`, list),
      button("diff", `what differs between ${tag} and the other version`, () => this.#compare(a.key, tag)));
  }

  async #compare(key, tag) {
    const order = (t) => this.artifact.versions.findIndex((v) => v.tag === t);
    const [old, young] = [this.old, tag].sort((x, y) => order(x) - order(y));
    this.compared.replaceChildren(h("p", { class: "sw-faint", text: "comparing…" }));
    const answer = await this.panel.ask({ type: "diff", key, old, new: young });
    if (this.shown !== `${key}@${tag}`) return;
    this.#forgetPicture();
    if (answer === null || answer.content.error) {
      const words = answer?.content.error ?? `it takes a kernel to compare; in a terminal: splatworks diff ${key} ${old} ${young}`;
      this.compared.replaceChildren(h("p", { class: "sw-error", text: words }));
      return;
    }
    if (answer.buffers.length) this.url = URL.createObjectURL(new Blob([bytesOf(answer.buffers[0])], { type: "image/png" }));
    this.compared.replaceChildren(...difference(answer.content.found, this.url));
    this.compared.scrollIntoView({ block: "nearest" });
  }

  #forgetPicture() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}

function facts(values) {
  return h("dl", {}, ...Object.entries(values).flatMap(([name, text]) => [h("dt", { text: name }), h("dd", { text })]));
}

function part(title, values, open) {
  return h("details", { open: open || null }, h("summary", { text: title }), facts(values));
}

function rows(headers, lines) {
  return h("table", {}, h("tr", {}, ...headers.map((text) => h("th", { text }))), ...lines.map((cells) => h("tr", {}, ...cells.map((text) => h("td", { text: String(text ?? "") })))));
}

function difference(d, url) {
  const parts = [h("h4", { text: `${d.old} → ${d.new}` })];
  for (const text of d.provenance.length ? d.provenance : ["made from the same code, settings and inputs"]) parts.push(h("p", { text }));
  if (d.same) return [...parts, h("p", { text: "the same content" })];
  parts.push(...d.attributes.map((text) => h("p", { text })));
  if (d.metrics.length) parts.push(rows(["metric", d.old, d.new, "change"], d.metrics.map((m) => [m.name, number(m.old), number(m.new), m.change === null ? "" : (m.change >= 0 ? "+" : "") + number(m.change)])));
  if (d.counts.length) parts.push(rows(["count", d.old, d.new], d.counts.map((c) => [c.name, c.old ?? 0, c.new ?? 0])));
  if (d.variables.length) {
    parts.push(rows(["variable", `mean ${d.old}`, `mean ${d.new}`, "values that differ", "at most by"],
      d.variables.map((v) => [v.name, number(v.old), number(v.new), v.differing === null ? (v.kind === "changed" ? "another shape" : v.kind) : `${v.differing.toLocaleString("en")} of ${v.of.toLocaleString("en")}`, v.largest === null ? "" : number(v.largest)])));
  }
  parts.push(...d.remarks.map((text) => h("p", { class: "sw-faint", text })));
  if (url) parts.push(h("img", { src: url, alt: `pictures of ${d.old} and ${d.new} that differ most` }));
  return parts;
}
