"""The kernels on processors other than this one."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent

# Runs tests in a process that compiles everything anew. What Numba hands to LLVM of every kernel
# is kept in the folder sys.argv[1]; the registers sys.argv[2] are found in the machine code of the
# raster kernels, those in sys.argv[3] are not.
_RUN = """
import sys
from pathlib import Path
import pytest
from numba.core import codegen
from numba.core.dispatcher import Dispatcher

handed = {}
optimise = codegen.CPUCodeLibrary._optimize_final_module

def keep(library):
    handed[library.name] = str(library._final_module)
    optimise(library)

codegen.CPUCodeLibrary._optimize_final_module = keep
folder, wanted, unwanted, *tests = sys.argv[1:]
assert pytest.main(["-q", "-p", "no:cacheprovider", *tests]) == 0
for module in list(sys.modules.values()):
    if not module.__name__.startswith("ops.rendering.cpu."):
        continue
    for name, function in vars(module).items():
        if not isinstance(function, Dispatcher) or function.stats.cache_path is None:
            continue  # not a kernel: those are cached
        for variant, overload in zip(("", "-plain"), function.overloads.values(), strict=False):
            library = overload.library
            Path(folder, f"{name}{variant}.ll").write_text(handed[library.name])
            if name.startswith("raster"):
                code = library.codegen._tm.emit_assembly(library._get_module_for_linking())
                assert wanted in code, name
                assert not [u for u in unwanted.split() if u in code], name
"""
_DRAWING = (
    "test_against_reference.py::test_everything_at_once[0-classic]",
    "test_against_reference.py::test_everything_at_once[0-antialiased]",
    "test_against_reference.py::test_image_sizes",
)
_FISHER = (
    "test_fisher.py::test_exact_information[1-2-3-True-3.0-classic]",
    "test_fisher.py::test_exact_information[1-2-3-True-3.0-antialiased]",
)

pytestmark = pytest.mark.slow


def _run(folder: Path, cpu: str, wanted: str, unwanted: str, tests: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", _RUN, str(folder), wanted, unwanted]
    env = {
        **os.environ,
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": "",  # what the processor of that name has, not what this one has
        "NUMBA_CACHE_DIR": str(folder / "cache"),
    }
    command += [str(HERE / test) for test in tests]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


x86_only = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="runs code for x86-64 processors"
)


@pytest.fixture(scope="module")
def handed_to_llvm(tmp_path_factory):
    """The IR of every kernel, by name, before LLVM makes anything of it; compiled for AVX2."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the processor to compile for here is an x86-64 one")
    folder = tmp_path_factory.mktemp("avx2")
    _run(folder, "haswell", "ymm", "zmm", _DRAWING + _FISHER)
    # The hint to a processor that a thread waits is left out where the triple is not of an x86 one.
    return {
        file.stem: re.sub(r"(?m)^.*@llvm\.x86\.sse2\.pause.*$", "", file.read_text())
        for file in folder.glob("*.ll")
    }


@x86_only
def test_avx2_agrees_with_the_reference(handed_to_llvm):
    assert {"raster_forward", "raster_backward", "raster_fisher"} <= set(handed_to_llvm)


@x86_only
def test_sse2_agrees_with_the_reference(tmp_path):
    _run(tmp_path, "x86-64", "xmm", "ymm zmm vfmadd", _DRAWING)


def _own(ir: str) -> str:
    """The functions of a module that are not of Numba's runtime, which is that of this machine."""
    return "".join(
        part for part in re.split(r"(?m)^(?=define )", ir) if not re.match(r"define .*@NRT_", part)
    )


def test_kernels_ask_for_nothing_that_only_one_processor_has(handed_to_llvm):
    intrinsics = set()
    for ir in handed_to_llvm.values():
        intrinsics |= set(re.findall(r"@llvm\.(\w+)", _own(ir)))
    assert {"fmuladd", "prefetch", "cttz"} <= intrinsics
    assert not intrinsics & {"x86", "aarch64", "arm", "nvvm", "amdgcn"}


def test_kernels_become_machine_code_for_arm(handed_to_llvm):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        target = binding.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this build of LLVM has no AArch64 target")
    machine = target.create_target_machine(cpu="generic", features="", opt=3)
    lowered = {}
    for name, ir in handed_to_llvm.items():
        if (
            "@NRT_decref" in ir
        ):  # holds Numba's runtime, for this machine: those that wait at the end
            continue
        ir = re.sub(r'(?m)^target triple = ".*"', f'target triple = "{triple}"', ir)
        layout = f'target datalayout = "{machine.target_data}"'
        ir = re.sub(r'(?m)^target datalayout = ".*"', layout, ir)
        module = binding.parse_assembly(ir)
        module.verify()
        options = binding.create_pipeline_tuning_options(speed_level=3)
        passes = binding.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        lowered[name] = machine.emit_assembly(module)
    assert {"project", "raster_fisher", "project_fisher"} <= set(lowered)
    for name, code in lowered.items():
        if name.startswith(("raster", "project")):
            assert len(re.findall(r"\tfml[as]\tv\d+\.4s", code)) > 50, name
        # Arithmetic is in the kernel: what is called is Python, Numba, memory, or the kernel.
        called = set(re.findall(r"\tbl\t(\w+)", code))
        known = re.compile(rf"Py|numba_|mem(set|cpy|move)$|_ZN\w*{name.removesuffix('-plain')}")
        assert not [f for f in called if not known.match(f)], name
