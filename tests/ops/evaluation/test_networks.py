"""Metrics with weights, exercised with small files that the tests make themselves."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torch import Tensor

from ops.errors import UnavailableError
from ops.evaluation import weights
from ops.evaluation.metrics import load
from ops.evaluation.no_reference import load_no_reference
from ops.evaluation.perceptual import load_lpips
from ops.evaluation.settings import EvaluationSettings

CPU = torch.device("cpu")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    for folder in ("checkpoints", "pyiqa"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def alexnet() -> dict[str, Tensor]:
    """The features of a random AlexNet, with the names torchvision's file has."""
    from torchvision.models import alexnet as build

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        shapes = {k: v.shape for k, v in build(weights=None).features.state_dict().items()}
    g = torch.Generator().manual_seed(0)
    return {f"features.{k}": 0.05 * torch.randn(s, generator=g) for k, s in shapes.items()}


def accept(monkeypatch: pytest.MonkeyPatch, metric: str) -> Path:
    """Let a test's own file pass as the published one."""
    file = weights.FILES[metric]
    made = replace(file, sha256=weights.sha256(file.path)[:8])
    monkeypatch.setitem(weights.FILES, metric, made)
    return file.path


def images(side: int = 64) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(3)
    truth = torch.rand(side, side, 3, generator=g)
    return (truth + 0.1 * torch.randn(side, side, 3, generator=g)).clamp(0, 1), truth


def test_lpips_with_weights_of_our_own(
    hub: Path, alexnet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(alexnet, hub / "checkpoints" / "alexnet-owt-7be5be79.pth")
    accept(monkeypatch, "lpips_alex")
    before = torch.get_rng_state()
    scaled = load_lpips("alex", "[-1,1]", CPU)
    assert torch.equal(torch.get_rng_state(), before)
    plain = load_lpips("alex", "[0,1]", CPU)
    image, truth = images()
    assert scaled(truth, truth) == 0
    assert scaled(image, truth) > 0
    # What the range means: feeding x in [-1,1] is feeding 2x - 1 as it is.
    assert scaled(image, truth) == pytest.approx(plain(2 * image - 1, 2 * truth - 1), abs=1e-6)
    assert scaled(image, truth) != plain(image, truth)

    # The same number by hand, from the weights of the file and the package's linear layers.
    import lpips

    heads = torch.load(
        Path(lpips.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu", weights_only=True
    )
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(x: Tensor) -> list[Tensor]:
        F = torch.nn.functional
        h = (((2 * x - 1) - shift) / scale).permute(2, 0, 1)[None]
        out = []
        layers: list[tuple[int, dict[str, Any]]] = [
            (0, {"stride": 4, "padding": 2}),
            (3, {"padding": 2}),
            (6, {"padding": 1}),
            (8, {"padding": 1}),
            (10, {"padding": 1}),
        ]
        for number, how in layers:
            if number in (3, 6):
                h = F.max_pool2d(h, 3, 2)
            w, b = (alexnet[f"features.{number}.{k}"] for k in ("weight", "bias"))
            h = F.relu(F.conv2d(h, w, b, **how))
            out.append(h / (h.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))
        return out

    total = 0.0
    for i, (a, b) in enumerate(zip(features(image), features(truth), strict=True)):
        head = heads[f"lin{i}.model.1.weight"]
        total += float(((a - b) ** 2 * head.flatten()[None, :, None, None]).sum(1).mean())
    assert scaled(image, truth) == pytest.approx(total, rel=1e-4, abs=2e-6)


def test_lpips_masks_and_the_table(
    hub: Path, alexnet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(alexnet, hub / "checkpoints" / "alexnet-owt-7be5be79.pth")
    accept(monkeypatch, "lpips_alex")
    settings = EvaluationSettings(metrics=("lpips",), lpips_nets=("alex",), no_reference=())
    ((spec, score),), absent = load(settings, [(64, 64)], CPU)
    assert (spec.key, spec.net, spec.input_range) == ("lpips_alex[-1,1]", "alex", "[-1,1]")
    assert absent == {}
    image, truth = images()
    half = torch.arange(64)[:, None].expand(64, 64) < 32
    assert 0 < score(image, truth, half) < score(image, truth, None)
    assert score(image, truth, torch.zeros(64, 64, dtype=torch.bool)) == 0


def test_wrong_weights_are_refused(
    hub: Path, alexnet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hub / "checkpoints" / "alexnet-owt-7be5be79.pth"
    torch.save(alexnet, path)
    with pytest.raises(UnavailableError, match="sha256 should begin with 7be5be79, found"):
        load_lpips("alex", "[-1,1]", CPU)

    partial = {k: v for k, v in alexnet.items() if k != "features.6.bias"}
    torch.save(partial, path)
    accept(monkeypatch, "lpips_alex")
    with pytest.raises(UnavailableError, match=r"of another shape: features\.6\.bias"):
        load_lpips("alex", "[-1,1]", CPU)

    torch.save({**alexnet, "features.0.bias": torch.zeros(3)}, path)
    accept(monkeypatch, "lpips_alex")
    with pytest.raises(UnavailableError, match=r"of another shape: features\.0\.bias"):
        load_lpips("alex", "[-1,1]", CPU)

    path.write_bytes(path.read_bytes()[:1000])
    accept(monkeypatch, "lpips_alex")
    with pytest.raises(UnavailableError, match="damaged or holds more than tensors"):
        load_lpips("alex", "[-1,1]", CPU)

    # The evaluation goes on without the metric, and says why.
    settings = EvaluationSettings(metrics=("psnr", "lpips"), lpips_nets=("alex",), no_reference=())
    ready, absent = load(settings, [(64, 64)], CPU)
    assert [spec.key for spec, _ in ready] == ["psnr"]
    assert "delete it and run 'python -m" in absent["lpips_alex[-1,1]"]


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


def test_code_inside_weights_does_not_run(hub: Path, tmp_path: Path) -> None:
    torch.save(
        (Trap(str(tmp_path / "sprung")), torch.zeros(1)),
        hub / "pyiqa" / ("brisque_svm_weights.pth"),
    )
    with pytest.raises(UnavailableError, match="holds more than tensors, and was not read"):
        load_no_reference("brisque", CPU)
    assert not (tmp_path / "sprung").exists()


def test_pictures_scored_at_once_are_not_mixed_up(hub: Path) -> None:
    score = load_no_reference("piqe", CPU)
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(12, 3, 6, 8, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bilinear")
    noise = 0.2 * torch.rand(12, 3, 48, 64, generator=random)
    pictures = list((0.8 * smooth + noise).permute(0, 2, 3, 1))
    alone = [score(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert list(pool.map(score, pictures)) == alone


def test_piqe_needs_no_weights(hub: Path) -> None:
    score = load_no_reference("piqe", CPU)
    noisy, _ = images(128)
    ramp = torch.linspace(0, 1, 128)[:, None, None].expand(128, 128, 3)
    assert 0 <= score(ramp) <= 100
    assert score(noisy) == score(noisy)


def test_niqe_with_a_model_of_our_own(hub: Path) -> None:
    """The path is real: features far from the model score worse."""
    path = hub / "pyiqa" / "niqe_modelparameters.mat"
    image, _ = images(200)

    def score(mean: float) -> float:
        model = {"mu_prisparam": np.full((1, 36), mean), "cov_prisparam": np.eye(36)}
        scipy.io.savemat(path, model)
        return load_no_reference("niqe", CPU)(image)

    assert score(1.0) < score(10.0)
    scipy.io.savemat(path, {"something": np.eye(3)})
    with pytest.raises(UnavailableError, match="niqe: pyiqa cannot use"):
        load_no_reference("niqe", CPU)


def test_brisque_with_vectors_of_our_own(hub: Path) -> None:
    """Without support the score is the offset of the published machine, 153.591; with it, more."""
    path = hub / "pyiqa" / "brisque_svm_weights.pth"
    image, _ = images(64)
    vectors = torch.rand(5, 36, generator=torch.Generator().manual_seed(1))
    torch.save((torch.zeros(5), vectors), path)
    assert load_no_reference("brisque", CPU)(image) == pytest.approx(153.591, abs=1e-4)
    torch.save((torch.ones(5), vectors), path)
    assert 153.591 < load_no_reference("brisque", CPU)(image) < 158.591
    torch.save((torch.ones(4), vectors), path)
    with pytest.raises(UnavailableError, match="brisque: pyiqa cannot use"):
        load_no_reference("brisque", CPU)


def test_metaiqa_insists_on_every_weight(hub: Path) -> None:
    from pyiqa.archs.metaiqa_arch import MetaIQA

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = MetaIQA(pretrained=False).eval()
    state = {k: v for k, v in net.state_dict().items() if k not in ("mean", "std")}
    published = {
        k.replace("head.", "net.") if k.startswith("head.") else k: v for k, v in state.items()
    }
    path = hub / "pyiqa" / "Metaiqa_prior.pth"
    torch.save(published, path)
    image, _ = images(64)
    with torch.no_grad():
        expected = float(net(image.permute(2, 0, 1)[None]))
    assert load_no_reference("metaiqa_prior", CPU)(image) == pytest.approx(expected, abs=1e-5)

    published.pop("net.fc2.bias")
    torch.save({"params": published}, path)
    with pytest.raises(UnavailableError, match=r"metaiqa_prior: .*head\.fc2\.bias"):
        load_no_reference("metaiqa_prior", CPU)


def test_loading_is_silent_and_keeps_warnings_as_they_are(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_no_reference("piqe", CPU)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
