"""Compiling once per machine, wherever there is room for it."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from ops import kernel_cache
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


def _nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment with no folder for caches, below which even root can make none."""
    file = tmp_path / "a file"
    file.touch()
    names = ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME")
    return {name: str(file / name.lower()) for name in names}


def test_cache_folder_is_the_first_that_can_be_written(tmp_path, monkeypatch, caplog):
    package = tmp_path / "package"
    package.mkdir()
    (package / "jit.py").touch()
    monkeypatch.setattr(jit, "__file__", str(package / "jit.py"))
    for name, value in _nowhere(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert Path(jit._cache_folder()).parent == package / "__pycache__"
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").touch()  # a file: cannot hold folders either
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    if sys.platform != "darwin":
        assert Path(jit._cache_folder()).parent == tmp_path / "user" / "splatworks"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert Path(jit._cache_folder()).parent == tmp_path / "given"
    assert not caplog.records


def test_one_warning_where_no_cache_folder_can_be_written(tmp_path, monkeypatch, caplog):
    kernel_cache._warn.cache_clear()
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    (tmp_path / "__pycache__").touch()
    for name, value in _nowhere(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert jit._cache_folder() is None
    assert jit._cache_folder() is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "every process compiles them anew" in record.getMessage()
    for place in ("numba_cache_dir", "__pycache__"):
        assert place in record.getMessage()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is full")
def test_folder_without_room_is_not_taken(tmp_path, monkeypatch):
    given, made = tmp_path / "given", tempfile.TemporaryFile

    def temporary(**options):
        file = made(**options)
        if given not in Path(options["dir"]).parents:
            return file
        file.close()
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(given))
    assert Path(jit._cache_folder()).parent == tmp_path / "__pycache__"


def test_a_user_without_a_home(tmp_path, monkeypatch):
    def unknown() -> Path:
        raise RuntimeError("could not determine home directory")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert Path(jit._cache_folder()).parent == tmp_path / "given"


# Arguments: a folder of the package. Everything that it says goes to stderr.
_DRAW_ONCE = """
import sys
import torch
import ops
from ops.cameras import Cameras
from ops.rendering.render import render
from ops.splats.model import Splats

assert ops.__file__.startswith(sys.argv[1]), ops.__file__
splats = Splats(
    means=torch.tensor([[0.0, 0, 2], [0.2, 0, 3]]),
    quats=torch.eye(4)[:2], log_scales=torch.full((2, 3), -2.0), opacity_logits=torch.ones(2),
    sh0=torch.ones(2, 1, 3), shN=torch.zeros(2, 0, 3),
)
K = torch.tensor([[[40.0, 0, 20], [0, 40, 16], [0, 0, 1]]])
cameras = Cameras(viewmats=torch.eye(4)[None], Ks=K, widths=(40,), heights=(32,), names=("a",))
[seen] = render(splats, cameras)
print(float(seen.colors.max()))
"""


@pytest.mark.slow
def test_drawing_from_a_read_only_checkout_without_a_cache(tmp_path):
    checkout = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__", "static")
    shutil.copytree(ROOT / "ops", checkout / "ops", ignore=skipped)
    (checkout / "ops/rendering/cpu/__pycache__").touch()  # for root, who may write anywhere
    for path in [checkout, *checkout.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    env = {**os.environ, **_nowhere(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    env["PYTHONPATH"] = str(checkout)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _DRAW_ONCE, str(checkout)],
            cwd=tmp_path, env=env, text=True, capture_output=True,
        )  # fmt: skip
    finally:
        for path in [checkout, *checkout.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.5
    of_cache, *said = sorted(done.stderr.splitlines())
    assert of_cache.startswith("compiled kernels cannot be kept")
    assert said == ["compiling the CPU renderer (drawing); this takes about 10 seconds ..."]


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


def test_compiling_is_announced_on_stderr_where_nobody_listens(capsys, monkeypatch):
    monkeypatch.setattr(jit.log, "hasHandlers", lambda: False)
    with jit.announced("drawing", after_s=0.01):
        time.sleep(0.2)
    shown = capsys.readouterr()
    assert shown.err.startswith("compiling the CPU renderer (drawing)")
    assert not shown.out
