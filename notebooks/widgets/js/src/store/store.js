// The store: a list of artifacts, what made the chosen one, and a refresh to begin and to watch.
import { button, choice, h } from "../dom.js";
import { pictureOf } from "../painting.js";
import { ArtifactList } from "./list.js";
import { Details } from "./details.js";
import { Refreshing } from "./refreshing.js";
import css from "./store.css";
import { age } from "./words.js";

const AGES = 20_000; // milliseconds between two counts of ages

export function showStore(panel) {
  panel.style("store", css);
  const scenes = [...new Set(panel.get("artifacts").map((a) => a.scene))];
  let scene = scenes.length > 1 ? (panel.get("artifact").split("/")[0] || scenes[0]) : (scenes[0] ?? "");
  const refreshing = new Refreshing(panel);
  const list = new ArtifactList(panel, { choose, refresh: (selection) => refreshing.plan(selection) });
  const details = new Details(panel, (selection) => refreshing.plan(selection));
  const counts = h("span", { class: "sw-counts", role: "status" });
  const looked = h("span", { class: "sw-faint" });
  const place = h("span");
  const bar = h("div", { class: "sw-bar" }, place, counts, h("span", { class: "sw-space" }), looked,
    button("look again", "look at the store now; it also looks by itself", () => panel.ask({ type: "look" }).then(say)),
    button("refresh…", "show what a refresh of this scene would run", () => refreshing.plan(scene ? [scene] : []), { class: "sw-do" }));
  const broken = h("div");
  panel.root.append(bar, broken, refreshing.element, h("div", { class: "sw-store" }, list.element, details.element));

  function choose(key) {
    if (panel.get("artifact") !== key) panel.set({ artifact: key, version: "" });
  }

  function say(answer) {
    if (answer === null) refreshing.note("the kernel of this panel has gone: run its cell again to look at the store");
    else if (answer.content.error) refreshing.note(answer.content.error);
  }

  function draw() {
    const all = panel.get("artifacts");
    const names = [...new Set(all.map((a) => a.scene))];
    if (!names.includes(scene)) scene = names[0] ?? "";
    place.replaceChildren(names.length > 1 ? choice("scene", names.map((n) => [n, n]), scene, (name) => {
      scene = name;
      draw();
    }) : h("b", { text: scene }));
    const mine = all.filter((a) => a.scene === scene);
    const states = ["fresh", "stale", "missing", "failed"].map((s) => [s, mine.filter((a) => a.state === s).length]);
    counts.replaceChildren(...states.filter(([, n]) => n).map(([state, n]) => h("span", { class: `sw-state sw-${state}`, text: `${n} ${state}` })));
    broken.replaceChildren(...Object.entries(panel.get("broken")).map(([name, words]) => h("p", { class: "sw-error", text: `${name}: ${words}` })));
    if (!mine.some((a) => a.key === panel.get("artifact"))) choose(mine[0]?.key ?? "");
    list.draw(mine);
    details.draw();
    ages();
    still();
  }

  function ages() {
    looked.textContent = panel.alone ? `as of ${age(panel.get("looked"))}` : "";
    for (const e of panel.root.querySelectorAll("[data-made]")) e.textContent = age(e.dataset.made);
  }

  const still = () => panel.changed(() => pictureOf(panel.root), "image/png");
  panel.listen("change:artifacts change:broken", draw);
  panel.listen("change:artifact", () => {
    list.mark();
    details.draw();
    still();
  });
  panel.listen("change:version", () => {
    details.draw();
    still();
  });
  panel.listen("change:running", still);
  const timer = setInterval(ages, AGES);
  panel.onClose(() => clearInterval(timer));
  draw();
  panel.send({ type: "here" });
}
