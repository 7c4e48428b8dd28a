"""Pictures of the same views by one method: what stands behind one side of a comparison."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from notebooks.pixels import as_array
from notebooks.widgets.rasters import Raster, as_raster
from ops.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from ops.cameras import Cameras
    from ops.splats.model import Splats

_KEPT = 8  # pictures of a series that the kernel keeps


class Pictures(Protocol):
    """Pictures of several views; read when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class Series:
    """Pictures of several views, made or read one at a time; the last few are kept."""

    name: str
    pictures: Pictures
    captions: Sequence[str] = ()  # a line for each view, or none
    slow: bool = False  # a picture takes long enough not to be made before it is asked for
    _kept: OrderedDict[int, Raster] = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __len__(self) -> int:
        return len(self.pictures)

    def raster(self, view: int) -> Raster:
        """The picture of a view.

        Raises:
            InputError: It is none.
        """
        with self._lock:
            if view not in self._kept:
                try:
                    self._kept[view] = as_raster(self.pictures[view])
                except InputError as error:
                    raise InputError(f"{self.name}, view {view + 1}: {error}") from None
            self._kept.move_to_end(view)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[view]

    def small(self, view: int, side: int) -> Raster:
        """A picture for a thumbnail, of about ``side`` pixels or more."""
        make = getattr(self.pictures, "small", None)
        return as_raster(make(view, side)) if make else self.raster(view)


@dataclass(frozen=True)
class Stack:
    """Pictures of a stored stack without their padding."""

    values: Any  # [view, y, x] or [view, y, x, rgb], read when indexed
    widths: Sequence[int]
    heights: Sequence[int]
    order: Sequence[int]  # the position of each view in the stack

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> np.ndarray:
        i = self.order[index]
        return np.asarray(self.values[i, : self.heights[i], : self.widths[i]].values)


@dataclass(frozen=True)
class Renders:
    """Renders of splats from some cameras, made by the project's renderer when asked for."""

    splats: Splats
    cameras: Cameras
    mode: Literal["classic", "antialiased"] = "classic"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __len__(self) -> int:
        return len(self.cameras)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._render(self.cameras[index])

    def small(self, index: int, side: int) -> np.ndarray:
        """A small render: cheaper than a large one that is shrunk."""
        camera = self.cameras[index]
        width, height = camera.widths[0], camera.heights[0]
        by = min(1.0, 2 * side / max(width, height))
        return self._render(
            camera.resized([max(1, round(width * by))], [max(1, round(height * by))])
        )

    def _render(self, camera: Cameras) -> np.ndarray:
        from notebooks.film import render_frames

        return render_frames(self.splats, camera, self.background, self.mode)[0]


def series_of(
    source: Any,
    name: str,
    cameras: Cameras | None = None,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Series:
    """One side of a comparison from whatever a user gives.

    Args:
        source: A picture, several (an array [view, ...], a list or anything with a length and
            indices), splats, or an opened artifact with splats or renders.
        name: What they are.
        cameras: Where splats are rendered from.
        background: Behind splats.

    Raises:
        InputError: It is none of these, or splats without cameras.
    """
    import xarray as xr

    from ops.splats.model import Splats

    if isinstance(source, xr.DataTree):
        if "renders" in source.children:
            return stored(source, name)
        if "splats" not in source.children:
            raise InputError(
                f"{name}: expected an artifact with splats or renders, "
                f"found one with {', '.join(source.children) or 'a table'}"
            )
        from assets.bridge.splats import render_mode, splats_from

        renders = Renders(
            splats_from(source),
            _cameras(cameras, name),
            render_mode(source),  # type: ignore[arg-type]
            background,
        )
        return Series(name, renders, slow=True)
    if isinstance(source, Splats):
        made = Renders(source, _cameras(cameras, name), background=background)
        return Series(name, made, slow=True)
    return Series(name, _several(source, name))


def stored(
    evaluation: xr.DataTree, name: str, what: str = "colors", views: Sequence[str] | None = None
) -> Series:
    """Pictures of an evaluation, cut to their sizes; renders have their PSNR as captions.

    Args:
        evaluation: An artifact such as ``demo/evaluation/held_out``.
        name: What they are.
        what: ``colors``, ``truth``, ``depth``, ``alpha`` or ``errors``.
        views: Names of the views; None for all of them.

    Raises:
        InputError: It holds no such pictures.
    """
    from assets.bridge.evaluation import metric_rows
    from assets.bridge.trees import group

    renders = group(evaluation, "renders")
    if what not in renders:
        there = [str(n) for n, v in renders.data_vars.items() if v.ndim > 1]
        raise InputError(f"{name}: expected one of {', '.join(there)}, found {what!r}")
    names = view_names(evaluation)
    views = names if views is None else views
    widths, heights = renders["widths"].values.tolist(), renders["heights"].values.tolist()
    stack = Stack(renders[what], widths, heights, [names.index(v) for v in views])
    psnr = {r["view"]: r["value"] for r in metric_rows(evaluation) if r["metric"] == "psnr"}
    captions = [f"{psnr[v]:.2f} dB" if v in psnr else "" for v in views]
    return Series(name, stack, captions if what == "colors" else ())


def view_names(evaluation: xr.DataTree) -> list[str]:
    """The held-out views of an evaluation."""
    from assets.bridge.trees import group

    return [str(n) for n in group(evaluation, "renders")["names"].values]


def check(series: Sequence[Series], names: Sequence[str]) -> None:
    """That all series have the same views, and names fit.

    Raises:
        InputError: They do not.
    """
    if len(series) < 2:
        raise InputError(f"compare: expected at least two pictures or lists, found {len(series)}")
    labels = [s.name for s in series]
    if len(set(labels)) != len(labels):
        raise InputError(f"compare: expected labels that differ, found {', '.join(labels)}")
    first = series[0]
    for other in series[1:]:
        if len(other) != len(first) or not len(first):
            raise InputError(
                f"compare: expected as many pictures of {first.name} as of {other.name}, "
                f"and at least one, found {len(first)} and {len(other)}"
            )
    if names and len(names) != len(first):
        raise InputError(f"compare: expected {len(first)} names, found {len(names)}")


def check_shapes(sides: Mapping[str, Raster]) -> None:
    """That pictures show the same: of one aspect, whatever their number of pixels.

    Raises:
        InputError: They do not.
    """
    (first, a), *others = sides.items()
    for name, b in others:
        off = abs(a.width * b.height - b.width * a.height)
        if off > max(a.width, b.width) + max(a.height, b.height):  # more than rounding of a side
            raise InputError(
                "compare: expected pictures of one shape (in any number of pixels), found "
                f"{first} {a.width} x {a.height} and {name} {b.width} x {b.height}"
            )


def _cameras(cameras: Cameras | None, name: str) -> Cameras:
    if cameras is None:
        raise InputError(
            f"{name}: splats need cameras to be rendered from; "
            "give cameras=open_views('scene/capture/views').cameras[:10]"
        )
    return cameras


def _several(source: Any, name: str) -> Pictures:
    """Several pictures as they are; one as a list of one."""
    shape = getattr(source, "shape", None)
    if shape is None:
        if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
            raise InputError(
                f"{name}: expected a picture, a list of pictures or splats, "
                f"found {type(source).__name__}"
            )
        return source
    one = len(shape) == 2 or (len(shape) == 3 and (shape[-1] in (1, 3, 4) or shape[0] in (1, 3, 4)))
    named = getattr(source, "dims", ())
    if one and not (named and named[0] == "view"):
        return [as_array(source)]
    return source
