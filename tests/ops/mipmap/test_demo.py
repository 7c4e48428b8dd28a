"""The study on the built-in scene, whose photos are exact at every size."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from ops.capture.demo.settings import DemoSettings
from ops.capture.demo.views import demo_points, demo_views
from ops.errors import InputError
from ops.evaluation.metrics import psnr, ssim
from ops.evaluation.settings import EvaluationSettings
from ops.mipmap.baselines import closed_form_candidates
from ops.mipmap.evaluate import HELD_OUT, TRANSDUCTIVE, ScaleEvaluation, evaluate_scale
from ops.mipmap.figures import curves, strip
from ops.mipmap.prior.dispatch import make_prior
from ops.mipmap.protocol import base_views, view_roles
from ops.mipmap.pseudo import base_renders, pseudo_truth
from ops.mipmap.resample import to_float
from ops.mipmap.scales import sorted_scales
from ops.mipmap.settings import (
    AdaptSettings,
    PriorSettings,
    ProtocolSettings,
    PseudoSettings,
    base_divisor,
)
from ops.mipmap.study import Base, pictures_at_base, run_scale
from ops.splats.settings import TrainSettings
from ops.splats.training import train

PROTOCOL = ProtocolSettings(
    scales=("x1_4", "x1_2", "x2", "x4"), enlarge_base_by=4, shrink_base_by=1, extra_every=2
)


@dataclass(frozen=True)
class Study:
    bases: dict[int, Base]
    evaluations: dict[str, ScaleEvaluation]


@pytest.fixture(scope="module")
def study() -> Study:
    capture = demo_views(DemoSettings(width=128, height=96, train_views=24, test_views=4))
    points = demo_points(capture, count=4000)
    bases: dict[int, Base] = {}
    for divisor in (1, 4):
        views = base_views(capture, divisor)
        found = train(views, points, TrainSettings.from_preset("preview", iterations=400))
        bases[divisor] = Base(splats=found.splats, capture=capture, divisor=divisor, iterations=400)
    roles = view_roles(capture.splits, PROTOCOL, above=True)
    prior = make_prior(
        bases[4].views, roles.train, PriorSettings(iterations=300, learning_rate=2e-3)
    )
    evaluations = {}
    for scale in sorted_scales(PROTOCOL.scales):
        divisor = base_divisor(scale, PROTOCOL)
        _, evaluations[str(scale)] = run_scale(
            bases[divisor],
            scale,
            bases[divisor].truth_at(scale),
            PROTOCOL,
            PseudoSettings(),
            AdaptSettings.from_preset("preview", iterations=250),
            prior=prior,
        )
    return Study(bases, evaluations)


pytestmark = pytest.mark.slow


def test_adapted_splats_beat_the_base_at_every_scale(study: Study) -> None:
    for found in study.evaluations.values():
        for views in ("scored", "extra"):
            gain = found.mean("adapted", views=views) - found.mean("base", views=views)
            assert gain > (1 if found.scale < 1 else 0.5), (found.scale, views)
            assert found.mean("adapted", metric="ssim") > found.mean("base", metric="ssim")


def test_adapted_splats_beat_filters_put_on_the_base(study: Study) -> None:
    for smaller in (True, False):
        side = [e for e in study.evaluations.values() if (e.scale < 1) == smaller]
        mean = {
            method: np.mean([e.mean(method) for e in side])
            for method in ("adapted", "antialiased", "mip", "matched")
        }
        for method in ("antialiased", "mip", "matched"):
            assert mean["adapted"] > mean[method], (smaller, method)


def test_there_are_fewer_gaussians_below_the_base(study: Study) -> None:
    for found in study.evaluations.values():
        model = next(m for m in found.models if m.method == "adapted")
        if found.scale < 1:
            assert model.gaussians < model.gaussians_base
            assert model.bytes < model.bytes_base
        assert model.share == pytest.approx(250 / 400)


def test_numbers_say_what_they_are(study: Study) -> None:
    found = study.evaluations["2"]
    for scale, said in (("1/2", TRANSDUCTIVE), ("2", HELD_OUT)):
        standing = {s.views: s.standing for s in study.evaluations[scale].scores}
        assert standing["scored"] == said
    assert "no pretrained weights" in found.pseudo_label
    pseudo = [s for s in found.scores if s.method == "pseudo"]
    assert {s.against for s in pseudo} == {"photos"}
    assert all("no pretrained weights" in s.label for s in pseudo)
    against = {s.against for s in found.scores if s.method == "adapted"}
    assert against == {"photos", "pseudo"}
    assert {s.count for s in found.scores if s.views == "extra"} == {2}
    assert HELD_OUT != TRANSDUCTIVE


def test_held_out_photos_are_never_among_the_pictures(study: Study) -> None:
    base = study.bases[4]
    roles = view_roles(base.views.splits, PROTOCOL, above=True)
    pictures = pictures_at_base(base, roles, PROTOCOL)
    for index, picture in zip(roles.pictures, pictures, strict=True):
        assert torch.equal(picture, base.views.image(index)) == (index in roles.train)


def test_figures_show_every_scale(study: Study) -> None:
    rows = [s for e in study.evaluations.values() for s in e.scores]
    picture = curves(rows)
    assert picture.ndim == 3
    assert picture.std() > 10
    shown = strip(study.evaluations["2"])
    assert shown.shape[1] > shown.shape[0]
    with pytest.raises(InputError, match="found none"):
        curves(rows, metric="fid")


def test_scores_are_those_of_the_pictures_alone(study: Study) -> None:
    """Each is that of one picture and one photo, by however many threads they are rated."""
    base, scale = study.bases[1], Fraction(1, 2)
    roles = view_roles(base.views.splits, PROTOCOL, above=False)
    truth = base.truth_at(scale)
    assert truth is not None
    cameras = truth.cameras[list(roles.pictures)]
    renders = base_renders(base.splats, base.views.cameras[list(roles.pictures)])
    pseudo = pseudo_truth(renders, cameras, scale, PseudoSettings())
    poses = base.views.cameras[list(roles.train)]
    settings = EvaluationSettings(metrics=("psnr", "ssim"), no_reference=("piqe",))

    def rate() -> ScaleEvaluation:
        candidates = closed_form_candidates(base.splats, poses, scale)
        return evaluate_scale(
            candidates, pseudo, roles, truth, base_iterations=400, settings=settings
        )

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = rate()
        torch.set_num_threads(3)
        assert rate().scores == alone.scores
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    position = {index: i for i, index in enumerate(roles.pictures)}
    numbers = {
        "psnr": lambda i: psnr(to_float(pseudo.colors[position[i]]), to_float(truth.image(i))),
        "ssim": lambda i: ssim(to_float(pseudo.colors[position[i]]), to_float(truth.image(i))),
    }
    for metric, number in numbers.items():
        expected = np.mean([number(i) for i in roles.scored])
        assert alone.mean("pseudo", metric=metric) == pytest.approx(expected, rel=1e-3)
    found = [s for s in alone.scores if s.metric == "piqe" and s.method == "base"]
    assert {s.against for s in found} == {"photos", "pseudo"}
    for group in ("scored", "extra"):
        assert len({s.value for s in found if s.views == group}) == 1


def test_scores_need_a_base_and_the_right_pictures(study: Study) -> None:
    base = study.bases[1]
    roles = view_roles(base.views.splits, PROTOCOL, above=False)
    cameras = base.views.cameras[[0, 1]]
    half = base.cameras_at(Fraction(1, 2), [0, 1])
    few = pseudo_truth(base_renders(base.splats, cameras), half, Fraction(1, 2), PseudoSettings())
    with pytest.raises(InputError, match="a candidate 'base'"):
        evaluate_scale((), few, roles, None, base_iterations=1)
