"""What all widgets have in common: the bundle, a still picture beside each, an end to each."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython import get_ipython
from IPython.display import display, update_display
from ipywidgets import widget_serialization

from notebooks.widgets.bundle import Bundle, digest, loader

_WIDTH = 960  # CSS pixels of the widest still picture


class BrowserWidget(anywidget.AnyWidget):
    """A widget that is drawn by the bundle; the base of all widgets here.

    A subclass sets ``kind``, the name of its half in ``js/src/index.js``, declares the traits both
    halves share, and may override :meth:`still` and :meth:`receive`.

    Shown in a notebook, it leaves two outputs: a still picture, and itself. Where it lives, the
    browser hides the picture; elsewhere (no kernel, nbconvert, GitHub) the picture is what is seen.
    It follows what the widget shows, so that it is the last state that was looked at.

    A widget belongs to the cell that made it: when that cell runs again, it is closed, and what it
    holds in kernel and browser is given back.
    """

    _esm: ClassVar[str] = loader()

    kind: ClassVar[str] = ""
    _kind = traitlets.Unicode().tag(sync=True)
    bundle = traitlets.Instance(Bundle).tag(sync=True, **widget_serialization)
    bundle_digest = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode("", help="what is shown, in words").tag(sync=True)
    links = traitlets.List(traitlets.Dict(), help="see notebooks.widgets.links").tag(sync=True)

    _made_in: ClassVar[dict[str, tuple[str, list[BrowserWidget]]]] = {}

    def __init__(self, **traits: Any) -> None:
        """Set the traits of both halves."""
        super().__init__(_kind=self.kind, bundle=Bundle.shared(), bundle_digest=digest(), **traits)
        self._display_id: str | None = None
        self._seen: tuple[str, bytes] | None = None  # the last picture that the browser sent
        self._hearing = False
        self.on_msg(self._on_message)
        _replace_earlier(self)

    def still(self) -> bytes | None:
        """A PNG of what the widget shows at first; None where there is nothing to draw."""
        return None

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Answer a message of the browser's half; ``content["type"]`` says what it is about."""

    def last_still(self) -> dict[str, bytes]:
        """The picture that stands in for the widget, by its MIME type; empty where none is."""
        if self._seen is not None:
            mime, data = self._seen
            return {mime: data}
        first = self.still()
        return {"image/png": first} if first else {}

    def save_html(self, file: str | Path, title: str = "") -> Path:
        """Write a page that shows the widget without Jupyter, a kernel or a network.

        Args:
            file: Where to; replaced if it is there.
            title: Of the page.
        """
        from notebooks.widgets.export import page

        file = Path(file)
        file.write_text(page([self], title or self.alt), encoding="utf-8")
        return file

    @property
    def hearing(self) -> bool:
        """Whether a trait changes just now because the browser says so, and not Python."""
        return self._hearing

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the browser has changed."""
        self._hearing = True
        try:
            super().set_state(sync_data)
        finally:
            self._hearing = False

    def complete(self) -> None:
        """Put into the traits whatever the browser would ask a kernel for; before an export."""

    def release(self) -> None:
        """Take it out again; after an export."""

    def _on_message(
        self, _: Any, content: Mapping[str, Any], buffers: Sequence[memoryview]
    ) -> None:
        if content.get("type") == "still":
            self._seen = content["mime"], bytes(buffers[0])
            if self._display_id is not None:
                update_display(self._picture(), raw=True, display_id=self._display_id)
            return
        self.receive(content, buffers)

    def _picture(self) -> dict[str, str]:
        shown = {mime: base64.b64encode(data).decode() for mime, data in self.last_still().items()}
        return {"text/plain": self.alt or type(self).__name__, **shown}

    def _ipython_display_(self, **_: Any) -> None:
        picture = self._picture()
        if len(picture) > 1:
            self._display_id = uuid.uuid4().hex
            display(picture, raw=True, display_id=self._display_id)
        bundle = super()._repr_mimebundle_()
        if bundle is not None:
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
            text = f"{self.alt or type(self).__name__} (run the notebook to move it)"
            display({**data, "text/plain": text}, metadata=metadata, raw=True)


def _replace_earlier(widget: BrowserWidget) -> None:
    """Close the widgets that an earlier run of the same cell has made."""
    here = _cell()
    if here is None:
        return
    cell, run = here
    made = BrowserWidget._made_in
    earlier = made.get(cell)
    if earlier is None or earlier[0] != run:
        for old in earlier[1] if earlier else ():
            old.close()
        made[cell] = (run, [])
    made[cell][1].append(widget)


def _cell() -> tuple[str, str] | None:
    """The cell that is running, and this run of it; None outside a notebook."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    parent = kernel.get_parent("shell")
    cell = parent.get("metadata", {}).get("cellId")
    return (str(cell), str(parent["header"]["msg_id"])) if cell else None
