"""Photos of every kind become RGB of 8 bits, on the grid that is stored."""

import cv2
import numpy as np
import pycolmap
import pytest
from PIL import Image

from ops.capture.images import decode, decode_mask, photos_in, read_header, verify
from ops.errors import InputError

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def test_grey_palette_cmyk_and_16_bits_become_rgb(tmp_path):
    grey = Image.fromarray(RAMP)
    grey.save(tmp_path / "grey.png")
    grey.convert("P").save(tmp_path / "palette.png")
    Image.merge("CMYK", [Image.fromarray(255 - RAMP)] * 3 + [Image.new("L", (8, 6))]).save(
        tmp_path / "cmyk.tif"
    )
    cv2.imwrite(str(tmp_path / "deep.png"), RAMP.astype(np.uint16) * 256 + 77)
    cv2.imwrite(str(tmp_path / "deep_colour.png"), np.dstack([RAMP.astype(np.uint16) * 256] * 3))
    for name in ("grey.png", "palette.png", "cmyk.tif", "deep.png", "deep_colour.png"):
        rgb, alpha = decode(tmp_path / name)
        assert rgb.dtype == np.uint8
        assert alpha is None
        np.testing.assert_array_equal(rgb, np.repeat(RAMP[..., None], 3, axis=-1), err_msg=name)


def test_alpha_of_every_kind(tmp_path):
    rgba = Image.fromarray(np.dstack([RAMP, RAMP, RAMP, 255 - RAMP]), "RGBA")
    rgba.save(tmp_path / "rgba.png")
    rgba.convert("LA").save(tmp_path / "la.png")
    for name in ("rgba.png", "la.png"):
        assert read_header(tmp_path / name).has_alpha
        rgb, alpha = decode(tmp_path / name)
        np.testing.assert_array_equal(rgb[..., 0], RAMP)
        np.testing.assert_array_equal(alpha, 255 - RAMP)
    see_through = Image.fromarray(RAMP // 100).convert("P")
    see_through.save(tmp_path / "palette.png", transparency=0)
    np.testing.assert_array_equal(decode(tmp_path / "palette.png")[1] == 0, RAMP // 100 == 0)
    opaque = Image.new("RGBA", (4, 4), (1, 2, 3, 255))
    opaque.save(tmp_path / "opaque.png")
    assert verify([tmp_path / "rgba.png", tmp_path / "opaque.png"]) == [True, False]


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "radiance.tif")
    with pytest.raises(InputError, match="floating-point"):
        decode(tmp_path / "radiance.tif")


def test_exif_orientation_is_not_applied_by_us_nor_by_pycolmap(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    path = tmp_path / "phone.jpg"
    Image.fromarray(np.dstack([RAMP] * 3)).save(path, exif=exif, quality=100)
    header = read_header(path)
    assert (header.width, header.height, header.turned) == (8, 6, True)
    assert decode(path)[0].shape == (6, 8, 3)
    camera = pycolmap.infer_camera_from_image(path)
    assert (camera.width, camera.height) == (8, 6)


def test_masks_of_zeros_and_ones_are_stretched(tmp_path):
    Image.fromarray((RAMP > 100).astype(np.uint8)).save(tmp_path / "ones.png")
    Image.fromarray(RAMP).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(decode_mask(tmp_path / "ones.png"), (RAMP > 100) * 255)
    np.testing.assert_array_equal(decode_mask(tmp_path / "grey.png"), RAMP)


def test_folder_listing_takes_photos_only(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        Image.new("RGB", (4, 4)).save(tmp_path / name, format="PNG")
    assert [p.name for p in photos_in(tmp_path)] == ["a.png", "b.JPG"]
