"""Two pictures of the same things, looked at closely: with a live kernel, and without."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np

from notebooks.pixels import as_array, as_pixels, png
from notebooks.style import ERROR_MAP
from ops.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_SEAM = 2  # pixels of the line between the two pictures
_WIDTH, _LARGE = 980, 460  # CSS pixels of the whole, and of the longer side of a picture


class Pictures(Protocol):
    """Pictures of several views; read when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def compare(
    a: Any,
    b: Any,
    labels: tuple[str, str] = ("a", "b"),
    names: Sequence[str] = (),
    largest_error: float | None = None,
) -> Comparison:
    """One picture against another, or many against many, with a line to move between them.

    Args:
        a: A picture, or several: NumPy, torch, xarray or a list, see
            :func:`notebooks.pixels.as_pixels`. Several are read one at a time.
        b: The same number of pictures of the same sizes.
        labels: What ``a`` and ``b`` are.
        names: What each of several pictures is called; shown above them.
        largest_error: The error (mean absolute difference of the colours, 0 to 1) that the end of
            the colour scale stands for, the same for all pictures; None takes it from some.

    Raises:
        InputError: The numbers or sizes of the pictures differ.
    """
    first, second = _several(a), _several(b)
    if len(first) != len(second) or not len(first):
        raise InputError(
            f"compare: expected as many pictures of {labels[0]} as of {labels[1]}, "
            f"found {len(first)} and {len(second)}"
        )
    if names and len(names) != len(first):
        raise InputError(f"compare: expected {len(first)} names, found {len(names)}")
    return Comparison(first, second, labels, names, largest_error)


def compare_held_out(evaluation: xr.DataTree) -> Comparison:
    """Photos against renders of all held-out views of an evaluation, with the PSNR of each."""
    from assets.bridge.evaluation import metric_rows
    from assets.bridge.trees import group

    renders = group(evaluation, "renders")
    psnr = {r["view"]: r["value"] for r in metric_rows(evaluation) if r["metric"] == "psnr"}
    names = [str(n) for n in renders["names"].values]
    captions = [f"{n} · {psnr[n]:.2f} dB" if n in psnr else n for n in names]
    return compare(
        _Cropped(renders, "truth"), _Cropped(renders, "colors"), ("photo", "render"), captions
    )


class Comparison(widgets.VBox):
    """Two pictures with a line between them, and their difference; made by :func:`compare`.

    The view and the line are moved with the mouse, or with the arrow keys after a click on them.
    Where no kernel runs, the notebook shows both pictures and their difference as they were when
    the cell ran.
    """

    def __init__(
        self,
        a: Pictures,
        b: Pictures,
        labels: tuple[str, str],
        names: Sequence[str],
        largest_error: float | None,
    ) -> None:
        """Show the first pair; see :func:`compare`."""
        self._a, self._b, self._labels = a, b, labels
        self._pair: tuple[np.ndarray, np.ndarray] | None = None
        self._largest = _typical_error(a, b) if largest_error is None else largest_error
        count = len(a)
        self._names = list(names) or [f"{i + 1} of {count}" for i in range(count)]
        self.view = widgets.SelectionSlider(
            options=[(name, i) for i, name in enumerate(self._names)],
            readout=False,
            tooltip="which view",
            layout=widgets.Layout(width="220px", margin="0 8px 0 8px"),
        )
        self.line = widgets.FloatSlider(
            value=0.5,
            min=0,
            max=1,
            step=0.02,
            readout=False,
            tooltip=f"the line between {labels[0]} and {labels[1]}",
            layout=widgets.Layout(width="auto", margin="0", height="28px"),
        )
        self._name = widgets.Label()
        self._wipe, self._error = _image(), _image()
        scale = widgets.Image(
            value=png(_ramp()), format="png", layout=widgets.Layout(width="120px", height="8px")
        )
        legend = [widgets.Label("error   0"), scale, widgets.Label(f"{self._largest:.2g}")]
        ends = [widgets.Label(label) for label in labels]
        self._columns = [
            widgets.VBox([self.line, self._wipe, _row(ends, "space-between")]),
            widgets.VBox([_row([], "flex-end"), self._error, _row(legend, "flex-end")]),
        ]
        head = [_row([self.view, self._name], "flex-start")] if count > 1 else []
        pictures = widgets.HBox(self._columns, layout=widgets.Layout(grid_gap="10px"))
        super().__init__([*head, pictures], layout=widgets.Layout(max_width=f"{_WIDTH}px"))
        self.view.observe(lambda _: self._show_view(), "value")
        self.line.observe(lambda _: self._show_wipe(), "value")
        self._show_view()

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The two pictures shown, [H, W, 3] uint8."""
        assert self._pair is not None
        return self._pair

    def still(self) -> np.ndarray:
        """Both pictures and their difference side by side, [H, W, 3] uint8."""
        a, b = self.pair
        gap = np.full((a.shape[0], 6, 3), 255, np.uint8)
        return np.hstack([a, gap, b, gap, self._error_colours()])

    def _show_view(self) -> None:
        index = self.view.value
        a, b = as_pixels(self._a[index]), as_pixels(self._b[index])
        if a.shape != b.shape:
            raise InputError(
                f"compare: expected two pictures of one size, found {self._labels[0]} "
                f"{a.shape[1]} x {a.shape[0]} and {self._labels[1]} {b.shape[1]} x {b.shape[0]}"
            )
        self._pair = a, b
        height, width = a.shape[:2]
        across = round(min((_WIDTH - 20) / 2, _LARGE * width / height))
        for column in self._columns:
            column.layout.width = f"{across}px"
            column.layout.min_width = "0"
        self._name.value = self._names[index]
        self._error.value = png(self._error_colours())
        self._show_wipe()

    def _show_wipe(self) -> None:
        a, b = self.pair
        at = round(self.line.value * a.shape[1])
        shown = b.copy()
        shown[:, :at] = a[:, :at]
        if 0 < at < a.shape[1]:
            shown[:, max(at - _SEAM // 2, 0) : at + _SEAM // 2] = 255
        self._wipe.value = png(shown)

    def _error_colours(self) -> np.ndarray:
        scaled = _error(*self.pair) / self._largest
        return np.asarray(mpl.colormaps[ERROR_MAP](scaled)[..., :3] * 255, np.uint8)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], Any]:
        data = super()._repr_mimebundle_(**kwargs) or {}
        still = self.still()
        width = round(min(_WIDTH, still.shape[1] * _LARGE / max(self.pair[0].shape)))
        data["image/png"] = base64.b64encode(png(still)).decode()
        return data, {"image/png": {"width": width}}


@dataclass(frozen=True)
class _Cropped:
    """Stored pictures of views without their padding."""

    renders: xr.Dataset
    name: str

    def __len__(self) -> int:
        return int(self.renders.sizes["view"])

    def __getitem__(self, index: int) -> np.ndarray:
        height, width = (int(self.renders[n][index]) for n in ("heights", "widths"))
        return np.asarray(self.renders[self.name][index, :height, :width].values)


def _several(pictures: Any) -> Pictures:
    """Several pictures as they are; one as a list of one."""
    dims = getattr(pictures, "ndim", None)
    if dims is None or dims == 4:
        return pictures
    return [as_array(pictures)]


def _error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[H, W] mean absolute difference of the colours, 0 to 1."""
    return np.abs(a.astype(np.float32) - b).mean(-1) / 255


def _typical_error(a: Pictures, b: Pictures) -> float:
    """The 99th percentile of the error over some of the pictures."""
    from notebooks.pictures import spread

    pairs = [(as_pixels(a[i]), as_pixels(b[i])) for i in spread(len(a), 5)]
    errors = [_error(x, y).ravel() for x, y in pairs if x.shape == y.shape]
    return max(float(np.percentile(np.concatenate(errors), 99)) if errors else 0.0, 0.02)


def _image() -> widgets.Image:
    """An image that fills its column."""
    layout = widgets.Layout(width="100%", object_fit="contain", object_position="left top")
    return widgets.Image(format="png", layout=layout)


def _row(children: Sequence[widgets.Widget], justify: str) -> widgets.HBox:
    """Widgets side by side, as high as a slider."""
    layout = widgets.Layout(
        justify_content=justify, align_items="center", min_height="28px", overflow="hidden"
    )
    return widgets.HBox(children, layout=layout)


def _ramp() -> np.ndarray:
    """The colours of the error scale, [1, 256, 3] uint8."""
    return np.asarray(mpl.colormaps[ERROR_MAP](np.arange(256))[None, :, :3] * 255, np.uint8)
