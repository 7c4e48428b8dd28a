"""A contract that every schema's artifacts keep, as a test class to inherit.

    class TestSplats(ArtifactContract):
        schema = SPLATS

        def example(self, seed: int) -> xr.Dataset:
            return ...

Pytest then runs each promise of :class:`storage.artifact.ArtifactRepository` on that schema.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.artifact import ArtifactRepository
from storage.errors import NewerStoreError, SchemaError
from storage.provenance import Provenance
from storage.schema import RESERVED, Schema
from storage.store import Store

if TYPE_CHECKING:
    import xarray as xr

    from storage.schema import Data


def assert_same(found: Data, expected: Data) -> None:
    """Assert that two artifacts have the same groups, variables, dims, dtypes, bytes and attrs."""
    from storage.blocks import groups_of
    from storage.schema import content_attrs, dtype_name

    a, b = dict(groups_of(found)), dict(groups_of(expected))
    assert a.keys() == b.keys()
    for path in b:
        assert set(a[path].variables) == set(b[path].variables), path
        assert set(a[path].coords) == set(b[path].coords), path
        assert content_attrs(a[path].attrs) == content_attrs(b[path].attrs), path
        for name, variable in b[path].variables.items():
            other = a[path].variables[name]
            where = f"{path}{name}"
            assert other.dims == variable.dims, where
            assert dtype_name(other.dtype) == dtype_name(variable.dtype), where
            assert other.shape == variable.shape, where
            if dtype_name(variable.dtype) == "str":
                assert other.values.tolist() == variable.values.tolist(), where
            else:
                same_bytes = other.values.tobytes() == np.asarray(variable.values).tobytes()
                assert same_bytes, where


class ArtifactContract:
    """What holds for the artifacts of any schema."""

    schema: Schema

    def example(self, seed: int) -> Data:
        """Small data of the schema; other data for another seed, the same for the same."""
        raise NotImplementedError

    def _artifact(self, tmp_path: Path) -> ArtifactRepository:
        return Store(tmp_path / "store").artifact("scene/topic/artifact")

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        artifact = self._artifact(tmp_path)
        version = artifact.write(self.example(0), self.schema, Provenance(code="a"))
        assert_same(artifact.open(), self.example(0))
        assert (version.tag, version.current) == ("v1", True)
        assert artifact.current() == version
        assert artifact.verify() == version

    def test_values_are_read_only_when_used(self, tmp_path: Path) -> None:
        from storage.blocks import groups_of

        artifact = self._artifact(tmp_path)
        artifact.write(self.example(0), self.schema, Provenance(code="a"))
        for _, dataset in groups_of(artifact.open()):
            assert not any(v._in_memory for v in dataset.data_vars.values() if v.ndim)

    def test_the_content_hash_is_that_of_the_data_however_held(self, tmp_path: Path) -> None:
        from storage.content import content_hash

        artifact = self._artifact(tmp_path)
        version = artifact.write(self.example(0), self.schema, Provenance(code="a"))
        data = self.example(0)
        assert content_hash(data, self.schema) == version.content_hash
        assert content_hash(artifact.open(), self.schema) == version.content_hash
        assert content_hash(self._in_dask(data), self.schema) == version.content_hash
        assert content_hash(self.example(1), self.schema) != version.content_hash

    def test_lazy_data_is_written_alike(self, tmp_path: Path) -> None:
        artifact = self._artifact(tmp_path)
        first = artifact.write(self._in_dask(self.example(0)), self.schema, Provenance(code="a"))
        assert_same(artifact.open(), self.example(0))
        again = artifact.write(artifact.open(), self.schema, Provenance(code="b"))
        assert again.content_hash == first.content_hash

    def test_an_old_version_comes_back(self, tmp_path: Path) -> None:
        artifact = self._artifact(tmp_path)
        first = artifact.write(self.example(0), self.schema, Provenance(code="a"))
        artifact.write(self.example(1), self.schema, Provenance(code="b"))
        assert_same(artifact.open(), self.example(1))
        assert_same(artifact.open("v1"), self.example(0))
        found = artifact.find(Provenance(code="a").recipe)
        assert found is not None
        assert found.tag == first.tag
        artifact.set_current(found.tag)
        assert_same(artifact.open(), self.example(0))
        assert [(v.tag, v.current) for v in artifact.history()] == [("v1", True), ("v2", False)]

    def test_a_variable_that_lacks_is_named(self, tmp_path: Path) -> None:
        import pytest

        artifact = self._artifact(tmp_path)
        for path, name in self._required():
            with pytest.raises(SchemaError, match=rf"\b{name}: expected a variable {name} \("):
                artifact.write(self._without(path, name), self.schema, Provenance())
        assert artifact.history() == []

    def test_a_newer_schema_is_refused(self, tmp_path: Path) -> None:
        import pytest

        artifact = self._artifact(tmp_path)
        newer = replace(self.schema, version=self.schema.version + 1)
        artifact.write(self.example(0), newer, Provenance())
        with pytest.raises(NewerStoreError, match="Update Splatworks"):
            artifact.open(schema=self.schema)

    def test_it_reads_without_our_code(self, tmp_path: Path) -> None:
        import xarray as xr

        from storage import backend

        artifact = self._artifact(tmp_path)
        artifact.write(self.example(0), self.schema, Provenance(code="a", settings={"n": 1}))
        session = backend.open_repository(artifact.repository).readonly_session("main")
        store: Any = session.store  # xarray takes Zarr stores, its type hints do not say so
        tree = xr.open_datatree(store, engine="zarr", consolidated=False)
        assert tree.attrs["provenance"]["settings"] == {"n": 1}
        for node in tree.subtree:
            node.attrs = {k: v for k, v in node.attrs.items() if k not in RESERVED}
        assert_same(tree.load(), self.example(0))

    def _in_dask(self, data: Data) -> Data:
        import xarray as xr

        def lazy(dataset: xr.Dataset) -> xr.Dataset:
            return dataset.chunk(dict.fromkeys(dataset.dims, 2))

        if isinstance(data, xr.Dataset):
            return lazy(data)
        groups = {n.path: lazy(n.to_dataset(inherit=False)) for n in data.subtree}
        return xr.DataTree.from_dict(groups)

    def _required(self) -> list[tuple[str, str]]:
        parts = [("", self.schema), *self.schema.children.items()]
        return [(p, v.name) for p, s in parts for v in s.variables if not v.optional]

    def _without(self, path: str, name: str) -> Data:
        import xarray as xr

        data = self.example(0)
        if isinstance(data, xr.Dataset):
            return data.drop_vars(name)
        groups = {n.path: n.to_dataset(inherit=False) for n in data.subtree}
        groups[f"/{path}"] = groups[f"/{path}"].drop_vars(name)
        return xr.DataTree.from_dict(groups)
