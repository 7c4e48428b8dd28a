"""Pictures keep their values on the way to the browser."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from notebooks.widgets.rasters import (
    MAPS,
    Raster,
    as_raster,
    difference,
    encoded,
    mapped,
    painted,
    shrunk,
    table,
    tables,
)
from ops.errors import InputError

BYTES = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
DEPTH = np.random.default_rng(1).normal(3, 1, (5, 7)).astype(np.float32)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (BYTES, BYTES),
        (torch.from_numpy(BYTES), BYTES),
        (np.moveaxis(BYTES, -1, 0), BYTES),
        (xr.DataArray(DEPTH, dims=("y", "x")), DEPTH),
        (DEPTH[..., None], DEPTH),
        (DEPTH[None].astype(np.float16), DEPTH.astype(np.float16)),
        (DEPTH.astype(np.float64), DEPTH),
        (torch.from_numpy(DEPTH).bfloat16(), torch.from_numpy(DEPTH).bfloat16().float().numpy()),
        (DEPTH > 3, (DEPTH > 3) * np.uint8(255)),
        (np.array([[2**24, -5]], np.int64), np.array([[2**24, -5]], np.float32)),
        (BYTES[..., 0], BYTES[..., 0]),
    ],
)
def test_values_stay_what_they_are(picture: Any, expected: np.ndarray) -> None:
    raster = as_raster(picture)
    assert raster.values.dtype == expected.dtype
    np.testing.assert_array_equal(raster.values, expected)
    assert (raster.height, raster.width) == expected.shape[:2]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((5, 6, 7)), r"found shape \(5, 6, 7\)"),
        (np.zeros((0, 5)), r"at least one pixel, found shape \(0, 5\)"),
        (np.array([[2**24 + 1]]), "integers up to 16777216"),
        (np.zeros((4, 5, 3), np.int32), "found int32; divide"),
        (np.array([["a"]]), "expected real numbers, found <U1"),
        (np.zeros((2, 2), np.complex64), "expected real numbers, found complex64"),
    ],
)
def test_other_forms_are_refused(picture: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_raster(picture)


@pytest.mark.parametrize("values", [BYTES, BYTES[..., 0], DEPTH, DEPTH.astype(np.float16)])
def test_bytes_hold_the_values(values: np.ndarray) -> None:
    about, data = encoded(Raster(values))
    assert (about["width"], about["height"]) == (7, 5)
    if about["format"] == "png":
        found = np.asarray(Image.open(io.BytesIO(data)))
    else:
        found = np.frombuffer(data, {"f16": "<f2", "f32": "<f4"}[about["format"]]).reshape(5, 7)
    np.testing.assert_array_equal(found, values)
    assert about["channels"] == (3 if values.ndim == 3 else 1)


def test_shrunk_pixels_are_means_of_blocks() -> None:
    small = shrunk(Raster(DEPTH), 3).values
    assert small.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        block = DEPTH[3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
        assert small[i, j] == pytest.approx(block.astype(np.float64).mean(), rel=1e-6)
    whole = shrunk(Raster(BYTES), 2).values
    assert whole.dtype == np.uint8
    mean = BYTES[:2, :2].astype(float).mean((0, 1))
    assert (abs(whole[0, 0] - mean) <= 0.5).all()
    assert shrunk(Raster(BYTES), 1).values is BYTES


@given(arrays(np.uint8, (2, 4, 3, 3)), st.booleans())
def test_differences_of_colours(pair: np.ndarray, signed: bool) -> None:
    a, b = pair.astype(np.float64) / 255
    expected = (b - a if signed else abs(b - a)).mean(-1)
    found = difference(Raster(pair[0]), Raster(pair[1]), signed)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    as_floats = difference(Raster(a.astype(np.float32)), Raster(pair[1]), signed)
    np.testing.assert_allclose(as_floats, expected, atol=1e-7)


def test_differences_need_one_size_and_kind() -> None:
    with pytest.raises(InputError, match="found 7 x 5 colours and 7 x 5 data"):
        difference(Raster(BYTES), Raster(DEPTH))
    with pytest.raises(InputError, match="7 x 4 data"):
        difference(Raster(DEPTH), Raster(DEPTH[:4]))


def test_colour_maps_are_those_of_matplotlib() -> None:
    import matplotlib as mpl

    data = np.linspace(-1, 3, 999)[None]
    low, high = 0.0, 2.0
    reference = mpl.colormaps["magma"]((data - low) / (high - low))[..., :3]
    np.testing.assert_array_equal(mapped(data, low, high, "magma"), np.round(reference * 255))
    assert (mapped(np.array([[np.nan]]), 0, 1, "magma") == 255).all()
    assert len(tables()) == len(MAPS) * 768
    grey = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(painted(Raster(grey), 0, 255, "gray")[..., 0], grey)
    np.testing.assert_array_equal(table("gray")[:, 1], np.arange(256))
