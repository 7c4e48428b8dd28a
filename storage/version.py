"""A version of an artifact, and the small file that remembers it beside the repository.

Everything a version says is in Icechunk: its tag, its snapshot, the snapshot's metadata. The file,
named after the snapshot, saves opening Icechunk to list hundreds of artifacts, and seals what
Icechunk itself has no checksum for: the files that say where the chunks are. A file that is lost
or damaged is made again; none is ever believed about which version is current, because that is
what branch main says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xxhash

from storage.provenance import Provenance
from storage.whole import write_whole

TAG = re.compile(r"v([1-9][0-9]*)")
"""Tags of versions, as opposed to names given by users."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One complete version of an artifact."""

    artifact: str
    """Key of the artifact."""
    number: int
    tag: str
    """``v1``, ``v2``, ...; never used twice."""
    snapshot_id: str
    content_hash: str
    created: datetime
    """UTC, by the clock of the machine that wrote it; the order is that of the numbers."""
    provenance: Provenance
    schema: str
    schema_version: int
    nbytes: int
    """Size of its values, uncompressed."""
    message: str = ""
    current: bool = False
    names: tuple[str, ...] = ()
    """Tags given by users; filled in by ``history``."""
    damage: str = ""
    """What was found damaged in it, the last time somebody looked; empty where nothing was."""
    seals: Mapping[str, str] = field(default_factory=dict, repr=False)
    """XXH3 of Icechunk's snapshot and manifest files, by path inside the repository."""


def numbers(tags: Mapping[str, str]) -> dict[str, int]:
    """Version numbers by snapshot, from the snapshots of all tags."""
    return {s: int(m.group(1)) for t, s in tags.items() if (m := TAG.fullmatch(t))}


def save(version: Version, folder: Path) -> None:
    """Remember a version below ``folder``, in one step."""
    record = {
        "artifact": version.artifact,
        "number": version.number,
        "snapshot_id": version.snapshot_id,
        "content_hash": version.content_hash,
        "created": version.created.isoformat(),
        "provenance": version.provenance.to_json(),
        "schema": version.schema,
        "schema_version": version.schema_version,
        "nbytes": version.nbytes,
        "message": version.message,
        "seals": dict(version.seals),
    }
    text = json.dumps(record, sort_keys=True)
    folder.mkdir(parents=True, exist_ok=True)
    seal = xxhash.xxh3_64_hexdigest(text.encode())
    write_whole(folder / f"{version.snapshot_id}.json", f"{seal}\n{text}\n")


def load(snapshot_id: str, folder: Path) -> Version | None:
    """The remembered version, or None where it has to be made again from Icechunk."""
    try:
        seal, text = (folder / f"{snapshot_id}.json").read_text().splitlines()
        if seal != xxhash.xxh3_64_hexdigest(text.encode()):
            return None
        record = json.loads(text)
        record["created"] = datetime.fromisoformat(record["created"])
        record["provenance"] = Provenance.from_json(record["provenance"])
        version = Version(tag=f"v{record['number']}", **record)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return replace(version, damage=damage_of(snapshot_id, folder))


def from_metadata(
    artifact: str, number: int, snapshot_id: str, created: datetime, metadata: Mapping[str, Any]
) -> Version:
    """The version that an Icechunk snapshot says it is."""
    facts = metadata["splatworks"]
    return Version(
        artifact=artifact,
        number=number,
        tag=f"v{number}",
        snapshot_id=snapshot_id,
        content_hash=facts["content_hash"],
        created=created.astimezone(UTC),
        provenance=Provenance.from_json(metadata["provenance"]),
        schema=facts["schema"],
        schema_version=facts["schema_version"],
        nbytes=facts["nbytes"],
        message=facts.get("message", ""),
    )


def mark_damaged(snapshot_id: str, folder: Path, reason: str) -> None:
    """Remember that a version was found damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{snapshot_id}.damaged").write_text(reason)


def unmark(snapshot_id: str, folder: Path) -> None:
    """Forget it again, after the version was found whole."""
    (folder / f"{snapshot_id}.damaged").unlink(missing_ok=True)


def damage_of(snapshot_id: str, folder: Path) -> str:
    """What was found damaged, or nothing."""
    try:
        return (folder / f"{snapshot_id}.damaged").read_text() or "damaged"
    except OSError:
        return ""


def seal(repository: Path, snapshot_id: str, manifests: list[str]) -> dict[str, str]:
    """Checksums of the small files that Icechunk needs to find the chunks of a snapshot."""
    files = [f"snapshots/{snapshot_id}", *(f"manifests/{name}" for name in manifests)]
    return {name: _checksum(repository / name) for name in files}


def broken_seal(version: Version, repository: Path) -> str:
    """The first file of a version that is missing or not what was written; empty where none is."""
    for name, expected in version.seals.items():
        try:
            if _checksum(repository / name) != expected:
                return f"{name} is not what was written"
        except FileNotFoundError:
            return f"{name} is missing"
    return ""


def _checksum(file: Path) -> str:
    return xxhash.xxh3_64_hexdigest(file.read_bytes())
