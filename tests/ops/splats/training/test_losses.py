import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ops.splats.losses import photo_loss, photo_loss_gradient, regularisation
from ops.splats.ssim import compare


def reference(
    image: Tensor, target: Tensor, weights: Tensor | None, lam: float
) -> tuple[Tensor, Tensor]:
    """The loss as its definition reads: dense 11 x 11 window, float64, two variances."""
    keep = torch.ones(image.shape[:2], dtype=torch.float64) if weights is None else weights.double()
    g = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    dense = g[:, None] * g[None, :] / g.sum() ** 2
    channels = image.shape[-1]
    kernel = dense.expand(channels, 1, 11, 11)

    def blur(v: Tensor) -> Tensor:
        return conv2d(v[None], kernel, padding=5, groups=channels)[0]

    x, y = ((v * keep[..., None]).permute(2, 0, 1) for v in (image, target))
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4)
    ssim = ssim / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))
    counted = keep.sum() * channels
    loss = (1 - lam) * (x - y).abs().sum() / counted
    return loss + lam * (1 - (ssim * keep).sum() / counted), ((x - y) ** 2).sum() / counted


def pair(height: int, width: int, channels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, channels, generator=random)
    noise = 0.2 * torch.randn(height, width, channels, generator=random)
    return (target + noise).float(), target


@pytest.mark.parametrize("size", [(40, 53), (1, 1), (3, 20), (20, 3), (11, 16)])
@pytest.mark.parametrize("lam", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("path", ["compiled", "torch"])
def test_value_and_gradient_match_a_float64_reference(
    size: tuple[int, int], lam: float, masked: bool, path: str
) -> None:
    image, target = pair(*size)
    weights = None
    if masked:
        weights = (torch.rand(size, generator=torch.Generator().manual_seed(1)) > 0.3).float()
        weights[0, 0] = 1
    exact = image.double().requires_grad_()
    loss, mse = reference(exact, target.double(), weights, lam)
    loss.backward()
    assert exact.grad is not None

    dtype = torch.float32 if path == "compiled" else torch.float64
    tolerance = 2e-6 if path == "compiled" else 1e-12
    found_image = image.to(dtype).requires_grad_()
    found = photo_loss(found_image, target.to(dtype), weights, lam)
    (3 * found.loss).backward()
    assert found_image.grad is not None
    assert float(found.loss.detach()) == pytest.approx(float(loss.detach()), rel=tolerance)
    assert float(found.mse) == pytest.approx(float(mse.detach()), rel=tolerance)
    error = torch.linalg.vector_norm(found_image.grad.double() / 3 - exact.grad)
    assert error <= tolerance * torch.linalg.vector_norm(exact.grad)


def test_any_number_of_channels() -> None:
    for channels in (1, 4):
        image, target = pair(14, 17, channels)
        found = compare(image.numpy(), target.numpy(), None, 0.2)
        loss, _ = reference(image.double(), target.double(), None, 0.2)
        assert 0.8 * found.l1 + 0.2 * (1 - found.ssim) == pytest.approx(float(loss), rel=1e-6)


def test_equal_images_have_no_loss_and_no_gradient() -> None:
    image, _ = pair(20, 30)
    found = compare(image.numpy(), image.numpy(), None, 0.2)
    assert (found.l1, found.mse) == (0, 0)
    assert found.ssim == pytest.approx(1, abs=1e-6)
    assert np.abs(found.gradient).max() < 1e-7


def test_closed_form_for_two_flat_images() -> None:
    """Far from the border the window sees constants: SSIM is its luminance term."""
    a, b, size = 0.3, 0.7, 301
    image, target = np.full((size, size, 3), a, np.float32), np.full((size, size, 3), b, np.float32)
    weights = np.ones((size, size), np.float32)
    luminance = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    found = compare(image, target, weights, 1.0)
    middle = compare(image, target, weights, 0.0)
    assert middle.l1 == pytest.approx(b - a, rel=1e-6)
    assert middle.mse == pytest.approx((b - a) ** 2, rel=1e-6)
    # The border darkens both alike, so every pixel has nearly the middle's similarity.
    assert found.ssim == pytest.approx(luminance, abs=0.02)


def test_what_a_mask_hides_changes_nothing() -> None:
    image, target = pair(30, 30)
    weights = torch.ones(30, 30)
    weights[10:20, 5:25] = 0
    other, other_target = image.clone(), target.clone()
    other[10:20, 5:25] = torch.nan
    other_target[10:20, 5:25] = 100
    a = compare(image.numpy(), target.numpy(), weights.numpy(), 0.2)
    b = compare(other.numpy(), other_target.numpy(), weights.numpy(), 0.2)
    assert (a.l1, a.mse, a.ssim) == (b.l1, b.mse, b.ssim)
    np.testing.assert_array_equal(a.gradient, b.gradient)
    assert (a.gradient[10:20, 5:25] == 0).all()
    slow = photo_loss(other.double(), other_target.double(), weights, 0.2)
    assert float(slow.loss) == pytest.approx(0.8 * a.l1 + 0.2 * (1 - a.ssim), rel=1e-6)


def test_a_view_that_is_masked_altogether_has_no_loss() -> None:
    image, target = pair(8, 8)
    nothing = torch.zeros(8, 8)
    for dtype in (torch.float32, torch.float64):
        x = image.clone().to(dtype).requires_grad_()
        found = photo_loss(x, target.to(dtype), nothing)
        found.loss.backward()
        assert float(found.loss.detach()) == 0
        assert x.grad is not None
        assert (x.grad == 0).all()


def test_same_bytes_for_any_number_of_threads() -> None:
    image, target = pair(61, 47)
    weights = (torch.rand(61, 47, generator=torch.Generator().manual_seed(3)) > 0.1).float()
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(compare(image.numpy(), target.numpy(), weights.numpy(), 0.2))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert (other.l1, other.mse, other.ssim) == (found[0].l1, found[0].mse, found[0].ssim)
        assert other.gradient.tobytes() == found[0].gradient.tobytes()


def test_images_that_are_no_whole_block_of_memory() -> None:
    planar = torch.rand(3, 12, 32)
    image = planar.permute(1, 2, 0)[:, :29].requires_grad_()
    target = torch.rand(12, 29, 3)
    found = photo_loss(image, target)
    expected, _ = reference(image.detach().double(), target.double(), None, 0.2)
    assert float(found.loss.detach()) == pytest.approx(float(expected), rel=1e-6)


def test_psnr_is_that_of_the_mean_squared_error() -> None:
    image = torch.full((6, 6, 3), 0.6)
    assert photo_loss(image, torch.full((6, 6, 3), 0.5)).psnr == pytest.approx(20, abs=1e-4)
    assert photo_loss(image, image).psnr == 100


def test_regularisation_is_the_weighted_mean() -> None:
    logits = torch.tensor([0.0, torch.logit(torch.tensor(0.9)).item()])
    log_scales = torch.log(torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    assert regularisation(logits, log_scales, 0, 0) is None
    found = regularisation(logits, log_scales, 0.1, 0.01)
    assert found is not None
    assert float(found) == pytest.approx(0.1 * 0.7 + 0.01 * 3.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_without_a_graph(dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(8)
    image, target = (torch.rand(23, 31, 3, generator=g).to(dtype) for _ in range(2))
    weights = (torch.rand(23, 31, generator=g) > 0.3).float()
    leaf = image.clone().requires_grad_()
    expected = photo_loss(leaf, target, weights, 0.3)
    expected.loss.backward()
    found, gradient = photo_loss_gradient(image, target, weights, 0.3)
    assert torch.equal(found.loss, expected.loss.detach())
    assert found.psnr == expected.psnr
    assert leaf.grad is not None
    assert torch.equal(gradient, leaf.grad)
