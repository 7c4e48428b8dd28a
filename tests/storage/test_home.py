"""The home folder and the error for each way it can fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from storage.errors import ReadOnlyStoreError, StorageError, StoreFullError
from storage.home import Home, cannot_write


def test_the_variable_names_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SPLATWORKS_HOME", str(tmp_path / "mine"))
    home = Home.find()
    assert home.root == tmp_path / "mine"
    assert not home.root.exists()
    home.create()
    there = {"scenes", "store", "dagster", "weights", "exports", "checkpoints", "cache"}
    assert {p.name for p in home.root.iterdir()} == there
    assert home.create() == home


def test_by_default_it_is_in_the_checkout(monkeypatch):
    monkeypatch.delenv("SPLATWORKS_HOME", raising=False)
    checkout = Path(__file__).resolve().parents[2]
    assert Home.find().root == checkout / ".splatworks"


def test_a_user_may_write_a_tilde(monkeypatch):
    monkeypatch.setenv("SPLATWORKS_HOME", "~/work")
    assert Home.find().root == Path("~/work").expanduser()


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(StorageError, match=r"found something else\. Move it away"):
        Home(tmp_path / "home").create()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StoreFullError, "Free some space, then run again"),
        (errno.EDQUOT, StoreFullError, "no room to write"),
        (errno.EFBIG, StoreFullError, "no room to write"),
        (errno.EACCES, ReadOnlyStoreError, "set SPLATWORKS_HOME to a folder of yours"),
        (errno.EROFS, ReadOnlyStoreError, "Read-only file system"),
        (errno.EMFILE, StorageError, "Too many open files"),
    ],
)
def test_errors_of_the_system(monkeypatch, tmp_path, number, kind, words):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(kind) as caught:
        Home(tmp_path).create()
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert type(cannot_write(tmp_path, OSError(number, "x"))) is kind
