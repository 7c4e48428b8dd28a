"""Versions: written in one step, found again, named, compared, restored."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from storage import backend
from storage.errors import (
    ArtifactNotFoundError,
    LockedError,
    StorageError,
    VersionNotFoundError,
)
from storage.provenance import Provenance
from storage.schema import Schema, Variable
from storage.schemas import SPLATS
from storage.testing import assert_same

MADE = Provenance(code="a", settings={"train": {"iterations": 1000}}, packages={"torch": "2"})


def chunks_on_disk(artifact):
    return {p.name for p in (artifact.repository / "chunks").iterdir()}


def test_what_a_version_says(artifact, splats):
    before = datetime.now(UTC) - timedelta(seconds=5)
    version = artifact.write(splats(200), SPLATS, MADE, message="first try")
    assert (version.artifact, version.number, version.tag) == ("fox/splats/trained", 1, "v1")
    assert (version.schema, version.schema_version) == ("splats", 1)
    assert version.nbytes == 200 * (3 + 4 + 3 + 1 + 3 + 9) * 4
    assert version.provenance == MADE
    assert version.message == "first try"
    assert before < version.created < datetime.now(UTC) + timedelta(seconds=5)
    assert version.created.tzinfo == UTC
    assert artifact.history() == [version]
    assert artifact.current() == version


def test_provenance_is_readable_without_our_code(artifact, splats):
    version = artifact.write(splats(2), SPLATS, MADE)
    repo = backend.open_repository(artifact.repository)
    metadata = repo.lookup_snapshot(repo.lookup_tag("v1")).metadata
    assert Provenance.from_json(metadata["provenance"]) == MADE
    assert metadata["splatworks"]["content_hash"] == version.content_hash
    root = artifact.open()
    assert Provenance.from_json(root.attrs["provenance"]) == MADE
    assert root.attrs["splatworks"]["content_hash"] == version.content_hash
    assert root["means"].attrs["units"] == "world units"
    assert "Centre" in root["means"].attrs["meaning"]


def test_the_same_content_shares_its_chunks(artifact, splats):
    first = artifact.write(splats(900), SPLATS, MADE)
    kept = chunks_on_disk(artifact)
    assert len(kept) >= 5
    for i, data in enumerate((splats(900), splats(900).chunk(gaussian=100))):
        again = artifact.write(data, SPLATS, Provenance(code=f"b{i}"))
        assert again.content_hash == first.content_hash
        assert again.tag == f"v{i + 2}"
        assert chunks_on_disk(artifact) == kept
    assert artifact.write(splats(900), SPLATS, Provenance(code="b1")).tag == "v4"
    assert [v.provenance.code for v in artifact.history()] == ["a", "b0", "b1", "b1"]
    assert_same(artifact.open("v3"), splats(900))
    assert artifact.open("v3").attrs["provenance"]["code"] == "b1"
    assert artifact.verify("v4").seals


def test_what_is_open_stays_as_it_is(artifact, splats):
    artifact.write(splats(300, seed=1), SPLATS, MADE)
    tree = artifact.open()
    artifact.write(splats(400, seed=2), SPLATS, MADE)
    artifact.set_current("v1")
    artifact.set_current("v2")
    assert_same(tree, splats(300, seed=1))


def test_an_open_version_goes_to_other_processes(artifact, splats):
    artifact.write(splats(300, seed=1), SPLATS, MADE)
    copy = pickle.loads(pickle.dumps(artifact.open()))
    assert not copy["means"].variable._in_memory
    assert_same(copy, splats(300, seed=1))


def test_find_by_recipe(artifact, splats):
    one, two = Provenance(code="1"), Provenance(code="2")
    artifact.write(splats(2, seed=1), SPLATS, one)
    artifact.write(splats(2, seed=2), SPLATS, two)
    artifact.write(splats(2, seed=3), SPLATS, one)
    artifact.write(splats(2, seed=4), SPLATS, two)
    assert artifact.find(one.recipe).tag == "v3"
    assert artifact.find(two.recipe).tag == "v4"
    assert artifact.find(Provenance(code="3").recipe) is None
    artifact.set_current("v1")
    assert artifact.find(one.recipe).tag == "v1"


def test_set_current_compares_before_it_sets(artifact, splats):
    artifact.write(splats(2, seed=1), SPLATS, MADE)
    artifact.write(splats(2, seed=2), SPLATS, MADE)
    with pytest.raises(LockedError, match="expected v1 to be current, found v2"):
        artifact.set_current("v1", expected="v1")
    assert artifact.current().tag == "v2"
    assert artifact.set_current("v1", expected="v2").current
    assert artifact.current().tag == "v1"
    # A version written after a restore comes after all others.
    assert artifact.write(splats(2, seed=3), SPLATS, MADE).tag == "v3"
    assert [(v.tag, v.current) for v in artifact.history()] == [
        ("v1", False),
        ("v2", False),
        ("v3", True),
    ]


def test_names(artifact, splats):
    artifact.write(splats(2, seed=1), SPLATS, MADE)
    artifact.write(splats(2, seed=2), SPLATS, MADE)
    assert artifact.tag("paper.v1", "v1").names == ("paper.v1",)
    artifact.tag("best")
    assert [v.names for v in artifact.history()] == [("paper.v1",), ("best",)]
    assert_same(artifact.open("paper.v1"), splats(2, seed=1))
    with pytest.raises(StorageError, match="the name 'best' is taken"):
        artifact.tag("best", "v1")
    for name in ("v3", "", "a/b", "a b", ".."):
        with pytest.raises(StorageError, match="expected a name of letters"):
            artifact.tag(name)
    with pytest.raises(VersionNotFoundError) as caught:
        artifact.open("v3")
    assert "(v1, paper.v1, v2, best), found 'v3'" in str(caught.value)


def test_what_is_not_there(store, artifact, splats):
    for act in (artifact.open, artifact.verify, lambda: artifact.open("v1")):
        with pytest.raises(ArtifactNotFoundError, match="Materialize it first"):
            act()
    artifact.write(splats(2), SPLATS, MADE)
    with pytest.raises(FileNotFoundError, match="Nearest in the store: fox/splats/trained"):
        store.artifact("fox/splat/trained").open()


def test_diff(artifact, splats):
    data = splats(4)
    artifact.write(data, SPLATS, MADE)
    other = data.copy(deep=True)
    other["means"][1, 2] += 0.5
    other["means"][2, 2] -= 0.25
    other = other.assign(features=(("gaussian", "feature"), np.ones((4, 2), np.float32)))
    other = other.assign_attrs(render_mode="antialiased")
    artifact.write(other, SPLATS, Provenance(code="b", settings={"train": {"iterations": 2000}}))
    found = artifact.diff("v1")
    assert not found.same_content
    assert found.provenance == (
        "code: changed",
        "settings: train.iterations 1000 -> 2000",
        "packages: torch 2 -> none",
    )
    assert found.attributes == ("attribute render_mode: none -> antialiased",)
    added, changed = found.content
    assert (added.variable, added.kind, added.old) == ("features", "added", None)
    assert added.new.mean == 1.0
    assert (changed.variable, changed.kind, changed.differing) == ("means", "changed", 2)
    assert changed.largest == pytest.approx(0.5, abs=1e-6)
    assert changed.new.mean - changed.old.mean == pytest.approx(0.25 / 12, abs=1e-6)
    text = found.as_text()
    assert "v1 -> v2" in text
    assert "means: float32 [4, 3], mean" in text
    assert "2 values differ, by at most 0.5" in text
    assert found.as_json()["content"][0]["variable"] == "features"
    back = artifact.diff("v2", "v1")
    assert back.content[0].kind == "removed"


def test_diff_of_other_sizes_types_and_of_nothing(artifact):
    def schema(dtype: str) -> Schema:
        return Schema(
            name="s",
            version=1,
            variables=(Variable("x", ("n",), dtype), Variable("t", ("n",), "str")),
        )

    def data(values, texts):
        return xr.Dataset({"x": ("n", values), "t": ("n", np.array(texts, object))})

    nan = np.nan
    artifact.write(data(np.array([1, nan, nan]), ["a", "b", "c"]), schema("float64"), MADE)
    artifact.write(data(np.array([1, nan, 3]), ["a", "b", "d"]), schema("float64"), MADE)
    artifact.write(data(np.array([1, 2, 3], np.int8), ["a", "b", "d"]), schema("int8"), MADE)
    artifact.write(data(np.zeros(0, np.int8), np.zeros(0, str)), schema("int8"), MADE)
    text, numbers = artifact.diff("v1", "v2").content
    assert (text.variable, text.differing, text.largest) == ("t", 1, None)
    assert (numbers.differing, numbers.largest) == (1, np.inf)  # a number where there was none
    (numbers,) = artifact.diff("v2", "v3").content
    assert (numbers.old.dtype, numbers.new.dtype, numbers.differing) == ("float64", "int8", 1)
    assert [str(c) for c in artifact.diff("v3", "v4").content] == [
        "t: str [3] -> str [0]",
        "x: int8 [3], mean 2 -> int8 [0]",
    ]
    same = artifact.diff("v2", "v2")
    assert same.same_content
    assert same.as_text() == "v2 -> v2\n  provenance: the same\n  content: the same"


def test_lazy_pictures_are_made_once_each_and_few_at_a_time(artifact):
    """A capture larger than memory: what two variables share is computed once, block by block."""
    made, alive, most = [], 0, 0
    shape = (400, 500, 4)

    def decode(index: int) -> np.ndarray:
        nonlocal alive, most
        made.append(index)
        alive += 1
        most = max(most, alive)
        return np.full(shape, index, np.uint8)

    def stack(part: slice) -> da.Array:
        pictures = [dask.delayed(decode, pure=True)(i) for i in range(40)]
        rows = [da.from_delayed(p, shape, np.uint8)[None, ..., part] for p in pictures]
        return da.concatenate(rows)

    schema = Schema(
        name="pictures",
        version=1,
        variables=(
            Variable("rgb", ("view", "y", "x", "c"), "uint8"),
            Variable("alpha", ("view", "y", "x", "a"), "uint8"),
        ),
    )
    dims = ("view", "y", "x")
    data = xr.Dataset(
        {"rgb": ((*dims, "c"), stack(slice(3))), "alpha": ((*dims, "a"), stack(slice(3, 4)))}
    )

    from storage import layout

    original = layout.check_values

    def counting(block, variable, *args):
        nonlocal alive
        if variable.name == "rgb":
            alive -= len(block)
        original(block, variable, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "check_values", counting)
        artifact.write(data, schema, MADE)
    assert sorted(made) == list(range(40))
    assert most <= 22 + 2  # 16 MiB of them, and those that wait for a chunk to fill
    assert (artifact.open(schema=schema)["rgb"][33].values == 33).all()
