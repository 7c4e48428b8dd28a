"""What made a version of an artifact, and in words what differs between two such records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.schema import content_attrs

EDITED = "+edited"
"""At the end of a code's fingerprint: it was edited while it ran; equals no fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What made a version. Plain values only, so that it reads the same from any JSON."""

    code: str = ""
    """Fingerprint of the code that made it."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Hash of every first-party module (or data file) that the code reaches, by name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All settings that the code read, resolved, without secrets."""
    seed: int | None = None
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By artifact key: ``content``, the hash of what was read, and ``version``, its tag."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Short hashes of the source files read, by relative path: they say which of them changed."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that can change numbers. They do not count in the recipe."""
    device: str = ""
    """What ran it, in words: ``cpu (AMD EPYC, 2 threads)``, ``cuda (NVIDIA H200)``."""
    seconds: float = 0.0
    """How long the computation took."""
    files: Mapping[str, str] = field(default_factory=dict)
    """XXH3 of files outside the store that belong to the version, by path in the home folder."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the numbers, such as stand-ins used for missing weights."""

    def __post_init__(self) -> None:
        # Through JSON at once, so that a record equals its own copy read back from a store.
        names = ("modules", "settings", "inputs", "sources", "packages", "files")
        plain = content_attrs({name: getattr(self, name) for name in names}, "provenance")
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def ambiguous(self) -> bool:
        """Whether code changed while it ran, so that nobody knows which of the two made it."""
        return self.code.endswith(EDITED)

    @property
    def recipe(self) -> str:
        """Hash of code, settings, seed and the content of the inputs: equal recipes, equal result.

        Packages, device and the versions (not contents) of the inputs leave it as it is.
        """
        parts = {
            "code": self.code,
            "settings": self.settings,
            "seed": self.seed,
            "inputs": {key: value.get("content", "") for key, value in self.inputs.items()},
        }
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """All fields and the recipe, as JSON has them."""
        return {
            "code": self.code,
            "modules": dict(self.modules),
            "settings": dict(self.settings),
            "seed": self.seed,
            "inputs": {key: dict(value) for key, value in self.inputs.items()},
            "sources": dict(self.sources),
            "packages": dict(self.packages),
            "device": self.device,
            "seconds": self.seconds,
            "files": dict(self.files),
            "notes": list(self.notes),
            "recipe": self.recipe,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Provenance:
        """The inverse of :meth:`to_json`; fields that are not known are left out."""
        known = {k: v for k, v in record.items() if k in cls.__dataclass_fields__}
        known["notes"] = tuple(known.get("notes") or ())
        return cls(**known)

    def stale_against(self, now: Provenance) -> list[str]:
        """Why what this record made is not what ``now`` would make, in words; [] where it is.

        Covers what the recipe covers: code, settings, seed and inputs.
        """
        return [
            *_code(self, now),
            *_settings("", self.settings, now.settings),
            *([] if self.seed == now.seed else [f"seed: {self.seed} -> {now.seed}"]),
            *_inputs(self.inputs, now.inputs, _sources(self.sources, now.sources)),
        ]

    def differences(self, other: Provenance) -> list[str]:
        """Everything that differs, in words, including what does not make an artifact stale."""
        words = self.stale_against(other)
        for name in sorted({*self.packages, *other.packages}):
            a, b = self.packages.get(name, "none"), other.packages.get(name, "none")
            if a != b:
                words.append(f"packages: {name} {a} -> {b}")
        if self.device != other.device:
            words.append(f"device: {self.device or 'unknown'} -> {other.device or 'unknown'}")
        for note in sorted({*self.notes} ^ {*other.notes}):
            words.append(f"notes: {note!r} {'dropped' if note in self.notes else 'added'}")
        return words


def _code(a: Provenance, b: Provenance) -> list[str]:
    if a.code == b.code:
        return []
    names = sorted({*a.modules, *b.modules})
    changed = [n for n in names if n in a.modules and n in b.modules]
    words = [f"{n} changed" for n in changed if a.modules[n] != b.modules[n]]
    words += [f"{n} no longer used" for n in names if n not in b.modules]
    words += [f"{n} newly used" for n in names if n not in a.modules]
    words += ["edited while it ran"] if a.ambiguous else []
    return [f"code: {word}" for word in words] or ["code: changed"]


def _settings(prefix: str, a: Any, b: Any) -> list[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        words = []
        for name in sorted({*a, *b}):
            where = f"{prefix}.{name}" if prefix else name
            if name not in a:
                words.append(f"settings: {where} newly read, {_show(b[name])}")
            elif name not in b:
                words.append(f"settings: {where} no longer read, was {_show(a[name])}")
            else:
                words += _settings(where, a[name], b[name])
        return words
    # 1 and 1.0, or 1 and True, are different settings although Python calls them equal.
    same = type(a) is type(b) and a == b
    return [] if same else [f"settings: {prefix} {_show(a)} -> {_show(b)}"]


def _inputs(a: Mapping[str, Any], b: Mapping[str, Any], sources: str) -> list[str]:
    words = []
    for key in sorted({*a, *b}):
        if key not in a:
            words.append(f"inputs: {key} newly read")
        elif key not in b:
            words.append(f"inputs: {key} no longer read")
        elif a[key].get("content") != b[key].get("content"):
            old, new = a[key].get("version"), b[key].get("version")
            how = f"{old or '?'} -> {new or '?'}" if old or new else "changed"
            words.append(f"inputs: {key} {how}{'' if old or new else sources}")
    return words


def _sources(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """Which source files changed, as the end of a sentence; at most a few of each kind."""
    kinds = {
        "changed": sorted(k for k in a.keys() & b.keys() if a[k] != b[k]),
        "gone": sorted(a.keys() - b.keys()),
        "new": sorted(b.keys() - a.keys()),
    }
    words = []
    for kind, names in kinds.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            words.append(f"{', '.join(names[:3])}{more} {kind}")
    return f" ({'; '.join(words)})" if words and a else ""


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
