// The bars of a comparison: what is A and B, how they are shown, their colours, which view.
import { button, choice, h, slider } from "../dom.js";
import { Legend } from "../images/colours.js";
import { Strip } from "./strip.js";

const MODES = [
  ["slider", "Slider", "a line between A and B (s)"],
  ["flicker", "Flicker", "A and B in turn (f; space: once)"],
  ["side", "Side by side", "A beside B"],
  ["difference", "Difference", "where B differs from A (d)"],
  ["all", "All", "all of them at once"],
];
const KEYS = [
  ["a b", "next as A or B"], ["x", "exchange them"], ["n p", "next, previous view"], ["s f d", "slider, flicker, difference"],
  ["space", "the other picture"], ["arrows", "move (on the line: the line)"], ["+ − 0 1", "zoom, fit, one to one"],
];

export class Controls {
  constructor(comparison) {
    this.comparison = comparison;
    const { series } = comparison;
    const options = series.map((name, i) => [i, name]);
    this.a = choice("A", options, 0, (value) => this.#side("a", Number(value)));
    this.b = choice("B", options, 0, (value) => this.#side("b", Number(value)));
    this.modes = MODES.filter(([mode]) => mode !== "all" || series.length > 2).map(([mode, text, what]) =>
      button(text, what, () => comparison.choose({ mode }), { "data-mode": mode }),
    );
    const modes = h("span", { class: "sw-modes", role: "group", "aria-label": "how to compare" }, ...this.modes);
    this.percent = h("span", { class: "sw-numbers sw-faint", style: { minWidth: "48px", textAlign: "right" } });
    const { stage } = comparison;
    const zoom = [
      this.percent,
      button("−", "zoom out (-)", () => stage.pressed("-")),
      button("+", "zoom in (+)", () => stage.pressed("+")),
      button("Fit", "show all (0)", () => stage.fit()),
      button("1:1", "a pixel of the picture is one of the screen (1)", () => stage.zoomTo(1)),
    ];
    const help = button("?", "keys", () => {
      this.keys.hidden = !this.keys.hidden;
      help.setAttribute("aria-expanded", !this.keys.hidden);
    }, { "aria-expanded": "false" });
    const side = (letter, list) => h("label", {}, h("span", { class: "sw-side", text: letter }), list);
    const names = series.length > 2
      ? [side("A", this.a), side("B", this.b)]
      : [button("⇄", "exchange A and B (x)", () => comparison.choose({ a: comparison.state.b, b: comparison.state.a }))];
    const bar = h("div", { class: "sw-bar" }, ...names, modes, h("span", { class: "sw-space" }), h("span", { class: "sw-zoom" }, ...zoom, help));
    this.keys = h("div", { class: "sw-bar sw-keys sw-faint", hidden: true });
    for (const [keys, what] of KEYS) {
      this.keys.append(h("span", {}, ...keys.split(" ").flatMap((k) => [h("kbd", { text: k }), " "]), what));
    }
    this.second = h("div", { class: "sw-bar sw-second" });
    this.#speed();
    this.#colours();
    this.above = [bar, this.keys];
    this.below = [this.second]; // below the pictures, so that they stay where they are
    if (!comparison.bare) this.#views();
  }

  #side(side, value) {
    const { a, b } = this.comparison.state;
    const other = side === "a" ? b : a;
    if (value === other) this.comparison.choose({ a: b, b: a });
    else this.comparison.choose({ [side]: value });
  }

  #speed() {
    const { comparison } = this;
    this.play = button("", "stop, go on (f)", () => comparison.toggleFlicker());
    this.rate = slider("changes per second", { min: 0.5, max: 8, step: 0.5, value: 2 }, (speed) => comparison.choose({ speed }));
    this.rateText = h("span", { class: "sw-numbers sw-faint" });
    this.flicker = h("span", { class: "sw-legend" }, this.play, this.rate, this.rateText);
  }

  #colours() {
    const { comparison } = this;
    this.signed = choice("kind of difference", [["", "|B − A|"], ["signed", "B − A"]], "", (value) => comparison.choose({ signed: Boolean(value) }));
    this.errors = new Legend({
      onchange: (low, high) => comparison.choose({ largest: high }),
      auto: () => comparison.fitColours("difference"),
    });
    this.map = choice("colour map", [...comparison.tables.keys()].map((name) => [name, name]), "viridis_r", (colour_map) => comparison.choose({ colour_map }));
    this.data = new Legend({
      onchange: (low, high) => comparison.choose({ low, high }),
      auto: () => comparison.fitColours("data"),
    });
  }

  #views() {
    const { comparison } = this;
    const { there, views } = comparison;
    if (there.length < 2) {
      if (views.length && !/^1 of 1$/.test(views[there[0]] ?? "")) this.name = h("span", { class: "sw-faint" });
      if (this.name) this.above.push(h("div", { class: "sw-bar" }, this.name));
      return;
    }
    this.back = button("‹", "previous view (p)", () => comparison.step(-1));
    this.next = button("›", "next view (n)", () => comparison.step(1));
    this.view = choice("view", there.map((i) => [i, views[i]]), there[0], (value) => comparison.choose({ view: Number(value) }));
    this.view.classList.add("sw-views");
    this.count = h("span", { class: "sw-faint sw-numbers" });
    this.caption = h("span", { class: "sw-faint sw-numbers" });
    this.below.push(h("div", { class: "sw-bar" }, this.back, this.view, this.next, this.count, this.caption));
    if (there.length > 2) {
      this.strip = new Strip(comparison);
      this.below.push(this.strip.element);
    }
  }

  /** Show the choices of the comparison. */
  update() {
    const { state, series, captions, there, views, tables } = this.comparison;
    this.a.value = state.a;
    this.b.value = state.b;
    for (const mode of this.modes) mode.setAttribute("aria-pressed", String(mode.dataset.mode === state.mode));
    this.play.textContent = this.comparison.paused ? "▶" : "❚❚";
    this.rate.value = state.speed;
    this.rateText.textContent = `${state.speed} per second`;
    const shown = this.comparison.shown ?? [];
    const data = shown.some((p) => p.channels === 1);
    const rows = [];
    if (state.mode === "flicker") rows.push(this.flicker);
    if (state.mode === "difference") {
      const { signed, largest } = state;
      this.signed.value = signed ? "signed" : "";
      const unit = data ? "difference" : "mean over the channels, 0 to 1";
      this.errors.show({ what: unit, low: signed ? -largest : 0, high: largest, table: this.comparison.errorTable, fixed: true });
      rows.push(this.signed, this.errors.element);
    } else if (data) {
      this.map.value = state.colour_map;
      this.data.show({ what: "value", low: state.low, high: state.high, table: tables.get(state.colour_map) });
      rows.push(this.map, this.data.element);
    }
    this.second.replaceChildren(...rows);
    this.second.hidden = !rows.length;
    if (this.name) this.name.textContent = views[state.view] ?? "";
    if (!this.view) return;
    const at = there.indexOf(state.view);
    this.view.value = state.view;
    this.back.disabled = at <= 0;
    this.next.disabled = at === there.length - 1;
    this.count.textContent = `${at + 1} of ${there.length}`;
    const said = [state.a, state.b].map((i) => captions[i]?.[state.view] && `${series[i]} ${captions[i][state.view]}`);
    this.caption.textContent = said.filter(Boolean).join(" · ");
    this.strip?.update(state.view);
  }

  /** Show the zoom of the stage. */
  zoomed(stage) {
    const percent = 100 * stage.scale;
    this.percent.textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  }
}
