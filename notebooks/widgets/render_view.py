"""A view that the project's own renderer draws, in the kernel, while the mouse moves the camera."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets
from PIL import Image

from notebooks.pixels import png
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.planes import Plane, legend, limits_of, packed, shown
from notebooks.widgets.render_sources import (
    FunctionSource,
    Pose,
    RenderFunction,
    Source,
    SplatSource,
)
from notebooks.widgets.subject import cameras_of, subject
from notebooks.widgets.viewpoint import camera_rows, outlook, pose_of
from ops.errors import InputError
from ops.rendering.settings import RenderSettings

if TYPE_CHECKING:
    from ops.rendering.fisher import Fisher

SCALES = (0.0, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)  # 0: as many pixels as the screen shows
_MOST_PIXELS = 64_000_000
_FIRST_WIDTH = 720  # pixels at most of the picture that is there before a browser asks
_JPEG = 80  # quality while the camera moves


@dataclass(frozen=True)
class _Look:
    """What to draw and how. A request says it itself: traits may arrive after it."""

    what: str
    antialiased: bool
    near: float
    locked: bool

    def settings(self) -> RenderSettings:
        """For the renderer."""
        mode = "antialiased" if self.antialiased else "classic"
        return RenderSettings(mode=mode, near_plane=self.near)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Frame:
    """What was last shown at full quality."""

    pose: Pose
    pixels: np.ndarray  # [H, W, 3] uint8
    values: np.ndarray | None  # [H, W] float32
    about: dict[str, Any]


class RenderView(BrowserWidget):
    """Made by :func:`render_view`; what is seen can be read and set from Python."""

    kind: ClassVar[str] = "render"

    what = traitlets.Unicode("colors", help="what is drawn, of `kinds`").tag(sync=True)
    view = traitlets.Int(-1, help="camera of the capture that is shown; -1: another").tag(sync=True)
    scale = traitlets.Float(0.0, help="pixels per pixel of the cameras; 0: the screen's").tag(
        sync=True
    )
    antialiased = traitlets.Bool(False).tag(sync=True)
    near = traitlets.Float(0.01, help="near plane, world units").tag(sync=True)
    locked = traitlets.Bool(False, help="colour maps keep their range").tag(sync=True)
    kinds = traitlets.Dict(help="what can be drawn: name -> words").tag(sync=True)
    _cameras: Any = traitlets.List().tag(sync=True)
    _start = traitlets.Dict().tag(sync=True)
    _adjustable = traitlets.Bool(True).tag(sync=True)
    _shown = traitlets.Bytes().tag(sync=True)
    _shown_about = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        source: Source,
        start: dict[str, Any],
        ranges: Mapping[str, tuple[float, float]],
        **traits: Any,
    ) -> None:
        self._source = source
        self._limits = dict(ranges)
        self._fixed = frozenset(ranges)
        super().__init__(
            kinds=dict(source.kinds), _adjustable=source.adjustable, _start=start, **traits
        )
        self._frame = self._draw(_first_pose(start, self._cameras, self.view), self._look({}))
        self._keep()

    @property
    def viewmat(self) -> np.ndarray:
        """[4, 4] float64, world to camera with OpenCV axes, of the picture that is shown."""
        return self._frame.pose.viewmat.copy()

    @property
    def K(self) -> np.ndarray:  # noqa: N802
        """[3, 3] float64, intrinsics of the picture that is shown, pixels."""
        return self._frame.pose.K.copy()

    @property
    def picture(self) -> np.ndarray:
        """[H, W, 3] uint8, what is shown (at full quality: the last at which the camera stood)."""
        return self._frame.pixels.copy()

    @property
    def values(self) -> np.ndarray | None:
        """[H, W] float32, the numbers behind a colour map (NaN: nothing); None for colours."""
        return None if self._frame.values is None else self._frame.values.copy()

    def still(self) -> bytes | None:
        """The picture that is shown."""
        return png(self._frame.pixels)

    def complete(self) -> None:
        """Put the picture that is shown into the traits."""
        self._keep()

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Draw a frame, or say how deep a pixel is."""
        answer = {"frame": self._answer_frame, "depth": self._answer_depth}.get(content["type"])
        if answer is None:
            return
        try:
            said, data = answer(content)
        except Exception as error:  # the widget shows it: a renderer may be a user's own function
            said, data = {"error": f"{type(error).__name__}: {error}"}, []
        self.send({"answers": content["id"], **said}, data)

    @traitlets.validate("scale")
    def _not_negative(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not 0 <= value < float("inf"):
            raise InputError(f"scale: expected a positive number or 0, found {value}")
        return value

    @traitlets.validate("what", "near")
    def _drawable(self, proposal: Any) -> Any:
        name = proposal["trait"].name
        _check(replace(_Look(self.what, False, self.near, False), **{name: proposal["value"]}),
               self._source)  # fmt: skip
        return proposal["value"]

    def _look(self, content: Mapping[str, Any]) -> _Look:
        """What a request asks for; what it leaves out is as the traits say."""
        names = ("what", "antialiased", "near", "locked")
        look = _Look(**{name: content.get(name, getattr(self, name)) for name in names})
        _check(look, self._source)
        return look

    def _answer_frame(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        pose = _asked(content)
        if pose.width * pose.height > _MOST_PIXELS:
            raise InputError(
                f"{pose.width} x {pose.height} pixels are more than {_MOST_PIXELS / 1e6:.0f} "
                "million; choose a smaller scale"
            )
        moving = bool(content.get("moving"))
        frame = self._draw(pose, self._look(content), moving=moving)
        about = frame.about
        if moving:
            return {**about, "mime": "image/jpeg"}, [_jpeg(frame.pixels)]
        self._frame = frame
        data = [png(frame.pixels)]
        if frame.values is not None:
            numbers, unit = packed(frame.values)
            about = {**about, "unit": unit}
            data.append(numbers)
        return {**about, "mime": "image/png"}, data

    def _answer_depth(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        pose = _asked(content)
        settings = self._look(content).settings()
        depth = self._source.depth_at(pose, content["x"], content["y"], settings)
        return {"depth": depth}, []

    def _draw(self, pose: Pose, look: _Look, *, moving: bool = False) -> _Frame:
        start = time.perf_counter()
        drawn = self._source.draw(look.what, pose, look.settings())
        about: dict[str, Any] = {"width": pose.width, "height": pose.height, "legend": None}
        values = None
        if isinstance(drawn, Plane):
            limits = self._limits_for(drawn, look.what, keep=moving or look.locked)
            pixels, values = shown(drawn, limits), drawn.values
            about["legend"] = legend(drawn, limits)
        else:
            pixels = drawn
        about["seconds"] = time.perf_counter() - start
        return _Frame(pose, pixels, values, about)

    def _limits_for(self, plane: Plane, what: str, *, keep: bool) -> tuple[float, float]:
        """The range of a colour map: it stands still while the camera moves."""
        if what not in self._fixed and not (keep and what in self._limits):
            self._limits[what] = limits_of(plane)
        return self._limits[what]

    def _keep(self) -> None:
        pose = self._frame.pose
        self._shown_about = {
            **self._frame.about,
            "viewmat": pose.viewmat.ravel().tolist(),
            "K": pose.K.ravel().tolist(),
            "mime": "image/png",
        }
        self._shown = png(self._frame.pixels)


def render_view(
    splats: Any = None,
    cameras: Any = None,
    *,
    what: str = "colors",
    view: int = 0,
    scale: float = 0.0,
    antialiased: bool | None = None,
    near: float = 0.01,
    background: Sequence[float] | None = None,
    quantities: Mapping[str, Any] | None = None,
    features: Any = None,
    information: Fisher | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    render: RenderFunction | None = None,
) -> RenderView:
    """Splats as the renderer that trained them draws them, from wherever the mouse goes.

    Everything is drawn in the kernel, on the GPU where there is one: fewer pixels while the camera
    moves, so that it stays fluent, and all of them when it stands. What the browser's own viewer
    cannot show is here: depth, alpha, uncertainty, features and any number per Gaussian, other
    scales than the photos', both modes of anti-aliasing.

    Args:
        splats: The key of an artifact (``demo/splats/trained``), an opened one, a model, a splat
            file or arrays by name, as :func:`notebooks.view` takes them; None with ``render``.
        cameras: Of the capture, its views (``open_views``) or their key: where to jump with N and
            P. None takes those of the scene that a key belongs to.
        what: ``colors``, ``depth`` (expected), ``median depth``, ``alpha``, ``uncertainty``,
            ``features`` or a name of ``quantities``.
        view: The camera to start at, if there are any; -1 for a view from outside.
        scale: Pixels of the picture per pixel of the cameras, 1/8 to 8; 0 for those of the screen.
        antialiased: The renderer's mode; None takes what an artifact says, and False for a model.
        near: Near plane, world units.
        background: RGB in [0, 1] behind the splats; None takes what is behind the photos of a
            capture that is named by a key or opened, else black.
        quantities: Numbers per Gaussian by name, [N] each, NumPy or torch. A pixel shows their
            mean, weighted as colours are blended; a Gaussian with NaN does not count.
        features: [N, F] numbers per Gaussian, whose three principal components are shown as
            colours; None takes those of the splats.
        information: What is known of every parameter, such as
            :func:`ops.rendering.fisher.fisher_information` summed over training views, for
            ``uncertainty``. None takes that of up to 20 of the ``cameras`` at up to 320 pixels.
        ranges: From which number to which the colours go, by what is drawn, such as
            ``{"depth": (0, 5)}``; of others, from the 1st to the 99th percentile of what is seen.
        render: A function to draw with instead: ``render(viewmat, K, width, height)`` gets arrays
            [4, 4] (world to camera, OpenCV axes) and [3, 3] and gives [H, W, 3] colours or [H, W]
            numbers.

    Returns:
        The widget. ``widget.viewmat``, ``.K`` and ``.picture`` are what is shown; ``.view = 3``
        jumps to a camera, ``.what = "depth"`` shows depth.

    Raises:
        InputError: Neither splats nor ``render``; arrays of another shape; an unknown ``what``.
    """
    source: Source
    if render is not None:
        if splats is not None:
            raise InputError("render_view: expected splats or a function `render`, found both")
        found = cameras_of(cameras)
        source, mode = FunctionSource(render), "classic"
        points: Any = np.zeros((0, 3)) if found is None else found.centers
    elif splats is None:
        raise InputError("render_view: expected splats or a function `render`, found neither")
    else:
        given = subject(splats, cameras, background=background)
        model, mode, found = given.splats, given.mode, given.cameras
        points = model.means
        source = SplatSource(
            model,
            cameras=found,
            quantities=quantities or {},
            features=features,
            information=information,
            background=given.background,
        )
    if found is None or not len(found):
        view = -1 if view == 0 else view
    alt = "a view that the renderer draws"
    return RenderView(
        source,
        outlook(points, found, view),
        _ranges(ranges or {}, source),
        what=what,
        view=view,
        scale=scale,
        antialiased=mode == "antialiased" if antialiased is None else antialiased,
        near=near,
        alt=alt,
        _cameras=camera_rows(found),
    )


def _check(look: _Look, source: Source) -> None:
    if look.what not in source.kinds:
        raise InputError(f"what: expected one of {', '.join(source.kinds)}, found {look.what!r}")
    if not 0 < look.near < float("inf"):
        raise InputError(f"near: expected a positive number, found {look.near}")


def _ranges(
    ranges: Mapping[str, tuple[float, float]], source: Source
) -> dict[str, tuple[float, float]]:
    found = {}
    for what, (low, high) in ranges.items():
        if what not in source.kinds:
            raise InputError(f"ranges: {what!r} is none of {', '.join(source.kinds)}")
        if not low < high or (what == "uncertainty" and low <= 0):
            raise InputError(f"ranges: expected low < high for {what!r}, found {low} and {high}")
        found[what] = (float(low), float(high))
    return found


def _asked(content: Mapping[str, Any]) -> Pose:
    return Pose(
        viewmat=np.array(content["viewmat"], np.float64).reshape(4, 4),
        K=np.array(content["K"], np.float64).reshape(3, 3),
        width=int(content["width"]),
        height=int(content["height"]),
    )


def _first_pose(start: dict[str, Any], cameras: Sequence[dict[str, Any]], view: int) -> Pose:
    """The camera that is shown at first, or a view from outside; not larger than a notebook."""
    if view >= 0:
        row = cameras[view]
        part = min(1.0, _FIRST_WIDTH / row["width"])
        width, height = round(row["width"] * part), round(row["height"] * part)
        K = np.array(row["K"], np.float64).reshape(3, 3)
        K[0] *= width / row["width"]
        K[1] *= height / row["height"]
        viewmat = np.array(row["viewmat"], np.float64).reshape(4, 4)
        return Pose(viewmat=viewmat, K=K, width=width, height=height)
    width, height = _FIRST_WIDTH, _FIRST_WIDTH * 2 // 3
    viewmat, K = pose_of(start, width, height)
    return Pose(viewmat=viewmat, K=K, width=width, height=height)


def _jpeg(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=_JPEG, subsampling=0)
        return file.getvalue()
