"""What a user hands to a widget, as the project's own types: splats, cameras, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from notebooks.film import backdrop
from notebooks.pixels import as_array, as_pixels
from ops.cameras import Cameras
from ops.errors import InputError
from ops.splats.model import Splats, rgb_to_sh0

_SUFFIXES = {".ply", ".splat", ".spz", ".ksplat", ".glb"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Splats to look at, and where they were seen from."""

    splats: Splats
    mode: str  # classic or antialiased
    name: str
    cameras: Cameras | None = None
    picture: Callable[[int], np.ndarray] | None = None  # [H, W, 3] uint8 of a camera
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)  # RGB behind the splats


def subject(
    splats: Any,
    cameras: Any = None,
    pictures: Any = None,
    background: Sequence[float] | None = None,
) -> Subject:
    """What is meant by the arguments of :func:`notebooks.view` and its like.

    Args:
        splats: :class:`Splats`; the key of an artifact (``demo/splats/trained``) or an opened one;
            a splat file; or a mapping (or xarray Dataset) of arrays by name: ``means`` [N, 3],
            ``quats`` [N, 4] wxyz, ``scales`` or ``log_scales`` [N, 3], ``opacities`` or
            ``opacity_logits`` [N], and ``sh0`` [N, 1, 3] with ``shN`` [N, K - 1, 3], or ``colors``
            [N, 3] in [0, 1].
        cameras: :class:`Cameras`, stored views, the key of a capture or an opened one; None takes
            those of the scene that a key belongs to.
        pictures: Pictures of the cameras: a list, [C, H, W, 3], or a function of the index; None
            takes those of the views.

    Raises:
        InputError: It is none of these, or arrays are missing or of other shapes.
    """
    name, tree = "splats", None
    if isinstance(splats, str | Path) and Path(splats).suffix.lower() not in _SUFFIXES:
        name = str(splats)
        if cameras is None:
            cameras = capture_of(name)
    model, tree = _splats(splats)
    mode = "classic"
    if tree is not None:
        from assets.bridge.splats import render_mode

        mode = render_mode(tree)
    if isinstance(cameras, str):
        cameras = opened(cameras)
    seen, picture = _views(cameras)
    if pictures is not None:
        picture = pictures if callable(pictures) else pictures.__getitem__
    shown = None if picture is None else (lambda i, of=picture: as_pixels(of(i)))
    return Subject(
        splats=model,
        mode=mode,
        name=name,
        cameras=seen,
        picture=shown,
        background=behind(background, cameras),
    )


def behind(background: Sequence[float] | None, capture: Any) -> tuple[float, float, float]:
    """What is behind splats: as given, else as behind the photos of an opened capture, or black.

    Raises:
        InputError: It is not three numbers.
    """
    import xarray as xr

    if background is None:
        return backdrop(capture) if isinstance(capture, xr.DataTree) else (0.0, 0.0, 0.0)
    if len(background) != 3:
        raise InputError(f"background: expected three numbers, found {background!r}")
    red, green, blue = map(float, background)
    return red, green, blue


def _splats(given: Any) -> tuple[Splats, Any]:
    """Splats, and the artifact they are from where they are from one."""
    import xarray as xr

    if isinstance(given, Splats):
        return given, None
    if isinstance(given, str | Path):
        if Path(given).suffix.lower() in _SUFFIXES:
            from ops.splats.files.dispatch import read_splats

            return read_splats(given).splats, None
        from notebooks.artifacts import open_artifact

        return _splats(open_artifact(str(given)))
    if isinstance(given, xr.DataTree):
        if "splats" not in given.children:
            raise InputError(
                f"splats: expected an artifact with splats, found one with {sorted(given.children)}"
            )
        from assets.bridge.splats import splats_from

        return splats_from(given), given
    if isinstance(given, xr.Dataset):
        return from_arrays({str(k): v for k, v in given.data_vars.items()}), None
    if isinstance(given, Mapping):
        return from_arrays(given), None
    raise InputError(
        "splats: expected a model, the key of an artifact, a splat file or arrays by name, "
        f"found {type(given).__name__}"
    )


def from_arrays(arrays: Mapping[str, Any]) -> Splats:
    """Splats of arrays by name; see :func:`subject`.

    Raises:
        InputError: One is missing, there are both forms of one, or shapes do not fit.
    """
    found = {str(name): torch.from_numpy(as_array(value).copy()) for name, value in arrays.items()}

    def one_of(*names: str) -> str:
        there = [name for name in names if name in found]
        if len(there) != 1:
            raise InputError(
                f"splats: expected one of {' and '.join(names)} among the arrays, found "
                f"{', '.join(there) or 'none'}; there are {', '.join(sorted(found)) or 'none'}"
            )
        return there[0]

    for name in ("means", "quats"):
        one_of(name)
    scales, opacities = one_of("log_scales", "scales"), one_of("opacity_logits", "opacities")
    colours = one_of("sh0", "colors")
    n = len(found["means"])
    sh0 = found[colours].float()
    return Splats(
        means=found["means"].float(),
        quats=found["quats"].float(),
        log_scales=found[scales].float() if scales == "log_scales" else found[scales].float().log(),
        opacity_logits=found[opacities].float()
        if opacities == "opacity_logits"
        else torch.logit(found[opacities].float(), eps=1e-6),
        sh0=rgb_to_sh0(sh0).reshape(-1, 1, 3) if colours == "colors" else sh0.reshape(-1, 1, 3),
        shN=found["shN"].float() if "shN" in found else torch.zeros(n, 0, 3),
    )


def opened(given: Any) -> Any:
    """A key as the artifact, a splat file or arrays of splats by name as a model; others as given.

    Raises:
        InputError, ArtifactNotFoundError: As :func:`notebooks.artifacts.open_artifact`.
    """
    import xarray as xr

    if isinstance(given, str | Path):
        if Path(given).suffix.lower() in _SUFFIXES:
            return _splats(given)[0]
        from notebooks.artifacts import open_artifact

        return open_artifact(str(given))
    arrays = isinstance(given, Mapping) and not isinstance(given, xr.DataTree)
    return _splats(given)[0] if arrays and "means" in given else given


def held_out_cameras(capture: Any) -> Cameras | None:
    """Those of an opened capture (all, where none is held out); None of None."""
    from assets.bridge.views import StoredViews

    if capture is None:
        return None
    views = StoredViews(capture)
    held_out = [i for i, split in enumerate(views.splits) if split == "test"]
    return views.cameras[held_out] if held_out else views.cameras


def capture_of(key: str) -> Any:
    """The opened capture of the scene of an artifact; None where it has none."""
    from notebooks.artifacts import open_artifact
    from storage.errors import ArtifactNotFoundError

    try:
        return open_artifact(f"{key.split('/')[0]}/capture/views")
    except (InputError, ArtifactNotFoundError):
        return None


def cameras_of(given: Any) -> Cameras | None:
    """The cameras of what :func:`subject` takes for cameras.

    Raises:
        InputError: It has none.
    """
    return _views(given)[0]


def _views(given: Any) -> tuple[Cameras | None, Callable[[int], Any] | None]:
    """Cameras, and their pictures by index where there are any."""
    import xarray as xr

    if given is None:
        return None, None
    if isinstance(given, str):
        from notebooks.artifacts import open_artifact

        given = open_artifact(given)
    if isinstance(given, xr.DataTree):
        from assets.bridge.views import StoredViews, cameras_from

        if "cameras" not in given.children:
            raise InputError(
                f"cameras: expected an artifact with cameras, found one with "
                f"{sorted(given.children)}"
            )
        if "images" not in given.children:
            return cameras_from(given), None
        given = StoredViews(given)
    cameras = getattr(given, "cameras", given)
    if isinstance(cameras, Cameras):
        picture = getattr(given, "image", None)
        return cameras, picture if callable(picture) else None
    raise InputError(
        "cameras: expected ops.cameras.Cameras, views of a capture (open_views) or the key of "
        f"one, found {type(given).__name__}"
    )
