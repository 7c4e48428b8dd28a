"""Settings of stages: typed dataclasses whose values a scene's TOML file may override."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from ops.errors import InputError

S = TypeVar("S")


@dataclass(frozen=True)
class Section:
    """Where a table of settings stands, for error messages: ``[train]`` of a file."""

    name: str
    file: Path | None = None

    def line_of(self, key: str | None = None) -> int | None:
        """Line number, from 1, of the key (or of the section's header); None if not found."""
        if self.file is None or not self.file.is_file():
            return None
        inside = False
        for number, text in enumerate(self.file.read_text("utf-8").splitlines(), 1):
            text = text.strip()
            if text.startswith("["):
                inside = text.strip("[] ") == self.name
                if inside and key is None:
                    return number
            elif inside and key is not None and text.split("=")[0].strip().strip("\"'") == key:
                return number
        return None

    def place(self, key: str | None = None) -> str:
        """``scene.toml:12: [train] iterations`` as far as it is known."""
        line = self.line_of(key)
        file = "" if self.file is None else f"{self.file}{f':{line}' if line else ''}: "
        return f"{file}[{self.name}]{f' {key}' if key else ''}"


def resolve(settings: type[S], table: Mapping[str, Any], section: Section) -> S:
    """An instance of a settings dataclass with the values of a TOML table.

    A class with a ``from_preset(name, **overrides)`` method takes its defaults from the preset
    that the table (or else the class's default) names.

    Raises:
        InputError: For an unknown key (naming the nearest known one) or a value of another type
            or outside the allowed ones, with file, line and key.
    """
    fields = {f.name: f for f in dataclasses.fields(settings)}  # type: ignore[arg-type]
    types_ = typing.get_type_hints(settings)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(fields))}"
            raise InputError(f"{section.place(key)}: no such setting; {hint}")
        values[key] = _converted(value, types_[key], section.place(key))
    try:
        from_preset: Callable[..., S] | None = getattr(settings, "from_preset", None)
        if from_preset is None:
            return settings(**values)
        return from_preset(values.pop("preset", fields["preset"].default), **values)
    except InputError as error:
        raise InputError(f"{section.place()}: {error}") from None


def as_json(settings: object) -> dict[str, Any]:
    """The resolved values by name, as plain JSON types; the same values give the same JSON."""
    if settings is None:
        return {}
    plain = settings if isinstance(settings, dict) else dataclasses.asdict(settings)  # type: ignore[call-overload]
    return dict(json.loads(json.dumps(plain, sort_keys=True)))


def _converted(value: Any, kind: Any, place: str) -> Any:
    """``value`` as the annotation ``kind`` wants it; TOML has no tuples and writes 1 for 1.0."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for arm in args:
            if arm is not type(None):
                try:
                    return _converted(value, arm, place)
                except InputError:
                    continue
    elif origin is Literal:
        if value in args:
            return value
        allowed = ", ".join(repr(a) for a in args)
        near = difflib.get_close_matches(str(value), [str(a) for a in args], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{place}: expected one of {allowed}, found {value!r}{hint}")
    elif origin is tuple and isinstance(value, list | tuple):
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_converted(v, args[0], place) for v in value)
        if len(args) == len(value):
            return tuple(_converted(v, a, place) for v, a in zip(value, args, strict=True))
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    name = getattr(kind, "__name__", None) if origin is None else str(kind)
    raise InputError(f"{place}: expected {name or kind}, found {value!r}")
