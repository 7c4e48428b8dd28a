"""PSNR and SSIM against closed forms and independent implementations; weights that are absent."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity
from torch import Tensor

from ops.errors import InputError
from ops.evaluation import weights
from ops.evaluation.metrics import load, psnr, ssim, unavailable, wanted
from ops.evaluation.protocols import protocol
from ops.evaluation.settings import EvaluationSettings


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(5)
    truth = ndimage.gaussian_filter(rng.random((40, 53, 3)), (2, 2, 0))
    image = np.clip(truth + 0.05 * rng.normal(size=truth.shape), 0, 1)
    return torch.from_numpy(image), torch.from_numpy(truth)


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "hub"


def test_psnr_of_a_known_error() -> None:
    truth = torch.full((4, 5, 3), 0.5)
    assert psnr(truth + 0.1, truth) == pytest.approx(20, abs=1e-5)
    assert psnr(truth, truth) == math.inf
    mask = torch.zeros(4, 5, dtype=torch.bool)
    assert math.isnan(psnr(truth, truth, mask))
    mask[1, 2] = True
    image = truth + 0.3
    image[1, 2] = 0.51
    assert psnr(image, truth, mask) == pytest.approx(40, abs=1e-4)


def test_ssim_where_the_window_fits(pair: tuple[Tensor, Tensor]) -> None:
    image, truth = pair
    expected = structural_similarity(
        image.numpy(),
        truth.numpy(),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )  # skimage crops five pixels, which is what "valid" is
    assert ssim(image, truth, padding="valid") == pytest.approx(expected, abs=1e-12)


def brute_force(image: Tensor, truth: Tensor, mask: Tensor | None) -> float:
    """SSIM pixel by pixel, as its definition reads, with zeros outside."""
    x, y = image.numpy(), truth.numpy()
    keep = np.ones(x.shape[:2], bool) if mask is None else mask.numpy()
    x, y = x * keep[..., None], y * keep[..., None]
    line = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(line, line)[..., None] / line.sum() ** 2
    x, y = (np.pad(v, ((5, 5), (5, 5), (0, 0))) for v in (x, y))
    values = []
    for r, c in zip(*np.nonzero(keep), strict=True):
        a, b = x[r : r + 11, c : c + 11], y[r : r + 11, c : c + 11]
        ma, mb = (window * a).sum((0, 1)), (window * b).sum((0, 1))
        va, vb = (window * a * a).sum((0, 1)) - ma**2, (window * b * b).sum((0, 1)) - mb**2
        cov = (window * a * b).sum((0, 1)) - ma * mb
        top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
        values.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(values))


@pytest.mark.parametrize("masked", [False, True])
def test_ssim_with_zeros_outside(pair: tuple[Tensor, Tensor], masked: bool) -> None:
    image, truth = (v[:17, :19] for v in pair)
    mask = torch.rand(17, 19, generator=torch.Generator().manual_seed(1)) > 0.3 if masked else None
    assert ssim(image, truth, mask) == pytest.approx(brute_force(image, truth, mask), abs=1e-12)


def test_ssim_is_that_of_training(pair: tuple[Tensor, Tensor]) -> None:
    from ops.splats.ssim import compare

    image, truth = (v.numpy().astype(np.float32) for v in pair)
    assert ssim(torch.from_numpy(image), torch.from_numpy(truth)) == pytest.approx(
        compare(image, truth, None, 0.2).ssim, abs=1e-5
    )


def test_what_lies_under_a_mask_does_not_matter(pair: tuple[Tensor, Tensor]) -> None:
    image, truth = pair
    mask = torch.ones(40, 53, dtype=torch.bool)
    mask[10:20, 5:30] = False
    other = image.clone()
    other[10:20, 5:30] = torch.nan
    assert psnr(other, truth, mask) == psnr(image, truth, mask)
    for padding in ("zero", "valid"):
        value = ssim(other, truth, mask, padding=padding)
        assert value == ssim(image, truth, mask, padding=padding)
        assert value < 1
    assert ssim(truth, truth, mask) == 1
    assert math.isnan(ssim(truth, truth, torch.zeros_like(mask)))


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="of one size"):
        psnr(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
    with pytest.raises(InputError, match="at least 11 x 11 pixels, found 20 x 10"):
        ssim(torch.zeros(10, 20, 3), torch.zeros(10, 20, 3), padding="valid")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("splatworks", ["psnr", "ssim", "lpips_alex[-1,1]", "lpips_vgg[-1,1]"]),
        ("graphdeco", ["psnr", "ssim", "lpips_vgg[0,1]"]),
        ("gsplat", ["psnr", "ssim", "lpips_alex[-1,1]"]),
        ("nerfbaselines", ["psnr", "ssim", "lpips_alex[-1,1]", "lpips_vgg[-1,1]"]),
    ],
)
def test_protocols_name_their_metrics(name: str, keys: list[str]) -> None:
    settings = EvaluationSettings(protocol=name, no_reference=())  # type: ignore[arg-type]
    assert [spec.key for spec in wanted(settings)] == keys
    assert protocol(name).details()["id"] == name


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="one of splatworks, graphdeco, gsplat, nerfbaselines"):
        protocol("mine")
    bad = EvaluationSettings(no_reference=("beauty",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no_reference should hold some of niqe"):
        wanted(bad)


def test_absent_weights_are_listed_without_touching_the_network(empty_hub: Path) -> None:
    settings = EvaluationSettings()
    sentences = unavailable(settings)
    assert list(sentences) == ["lpips_alex[-1,1]", "lpips_vgg[-1,1]", "niqe", "brisque"]
    alex = sentences["lpips_alex[-1,1]"]
    assert "python -m ops.evaluation.weights lpips_alex" in alex
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth (233 MB)" in alex
    assert str(empty_hub / "checkpoints" / "alexnet-owt-7be5be79.pth") in alex
    ready, absent = load(settings, [(64, 48)], torch.device("cpu"))
    assert [spec.key for spec, _ in ready] == ["psnr", "ssim", "piqe"]
    assert absent == sentences


def test_views_that_are_too_small(empty_hub: Path) -> None:
    folder = empty_hub / "pyiqa"
    folder.mkdir(parents=True)
    (folder / "niqe_modelparameters.mat").write_bytes(b"")
    settings = EvaluationSettings(metrics=(), no_reference=("niqe", "piqe"))
    sentences = unavailable(settings, [(300, 300), (12, 300)])
    assert "at least 96 x 192 pixels, found a view of 12 x 300" in sentences["niqe"]
    assert "at least 16 x 16 pixels" in sentences["piqe"]


def test_the_command_that_the_sentence_names() -> None:
    command = [sys.executable, "-m", "ops.evaluation.weights"]
    root = Path(__file__).parents[3]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert run.returncode == 2
    for name in weights.FILES:
        assert name in run.stderr
    run = subprocess.run([*command, "psnr"], capture_output=True, text=True, cwd=root, check=False)
    assert run.returncode == 2
    assert "expected one of lpips_alex" in run.stderr


def test_settings_are_light() -> None:
    code = (
        "import sys, ops.evaluation.settings, ops.evaluation.protocols; "
        "print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert run.stdout.strip() == "[]"
