"""Between our arrays and those of the gsply library, which packs and unpacks splats."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.splats.files.model import Floats, SplatArrays


def to_gsply(arrays: SplatArrays) -> Any:
    """Our arrays as gsply's container, with values as 3DGS PLY files store them."""
    import gsply

    quats = arrays.quats.astype(np.float64)
    lengths = np.linalg.norm(quats, axis=1, keepdims=True)
    identity = np.array([1.0, 0, 0, 0])  # packing needs unit quaternions; 0 has no direction
    unit = np.where(lengths > 0, quats / np.where(lengths > 0, lengths, 1), identity)
    return gsply.GSData.from_arrays(
        means=np.ascontiguousarray(arrays.means),
        scales=np.ascontiguousarray(arrays.log_scales),
        quats=unit.astype(np.float32),
        opacities=np.ascontiguousarray(arrays.opacity_logits),
        sh0=np.ascontiguousarray(arrays.sh0),
        shN=np.ascontiguousarray(arrays.shN) if arrays.shN.shape[1] else None,
        format="ply",
    )


def from_gsply(data: Any) -> SplatArrays:
    """gsply's container as our arrays."""

    def array(values: Any) -> Floats:
        return np.ascontiguousarray(values, np.float32)

    count = len(data.means)
    higher = np.empty((count, 0, 3), np.float32)
    if data.shN is not None and data.shN.size:
        higher = array(data.shN).reshape(count, -1, 3)
    return SplatArrays(
        means=array(data.means),
        quats=array(data.quats),
        log_scales=array(data.scales),
        opacity_logits=array(data.opacities).reshape(-1),
        sh0=array(data.sh0).reshape(count, 3),
        shN=higher,
    )
