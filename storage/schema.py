"""What an artifact looks like: variables, dimensions, units, frames and their meaning, declared.

A schema is plain data. It is checked when an artifact is written and when it is read, and its
units, frames and meanings are written into the Zarr attributes, so that a file explains itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from storage.errors import NewerStoreError, SchemaError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    Data: TypeAlias = xr.Dataset | xr.DataTree

RESERVED = frozenset({"splatworks", "provenance", "written", "coordinates"})
"""Attributes of groups that storage itself writes; they are never content."""


@dataclass(frozen=True)
class Variable:
    """One named array of an artifact."""

    name: str
    dims: tuple[str, ...]
    dtype: str | tuple[str, ...]
    """NumPy name, such as ``float32``, or ``str``; several where any of them will do."""
    units: str = ""
    """``px``, ``s``, ``world units``, ``1`` for plain numbers; empty where units make no sense."""
    frame: str = ""
    """The coordinate frame that the numbers are in, where there is one."""
    meaning: str = ""
    """One sentence for a reader who has only the file."""
    optional: bool = False
    values: tuple[float | None, float | None] | None = None
    """Smallest and largest value allowed, None for no bound. NaN passes; see ``finite``."""
    finite: bool = False
    """Refuse NaN and infinity."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The allowed dtypes."""
        return (self.dtype,) if isinstance(self.dtype, str) else self.dtype

    def describe(self) -> dict[str, str]:
        """The attributes written beside the array."""
        facts = {"units": self.units, "frame": self.frame, "meaning": self.meaning}
        return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True)
class Attribute:
    """One attribute of a group that is content: it counts in the content hash."""

    name: str
    type: type | tuple[type, ...]
    """``str``, ``int``, ``float``, ``bool``, ``list`` or ``dict``, as JSON has them."""
    meaning: str = ""
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The form of an artifact: one group of variables, or a tree of such groups."""

    name: str
    version: int
    """Raise it when a variable changes in name, form or meaning, and add a migration."""
    variables: tuple[Variable, ...] = ()
    attrs: tuple[Attribute, ...] = ()
    sizes: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    """Dimensions whose size is fixed, or one of a few."""
    children: Mapping[str, Schema] = field(default_factory=dict)
    """Groups below this one, by name."""
    optional_children: frozenset[str] = frozenset()
    shared_dims: frozenset[str] = frozenset()
    """Dimensions that must have the same size in all children that have them."""
    migrations: Mapping[int, Callable[[xr.DataTree], xr.DataTree]] = field(default_factory=dict)
    """By old version: what turns a tree of that version into one of the next."""

    def __getitem__(self, name: str) -> Variable:
        """The variable of this name."""
        return next(v for v in self.variables if v.name == name)


_known: dict[str, Schema] = {}


def register(schema: Schema) -> Schema:
    """Make a schema known by its name, so that stored artifacts find it. Returns it."""
    _known[schema.name] = schema
    return schema


def known(name: str, artifact: str = "") -> Schema:
    """The registered schema called ``name``.

    Raises:
        SchemaError: No module that was imported registers it.
    """
    import storage.schemas  # noqa: F401  (registers those of Splatworks)

    if name not in _known:
        near = get_close_matches(name, _known, n=3) or sorted(_known)
        raise SchemaError(
            artifact=artifact,
            expected=f"a schema that is known ({', '.join(near)}, ...)",
            found=f"{name!r}",
            remedy="Import the module that registers it, or pass schema=.",
        )
    return _known[name]


def check(data: Data, schema: Schema, artifact: str = "") -> None:
    """Check the form of ``data``: names, dims, dtypes, sizes and attributes, not the values.

    Values are checked by :func:`check_values`, block by block, while they are written.

    Raises:
        SchemaError: Naming artifact, variable, what was expected, what was found, what to do.
    """
    children: Mapping[str, Any] = getattr(data, "children", {})
    dataset: xr.Dataset = data.to_dataset(inherit=False) if hasattr(data, "children") else data  # type: ignore[assignment]
    _check_group(dataset, schema, artifact)
    for name, child in schema.children.items():
        where = f"{artifact}:{name}" if artifact else name
        if name in children:
            check(children[name], child, where)
        elif name not in schema.optional_children:
            raise SchemaError(
                artifact=artifact,
                variable=name,
                expected=f"a group {name!r} of schema {child.name!r}",
                found=_names(children),
                remedy=f"Schema {schema.name!r} needs it.",
            )
    unknown = [name for name in children if name not in schema.children]
    if unknown:
        raise SchemaError(
            artifact=artifact,
            variable=unknown[0],
            expected=f"only the groups of schema {schema.name!r}: {_names(schema.children)}",
            found=_names(unknown),
            remedy=_nearest(unknown[0], schema.children),
        )
    for dim in schema.shared_dims:
        found = {n: c.sizes[dim] for n, c in children.items() if dim in c.sizes}
        if len(set(found.values())) > 1:
            raise SchemaError(
                artifact=artifact,
                variable=dim,
                expected="one size of this dimension in all groups",
                found=", ".join(f"{n}: {size}" for n, size in found.items()),
            )


def _check_group(dataset: xr.Dataset, schema: Schema, artifact: str) -> None:
    declared = {v.name: v for v in schema.variables}
    for name, variable in declared.items():
        if name not in dataset.variables:
            if not variable.optional:
                raise SchemaError(
                    artifact=artifact,
                    variable=name,
                    expected=f"a variable {_form(variable)}",
                    found=_names(dataset.variables),
                    remedy=f"Schema {schema.name!r} needs it.",
                )
            continue
        _check_variable(dataset.variables[name], variable, artifact)
    for name in map(str, dataset.variables):
        if name not in declared:
            raise SchemaError(
                artifact=artifact,
                variable=name,
                expected=f"only the variables of schema {schema.name!r}: {_names(declared)}",
                found=f"{name!r}",
                remedy=_nearest(name, declared),
            )
    for dim, size in schema.sizes.items():
        allowed = (size,) if isinstance(size, int) else size
        if dim in dataset.sizes and dataset.sizes[dim] not in allowed:
            having = [n for n, v in declared.items() if dim in v.dims and n in dataset.variables]
            raise SchemaError(
                artifact=artifact,
                variable=having[0],
                expected=f"size {' or '.join(map(str, allowed))} along {dim!r}",
                found=str(dataset.sizes[dim]),
            )
    _check_attrs(dataset, schema, artifact)


def _check_variable(found: xr.Variable, declared: Variable, artifact: str) -> None:
    if tuple(found.dims) != declared.dims:
        raise SchemaError(
            artifact=artifact,
            variable=declared.name,
            expected=f"dims ({', '.join(declared.dims)})",
            found=f"({', '.join(map(str, found.dims))}) of shape {tuple(found.shape)}",
        )
    if dtype_name(found.dtype) not in declared.dtypes:
        raise SchemaError(
            artifact=artifact,
            variable=declared.name,
            expected=f"dtype {' or '.join(declared.dtypes)}",
            found=dtype_name(found.dtype),
            remedy="Convert it where it is made; storage never converts silently.",
        )


def _check_attrs(dataset: xr.Dataset, schema: Schema, artifact: str) -> None:
    declared = {a.name: a for a in schema.attrs}
    content = content_attrs(dataset.attrs, artifact)
    for name, attribute in declared.items():
        if name not in content:
            if not attribute.optional:
                raise SchemaError(
                    artifact=artifact,
                    variable=f"attribute {name}",
                    expected=attribute.meaning or "an attribute",
                    found=_names(content),
                )
        elif not _is_a(content[name], attribute.type):
            types = attribute.type if isinstance(attribute.type, tuple) else (attribute.type,)
            raise SchemaError(
                artifact=artifact,
                variable=f"attribute {name}",
                expected=" or ".join(t.__name__ for t in types),
                found=f"{content[name]!r}",
            )
    for name in content:
        if name not in declared:
            raise SchemaError(
                artifact=artifact,
                variable=f"attribute {name}",
                expected=f"only the attributes of schema {schema.name!r}: {_names(declared)}",
                found=f"{name!r}",
                remedy=_nearest(name, declared),
            )


def check_values(block: np.ndarray, variable: Variable, artifact: str = "", start: int = 0) -> None:
    """Check the values of rows ``start``, ``start + 1``, ... of a variable.

    Raises:
        SchemaError: A value is not finite or not in the range that the variable declares.
    """
    import numpy as np

    def refuse(bad: np.ndarray, expected: str) -> None:
        at = np.unravel_index(int(np.argmax(bad)), bad.shape)
        index = [int(i) for i in at]
        if index:
            index[0] += start
        raise SchemaError(
            artifact=artifact,
            variable=variable.name,
            expected=expected,
            found=f"{block[at]} at {index} ({int(bad.sum())} such in this block)",
        )

    if variable.finite and block.dtype.kind == "f":
        # One pass without temporaries; the sum of finite numbers may overflow, so look again.
        with np.errstate(all="ignore"):
            total = block.sum()
        if not np.isfinite(total) and not (finite := np.isfinite(block)).all():
            refuse(~finite, "finite values")
    if variable.values is None or block.size == 0:
        return
    low, high = variable.values
    # fmin and fmax pass over NaN without a warning.
    if low is not None and np.fmin.reduce(block, axis=None) < low:
        refuse(block < low, f"values of at least {low:g}")
    if high is not None and np.fmax.reduce(block, axis=None) > high:
        refuse(block > high, f"values of at most {high:g}")


def migrates(stored: int, schema: Schema) -> bool:
    """Whether data of version ``stored`` of a schema can be brought to its present version."""
    return all(version in schema.migrations for version in range(stored, schema.version))


def migrate(tree: xr.DataTree, stored: int, schema: Schema, artifact: str = "") -> xr.DataTree:
    """``tree`` of version ``stored`` of a schema, brought to the version that the schema has now.

    Raises:
        NewerStoreError: It was written by a newer Splatworks.
        SchemaError: No migration leads from its version to the present one.
    """
    if stored > schema.version:
        raise NewerStoreError.of(
            f"{artifact}: schema {schema.name!r}", stored, schema.version, artifact
        )
    for version in range(stored, schema.version):
        if version not in schema.migrations:
            raise SchemaError(
                artifact=artifact,
                expected=f"version {schema.version} of schema {schema.name!r}",
                found=f"version {stored}, and no migration from {version}",
                remedy="Materialize the artifact again.",
            )
        tree = schema.migrations[version](tree)
    return tree


def dtype_name(dtype: np.dtype) -> str:
    """``str`` for any kind of string array, else NumPy's name of the dtype."""
    return "str" if dtype.kind in "OUT" else dtype.name


def content_attrs(attrs: Mapping[Any, Any], artifact: str = "") -> dict[str, Any]:
    """The attributes that are content, as JSON has them (tuples and small arrays become lists).

    Raises:
        SchemaError: One of them cannot be written as JSON.
    """
    plain = {str(k): v for k, v in attrs.items() if k not in RESERVED}
    for name, value in plain.items():
        try:
            plain[name] = json.loads(json.dumps(value, allow_nan=False, default=_plain))
        except (TypeError, ValueError) as error:
            raise SchemaError(
                artifact=artifact,
                variable=f"attribute {name}",
                expected="text, numbers, booleans, lists or dicts (no NaN)",
                found=f"{value!r:.80} ({error})",
            ) from error
    return plain


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _is_a(value: Any, types: type | tuple[type, ...]) -> bool:
    wanted = types if isinstance(types, tuple) else (types,)
    if isinstance(value, bool):
        return bool in wanted
    return isinstance(value, wanted) or (isinstance(value, int) and float in wanted)


def _form(variable: Variable) -> str:
    return f"{variable.name} ({', '.join(variable.dims)}) of {' or '.join(variable.dtypes)}"


def _names(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _nearest(name: str, names: Any) -> str:
    near = get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]!r}?" if near else "Remove it, or add it to the schema."
