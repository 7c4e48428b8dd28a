"""What this machine has, and what each missing thing would give."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import psutil

from assets.freshness import PACKAGES
from storage.home import Home


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    state: Literal["ok", "missing", "broken"]
    found: str
    advice: str
    """What is lost without it and how to get it; empty where there is nothing to do."""


def examine(home: Home) -> list[Finding]:
    """Look at Python, processor, memory, disk, GPU, gsplat, packages and weights."""
    return [
        _python(),
        _processor(),
        _memory(),
        _disk(home),
        *_gpu(),
        _packages(),
        *_weights(),
        _chromium(),
    ]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}", "")


def _processor() -> Finding:
    cores = psutil.cpu_count(logical=False) or os.cpu_count()
    return Finding("processor", "ok", f"{cores} cores, {platform.machine()}", "")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.total / 1e9:.0f} GB, {memory.available / 1e9:.0f} GB free"
    low = memory.available < 3e9
    advice = (
        "less than 3 GB free: large captures may not train; close other programs" if low else ""
    )
    return Finding("memory", "missing" if low else "ok", found, advice)


def _disk(home: Home) -> Finding:
    place = home.root if home.root.exists() else home.root.parent
    try:
        home.create()
    except OSError as error:
        return Finding("home folder", "broken", f"{home.root}: {error}", "set SPLATWORKS_HOME")
    free = shutil.disk_usage(place).free
    low = free < 2e9
    advice = "less than 2 GB free: versions may not fit; set SPLATWORKS_HOME elsewhere"
    found = f"{home.root}, {free / 1e9:.0f} GB free"
    return Finding("home folder", "missing" if low else "ok", found, advice if low else "")


def _gpu() -> list[Finding]:
    import torch

    if not torch.cuda.is_available():
        cuda = torch.version.cuda or "(this torch is a CPU build)"
        advice = (
            "training runs on the CPU: good for previews and small scenes, long for full ones. "
            f"Needs an NVIDIA GPU with a driver for CUDA {cuda}"
        )
        return [
            Finding("GPU", "missing", "no CUDA device", advice),
            Finding("gsplat", "ok", f"{metadata.version('gsplat')}, strategies only", ""),
        ]
    name = torch.cuda.get_device_name()
    total = torch.cuda.get_device_properties(0).total_memory
    return [Finding("GPU", "ok", f"{name}, {total / 1e9:.0f} GB", ""), _gsplat_build()]


def _gsplat_build() -> Finding:
    from gsplat.cuda._backend import _C

    version = metadata.version("gsplat")
    if _C is None:
        advice = (
            "rendering on the GPU needs gsplat's CUDA code: install the CUDA toolkit (nvcc) of "
            "torch's CUDA version and a C++ compiler; gsplat then builds itself on first use"
        )
        return Finding("gsplat", "broken", f"{version}, CUDA code not built", advice)
    return Finding("gsplat", "ok", f"{version}, CUDA code built", "")


def _packages() -> Finding:
    found, lost = [], []
    for name in (*PACKAGES, "dagster", "icechunk", "zarr", "xarray", "jupyterlab"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lost.append(name)
    advice = f"not installed: {', '.join(lost)}; run `make install`" if lost else ""
    return Finding("packages", "broken" if lost else "ok", ", ".join(found), advice)


def _weights() -> list[Finding]:
    from ops.evaluation.metrics import unavailable
    from ops.evaluation.settings import EvaluationSettings

    sentences = unavailable(EvaluationSettings())
    if not sentences:
        return [Finding("weights", "ok", "all metrics", "")]
    return [Finding(f"weights of {n}", "missing", "not there", s) for n, s in sentences.items()]


def _chromium() -> Finding:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program:
        return Finding("browser for tests", "ok", program, "")
    has = "" if importlib.util.find_spec("playwright") is None else " (playwright is there)"
    return Finding(
        "browser for tests", "missing", f"no chromium{has}", "tests that need a browser are skipped"
    )
