"""Cameras and prepared photos of a stored capture as files for other tools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from assets.bridge.views import StoredViews
from ops.cameras import Cameras
from ops.capture.writers import write_colmap, write_transforms
from ops.errors import InputError

CameraLayout = Literal["transforms", "colmap"]


def write_cameras(folder: Path, tree: xr.DataTree, layout: CameraLayout) -> list[Path]:
    """Write the cameras of a capture: ``transforms.json``, or a COLMAP model in ``sparse/0``.

    Names are those of the prepared views: ``.png`` files, as :func:`write_photos` writes them.
    """
    views = StoredViews(tree)
    cameras = _with_png_names(views)
    if layout == "transforms":
        folder.mkdir(parents=True, exist_ok=True)
        return [write_transforms(folder, cameras, splits=views.splits)]
    model = folder / "sparse" / "0"
    model.mkdir(parents=True, exist_ok=True)
    return write_colmap(model, cameras)


def write_photos(folder: Path, tree: xr.DataTree) -> list[Path]:
    """Write the prepared photos as PNG files, with alpha where the capture has it.

    Raises:
        InputError: A view is named so that its file would be outside the folder.
    """
    from PIL import Image

    views = StoredViews(tree)
    written = []
    for i, name in enumerate(_with_png_names(views).names):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"view {name!r}: its file would be outside {folder}")
        image, alpha = views.image(i).numpy(), views.alpha(i)
        pixels = image if alpha is None else np.dstack([image, alpha.numpy()])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        written.append(path)
    return written


def _with_png_names(views: StoredViews) -> Cameras:
    names = [f"images/{name.removeprefix('images/')}" for name in views.cameras.names]
    names = [str(Path(name).with_suffix(".png").as_posix()) for name in names]
    if len(set(names)) < len(names):  # a.jpg beside a.png
        names = [f"{name}.png" for name in views.cameras.names]
    return replace(views.cameras, names=tuple(names))
