"""Dropping versions: what goes, what stays, and the space it frees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage import attachments, pruning, touched
from storage.errors import LockedError, NamedError, VersionNotFoundError
from storage.lock import hold, writer
from storage.provenance import Provenance
from storage.schemas import SPLATS
from storage.testing import assert_same

NOW = timedelta(0)


@pytest.fixture
def five(artifact, splats):
    """Five versions; v2 has a name, v4 is current."""
    for i in range(1, 6):
        artifact.write(splats(900 * i, seed=i), SPLATS, Provenance(code=f"{i}"))
    artifact.tag("paper", "v2")
    artifact.set_current("v4")
    return artifact


def on_disk(artifact) -> int:
    return sum(f.stat().st_size for f in artifact.repository.rglob("*") if f.is_file())


def test_what_would_go_is_what_goes(five, splats):
    before = on_disk(five)
    files = set(five.folder.rglob("*[!k]"))  # all but locks
    planned = five.prune(spare=NOW, dry_run=True)
    assert [v.tag for v in planned.versions] == ["v1", "v3", "v5"]
    assert set(five.folder.rglob("*[!k]")) == files
    done = five.prune(spare=NOW)
    assert done == planned
    assert [v.tag for v in five.history()] == ["v2", "v4"]
    # The tags of what is gone stay as small marks, so that they are not used again.
    assert done.bytes * 0.95 < before - on_disk(five) <= done.bytes
    assert done.bytes > (900 + 2700 + 4500) * 80
    assert_same(five.open(), splats(3600, seed=4))
    assert_same(five.open("paper"), splats(1800, seed=2))
    for tag in ("v2", "v4"):
        five.verify(tag)
    with pytest.raises(VersionNotFoundError):
        five.open("v5")
    assert five.write(splats(5), SPLATS, Provenance()).tag == "v6"
    assert five.prune(spare=NOW, keep=1).versions == ()
    assert [v.tag for v in five.prune(spare=NOW).versions] == ["v4"]


def test_what_is_young_or_among_the_newest_stays(five):
    assert five.prune(dry_run=True).versions == ()
    assert [v.tag for v in five.prune(spare=NOW, keep=2, dry_run=True).versions] == ["v1"]
    ahead = datetime.now(UTC) - timedelta(days=1)
    assert five.history()[0].created > ahead  # "now" for a clock that was set back
    with pytest.MonkeyPatch.context() as patch:

        class Back(datetime):
            @classmethod
            def now(cls, tz=None):
                return ahead

        patch.setattr(pruning, "datetime", Back)
        assert len(five.prune(dry_run=True).versions) == 3


def test_versions_that_share_chunks(artifact, splats):
    artifact.write(splats(900), SPLATS, Provenance(code="1"))
    artifact.write(splats(900), SPLATS, Provenance(code="2"))
    artifact.write(splats(900), SPLATS, Provenance(code="3"))
    done = artifact.prune(spare=NOW)
    assert [v.tag for v in done.versions] == ["v1", "v2"]
    assert done.bytes < 10_000
    artifact.verify("v3")
    assert_same(artifact.open(), splats(900))


def test_beside_a_writer(five):
    with writer(five.folder, five.key, 0), pytest.raises(LockedError):
        five.prune(spare=NOW)
    assert len(five.history()) == 5


def test_nothing_to_prune(store, artifact):
    assert artifact.prune() == pruning.Pruned((), 0)
    assert not store.root.exists()


def test_what_damage_left_goes(five, splats, caplog):
    (five.repository / "refs" / "branch.main" / "ref.json").write_text("?")
    five.write(splats(5), SPLATS, Provenance())
    assert (five.folder / "repository.damaged-1").is_dir()
    assert five.prune(dry_run=True).bytes > 900 * 15 * 80
    five.prune()
    assert not (five.folder / "repository.damaged-1").exists()
    assert five.verify().tag == "v6"


def test_kept_files_go_with_their_version(artifact, splats, tmp_path):
    for i in (1, 2):
        file = tmp_path / f"{i}.ply"
        file.write_bytes(bytes([i]) * 5000)
        digest = attachments.digest_of(file)
        attachments.keep(artifact.folder, file, digest)
        file.unlink()  # from now on what is kept takes the space
        made = Provenance(code=f"{i}", files={"exports/a.ply": digest})
        artifact.write(splats(9, seed=i), SPLATS, made)
    planned = artifact.prune(spare=NOW, dry_run=True)
    assert planned.bytes > 5000
    first, second = (next(iter(v.provenance.files.values())) for v in artifact.history())
    assert attachments.is_kept(artifact.folder, first)  # it was only planned
    assert artifact.prune(spare=NOW) == planned
    assert not attachments.is_kept(artifact.folder, first)
    assert attachments.is_kept(artifact.folder, second)


def test_beside_a_maker(five):
    """It may want an old version back, and has files kept before it writes their version."""
    with hold("maker", five.folder, five.key, 0), pytest.raises(LockedError, match="maker"):
        five.prune(spare=NOW)
    assert len(five.history()) == 5


def test_pruning_is_no_damage(five, monkeypatch):
    """What is left is still known to be whole, and not read again."""
    current = five.verify()
    five.prune(spare=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(type(five), "verify", lambda *_: pytest.fail("it was read"))
        assert touched.damage(five, current) == ""
    chunk = max((five.repository / "chunks").iterdir(), key=lambda f: f.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert touched.damage(five, current) != ""


def test_pruning_does_not_hide_damage(five):
    """What was touched before is still looked at after."""
    current = five.verify()
    known = {f.name for f in (five.repository / "chunks").iterdir()}
    five.prune(spare=NOW, dry_run=True)
    chunks = [five.repository / "chunks" / name for name in known]
    stored = {f: f.read_bytes() for f in chunks}
    for file, raw in stored.items():
        file.write_bytes(raw[:-1])
    five.prune(spare=NOW)
    assert touched.damage(five, current) != ""


def test_removing_all_of_an_artifact(five, store, splats):
    with pytest.raises(NamedError, match=r"v2 \(paper\)"):
        pruning.remove(five)
    assert len(five.history()) == 5
    other = store.artifact("fox/splats/exports")
    other.write(splats(900), SPLATS, Provenance())
    with writer(other.folder, other.key, 0), pytest.raises(LockedError):
        pruning.remove(other)
    planned = pruning.remove(other, dry_run=True)
    assert [v.tag for v in planned.versions] == ["v1"]
    assert planned.bytes > 900 * 50
    assert other.current().tag == "v1"
    pruning.remove(other)
    assert other.current() is None
    assert store.keys() == ["fox/splats/trained"]
    assert not list(five.folder.parent.glob(".removed*"))


def test_a_removal_that_is_interrupted(artifact, splats, store, monkeypatch):
    artifact.write(splats(5), SPLATS, Provenance())

    def die(_folder: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pruning.shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            pruning.remove(artifact)
    assert store.keys() == []
    assert artifact.current() is None
    (left,) = pruning.half_removed(store.root)
    assert left.is_dir()
    assert artifact.write(splats(6), SPLATS, Provenance()).tag == "v1"
