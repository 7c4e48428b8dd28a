// The widget of a comparison: its choices are traits that both halves share.
import css from "../images/images.css";
import { h } from "../dom.js";
import { colourTables } from "../images/colours.js";
import { Source } from "../images/source.js";
import { Comparison } from "./comparison.js";

const SHARED = ["a", "b", "view", "mode", "line", "signed", "largest", "low", "high", "colour_map"];
const TELL_AFTER = 150; // milliseconds: a dragged line is told when it rests

/** Show a comparison in a panel. */
export function showCompare(panel) {
  panel.style("images", css);
  panel.root.setAttribute("data-lm-suppress-shortcuts", "true"); // a and b are keys of JupyterLab too
  const source = new Source(panel);
  const state = Object.fromEntries(SHARED.map((name) => [name, panel.get(name)]));
  const there = source.views();
  let untold = {};
  let timer = 0;
  const tell = () => {
    const values = untold;
    untold = {};
    panel.set(values);
  };
  const comparison = new Comparison({
    series: panel.get("series"),
    views: panel.get("views"),
    captions: panel.get("captions"),
    slow: panel.get("slow"),
    there,
    source,
    tables: colourTables(panel),
    errorMaps: panel.get("error_maps"),
    state,
    small: (view) => small(source, comparison, view),
    onchoice(choice) {
      for (const name of SHARED) if (name in choice) untold[name] = choice[name];
      clearTimeout(timer);
      timer = setTimeout(tell, TELL_AFTER);
    },
    onshown: (canvas) => panel.changed(canvas),
  });
  for (const name of SHARED) panel.listen(`change:${name}`, () => name in untold || comparison.set({ [name]: panel.get(name) }));
  panel.root.append(comparison.element);
  const note = panel.get("page_note");
  if (panel.alone && note) panel.root.append(h("div", { class: "sw-faint", text: note }));
  return () => {
    clearTimeout(timer);
    comparison.close();
  };
}

/** A small picture of a view: from the kernel, or from what the page holds. */
export async function small(source, comparison, view) {
  const series = comparison.state.a;
  if (source.packed) return comparison.thumbnail(await source.packedPicture(series, view));
  const src = await source.thumbnail(series, view);
  return src && h("img", { src, alt: "" });
}
