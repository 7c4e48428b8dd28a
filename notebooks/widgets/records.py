"""Tables as people have them, as columns of numbers and columns of text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from notebooks.pixels import as_array
from ops.errors import InputError

MOST_ROWS = 200_000  # of one table; a browser lays out no more than some million pixels
_FORMAT = re.compile(r",?(\.\d{1,2})?[fegd%]?")
_NAME = "name"  # of the column that an index without a name becomes


@dataclass(frozen=True)
class Column:
    """A column of a table: numbers or text."""

    name: str
    values: np.ndarray  # [N] float64, NaN where there is none; or [N] of str
    whole: bool = False  # whether all numbers are integers
    given: Sequence[Any] = ()  # [N] as they were given

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.values.dtype.kind == "f"

    def plain(self, row: int) -> float | int | str | None:
        """A value as JSON has it: NaN and infinity are None."""
        value = self.values[row]
        if not self.is_number:
            return str(value)
        if not np.isfinite(value):
            return None
        return int(value) if self.whole else float(value)


def columns_of(given: Any) -> list[Column]:
    """The columns of a table.

    Args:
        given: A pandas DataFrame (an index that says something becomes a column), an xarray Dataset
            (a row for each combination of its dimensions), a list of dicts, or a mapping of columns
            [N]: NumPy, torch, xarray or lists.

    Raises:
        InputError: It is none of these, has no rows or too many, or its columns do not fit.
    """
    found = _by_name(given)
    if not found:
        raise InputError("table: there are no columns to show")
    columns = [_column(str(name), values) for name, values in found.items()]
    lengths = {len(column.values) for column in columns}
    if len(lengths) > 1:
        told = ", ".join(f"{c.name} {len(c.values)}" for c in columns)
        raise InputError(f"table: all columns should have the same length, found {told}")
    count = lengths.pop()
    if count == 0:
        raise InputError("table: there are no rows to show")
    if count > MOST_ROWS:
        raise InputError(
            f"table: expected at most {MOST_ROWS:,} rows, found {count:,}; show a part of them"
        )
    names = [c.name for c in columns]
    if len(set(names)) < len(names):
        raise InputError(f"table: expected columns of different names, found {names}")
    return columns


def check_format(name: str, text: str) -> str:
    """A format of numbers: of Python's, an optional comma, digits, and one of f, e, g, d, %.

    Raises:
        InputError: It is another.
    """
    if not _FORMAT.fullmatch(text):
        raise InputError(
            f"table: expected a format like '.3f', ',d' or '.1%' for {name!r}, found {text!r}"
        )
    return text


def usual_format(column: Column) -> str:
    """Enough digits to tell the values of a column apart, and not many more."""
    finite = column.values[np.isfinite(column.values)]
    if column.whole:
        return "d"
    if not finite.size or not np.abs(finite).max():
        return ".3g"
    largest, spread = float(np.abs(finite).max()), float(finite.std())
    if largest >= 1e6 or largest < 1e-3:
        return ".2e"
    digits = 2 - int(np.floor(np.log10(spread or largest)))
    return f".{min(max(digits, 0), 6)}f"


def _by_name(given: Any) -> Mapping[Any, Any]:
    kind = type(given).__module__.partition(".")[0]
    if kind == "xarray" and hasattr(given, "data_vars"):
        return _of_dataset(given)
    if kind == "pandas" and hasattr(given, "columns"):
        return _of_frame(given)
    if isinstance(given, Mapping):
        return given
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return _of_rows(given)
    raise InputError(
        "table: expected a DataFrame, a Dataset, a list of dicts or columns by name, "
        f"found {type(given).__name__}"
    )


def _of_rows(rows: Sequence[Any]) -> Mapping[Any, Any]:
    wrong = next((row for row in rows if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise InputError(f"table: expected a dict for each row, found {type(wrong).__name__}")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _of_frame(frame: Any) -> Mapping[Any, Any]:
    columns = {name: frame[name] for name in frame.columns} if frame.columns.is_unique else None
    if columns is None:
        raise InputError(f"table: expected columns of different names, found {list(frame.columns)}")
    index = frame.index
    if index.nlevels > 1:
        levels = {n or f"{_NAME} {i}": index.get_level_values(i) for i, n in enumerate(index.names)}
        return {**levels, **columns}
    if type(index).__name__ == "RangeIndex" and index.name is None:
        return columns
    return {index.name if index.name is not None else _NAME: index, **columns}


def _of_dataset(dataset: Any) -> Mapping[Any, Any]:
    count = int(np.prod(list(dataset.sizes.values()), dtype=np.int64)) if dataset.sizes else 1
    if count > MOST_ROWS:
        sizes = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items())
        raise InputError(
            f"table: a row for each combination of {sizes} makes {count:,}, at most "
            f"{MOST_ROWS:,} are shown; select some variables or a part of them"
        )
    bare = [name for name in dataset.dims if name not in dataset.coords]
    return _of_frame(dataset.to_dataframe().reset_index().drop(columns=bare))


def _column(name: str, given: Any) -> Column:
    values = _array(given)
    if values.ndim != 1:
        raise InputError(
            f"table: column {name!r} should hold one value for each row, found shape {values.shape}"
        )
    told = list(given) if values.dtype == object else values.tolist()
    if values.dtype.kind in "iu":
        return Column(name, values.astype(np.float64), whole=True, given=told)
    if values.dtype.kind == "f":
        return Column(name, values.astype(np.float64), given=told)
    if values.dtype == object and (numbers := _numbers(values)) is not None:
        filled = [v for v in values if v is not None]
        whole = len(filled) > 0 and all(isinstance(v, int | np.integer) for v in filled)
        return Column(name, numbers, whole=whole, given=told)
    return Column(name, np.array([_text(v) for v in values.tolist()], dtype=np.str_), given=told)


def _array(given: Any) -> np.ndarray:
    values = as_array(given)
    if values.dtype.kind not in "OUS" and values.dtype.kind not in "biuf":
        return values.astype(object) if values.dtype.kind == "c" else values.astype(str)
    if isinstance(given, list | tuple) and values.dtype.kind in "US":
        return np.array(given, dtype=object) if values.ndim == 1 else values
    return values


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """[N] float64 of objects that are numbers or missing; None where one is something else."""
    found = np.empty(len(values), np.float64)
    for i, value in enumerate(values):
        if value is None:
            found[i] = np.nan
        elif isinstance(value, bool | np.bool_ | str):
            return None
        else:
            try:
                found[i] = float(value)
            except (TypeError, ValueError):
                return None
    return found if np.isfinite(found).any() else None


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
