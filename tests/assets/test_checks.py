"""What the checks say of a version stays with it, also when it becomes current without a run."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from assets.checks import tell_verdicts
from assets.factory import scene_assets
from assets.graph import stages_of
from assets.instance import instance
from assets.plan import Selection
from assets.refresh import refresh
from assets.run import tell
from storage.home import Home
from storage.store import Store

Function = Callable[..., Any]
KEY = "demo/evaluation/held_out"


@pytest.fixture
def dagster(home: Home) -> Iterator[dg.DagsterInstance]:
    with instance(home) as found:
        yield found


def verdict(dagster: dg.DagsterInstance, key: str, name: str) -> tuple[bool, dict[str, Any]]:
    """Whether a check passed, with its numbers; fails where the UI shows it as not evaluated."""
    from dagster._core.loader import LoadingContextForTest

    check = dg.AssetCheckKey(dg.AssetKey(key.split("/")), name)
    record = dagster.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
    context = LoadingContextForTest(dagster)
    assert asyncio.run(record.targets_latest_materialization(context)), "not evaluated"
    assert isinstance(record.evaluation, dg.AssetCheckEvaluation)
    assert record.evaluation.description
    assert record.evaluation.severity == dg.AssetCheckSeverity.WARN
    return record.evaluation.passed, {k: v.value for k, v in record.evaluation.metadata.items()}


def restore(home: Home, dagster: dg.DagsterInstance) -> None:
    """Refresh what has only to be restored, as a terminal and the job do it."""

    def launch(*_: Any) -> Any:
        pytest.fail("something was computed")

    chosen, restored = Selection.of([KEY], home), []
    summary = refresh(
        chosen,
        home,
        launch,
        lambda s: restored.append(tell(dagster, home, [s.key])),
        lambda _: None,
    )
    assert summary.restored == [KEY]
    assert restored == [[KEY]]


def test_a_version_that_is_restored_keeps_its_checks(
    home: Home,
    dagster: dg.DagsterInstance,
    demo_scene: Function,
    tiny: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fewer = tiny.replace('"psnr", "ssim", "lpips"', '"psnr", "ssim"')
    made = dg.materialize(list(scene_assets(demo_scene(home, fewer))), instance=dagster)
    assert made.success
    said = verdict(dagster, KEY, "beats_blurred_mean")
    assert said[1]
    # The log knows nothing of the first version, which no run of Dagster made.
    demo_scene(home, tiny)
    restore(home, dagster)
    assert verdict(dagster, KEY, "beats_blurred_mean") == said
    # It knows the second: nothing is judged again.
    monkeypatch.setattr("assets.checks.judged", lambda *_: pytest.fail("judged again"))
    demo_scene(home, fewer)
    restore(home, dagster)
    assert verdict(dagster, KEY, "beats_blurred_mean") == said


def test_checks_whose_inputs_are_gone_are_not_told(
    home: Home, dagster: dg.DagsterInstance, demo_scene: Function, tiny: str
) -> None:
    store = Store(home.store)
    version = store.artifact("demo/capture/points").resolve()
    stage = stages_of(demo_scene(home, tiny))["capture/points"]
    shutil.rmtree(store.artifact("demo/capture/views").folder)
    tell_verdicts(dagster, stage, version, store, "")
    check = dg.AssetCheckKey(dg.AssetKey(["demo", "capture", "points"]), *stage.checks)
    assert not dagster.event_log_storage.get_asset_check_execution_history(check, 10)
