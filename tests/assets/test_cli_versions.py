"""Commands about versions: what differs, names, and what is dropped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assets import pruning
from assets.freshness import recipe
from assets.graph import stages_of
from assets.scenes import all_scenes
from storage.home import Home
from storage.lock import hold, writer
from storage.store import Store

Run = Callable[..., tuple[int, str, str]]
TRAINED, HELD_OUT = "demo/splats/trained", "demo/evaluation/held_out"
NOW = ("--older-than", "0s")


@pytest.fixture
def two(home: Home) -> Home:
    """A home whose trained splats and evaluation have a second version, a little different."""
    store = Store(home.store)
    for key, change in ((TRAINED, _move), (HELD_OUT, _brighten)):
        artifact = store.artifact(key)
        version = artifact.resolve()
        tree = artifact.open().load()
        for node in tree.subtree:
            kept = ("splatworks", "provenance", "written")
            node.attrs = {k: v for k, v in node.attrs.items() if k not in kept}
        change(tree)
        made = replace(version.provenance, settings={"train": {"iterations": 99}})
        artifact.write(tree, stages_of_demo(home)[key].schema, made)
    return home


def stages_of_demo(home: Home) -> dict[str, Any]:
    scene = all_scenes(home, frozenset({"capture", "points", "train", "evaluation", "exports"}))
    return {f"demo/{k}": s for k, s in stages_of(scene["demo"]).items()}  # type: ignore[arg-type]


def _move(tree: Any) -> None:
    tree["splats"]["means"].values[0] += 0.5


def _brighten(tree: Any) -> None:
    """The second view's top left quarter gets 16 levels brighter, and its PSNR worse by 2."""
    colors = tree["renders"]["colors"].values
    colors[1, :24, :32] = np.minimum(colors[1, :24, :32], 239) + 16
    table = tree["metrics"]
    table["value"].values[table["metric"].values == "psnr"] -= 2.0


def test_diff_of_an_evaluation(run: Run, two: Home) -> None:
    code, out, err = run("diff", HELD_OUT, "v1", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["artifact"], found["old"], found["new"]) == (HELD_OUT, "v1", "v2")
    metrics = {m["metric"]: m for m in found["metrics"]}
    assert metrics["psnr"]["change"] == pytest.approx(-2.0)
    assert metrics["psnr"]["units"] == "dB"
    assert metrics["ssim"]["change"] == 0.0
    changed = {c["variable"]: c for c in found["content"]}
    assert set(changed) == {"metrics/value", "renders/colors"}
    assert changed["renders/colors"]["largest"] == 16.0
    assert {"dimension": "renders/view", "old": 2, "new": 2} in found["counts"]
    picture = two.exports / "demo" / "diff_evaluation_held_out_v1_v2.png"
    assert found["picture"] == str(picture)
    with Image.open(picture) as image:
        assert image.size[0] > 900
    code, out, _ = run("diff", HELD_OUT, "v1", "v2")
    assert "psnr" in out
    assert "-2" in out
    assert "renders/colors" in out
    assert str(picture) in out.replace("\n", "")


def test_only_what_differs_is_drawn(run: Run, two: Home) -> None:
    from assets.comparison import most_different

    artifact = Store(two.store).artifact(HELD_OUT)
    old, new = artifact.open("v1"), artifact.open("v2")
    found = most_different(old, new, ["renders/colors", "renders/depth", "metrics/value"])
    (section,) = found.sections
    assert section.title == "renders/colors"
    (row,) = section.rows  # the first view is the same
    assert row.name == str(old["renders"]["names"].values[1])
    gap = np.abs(row.new.astype(int) - row.old)
    assert gap[:24, :32].max() == 16
    assert gap[24:].max() == gap[:, 32:].max() == 0
    assert f"{gap.mean():.3g} of 255" in row.caption


def test_views_are_matched_by_name_or_not_at_all(two: Home) -> None:
    from assets.comparison import most_different

    new = Store(two.store).artifact(HELD_OUT).open("v2").load()
    old = new.isel(view=[1, 0])
    assert most_different(old, new, ["renders/colors"]).sections == []
    old["renders"]["names"].values[:] = ["a", "b"]
    found = most_different(old, new, ["renders/colors"])
    assert found.sections == []
    assert "no view has the same name" in found.remarks[0]
    smaller = new.isel(x=slice(0, 30))
    assert "sizes differ" in most_different(smaller, new, ["renders/colors"]).remarks[0]


def test_diff_of_splats_has_no_picture(run: Run, two: Home) -> None:
    code, out, err = run("diff", TRAINED, "v1")
    assert code == 0, err
    assert "settings: train.iterations newly read, 99" in out or "train.iterations" in out
    assert "splats/means" in out
    assert "3 of" in out
    assert "wrote" not in out
    assert list((two.exports / "demo").glob("diff_*")) == []
    code, out, _ = run("diff", TRAINED, "v2", "v2")
    assert code == 0
    assert "content: the same" in out


def test_diff_draws_where_it_is_told_to_and_not_at_all(run: Run, two: Home, tmp_path: Path) -> None:
    file = tmp_path / "here.png"
    assert run("diff", HELD_OUT, "v1", "v2", "--picture", file)[0] == 0
    assert file.is_file()
    code, out, _ = run("diff", HELD_OUT, "v1", "--no-picture", "--json")
    assert json.loads(out)["picture"] is None
    assert list((two.exports / "demo").glob("diff_*")) == []
    code, _, err = run("diff", HELD_OUT, "v1", "--picture", tmp_path / "here.gif")
    assert code == 2
    assert ".png" in err
    code, _, err = run("diff", HELD_OUT, "v7")
    assert code == 2
    assert "(v1, v2)" in err


def test_tag_keeps_a_version(run: Run, two: Home) -> None:
    code, out, err = run("tag", TRAINED, "paper", "--version", "v1")
    assert code == 0, err
    assert f"{TRAINED}: v1 is called paper" in out
    _, out, _ = run("history", TRAINED, "--json")
    assert {v["version"]: v["names"] for v in json.loads(out)} == {"v2": [], "v1": ["paper"]}
    code, _, err = run("tag", TRAINED, "paper")
    assert code == 2
    assert "names never move" in err
    for name in ("v7", "a/b", ""):
        assert run("tag", TRAINED, name)[0] == 2
    assert run("tag", TRAINED, "other", "--version", "v9")[0] == 2
    assert run("prune", *NOW, "--yes")[0] == 0
    artifact = Store(two.store).artifact(TRAINED)
    assert [v.tag for v in artifact.history()] == ["v1", "v2"]
    assert artifact.verify("paper").tag == "v1"
    assert [v.tag for v in Store(two.store).artifact(HELD_OUT).history()] == ["v2"]


def test_prune_says_first_what_goes(run: Run, two: Home) -> None:
    code, out, err = run("prune", *NOW, "--dry-run", "--json")
    assert code == 0, err
    planned = json.loads(out)
    assert {i["artifact"]: i["versions"] for i in planned["items"]} == {
        TRAINED: "v1",
        HELD_OUT: "v1",
    }
    assert planned["bytes"] == sum(i["bytes"] for i in planned["items"]) > 10_000
    assert json.loads(run("prune", "--dry-run", "--json")[1])["items"] == []  # all are young
    assert json.loads(run("prune", *NOW, "--keep", "1", "-n", "--json")[1])["items"] == []
    code, _, err = run("prune", *NOW)
    assert code == 2
    assert "--yes" in err  # nobody can be asked here
    assert len(Store(two.store).artifact(TRAINED).history()) == 2
    code, out, _ = run("prune", "demo/splats", *NOW, "--yes", "--json")
    done = json.loads(out)
    assert [i["artifact"] for i in done["items"]] == [TRAINED]
    assert done["bytes"] == next(i["bytes"] for i in planned["items"] if i["artifact"] == TRAINED)
    assert len(Store(two.store).artifact(TRAINED).history()) == 1
    assert len(Store(two.store).artifact(HELD_OUT).history()) == 2
    assert "nothing to drop" in run("prune", "demo/splats", *NOW, "--yes")[1]


def test_prune_says_when_all_is_too_young(run: Run, two: Home) -> None:
    for options in (("--dry-run",), ("--yes",)):
        assert run("prune", *options)[1].strip() == "nothing older than 1 h; see --older-than"
    assert "nothing older than 2 d;" in run("prune", "--older-than", "2d", "-n")[1]
    assert run("prune", "--older-than", "2d", "--keep", "1", "-n")[1].strip() == "nothing to drop"
    assert len(Store(two.store).artifact(TRAINED).history()) == 2


@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n"])
def test_prune_asks_on_a_terminal(
    run: Run, two: Home, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    code, out, _ = run("prune", *NOW)
    assert code == 0
    assert "would free" in out
    left = len(Store(two.store).artifact(TRAINED).history())
    assert left == (1 if answer == "y\n" else 2)


def test_prune_skips_what_is_held(run: Run, two: Home) -> None:
    folder = Store(two.store).artifact(TRAINED).folder
    with writer(folder, TRAINED, 0):
        code, out, _ = run("prune", *NOW, "--yes", "--json")
        assert code == 0
        items = {i["artifact"]: i for i in json.loads(out)["items"]}
        assert items[TRAINED]["state"] == "stays"
        assert f"process {os.getpid()}" in items[TRAINED]["why"]
        assert items[HELD_OUT]["state"] == "dropped"
    with hold("maker", Store(two.store).artifact("demo/splats/exports").folder, "x", 0):
        code, out, _ = run("prune", *NOW, "--yes", "--json")
    assert code == 0
    items = {i["artifact"]: i for i in json.loads(out)["items"]}
    assert "demo/splats/exports is being made by process" in items[TRAINED]["why"]
    assert len(Store(two.store).artifact(TRAINED).history()) == 2
    assert run("prune", *NOW, "--yes")[0] == 0
    assert len(Store(two.store).artifact(TRAINED).history()) == 1


def test_orphans_go_only_when_asked_for(run: Run, two: Home) -> None:
    store = two.store
    (store / "demo" / "splats").rename(store / "demo" / "blobs")
    gone = "attic/splats/trained"
    (store / "attic" / "splats").mkdir(parents=True)
    (store / "demo" / "blobs" / "trained").rename(store / "attic" / "splats" / "trained")
    code, out, _ = run("prune", *NOW, "--yes", "--json")
    assert code == 0
    items = {i["artifact"]: i for i in json.loads(out)["items"]}
    assert "there is no scene 'attic' any more" in items[gone]["why"]
    assert "scene 'demo' has no blobs/exports" in items["demo/blobs/exports"]["why"]
    assert len(Store(store).artifact(gone).history()) == 2
    code, out, _ = run("prune", "attic", "--orphans", "--yes", "--json")
    items = json.loads(out)["items"]
    assert [(i["artifact"], i["state"]) for i in items] == [(gone, "dropped")]
    assert not (store / "attic").exists()
    nested = store / "attic" / "closeup" / "x9" / "refined"
    nested.parent.mkdir(parents=True)
    (store / "demo" / "blobs" / "exports").rename(nested)
    with hold("maker", nested, "attic", 0):
        code, out, _ = run("prune", "attic", "--orphans", "--yes", "--json")
    assert "attic/closeup/x9/refined is being made" in json.loads(out)["items"][0]["why"]
    assert run("prune", "attic", "--orphans", "--yes")[0] == 0
    assert not (store / "attic").exists()
    assert (store / "demo" / "blobs").exists()


def test_orphans_with_a_name_stay(run: Run, two: Home) -> None:
    Store(two.store).artifact(TRAINED).tag("paper", "v1")
    (two.store / "demo").rename(two.store / "attic")
    code, out, _ = run("prune", "--orphans", "--yes", "--json")
    assert code == 0
    items = {i["artifact"]: i for i in json.loads(out)["items"]}
    assert items["attic/splats/trained"]["state"] == "stays"
    assert "v1 (paper)" in items["attic/splats/trained"]["why"]
    assert Store(two.store).keys() == ["attic/splats/trained"]


def test_a_scene_that_cannot_be_read_has_no_orphans(run: Run, two: Home) -> None:
    (two.scenes / "demo.toml").write_text("?")
    assert run("prune", "--orphans", "--yes")[0] == 0
    assert len(Store(two.store).artifact(TRAINED).history()) == 2


def test_checkpoints(run: Run, home: Home) -> None:
    scene = all_scenes(home, frozenset({"capture", "points", "train", "evaluation", "exports"}))
    demo = scene["demo"]
    stage = stages_of(demo)["splats/trained"]  # type: ignore[arg-type]
    current = Store(home.store).current([f"demo/{k}" for k in stages_of(demo)])  # type: ignore[arg-type]
    needed = recipe(demo, stage, home, current).recipe  # type: ignore[arg-type]
    old = time.time() - (pruning.CHECKPOINT_DAYS + 1) * 86400
    for name in (needed, "0" * 32, "1" * 32):
        file = home.checkpoints / f"demo-splats-trained-{name}.pt"
        file.write_bytes(b"12345")
        if not name.startswith("1"):
            os.utime(file, (old, old))
    code, out, _ = run("prune", "--yes", "--json")
    assert code == 0
    (item,) = json.loads(out)["items"]
    assert (item["artifact"], item["what"], item["bytes"]) == (TRAINED, "checkpoint", 5)
    left = {f.name[-35:-3] for f in home.checkpoints.iterdir()}
    assert left == {needed, "1" * 32}


def test_what_an_interrupted_removal_left_goes(run: Run, home: Home) -> None:
    left = home.store / "demo" / "splats" / ".removed-trained-123" / "repository.icechunk"
    left.mkdir(parents=True)
    (left / "chunk").write_bytes(b"1234567")
    _, out, _ = run("prune", "--yes", "--json")
    assert json.loads(out)["bytes"] == 7
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--older-than", "soon"), "as 7d"),
        (("--older-than", "9" * 12 + "w"), "longer"),
        (("attic",), "names nothing"),
        (("demo/splat",), "names nothing"),
        (("--keep", "-1"), "keep"),
    ],
)
def test_prune_refuses_what_it_does_not_understand(
    run: Run, home: Home, options: tuple[str, ...], words: str
) -> None:
    code, _, err = run("prune", *options, "--yes")
    assert code == 2
    assert words in err


def test_bench_of_the_store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets import bench_store

    rows = bench_store.bench(0.5, 1)
    assert {row.case for row in rows} == set(bench_store.CASES)
    for row in rows:
        assert min(row.write, row.read, row.torch_save, row.torch_load) > 0
        assert row.ratio > 0
    shrunk = {row.case: row.stored_megabytes / row.megabytes for row in rows}
    assert shrunk["smooth pictures"] < 0.5
    assert shrunk["photos"] > 1.0
    monkeypatch.setattr(bench_store, "bench", lambda **_: rows)
    code, out, _ = run("bench", "--store", "--json")
    assert code == 0
    assert [r["case"] for r in json.loads(out)] == list(bench_store.CASES)
    assert run("bench", "--store", "--repeats", "0")[0] == 2
