import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import InputError
from ops.mipmap.resample import area_average, bicubic, quantise, shrink


def ramp(width: int, height: int) -> torch.Tensor:
    """x + 3 y at pixel centres, in units of the whole image's size."""
    x = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    y = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    return (x[None] + 3 * y[:, None])[..., None].repeat(1, 1, 3).float()


@pytest.mark.parametrize("how", ["area", "bilinear"])
@pytest.mark.parametrize("size", [(24, 16), (12, 8), (6, 4), (31, 17)])
def test_constants_and_ramps_stay_when_shrinking(how: str, size: tuple[int, int]) -> None:
    width, height = size
    flat = shrink(torch.full((32, 48, 3), 0.3), width, height, how)  # type: ignore[arg-type]
    torch.testing.assert_close(flat, torch.full((height, width, 3), 0.3))
    if how == "area" and 48 % width:
        return  # parts of pixels are counted as plain, so a ramp gets steps
    found = shrink(ramp(48, 32), width, height, how)  # type: ignore[arg-type]
    torch.testing.assert_close(found, ramp(width, height), rtol=0, atol=2e-6)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_constants_and_ramps_stay_when_enlarging(factor: int) -> None:
    width, height = 12 * factor, 8 * factor
    flat = bicubic(torch.full((8, 12, 3), 0.3), width, height)
    torch.testing.assert_close(flat, torch.full((height, width, 3), 0.3))
    found, inner = bicubic(ramp(12, 8), width, height), 2 * factor
    inside = (slice(inner, -inner), slice(inner, -inner))
    torch.testing.assert_close(found[inside], ramp(width, height)[inside], rtol=0, atol=2e-6)


def blocks(image: torch.Tensor, factor: int) -> torch.Tensor:
    h, w, c = image.shape
    return image.reshape(h // factor, factor, w // factor, factor, c).mean(dim=(1, 3))


def test_area_is_the_mean_and_bilinear_is_that_at_one_half_only() -> None:
    image = torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(1))
    for factor in (2, 4, 8):
        width, height = 48 // factor, 32 // factor
        torch.testing.assert_close(shrink(image, width, height), blocks(image, factor))
    torch.testing.assert_close(shrink(image, 24, 16, "bilinear"), blocks(image, 2))
    quarter = shrink(image, 12, 8, "bilinear")
    assert (quarter - blocks(image, 4)).abs().max() > 0.1
    # It is the mean of the middle 2 x 2 of every 4 x 4 pixels.
    middle = image.reshape(8, 4, 12, 4, 3)[:, 1:3, :, 1:3].mean(dim=(1, 3))
    torch.testing.assert_close(quarter, middle)
    theirs = cv2.resize(image.numpy(), (12, 8))
    np.testing.assert_array_equal(quarter.numpy(), theirs)


@pytest.mark.parametrize("size", [(24, 16), (6, 4), (31, 17), (48, 32), (7, 32)])
def test_the_area_average_that_gradients_pass_is_the_same(size: tuple[int, int]) -> None:
    image = torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(area_average(image, *size), shrink(image, *size))
    leaf = image[:6, :9].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: area_average(x, 4, 3), (leaf,))


def covered(size: int, small: int) -> np.ndarray:
    """[small, size] the share of each new pixel that an old one covers."""
    edges = np.arange(small + 1) * size / small
    old = np.arange(size)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.clip(overlap, 0, None) * small / size


@settings(max_examples=60)
@given(st.data(), *[st.integers(1, 40)] * 2)
def test_the_area_average_is_that_of_the_covered_pixels(
    data: st.DataObject, height: int, width: int
) -> None:
    new_height, new_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    image = np.random.default_rng(height * 41 + width).random((height, width, 3), np.float32)
    rows, columns = covered(height, new_height), covered(width, new_width)
    expected = np.einsum("yY,xX,YXc->yxc", rows, columns, image.astype(np.float64))
    leaf = torch.from_numpy(image).requires_grad_()
    found = area_average(leaf, new_width, new_height)
    assert found.is_contiguous()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=2e-6)
    weights = np.random.default_rng(5).random(expected.shape, np.float32)
    (found * torch.from_numpy(weights)).sum().backward()  # type: ignore[no-untyped-call]
    back = np.einsum("yY,xX,yxc->YXc", rows, columns, weights.astype(np.float64))
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad.numpy(), back, rtol=0, atol=2e-6)


def test_wrong_sizes_and_filters_are_refused() -> None:
    image = torch.zeros(8, 12, 3)
    with pytest.raises(InputError, match="a size up to 12 x 8"):
        shrink(image, 13, 8)
    with pytest.raises(InputError, match="a size of at least 12 x 8"):
        bicubic(image, 11, 8)
    with pytest.raises(InputError, match="area or bilinear"):
        shrink(image, 6, 4, "lanczos")  # type: ignore[arg-type]


def test_bytes_are_rounded_halves_up() -> None:
    values = torch.tensor([-1.0, 0.0, 0.5 / 255, 0.49 / 255, 1.0, 7.0])
    assert quantise(values).tolist() == [0, 0, 1, 0, 255, 255]
