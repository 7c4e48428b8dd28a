"""Reading JSON files that people and their tools wrote."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path

from ops.errors import InputError


def load_object(path: Path) -> dict[str, object]:
    """The object in a JSON file.

    Raises:
        InputError: The file is no JSON (with line and column), or holds no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno}: the JSON is broken "
            f"({error.msg}). Correct the file or export it again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a JSON file, which cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a JSON object with frames, found {type(content).__name__}"
        )
    return content


def number(fields: Mapping[str, object], key: str, told_by: str) -> float | None:
    """A finite number, or None where ``key`` is absent or null.

    Raises:
        InputError: There is something else.
    """
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise InputError(
            f"{told_by}: expected {key} to be a finite number, found {reprlib.repr(value)}"
        )
    return float(value)


def size(fields: Mapping[str, object], key: str, told_by: str) -> int | None:
    """A number of pixels of at least 1, or None where ``key`` is absent or null.

    Raises:
        InputError: There is something else.
    """
    value = number(fields, key, told_by)
    if value is None:
        return None
    if value < 1 or value != round(value):
        raise InputError(f"{told_by}: expected {key} to be a whole number above 0, found {value:g}")
    return int(value)


def text(fields: Mapping[str, object], key: str, told_by: str) -> str | None:
    """A string, or None where ``key`` is absent or null.

    Raises:
        InputError: There is something else.
    """
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(f"{told_by}: expected {key} to be a string, found {value!r}")
    return value


def frames_of(content: Mapping[str, object], path: Path) -> list[dict[str, object]]:
    """The objects under ``frames``.

    Raises:
        InputError: There is no list of objects, or it is empty.
    """
    frames = content.get("frames")
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise InputError(
            f'{path}: expected a list "frames" with one object per photo, found '
            f"{'none' if frames is None else type(frames).__name__}"
        )
    if not frames:
        raise InputError(f'{path}: "frames" is empty. Export the cameras again.')
    return frames
