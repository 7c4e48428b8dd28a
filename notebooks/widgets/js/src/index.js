// The browser's half of the widgets. Each kind is a function of a panel (see panel.js) that fills it
// and may return what is to be called when it goes.
import { followLinks } from "./links.js";
import { Panel } from "./panel.js";
import { showCompare } from "./compare/compare.js";
import { showMesh } from "./mesh/view.js";
import { showPyramid } from "./pyramid/pyramid.js";
import { showRender } from "./render/view.js";
import { showSplats } from "./splats/view.js";
import { showStore } from "./store/store.js";
import { showTable } from "./table/table.js";

const KINDS = {
  compare: showCompare,
  mesh: showMesh,
  pyramid: showPyramid,
  render: showRender,
  splats: showSplats,
  store: showStore,
  table: showTable,
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
    .then((end) => {
      panel.ready(end);
      if (!panel.closed) followLinks(panel);
    })
    .catch((error) => panel.fail(error));
  return () => panel.close();
}
