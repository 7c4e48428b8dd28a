"""Widgets as a page of their own: the bundle, the traits, and nothing to ask for."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notebooks.widgets.bundle import packed
from ops.errors import InputError

if TYPE_CHECKING:
    from notebooks.widgets.base import BrowserWidget

_OWN_TO_JUPYTER = {"layout", "tabbable", "tooltip", "comm", "bundle", "style"}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0 auto; padding: 16px; max-width: 1100px; font: 14px system-ui, sans-serif }}
main > * + * {{ margin-top: 20px }}
</style>
</head>
<body>
<main></main>
<script type="application/json" id="state">{state}</script>
<script type="module">
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const revive = (_, v) => (v && v.$bytes !== undefined ? new DataView(bytes(v.$bytes).buffer) : v);
const states = JSON.parse(document.getElementById("state").textContent, revive);
const models = new Map();
// The widgets of a page find each other, and each the bundle, as they do in Jupyter.
const manager = {{
  async get_model(id) {{
    if (!models.has(id)) throw new Error(`this page has no widget ${{id}}`);
    return models.get(id);
  }},
}};
function modelOf(state) {{
  const heard = {{}};
  return {{
    get: (key) => state[key],
    set(key, value) {{
      if (state[key] === value) return;
      state[key] = value;
      for (const tell of [...(heard["change:" + key] ?? []), ...(heard.change ?? [])]) tell();
    }},
    save_changes() {{}},
    send() {{}},
    on(events, tell) {{ for (const e of events.split(" ")) (heard[e] ??= []).push(tell); }},
    off(events, tell) {{
      for (const e of events.split(" "))
        heard[e] = (heard[e] ?? []).filter((t) => tell && t !== tell);
    }},
    widget_manager: manager,
    alone: true,
  }};
}}
for (const {{ id, state }} of states) models.set(id, modelOf(state));
window.models = [...models.values()];
window.model = window.models[0];
const stream = new Blob([bytes("{bundle}")]).stream().pipeThrough(new DecompressionStream("gzip"));
const code = new Blob([await new Response(stream).blob()], {{ type: "text/javascript" }});
const {{ show }} = await import(URL.createObjectURL(code));
for (const model of models.values()) {{
  const el = document.createElement("div");
  document.querySelector("main").append(el);
  show({{ model, el }});
}}
</script>
</body>
</html>
"""


def save_page(widgets: Sequence[BrowserWidget], file: str | Path, title: str = "") -> Path:
    """Write a page that shows widgets below each other, without Jupyter, a kernel or a network.

    Those that were linked (:func:`notebooks.widgets.links.link`) follow each other in it.

    Args:
        widgets: From above.
        file: Where to; replaced if it is there.
        title: Of the page.

    Raises:
        InputError: There is no widget, or one twice.
    """
    if not widgets or len({w.model_id for w in widgets}) < len(widgets):
        raise InputError("save_page: expected one or more widgets, each of them once")
    file = Path(file)
    file.write_text(page(widgets, title or widgets[0].alt), encoding="utf-8")
    return file


def page(widgets: Sequence[BrowserWidget], title: str) -> str:
    """HTML that shows widgets as they are now, without any other file."""
    try:
        text = json.dumps([_described(widget) for widget in widgets], default=_bytes)
    finally:
        for widget in widgets:
            widget.release()
    bundle = base64.b64encode(packed()).decode()
    return _PAGE.format(title=html.escape(title), state=text.replace("</", "<\\/"), bundle=bundle)


def _described(widget: BrowserWidget) -> dict[str, Any]:
    widget.complete()
    names = [k for k in widget.keys if k not in _OWN_TO_JUPYTER and k not in ("_esm", "_css")]
    return {"id": widget.model_id, "state": widget.get_state(names)}


def _bytes(value: Any) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"cannot be put into a page: {type(value).__name__}")
