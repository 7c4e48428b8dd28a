"""A widget as a page of its own: the bundle, the traits, and nothing to ask for."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any

from notebooks.widgets.bundle import packed

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
</style>
</head>
<body>
<main></main>
<script type="application/json" id="state">{state}</script>
<script type="module">
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const revive = (_, v) => (v && v.$bytes !== undefined ? new DataView(bytes(v.$bytes).buffer) : v);
const state = JSON.parse(document.getElementById("state").textContent, revive);
const heard = {{}};
const model = {{
  get: (key) => state[key],
  set(key, value) {{
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
  alone: true,
}};
window.model = model;
const stream = new Blob([bytes("{bundle}")]).stream().pipeThrough(new DecompressionStream("gzip"));
const code = new Blob([await new Response(stream).blob()], {{ type: "text/javascript" }});
const {{ show }} = await import(URL.createObjectURL(code));
show({{ model, el: document.querySelector("main") }});
</script>
</body>
</html>
"""


def page(widget: BrowserWidget, title: str) -> str:
    """HTML that shows a widget as it is now, without any other file."""
    widget.complete()
    names = [k for k in widget.keys if k not in _OWN_TO_JUPYTER and k not in ("_esm", "_css")]
    state = widget.get_state(names)
    text = json.dumps(state, default=_bytes).replace("</", "<\\/")
    bundle = base64.b64encode(packed()).decode()
    return _PAGE.format(title=html.escape(title), state=text, bundle=bundle)


def _bytes(value: Any) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"cannot be put into a page: {type(value).__name__}")
