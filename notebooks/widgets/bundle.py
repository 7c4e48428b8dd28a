"""The browser's half of the widgets: one file, sent to a page once."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import ClassVar

import anywidget
import traitlets

FOLDER = Path(__file__).parent
BUNDLE = FOLDER / "bundle.js"  # made from js/ by `make widgets`
LOADER = FOLDER / "loader.js"


@cache
def packed() -> bytes:
    """The bundle, gzipped: the same bytes for the same bundle."""
    return gzip.compress(BUNDLE.read_bytes(), 9, mtime=0)


@cache
def digest() -> str:
    """Names the bundle, so that a page loads each once."""
    return hashlib.sha256(packed()).hexdigest()[:16]


@cache
def loader() -> str:
    """The few lines that every widget carries; they load the bundle."""
    return LOADER.read_text()


class Bundle(anywidget.AnyWidget):
    """Holds the bundle for all widgets of a kernel.

    A library inside every widget would be sent and kept with each of them: two megabytes for every
    picture. This model is made once per kernel, and widgets name it.
    """

    _esm: ClassVar[str] = "export default {};"
    packed = traitlets.Bytes().tag(sync=True)

    _shared: ClassVar[Bundle | None] = None

    @classmethod
    def shared(cls) -> Bundle:
        """The one of this kernel; made when it is first asked for, or when it was closed."""
        if cls._shared is None or cls._shared.comm is None:
            cls._shared = cls(packed=packed())
        return cls._shared
