// Making elements in few words.

/** An element with attributes (on* are listeners, `text` and `style` as they say) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (value === false && !name.startsWith("aria-")) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that says what it does to eyes and to screen readers. */
export function button(text, label, onclick, attributes = {}) {
  return h("button", { type: "button", title: label, "aria-label": label, onclick, ...attributes }, text);
}

/** A labelled list to choose from; options are [value, text] pairs. */
export function choice(label, options, value, onchange) {
  const list = h("select", { "aria-label": label, title: label, onchange: () => onchange(list.value) });
  for (const [key, text] of options) list.append(h("option", { value: key, text }));
  list.value = value;
  return list;
}

/** A labelled slider over [low, high]. */
export function slider(label, { min, max, step, value }, oninput) {
  const range = h("input", {
    type: "range", min, max, step, "aria-label": label, title: label,
    oninput: () => oninput(Number(range.value)),
  });
  range.value = value;
  return range;
}

/** The bytes of a trait, whatever the channel made of them. */
export function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** A number as people read it: 3 digits, no trailing zeros. */
export function short(number) {
  if (!Number.isFinite(number)) return String(number);
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return number.toExponential(2);
  return String(Number(number.toPrecision(3)));
}
