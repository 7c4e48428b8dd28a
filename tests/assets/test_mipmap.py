"""The multi-scale study as artifacts: its graph, what reruns, and that bases are left alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.bridge.mipmap import (
    model_rows,
    multiscale_from,
    pictures_from,
    prior_arrays_from,
    prior_tree,
    score_rows,
)
from assets.bridge.splats import splats_from
from assets.freshness import scene_status
from assets.graph import find_stage, scenes_of, select, stages_of
from assets.mipmap.looks import adapted_beats_base, evaluation_preview, mean_gains, psnr_table
from assets.mipmap.scales import adapted
from assets.plan import Selection, make_plan
from assets.produce import produce
from assets.scenes import load_scene
from assets.stage import Reads, SomeSettings
from ops.errors import InputError
from ops.mipmap.prior.dispatch import PriorQuality
from ops.mipmap.settings import ProtocolSettings
from storage.home import Home
from storage.store import Store

Function = Callable[..., Any]
STUDY = """
[mipmap]
scales = ["x1_2", "x2"]
enlarge_base_by = 2
tune_iterations = 30

[mipmap_base]
iterations = 40

[mipmap_prior]
iterations = 20
channels = 8
blocks = 1
crop = 12

[mipmap_adapt]
iterations = 25

[mipmap_evaluation]
metrics = ["psnr", "ssim"]
no_reference = []
"""


@pytest.fixture(scope="module")
def study(
    made_home: Home, demo_scene: Function, tiny: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, Any]:
    """A home in which the study of the tiny scene is complete, and the scene."""
    import shutil

    home = Home(tmp_path_factory.mktemp("study") / "home")
    shutil.copytree(made_home.root, home.root)
    text = tiny.replace("studies = []", 'studies = ["mipmap"]') + STUDY
    scene = demo_scene(home, text.replace("test_views = 2", "test_views = 3"))
    for stage in stages_of(scene).values():
        if stage.topic in ("capture", "splats", "mipmap"):
            produce(scene, stage, home, lambda *_: None, lambda _: None)
    return home, scene


def tree(study: tuple[Home, Any], key: str) -> Any:
    return Store(study[0].store).artifact(f"demo/{key}").open()


def test_each_scale_is_its_own_artifact(demo_scene: Function, tiny: str, tmp_path: Path) -> None:
    text = tiny.replace("studies = []", 'studies = ["mipmap"]') + STUDY
    scene = demo_scene(Home(tmp_path / "home"), text)
    keys = [s.key for s in select(scene, "demo/mipmap")]
    assert [k for k in keys if k.startswith("mipmap/x")] == [
        *("mipmap/x1_2/pseudo", "mipmap/x1_2/adapted"),
        *("mipmap/x2/pseudo", "mipmap/x2/adapted"),
    ]
    assert find_stage(scene, "demo/mipmap/x2/adapted").inputs == (
        *("capture/views", "mipmap/zoom_in/base", "mipmap/x2/pseudo"),
        "mipmap/zoom_in/base_renders",
    )
    assert find_stage(scene, "demo/mipmap/x1_2/adapted").inputs[1] == "splats/trained"
    assert {s.topic for s in select(scene, "demo")} == {"capture", "splats", "evaluation"}
    assert [s.key for s in select(scene, "demo/mipmap/x2")] == [
        *("mipmap/x2/pseudo", "mipmap/x2/adapted"),
    ]


@pytest.mark.parametrize(
    ("text", "stale"),
    [
        ("[mipmap_adapt.x2]\niterations = 30\n", {"mipmap/x2/adapted"}),
        (
            "[mipmap_pseudo.x1_2]\nshrink = 'bilinear'\n",
            {"mipmap/x1_2/pseudo", "mipmap/x1_2/adapted"},
        ),
        ("[mipmap_pseudo.x1_2]\nshrink = 'area'\n", set()),
    ],
)
def test_a_setting_of_one_scale_makes_stale_that_scale_only(
    study: tuple[Home, Any], demo_scene: Function, tmp_path: Path, text: str, stale: set[str]
) -> None:
    home, scene = study
    changed = demo_scene(Home(tmp_path / "home"), scene.file.read_text() + text)
    found = scene_status(changed, home, Store(home.store))
    mine = {k: s for k, s in found.items() if k.startswith("mipmap/")}
    own = {k for k, s in mine.items() if any(not r.startswith("input:") for r in s.reasons)}
    assert own == stale
    touched = {k for k, s in mine.items() if s.state != "fresh"}
    scales = {k.split("/")[1] for k in stale}
    assert touched <= {k for k in mine if k.split("/")[1] in {*scales, "evaluation"}}


def _sections() -> set[str]:
    from assets.graph import known_sections

    return set(known_sections())


def test_another_scale_leaves_the_others_fresh(
    study: tuple[Home, Any], demo_scene: Function, tiny: str, tmp_path: Path
) -> None:
    home, scene = study
    text = scene.file.read_text()
    more = demo_scene(Home(tmp_path / "home"), text.replace('"x2"]', '"x2", "x4"]'))
    found = scene_status(more, home, Store(home.store))
    new = {k for k, s in found.items() if k.startswith("mipmap/") and s.state != "fresh"}
    assert new == {
        *("mipmap/x4/pseudo", "mipmap/x4/adapted", "mipmap/x4/truth", "mipmap/evaluation"),
    }


def test_bases_are_left_alone_and_scales_have_their_size(study: tuple[Home, Any]) -> None:
    home, _ = study
    store = Store(home.store)
    for scale, key in {"x1_2": "demo/splats/trained", "x2": "demo/mipmap/zoom_in/base"}.items():
        read = store.artifact(f"demo/mipmap/{scale}/adapted").resolve().provenance.inputs[key]
        assert store.artifact(key).verify().content_hash == read["content"]
        assert store.artifact(key).resolve().tag == read["version"]
    base, small = splats_from(tree(study, "splats/trained")), tree(study, "mipmap/x1_2/adapted")
    assert not torch.equal(splats_from(small).opacity_logits[:9], base.opacity_logits[:9])
    assert small.attrs["gaussians_before"] == len(base)
    images, cameras = pictures_from(tree(study, "mipmap/x1_2/pseudo"))
    assert {tuple(i.shape) for i in images} == {(24, 32, 3)}
    assert cameras.widths[0] == 32
    images, _ = pictures_from(tree(study, "mipmap/x2/pseudo"))
    assert {tuple(i.shape) for i in images} == {(48, 64, 3)}


def test_the_table_is_complete_and_says_what_it_is(study: tuple[Home, Any]) -> None:
    found = tree(study, "mipmap/evaluation")
    rows = score_rows(found)
    assert {r["scale"] for r in rows} == {"x1_2", "x2"}
    assert {"base", "antialiased", "mip", "mip_tuned", "adapted", "pseudo"} <= {
        r["method"] for r in rows
    }
    assert {r["against"] for r in rows} == {"photos", "pseudo"}
    assert {r["views"] for r in rows} == {"scored", "extra"}
    for row in rows:
        said = row["views"] == "scored" and row["scale"] == "x1_2"
        assert ("transductive" in row["standing"]) == said
    assert "stand-in" in found.attrs["labels"]["x2"]
    made = Store(study[0].store).artifact("demo/mipmap/evaluation").resolve()
    assert any("stand-in" in note for note in made.provenance.notes)
    table = {r["method"]: r for r in psnr_table(rows)}
    gains = mean_gains(rows)
    expected = table["adapted"]["x1_2"] - table["base"]["x1_2"]
    assert gains["zoom-out: adapted over base, dB"] == pytest.approx(expected)
    assert adapted_beats_base(found).numbers["gain at x1_2, dB"] == pytest.approx(expected)
    assert {m["iterations"] for m in model_rows(found) if m["method"] == "adapted"} == {25}
    assert {m["share"] for m in model_rows(found) if m["method"] == "adapted"} == {25 / 40}
    (smaller, larger) = multiscale_from(found)
    assert smaller.pictures["adapted"].shape == (24, 32, 3)
    assert larger.pictures["photo"].shape == (48, 64, 3)
    preview = evaluation_preview(found, "demo")
    assert sum("data:image" in text for text in preview.markdown.values()) == 4
    folder = study[0].exports / "demo" / "mipmap"
    assert {p.name for p in folder.iterdir()} == {"curves.png", "x1_2.png", "x2.png"}


def test_a_prior_is_stored_exactly() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "head.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "filters": rng.standard_normal((5, 7)),
        "empty": np.zeros((0, 2), np.float32),
    }
    stored = prior_tree(arrays, "label", PriorQuality(bicubic=20.0, prior=float("nan"), photos=2))
    found = prior_arrays_from(stored)
    assert {k: (v.dtype, v.tobytes()) for k, v in found.items()} == {
        k: (v.dtype, v.tobytes()) for k, v in arrays.items()
    }
    assert "psnr_prior" not in stored.attrs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[mipmap]\nscales = ["x3", "x3"]\n', "found twice: x3"),
        ('[mipmap]\nscales = ["big"]\n', "found 'big'"),
        ("[mipmap_adapt.x3]\niterations = 5\n", r"\[mipmap_adapt.x3\]: no such scale; there are"),
        ('[mipmap_ablations]\nscales = ["x16"]\n', "no such scale: x16"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        stages_of(load_scene(file, frozenset(_sections())))


def test_studies_are_named_in_the_scene(tmp_path: Path) -> None:
    file = tmp_path / "shed.toml"
    source = f"[source]\npath = '{tmp_path}'\n"
    file.write_text(source)
    scene = load_scene(file, frozenset(_sections()))
    assert scene.studies == ()
    with pytest.raises(InputError, match=r'studies = \["mipmap"\]'):
        select(scene, "shed/mipmap")
    file.write_text(f'studies = ["mipmap"]\n{source}')
    assert len(select(load_scene(file, frozenset(_sections())), "shed/mipmap")) == 19
    file.write_text(f'studies = ["mipmop"]\n{source}')
    with pytest.raises(InputError, match="did you mean 'mipmap'"):
        load_scene(file, frozenset(_sections()))


def test_a_stage_reads_only_what_it_declares() -> None:
    some = SomeSettings(ProtocolSettings(), Reads(ProtocolSettings, "mipmap", ("views",)))
    assert some.views == "auto"
    with pytest.raises(AttributeError, match=r"extra_every of \[mipmap\]"):
        _ = some.extra_every
    assert {r.section for r in adapted.also_reads} == {"mipmap", "mipmap_pseudo"}


def test_a_wrong_scale_breaks_its_own_scene_only(home: Home) -> None:
    (home.scenes / "shed.toml").write_text(
        "studies = ['mipmap']\n[source]\nkind = 'demo'\n[mipmap]\nscales = ['big']\n"
    )
    found = scenes_of(home)
    assert "found 'big'" in str(found["shed"])
    plan = make_plan(Selection.of([], home), home)
    assert (plan.steps, list(plan.broken)) == ((), ["shed"])
    with pytest.raises(InputError, match="found 'big'"):
        Selection.of(["shed"], home)


def test_ablations_go_on_after_the_last_finished_row(
    study: tuple[Home, Any],
    demo_scene: Function,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil

    from assets.bridge.mipmap import table_rows
    from ops.mipmap import ablate

    whole = ablate.ablations

    def two(*around: Any) -> Any:
        chosen = [v for v in whole(*around) if v.name in ("as set", "loss=l1")]
        assert len(chosen) == 2
        return tuple(chosen)

    monkeypatch.setattr(ablate, "ablations", two)
    home = Home(tmp_path / "home")
    shutil.copytree(study[0].root, home.root)
    scene = demo_scene(home, study[1].file.read_text())
    stage = find_stage(scene, "demo/mipmap_ablations/table")
    assert stage.variant == "x1_2,x2"

    def stop(done: int, total: int, what: str, values: Any = None) -> None:
        if what == "ablations" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(scene, stage, home, stop, lambda _: None)
    begun: list[int] = []

    def listen(done: int, total: int, what: str, values: Any = None) -> None:
        if what == "ablations":
            assert total == 4
            begun.append(done)

    resumed = produce(scene, stage, home, listen, lambda _: None)
    assert begun[0] >= 3, "rows were computed again"
    assert not list(home.checkpoints.iterdir())
    rows = table_rows(resumed.tree)
    assert {(r["scale"], r["name"], r["views"]) for r in rows} == {
        (s, n, v)
        for s in ("x1_2", "x2")
        for n in ("as set", "loss=l1")
        for v in ("scored", "extra")
    }
    # The settings as they are give what the study itself found.
    scores = {
        (r["scale"], r["views"]): r["value"]
        for r in score_rows(tree(study, "mipmap/evaluation"))
        if (r["method"], r["metric"], r["against"]) == ("adapted", "psnr", "photos")
    }
    found = {(r["scale"], r["views"]): r["psnr"] for r in rows if r["name"] == "as set"}
    assert found == pytest.approx(scores, abs=1e-6)
    assert (home.exports / "demo" / "mipmap" / "ablations.png").stat().st_size > 5_000
