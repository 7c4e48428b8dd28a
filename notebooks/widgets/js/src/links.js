// Widgets that follow each other; ../../links.py says how.

/** Follow the links of a widget, in both directions, until it goes. */
export function followLinks(panel) {
  let unlink = [];
  const end = () => unlink.splice(0).forEach((off) => off());
  const begin = () => {
    end();
    for (const entry of panel.get("links") ?? []) follow(panel, entry, unlink);
  };
  panel.listen("change:links", begin);
  panel.onClose(end);
  begin();
}

async function follow(panel, { widget, own, other, to }, unlink) {
  let model;
  try {
    model = await panel.model.widget_manager.get_model(widget.slice("IPY_MODEL_".length));
  } catch (error) {
    console.info("splatworks: the widget this one is linked to is not in this page", error);
    return;
  }
  if (panel.closed) return;
  const first = firsts(to);
  const forth = () => {
    const at = to[panel.get(own)] ?? -1;
    if (at >= 0 && model.get(other) !== at) set(model, other, at);
  };
  const back = () => {
    const at = model.get(other);
    if (to[panel.get(own)] === at || !first.has(at)) return;
    panel.set({ [own]: first.get(at) });
  };
  panel.model.on(`change:${own}`, forth);
  model.on(`change:${other}`, back);
  unlink.push(() => panel.model.off(`change:${own}`, forth), () => model.off(`change:${other}`, back));
  if (panel.get(own) >= 0) forth();
  else back();
}

/** The first own number that is each number of the other. */
function firsts(to) {
  const found = new Map();
  to.forEach((at, i) => {
    if (at >= 0 && !found.has(at)) found.set(at, i);
  });
  return found;
}

function set(model, name, value) {
  model.set(name, value);
  try {
    model.save_changes();
  } catch (error) {
    console.info("splatworks: the kernel of a linked widget has gone", error);
  }
}
