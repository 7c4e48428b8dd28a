"""What the numbers of a benchmark were measured on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import torch
from llvmlite import binding


@dataclass(frozen=True)
class Machine:
    """The processor, the GPU where one is used, and the versions of what computes."""

    cpu: str
    compiled_for: str  # the kind of processor as LLVM calls it
    cores: int  # logical cores that this process may use
    load: float | None  # processes at work in the minute before
    simd: str  # the widest vector instructions
    simd_bits: int
    gpu: str | None
    python: str
    torch: str
    numba: str
    llvm: str
    system: str


# Widest first. A key is a feature of the processor as LLVM calls it.
_SIMD = {"avx512f": ("AVX-512", 512), "avx2": ("AVX2", 256), "avx": ("AVX", 256)}
_SIMD |= {"neon": ("NEON", 128), "sse2": ("SSE2", 128)}


def this_machine(device: torch.device) -> Machine:
    """The machine this process runs on; its GPU only if that is ``device``."""
    features = dict(binding.get_host_cpu_features())
    simd, bits = next((v for k, v in _SIMD.items() if features.get(k)), ("none", 32))
    return Machine(
        cpu=_cpu_name(),
        compiled_for=binding.get_host_cpu_name(),
        cores=_cores(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        simd=simd,
        simd_bits=bits,
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        python=platform.python_version(),
        torch=torch.__version__,
        numba=metadata.version("numba"),
        llvm=".".join(str(v) for v in binding.llvm_version_info),
        system=f"{platform.system()} {platform.machine()}",
    )


def _cpu_name() -> str:
    """The maker's name of the processor where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or binding.get_host_cpu_name()


def _cores() -> int:
    try:
        return len(psutil.Process().cpu_affinity())
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
