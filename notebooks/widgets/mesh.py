"""A viewer for meshes, drawn by the browser: baked colours as they are, light, normals, lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import traitlets

from notebooks.meshes.files import read_mesh
from notebooks.meshes.part import Part, extent, make_part
from notebooks.meshes.picture import picture
from notebooks.pixels import png
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.subject import cameras_of
from notebooks.widgets.viewpoint import camera_rows, outlook, pose_of
from ops.errors import InputError

SHADINGS = {
    "colors": "colours",
    "lit": "lit",
    "normals": "normals",
    "checker": "texture coordinates",
    "none": "lines only",
}
BACKGROUNDS = {"dark": (27, 30, 35), "light": (246, 247, 248)}
_STILL = (720, 480)  # pixels of the first picture


class MeshView(BrowserWidget):
    """Made by :func:`view_mesh`; what is seen can be read and set from Python."""

    kind: ClassVar[str] = "mesh"

    shading = traitlets.Enum(list(SHADINGS), "colors").tag(sync=True)
    wireframe = traitlets.Bool(False).tag(sync=True)
    background = traitlets.Enum(list(BACKGROUNDS), "dark").tag(sync=True)
    view = traitlets.Int(-1, help="camera of the capture that is shown; -1: another").tag(sync=True)
    _viewmat: Any = traitlets.List().tag(sync=True)
    _parts: Any = traitlets.List().tag(sync=True)
    _cameras: Any = traitlets.List().tag(sync=True)
    _start = traitlets.Dict().tag(sync=True)
    _shadings = traitlets.Dict(SHADINGS).tag(sync=True)
    _backgrounds = traitlets.Dict(BACKGROUNDS).tag(sync=True)

    def __init__(self, parts: Sequence[Part], start: dict[str, Any], **traits: Any) -> None:
        self._mesh = list(parts)
        center, radius = extent(parts)
        start = {**start, "center": center.tolist(), "radius": radius}
        rows = [_row(part) for part in parts]
        super().__init__(_parts=rows, _start=start, **traits)

    @property
    def viewmat(self) -> np.ndarray | None:
        """[4, 4] float64, world to camera with OpenCV axes, where the browser looks from.

        None before one has shown the widget.
        """
        return np.array(self._viewmat, np.float64).reshape(4, 4) if self._viewmat else None

    def still(self) -> bytes | None:
        """The mesh from where the viewer stands at first."""
        start, (width, height) = self._start, _STILL
        viewmat, K = pose_of(start, width, height)
        if self.view >= 0:
            row = self._cameras[self.view]
            width, height = _STILL[0], round(_STILL[0] * row["height"] / row["width"])
            K = np.array(row["K"]).reshape(3, 3)
            K[0] *= width / row["width"]
            K[1] *= height / row["height"]
            viewmat = np.array(row["viewmat"]).reshape(4, 4)
        return png(picture(self._mesh, viewmat, K, width, height, BACKGROUNDS[self.background]))


def view_mesh(
    mesh: Any,
    faces: Any = None,
    *,
    colors: Any = None,
    normals: Any = None,
    uv: Any = None,
    texture: Any = None,
    uv_origin: str = "bottom",
    cameras: Any = None,
    view: int = -1,
    up: Sequence[float] | None = None,
    shading: str = "colors",
    wireframe: bool = False,
    background: str = "dark",
) -> MeshView:
    """A mesh to look at from everywhere; the browser draws it, so no kernel is needed.

    Colours of vertices and textures are shown as they are, without light: what was baked is what is
    seen. Both sides of a face are drawn.

    Args:
        mesh: The path of a glb, ply or obj file; the bytes of one; vertices [V, 3] (NumPy or torch)
            with ``faces``; or an object that has ``vertices`` and ``faces``.
        faces: [F, 3] integers, with vertices.
        colors: [V, 3] of the vertices, uint8 or floats in [0, 1], sRGB.
        normals: [V, 3]; None for the mean of the faces that meet in a place.
        uv: [V, 2] coordinates in the texture.
        texture: A picture, sRGB, see :func:`notebooks.pixels.as_pixels`.
        uv_origin: Where (0, 0) lies in the texture: its ``bottom`` left corner as in OBJ files, or
            its ``top`` left one as in glTF.
        cameras: Of a capture whose world the mesh is in, or its views: where to jump with N and P.
        view: The camera to start at; -1 for a view from outside.
        up: Away from the ground; None is what the cameras say, and +y without cameras.
        shading: ``colors``, ``lit``, ``normals``, ``checker`` (texture coordinates), ``none``.
        wireframe: Draw the edges of faces, too.
        background: ``dark`` or ``light``.

    Returns:
        The widget. ``widget.viewmat`` is where the browser looks from; ``widget.view = 3`` jumps.

    Raises:
        InputError: The file or the arrays are no mesh.
    """
    given = {"colors": colors, "normals": normals, "uv": uv, "texture": texture}
    if uv_origin not in ("bottom", "top"):
        raise InputError(f"uv_origin: expected 'bottom' or 'top', found {uv_origin!r}")
    for name, value, known in (
        ("shading", shading, SHADINGS),
        ("background", background, BACKGROUNDS),
    ):
        if value not in known:
            raise InputError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    parts = _parts(mesh, faces, given, uv_origin)
    if shading == "checker" and all(p.uv is None for p in parts):
        raise InputError("shading: 'checker' needs texture coordinates, and this mesh has none")
    found = cameras_of(cameras)
    vertices, triangles = sum(len(p.vertices) for p in parts), sum(len(p.faces) for p in parts)
    if up is None and (found is None or not len(found)):
        up = (0.0, 1.0, 0.0)
    start = outlook(np.concatenate([p.vertices for p in parts]), found, view, up)
    return MeshView(
        parts,
        start,
        _cameras=camera_rows(found),
        view=view,
        shading=shading,
        wireframe=wireframe,
        background=background,
        alt=f"a mesh of {vertices:,} vertices and {triangles:,} faces",
    )


def _parts(mesh: Any, faces: Any, given: Mapping[str, Any], uv_origin: str) -> list[Part]:
    """The parts of whatever ``view_mesh`` was given."""
    if isinstance(mesh, str | Path | bytes):
        if faces is not None or any(v is not None for v in given.values()):
            raise InputError("mesh: a file has its own faces and colours; leave the others out")
        return read_mesh(mesh)
    own = {"colors": ("colors", "vertex_colors"), "uv": ("uv",), "texture": ("texture",)}
    arrays = dict(given)
    if faces is None:
        if not (hasattr(mesh, "vertices") and hasattr(mesh, "faces")):
            raise InputError(
                "mesh: expected a file, vertices with faces, or an object that has both, found "
                f"{type(mesh).__name__}"
            )
        for name, choices in own.items():
            held = (getattr(mesh, c, None) for c in choices)
            if arrays[name] is None:
                arrays[name] = next((h for h in held if h is not None), None)
        mesh, faces = mesh.vertices, mesh.faces
    part = make_part(mesh, faces, **arrays)
    if part.uv is not None and uv_origin == "bottom":
        flipped = np.stack([part.uv[:, 0], 1 - part.uv[:, 1]], 1).astype(np.float32)
        part = replace(part, uv=flipped)
    return [part]


def _row(part: Part) -> dict[str, Any]:
    """A part as the browser takes it."""
    return {
        "vertices": part.vertices.tobytes(),
        "faces": part.faces.astype("<u4").tobytes(),
        "normals": part.normals.tobytes(),
        "colors": None if part.colors is None else part.colors.tobytes(),
        "uv": None if part.uv is None else part.uv.tobytes(),
        "texture": part.texture,
        "repeats": part.repeats,
        "factor": list(part.factor),
        "cutoff": part.cutoff,
    }
