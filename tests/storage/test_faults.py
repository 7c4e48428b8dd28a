"""Full disks, read-only folders, lost and damaged files: named, and never a wrong value."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from storage import backend, layout, writing
from storage.artifact import ArtifactRepository
from storage.errors import (
    ClockError,
    DamagedError,
    NewerStoreError,
    ReadOnlyStoreError,
    StorageError,
    StoreFullError,
)
from storage.provenance import Provenance
from storage.schemas import SPLATS
from storage.store import Store
from storage.testing import assert_same

WRITER = Path(__file__).with_name("writer_process.py")
MADE = Provenance(code="a")


@pytest.fixture
def written(artifact: ArtifactRepository, splats) -> ArtifactRepository:
    """An artifact of two versions; the second has several chunks."""
    artifact.write(splats(300), SPLATS, Provenance(code="before"))
    artifact.write(splats(100_000, degree=2), SPLATS, MADE)
    return artifact


def chunk_of(artifact: ArtifactRepository, size: int) -> Path:
    """A chunk file of about this size."""
    files = list((artifact.repository / "chunks").iterdir())
    return min(files, key=lambda f: (abs(f.stat().st_size - size), f.name))


def flip(file: Path, position: int, bit: int = 0x10) -> None:
    raw = bytearray(file.read_bytes())
    raw[position] ^= bit
    file.write_bytes(bytes(raw))


@pytest.mark.parametrize("damage", ["gone", "short", "empty", "flipped"])
def test_a_damaged_chunk_is_named_and_repaired_by_writing_again(written, splats, damage):
    chunk = chunk_of(written, 100_000 * 4)  # opacity_logits
    if damage == "gone":
        chunk.unlink()
    elif damage == "flipped":
        flip(chunk, 1234)
    else:
        chunk.write_bytes(chunk.read_bytes()[: -100 if damage == "short" else 0])
    tree = written.open()
    assert tree["means"].values.shape == (100_000, 3)
    for read in (lambda: tree["opacity_logits"].values, lambda: tree["opacity_logits"][5].values):
        with pytest.raises(DamagedError) as caught:
            read()
        assert str(caught.value).startswith("fox/splats/trained: opacity_logits [")
        assert "Materialize it again" in str(caught.value)
        assert caught.value.variable == "opacity_logits"
        assert caught.value.artifact == "fox/splats/trained"
    # From now on everybody knows.
    assert "opacity_logits" in written.current().damage
    assert written.find(MADE.recipe) is None
    assert written.verify("v1").damage == ""
    with pytest.raises(DamagedError, match="opacity_logits"):
        written.verify()
    written.set_current("v1")
    with pytest.raises(DamagedError):
        written.set_current("v2")
    assert written.current().tag == "v1"
    # The same content again does not share what is damaged.
    written.write(splats(300), SPLATS, MADE)
    again = written.write(splats(100_000, degree=2), SPLATS, MADE)
    assert again.damage == ""
    assert_same(written.open(), splats(100_000, degree=2))


def test_the_same_content_as_a_damaged_current_version_is_written_anew(written, splats):
    chunk_of(written, 100_000 * 4).unlink()
    for data in (splats(100_000, degree=2), splats(100_000, degree=2).chunk(gaussian=40_000)):
        written.write(data, SPLATS, MADE)
        assert_same(written.open(), splats(100_000, degree=2))
        chunk_of(written, 100_000 * 4).unlink()
        found = set((written.repository / "chunks").iterdir())
        for other in found:  # of the last version too, whichever that was
            if other.stat().st_size == 100_000 * 4 + 4:
                other.unlink()


def test_no_flipped_byte_anywhere_is_ever_a_wrong_value(artifact, splats, caplog):
    """Of every file of the repository, in turn: exact, or refused."""
    data = splats(700)
    artifact.write(splats(3), SPLATS, Provenance(code="before"))
    artifact.write(data, SPLATS, MADE)
    rng = np.random.default_rng(0)
    files = sorted(f for f in artifact.repository.rglob("*") if f.is_file())
    assert {f.parent.name for f in files} >= {"chunks", "manifests", "snapshots", "branch.main"}
    refused = exact = 0
    for file in files:
        raw = file.read_bytes()
        for position in rng.integers(0, len(raw), 4).tolist():
            flip(file, position, 1 << int(rng.integers(0, 8)))
            try:
                assert_same(artifact.open("v2"), data)
                exact += 1
            except DamagedError:
                refused += 1
            file.write_bytes(raw)
    assert refused > 20
    assert exact > 5  # those of the other version, and of what reading does not need
    artifact.verify("v2")


@pytest.mark.parametrize("what", ["snapshots", "manifests", "transactions", "refs", "chunks"])
def test_a_repository_without_one_of_its_folders(written, splats, what, capfd):
    shutil.rmtree(written.repository / what)
    if what != "transactions":  # which only Icechunk's own diff reads
        with pytest.raises((DamagedError, FileNotFoundError)):
            written.open().load()
    written.write(splats(5), SPLATS, MADE)
    assert_same(written.open(), splats(5))
    assert written.verify().tag == "v3"
    assert capfd.readouterr().out == ""  # Icechunk would log there, in the middle of any --json


def test_one_damaged_version_does_not_hide_the_others(written, splats, caplog):
    version = written.resolve("v1")
    (written.repository / "snapshots" / version.snapshot_id).write_bytes(b"?" * 300)
    (written.records / f"{version.snapshot_id}.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert [v.tag for v in written.history()] == ["v2"]
    assert "v1 is left out" in caplog.text
    written.write(splats(5), SPLATS, MADE)
    assert written.verify().tag == "v3"


@pytest.mark.parametrize("lazy", [False, True])
def test_a_file_size_limit_leaves_what_was_there(tmp_path, writer_module, lazy):
    """Stands in for a full disk where none can be mounted: the same error, at the same place."""
    artifact = Store(tmp_path).artifact("a/b")
    artifact.write(writer_module.data(1, 1000), writer_module.SCHEMA, Provenance(code="1"))
    before = set(artifact.repository.rglob("*"))
    command = [sys.executable, str(WRITER), str(tmp_path), "a/b", "2", "2", "500000"]
    command += ["--limit", "1000000", *(["--lazy"] if lazy else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "store-full a/b: " in done.stdout
    assert "Free some space, then run again" in done.stdout
    assert set(artifact.repository.rglob("*")) == before
    assert artifact.verify().provenance.code == "1"
    artifact.write(writer_module.data(2, 500_000), writer_module.SCHEMA, Provenance(code="2"))
    assert artifact.verify().tag == "v2"


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 12 MB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here ({error})")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_and_then_a_read_only_one(small_disk, splats):
    artifact = Store(small_disk / "store").artifact("a/b")
    artifact.write(splats(20_000), SPLATS, Provenance(code="1"))
    for _ in range(2):
        with pytest.raises(StoreFullError, match=r"^a/b: .*: no room to write \(No space left"):
            artifact.write(splats(150_000, seed=1), SPLATS, Provenance(code="2"))
        assert [v.tag for v in artifact.history()] == ["v1"]
        assert_same(artifact.open(), splats(20_000))
    artifact.write(splats(20_000, seed=2), SPLATS, Provenance(code="3"))  # what failed is gone
    shutil.rmtree(artifact.records)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    act = (
        lambda: artifact.write(splats(5), SPLATS, MADE),
        lambda: artifact.set_current("v1"),
        lambda: artifact.tag("best"),
        lambda: Store(small_disk / "store").artifact("c/d").write(splats(5), SPLATS, MADE),
    )
    for write in act:
        with pytest.raises(ReadOnlyStoreError, match="Read-only file system"):
            write()
    assert [v.tag for v in artifact.history()] == ["v1", "v2"]
    assert artifact.verify("v1").provenance.code == "1"
    assert_same(artifact.open(), splats(20_000, seed=2))


def test_a_disk_that_gets_full_while_it_is_committed(small_disk, writer_module):
    """Room for the chunks, and for a little more each time, until there is enough."""
    artifact = Store(small_disk / "store").artifact("a/b")
    made = [writer_module.data(seed, 20_000) for seed in (1, 2)]
    artifact.write(made[0], writer_module.SCHEMA, Provenance(code="1"))
    before = {f: f.read_bytes() for f in artifact.repository.rglob("*") if f.is_file()}
    chunks = sum(f.stat().st_size for f in (artifact.repository / "chunks").iterdir())
    page, failed = 4096, 0
    filler = small_disk / "filler"
    for pages in range(40):
        free = shutil.disk_usage(small_disk).free
        filler.write_bytes(b"x" * (free - chunks - (pages - 2) * page))
        try:
            artifact.write(made[1], writer_module.SCHEMA, Provenance(code="2"))
            break
        except StoreFullError:
            failed += 1
        finally:
            filler.unlink()
        # The new version may be complete and not current: then it has a tag, and all of it.
        assert artifact.current().tag == "v1"
        assert artifact.verify().provenance.code == "1"
        assert all(f.read_bytes() == raw for f, raw in before.items())
        for version in artifact.history()[1:]:
            assert_same(artifact.open(version.tag, schema=writer_module.SCHEMA), made[1])
    assert failed >= 3
    assert artifact.current().provenance.code == "2"
    assert_same(artifact.open(schema=writer_module.SCHEMA), made[1])


@pytest.mark.parametrize(
    ("text", "writing", "kind", "words"),
    [
        (
            "x object store error ... No space left on device (os error 28)",
            True,
            StoreFullError,
            "room",
        ),
        (
            "x store error Permission denied (os error 13)",
            True,
            ReadOnlyStoreError,
            "SPLATWORKS_HOME",
        ),
        ("x snapshot timestamp is invalid, please verify", True, ClockError, "clock"),
        ("x invalid snapshot timestamp ordering", True, ClockError, "clock"),
        ("x cannot read ... (os error 24)", False, StorageError, "Too many open files"),
        ("x Object at location /x not found: (os error 2)", False, DamagedError, "not found"),
        ("x cannot serialize ref json", False, DamagedError, "cannot serialize"),
        (
            "x repository written with a more modern version",
            False,
            NewerStoreError,
            "newer Icechunk",
        ),
        ("x session error: no changes", True, StorageError, "no changes"),
    ],
)
def test_what_icechunk_says_becomes_our_error(tmp_path, text, writing, kind, words):
    import icechunk

    with (
        pytest.raises(StorageError) as caught,
        backend.translated(tmp_path, "a/b", writing=writing),
    ):
        raise icechunk.IcechunkError(text)
    assert type(caught.value) is kind
    assert "a/b" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("images/7.png: truncated"),
        PermissionError(13, "Permission denied", "images/7.png"),
        FileNotFoundError(2, "No such file", "images/7.png"),
    ],
)
def test_errors_of_the_data_itself_pass_through(artifact, splats, error):
    """A photo that cannot be decoded while it is written is not the store's fault."""

    def broken(_block: np.ndarray) -> np.ndarray:
        raise error

    data = splats(10)
    means = da.from_array(data["means"].values, chunks=(4, 3)).map_blocks(broken, dtype=np.float32)
    with pytest.raises(type(error), match=r"images/7\.png") as caught:
        artifact.write(data.assign(means=(("gaussian", "xyz"), means)), SPLATS, MADE)
    assert not isinstance(caught.value, StorageError)
    assert artifact.history() == []
    assert artifact.write(data, SPLATS, MADE).tag == "v1"


def test_interruption_leaves_the_last_version(artifact, splats, monkeypatch):
    artifact.write(splats(10), SPLATS, MADE)
    before = set(artifact.repository.rglob("*"))

    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(layout, "check_values", interrupt)
    with pytest.raises(KeyboardInterrupt):
        artifact.write(splats(1000, seed=1), SPLATS, MADE)
    assert set(artifact.repository.rglob("*")) == before
    assert artifact.current().tag == "v1"


def test_death_between_the_tag_and_the_move(artifact, splats, monkeypatch):
    """The new version is complete but not current; it can be restored, and numbering goes on."""
    artifact.write(splats(10), SPLATS, MADE)

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "move_main", die)
        with pytest.raises(KeyboardInterrupt):
            artifact.write(splats(10, seed=1), SPLATS, Provenance(code="b"))
    assert [(v.tag, v.current) for v in artifact.history()] == [("v1", True), ("v2", False)]
    assert_same(artifact.open(), splats(10))
    assert artifact.write(splats(10, seed=2), SPLATS, MADE).tag == "v3"
    found = artifact.find(Provenance(code="b").recipe)
    artifact.set_current(found.tag)
    assert_same(artifact.open(), splats(10, seed=1))
