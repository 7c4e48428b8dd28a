"""Pictures of any kind become the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from notebooks.pixels import as_pixels, png, webp
from ops.errors import InputError

BYTES = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        BYTES,
        torch.from_numpy(BYTES),
        xr.DataArray(BYTES, dims=("y", "x", "rgb")),
        BYTES / 255,
        (BYTES / 255).astype(np.float32),
        torch.from_numpy(BYTES / 255).requires_grad_(),
        np.moveaxis(BYTES, -1, 0),
        np.dstack([BYTES, np.full((5, 7), 255, np.uint8)]),
    ],
    ids=["numpy", "torch", "xarray", "float64", "float32", "grad", "channels-first", "opaque"],
)
def test_all_kinds_give_the_same_pixels(picture: object) -> None:
    np.testing.assert_array_equal(as_pixels(picture), BYTES)


def test_grey_and_masks_become_grey() -> None:
    np.testing.assert_array_equal(as_pixels(BYTES[..., 0]), np.repeat(BYTES[..., :1], 3, -1))
    mask = BYTES[..., 0] > 100
    np.testing.assert_array_equal(as_pixels(mask)[..., 1], np.where(mask, 255, 0))


def test_values_outside_are_cut_and_nan_is_black() -> None:
    pixels = as_pixels(np.array([[-1.0, 0.5, 2.0, np.nan, np.inf]]))
    assert pixels[0, :, 0].tolist() == [0, 128, 255, 0, 255]


def test_alpha_is_put_on_white() -> None:
    picture = np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    assert as_pixels(picture)[0].tolist() == [[255, 255, 255], [10, 20, 30]]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((5, 6, 7)), r"found shape \(5, 6, 7\)"),
        (np.zeros((2, 4, 5, 3)), r"found shape \(2, 4, 5, 3\)"),
        (np.zeros((0, 5, 3)), r"found shape \(0, 5, 3\)"),
        (np.zeros((4, 5), np.int64), "found int64; divide by its largest value"),
    ],
)
def test_other_forms_are_refused(picture: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_pixels(picture)


def test_png_is_exact_and_webp_holds_all_frames() -> None:
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(BYTES)))), BYTES)
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (0, 120, 240)]
    film = Image.open(io.BytesIO(webp(frames, 10)))
    assert (film.n_frames, film.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
    film.seek(2)
    assert abs(int(np.asarray(film.convert("RGB")).mean()) - 240) < 3
