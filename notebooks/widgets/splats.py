"""Splats to walk around, drawn in the browser."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import torch
import traitlets
from PIL import Image

from notebooks.orbit import focus
from notebooks.pixels import as_array, png
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.packing import BUDGET, pack
from notebooks.widgets.subject import Subject, subject
from ops.cameras import Cameras, look_at
from ops.errors import InputError
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

_THUMBNAIL = 128  # pixels of the longer side
_STILL = 720  # pixels of the longer side of the first still picture
_MAPS = ("viridis", "magma", "tab20")


def view(
    splats: Any,
    cameras: Any = None,
    *,
    values: Mapping[str, Any] | None = None,
    color_by: str = "",
    pictures: Any = None,
    background: Sequence[float] | None = None,
    height: int = 480,
    budget: int = BUDGET,
) -> SplatView:
    """Splats, to walk around in the browser; see :class:`SplatView` for what can be done with them.

    Args:
        splats: The key of an artifact (``demo/splats/trained``) or an opened one, a model, a splat
            file, or arrays by name; see :func:`notebooks.widgets.subject.subject`.
        cameras: Where they were seen from: cameras, views, or the key of a capture; None takes the
            capture of the scene that a key names.
        values: More quantities [N] to colour by, by name: NumPy, torch or xarray. Integers are
            labels, and get a colour each.
        color_by: The quantity to begin with: one of ``values``, ``opacity``, ``scale``; empty for
            the splats' own colours.
        pictures: Pictures of the cameras, for the strip below; None takes the views' own.
        background: RGB in [0, 1] behind the splats; None takes what is behind the photos of a
            capture that is named by a key or opened, else black.
        height: CSS pixels of the picture.
        budget: Bytes that may be sent to the browser. What does not fit is left out in the order
            of visibility: first the higher SH coefficients, then the faintest Gaussians; a line
            says so.

    Raises:
        InputError: Something has another form than it should.
    """
    given = subject(splats, cameras, pictures, background)
    return SplatView(
        given,
        values=values or {},
        color_by=color_by,
        height=height,
        budget=budget,
    )


class SplatView(BrowserWidget):
    """Splats drawn in the browser; made by :func:`view`.

    Drag to orbit, with shift to pan, wheel to zoom, double click to look at a point; the keys are
    listed behind the question mark. The cameras of the capture are drawn with their frames: a
    click on one, or on its picture below, goes there. What is drawn is the classic blending of
    3DGS, with view-dependent colour.
    """

    kind: ClassVar[str] = "splats"

    data = traitlets.Bytes().tag(sync=True)
    layout_of_data: traitlets.List = traitlets.List().tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    antialiased = traitlets.Bool(False).tag(sync=True)
    cameras: traitlets.List = traitlets.List(help="viewmat, K, width, height, name of each").tag(
        sync=True
    )
    up = traitlets.List(traitlets.Float()).tag(sync=True)
    focus_point = traitlets.List(traitlets.Float()).tag(sync=True)
    thumbnails: traitlets.Dict = traitlets.Dict(help="JPEG by index of the camera, once known").tag(
        sync=True
    )
    has_pictures = traitlets.Bool(False).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode(), help="quantities that are labels").tag(sync=True)
    color_maps: traitlets.Dict = traitlets.Dict(help="256 RGB bytes by name").tag(sync=True)
    color_by = traitlets.Unicode("", help="quantity shown; empty: colours").tag(sync=True)
    background = traitlets.List(traitlets.Float()).tag(sync=True)
    height = traitlets.Int(480).tag(sync=True)
    show_cameras = traitlets.Bool(True).tag(sync=True)
    view = traitlets.Int(-1, help="camera that is shown; -1: another pose").tag(sync=True)
    viewmat: traitlets.List = traitlets.List(help="16 numbers, world to camera").tag(sync=True)
    K: traitlets.List = traitlets.List(help="9 numbers, for the picture's size on the screen").tag(
        sync=True
    )
    size: traitlets.List = traitlets.List(help="width and height of the picture, pixels").tag(
        sync=True
    )

    def __init__(
        self,
        given: Subject,
        values: Mapping[str, Any],
        color_by: str,
        height: int,
        budget: int,
    ) -> None:
        """Pack what is to be sent; see :func:`view`."""
        columns = {str(name): as_array(value) for name, value in values.items()}
        known = ["", *columns, "opacity", "scale"]
        if color_by not in known:
            raise InputError(f"view: color_by should be one of {known[1:]}, found {color_by!r}")
        if not len(given.splats):
            raise InputError("view: there are no Gaussians to show")
        self.given = given
        packed = pack(given.splats, columns, budget)
        up, point = _stance(given.splats, given.cameras)
        super().__init__(
            data=packed.data,
            layout_of_data=packed.layout,
            notes=packed.notes,
            antialiased=given.mode == "antialiased",
            cameras=_described(given.cameras),
            up=up,
            focus_point=point,
            has_pictures=given.picture is not None,
            labels=[n for n, c in columns.items() if np.issubdtype(c.dtype, np.integer)],
            color_maps={name: _lut(name) for name in _MAPS},
            color_by=color_by,
            background=list(given.background),
            height=height,
            alt=f"{packed.count:,} Gaussians of {given.name}",
        )

    def camera(self) -> Cameras:
        """The camera of what is on the screen now, for rendering the same picture.

        Raises:
            InputError: Nothing has been drawn yet.
        """
        if not self.size:
            raise InputError("view: nothing has been drawn yet; show the widget first")
        width, height = self.size
        return Cameras(
            viewmats=torch.tensor(self.viewmat, dtype=torch.float32).reshape(1, 4, 4),
            Ks=torch.tensor(self.K, dtype=torch.float32).reshape(1, 3, 3),
            widths=(int(width),),
            heights=(int(height),),
            names=("view",),
        )

    def go_to(self, view: int | str) -> None:
        """Jump to a camera, by its index or its name.

        Raises:
            InputError: There is no such camera.
        """
        names = [camera["name"] for camera in self.cameras]
        index = names.index(view) if view in names else view
        if not isinstance(index, int) or not 0 <= index < len(names):
            raise InputError(f"view: expected a camera, 0 to {len(names) - 1}, found {view!r}")
        self.view = index

    def still(self) -> bytes:
        """The first picture, by the project's renderer."""
        cameras = self.given.cameras
        first = cameras[0] if cameras is not None and len(cameras) else _outside(self)
        width, height = first.widths[0], first.heights[0]
        scale = _STILL / max(width, height)  # splats have no pixels: small photos are enlarged
        first = first.resized([max(1, round(width * scale))], [max(1, round(height * scale))])
        mode: Any = self.given.mode
        with torch.inference_mode():
            seen = render(
                self.given.splats.to("cpu"),
                first.to("cpu"),
                RenderSettings(mode=mode),
                torch.tensor(self.background),
            )[0]
        return png((seen.colors.clamp(0, 1) * 255).round().byte().numpy())

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Send the thumbnails that the strip asks for."""
        if content.get("type") == "thumbnails" and self.given.picture is not None:
            wanted = [int(i) for i in content["views"] if 0 <= int(i) < len(self.cameras)]
            pictures = [_thumbnail(self.given.picture(i)) for i in wanted]
            self.send({"answers": content["id"], "views": wanted}, pictures)

    def complete(self) -> None:
        """Put all thumbnails into the page."""
        picture = self.given.picture
        if picture is not None:
            self.thumbnails = {str(i): _thumbnail(picture(i)) for i in range(len(self.cameras))}


def _stance(splats: Splats, cameras: Cameras | None) -> tuple[list[float], list[float]]:
    """Up, and the point to orbit about."""
    if cameras is not None and len(cameras):
        seen = focus(cameras)
        return seen.up.tolist(), seen.point.tolist()
    return [0.0, -1.0, 0.0], splats.means.median(dim=0).values.tolist()


def _outside(widget: SplatView) -> Cameras:
    """A camera from which most of the splats can be seen, as the browser begins without cameras."""
    means = widget.given.splats.means.detach().cpu().double()
    low, high = means.quantile(0.05, dim=0), means.quantile(0.95, dim=0)
    up = torch.tensor(widget.up, dtype=torch.float64)
    point = torch.tensor(widget.focus_point, dtype=torch.float64)
    axis = torch.zeros(3, dtype=torch.float64)
    axis[int(up.abs().argmin())] = 1
    level = torch.linalg.cross(axis, up)
    eye = point + (0.4 * up - level / level.norm()) * max(float((high - low).norm()), 1e-3) * 1.2
    f = 0.5 * _STILL / np.tan(np.pi / 8)
    K = torch.tensor([[f, 0, _STILL / 2], [0, f, _STILL / 2], [0, 0, 1]])
    viewmats = look_at(eye[None], point[None], up).float()
    size = (_STILL,)
    return Cameras(
        viewmats=viewmats, Ks=K[None].float(), widths=size, heights=size, names=("view",)
    )


def _described(cameras: Cameras | None) -> list[dict[str, Any]]:
    if cameras is None:
        return []
    return [
        {
            "viewmat": cameras.viewmats[i].double().flatten().tolist(),
            "K": cameras.Ks[i].double().flatten().tolist(),
            "width": cameras.widths[i],
            "height": cameras.heights[i],
            "name": cameras.names[i],
        }
        for i in range(len(cameras))
    ]


def _thumbnail(picture: np.ndarray) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    with io.BytesIO() as file:
        image.save(file, "JPEG", quality=80)
        return file.getvalue()


def _lut(name: str) -> bytes:
    """256 colours of a map, RGB bytes; a list of colours is repeated."""
    colours = mpl.colormaps[name]
    at = np.arange(256) % colours.N if colours.N < 256 else np.arange(256)
    return np.asarray(np.round(colours(at)[:, :3] * 255), np.uint8).tobytes()
