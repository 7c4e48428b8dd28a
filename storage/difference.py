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

_PIECE = 2**20  # values looked at together


@dataclass(frozen=True)
class Form:
    """Form and statistics of a variable on one side of a comparison.

    Statistics are over finite values, in float64; None for text and where no value is finite.
    """

    dtype: str
    shape: tuple[int, ...]
    mean: float | None = None
    std: float | None = None
    """Standard deviation of the values themselves (divided by their number)."""
    least: float | None = None
    most: float | None = None
    not_finite: int = 0
    """Number of values that are NaN or infinite."""

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
class Count:
    """The size of a dimension that rows lie along, such as ``splats/gaussian``."""

    dimension: str
    old: int | None
    new: int | None


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
    counts: tuple[Count, ...] = ()
    """Of every group; empty where the content is the same, because nothing is read then."""

    def as_text(self) -> str:
        """Lines to show to a person."""
        lines = [f"{self.old} -> {self.new}", *(f"  {w}" for w in self.provenance)]
        lines += ["  provenance: the same"] if not self.provenance else []
        lines += [f"  {word}" for word in self.attributes]
        lines += [
            f"  {count.dimension}: {count.old or 0} -> {count.new or 0}"
            for count in self.counts
            if count.old != count.new
        ]
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
    counts: list[Count] = []
    if old.content_hash != new.content_hash:
        before, after = dict(groups_of(read(old))), dict(groups_of(read(new)))
        for path in sorted({*before, *after}):
            a, b = before.get(path), after.get(path)
            changes += _changes(path, a, b)
            words += _attributes(path, a, b)
            counts += _counts(path, a, b)
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
        counts=tuple(counts),
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


def _counts(path: str, a: xr.Dataset | None, b: xr.Dataset | None) -> list[Count]:
    """Sizes of the first dimensions of variables; those of further ones (xyz) are no counts."""
    found: list[dict[str, int]] = [
        {}
        if side is None
        else {str(v.dims[0]): v.shape[0] for v in side.variables.values() if v.ndim}
        for side in (a, b)
    ]
    old, new = found
    return [Count(f"{path}{n}", old.get(n), new.get(n)) for n in sorted({*old, *new})]


def _changed(name: str, old: xr.Variable, new: xr.Variable) -> Change:
    if old.shape != new.shape:
        return Change(name, "changed", _form(old), _form(new))
    largest, differing = 0.0, 0
    before, after = _Moments(), _Moments()
    numbers = _is_number(old) and _is_number(new)
    for a, b in zip(_pieces(old), _pieces(new), strict=True):
        before.add(a)
        after.add(b)
        # Values that are NaN on both sides agree.
        unlike = (a != b) & ~((a != a) & (b != b)) if numbers else a != b
        differing += int(np.count_nonzero(unlike))
        if numbers and unlike.any():
            gap = np.abs(a[unlike].astype(np.float64) - b[unlike].astype(np.float64))
            largest = max(largest, float(np.nan_to_num(gap, nan=np.inf).max()))
    forms = before.form(old), after.form(new)
    return Change(name, "changed", *forms, largest if numbers else None, differing)


def row_differences(old: xr.Variable, new: xr.Variable) -> np.ndarray:
    """Mean absolute difference of each row (a view of pictures), in constant memory.

    Args:
        old: [n, ...] numbers.
        new: [n, ...] of the same shape.

    Returns:
        [n] float64. Values that are not finite on either side count as equal.
    """
    found = []
    for a, b in zip(_pieces(old), _pieces(new), strict=True):
        gap = np.abs(a.astype(np.float32) - b.astype(np.float32)).reshape(len(a), -1)
        found.append(np.where(np.isfinite(gap), gap, 0).mean(axis=1, dtype=np.float64))
    return np.concatenate(found) if found else np.zeros(0)


class _Moments:
    """Running statistics of blocks of numbers; blocks of text are passed over."""

    def __init__(self) -> None:
        self.count = self.not_finite = 0
        self.mean = self.squares = 0.0  # squares: sum of squared distances from the mean
        self.least, self.most = np.inf, -np.inf

    def add(self, block: np.ndarray) -> None:
        if block.dtype.kind not in "biuf" or not block.size:
            return
        values = block[np.isfinite(block)].astype(np.float64)
        self.not_finite += block.size - values.size
        if not values.size:
            return
        # Chan, Golub, LeVeque (1979): the moments of two samples give those of both together.
        mean, total = float(values.mean()), self.count + values.size
        apart = mean - self.mean
        self.squares += float(np.square(values - mean).sum())
        self.squares += apart * apart * self.count * values.size / total
        self.mean += apart * values.size / total
        self.count = total
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))

    def form(self, variable: xr.Variable) -> Form:
        plain = dtype_name(variable.dtype), tuple(variable.shape)
        if not self.count:
            return Form(*plain, not_finite=self.not_finite)
        std = float(np.sqrt(self.squares / self.count))
        return Form(*plain, self.mean, std, self.least, self.most, self.not_finite)


def _is_number(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "biuf"


def _form(variable: xr.Variable | None) -> Form | None:
    if variable is None:
        return None
    moments = _Moments()
    if _is_number(variable):
        for block in _pieces(variable):
            moments.add(block)
    return moments.form(variable)


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
