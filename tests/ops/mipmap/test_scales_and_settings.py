from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import InputError
from ops.mipmap.ablate import ablations
from ops.mipmap.protocol import cameras_at, check_sizes, true_views, view_roles
from ops.mipmap.scales import parse_scale, scale_name, scaled_cameras, scaled_size, sorted_scales
from ops.mipmap.settings import (
    AdaptSettings,
    PriorSettings,
    ProtocolSettings,
    PseudoSettings,
    base_divisor,
    table_for,
)

from .conftest import MadeViews, cameras_around


@given(st.integers(1, 64), st.integers(1, 64))
def test_a_scale_is_read_back_from_its_name(up: int, down: int) -> None:
    scale = Fraction(up, down)
    assert parse_scale(scale_name(scale)) == scale


@pytest.mark.parametrize("name", ["", "x0", "x1_0", "4x", "x-2", "x100", "x1_65", "half"])
def test_what_is_no_scale_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="a scale should be written like"):
        parse_scale(name)


def test_scales_are_sorted_and_must_differ() -> None:
    assert sorted_scales(["x4", "x1/8"]) == (Fraction(1, 8), Fraction(4))
    with pytest.raises(InputError, match="twice: x1_2"):
        sorted_scales(["x1_2", "x2_4"])


@given(st.integers(1, 5000), st.integers(1, 5000), st.fractions(Fraction(1, 64), 64))
def test_sizes_are_rounded_exactly(width: int, height: int, scale: Fraction) -> None:
    for size, old in zip(scaled_size(width, height, scale), (width, height), strict=True):
        assert size == 1 or abs(size - old * scale) <= Fraction(1, 2)


@given(st.integers(3, 900), st.integers(3, 900), st.sampled_from(["x1_8", "x1_3", "x2", "x7_5"]))
def test_fields_of_view_stay(width: int, height: int, name: str) -> None:
    cameras = cameras_around(2, width, height).to(dtype=torch.float64)
    scaled = scaled_cameras(cameras, parse_scale(name))
    assert torch.equal(scaled.viewmats, cameras.viewmats)
    for axis, old, new in ((0, width, scaled.widths[0]), (1, height, scaled.heights[0])):
        before, after = cameras.Ks[0, axis] / old, scaled.Ks[0, axis] / new
        torch.testing.assert_close(after, before, rtol=1e-14, atol=0)


def test_one_scales_own_settings_reach_no_other() -> None:
    common, own = {"iterations": 700}, {"x1/4": {"loss": "l1"}, "x4": {"iterations": 50}}
    tables = {s: table_for(s, common, own) for s in ("x1_4", "x4", "x2")}
    found = {s: AdaptSettings.from_preset("preview", **t) for s, t in tables.items()}
    assert (found["x1_4"].loss, found["x1_4"].iterations) == ("l1", 700)
    assert (found["x4"].loss, found["x4"].iterations) == ("l2", 50)
    assert found["x2"] == AdaptSettings.from_preset("preview", iterations=700)


@pytest.mark.parametrize("kind", [ProtocolSettings, PriorSettings, PseudoSettings, AdaptSettings])
def test_defaults_are_the_standard_preset(kind: type) -> None:
    assert kind() == kind.from_preset("standard")
    assert kind.from_preset("preview").preset == "preview"


def test_the_paper_preset_is_the_released_code() -> None:
    adapt, pseudo = AdaptSettings.from_preset("paper"), PseudoSettings.from_preset("paper")
    protocol = ProtocolSettings.from_preset("paper")
    assert (adapt.iterations, adapt.loss, adapt.means_lr, adapt.start) == (1000, "l2", 0.0, "base")
    assert (adapt.reset, adapt.prune_opacity, adapt.control_every) == ("white", 0.005, 100)
    assert (adapt.densify, adapt.densify_gradient) == ("always", 2e-4)
    assert pseudo.shrink == "bilinear"
    assert (protocol.views, protocol.train_pictures) == ("test", "renders")
    assert (protocol.shrink_base_by, protocol.enlarge_base_by) == (1, 8)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (AdaptSettings, {"iterations": 0}, "iterations should be at least 1"),
        (AdaptSettings, {"loss": "l3"}, "loss should be one of l2, l1, l1_ssim"),
        (AdaptSettings, {"prune_opacity": 0.7}, "prune_opacity should lie between"),
        (AdaptSettings, {"means_lr": float("nan")}, "means_lr should be at least 0"),
        (AdaptSettings, {"steps": 3}, "no setting is called steps"),
        (ProtocolSettings, {"scales": ()}, "at least one scale"),
        (ProtocolSettings, {"extra_every": 1}, "leaves no held-out view"),
        (PseudoSettings, {"shrink": "lanczos"}, "shrink should be one of area, bilinear"),
        (PriorSettings, {"kind": "pretrained"}, "need files and the sha256 of each"),
        (
            PriorSettings,
            {"kind": "pretrained", "files": ("a",), "sha256": ("ab",)},
            "64 hexadecimal digits",
        ),
        (
            PriorSettings,
            {
                "kind": "pretrained",
                "repository": "a/b",
                "revision": "main",
                "files": ("a",),
                "sha256": ("0" * 64,),
            },
            "40 digits of a commit",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: type, values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind.from_preset("standard", **values)
    with pytest.raises(InputError, match="preset should be one of"):
        kind.from_preset("quick")


def test_extra_views_are_never_adapted_on(views: MadeViews) -> None:
    for which in ("test", "train", "both"):
        roles = view_roles(views.splits, ProtocolSettings(views=which, extra_every=2), above=True)
        assert roles.extra == (3, 9)
        assert roles.scored == (0, 6)
        assert not set(roles.extra) & set(roles.adapted)
        assert roles.transductive == (which != "train")
        assert set(roles.pictures) == {*roles.adapted, 0, 3, 6, 9}
    with pytest.raises(InputError, match="expected training views, found none among 4"):
        view_roles(("test",) * 4, ProtocolSettings(), above=False)


def test_above_the_base_splats_are_adapted_at_training_poses_alone(views: MadeViews) -> None:
    below, above = (
        view_roles(views.splits, ProtocolSettings(), above=side) for side in (False, True)
    )
    assert set(below.adapted) == {*below.train, *below.scored}
    assert above.adapted == above.train
    assert (below.transductive, above.transductive) == (True, False)
    assert below.pictures == above.pictures


def test_without_held_out_views_training_views_are_scored_and_said_to_be() -> None:
    for which in ("test", "train", "both"):
        roles = view_roles(("train",) * 4, ProtocolSettings(views=which), above=False)
        assert roles.adapted == roles.scored == roles.pictures == (0, 1, 2, 3)
        assert roles.extra == ()
        assert roles.fitted
    assert not view_roles(("train", "train", "test"), ProtocolSettings(), above=True).fitted
    with pytest.raises(InputError, match="at least 2 views to adapt on, found 1"):
        view_roles(("train",), ProtocolSettings(), above=False)


@given(
    st.integers(16, 1000),
    st.integers(16, 1000),
    st.integers(1, 9),
    st.sampled_from(["x1_8", "x1_4", "x1_2", "x2", "x3", "x4", "x8"]),
)
def test_renders_at_a_scale_have_the_size_of_the_photos_there(
    width: int, height: int, divisor: int, name: str
) -> None:
    capture = MadeViews(cameras_around(2, width, height), ("train", "test"), [])
    photos = true_views(capture, parse_scale(name), divisor)
    cameras = cameras_at(capture.cameras, parse_scale(name), divisor)
    if photos is None:
        assert parse_scale(name) > divisor
    else:
        assert (cameras.widths, cameras.heights) == (photos.cameras.widths, photos.cameras.heights)
        torch.testing.assert_close(cameras.Ks, photos.cameras.Ks)


def test_scales_without_pixels_are_refused(views: MadeViews) -> None:
    settings = ProtocolSettings(enlarge_base_by=2)
    assert base_divisor(Fraction(2), settings) == 2
    assert base_divisor(Fraction(1, 2), settings) == 1
    check_sizes(views, settings, (Fraction(1, 8), Fraction(2)))
    with pytest.raises(InputError, match="leave the scale"):
        check_sizes(views, ProtocolSettings(), (Fraction(2),))


def test_ablations_change_one_thing_each() -> None:
    whole = (ProtocolSettings(), PseudoSettings(), AdaptSettings.from_preset("preview"))
    found = ablations(*whole)
    assert len({v.name for v in found}) == len(found)
    questions = {v.question for v in found[1:]}
    assert questions >= {
        "iterations", "loss", "views", "prune", "reset", "means_lr", "shrink",
    }  # fmt: skip
    assert {v.adapt.iterations for v in found if v.question == "iterations"} == {
        100, 250, 500, 1000,
    }  # fmt: skip
    for variation in found[1:]:
        parts = (variation.protocol, variation.pseudo, variation.adapt)
        changed = [
            name
            for part, old in zip(parts, whole, strict=True)
            for name, value in vars(part).items()
            if value != getattr(old, name)
        ]
        assert changed == [variation.question]


def test_the_preset_of_the_paper_is_what_its_code_does() -> None:
    """arXiv 2408.06286 and its released code, arguments and train_mipmap.py."""
    found = AdaptSettings.from_preset("paper")
    rates = {n: v for n, v in vars(found).items() if n.endswith("_lr")}
    assert rates == {
        "means_lr": 0.0, "scales_lr": 5e-3, "quats_lr": 1e-3, "opacities_lr": 5e-2,
        "sh0_lr": 2.5e-3, "shN_lr": 1.25e-4,
    }  # fmt: skip
    assert found.rate_final == 1.0
    assert (found.iterations, found.loss, found.start) == (1_000, "l2", "base")
    assert (found.control_every, found.densify_gradient) == (100, 2e-4)
    assert (found.prune, found.prune_opacity) == (True, 5e-3)
    assert (found.reset, found.reset_opacity, found.densify) == ("white", 0.01, "always")
    assert found.opacity_regularisation == 0.0
    protocol = ProtocolSettings.from_preset("paper")
    assert (protocol.views, protocol.train_pictures, protocol.extra_every) == ("test", "renders", 0)
    assert (protocol.shrink_base_by, protocol.enlarge_base_by) == (1, 8)
    assert PseudoSettings.from_preset("paper").shrink == "bilinear"


def test_adaptation_is_a_thirtieth_of_the_training_of_a_base_at_most() -> None:
    for preset in ("preview", "standard", "paper"):
        assert AdaptSettings.from_preset(preset).iterations <= 0.034 * 30_000
