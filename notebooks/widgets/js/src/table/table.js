// A table and a curve with one selection.
import { button, h } from "../dom.js";
import { copy } from "../clipboard.js";
import { pictureOf } from "../painting.js";
import { onTheme } from "../theme.js";
import { Curve } from "./curve.js";
import { Grid } from "./grid.js";
import { TableModel } from "./model.js";
import { RowPictures } from "./pictures.js";
import css from "./table.css";

const TYPING = 120; // milliseconds after a key before the table is filtered

export function showTable(panel) {
  panel.style("table", css);
  const table = new TableModel(panel);
  const pictures = panel.get("has_pictures") ? new RowPictures(panel, (row, url) => grid.picture(row, url)) : null;
  const on = {
    sort: (name) => panel.set({ sort: next(panel.get("sort") ?? [], name) }),
    select: (row) => table.select(row),
    move: (by) => move(panel, table, by),
    find: () => field.focus(),
  };
  const grid = new Grid(panel, table, pictures, on);
  const curve = table.columns.some((c) => c.number) ? new Curve(panel, table, on) : null;
  const told = h("span", { class: "sw-faint sw-numbers", role: "status" });
  let timer;
  const field = h("input", {
    type: "search", class: "sw-filter", placeholder: example(table), "aria-label": "show only rows with these words and conditions",
    title: 'words, "words together", and conditions: psnr < 25, view = 3', spellcheck: "false",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => panel.set({ filter: field.value }), TYPING);
    },
  });
  field.value = panel.get("filter");
  const csv = button("copy CSV", "copy the rows shown, as CSV", async () => {
    csv.textContent = (await copy(table.csv())) ? "copied" : "not allowed";
    setTimeout(() => (csv.textContent = "copy CSV"), 1500);
  });
  panel.root.append(
    h("div", { class: "sw-bar" }, field, told, h("span", { class: "sw-space" }), csv),
    h("div", { class: "sw-table" }, grid.element, curve?.element ?? ""),
  );

  const still = () => panel.changed(() => pictureOf(panel.root), "image/png");
  const changed = () => {
    table.update();
    const part = table.rows.length === table.count ? "" : `${table.rows.length.toLocaleString("en")} of `;
    told.textContent = table.problem || `${part}${table.count.toLocaleString("en")} rows`;
    field.setAttribute("aria-invalid", table.problem ? "true" : "false");
    grid.refresh();
    curve?.refresh();
  };
  panel.listen("change:filter change:sort", () => {
    if (document.activeElement !== field && field.getRootNode().activeElement !== field) field.value = panel.get("filter");
    changed();
    still();
  });
  panel.listen("change:curve", () => {
    curve?.refresh();
    still();
  });
  panel.listen("change:index", () => {
    const index = panel.get("index");
    if ((panel.get("selected")?.index ?? -1) !== index) table.select(index); // set by a link
    grid.reveal();
    grid.mark();
    curve?.show();
    still();
  });
  panel.listen("change:view", () => {
    const views = panel.get("row_views");
    const view = panel.get("view");
    if (views[panel.get("index")] !== view && views.includes(view)) table.select(views.indexOf(view));
  });
  onTheme(panel, () => curve?.draw());
  panel.onClose(() => clearTimeout(timer));
  changed();
  requestAnimationFrame(() => grid.reveal());
}

/** Up, down, and as given. */
function next([sorted, direction], name) {
  if (sorted !== name) return [name, "up"];
  return direction === "up" ? [name, "down"] : [];
}

/** Step on among the rows shown. */
function move(panel, table, by) {
  if (!table.rows.length) return;
  const now = table.place.get(panel.get("index"));
  const last = table.rows.length - 1;
  const place = now === undefined ? (by > 0 && Number.isFinite(by) ? 0 : by > 0 ? last : 0) : Math.min(Math.max(now + by, 0), last);
  if (place !== now) table.select(table.rows[place]);
}

function example(table) {
  const column = table.columns.find((c) => c.number && !c.whole) ?? table.columns.find((c) => c.number);
  return column ? `filter: words, or ${column.name} < …` : "filter";
}
