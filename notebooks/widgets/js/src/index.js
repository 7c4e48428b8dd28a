// The browser's half of the widgets. Each kind is a function of a panel (see panel.js) that fills it
// and may return what is to be called when it goes.
import { showCompare } from "./compare/compare.js";
import { Panel } from "./panel.js";
import { showPyramid } from "./pyramid/pyramid.js";

const KINDS = {
  compare: showCompare,
  pyramid: showPyramid,
};

/** Fill an element with the widget of a model; returns what takes it away again. */
export function show({ model, el }) {
  const kind = model.get("_kind");
  const panel = new Panel(model, el);
  if (!(kind in KINDS)) {
    panel.fail(new Error(`this bundle has no widget of kind "${kind}"`));
    return () => panel.close();
  }
  Promise.resolve()
    .then(() => KINDS[kind](panel))
    .then((end) => panel.ready(end))
    .catch((error) => panel.fail(error));
  return () => panel.close();
}
