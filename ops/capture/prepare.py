"""From a dataset to views that can be trained on: undistorted, scaled, split; decoded lazily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from ops.cameras import Cameras, invert_rigid
from ops.capture.images import decode, decode_mask, verify
from ops.capture.model import Array, Dataset, Frame, Intrinsics
from ops.capture.settings import CaptureSettings
from ops.capture.splits import assign_splits
from ops.capture.undistort import Undistortion, undistorted, undistortion
from ops.errors import InputError
from ops.progress import Progress, silent

SMALLEST = 8  # pixels; a shorter side is no photo any more
FAR_OFF = 1e4  # spreads of the cameras; float32 then keeps few digits of what they look at


@dataclass(frozen=True)
class _Decoded:
    index: int
    image: Tensor
    alpha: Tensor | None
    mask: Tensor | None


class PreparedViews:
    """The views of a capture, as :class:`ops.capture.model.Views` describes them.

    A photo is decoded, undistorted and shrunk when it is asked for; one is kept at a time. Where
    any photo has alpha (or any has a mask), all views answer with one, full where theirs has none.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: CaptureSettings,
        has_alpha: Sequence[bool],
    ) -> None:
        """Use :func:`prepare`, which checks the photos first."""
        self.dataset = dataset
        self.settings = settings
        self.splits, self.protocol = assign_splits(dataset.frames, settings.split)
        self._has_alpha = tuple(has_alpha)
        self._alpha_known = any(has_alpha) or settings.masks == "object"
        self._masked = settings.masks == "exclude" and any(
            f.mask_path is not None for f in dataset.frames
        )
        self.cameras = _cameras(dataset.frames, settings)
        self.notes = _notes(dataset, self)
        self._latest: _Decoded | None = None
        self._undistortion: tuple[Intrinsics, Undistortion | None] | None = None

    def __len__(self) -> int:
        return len(self.dataset.frames)

    def image(self, index: int) -> Tensor:
        """[H, W, 3] uint8 sRGB, not premultiplied; 0 where alpha is 0 after filtering.

        Raises:
            InputError: The photo cannot be decoded any more.
        """
        return self._view(index).image

    def alpha(self, index: int) -> Tensor | None:
        """[H, W] uint8 coverage by the object; None where no photo of the capture has alpha."""
        return self._view(index).alpha if self._alpha_known else None

    def mask(self, index: int) -> Tensor | None:
        """[H, W] uint8, 255 where every photo pixel that counts into a pixel may be used, else 0;
        None where the capture has no masks or they are used otherwise."""
        return self._view(index).mask if self._masked else None

    def at_size(self, downscale: int, max_size: int) -> PreparedViews:
        """The same views at another size, without checking the photos again."""
        settings = replace(self.settings, downscale=downscale, max_size=max_size)
        return PreparedViews(self.dataset, settings, self._has_alpha)

    def record(self) -> dict[str, object]:
        """What was done to the photos, in plain JSON types.

        Intrinsics are those stated for the photos, those after undistortion, and those of the
        prepared views, once for each distinct camera, with the positions of its views.
        """
        lenses: dict[Intrinsics, list[int]] = {}
        for i, frame in enumerate(self.dataset.frames):
            lenses.setdefault(_stated(frame), []).append(i)
        return {
            "layout": self.dataset.layout,
            "downscale": self.settings.downscale,
            "max_size": self.settings.max_size,
            "filter": "area (mean of the sRGB values that a pixel covers)",
            "undistortion": "largest rectangle inside the photo, linear interpolation",
            "masks": self.settings.masks,
            "split": self.protocol,
            "world": "as in the dataset: not moved, turned or scaled",
            "missing": list(self.dataset.missing),
            "lenses": [
                {
                    "photo": _plain(lens),
                    "undistorted": _plain(undistorted(lens)),
                    "prepared": _plain(_scaled(undistorted(lens), self.settings)),
                    "views": views,
                }
                for lens, views in lenses.items()
            ],
        }

    def _view(self, index: int) -> _Decoded:
        index = range(len(self))[index]
        latest = self._latest
        if latest is None or latest.index != index:
            latest = self._latest = self._prepare(index)
        return latest

    def _prepare(self, index: int) -> _Decoded:
        frame = self.dataset.frames[index]
        rgb, alpha = decode(frame.image_path)
        lens = _stated(frame)
        if rgb.shape[:2] != (lens.height, lens.width):
            raise InputError(
                f"{frame.image_path}: expected {lens.width}x{lens.height} pixels as when the "
                f"folder was read, found {rgb.shape[1]}x{rgb.shape[0]}. The photo was changed "
                "since; read the folder again."
            )
        stored_mask = None if frame.mask_path is None else decode_mask(frame.mask_path)
        if self.settings.masks == "object" and stored_mask is not None:
            product = stored_mask.astype(np.uint16) * (255 if alpha is None else alpha) + 127
            alpha = (product // 255).astype(np.uint8)
        if self._alpha_known and alpha is None:
            alpha = np.full(rgb.shape[:2], 255, np.uint8)
        if not self._alpha_known:
            alpha = None
        mask = None
        if self._masked:
            usable = np.ones(rgb.shape[:2], bool) if stored_mask is None else stored_mask > 0
            mask = np.where(usable, 255, 0).astype(np.uint8)
        remap = self._undistortion_of(lens)
        if remap is not None:
            mask = None if mask is None else remap.apply_mask(mask)
        scaled = _scaled(undistorted(lens), self.settings)
        rgb, alpha = _resample(rgb, alpha, remap, (scaled.width, scaled.height))
        if mask is not None and mask.shape != rgb.shape[:2]:
            kept = cv2.resize(mask.astype(np.float32), rgb.shape[1::-1], interpolation=_AREA)
            mask = np.where(kept > 254.9, 255, 0).astype(np.uint8)
        return _Decoded(
            index,
            torch.from_numpy(rgb),
            None if alpha is None else torch.from_numpy(alpha),
            None if mask is None else torch.from_numpy(mask),
        )

    def _undistortion_of(self, lens: Intrinsics) -> Undistortion | None:
        """Its maps are as large as photos, so only the latest are kept."""
        if self._undistortion is None or self._undistortion[0] != lens:
            self._undistortion = (lens, undistortion(lens))
        return self._undistortion[1]


_AREA = cv2.INTER_AREA


def prepare(
    dataset: Dataset, settings: CaptureSettings, progress: Progress = silent
) -> PreparedViews:
    """Check every photo and make views of a dataset.

    Sizes are ``round(size / factor)`` with one factor per photo, the larger of ``downscale`` and
    what ``max_size`` asks for; intrinsics scale with the true ratio of the sizes, axis by axis.

    Args:
        dataset: With cameras; photos without get theirs from ``ops.capture.structure``.
        settings: How.
        progress: Told once per photo while photos are checked.

    Raises:
        InputError: The dataset has no cameras, a photo or mask is damaged (all are named),
            nothing is left to train on, or a setting makes no sense.
    """
    if settings.downscale < 1 or settings.max_size < 0:
        raise InputError(
            "expected downscale to be a whole number of at least 1 and max_size to be 0 or more, "
            f"found {settings.downscale} and {settings.max_size}"
        )
    unposed = [f.name for f in dataset.frames if f.intrinsics is None or f.camtoworld is None]
    if unposed:
        raise InputError(
            f"{dataset.root}: {len(unposed)} photos have no camera ({unposed[0]}). "
            "Cameras have to be found from the photos first (structure from motion)."
        )
    if settings.masks == "object":
        bare = [f.name for f in dataset.frames if f.mask_path is None]
        if bare:
            raise InputError(
                f'masks = "object" needs a mask for every photo; {len(bare)} of '
                f"{len(dataset.frames)} have none ({', '.join(bare[:3])}). "
                'Add them, or set masks to "exclude" or "none".'
            )
    for frame in dataset.frames:
        undistorted(_stated(frame))
    used = settings.masks != "none"
    masks = [f.mask_path for f in dataset.frames if f.mask_path is not None and used]
    photos = [f.image_path for f in dataset.frames]
    see_through = verify([*photos, *masks], progress)
    return PreparedViews(dataset, settings, see_through[: len(photos)])


def _stated(frame: Frame) -> Intrinsics:
    if frame.intrinsics is None:
        raise InputError(f"{frame.name}: the photo has no camera")
    return frame.intrinsics


def _scaled(lens: Intrinsics, settings: CaptureSettings) -> Intrinsics:
    """A pinhole for the prepared size."""
    w, h = lens.width, lens.height
    factor = float(settings.downscale)
    if settings.max_size:
        factor = max(factor, max(w, h) / settings.max_size)
    width, height = round(w / factor), round(h / factor)
    if min(width, height) < SMALLEST:
        raise InputError(
            f"photos of {w}x{h} would shrink to {width}x{height}; expected at least {SMALLEST} "
            "pixels on each side. Lower downscale or raise max_size."
        )
    sx, sy = width / w, height / h
    return replace(
        lens,
        width=width,
        height=height,
        fx=lens.fx * sx,
        fy=lens.fy * sy,
        cx=lens.cx * sx,
        cy=lens.cy * sy,
    )


def _cameras(frames: Sequence[Frame], settings: CaptureSettings) -> Cameras:
    lenses = [_scaled(undistorted(_stated(f)), settings) for f in frames]
    camtoworlds = torch.from_numpy(np.stack([np.asarray(f.camtoworld) for f in frames]))
    Ks = [[[i.fx, 0, i.cx], [0, i.fy, i.cy], [0, 0, 1]] for i in lenses]
    times = [f.time for f in frames if f.time is not None]
    return Cameras(
        viewmats=invert_rigid(camtoworlds).float(),
        Ks=torch.tensor(Ks, dtype=torch.float64).float(),
        widths=tuple(i.width for i in lenses),
        heights=tuple(i.height for i in lenses),
        names=tuple(f.name for f in frames),
        times=tuple(times) if len(times) == len(frames) else None,
    )


def _resample(
    rgb: Array, alpha: Array | None, remap: Undistortion | None, size: tuple[int, int]
) -> tuple[Array, Array | None]:
    """Undistort and shrink; colour is weighted by alpha, so that what is hidden never shows."""
    if remap is None and rgb.shape[1::-1] == size:
        return rgb, alpha
    if alpha is None:
        out = rgb if remap is None else remap.apply(rgb)
        return _shrink(out, size), None
    weight = alpha.astype(np.float32) / 255
    layers = np.dstack([rgb * weight[..., None], weight])
    if remap is not None:
        layers = remap.apply(layers)
    layers = _shrink(layers, size)
    weight = np.clip(layers[..., 3], 0, 1)
    colour = layers[..., :3] / np.maximum(weight, 1e-6)[..., None]
    out = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    out[weight < 0.5 / 255] = 0
    return out, np.rint(weight * 255).astype(np.uint8)


def _shrink(image: Array, size: tuple[int, int]) -> Array:
    if image.shape[1::-1] == size:
        return image
    return cv2.resize(image, size, interpolation=_AREA)


def _notes(dataset: Dataset, views: PreparedViews) -> tuple[str, ...]:
    notes = list(dataset.notes)
    bare = sum(f.mask_path is None for f in dataset.frames)
    if views.settings.masks == "exclude" and 0 < bare < len(views):
        notes.append(f"{bare} photos have no mask; all of their pixels count")
    centres = np.stack([np.asarray(f.camtoworld)[:3, 3] for f in dataset.frames])
    spread = np.abs(centres - centres.mean(axis=0)).max()
    if len(views) > 1 and np.abs(centres).max() > FAR_OFF * spread:
        notes.append(
            "the cameras stand far from the origin compared to their spread, which costs "
            "precision; a dataset moved to the origin would train better"
        )
    if "test" not in views.splits:
        notes.append("no view is held out, so nothing tells how well new views are rendered")
    return tuple(notes)


def _plain(lens: Intrinsics) -> dict[str, object]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(lens).items()}
