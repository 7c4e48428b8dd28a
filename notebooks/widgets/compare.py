"""Two or more pictures of the same things against each other, down to single pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from notebooks.pixels import png
from notebooks.style import DEPTH_MAP, ERROR_MAP
from notebooks.widgets.rasters import SIGNED_MAP, Raster, difference, mapped, painted
from notebooks.widgets.series import (
    Renders,
    Series,
    check,
    check_shapes,
    series_of,
    stored,
    view_names,
)
from notebooks.widgets.shelf import PictureShelf, common_range, sampled, typical_error
from notebooks.widgets.subject import behind, cameras_of, capture_of, held_out_cameras, opened
from ops.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

MODES = ("slider", "flicker", "side", "difference", "all")
_GAP = 6  # pixels between the pictures of the still one


class Comparison(PictureShelf):
    """Pictures A and B of one view, of two or more to choose from; made by :func:`compare`.

    What the browser shows is in ``a`` and ``b`` (positions in ``series``), ``view``, ``mode``,
    ``line``, ``signed``, ``largest``, ``low``, ``high`` and ``colour_map``; setting one changes it.
    """

    kind = "compare"
    a = traitlets.Int(0).tag(sync=True)
    b = traitlets.Int(1).tag(sync=True)
    view = traitlets.Int(0).tag(sync=True)
    mode = traitlets.Enum(MODES, "slider").tag(sync=True)
    line = traitlets.Float(0.5, min=0, max=1, help="of the slider, in parts of what is seen").tag(
        sync=True
    )
    signed = traitlets.Bool(False, help="the difference is b - a, not its absolute value").tag(
        sync=True
    )
    largest = traitlets.Float(0.1, help="difference at the end of its colours").tag(sync=True)
    error_maps = traitlets.List([ERROR_MAP, SIGNED_MAP]).tag(sync=True)

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The values of the two pictures shown: uint8 or floats, [H, W, 3], or [H, W] of data."""
        a, b = self._pair()
        return a.values, b.values

    def still(self) -> bytes:
        """Both pictures and, where they are of one size, their difference, side by side."""
        a, b = self._pair()
        shown = [painted(r, self.low, self.high, self.colour_map) for r in (a, b)]
        if a.floats().shape == b.floats().shape:
            low = -self.largest if self.signed else 0.0
            colours = self.error_maps[1 if self.signed else 0]
            shown.append(mapped(difference(a, b, self.signed), low, self.largest, colours))
        height = max(p.shape[0] for p in shown)
        rows: list[np.ndarray] = []
        for picture in shown:
            below = np.full((height - picture.shape[0], picture.shape[1], 3), 255, np.uint8)
            gap = np.full((height, _GAP if rows else 0, 3), 255, np.uint8)
            rows += [gap, np.vstack([picture, below])]
        return png(np.hstack(rows))

    def _pair(self) -> tuple[Raster, Raster]:
        return self._series[self.a].raster(self.view), self._series[self.b].raster(self.view)

    def _shown_view(self) -> int:
        return int(self.view)

    @traitlets.validate("a", "b", "view")
    def _there(self, proposal: Any) -> int:
        count = len(self.views if proposal.trait.name == "view" else self.series)
        if not 0 <= proposal.value < max(count, 1):
            raise traitlets.TraitError(
                f"{proposal.trait.name}: expected 0 to {count - 1}, found {proposal.value}"
            )
        return int(proposal.value)


def compare(
    *pictures: Any,
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
    cameras: Any = None,
    background: Sequence[float] | None = None,
    largest_error: float | None = None,
    value_range: tuple[float, float] | None = None,
    mode: str = "slider",
) -> Comparison:
    """Two or more pictures, or lists of pictures of the same views, against each other.

    Args:
        pictures: Of each side a picture, several, splats or the key of an artifact; or one mapping,
            label -> these. NumPy, torch or xarray; colours [H, W, 3] (uint8, or floats from 0 to
            1), or data [H, W] such as depth, shown by a colour map. Several are an array [view,
            ...] or anything with a length and indices, and are read one at a time (three planes
            [3, H, W] are one picture of colours: give a list of them). Splats, or an opened
            artifact with splats, are rendered from ``cameras`` one view at a time; of an opened
            evaluation its renders are taken, and one evaluation alone is compared with its photos.
            The number of pixels may differ between sides, the shape may not.
        labels: What the sides are.
        names: What each view is called; None for the names of the cameras, or numbers.
        cameras: Where splats are rendered from: cameras, views, or the key of a capture. None takes
            the held-out ones of the scene that the first key belongs to. A model is rendered in
            ``classic`` mode, an artifact in the mode that it says.
        background: RGB in [0, 1] behind splats; None takes what is behind the photos of that
            capture, else black.
        largest_error: The difference that the end of the colours stands for, the same for all
            views: mean over the channels, colours from 0 to 1, data in its own unit. None takes the
            99th percentile of some views (of the first one where they are rendered).
        value_range: The values that the ends of the colour map of data stand for, for all pictures;
            None takes the 1st and 99th percentile in the same way.
        mode: ``slider``, ``flicker``, ``side``, ``difference``, or ``all`` for all sides at once.

    Raises:
        InputError: The numbers or shapes of the pictures differ, or one is no picture.
    """
    given = _labelled(pictures, labels)
    keys = [p for p in given.values() if isinstance(p, str)]
    sides = {label: opened(p) for label, p in given.items()}
    only: Any = next(iter(sides.values())) if len(sides) == 1 else None
    if "renders" in getattr(only, "children", ()):
        widget = compare_held_out(only, largest_error)
        widget.mode = mode
        return widget
    if cameras is None and keys:
        capture = capture_of(keys[0])
        seen = held_out_cameras(capture)
    else:
        capture = opened(cameras)
        seen = cameras_of(capture)
    color = behind(background, capture)
    series = [series_of(p, label, seen, color) for label, p in sides.items()]
    if not names:
        named = [p for p in sides.values() if "renders" in getattr(p, "children", ())]
        rendered = any(isinstance(s.pictures, Renders) for s in series)
        names = seen.names if seen and rendered else view_names(named[0]) if named else ()
    check(series, names)
    return comparison(series, names, largest_error, value_range, mode)


def comparison(
    series: Sequence[Series],
    names: Sequence[str] = (),
    largest_error: float | None = None,
    value_range: tuple[float, float] | None = None,
    mode: str = "slider",
) -> Comparison:
    """The same of series; see :func:`compare`."""
    check(series, names)
    if mode not in MODES:
        raise InputError(f"compare: expected a mode of {', '.join(MODES)}, found {mode!r}")
    if largest_error is not None and not largest_error > 0:
        raise InputError(f"compare: largest_error should be above 0, found {largest_error}")
    if value_range is not None and not value_range[0] < value_range[1]:
        raise InputError(f"compare: value_range should be (low, high), found {value_range}")
    first = [s.raster(0) for s in series]
    check_shapes(dict(zip((s.name for s in series), first, strict=True)))
    # Data needs a range, differences of the first two sides need another; read no more than that.
    data = any(r.channels == 1 for r in first)
    sampled_views = sampled(series)
    if value_range is None and data:
        value_range = common_range([s.raster(i) for i in sampled_views for s in series])
    if largest_error is None:
        pairs = [(series[0].raster(i), series[1].raster(i)) for i in sampled_views]
        largest_error = typical_error(pairs)
    low, high = value_range or (0.0, 1.0)
    grey = data and all(r.whole for r in first if r.channels == 1)
    views = list(names) or [f"{i + 1} of {len(series[0])}" for i in range(len(series[0]))]
    return Comparison(
        series,
        views,
        low=low,
        high=high,
        largest=largest_error,
        mode=mode,
        colour_map="gray" if grey else DEPTH_MAP,
        alt=f"{' and '.join(s.name for s in series)}: {len(views)} views",
    )


def compare_held_out(
    evaluation: xr.DataTree | str, largest_error: float | None = None
) -> Comparison:
    """Photos against renders of all held-out views of an evaluation, with the PSNR of each.

    Args:
        evaluation: An artifact such as ``demo/evaluation/held_out``, or its key.
        largest_error: See :func:`compare`.

    Raises:
        InputError: It holds no renders.
    """
    tree: xr.DataTree = opened(evaluation)
    if "renders" not in getattr(tree, "children", ()):
        raise InputError("compare_held_out: expected an evaluation with renders, found none in it")
    render = stored(tree, "render")
    views = zip(view_names(tree), render.captions, strict=True)
    names = [f"{name} · {psnr}" if psnr else name for name, psnr in views]
    photo = stored(tree, "photo", "truth")
    return comparison([photo, Series("render", render.pictures)], names, largest_error)


def _labelled(pictures: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
    """The sides by label."""
    only = pictures[0] if len(pictures) == 1 else None
    if isinstance(only, Mapping) and not hasattr(only, "children"):  # no opened artifact
        sides = {str(k): v for k, v in only.items()}
        pictures, labels = list(sides.values()), labels or list(sides)
    labels = labels or [chr(ord("a") + i) for i in range(len(pictures))]
    if len(labels) != len(pictures) or len(set(labels)) != len(labels):
        raise InputError(
            f"compare: expected {len(pictures)} labels that differ, found {', '.join(labels)}"
        )
    return dict(zip(labels, pictures, strict=True))
