"""What differs between two versions of an artifact, in provenance and in content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.blocks import groups_of
from storage.schema import content_attrs, dtype_name
from storage.version import Version

if TYPE_CHECKING:
    import xarray as xr

_PIECE = 4 * 2**20  # values looked at together


@dataclass(frozen=True)
class Form:
    """Form and mean of a variable on one side of a comparison."""

    dtype: str
    shape: tuple[int, ...]
    mean: float | None
    """Over finite values; None for text and for no values."""

    def __str__(self) -> str:
        mean = "" if self.mean is None else f", mean {self.mean:.6g}"
        return f"{self.dtype} {list(self.shape)}{mean}"


@dataclass(frozen=True)
class Change:
    """One variable that differs."""

    variable: str
    kind: str
    """``added``, ``removed`` or ``changed``."""
    old: Form | None
    new: Form | None
    largest: float | None = None
    """Largest absolute difference of numbers of the same shape, None where there is none."""
    differing: int | None = None
    """Number of values that differ, for the same shape."""

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"{self.variable}: {self.kind}, {self.new or self.old}"
        words = f"{self.variable}: {self.old} -> {self.new}"
        if self.differing is not None:
            words += f"; {self.differing} values differ"
        if self.largest is not None:
            words += f", by at most {self.largest:.6g}"
        return words


@dataclass(frozen=True)
class Difference:
    """What differs between two versions."""

    old: str
    new: str
    same_content: bool
    provenance: tuple[str, ...]
    """In words: settings, code, inputs, packages, device, notes."""
    content: tuple[Change, ...]
    attributes: tuple[str, ...]
    """Attributes that are content, in words."""

    def as_text(self) -> str:
        """Lines to show to a person."""
        lines = [f"{self.old} -> {self.new}", *(f"  {w}" for w in self.provenance)]
        lines += ["  provenance: the same"] if not self.provenance else []
        lines += [f"  {word}" for word in self.attributes]
        lines += [f"  {change}" for change in self.content]
        lines += ["  content: the same"] if self.same_content else []
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)


def difference(old: Version, new: Version, read: Callable[[Version], xr.DataTree]) -> Difference:
    """Compare two versions; values are read only of variables whose hashes differ."""
    changes: list[Change] = []
    words: list[str] = []
    if old.content_hash != new.content_hash:
        before, after = dict(groups_of(read(old))), dict(groups_of(read(new)))
        for path in sorted({*before, *after}):
            a, b = before.get(path), after.get(path)
            changes += _changes(path, a, b)
            words += _attributes(path, a, b)
        if (old.schema, old.schema_version) != (new.schema, new.schema_version):
            words.append(
                f"schema: {old.schema} {old.schema_version} -> {new.schema} {new.schema_version}"
            )
    return Difference(
        old=old.tag,
        new=new.tag,
        same_content=old.content_hash == new.content_hash,
        provenance=tuple(old.provenance.differences(new.provenance)),
        content=tuple(changes),
        attributes=tuple(words),
    )


def _changes(path: str, a: xr.Dataset | None, b: xr.Dataset | None) -> list[Change]:
    before = {} if a is None else {str(n): v for n, v in a.variables.items()}
    after = {} if b is None else {str(n): v for n, v in b.variables.items()}
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            found.append(Change(path + name, "added", None, _form(new)))
        elif new is None:
            found.append(Change(path + name, "removed", _form(old), None))
        elif old.attrs.get("xxh3_128") != new.attrs.get("xxh3_128"):
            found.append(_changed(path + name, old, new))
    return found


def _changed(name: str, old: xr.Variable, new: xr.Variable) -> Change:
    forms = _form(old), _form(new)
    if old.shape != new.shape:
        return Change(name, "changed", *forms)
    largest, differing = 0.0, 0
    numbers = old.dtype.kind in "biuf" and new.dtype.kind in "biuf"
    for a, b in zip(_pieces(old), _pieces(new), strict=True):
        # Values that are NaN on both sides agree.
        unlike = (a != b) & ~((a != a) & (b != b)) if numbers else a != b
        differing += int(np.count_nonzero(unlike))
        if numbers and unlike.any():
            gap = np.abs(a[unlike].astype(np.float64) - b[unlike].astype(np.float64))
            largest = max(largest, float(np.nan_to_num(gap, nan=np.inf).max()))
    return Change(name, "changed", *forms, largest if numbers else None, differing)


def _form(variable: Any) -> Form:
    total, count = 0.0, 0
    if variable.dtype.kind in "biuf":
        for block in _pieces(variable):
            finite = block[np.isfinite(block)]
            total, count = total + float(finite.sum(dtype=np.float64)), count + finite.size
    mean = total / count if count else None
    return Form(dtype_name(variable.dtype), tuple(variable.shape), mean)


def _pieces(variable: xr.Variable) -> Iterator[np.ndarray]:
    """The values in pieces that are cut alike for all variables of one shape."""
    if variable.ndim == 0:
        yield np.asarray(variable.values)
        return
    rows = max(1, _PIECE // max(1, int(np.prod(variable.shape[1:]))))
    for start in range(0, variable.shape[0], rows):
        yield np.asarray(variable[start : start + rows].values)


def _attributes(path: str, a: xr.Dataset | None, b: xr.Dataset | None) -> list[str]:
    old = {} if a is None else content_attrs(a.attrs)
    new = {} if b is None else content_attrs(b.attrs)
    return [
        f"{path}attribute {name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
