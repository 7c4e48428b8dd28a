"""Compiling once per machine, wherever there is room for it."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from ops.rendering.cpu import autograd, jit  # noqa: F401  (compiles what is not yet cached)

ROOT = Path(__file__).parents[3]


def test_another_process_finds_everything_compiled():
    code = """
import time
import torch, numba
start = time.perf_counter()
import ops.rendering.cpu.autograd, ops.rendering.cpu.projection_backward
took = time.perf_counter() - start
from numba.core.dispatcher import Dispatcher
import sys
missed = [
    f"{m.__name__}.{name}"
    for m in list(sys.modules.values()) if m.__name__.startswith("ops.rendering.cpu")
    for name, f in vars(m).items()
    if isinstance(f, Dispatcher) and f.nopython_signatures and f.stats.cache_misses
]
assert not missed, missed
"""
    import ops.rendering.cpu.projection_backward  # noqa: F401

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Arguments: a file of splats and cameras, then the modules in the order in which to import them.
_DRAW = """
import hashlib, importlib, pickle, sys
import numpy as np
import torch
for module in sys.argv[2:]:
    importlib.import_module(module)
from ops.rendering.interface import RenderSettings
from ops.rendering.render import render
from ops.splats.ssim import compare

torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    splats, cameras = pickle.load(file)
cameras.viewmats.requires_grad_()
background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
found = {}
for mode in ("classic", "antialiased"):
    settings = RenderSettings(mode=mode, expected_depth=True, median_depth=True, absgrad=True)
    [r] = render(splats, cameras, settings, background)
    for name in ("colors", "alphas", "features", "expected_depth", "median_depth"):
        found[f"{mode} {name}"] = getattr(r, name)
    loss = (r.colors**2).sum() + r.alphas.sum() + (r.features**2).sum() + r.expected_depth.sum()
    r.screen.means2d.retain_grad()
    loss.backward()
    found[f"{mode} means2d"], found[f"{mode} radii"] = r.screen.means2d, r.screen.radii
    found[f"{mode} means2d.grad"] = r.screen.means2d.grad
    found[f"{mode} absgrad"] = r.screen.means2d.absgrad
    target = torch.linspace(0, 1, r.colors.numel()).reshape(r.colors.shape).numpy()
    alike = compare(r.colors.detach().numpy(), target, None, 0.2)
    found[f"{mode} ssim"] = np.array([alike.l1, alike.mse, alike.ssim])
    found[f"{mode} ssim gradient"] = alike.gradient
leaves = {**splats.tensors(), "viewmats": cameras.viewmats, "background": background}
found |= {f"{name}.grad": tensor.grad for name, tensor in leaves.items()}
for name, value in found.items():
    value = value.detach().numpy() if torch.is_tensor(value) else value
    assert np.isfinite(value).all() and value.any(), name
    print(name, hashlib.sha256(value.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_process_that_compiles_gives_the_bytes_of_one_that_loads(make, tmp_path):
    modules = [
        "ops.rendering.cpu.autograd",
        "ops.rendering.cpu.projection_backward",
        "ops.splats.ssim",
    ]
    scene = tmp_path / "scene.pkl"
    splats, cameras = make.trainable(make.splats(400, features=2)), make.cameras([(96, 80)])
    scene.write_bytes(pickle.dumps((splats, cameras)))

    def drawn(order: list[str]) -> list[str]:
        command = [sys.executable, "-c", _DRAW, str(scene), *order]
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            command, check=True, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE
        )
        return done.stdout.splitlines()

    compiled = drawn(modules)
    assert len(compiled) > 25
    files = {file: _digest(file) for file in (tmp_path / "cache").rglob("*.nbc")}
    assert len(files) > 5
    # What is loaded first is what a symbol that several kernels have stands for.
    assert drawn(modules) == compiled
    assert drawn(modules[::-1]) == compiled
    assert {file: _digest(file) for file in (tmp_path / "cache").rglob("*.nbc")} == files


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_kernels_hold_the_arithmetic_of_their_helpers():
    """A helper outside the kernel is shared with other kernels, under whichever copy came first."""
    import ops.rendering.cpu.projection_backward
    import ops.splats.ssim  # noqa: F401

    arithmetic = re.compile(r"\bf(?:add|sub|mul|div|rem)\b|@llvm\.fm")
    kernels = 0
    for module in list(sys.modules.values()):
        if not module.__name__.startswith(("ops.rendering.cpu.", "ops.splats.")):
            continue
        for function in vars(module).values():
            if not isinstance(function, Dispatcher) or function.stats.cache_path is None:
                continue  # not a kernel: those are cached
            kernels += 1
            for compiled in function.overloads.values():
                names = compiled.fndesc
                own = {
                    names.mangled_name,
                    names.llvm_cpython_wrapper_name,
                    names.llvm_cfunc_wrapper_name,
                }
                outside = [
                    other.name
                    for other in compiled.library._get_module_for_linking().functions
                    if not other.is_declaration and other.name not in own
                    if arithmetic.search(str(other))
                ]
                assert not outside, (function.__name__, outside)
    assert kernels > 8


def test_cache_folder_where_others_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "in the way"
    file.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))  # not a folder
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "nowhere" / "jit.py"))
    monkeypatch.setattr(Path, "home", lambda: file)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "__pycache__").touch()  # a file: cannot hold folders either
    folder = Path(jit._cache_folder())
    assert folder.is_dir()
    assert tmp_path not in folder.parents
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert Path(jit._cache_folder()).parent == tmp_path / "given"


def test_any_changed_file_gives_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    (tmp_path / "simd.py").write_text("a = 1")
    before = jit._cache_folder()
    assert jit._cache_folder() == before
    (tmp_path / "simd.py").write_text("a = 2")
    assert jit._cache_folder() != before


def test_folders_of_old_versions_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    for i in range(9):
        (tmp_path / "simd.py").write_text(f"a = {i}")
        newest = Path(jit._cache_folder())
        os.utime(newest, (i, i))
    left = list(newest.parent.glob("rendering-*"))
    assert 5 <= len(left) <= 6
    assert newest in left


def test_compiling_is_announced_when_it_takes_long(caplog):
    with caplog.at_level(logging.INFO, "splatworks.rendering"):
        with jit.announced("drawing", after_s=0.05):
            pass
        time.sleep(0.1)
        assert not caplog.records
        with jit.announced("drawing", after_s=0.01):
            time.sleep(0.2)
    assert [r.getMessage() for r in caplog.records] == [
        "compiling the CPU renderer (drawing), once per machine; this takes about 10 seconds ..."
    ]
