"""What a splat file holds besides its splats, and how arrays of a file become splats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.errors import InputError
from ops.splats.model import Splats

Floats = NDArray[np.float32]
REST_COUNTS = {0: 0, 3: 1, 8: 2, 15: 3}  # coefficients above the constant one -> SH degree


@dataclass(frozen=True, kw_only=True)
class SplatFileMetadata:
    """What a file says of itself, and what reading or writing it changed."""

    format: str
    """``ply``, ``compressed.ply``, ``splat``, ``spz``, ``ksplat`` or ``glb``."""
    version: str = ""
    """Version and encoding in the format's own words; empty where the format has none."""
    antialiased: bool | None = None
    """True: made for antialiased rendering, and looks wrong without it. None: not said."""
    comments: tuple[str, ...] = ()
    """Comment lines, as they stand in the file."""
    dropped: int = 0
    """Splats left out because one of their values is NaN or infinite."""
    notes: tuple[str, ...] = ()
    """What a user should know, one sentence each: axes, precision, what was left out."""

    def with_notes(self, *notes: str) -> SplatFileMetadata:
        """The same metadata with further notes."""
        return replace(self, notes=self.notes + notes)


@dataclass(frozen=True, kw_only=True)
class SplatFile:
    """Splats as a file holds them, in the axes of 3DGS PLY files (those of their cameras)."""

    splats: Splats
    metadata: SplatFileMetadata


@dataclass(frozen=True, kw_only=True)
class SplatArrays:
    """The parameters of :class:`~ops.splats.model.Splats` as numpy arrays, float32."""

    means: Floats  # [N, 3]
    quats: Floats  # [N, 4] wxyz
    log_scales: Floats  # [N, 3]
    opacity_logits: Floats  # [N]
    sh0: Floats  # [N, 3]
    shN: Floats = field(default_factory=lambda: np.empty((0, 0, 3), np.float32))  # [N, K - 1, 3]

    def __len__(self) -> int:
        return len(self.means)


def arrays_of(splats: Splats) -> tuple[SplatArrays, int, tuple[str, ...]]:
    """Splats as float32 arrays, ready to be written.

    Returns:
        The finite splats, how many were left out because they are not finite, and notes about
        what a file cannot hold.
    """

    def array(tensor: Tensor) -> Floats:
        return tensor.detach().to("cpu", torch.float32).contiguous().numpy()

    arrays = SplatArrays(
        means=array(splats.means),
        quats=array(splats.quats),
        log_scales=array(splats.log_scales),
        opacity_logits=array(splats.opacity_logits),
        sh0=array(splats.sh0)[:, 0],
        shN=array(splats.shN),
    )
    arrays, dropped = finite(arrays)
    notes = drop_notes(dropped)
    if splats.features is not None:
        notes += (f"The {splats.features.shape[1]} feature channels are not part of the format.",)
    return arrays, dropped, notes


def finite(arrays: SplatArrays) -> tuple[SplatArrays, int]:
    """The splats whose values are all finite, and how many are not."""
    columns = (
        arrays.means,
        arrays.quats,
        arrays.log_scales,
        arrays.opacity_logits[:, None],
        arrays.sh0,
        arrays.shN.reshape(len(arrays), -1),
    )
    good = np.ones(len(arrays), bool)
    for column in columns:
        good &= np.isfinite(column).all(axis=1)
    dropped = int(len(arrays) - good.sum())
    if dropped == 0:
        return arrays, 0
    return SplatArrays(
        means=arrays.means[good],
        quats=arrays.quats[good],
        log_scales=arrays.log_scales[good],
        opacity_logits=arrays.opacity_logits[good],
        sh0=arrays.sh0[good],
        shN=arrays.shN[good],
    ), dropped


def drop_notes(dropped: int) -> tuple[str, ...]:
    """The note that says how many splats are not finite."""
    if dropped == 0:
        return ()
    return (f"{dropped} splats were left out because they hold NaN or infinite values.",)


def splat_file(arrays: SplatArrays, metadata: SplatFileMetadata) -> SplatFile:
    """A file's arrays as splats; those that are not finite are left out, and counted.

    Raises:
        InputError: No finite splat remains.
    """
    found = len(arrays)
    arrays, dropped = finite(arrays)
    if len(arrays) == 0:
        raise InputError(
            f"expected at least one splat with finite values, found {found} splats, {dropped} of "
            "them with NaN or infinite values; export the model again"
        )
    splats = Splats(
        means=torch.from_numpy(np.ascontiguousarray(arrays.means)),
        quats=torch.from_numpy(np.ascontiguousarray(arrays.quats)),
        log_scales=torch.from_numpy(np.ascontiguousarray(arrays.log_scales)),
        opacity_logits=torch.from_numpy(np.ascontiguousarray(arrays.opacity_logits)),
        sh0=torch.from_numpy(np.ascontiguousarray(arrays.sh0[:, None])),
        shN=torch.from_numpy(np.ascontiguousarray(arrays.shN.reshape(len(arrays), -1, 3))),
    )
    metadata = replace(metadata, dropped=dropped).with_notes(*drop_notes(dropped))
    return SplatFile(splats=splats, metadata=metadata)


def logit_of_byte(alpha: NDArray[np.uint8]) -> Floats:
    """Opacity logits of opacities stored as 0 to 255; the ends stay finite (1e-6 from 0 and 1)."""
    opacity = np.clip(alpha.astype(np.float64) / 255, 1e-6, 1 - 1e-6)
    return (np.log(opacity) - np.log1p(-opacity)).astype(np.float32)


def log_of_scale(scales: NDArray[np.floating]) -> Floats:
    """Logs of linear scales; 0 becomes 1e-10 (a flat splat), a negative scale NaN (dropped)."""
    wide = scales.astype(np.float64)
    logs = np.log(np.maximum(wide, 1e-10))
    return np.where(wide < 0, np.nan, logs).astype(np.float32)
