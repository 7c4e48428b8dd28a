"""The job and the sensor of the UI, and what keeps an open page in step."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from assets.follow import definitions_now, follow, store_now
from assets.graph import stages_of
from assets.instance import instance
from assets.produce import produce
from assets.refresh_job import RefreshConfig, keep_fresh, refresh_job
from storage.attempts import Failure, remember_failure
from storage.home import Home
from storage.store import Store

Function = Callable[..., Any]


@pytest.fixture
def dagster(home: Home) -> Iterator[dg.DagsterInstance]:
    with instance(home) as found:
        yield found


def execute(dagster: dg.DagsterInstance, **config: Any) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Whether it succeeded, and what its page shows of the plan and the outcome."""
    result = refresh_job.execute_in_process(
        run_config=dg.RunConfig(ops={"bring_up_to_date": RefreshConfig(**config)}),
        instance=dagster,
        raise_on_error=False,
    )
    shown = {}
    for event in result.all_events:
        if event.is_successful_output:
            data = event.step_output_data
            shown[data.output_name] = {k: v.value for k, v in data.metadata.items()}
    return result.success, shown


def test_nothing_to_do(dagster: dg.DagsterInstance) -> None:
    success, shown = execute(dagster)
    assert success
    assert shown["plan"]["plan"] == "all 6 artifacts are fresh, nothing to do"
    assert shown["outcome"]["computed"] == 0


def test_a_dry_run_shows_the_plan_and_does_nothing(
    home: Home, dagster: dg.DagsterInstance, demo_scene: Function, tiny: str
) -> None:
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 41"))
    before = store_now(home)
    success, shown = execute(dagster, selection=["demo/splats/exports"], dry_run=True)
    assert success
    rows = [record.data for record in shown["plan"]["steps"].records]
    assert [(r["artifact"], r["to do"]) for r in rows] == [
        ("demo/splats/trained", "compute"),
        ("demo/splats/exports", "check"),
    ]
    assert "settings: train.iterations 40 -> 41" in rows[0]["why"]
    assert store_now(home) == before


def test_it_computes_and_restores(
    home: Home, dagster: dg.DagsterInstance, demo_scene: Function, tiny: str
) -> None:
    demo_scene(home, tiny.replace("[exports]", "[contact_sheet]\ncell_width = 99\n\n[exports]"))
    success, shown = execute(dagster, selection=["demo"])
    assert success
    assert shown["outcome"]["computed"] == 1
    assert dagster.get_run_by_id(shown["outcome"]["run 1"]) is not None
    demo_scene(home, tiny)
    success, shown = execute(dagster, selection=["demo"])
    assert success
    assert (shown["outcome"]["computed"], shown["outcome"]["restored"]) == (0, 1)
    key = dg.AssetKey(["demo", "evaluation", "contact_sheet"])
    event = dagster.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    tags = event.asset_materialization.tags or {}
    version = Store(home.store).artifact("demo/evaluation/contact_sheet").resolve()
    assert (tags["splatworks/version"], version.tag) == ("v1", "v1")


def test_a_selection_of_nothing_is_refused(dagster: dg.DagsterInstance) -> None:
    success, shown = execute(dagster, selection=["attic"])
    assert not success
    assert shown == {}


def test_the_sensor_refreshes_what_got_stale_once(
    home: Home, dagster: dg.DagsterInstance, demo_scene: Function, tiny: str
) -> None:
    def tick() -> Any:
        return keep_fresh(dg.build_sensor_context(instance=dagster))

    assert keep_fresh.default_status == dg.DefaultSensorStatus.STOPPED
    assert isinstance(tick(), dg.SkipReason)
    scene = demo_scene(
        home, tiny.replace("[exports]", "[contact_sheet]\ncell_width = 99\n\n[exports]")
    )
    first = tick()
    config = first.run_config["ops"]["bring_up_to_date"]["config"]
    assert config["selection"] == ["demo/evaluation/contact_sheet"]
    assert tick().run_key == first.run_key  # Dagster starts each key once
    artifact = Store(home.store).artifact("demo/evaluation/contact_sheet")
    stage = stages_of(scene)["evaluation/contact_sheet"]
    remember_failure(artifact.folder, Failure(recipe="another", message="failed before"))
    assert tick().run_key == first.run_key
    produce(scene, stage, home, lambda *_: None, lambda _: None)
    assert isinstance(tick(), dg.SkipReason)
    # What was never made is not started by itself.
    (home.scenes / "copy.toml").write_text(f"[source]\nkind = 'demo'\n{tiny}")
    assert isinstance(tick(), dg.SkipReason)


def test_what_the_page_depends_on_is_noticed(home: Home, demo_scene: Function, tiny: str) -> None:
    before, stored = definitions_now(home), store_now(home)
    assert definitions_now(home) == before
    demo_scene(home, tiny + "# a comment\n")
    assert definitions_now(home) == before
    scene = demo_scene(home, tiny.replace("iterations = 40", "iterations = 41"))
    assert definitions_now(home) != before
    assert store_now(home) == stored
    stage = stages_of(scene)["splats/trained"]
    produce(scene, stage, home, lambda *_: None, lambda _: None)
    assert store_now(home) != stored
    (home.scenes / "shed.toml").write_text("not TOML")
    assert definitions_now(home)


def test_the_page_is_reloaded_when_a_setting_changes(
    home: Home, demo_scene: Function, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": {}}')

        def log_message(self, *_: object) -> None:
            return

    class EnoughError(Exception):
        pass

    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        raise EnoughError

    monkeypatch.setattr("assets.follow._SECONDS", 0.1)
    monkeypatch.setattr("assets.follow.bring_all_in_step", lambda home: [])
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def change() -> None:
            time.sleep(0.7)
            demo_scene(home, tiny.replace("iterations = 40", "iterations = 41"))

        threading.Thread(target=change, daemon=True).start()
        with pytest.raises(EnoughError):
            follow(home, f"http://127.0.0.1:{server.server_port}", say)
        server.shutdown()
    assert said[0].startswith("code, settings, scenes or photos changed")
    assert "reloadWorkspace" in asked[0]["query"]


def test_the_plan_says_how_long_it_takes_and_what_is_not_selected(
    home: Home, dagster: dg.DagsterInstance, demo_scene: Function, tiny: str
) -> None:
    text = tiny.replace("iterations = 40", "iterations = 4000")
    demo_scene(home, text.replace("studies = []", 'studies = ["mipmap"]'))
    success, shown = execute(dagster, selection=["demo"], dry_run=True)
    assert success
    plan = shown["plan"]
    assert plan["plan"].startswith("4 steps, about ")
    assert "at 40 iterations" in plan["plan"]
    assert plan["not selected"].startswith("study demo/mipmap is not part of 'demo'")
    row = plan["steps"].records[0].data
    assert row["estimated from"].endswith("at 40 iterations")


def test_a_forced_dry_run_plans_what_is_fresh(dagster: dg.DagsterInstance) -> None:
    _, shown = execute(dagster, selection=["demo/splats/exports"], dry_run=True, force=True)
    (row,) = [record.data for record in shown["plan"]["steps"].records]
    assert (row["artifact"], row["to do"]) == ("demo/splats/exports", "compute")
