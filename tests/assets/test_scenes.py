"""Scene files: reading, writing, names and errors."""

from pathlib import Path

import pytest

from assets.scenes import (
    DEMO,
    Source,
    all_scenes,
    check_name,
    load_scene,
    suggest_name,
    write_scene,
)
from ops.errors import InputError
from storage.home import Home

SECTIONS = frozenset({"capture", "train"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.create()
    return found


def test_the_built_in_scene_is_always_there(home: Home) -> None:
    scenes = all_scenes(home, SECTIONS)
    assert list(scenes) == [DEMO]
    assert scenes[DEMO].source.kind == "demo"


def test_a_written_scene_reads_back(home: Home, tmp_path: Path) -> None:
    source = Source(path=str(tmp_path), layout="photos")
    file = write_scene(home, "attic", source, {"train": {"preset": "preview"}}, "a note")
    scene = load_scene(file, SECTIONS)
    assert scene.name == "attic"
    assert scene.source == source
    assert scene.tables["train"] == {"preset": "preview"}
    assert file.read_text().startswith("# a note")


def test_an_existing_scene_is_not_replaced(home: Home) -> None:
    first = write_scene(home, "attic", Source(path="/a"), {}, "")
    before = first.read_bytes()
    with pytest.raises(InputError, match=r"exists already.*--name"):
        write_scene(home, "attic", Source(path="/b"), {}, "")
    assert first.read_bytes() == before
    assert [p.name for p in home.scenes.iterdir()] == ["attic.toml"]


def test_relative_paths_start_at_the_file(home: Home) -> None:
    file = write_scene(home, "attic", Source(path="../photos"), {}, "")
    assert load_scene(file, SECTIONS).source_path == (home.root / "photos").resolve()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[source", "not a TOML file"),
        ("[source]\npath = '/a'\n[trian]\n", r"broken\.toml:3: \[trian\]: no such section"),
        ("[source]\nkind = 'demoo'\n", r"broken\.toml:2: \[source\] kind: expected one of"),
        ("[train]\n", "path is missing"),
        (
            "[source]\npath = '/a'\n[train]\na = 1\n\n[train]  # again\nb = 2\n",
            r"broken\.toml:6: \[train\] stands here a second time, first in line 3; "
            r"merge the two \[train\] tables into one",
        ),
        ("[train]\n[ train ]", r"broken\.toml:2: \[train\] stands here a second time"),
        ("[a.b]\n['a'.\"b\"]\n", r"broken\.toml:2: \[a\.b\] .*, first in line 1; merge the two"),
        ("[train]\na = 1\na = 2\n", r"not a TOML file: .*line 3"),
    ],
)
def test_a_broken_file_is_reported_and_the_others_stay(home: Home, text: str, words: str) -> None:
    (home.scenes / "broken.toml").write_text(text)
    scenes = all_scenes(home, SECTIONS)
    assert scenes[DEMO].name == DEMO
    assert isinstance(scenes["broken"], InputError)
    with pytest.raises(InputError, match=words):
        raise scenes["broken"]


@pytest.mark.parametrize("name", ["demo", "everything"])
def test_names_of_the_project_are_taken(home: Home, name: str) -> None:
    with pytest.raises(InputError, match="is taken"):
        write_scene(home, name, Source(path="/a"), {}, "")
    assert list(home.scenes.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "My Scene", "../up", "a/b", "-x", "é", "a__b", "_a", "a_", "x" * 64]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="lower-case letters"):
        check_name(name)


def test_suggested_names_are_allowed(tmp_path: Path) -> None:
    for name in ("My Photos (2)", "fox", "--", "ÄÖ", "x.y"):
        assert check_name(suggest_name(tmp_path / name))
