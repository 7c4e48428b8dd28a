import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.capture.model import Points
from ops.errors import InputError
from ops.rendering.render import render
from ops.splats.model import Splats
from ops.splats.settings import TrainSettings
from ops.splats.targets import TrainingPhotos
from ops.splats.training import TrainResult, train
from ops.threads import threads

MakeViews = Callable[..., Any]


def short(iterations: int = 60, **values: Any) -> TrainSettings:
    """A run that densifies at steps 20, 30 and 40."""
    schedule = {
        "sh_degree": 1,
        "sh_interval": 30,
        "densify_start": 10,
        "densify_stop": 45,
        "densify_every": 10,
        "checkpoint_every": 15,
    }
    return TrainSettings.from_preset("preview", iterations=iterations, **{**schedule, **values})


def bytes_of(result: TrainResult) -> bytes:
    tensors = b"".join(v.numpy().tobytes() for v in result.splats.tensors().values())
    return tensors + b"".join(c.tobytes() for c in result.history.values())


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10(((a - b) ** 2).mean()))


def held_out_psnr(views: Any, splats: Splats) -> float:
    scores = [
        psnr(render(splats, views.cameras[i])[0].colors, views.images[i].float() / 255)
        for i, split in enumerate(views.splits)
        if split == "test"
    ]
    return float(np.mean(scores))


def test_training_explains_views_it_has_not_seen(make_views: MakeViews, points: Points) -> None:
    views = make_views(17)
    result = train(views, points, TrainSettings.from_preset("preview", iterations=200))
    mean_image = torch.stack([i.float() for i in views.images]).mean(dim=0) / 255
    blind = np.mean([psnr(mean_image, views.images[i].float() / 255) for i in (0, 8, 16)])
    assert held_out_psnr(views, result.splats) > blind + 3
    assert result.history["psnr"][-1] > result.history["psnr"][0] + 5
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
    assert result.dropped == 0


def test_held_out_views_are_never_looked_at(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    train(views, points, short(20))
    assert set(views.asked) == {i for i, s in enumerate(views.splits) if s == "train"}


def test_history_has_a_row_every_ten_steps_and_the_last(
    make_views: MakeViews, points: Points
) -> None:
    heard: list[tuple[int, int, str, dict[str, float]]] = []

    def listen(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
        heard.append((done, total, what, dict(values or {})))

    result = train(make_views(), points, short(25, densify=False), progress=listen)
    assert result.history["iteration"].tolist() == [10, 20, 25]
    assert result.history["count"].tolist() == [len(points.xyz)] * 3
    assert set(result.history) == {"iteration", "loss", "psnr", "count", "means_lr"}
    assert [h[:3] for h in heard] == [(d, 25, "training") for d in (0, 10, 20, 25)]
    assert heard[0][3] == {}
    assert heard[-1][3] == {name: result.history[name][-1] for name in ("loss", "psnr", "count")}


def test_means_rate_falls_to_a_hundredth(make_views: MakeViews, points: Points) -> None:
    result = train(make_views(), points, short(50, means_lr=1.6e-4))
    rates = result.history["means_lr"]
    np.testing.assert_allclose(
        rates, 1.6e-4 * result.extent * 0.01 ** ((result.history["iteration"] - 1) / 50)
    )


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_same_bytes_for_any_number_of_threads(
    make_views: MakeViews, points: Points, strategy: str
) -> None:
    views = make_views(size=48)
    found, at_work = [], set()
    before = torch.get_num_threads()

    def look(*_: object) -> None:
        # torch's other threads would look for work on the cores that the renderer needs.
        at_work.add((torch.get_num_threads(), threads()))

    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            settings = short(strategy=strategy, densify_gradient=1e-4)
            result = train(views, points, settings, progress=look)
            found.append(bytes_of(result))
            assert len(result.splats) > len(points.xyz), "the range includes densification"
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]
    assert at_work == {(1, 1), (1, 2)}


def test_another_seed_gives_another_model(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    assert bytes_of(train(views, points, short(20))) != bytes_of(
        train(views, points, short(20, seed=1))
    )


def test_random_state_of_the_caller_is_left_alone(make_views: MakeViews, points: Points) -> None:
    views = make_views(alpha=True)
    before = torch.get_rng_state()
    train(views, points, short(30))
    assert torch.equal(before, torch.get_rng_state())


class StopError(Exception):
    pass


def stopping_at(step: int) -> Callable[..., None]:
    def progress(
        done: int, total: int, what: str, values: Mapping[str, float] | None = None
    ) -> None:
        if done == step:
            raise StopError

    return progress


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
@pytest.mark.parametrize("alpha", [False, True])
def test_resumed_training_gives_the_same_bytes(
    make_views: MakeViews, points: Points, tmp_path: Path, strategy: str, alpha: bool
) -> None:
    views = make_views(alpha=alpha)
    settings = short(strategy=strategy, densify_gradient=1e-4, reset_every=35)
    whole = train(views, points, settings)
    assert len(whole.splats) > len(points.xyz)

    path = tmp_path / "training.pt"
    for step in (20, 40):  # past the checkpoints at 15 and 30, before the next
        with pytest.raises(StopError):
            train(views, points, settings, checkpoint_path=path, progress=stopping_at(step))
    starts: list[int] = []
    resumed = train(
        views,
        points,
        settings,
        checkpoint_path=path,
        progress=lambda done, *_: starts.append(done),
    )
    assert starts[0] == 30, "it went on from the last checkpoint"
    assert bytes_of(resumed) == bytes_of(whole)
    assert path.exists(), "removing it is up to the caller"


def test_checkpoints_do_not_change_the_result(
    make_views: MakeViews, points: Points, tmp_path: Path
) -> None:
    views = make_views()
    a = train(views, points, short(30))
    b = train(views, points, short(30, checkpoint_every=4), checkpoint_path=tmp_path / "t.pt")
    assert bytes_of(a) == bytes_of(b)


@pytest.mark.parametrize("change", ["settings", "points", "photo", "camera", "split", "nothing"])
def test_checkpoint_of_other_inputs_is_not_used(
    make_views: MakeViews,
    points: Points,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: str,
) -> None:
    views, settings, path = make_views(), short(), tmp_path / "training.pt"
    with pytest.raises(StopError):
        train(views, points, settings, checkpoint_path=path, progress=stopping_at(20))
    if change == "settings":
        settings = replace(settings, sh0_lr=1e-3)
    elif change == "points":
        points = replace(points, rgb=255 - points.rgb)
    elif change == "photo":
        views.images[3][0, 0, 0] ^= 1
    elif change == "camera":
        views.cameras.Ks[2, 0, 0] += 1
    elif change == "split":
        views.splits = ("train", *views.splits[1:])
    else:
        settings = replace(settings, checkpoint_every=1000)
    starts: list[int] = []

    def listen(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
        starts.append(done)
        raise StopError

    with caplog.at_level(logging.WARNING), pytest.raises(StopError):
        train(views, points, settings, checkpoint_path=path, progress=listen)
    assert starts == [15 if change == "nothing" else 0]
    assert ("Training starts anew" in caplog.text) == (change != "nothing")


def test_masked_pixels_do_not_matter(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    views.masks = []
    spoilt = []
    for image in views.images:
        mask = torch.full(image.shape[:2], 255, dtype=torch.uint8)
        mask[:, 10:20] = 0
        views.masks.append(mask)
        spoilt.append(image.clone())
        spoilt[-1][:, 10:20] = 255
    clean = train(views, points, short(30))
    views.images = spoilt
    assert bytes_of(clean) == bytes_of(train(views, points, short(30)))


def test_random_background_makes_what_is_transparent_transparent(
    make_views: MakeViews, points: Points
) -> None:
    """Gaussians of the background's colour hide nothing on it, and everything on another."""
    views = make_views(alpha=True)
    fog = np.random.default_rng(1).uniform(-1.2, 1.2, (150, 3)).astype(np.float32)
    points = replace(
        points,
        xyz=np.concatenate([points.xyz, fog]),
        rgb=np.concatenate([points.rgb, np.full((150, 3), 255, np.uint8)]),
        errors=np.zeros(len(points.xyz) + 150, np.float32),
    )
    errors = {}
    for random in (True, False):
        settings = short(120, random_background=random, background=(1.0, 1.0, 1.0))
        splats = train(views, points, settings).splats
        seen = [render(splats, views.cameras[i])[0].alphas for i in range(1, 8)]
        errors[random] = np.mean(
            [float((a - views.alphas[i + 1] / 255).abs().mean()) for i, a in enumerate(seen)]
        )
    assert errors[True] < 0.8 * errors[False]


def test_photo_with_alpha_is_put_on_the_background(make_views: MakeViews) -> None:
    views = make_views(alpha=True)
    photos = TrainingPhotos(views, torch.device("cpu"))
    cover = views.alphas[1].double()[..., None] / 255
    colour = views.images[1].double() / 255
    given = torch.tensor([0.2, 0.4, 0.9])
    target = photos.target(0, given, None)
    torch.testing.assert_close(
        target.colors.double(), cover * colour + (1 - cover) * given.double(), atol=1e-6, rtol=0
    )
    assert torch.equal(target.background, given)
    target = photos.target(0, given, torch.Generator().manual_seed(0))
    drawn = torch.rand(3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(target.background, drawn)
    torch.testing.assert_close(
        target.colors.double(), cover * colour + (1 - cover) * drawn.double(), atol=1e-6, rtol=0
    )


def test_background_is_not_drawn_for_photos_without_alpha(make_views: MakeViews) -> None:
    photos = TrainingPhotos(make_views(), torch.device("cpu"))
    given = torch.tensor([0.2, 0.4, 0.9])
    target = photos.target(0, given, torch.Generator().manual_seed(0))
    assert torch.equal(target.background, given)


def test_no_training_views_are_refused(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    views.splits = ("test",) * len(views)
    with pytest.raises(InputError, match=r"split 'train', found none among 9; choose another"):
        train(views, points, short())


def test_photo_of_another_size_is_refused(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    views.images[2] = views.images[2][:20]
    with pytest.raises(InputError, match=r"image of view 02\.png should be 32x32.*found 32x20"):
        train(views, points, short())


def test_cameras_at_one_place_are_refused(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    views.cameras.viewmats[:] = views.cameras.viewmats[0]
    with pytest.raises(InputError, match="at one place"):
        train(views, points, short())


def test_gaussians_that_are_not_finite_are_dropped(
    make_views: MakeViews, points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ops.splats.training as module

    step = module.take_step

    def poison(optimisers: Any) -> None:
        step(optimisers)
        (scales,) = optimisers["scales"].param_groups[0]["params"]
        if len(scales) == len(points.xyz):
            scales.data[3] = torch.nan

    monkeypatch.setattr(module, "take_step", poison)
    result = train(make_views(), points, short(15))
    assert result.dropped == 1
    assert len(result.splats) == len(points.xyz) - 1
    assert all(bool(torch.isfinite(v).all()) for v in result.splats.tensors().values())


def test_photos_that_do_not_fit_are_read_again(make_views: MakeViews, points: Points) -> None:
    views = make_views()
    kept = TrainingPhotos(views, torch.device("cpu"))
    read = TrainingPhotos(views, torch.device("cpu"), cache_bytes=0)
    black = torch.zeros(3)
    for _ in range(2):
        for which in range(len(kept)):
            assert torch.equal(
                kept.target(which, black, None).colors, read.target(which, black, None).colors
            )
    assert len(views.asked) == 3 * len(kept)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_training_on_cuda(make_views: MakeViews, points: Points, strategy: str) -> None:
    views = make_views(17)
    settings = TrainSettings.from_preset("preview", iterations=300, strategy=strategy)
    result = train(views, points, settings, device="cuda")
    assert result.splats.means.device.type == "cpu"
    assert result.history["psnr"][-1] > result.history["psnr"][0] + 3
