"""Data that does not have its declared form is refused, with a message that helps."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from storage.content import VariableHash
from storage.errors import NewerStoreError, SchemaError, StorageError
from storage.provenance import Provenance
from storage.schema import Attribute, Schema, Variable, check, check_values, known
from storage.schemas import CAMERAS, CAPTURE, METRICS, SPLATS

SMALL = Schema(
    name="small",
    version=1,
    sizes={"xyz": 3, "sh": (0, 3)},
    variables=(
        Variable("means", ("n", "xyz"), "float32", "m", "world", "Centre.", finite=True),
        Variable("sh", ("n", "sh"), ("float16", "float32"), optional=True),
        Variable("weights", ("n",), "float64", values=(0, 1), optional=True),
        Variable("count", ("n",), "int64", values=(1, None), optional=True),
    ),
    attrs=(Attribute("title", str, "Its title."), Attribute("scale", float, optional=True)),
)


def small(**changed: object) -> xr.Dataset:
    data = {"means": (("n", "xyz"), np.zeros((4, 3), np.float32))} | changed
    return xr.Dataset(data, attrs={"title": "t"})


def message(data: xr.Dataset | xr.DataTree, schema: Schema = SMALL) -> str:
    with pytest.raises(SchemaError) as caught:
        check(data, schema, "fox/a/b")
    assert caught.value.kind == "schema"
    return str(caught.value)


def test_what_fits_passes():
    check(small(), SMALL)
    check(small(sh=(("n", "sh"), np.zeros((4, 0), np.float16))), SMALL)
    check(small().assign_attrs(scale=1), SMALL)  # JSON has one kind of number
    check(small().assign_attrs(provenance={}, splatworks={}, written=""), SMALL)


def test_a_missing_variable():
    assert message(small().drop_vars("means")) == (
        "fox/a/b: means: expected a variable means (n, xyz) of float32, found none. "
        "Schema 'small' needs it."
    )


def test_an_unknown_variable_names_the_nearest():
    found = message(small(weigths=("n", np.zeros(4))))
    assert "found 'weigths'. Did you mean 'weights'?" in found
    assert "count, means, sh, weights" in found


def test_dims_dtype_and_sizes():
    means = np.zeros((4, 3))
    assert message(small(means=(("xyz", "n"), means.T))) == (
        "fox/a/b: means: expected dims (n, xyz), found (xyz, n) of shape (3, 4)."
    )
    assert message(small(means=(("n", "xyz"), means))).startswith(
        "fox/a/b: means: expected dtype float32, found float64. Convert it"
    )
    four = (("n", "xyz"), np.zeros((4, 4), np.float32))
    assert message(small(means=four)) == ("fox/a/b: means: expected size 3 along 'xyz', found 4.")
    sh = (("n", "sh"), np.zeros((4, 2), np.float32))
    assert "sh: expected size 0 or 3 along 'sh', found 2." in message(small(sh=sh))
    sh = (("n", "sh"), np.zeros((4, 3), np.int8))
    assert "sh: expected dtype float16 or float32, found int8." in message(small(sh=sh))


def test_attributes():
    bare = small()
    bare.attrs = {}
    assert message(bare) == "fox/a/b: attribute title: expected Its title., found none."
    assert "attribute title: expected str, found 3." in message(small().assign_attrs(title=3))
    assert "attribute scale: expected float, found True." in message(
        small().assign_attrs(scale=True)
    )
    assert "attribute titel: expected only the attributes" in message(
        small().assign_attrs(titel="x")
    )
    assert "expected text, numbers" in message(small().assign_attrs(scale=float("nan")))
    assert "object is not JSON" in message(small().assign_attrs(title=object()))


def test_trees():
    cameras = xr.Dataset(
        {
            "viewmats": (("view", "camera_xyzw", "world_xyzw"), np.zeros((2, 4, 4))),
            "Ks": (("view", "image_xyw", "camera_xyz"), np.zeros((2, 3, 3))),
            "widths": ("view", [1, 1]),
            "heights": ("view", [1, 1]),
            "names": ("view", ["a", "b"]),
        }
    )
    images = xr.Dataset({"images": (("view", "y", "x", "rgb"), np.zeros((2, 1, 1, 3), np.uint8))})
    good = {"cameras": cameras, "images": images}
    check(xr.DataTree.from_dict(good), CAPTURE)
    assert message(xr.DataTree.from_dict({"cameras": cameras}), CAPTURE) == (
        "fox/a/b: images: expected a group 'images' of schema 'images', found cameras. "
        "Schema 'capture' needs it."
    )
    assert "Did you mean 'points'?" in message(
        xr.DataTree.from_dict(good | {"pionts": images}), CAPTURE
    )
    assert message(
        xr.DataTree.from_dict(good | {"images": images.isel(view=[0, 1, 1])}), CAPTURE
    ) == (
        "fox/a/b: view: expected one size of this dimension in all groups, found "
        "cameras: 2, images: 3."
    )
    nested = xr.DataTree.from_dict(good | {"cameras": cameras.drop_vars("Ks")})
    assert message(nested, CAPTURE).startswith("fox/a/b:cameras: Ks: expected a variable Ks (")
    assert "only the groups" in message(xr.DataTree.from_dict({"/": small(), "/x": small()}))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("means", np.nan, "expected finite values, found nan at [9, 1] (1 such in this block)"),
        ("means", np.inf, "expected finite values, found inf at [9, 1]"),
        ("weights", -0.5, "expected values of at least 0, found -0.5 at [9]"),
        ("weights", 1.5, "expected values of at most 1, found 1.5 at [9]"),
        ("count", 0, "expected values of at least 1, found 0 at [9]"),
    ],
)
def test_values(name, value, words):
    variable = SMALL[name]
    block = np.ones((4, 3) if name == "means" else 4, variable.dtypes[0])
    check_values(block, variable, "fox/a/b", start=7)
    block[(2, 1) if name == "means" else 2] = value
    with pytest.raises(SchemaError) as caught:
        check_values(block, variable, "fox/a/b", start=7)
    assert words in str(caught.value)


def test_values_that_pass():
    check_values(np.full(3, np.nan), SMALL["weights"])  # no value is not a wrong value
    check_values(np.zeros(0), SMALL["weights"])
    # The sum overflows, the values are finite.
    check_values(np.full((2, 3), 3e38, np.float32), SMALL["means"])
    check_values(np.full((2, 3), 1e308), replace(SMALL["means"], dtype="float64"))


def test_wrong_values_leave_nothing_behind(artifact, splats):
    artifact.write(splats(5), SPLATS, Provenance())
    bad = splats(5, seed=1)
    bad["means"][3, 1] = np.nan
    with pytest.raises(SchemaError, match=r"means: expected finite values, found nan at \[3, 1\]"):
        artifact.write(bad, SPLATS, Provenance())
    assert [v.tag for v in artifact.history()] == ["v1"]
    assert artifact.verify().tag == "v1"
    for what in ("chunks", "snapshots"):  # the root's and that of v1
        kept = {p.name for p in (artifact.repository / what).glob("*")}
        artifact.write(splats(5), SPLATS, Provenance(code="b"))
        assert len({p.name for p in (artifact.repository / what).glob("*")} - kept) <= 1


def test_kinds_that_are_not_stored(artifact):
    schema = Schema(name="s", version=1, variables=(Variable("t", ("n",), "datetime64[ns]"),))
    data = xr.Dataset({"t": ("n", np.zeros(2, "datetime64[ns]"))})
    with pytest.raises(SchemaError, match="t: expected booleans, integers, floating point"):
        artifact.write(data, schema, Provenance())
    schema = Schema(name="s", version=1, variables=(Variable("t", ("n",), "str"),))
    data = xr.Dataset({"t": ("n", np.array(["a", 3], object))})
    with pytest.raises(SchemaError, match="expected strings that can be written"):
        artifact.write(data, schema, Provenance())
    text = xr.Variable(("n",), np.array(["a"], object))
    with pytest.raises(SchemaError, match="UTF-8"):
        VariableHash(text).update(np.array(["\udcff"], object))


def test_an_older_schema_is_migrated_or_refused(artifact, splats):
    artifact.write(splats(4), SPLATS, Provenance())

    def rename(tree: xr.DataTree) -> xr.DataTree:
        return xr.DataTree(tree.to_dataset().rename(means="centers"))

    renamed = tuple(
        replace(v, name="centers") if v.name == "means" else v for v in SPLATS.variables
    )
    newer = replace(SPLATS, version=3, variables=renamed, migrations={1: rename})
    with pytest.raises(SchemaError) as caught:
        artifact.open(schema=newer)
    assert "expected version 3 of schema 'splats', found version 1" in str(caught.value)
    assert "no migration from 2" in str(caught.value)
    newer = replace(newer, migrations={1: rename, 2: lambda tree: tree})
    assert (artifact.open(schema=newer)["centers"].values == splats(4)["means"].values).all()


def test_a_stored_form_that_is_wrong_is_found_on_reading(artifact, splats):
    loose = replace(SPLATS, variables=(*SPLATS.variables, Variable("extra", ("gaussian",), "int8")))
    data = splats(4).assign(extra=("gaussian", np.zeros(4, np.int8)))
    artifact.write(data, loose, Provenance())
    with pytest.raises(SchemaError, match="fox/splats/trained: extra: expected only the variables"):
        artifact.open()


def test_known_schemas():
    assert known("cameras") is CAMERAS
    assert known("metrics") is METRICS
    with pytest.raises(SchemaError, match="Import the module that registers it"):
        known("camera")


def test_errors_survive_pickling():
    error = SchemaError(artifact="a/b", variable="x", expected="1", found="2", remedy="R.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.artifact, again.variable) == (str(error), "a/b", "x")
    newer = pickle.loads(pickle.dumps(NewerStoreError.of("the store", 3, 1)))
    assert isinstance(newer, StorageError)
    assert "number 3" in str(newer)
