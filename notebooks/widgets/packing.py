"""Splats as few bytes, the most visible first, for drawing in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from notebooks.pixels import as_array
from ops.errors import InputError
from ops.splats.model import Splats

BUDGET = 64_000_000  # bytes of one model
_BASE = 34  # bytes of a Gaussian without higher SH: float32 means, float16 of eleven numbers
_COEFFICIENTS = {0: 0, 1: 3, 2: 8, 3: 15}


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A model for the browser: arrays one after the other in one run of bytes."""

    data: bytes
    layout: list[dict[str, Any]]  # name, dtype, shape, offset of each array
    count: int  # Gaussians in it
    sh_degree: int
    notes: list[str]  # what was left out, in words
    order: np.ndarray  # [count] int64, the row of the model that each is


def importance(splats: Splats) -> torch.Tensor:
    """[N] how much a Gaussian is seen: opacity times the area of its largest ellipse."""
    scales = splats.scales.sort(dim=1).values
    return splats.opacities * scales[:, 1] * scales[:, 2]


def pack(
    splats: Splats, values: Mapping[str, np.ndarray] | None = None, budget: int = BUDGET
) -> Packed:
    """The most visible Gaussians first, in half precision but for the means.

    The degree of the spherical harmonics is the highest with which all Gaussians fit into the
    budget; where they do not fit at degree 0, the least visible are left out. Higher coefficients
    are bytes, scaled by the largest of their Gaussian. A Gaussian with a number that is not finite,
    or a quaternion of 0, is left out, as the renderer does not draw it.

    Args:
        splats: N Gaussians.
        values: Quantities [N] to colour by.
        budget: Bytes that the model may take.

    Raises:
        InputError: A quantity of another length.
    """
    n = len(splats)
    values = {name: _column(name, value, n) for name, value in (values or {}).items()}
    splats = splats.detach().to("cpu", torch.float32)
    drawable = _drawable(splats)
    order = torch.argsort(importance(splats), descending=True, stable=True)
    order = order[drawable[order]]
    notes = []
    if len(order) < n:
        notes.append(f"{n - len(order):,} Gaussians that are not finite are not drawn")
    each = _BASE + 2 * len(values)
    degree = splats.sh_degree
    while degree and len(order) * (each + 3 * _COEFFICIENTS[degree] + 2) > budget:
        degree -= 1
    fit = max(budget // each, 1)
    if degree < splats.sh_degree:
        notes.append(f"drawn with SH degree {degree} of {splats.sh_degree}")
    if len(order) > fit:
        notes.append(f"the {fit:,} most visible of {len(order):,} Gaussians are drawn")
        order = order[:fit]
    arrays = _arrays(splats.select(order), degree)
    rows = order.numpy()
    for name, value in values.items():
        arrays[f"value:{name}"] = value[rows].astype(np.float16)
    data, layout = _joined(arrays)
    return Packed(
        data=data, layout=layout, count=len(rows), sh_degree=degree, notes=notes, order=rows
    )


def _column(name: str, value: Any, n: int) -> np.ndarray:
    column = as_array(value)
    if column.shape != (n,):
        raise InputError(
            f"view: the quantity {name!r} should have shape ({n},), one number per Gaussian, "
            f"found {column.shape}"
        )
    return column.astype(np.float32)


def _drawable(splats: Splats) -> torch.Tensor:
    """[N] bool."""
    good = splats.quats.abs().sum(1) > 0
    for name, tensor in splats.tensors().items():
        if name != "features":
            good &= tensor.isfinite().reshape(len(splats), -1).all(1)
    return good


def _arrays(splats: Splats, degree: int) -> dict[str, np.ndarray]:
    half = {
        "quats": torch.nn.functional.normalize(splats.quats, dim=1),
        "log_scales": splats.log_scales,
        "opacity_logits": splats.opacity_logits.clamp(-60, 60),
        "sh0": splats.sh0[:, 0],
    }
    arrays = {"means": splats.means.numpy()}
    arrays |= {name: tensor.numpy().astype(np.float16) for name, tensor in half.items()}
    if degree:
        shN = splats.shN[:, : _COEFFICIENTS[degree]].reshape(len(splats), -1)
        largest = shN.abs().amax(1).clamp(min=1e-8, max=6e4)
        # float16 first, so that the browser scales by the very number that is sent
        scale = largest.numpy().astype(np.float16)
        step = np.maximum(scale.astype(np.float32), 1e-7)[:, None] / 127
        arrays["shN_scale"] = scale
        arrays["shN"] = np.clip(np.rint(shN.numpy() / step), -127, 127).astype(np.int8)
    return arrays


def _joined(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, list[dict[str, Any]]]:
    layout, parts, offset = [], [], 0
    for name, array in arrays.items():
        part = np.ascontiguousarray(array).tobytes()
        layout.append(
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": offset}
        )
        padding = -len(part) % 4
        parts.append(part + b"\0" * padding)
        offset += len(part) + padding
    return b"".join(parts), layout
