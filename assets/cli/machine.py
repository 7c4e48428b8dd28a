"""Commands about this machine: what it has, and its two servers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from assets.cli.app import emit, fail, out
from assets.instance import prepare
from storage.home import Home

ROOT = Path(__file__).parents[2]  # the checkout, where workspace.yaml and notebooks/ are


def doctor(as_json: bool) -> None:
    """Print what this machine has."""
    from assets.doctor import examine

    findings = examine(Home.find())
    rows = [
        {"what": f.what, "state": f.state, "found": f.found, "without it": f.advice}
        for f in findings
    ]
    emit(rows, as_json)
    if any(f.state == "broken" for f in findings):
        sys.exit(1)


def ui(host: str, port: int) -> None:
    """Replace this process by the Dagster UI and its daemon."""
    _serve(
        ["dg", "dev", "--host", host, "--port", str(port)],
        f"Dagster UI: http://{host}:{port}  (Ctrl-C stops it)",
    )


def lab(host: str, port: int) -> None:
    """Replace this process by JupyterLab, opened on the notebooks."""
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    place = [f"--ip={host}", f"--port={port}", f"--notebook-dir={ROOT}/notebooks"]
    _serve(
        ["jupyter", "lab", *place, *as_root],
        f"JupyterLab: http://{host}:{port}  (Ctrl-C stops it; the link with its token follows)",
    )


def _serve(command: list[str], message: str) -> None:
    prepare(Home.find())
    program = Path(sys.executable).with_name(command[0])
    if not program.exists():
        fail(f"{command[0]} is not installed beside this Python; run `make install`", 1)
    out.print(message, highlight=False)
    os.chdir(ROOT)
    if sys.prefix != sys.base_prefix:
        os.environ["VIRTUAL_ENV"] = sys.prefix  # `dg` looks for it
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.execv(program, [str(program), *command[1:]])  # noqa: S606
