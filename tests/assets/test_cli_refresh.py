"""What refreshing says: how long it takes, and what a bare scene name leaves out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.plan import Selection, studies_left
from assets.refresh_job import RefreshConfig, refresh_job
from storage.home import Home

Run = Callable[..., tuple[int, str, str]]
Function = Callable[..., Any]
SCENE_ALONE = "capture, splats and evaluation"


def test_a_dry_run_estimates_by_what_is_most_like_it(
    run: Run, home: Home, demo_scene: Function, tiny: str
) -> None:
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 4000"))
    code, out, _ = run("refresh", "demo", "--dry-run")
    assert code == 0
    assert "4 steps, about " in out
    assert "at 40 iterations" in out
    assert "at most" not in out
    _, out, _ = run("refresh", "demo", "--dry-run", "--json")
    told = json.loads(out)
    assert told["estimate"].startswith("4 steps, about ")
    (trained,) = [s for s in told["steps"] if s["artifact"] == "demo/splats/trained"]
    assert trained["estimated from"].endswith("at 40 iterations")
    _, out, _ = run("why", "demo/splats/trained")
    assert "1 step, about " in out


def test_a_first_dry_run_knows_no_times(
    run: Run, tmp_path: Path, tiny: str, demo_scene: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATWORKS_HOME", str(tmp_path / "new"))
    demo_scene(Home(tmp_path / "new"), tiny)
    _, out, _ = run("refresh", "demo", "--dry-run")
    assert "6 steps, none of which ran before, so their time is unknown" in out


@pytest.mark.parametrize("command", ["refresh", "materialize"])
def test_help_says_what_a_bare_scene_name_is(run: Run, command: str) -> None:
    _, out, _ = run(command, "--help")
    words = " ".join(out.split())
    assert SCENE_ALONE in words
    assert "shed/mipmap" in words
    if command == "refresh":
        assert "no name at all is every scene with its studies, also what was never made" in words


def test_the_job_says_what_a_bare_scene_name_is() -> None:
    config = RefreshConfig.model_fields["selection"].description or ""
    for words in (refresh_job.description or "", config):
        assert "capture, splats" in words
        assert "shed/mipmap" in words
        assert "also what was never made" in words


def test_a_study_that_is_left_out_is_told(
    run: Run, home: Home, demo_scene: Function, tiny: str
) -> None:
    for arguments in (("refresh", "demo"), ("refresh", "demo", "--dry-run")):
        assert "mipmap" not in run(*arguments)[1]
    demo_scene(home, tiny.replace("studies = []", 'studies = ["mipmap"]'))
    for arguments in (("refresh", "demo"), ("refresh", "demo", "--dry-run")):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "all 6 artifacts are fresh" in out
        assert "study demo/mipmap is not part of 'demo' and not up to date: " in out
        assert " missing; for it: " in out
        assert "refresh demo/mipmap" in out
    json.loads(run("refresh", "demo", "--json")[1])
    (left,) = studies_left(Selection.of(["demo"], home), home)
    assert left.name == "demo/mipmap"
    assert left.states == {"missing": left.total}
    # Who asks for a part, for the study too, or for everything, leaves nothing out unawares.
    for names in (["demo/splats"], ["demo", "demo/mipmap"], []):
        assert studies_left(Selection.of(names, home), home) == []
