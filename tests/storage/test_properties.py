"""Whatever numbers and strings go in come out, byte for byte, and hash alike however held."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage.content import content_hash
from storage.provenance import Provenance
from storage.schema import Attribute, Schema, Variable
from storage.store import Store
from storage.testing import assert_same

DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "inf" not in repr(value))


@st.composite
def datasets(draw: Any) -> tuple[xr.Dataset, Schema]:
    """A dataset of random variables, and the schema that declares just those."""
    sizes = {d: draw(st.integers(0, 5)) for d in ("a", "b", "c")}
    variables, declared = {}, []
    for i in range(draw(st.integers(1, 4))):
        dims = draw(
            st.permutations(tuple(sizes)).flatmap(
                lambda d: st.sampled_from([tuple(d[:n]) for n in range(4)])
            )
        )
        shape = tuple(sizes[d] for d in dims)
        dtype = draw(st.sampled_from((*DTYPES, "str")))
        if dtype == "str":
            values = draw(hnp.arrays(object, shape, elements=TEXT, fill=st.nothing()))
        else:
            # Any bytes at all: signalling NaNs and negative zeros count as what they are.
            kind = np.dtype(dtype)
            count = int(np.prod(shape)) * kind.itemsize
            raw = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8)
            values = (raw % 2).astype(bool)[: int(np.prod(shape))].reshape(shape)
            if dtype != "bool":
                values = raw.view(kind).reshape(shape)
        variables[f"v{i}"] = (dims, values)
        declared.append(Variable(f"v{i}", dims, dtype))
    attrs = draw(st.dictionaries(st.sampled_from(["p", "q"]), JSON, max_size=2))
    types = (str, int, float, bool, list, dict, type(None))
    schema = Schema(
        name="random",
        version=1,
        variables=tuple(declared),
        attrs=tuple(Attribute(name, types) for name in attrs),
    )
    return xr.Dataset(variables, attrs=attrs), schema


@settings(max_examples=40, derandomize=True)
@given(datasets(), st.integers(1, 4))
def test_round_trip_and_hash(data_and_schema: tuple[xr.Dataset, Schema], size: int) -> None:
    data, schema = data_and_schema
    with tempfile.TemporaryDirectory() as folder:
        artifact = Store(folder).artifact("a/b")
        version = artifact.write(data, schema, Provenance())
        found = artifact.open(schema=schema)
        assert_same(found, data)
        assert content_hash(data, schema) == version.content_hash
        assert content_hash(found, schema) == version.content_hash
        chunked = data.chunk(dict.fromkeys(data.dims, size))
        assert content_hash(chunked, schema) == version.content_hash
        assert artifact.write(chunked, schema, Provenance()).content_hash == version.content_hash
        assert_same(artifact.open(schema=schema), data)
        assert artifact.verify().tag == "v2"


@settings(max_examples=60, derandomize=True)
@given(datasets(), st.data())
def test_any_change_changes_the_hash(data_and_schema: tuple[xr.Dataset, Schema], more: Any) -> None:
    data, schema = data_and_schema
    before = content_hash(data, schema)
    name = more.draw(st.sampled_from([str(n) for n in data.variables]))
    variable = data[name]
    renamed = Schema(
        name="random",
        version=1,
        variables=tuple(Variable("w", v.dims, v.dtype) for v in schema.variables),
    )
    assert content_hash(data.rename({name: "w"}), renamed) != before
    assert content_hash(data.assign_attrs(p="something else"), schema) != before
    if variable.size:
        index = tuple(more.draw(st.integers(0, n - 1)) for n in variable.shape)
        other = variable.values.copy()
        if variable.dtype == object:
            other[index] = other[index] + "x"
        elif variable.dtype == bool:
            other[index] = not other[index]
        else:
            raw = bytearray(other[index].tobytes())
            raw[0] ^= 1  # the lowest bit, or that of a NaN's payload
            other[index] = np.frombuffer(bytes(raw), other.dtype)[0]
            if other[index].tobytes() != bytes(raw):  # a signalling NaN may be quieted on the way
                return
        assert content_hash(data.assign({name: (variable.dims, other)}), schema) != before


def test_strings_are_not_confused_with_their_neighbours() -> None:
    schema = Schema(name="s", version=1, variables=(Variable("t", ("n",), "str"),))

    def digest(*texts: str) -> str:
        return content_hash(xr.Dataset({"t": ("n", np.array(texts, object))}), schema)

    assert len({digest("ab", "c"), digest("a", "bc"), digest("", "abc"), digest("abc", "")}) == 4
    fixed = xr.Dataset({"t": ("n", np.array(["ab", "c"]))})
    assert content_hash(fixed, schema) == digest("ab", "c")


def test_the_hash_is_what_it_was() -> None:
    """Content hashes are Dagster's data versions: changing them would make everything stale."""
    schema = Schema(
        name="fixed",
        version=1,
        variables=(Variable("x", ("n", "m"), "float32"), Variable("t", ("n",), "str")),
        attrs=(Attribute("a", int),),
    )
    data = xr.Dataset(
        {"x": (("n", "m"), np.arange(6, dtype=np.float32).reshape(2, 3)), "t": ("n", ["é", ""])},
        attrs={"a": 1},
    )
    assert content_hash(data, schema) == "6bc6a8a871a2bd9908e2c26dc58c4c20"
    swapped = data.assign(x=data["x"].astype(">f4"))
    fortran = data.assign(x=(("n", "m"), np.asfortranarray(data["x"].values)))
    assert content_hash(swapped, schema) == content_hash(data, schema)
    assert content_hash(fortran, schema) == content_hash(data, schema)


def test_big_arrays_of_many_chunks(tmp_path: Path) -> None:
    """Rows that do not divide into chunks, blocks and Dask chunks of other sizes."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (23, 300, 250, 3), np.uint8)
    rows = rng.standard_normal((2_000_003, 3), np.float32)
    schema = Schema(
        name="big",
        version=1,
        variables=(
            Variable("pictures", ("view", "y", "x", "rgb"), "uint8"),
            Variable("more", ("view", "y", "x", "rgb"), "uint8"),
            Variable("rows", ("n", "xyz"), "float32"),
        ),
    )
    views = ("view", "y", "x", "rgb")
    data = xr.Dataset(
        {
            "pictures": (views, pictures),
            "more": (views, 255 - pictures),
            "rows": (("n", "xyz"), rows),
        }
    )
    artifact = Store(tmp_path).artifact("a/b")
    lazy = data.chunk({"view": (1, 4, 18), "n": 300_001})
    version = artifact.write(lazy, schema, Provenance())
    assert version.content_hash == content_hash(data, schema)
    found = artifact.open(schema=schema)
    assert_same(found, data)
    assert (found["pictures"][[3, 20], 5:9].values == pictures[[3, 20], 5:9]).all()
    assert (found["pictures"][7].values == pictures[7]).all()
    assert (found["rows"][::-500_000, 1].values == rows[::-500_000, 1]).all()
    some = xr.DataArray([5, 0, 1_999_999], dims="k")
    assert (found["rows"].isel(n=some).values == rows[[5, 0, 1_999_999]]).all()
