"""The four rooms: imports go one way, modules stay readable, the graph is light."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("ops", "storage", "assets", "notebooks")
ALLOWED = {
    "ops": {"ops"},
    "storage": {"storage"},
    "assets": {"assets", "ops", "storage"},
    "notebooks": set(ROOMS),
}
FOREIGN = {  # what a room must not know of
    "ops": {"dagster", "zarr", "xarray", "icechunk", "ipywidgets", "IPython", "typer"},
    "storage": {"dagster", "torch", "numba", "gsplat", "ipywidgets", "IPython", "typer"},
    "assets": {"ipywidgets", "IPython"},
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(graph: grimp.ImportGraph, room: str) -> None:
    modules = {m for m in graph.modules if m.split(".")[0] == room}
    assert modules, f"no modules found in {room}"
    wrong = {
        f"{module} imports {other}"
        for module in modules
        for other in graph.find_modules_directly_imported_by(module)
        if (other.split(".")[0] in ROOMS and other.split(".")[0] not in ALLOWED[room])
        or other.split(".")[0] in FOREIGN.get(room, set())
    }
    assert not wrong


def test_every_file_starts_with_what_it_is() -> None:
    bare = [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not bare


def test_modules_are_read_in_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 450
    }
    assert not long


def test_the_graph_is_drawn_without_heavy_libraries() -> None:
    script = (
        "import sys, assets.definitions\n"
        "heavy = {'torch', 'numba', 'cv2', 'gsplat', 'diffusers', 'icechunk', 'pycolmap'}\n"
        "sys.exit(f'{heavy & set(sys.modules)} loaded' if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
