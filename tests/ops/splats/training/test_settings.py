import dataclasses
import subprocess
import sys

import pytest

from ops.errors import InputError
from ops.splats.settings import TrainSettings


def test_defaults_are_the_standard_preset() -> None:
    assert TrainSettings() == TrainSettings.from_preset("standard")


@pytest.mark.parametrize(("name", "iterations"), [("standard", 7_000), ("full", 30_000)])
def test_presets_have_the_published_lengths(name: str, iterations: int) -> None:
    settings = TrainSettings.from_preset(name)
    assert (settings.preset, settings.iterations) == (name, iterations)


def test_preview_is_a_thousand_steps_at_most() -> None:
    assert 100 <= TrainSettings.from_preset("preview").iterations <= 1_000


@pytest.mark.parametrize("name", ["preview", "standard", "full"])
@pytest.mark.parametrize("iterations", [20, 300, 1_000, 7_000])
def test_schedule_is_stretched_to_the_length(name: str, iterations: int) -> None:
    s = TrainSettings.from_preset(name, iterations=iterations)
    assert s.densify_start < s.densify_stop < iterations
    assert s.sh_interval * s.sh_degree < iterations, "every SH degree is reached"
    refined = [
        step
        for step in range(iterations)
        if s.densify_start < step < s.densify_stop and step % s.densify_every == 0
    ]
    if iterations >= 300:
        assert refined, "densification happens"


def test_short_runs_are_not_reset() -> None:
    for iterations in (300, 1_000, 7_000):
        assert TrainSettings.from_preset("preview", iterations=iterations).reset_every == 0


def test_explicit_values_win_over_the_preset() -> None:
    s = TrainSettings.from_preset("preview", densify_stop=123, sh_degree=3)
    assert (s.densify_stop, s.sh_degree) == (123, 3)
    assert TrainSettings.from_preset("preview", strategy="mcmc", initial_opacity=0.3) == (
        dataclasses.replace(
            TrainSettings.from_preset("preview", strategy="mcmc"), initial_opacity=0.3
        )
    )


def test_mcmc_brings_the_regularisation_it_needs() -> None:
    s = TrainSettings.from_preset("standard", strategy="mcmc")
    assert s.opacity_regularisation > 0
    assert s.scale_regularisation > 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"iterations": 0}, "iterations should be at least 1, found 0"),
        ({"ssim_weight": 1.5}, "ssim_weight should lie between 0 and 1, found 1.5"),
        ({"sh_degree": 4}, "sh_degree should lie between 0 and 3, found 4"),
        ({"strategy": "best"}, "strategy should be one of default, mcmc; found 'best'"),
        ({"means_lr": float("nan")}, "means_lr should be at least 0, found nan"),
        ({"background": (0, 0, 2)}, "background should be three values between 0 and 1"),
        ({"itertaions": 5}, "no setting is called itertaions; there are iterations"),
    ],
)
def test_senseless_values_are_refused_in_words(values: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        TrainSettings.from_preset("preview", **values)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="one of preview, standard, full; found 'best'"):
        TrainSettings.from_preset("best")


def test_settings_load_without_torch() -> None:
    code = "import sys, ops.splats.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
