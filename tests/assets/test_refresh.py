"""Refresh: exactly what is stale runs, in order, and nothing is lost when things go wrong."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assets import freshness
from assets.fingerprint import Code
from assets.freshness import scene_status
from assets.graph import stages_of
from assets.plan import Selection, make_plan
from assets.produce import produce
from assets.refresh import Batch, Failed, Summary, refresh
from assets.scenes import Scene
from ops.errors import InputError
from storage.home import Home
from storage.lock import hold
from storage.store import Store

ORDER = [
    "demo/capture/views",
    "demo/capture/points",
    "demo/splats/trained",
    "demo/evaluation/held_out",
    "demo/evaluation/contact_sheet",
    "demo/splats/exports",
]
Function = Callable[..., Any]


class Launcher:
    """Runs artifacts in this process, and remembers which."""

    def __init__(self, home: Home, scene: Callable[[], Scene]) -> None:
        self.home, self.scene = home, scene
        self.batches: list[list[str]] = []
        self.fails: dict[str, Exception] = {}
        self.before: Callable[[str], None] = lambda key: None

    def __call__(self, keys: Sequence[str], forced: Sequence[str]) -> Batch:
        self.batches.append(list(keys))
        batch, lost = Batch(), set[str]()
        for key in keys:
            scene = self.scene()
            stage = stages_of(scene)[key.partition("/")[2]]
            if lost & {f"demo/{name}" for name in stage.inputs}:
                lost.add(key)
                continue
            self.before(key)
            if key in self.fails:
                error = self.fails[key]
                stage = replace(stage, run=_raising(error))
            try:
                made = produce(
                    scene, stage, self.home, lambda *_: None, lambda _: None, key in forced
                )
            except Exception as error:
                lost.add(key)
                batch.failed.append(Failed(key, str(error), isinstance(error, InputError)))
            else:
                (batch.ran if made.action == "computed" else batch.found).append(key)
        return batch


def _raising(error: Exception) -> Function:
    def run(*_: Any) -> Any:
        raise error

    run.__module__, run.__name__ = "assets.evaluation.held_out", "held_out"
    return run


@pytest.fixture
def launcher(home: Home, demo_scene: Function) -> Launcher:
    text = (home.scenes / "demo.toml").read_text()
    assert "iterations" in text
    return Launcher(home, lambda: demo_scene(home, (home.scenes / "demo.toml").read_text()))


def edit(home: Home, old: str, new: str) -> None:
    file = home.scenes / "demo.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def bring(home: Home, launcher: Launcher, *names: str, force: bool = False) -> Summary:
    said: list[str] = []
    chosen = Selection.of(names or ("demo",), home)
    summary = refresh(chosen, home, launcher, lambda _: None, said.append, force)
    launcher.said = said  # type: ignore[attr-defined]
    return summary


def test_nothing_to_do_does_nothing(home: Home, launcher: Launcher) -> None:
    summary = bring(home, launcher)
    assert launcher.batches == []
    assert summary.complete
    assert sorted(summary.fresh) == sorted(ORDER)


def test_early_cutoff(home: Home, launcher: Launcher) -> None:
    edit(home, "checkpoint_every = 10", "checkpoint_every = 20")
    plan = make_plan(Selection.of(["demo"], home), home)
    assert [(s.key, s.how) for s in plan.steps] == [
        ("demo/splats/trained", "compute"),
        *((key, "check") for key in ORDER[3:]),
    ]
    assert plan.seconds > 0
    assert plan.unknown == 0
    summary = bring(home, launcher)
    assert launcher.batches == [["demo/splats/trained"]]
    assert summary.ran == ["demo/splats/trained"]
    assert summary.complete


def test_only_the_selection_and_what_it_needs(home: Home, launcher: Launcher) -> None:
    edit(home, "iterations = 40", "iterations = 41")
    summary = bring(home, launcher, "demo/splats/exports")
    assert summary.ran == ["demo/splats/trained", "demo/splats/exports"]
    assert [s.key for s in make_plan(Selection.of(["demo"], home), home).steps] == ORDER[3:5]


def test_a_change_undone_is_restored_without_computing(home: Home, launcher: Launcher) -> None:
    sheet = home.exports / "demo" / "contact_sheet.png"
    before = sheet.read_bytes()
    edit(home, "[exports]", "[contact_sheet]\ncell_width = 200\n\n[exports]")
    assert bring(home, launcher).ran == ["demo/evaluation/contact_sheet"]
    assert sheet.read_bytes() != before
    edit(home, "cell_width = 200", "cell_width = 340")
    summary = bring(home, launcher)
    assert summary.ran == []
    assert summary.restored == ["demo/evaluation/contact_sheet"]
    assert sheet.read_bytes() == before


def test_what_fails_stops_only_what_depends_on_it(home: Home, launcher: Launcher) -> None:
    edit(home, "iterations = 40", "iterations = 41")
    launcher.fails["demo/evaluation/held_out"] = InputError("no such net; choose another")
    summary = bring(home, launcher)
    assert summary.ran == ["demo/splats/trained", "demo/splats/exports"]
    assert [(f.key, f.message, f.bad_input) for f in summary.failed] == [
        ("demo/evaluation/held_out", "no such net; choose another", True)
    ]
    assert summary.skipped == ["demo/evaluation/contact_sheet"]
    steps = {s.key: s.status for s in make_plan(Selection.of(["demo"], home), home).steps}
    assert steps["demo/evaluation/held_out"].state == "failed"
    assert steps["demo/evaluation/held_out"].reasons[0] == "failed: no such net; choose another"
    assert steps["demo/evaluation/contact_sheet"].state == "stale"
    launcher.fails.clear()
    assert bring(home, launcher).ran == [
        "demo/evaluation/held_out",
        "demo/evaluation/contact_sheet",
    ]
    assert make_plan(Selection.of(["demo"], home), home).steps == ()


def test_a_failure_is_forgotten_when_what_it_was_made_from_changes(
    home: Home, launcher: Launcher
) -> None:
    edit(home, "iterations = 40", "iterations = 41")
    launcher.fails["demo/splats/trained"] = RuntimeError("broke")
    assert bring(home, launcher, "demo/splats/trained").failed
    edit(home, "iterations = 41", "iterations = 42")
    (step,) = make_plan(Selection.of(["demo/splats/trained"], home), home).steps
    assert step.status.state == "stale"


def test_a_setting_changed_while_its_stage_runs(home: Home, launcher: Launcher) -> None:
    edit(home, "iterations = 40", "iterations = 41")
    changed: list[str] = []

    def change(key: str) -> None:
        # After the stage has read its settings: the version says 41 and is stale at once.
        if key == "demo/splats/exports" and not changed:
            changed.append(key)
            edit(home, "iterations = 41", "iterations = 43")

    launcher.before = change
    summary = bring(home, launcher)
    assert changed
    artifact = Store(home.store).artifact("demo/splats/trained")
    made = [v.provenance.settings["train"]["iterations"] for v in artifact.history()]
    assert made == [40, 41, 43]
    assert summary.complete
    assert make_plan(Selection.of(["demo"], home), home).steps == ()


def test_force_computes_the_selected_once(home: Home, launcher: Launcher) -> None:
    summary = bring(home, launcher, "demo/splats/trained", force=True)
    assert summary.ran == ["demo/splats/trained"]
    assert launcher.batches == [["demo/splats/trained"]]


def chunks(home: Home, key: str) -> list[Path]:
    folder = Store(home.store).artifact(key).repository / "chunks"
    return sorted(folder.iterdir(), key=lambda p: p.stat().st_size)


def flip(path: Path, keep_time: bool) -> None:
    data, stat = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_damage_is_found_named_and_rebuilt(home: Home, launcher: Launcher, damage: str) -> None:
    before = Store(home.store).artifact("demo/capture/points").resolve()
    victim = chunks(home, "demo/capture/points")[-1]
    if damage == "flipped":
        flip(victim, keep_time=False)
    else:
        victim.unlink()
    (step,) = [
        s for s in make_plan(Selection.of(["demo"], home), home).steps if not s.status.waits_for
    ]
    assert step.key == "demo/capture/points"
    assert step.status.reasons[0].startswith("damaged: demo/capture/points")
    summary = bring(home, launcher)
    assert summary.ran == ["demo/capture/points"]
    assert summary.complete
    artifact = Store(home.store).artifact("demo/capture/points")
    assert artifact.verify().content_hash == before.content_hash


def test_rot_without_a_trace_is_found_by_who_reads_it_and_rebuilt(
    home: Home, launcher: Launcher
) -> None:
    flip(chunks(home, "demo/splats/trained")[-1], keep_time=True)
    edit(home, "[exports]", "[exports]\n# splats again\n")
    assert make_plan(Selection.of(["demo"], home), home).steps == ()
    edit(home, 'splats = ["ply", "spz"]', 'splats = ["spz"]')
    summary = bring(home, launcher)
    assert summary.ran == ["demo/splats/trained", "demo/splats/exports"]
    assert summary.complete


def test_a_repository_that_is_gone_is_made_again(home: Home, launcher: Launcher) -> None:
    import shutil

    shutil.rmtree(Store(home.store).artifact("demo/capture/points").folder)
    (step, *_) = make_plan(Selection.of(["demo"], home), home).steps
    assert (step.key, step.status.state) == ("demo/capture/points", "missing")
    assert bring(home, launcher).ran == ["demo/capture/points"]


def test_a_refresh_waits_for_who_makes_an_artifact(home: Home, launcher: Launcher) -> None:
    edit(home, "iterations = 40", "iterations = 41")
    folder = Store(home.store).artifact("demo/splats/trained").folder
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        with hold("maker", folder, "demo/splats/trained", 0, "run 0123abcd"):
            ready.set()
            time.sleep(1.5)
            done.set()

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    launcher.before = lambda key: None if done.is_set() else pytest.fail("did not wait")
    summary = bring(home, launcher, "demo/splats/trained")
    thread.join()
    assert summary.ran == ["demo/splats/trained"]
    (sentence,) = launcher.said  # type: ignore[attr-defined]
    assert "demo/splats/trained is being made by process" in sentence
    assert "for run 0123abcd" in sentence


def test_what_never_gets_fresh_is_given_up(home: Home, launcher: Launcher) -> None:
    def change(key: str) -> None:
        launcher.count = getattr(launcher, "count", 0) + 1  # type: ignore[attr-defined]
        produced = home.exports / "demo" / "contact_sheet.png"
        produced.unlink(missing_ok=True)

    edit(home, "[exports]", "[contact_sheet]\ncell_width = 200\n\n[exports]")
    original = launcher.__call__

    def launch(keys: Sequence[str], forced: Sequence[str]) -> Batch:
        batch = original(keys, forced)
        change("")
        for file in (home.store / "demo/evaluation/contact_sheet/files").iterdir():
            file.unlink()
        return batch

    chosen = Selection.of(["demo"], home)
    summary = refresh(chosen, home, launch, lambda _: None, lambda _: None)
    assert launcher.count == 3  # type: ignore[attr-defined]
    (failure,) = summary.failed
    assert "still not fresh after 3 attempts" in failure.message
    assert "contact_sheet.png not there" in failure.message


def test_selections_are_checked_before_anything_runs(home: Home) -> None:
    for name, words in {"attic": "there are: demo", "demo/splat": "demo/splats/trained"}.items():
        with pytest.raises(InputError, match=words):
            Selection.of([name], home)


def test_a_broken_scene_is_told_and_the_others_are_refreshed(
    home: Home, launcher: Launcher
) -> None:
    (home.scenes / "shed.toml").write_text("[train]\niterations = 'many'\n")
    summary = refresh(Selection.of([], home), home, launcher, lambda _: None, lambda _: None)
    assert [f.key for f in summary.failed] == ["shed"]
    assert sorted(summary.fresh) == sorted(ORDER)


def status_of(home: Home, scene: Scene, key: str) -> Any:
    return scene_status(scene, home, Store(home.store))[key]


def test_other_versions_of_libraries_are_remarked_and_make_nothing_stale(
    home: Home, demo_scene: Function, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = demo_scene(home, tiny)
    assert status_of(home, scene, "splats/trained").remarks == ()
    now = {**freshness.packages(), "torch": "9.9.9"}
    del now["lpips"]
    monkeypatch.setattr(freshness, "packages", lambda: now)
    found = status_of(home, scene, "splats/trained")
    assert found.state == "fresh"
    assert any(r.startswith("made with torch ") and r.endswith("now 9.9.9") for r in found.remarks)
    assert any(r.startswith("made with lpips ") and "not installed" in r for r in found.remarks)


@pytest.mark.parametrize(
    ("version", "migrations", "words"),
    [(2, {}, "schema: splats_test 1 -> 2"), (2, {1: lambda tree: tree}, ""), (0, {}, "newer")],
)
def test_an_artifact_of_another_schema_is_stale_unless_it_migrates(
    home: Home, demo_scene: Function, tiny: str, version: int, migrations: Any, words: str
) -> None:
    scene = demo_scene(home, tiny)
    stage = stages_of(scene)["splats/trained"]
    stored = Store(home.store).artifact("demo/splats/trained").resolve()
    schema = replace(
        stage.schema,
        name=stored.schema if not words.startswith("schema: splats_test") else "splats_test",
        version=version,
        migrations=migrations,
    )
    old = replace(stored, schema=schema.name, schema_version=1)
    assert words in freshness.unreadable(old, replace(stage, schema=schema))
    if not words:
        assert freshness.unreadable(old, replace(stage, schema=schema)) == ""
    other = replace(schema, name="something_else")
    assert "something_else" in freshness.unreadable(old, replace(stage, schema=other))


def test_code_edited_while_it_is_loaded_is_never_fresh(
    home: Home, demo_scene: Function, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = demo_scene(home, tiny)
    stage = stages_of(scene)["evaluation/contact_sheet"]

    def made(loading_since: float) -> Any:
        monkeypatch.setattr("assets.produce.LOADING_SINCE", loading_since)
        return produce(scene, stage, home, lambda *_: None, lambda _: None, force=True).version

    newest = Code.read().newest(Code.read().of(stage.run))
    assert not made(newest).provenance.ambiguous  # saved at the very moment before it was loaded
    edited = made(newest - 0.001)
    assert edited.provenance.ambiguous
    assert "code: edited while it ran" in status_of(home, scene, "evaluation/contact_sheet").reasons
    assert not made(newest + 1).provenance.ambiguous
    assert status_of(home, scene, "evaluation/contact_sheet").state == "fresh"
