import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import DemoViews, demo_views
from ops.capture.model import indices_of
from ops.errors import InputError, UnavailableError
from ops.mipmap.prior.dispatch import make_prior, prior_arrays, prior_from, prior_quality
from ops.mipmap.prior.interface import Upscaler
from ops.mipmap.prior.pairs import make_pairs
from ops.mipmap.prior.pretrained import load_pretrained, missing, read_tensors
from ops.mipmap.settings import PriorSettings

QUICK = PriorSettings(iterations=150, channels=24, blocks=2, learning_rate=2e-3)


@pytest.fixture(scope="module")
def photos() -> DemoViews:
    return demo_views(DemoSettings(width=64, height=48, train_views=12, test_views=3))


@pytest.mark.parametrize(("kind", "gain"), [("internal", 0.2), ("fitted", 0.03)])
def test_a_prior_learned_from_photos_beats_bicubic_on_others(
    photos: DemoViews, kind: str, gain: float
) -> None:
    settings = replace(QUICK, kind=kind)  # type: ignore[arg-type]
    train, test = (indices_of(photos.splits, s) for s in ("train", "test"))  # type: ignore[arg-type]
    prior = make_prior(photos, train, settings)
    found = prior_quality(prior, photos, test)
    assert found.photos == 3
    assert found.prior > found.bicubic + gain
    assert "no pretrained weights" in prior.label
    image = photos.image(0).float() / 255
    assert prior(image, 4).shape == (192, 256, 3)
    again = prior_from(settings, prior_arrays(prior))
    assert torch.equal(again(image, 2), prior(image, 2))


@pytest.mark.parametrize("kind", ["internal", "fitted"])
def test_priors_have_the_same_bytes_on_any_number_of_threads(photos: DemoViews, kind: str) -> None:
    settings = replace(QUICK, kind=kind, iterations=10)  # type: ignore[arg-type]
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            prior = make_prior(photos, range(4), settings)
            found.append(prior(photos.image(0).float() / 255, 2))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_untrained_network_is_bicubic_and_bicubic_says_so(photos: DemoViews) -> None:
    bicubic = make_prior(photos, (), PriorSettings(kind="bicubic"))
    assert "no super-resolution" in bicubic.label
    assert prior_arrays(bicubic) == {}
    found = prior_quality(bicubic, photos, range(2))
    assert found.prior == pytest.approx(found.bicubic, abs=1e-6)


def test_the_default_network_has_190_thousand_parameters(photos: DemoViews) -> None:
    prior = make_prior(photos, range(2), PriorSettings(iterations=1))
    count = sum(value.size for value in prior_arrays(prior).values())
    assert 170_000 < count < 200_000


def test_photos_too_small_to_learn_from_are_refused() -> None:
    with pytest.raises(InputError, match="at least 12 x 12 pixels, found 11 x 30"):
        make_pairs([torch.zeros(30, 11, 3)])
    pairs = make_pairs([torch.zeros(31, 50, 3, dtype=torch.uint8)], levels=3)
    assert [tuple(p.fine.shape) for p in pairs] == [(30, 50, 3), (14, 24, 3)]


def test_arrays_of_another_prior_are_refused() -> None:
    with pytest.raises(InputError, match="make the prior again"):
        prior_from(PriorSettings(), {})


def named(path: Path) -> PriorSettings:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PriorSettings(kind="pretrained", files=(str(path),), sha256=(digest,))


def test_pretrained_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x2.safetensors"
    save_file({"w": torch.ones(2)}, file)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UnavailableError, match=r"pip install -c constraints\.txt spandrel"):
        load_pretrained(named(file))
    assert "spandrel" in (missing(named(file)) or "")

    monkeypatch.setitem(sys.modules, "spandrel", ModuleType("spandrel"))
    assert missing(named(file)) is None
    wrong = replace(named(file), sha256=("0" * 64,))
    assert "is not the file that the settings name" in (missing(wrong) or "")
    absent = replace(named(file), files=(str(tmp_path / "none.pth"),))
    assert "not on this machine" in (missing(absent) or "")


def test_checkpoints_are_read_without_running_them(tmp_path: Path) -> None:
    tensors = {"w": torch.arange(3.0)}
    torch.save(tensors, tmp_path / "good.pth")
    save_file(tensors, tmp_path / "good.safetensors")
    for name in ("good.pth", "good.safetensors"):
        assert torch.equal(read_tensors(tmp_path / name)["w"], tensors["w"])
    torch.save({"w": Path}, tmp_path / "code.pth")
    with pytest.raises(UnavailableError, match="holds more than tensors"):
        read_tensors(tmp_path / "code.pth")


def test_a_pretrained_network_is_used_at_its_own_factor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the package, whose interface is spandrel's; no weights are fetched."""

    class Descriptor:
        input_channels = output_channels = 3

        def __init__(self, state: dict[str, torch.Tensor]) -> None:
            self.scale = int(state["scale"])
            self.architecture = ModuleType("Nearest")
            self.architecture.name = "Nearest"

        def to(self, device: torch.device) -> "Descriptor":
            return self

        def eval(self) -> "Descriptor":
            return self

        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(batch, scale_factor=self.scale)

    class Loader:
        def load_from_state_dict(self, state: dict[str, torch.Tensor]) -> Descriptor:
            return Descriptor(state)

    package = ModuleType("spandrel")
    package.ModelLoader, package.ImageModelDescriptor = Loader, Descriptor
    package.UnsupportedModelError = KeyError
    monkeypatch.setitem(sys.modules, "spandrel", package)
    files = [tmp_path / f"x{f}.safetensors" for f in (2, 4)]
    for file, factor in zip(files, (2, 4), strict=True):
        save_file({"scale": torch.tensor(factor)}, file)
    both = [named(f) for f in files]
    settings = replace(
        both[0],
        files=(both[0].files[0], both[1].files[0]),
        sha256=(both[0].sha256[0], both[1].sha256[0]),
    )
    prior = load_pretrained(settings)
    assert prior.factors == (2, 4)
    assert prior.label == "Nearest x2, Nearest x4 (pretrained, file)"
    image = torch.rand(4, 5, 3)
    assert torch.equal(prior(image, 4)[::4, ::4], image)
    twice = replace(settings, files=(settings.files[0],) * 2, sha256=(settings.sha256[0],) * 2)
    with pytest.raises(InputError, match="as another of the files does"):
        load_pretrained(twice)


def test_training_goes_on_where_it_was_interrupted(photos: DemoViews, tmp_path: Path) -> None:
    settings = replace(QUICK, iterations=230, channels=8, blocks=1, crop=12)
    whole = prior_arrays(make_prior(photos, range(6), settings))

    class StoppedError(Exception):
        pass

    def stop(done: int, *_: object) -> None:
        if done >= 220:
            raise StoppedError

    def attempt(progress: object, settings: PriorSettings = settings) -> Upscaler:
        return make_prior(
            photos,
            range(6),
            settings,
            checkpoint_path=tmp_path / "state",
            progress=progress,  # type: ignore[arg-type]
        )

    with pytest.raises(StoppedError):
        attempt(stop)
    begun: list[int] = []
    again = prior_arrays(attempt(lambda done, *_: begun.append(done)))
    assert begun[0] == 200
    assert {k: v.tobytes() for k, v in again.items()} == {k: v.tobytes() for k, v in whole.items()}
    begun.clear()
    attempt(lambda done, *_: begun.append(done), replace(settings, seed=1))
    assert begun[0] == 0, "other settings start anew"


def test_without_held_out_photos_a_prior_is_not_measured(photos: DemoViews) -> None:
    found = prior_quality(make_prior(photos, (), PriorSettings(kind="bicubic")), photos, ())
    assert found.photos == 0
    assert np.isnan([found.bicubic, found.prior]).all()


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_swinir_is_read_from_its_published_form(tmp_path: Path, suffix: str) -> None:
    """The real package and architecture with random weights: what is loaded is what was saved."""
    reason = "spandrel, the extra super-resolution, is not installed"
    swinir = pytest.importorskip("spandrel.architectures.SwinIR", reason=reason)
    state = torch.get_rng_state()
    found = []
    for factor in (2, 4):
        torch.manual_seed(factor)
        network = swinir.SwinIR(
            **{"upscale": factor, "in_chans": 3, "img_size": 64, "window_size": 8},
            **{"img_range": 1.0, "depths": [2, 2], "embed_dim": 24, "num_heads": [2, 2]},
            **{"mlp_ratio": 2, "upsampler": "pixelshuffle", "resi_connection": "1conv"},
        ).eval()
        file = tmp_path / f"x{factor}.{suffix}"
        if suffix == "pth":
            torch.save({"params": network.state_dict()}, file)  # as its authors publish it
        else:
            save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file)
        found.append((factor, network, named(file)))
    torch.set_rng_state(state)
    prior = load_pretrained(
        replace(
            found[0][2],
            files=tuple(s.files[0] for *_, s in found),
            sha256=tuple(s.sha256[0] for *_, s in found),
        )
    )
    assert prior.factors == (2, 4)
    assert prior.label == "SwinIR x2, SwinIR x4 (pretrained, file)"
    image = torch.rand(16, 24, 3)
    for factor, network, _ in found:
        with torch.no_grad():
            expected = network(image.permute(2, 0, 1)[None])[0].permute(1, 2, 0).clamp(0, 1)
        torch.testing.assert_close(prior(image, factor), expected)
        assert prior(image[:13, :21], factor).shape == (13 * factor, 21 * factor, 3)
