"""The Dagster code location: what it holds, and that its assets run."""

import errno
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from assets import definitions
from assets.events import bring_in_step, event_tags
from assets.factory import _as_user_error, scene_assets
from assets.graph import stages_of
from assets.produce import produce
from storage.errors import ReadOnlyStoreError, StoreFullError
from storage.home import Home
from storage.store import Store


def specs(found: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {s.key.to_user_string(): s for s in found.resolve_all_asset_specs()}


def test_every_asset_is_described(home: Home) -> None:
    found = specs(definitions.build())
    assert "demo/splats/trained" in found
    for key, spec in found.items():
        assert spec.group_name == key.split("/")[0]
        assert len(spec.description or "") > 30, key
        assert "zarr" in spec.kinds
        assert spec.code_version


def test_nodes_of_the_lineage_can_be_told_apart(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    demo_scene(home, tiny.replace("studies = []", 'studies = ["mipmap"]'))
    found = specs(definitions.build())
    shown: dict[tuple[str, ...], str] = {}  # a node shows the end of the key, and the kinds
    for key, spec in found.items():
        node = (key.rpartition("/")[2], *sorted(spec.kinds))
        assert node not in shown, (key, shown[node])
        shown[node] = key
    adapted = found["demo/mipmap/x4/adapted"]
    assert "x4" in adapted.kinds
    assert (adapted.description or "").startswith("x4: A copy of the base")


def test_the_graph_has_the_declared_edges(home: Home) -> None:
    found = specs(definitions.build())
    deps = {d.asset_key.to_user_string() for d in found["demo/splats/trained"].deps}
    assert deps == {"demo/capture/views", "demo/capture/points"}


def test_there_is_a_job_per_scene(home: Home) -> None:
    found = definitions.build()
    assert {"demo", "everything"} <= {job.name for job in found.resolve_all_job_defs()}
    dg.Definitions.validate_loadable(found)


def test_a_setting_changes_the_code_version_of_its_artifact_only(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    def versions() -> dict[str, str | None]:
        return {k: s.code_version for k, s in specs(definitions.build()).items()}

    before = versions()
    demo_scene(home, tiny.replace("iterations = 40", "iterations = 50"))
    after = versions()
    assert {k for k in before if before[k] != after[k]} == {"demo/splats/trained"}


def test_a_broken_scene_is_shown_and_the_others_stay(home: Home) -> None:
    (home.scenes / "shed.toml").write_text("[train]\niterations = 'many'\n")
    found = specs(definitions.build())
    assert "path is missing" in (found["shed/cannot_be_read"].description or "")
    assert "demo/splats/trained" in found


def test_a_wrong_setting_is_shown_with_its_line(home: Home, tmp_path: Any) -> None:
    text = f"[source]\npath = '{tmp_path}'\nlayout = 'transforms'\n[train]\niterations = 'many'\n"
    (home.scenes / "shed.toml").write_text(text)
    description = specs(definitions.build())["shed/cannot_be_read"].description or ""
    assert "shed.toml:5: [train] iterations: expected int, found 'many'" in description


def test_assets_run_with_checks_pictures_and_data_versions(
    home: Home, demo_scene: Callable[..., Any], tiny: str
) -> None:
    scene = demo_scene(home, tiny.replace("iterations = 40", "iterations = 30"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(list(scene_assets(scene)), instance=instance)
        assert result.success
        events = {
            e.asset_key.to_user_string(): e.step_materialization_data.materialization
            for e in result.get_asset_materialization_events()
            if e.asset_key
        }
        trained = events["demo/splats/trained"]
        assert "data:image/png;base64" in str(trained.metadata["training"].value)
        assert trained.metadata["action"].value == "computed"
        assert events["demo/capture/views"].metadata["action"].value == "fresh"
        for key, event in events.items():
            version = Store(home.store).artifact(key).resolve()
            assert event_tags(version).items() <= (event.tags or {}).items(), key
            spec = specs(definitions.build())[key]
            assert spec.code_version == (event.tags or {})["dagster/code_version"], key
        checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
        assert checks["finite"]
        assert trained.tags
        first = trained.tags["dagster/data_version"]
        assert not [
            h for n in ("splatworks", "ops", "storage") for h in logging.getLogger(n).handlers
        ], "a log handler outlived its step"
        again = dg.materialize(list(scene_assets(scene)), instance=instance)
        second = again.asset_materializations_for_node("demo__splats__trained")[0]
        assert second.metadata["action"].value == "fresh"
        assert second.tags
        assert second.tags["dagster/data_version"] == first


def test_a_user_error_is_a_failure_with_its_message(home: Home, tmp_path: Any) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "transforms.json").write_text(json.dumps({"frames": []}))
    text = f"[source]\npath = '{folder}'\nlayout = 'transforms'\n"
    (home.scenes / "shed.toml").write_text(text)
    found = definitions.build()
    job = found.resolve_job_def("everything")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(["shed", "capture", "views"])],
        )
    failure = result.failure_data_for_node("shed__capture__views")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "transforms.json" in (failure.user_failure_data.description or "")


@pytest.mark.parametrize("file", ["workspace.yaml", "pyproject.toml"])
def test_both_ways_to_load_name_the_code_location(file: str) -> None:
    from pathlib import Path

    assert "assets.definitions" in (Path(__file__).parents[2] / file).read_text()


def test_what_is_imported_once_for_all_steps_is_none_of_our_code() -> None:
    """A step has to run the code as it is when it starts, not as it was when the run did."""
    listing = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", listing, json.dumps(definitions._LIBRARIES)],
        check=True, text=True, capture_output=True,
    )  # fmt: skip
    loaded = {name.split(".")[0] for name in json.loads(found.stdout)}
    assert {"dagster", "torch", "zarr", "icechunk"} <= loaded
    assert not loaded & {"assets", "notebooks", "ops", "storage"}


def test_a_full_disk_is_said_in_a_sentence_and_other_faults_are_not_hidden(home: Home) -> None:
    full = _as_user_error(OSError(errno.ENOSPC, "No space left on device"), home)
    assert isinstance(full, StoreFullError)
    assert "no room to write" in str(full)
    read_only = _as_user_error(OSError(errno.EROFS, "Read-only file system"), home)
    assert isinstance(read_only, ReadOnlyStoreError)
    with pytest.raises(ConnectionResetError):
        _as_user_error(ConnectionResetError(errno.ECONNRESET, "reset"), home)


def stale(instance: dg.DagsterInstance) -> set[str]:
    """What the UI marks as unsynced, asked of the page's own resolver."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    graph = definitions.build().resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {key: resolver.get_status(key) for key in graph.materializable_asset_keys}
    return {"/".join(key.path) for key, status in found.items() if status != StaleStatus.FRESH}


def test_the_unsynced_marks_are_those_of_the_store(
    home: Home, demo_scene: Callable[..., Any], tiny: str, make_all: Callable[..., Any]
) -> None:
    def tell(instance: dg.DagsterInstance, **changed: None) -> list[str]:
        keys = [f"demo/{k}" for k in stages_of(scene)]
        return bring_in_step(instance, home, {**Store(home.store).current(keys), **changed})

    scene = demo_scene(home)
    with dg.DagsterInstance.ephemeral() as instance:
        assert len(stale(instance)) == 6
        assert len(tell(instance)) == 6  # a store that Dagster never saw
        assert stale(instance) == set()
        assert tell(instance) == []
        # A setting, then made without Dagster, then the change undone and restored without it.
        changed = tiny.replace("[exports]", "[contact_sheet]\ncell_width = 200\n\n[exports]")
        scene = demo_scene(home, changed)
        assert stale(instance) == {"demo/evaluation/contact_sheet"}
        make_all(home, scene)
        assert tell(instance) == ["demo/evaluation/contact_sheet"]
        assert stale(instance) == set()
        scene = demo_scene(home, tiny)
        assert stale(instance) == {"demo/evaluation/contact_sheet"}
        make_all(home, scene)
        assert tell(instance) == ["demo/evaluation/contact_sheet"]
        assert stale(instance) == set()
        # An input with other content makes what reads it unsynced, one step at a time.
        scene = demo_scene(home, tiny.replace("count = 600", "count = 500"))
        assert stale(instance) == {"demo/capture/points"}
        produce(scene, stages_of(scene)["capture/points"], home, lambda *_: None, lambda _: None)
        assert tell(instance) == ["demo/capture/points"]
        assert stale(instance) == {"demo/splats/trained"}
        # What the store has lost, or holds damaged.
        assert tell(instance, **{"demo/splats/exports": None}) == ["demo/splats/exports"]
        assert "demo/splats/exports" in stale(instance)
