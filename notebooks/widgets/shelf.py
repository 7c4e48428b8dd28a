"""What image widgets have in common: pictures on request, and a page that holds them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from assets.previews import spread
from notebooks.style import DEPTH_MAP
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.rasters import (
    MAPS,
    Raster,
    difference,
    encoded,
    shrunk,
    tables,
    thumbnail,
)
from notebooks.widgets.series import Series
from ops.errors import InputError

PAGE_VIEWS = 40  # views that an exported page holds at most
PAGE_BYTES = 48_000_000  # of their pictures together; beyond that, smaller copies are kept
_SAMPLES = 5  # views that ranges are taken from


class PictureShelf(BrowserWidget):
    """Pictures by series (method, version, ...) and view, sent when the browser asks for one.

    An exported page holds the pictures of up to :data:`PAGE_VIEWS` views. Where they are more than
    :data:`PAGE_BYTES` together, it holds copies shrunk by a whole number, and says so.
    """

    series = traitlets.List(traitlets.Unicode(), help="what each side is").tag(sync=True)
    views = traitlets.List(traitlets.Unicode(), help="names of the views").tag(sync=True)
    captions: traitlets.List[Any] = traitlets.List(help="a line by series and view").tag(sync=True)
    slow = traitlets.List(traitlets.Bool(), help="by series: do not ask ahead").tag(sync=True)
    low = traitlets.Float(0.0, help="lower end of the colours of data").tag(sync=True)
    high = traitlets.Float(1.0, help="upper end of the colours of data").tag(sync=True)
    colour_map = traitlets.Enum(MAPS, DEPTH_MAP).tag(sync=True)
    maps = traitlets.List(list(MAPS)).tag(sync=True)
    tables = traitlets.Bytes().tag(sync=True)
    pictures = traitlets.Dict(help="of a page without a kernel: series/view -> picture").tag(
        sync=True
    )
    page_note = traitlets.Unicode(help="what such a page lacks").tag(sync=True)

    def __init__(self, series: Sequence[Series], views: Sequence[str], **traits: Any) -> None:
        """Keep what is shown; nothing is read."""
        self._series = list(series)
        super().__init__(
            series=[s.name for s in series],
            views=list(views),
            captions=[list(s.captions) for s in series],
            slow=[s.slow for s in series],
            tables=tables(),
            **traits,
        )

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Answer with a picture or a thumbnail."""
        if content.get("type") not in ("picture", "thumbnail"):
            return
        answer: dict[str, Any] = {"answers": content["id"]}
        series, view = self._series[int(content["series"])], int(content["view"])
        try:
            if content["type"] == "picture":
                about, data = encoded(series.raster(view))
                self.send({**answer, **about}, [data])
            else:
                small = series.small(view, 96)
                data = thumbnail(small, self.low, self.high, self.colour_map)
                self.send(answer, [data])
        except Exception as error:
            self.send({**answer, "error": f"{error or type(error).__name__}"})
            if not isinstance(error, InputError):
                raise

    def complete(self) -> None:
        """Put the pictures into the page."""
        chosen = spread(len(self.views), PAGE_VIEWS)
        if self._shown_view() not in chosen:  # the page opens where the widget is
            nearest = min(chosen, key=lambda i: abs(i - self._shown_view()))
            chosen[chosen.index(nearest)] = self._shown_view()
        by, kept = 1, self._packed(chosen, 1)
        while kept is None:
            by = max(by + 1, self._estimate)
            kept = self._packed(chosen, by)
        notes = []
        if len(chosen) < len(self.views):
            notes.append(f"this page holds {len(chosen)} of {len(self.views)} views")
        if by > 1:
            notes.append(f"its pictures are copies at 1/{by} of their size, and so are the numbers")
        self.page_note = "; ".join(notes)
        self.pictures = kept

    def release(self) -> None:
        """Keep here nothing of what a page holds."""
        self.pictures, self.page_note = {}, ""

    def _packed(self, views: Sequence[int], by: int) -> dict[str, Any] | None:
        """All pictures of some views, shrunk; None where they are too many bytes."""
        kept: dict[str, Any] = {}
        total, wanted = 0, len(views) * len(self._series)
        for view in views:
            for index, series in enumerate(self._series):
                raster = series.raster(view)
                about, data = encoded(shrunk(raster, by))
                kept[f"{index}/{view}"] = {**about, "shrunk": by, "data": data}
                total += len(data)
                if total > PAGE_BYTES:
                    likely = total / len(kept) * wanted
                    self._estimate = math.ceil(by * math.sqrt(likely / PAGE_BYTES))
                    return None if max(raster.width, raster.height) > by else kept
        return kept

    _estimate = 2

    def _shown_view(self) -> int:
        return 0

    def _should_send_property(self, key: str, value: Any) -> bool:
        # Pictures of a page are for the page alone: a browser that has the kernel asks for each.
        return key not in ("pictures", "page_note") and super()._should_send_property(key, value)


def common_range(rasters: Sequence[Raster]) -> tuple[float, float] | None:
    """The 1st and the 99th percentile of data, or 0 and 255; None where all are colours."""
    data = [r.values for r in rasters if r.channels == 1]
    if not data:
        return None
    if all(d.dtype == np.uint8 for d in data):
        return 0.0, 255.0
    known = np.concatenate([d[np.isfinite(d)].astype(np.float32) for d in data])
    if not known.size:
        return 0.0, 1.0
    low, high = (float(p) for p in np.percentile(known, [1, 99]))
    return (low, high) if high > low else (low, low + max(abs(low), 1.0) * 1e-3)


def typical_error(pairs: Sequence[tuple[Raster, Raster]]) -> float:
    """The 99th percentile of the difference; of colours at least 0.02, a step that is just seen."""
    fit = [(a, b) for a, b in pairs if a.floats().shape == b.floats().shape]
    found = [difference(a, b).ravel() for a, b in fit]
    known = np.concatenate([d[np.isfinite(d)] for d in found]) if found else np.zeros(0)
    largest = float(np.percentile(known, 99)) if known.size else 0.0
    data = bool(fit) and fit[0][0].channels == 1
    return (largest or 1.0) if data else max(largest, 0.02)


def sampled(series: Sequence[Series]) -> list[int]:
    """Views to take ranges from: some, or the first where a picture takes long to make."""
    return [0] if any(s.slow for s in series) else spread(len(series[0]), _SAMPLES)
