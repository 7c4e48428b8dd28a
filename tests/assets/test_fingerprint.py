"""Code fingerprints: what counts and what does not."""

import ast
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets import fingerprint
from assets.fingerprint import Code
from assets.fingerprint import fingerprint as short_hash

STAGE = '''
"""A module."""
from probe.helper import double
LIMIT = 3
OTHER = 4

def inner(x):
    """Doc."""
    return x + LIMIT  # comment

def run(work: "Unused", x):
    """Run it."""
    from probe.lazy import late
    return inner(double(x)) + late

def unrelated(x):
    return OTHER
'''
HELPER = "from probe import deep\ndef double(x):\n    return deep.TWO * x\n"


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict]]:
    """Writes a small project and fingerprints its function ``run``."""
    names = ("stage", "helper", "lazy", "deep", "alone", "typed")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fingerprint, "FIRST_PARTY", ("probe",))

    def forget() -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] == "probe"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def write(
        stage: str = STAGE, helper: str = HELPER, deep: str = "TWO = 2\n", lazy: str = "late = 1\n"
    ) -> dict:
        forget()
        (tmp_path / "probe").mkdir(exist_ok=True)
        (tmp_path / "probe" / "__init__.py").touch()
        texts = (stage, helper, lazy, deep, "alone = 1\n", "Kind = int\n")
        for name, text in zip(names, texts, strict=True):
            path = tmp_path / "probe" / f"{name}.py"
            path.write_text(textwrap.dedent(text))
        sys.dont_write_bytecode = True
        try:
            return Code.read().of(importlib.import_module("probe.stage").run)
        finally:
            sys.dont_write_bytecode = False

    yield write
    forget()


def test_it_reaches_helpers_lazy_imports_and_their_imports(probe: Callable[..., dict]) -> None:
    assert set(probe()) == {
        "probe",
        "probe.stage:run",
        "probe.stage:inner",
        "probe.stage:LIMIT",
        "probe.helper",
        "probe.lazy",
        "probe.deep",
    }


def test_comments_docstrings_types_and_layout_do_not_count(probe: Callable[..., dict]) -> None:
    before = probe()
    stage = STAGE.replace("# comment", "# another").replace('"""Doc."""', '"""Other."""')
    stage = stage.replace('"Unused"', "int").replace("x + LIMIT", "(x +\n        LIMIT)")
    assert ast.dump(ast.parse(stage)) != ast.dump(ast.parse(STAGE))
    assert probe(stage, HELPER + "# end\n") == before


def test_unused_neighbours_do_not_count(probe: Callable[..., dict]) -> None:
    assert probe(STAGE.replace("OTHER = 4", "OTHER = 5")) == probe()


def test_a_change_two_modules_away_counts(probe: Callable[..., dict]) -> None:
    before, after = probe(), probe(deep="TWO = 3\n")
    assert {k for k in before if before[k] != after[k]} == {"probe.deep"}


def test_a_constant_of_the_own_module_counts(probe: Callable[..., dict]) -> None:
    before, after = probe(), probe(STAGE.replace("LIMIT = 3", "LIMIT = 5"))
    assert {k for k in before if before[k] != after[k]} == {"probe.stage:LIMIT"}


@pytest.mark.parametrize(
    "helper",
    [
        "from .deep import TWO\ndef double(x):\n    return TWO * x\n",
        "from . import deep\ndef double(x):\n    return deep.TWO * x\n",
        "import probe.deep\ndef double(x):\n    return probe.deep.TWO * x\n",
        "def double(x):\n    from probe.deep import TWO\n    return TWO * x\n",
        "import importlib\ndef double(x):\n"
        "    return importlib.import_module('probe.deep').TWO * x\n",
    ],
)
def test_every_way_to_import_counts(probe: Callable[..., dict], helper: str) -> None:
    before, after = probe(helper=helper), probe(helper=helper, deep="TWO = 3\n")
    assert {k for k in before if before[k] != after[k]} == {"probe.deep"}


def test_an_import_for_type_checkers_does_not_count(probe: Callable[..., dict]) -> None:
    typing = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from probe.typed import Kind\n"
    )
    assert "probe.typed" not in probe(helper=typing + HELPER)


def test_a_docstring_of_an_attribute_does_not_count(probe: Callable[..., dict]) -> None:
    attribute = "class A:\n    x: int = 1\n    'What {} is.'\n"
    before = probe(helper=HELPER + attribute.format("x"))
    assert probe(helper=HELPER + attribute.format("this")) == before
    assert probe(helper=HELPER + attribute.format("x").replace("= 1", "= 2")) != before


@pytest.mark.parametrize("naming", ["table.csv", "data/table.csv", "data", "*.csv"])
@pytest.mark.parametrize("where", ["helper", "lazy"])
def test_a_data_file_that_a_module_names_counts(
    probe: Callable[..., dict], tmp_path: Path, naming: str, where: str
) -> None:
    table = tmp_path / "probe" / "data" / "table.csv"
    table.parent.mkdir(parents=True)
    table.write_text("1\n")
    text = {"helper": HELPER, "lazy": "late = 1\n"}[where] + f"FILE = {naming!r}\n"
    before = probe(**{where: text})
    unrelated = tmp_path / "probe" / "data" / "notes.md"
    unrelated.write_text("not read")
    table.touch()
    if naming != "data":
        assert probe(**{where: text}) == before
    table.write_text("2\n")
    after = probe(**{where: text})
    assert {k for k in before if before[k] != after[k]} == {f"probe.{where}"}
    assert short_hash(before) != short_hash(after)


def test_looking_again_reads_nothing_that_was_not_touched(probe: Callable[..., dict]) -> None:
    probe()
    first = Code.read()
    assert Code.read() is first
    probe(deep="TWO = 7\n")
    assert Code.read() is not first


def test_what_was_found_out_is_remembered_until_the_code_changes(
    probe: Callable[..., dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "code.json"
    before = probe()
    first = Code.read()
    first.remember(memory)
    assert not memory.exists(), "a change in the same tick of the clock would not be seen"
    monkeypatch.setattr(fingerprint, "_TICK", -(10**12))
    first.remember(memory)

    def stop(*_: object) -> None:
        raise AssertionError("worked it out again")

    monkeypatch.setattr(Code, "_latest", None)
    monkeypatch.setattr(Code, "_of", stop)
    again = Code.read()
    again.recall(memory)
    assert again.of(sys.modules["probe.stage"].run) == before
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fingerprint, "FIRST_PARTY", ("probe",))
    assert probe(deep="TWO = 9\n") != before
    after = Code.read()
    after.recall(memory)
    assert after.of(sys.modules["probe.stage"].run) != before


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("def run(work, OTHER):\n    return OTHER", False),
        ("def run(work, *OTHER, **more):\n    return OTHER", False),
        ("def run(work):\n    OTHER = work\n    return OTHER", False),
        ("def run(work):\n    for OTHER in work:\n        pass\n    return OTHER", False),
        ("def run(work):\n    return OTHER", True),
        ("def run(work):\n    global OTHER\n    OTHER = OTHER + work", True),
        ("def run(work):\n    return [OTHER for OTHER in work] + [OTHER]", True),
        ("def run(work):\n    return (lambda OTHER: OTHER)(1) + OTHER", True),
        ("def run(work, x=OTHER):\n    return x", True),
        ("def run(work, *, OTHER=OTHER):\n    return OTHER", True),
        ("def run(OTHER):\n    def inner():\n        return OTHER\n    return inner", False),
    ],
)
def test_a_local_name_is_not_that_of_the_module(
    probe: Callable[..., dict], body: str, counts: bool
) -> None:
    before, after = (probe(stage=f"OTHER = {value}\n{body}\n") for value in (4, 5))
    assert (before != after) == counts


def test_what_is_shown_counts_for_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another colour in a preview must not train splats anew."""
    from assets.graph import known_sections, stages_of
    from assets.scenes import all_scenes
    from storage.home import Home

    monkeypatch.setenv("SPLATWORKS_HOME", str(tmp_path))
    home = Home.find().create()
    (home.scenes / "photos.toml").write_text(
        'studies = ["mipmap"]\n[source]\npath = "."\nlayout = "photos"\n'
        "[mipmap]\nantialiased_base = true\nretrain = true\n"
    )
    code, names = Code.read(), set()
    for scene in all_scenes(home, known_sections()).values():
        assert not isinstance(scene, Exception), scene
        for name, stage in stages_of(scene).items():
            names.add(name)
            reached = [m.partition(":")[0] for m in code.of(stage.run)]
            shown = [m for m in reached if m.endswith(".looks") or m == "assets.previews"]
            assert not shown, name
    assert {"capture/structure", "mipmap/x4/retrained", "mipmap_ablations/table"} <= names
