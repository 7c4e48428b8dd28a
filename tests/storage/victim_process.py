"""A process that does one thing to an artifact again and again, until a test kills it.

    python victim_process.py

Reads lines ``OPERATION NUMBER STORE`` and for each forks a child (which saves importing everything
again) that prints ``pid N``, then ``begin`` and ``end WHAT`` around each of its steps. When the
child is gone, ``gone`` is printed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

# Imported here, so that no child has to; none of them starts a thread before it is used.
import icechunk  # noqa: F401
import zarr  # noqa: F401

from storage import chunks, content, layout, pruning  # noqa: F401
from storage.artifact import ArtifactRepository
from storage.provenance import Provenance
from storage.store import Store

ROWS = 8_000


def steps(operation: str, number: int, artifact: ArtifactRepository) -> Iterator[str]:
    """Do it; after each step, what was done."""
    if operation == "write":
        spec = importlib.util.spec_from_file_location(
            "writer_process", Path(__file__).with_name("writer_process.py")
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for seed in range(number, number + 100):
            data = module.data(seed, ROWS)
            yield ""
            yield artifact.write(data, module.SCHEMA, Provenance(code=f"seed-{seed}")).tag
    elif operation == "set_current":
        tags = [version.tag for version in artifact.history()]
        for i in range(100):
            yield ""
            yield artifact.set_current(tags[(number + i) % len(tags)]).tag
    elif operation == "tag":
        for i in range(100):
            yield ""
            artifact.tag(f"name-{number}-{i}")
            yield f"name-{number}-{i}"
    elif operation == "prune":
        yield ""
        yield str(len(artifact.prune(spare=timedelta(0)).versions))


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def main() -> None:
    say("ready")
    for line in sys.stdin:
        operation, number, store = line.split(maxsplit=2)
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            artifact = Store(store.rstrip("\n")).artifact("a/b")
            for what in steps(operation, int(number), artifact):
                say(f"end {what}" if what else "begin")
            os._exit(0)
        os.waitpid(child, 0)
        say("gone")


if __name__ == "__main__":
    main()
