"""Makes a toy artifact like a step does, for tests that kill it. Run with the home as argument."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from assets.process import die_with_parent
from assets.produce import produce
from assets.scenes import Scene, Source
from assets.stage import Stage, Work
from storage.home import Home
from storage.schema import Schema, Variable

SCHEMA = Schema(
    name="toy",
    version=1,
    variables=(Variable(name="values", dims=("row", "column"), dtype="float32"),),
)
ROWS = 40_000


@dataclass(frozen=True, kw_only=True)
class ToySettings:
    """Settings of the toy."""

    number: int = 0
    """What the values are made from."""


def values(number: int) -> np.ndarray:
    """What the artifact of this setting holds."""
    return np.random.default_rng(number).random((ROWS, 32), np.float32)


def toy(work: Work, settings: ToySettings) -> xr.DataTree:
    """A toy artifact, that takes a moment."""
    time.sleep(0.1)
    return xr.DataTree(xr.Dataset({"values": (("row", "column"), values(settings.number))}))


STAGE = Stage(
    topic="toy",
    name="made",
    run=toy,
    schema=SCHEMA,
    settings=ToySettings,
    section="toy",
    heavy=True,
)


def make(home: Home, number: int) -> str:
    """Make the artifact of this setting in this process; what was done."""
    scene = Scene("demo", Source(kind="demo"), {"toy": {"number": number}})
    return produce(scene, STAGE, home, lambda *_: None, lambda _: None).action


if __name__ == "__main__":
    role, home, number = sys.argv[1], Home(Path(sys.argv[2])), int(sys.argv[3])
    if role == "step":
        die_with_parent(0.05)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        make(home, number)
    else:
        command = [sys.executable, __file__, "step", str(home.root), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as step:
            assert step.stdout is not None
            step.stdout.readline()
            sys.stdout.write(f"{step.pid}\n")
            sys.stdout.flush()
            sys.exit(step.wait())
