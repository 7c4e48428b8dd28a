"""Code fingerprints: what counts and what does not."""

import ast
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets import fingerprint
from assets.fingerprint import code_of

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
    names = ("stage", "helper", "lazy", "deep", "alone")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fingerprint, "FIRST_PARTY", ("probe",))

    def forget() -> None:
        for name in ("probe", *(f"probe.{n}" for n in names)):
            sys.modules.pop(name, None)
        fingerprint._graph.cache_clear()
        fingerprint.module_hash.cache_clear()
        importlib.invalidate_caches()

    def write(stage: str = STAGE, helper: str = HELPER, deep: str = "TWO = 2\n") -> dict:
        forget()
        (tmp_path / "probe").mkdir(exist_ok=True)
        (tmp_path / "probe" / "__init__.py").touch()
        texts = (stage, helper, "late = 1\n", deep, "alone = 1\n")
        for name, text in zip(names, texts, strict=True):
            path = tmp_path / "probe" / f"{name}.py"
            path.write_text(textwrap.dedent(text))
        # linecache and bytecode go by time of change, which may not move within this test
        import linecache

        linecache.clearcache()
        sys.dont_write_bytecode = True
        try:
            return code_of(importlib.import_module("probe.stage").run)
        finally:
            sys.dont_write_bytecode = False

    yield write
    forget()


def test_it_reaches_helpers_lazy_imports_and_their_imports(probe: Callable[..., dict]) -> None:
    assert set(probe()) == {
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
