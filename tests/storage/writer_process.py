"""A process that writes versions of random splats; started, limited and killed by tests.

    python writer_process.py STORE KEY FIRST LAST ROWS [--limit BYTES] [--lazy] [--hold SECONDS]

Writes the seeds FIRST to LAST, each as a version made by code "seed-N", and prints its tag.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time

import numpy as np
import xarray as xr

from storage.errors import StorageError
from storage.provenance import Provenance
from storage.schema import Schema, Variable
from storage.store import Store

SCHEMA = Schema(
    name="rows",
    version=1,
    variables=(Variable("a", ("n", "k"), "float32"), Variable("b", ("n",), "int64")),
)


def data(seed: int, rows: int) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((rows, 4), np.float32)
    return xr.Dataset({"a": (("n", "k"), a), "b": ("n", np.arange(rows) + seed)})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("key")
    for name in ("first", "last", "rows"):
        parser.add_argument(name, type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--lazy", action="store_true")
    parser.add_argument("--hold", type=float)
    options = parser.parse_args()
    if options.limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.limit, options.limit))
    artifact = Store(options.store).artifact(options.key)
    if options.hold:
        from storage.lock import writer

        with writer(artifact.folder, artifact.key, 0):
            print("holding", flush=True)
            time.sleep(options.hold)
        return 0
    for seed in range(options.first, options.last + 1):
        made = data(seed, options.rows)
        made = made.chunk(n=max(1, options.rows // 7)) if options.lazy else made
        print("writing", flush=True)
        try:
            version = artifact.write(made, SCHEMA, Provenance(code=f"seed-{seed}"))
        except StorageError as error:
            print(error.kind, error, flush=True)
            return 1
        print(version.tag, flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not by way of the interpreter's end: Icechunk's threads may still be busy with what failed,
    # and one that asks for an interpreter that is gone takes the process down with it.
    os._exit(code)
