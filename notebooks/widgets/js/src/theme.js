// Colours of canvases: style sheets follow the theme by themselves, what is painted does not.

/** Call when the theme of the page changes, until the widget goes. */
export function onTheme(panel, call) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", call);
  const watcher = new MutationObserver(() => setTimeout(call, 300)); // its sheet is loaded a moment later
  watcher.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  panel.onClose(() => {
    dark.removeEventListener("change", call);
    watcher.disconnect();
  });
}
