"""Commands about this machine: what it has, how fast it is, and its two servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from assets.cli.output import emit, err, fail, out
from assets.instance import prepare
from ops.errors import InputError
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


def bench(
    sizes: str, repeats: int, threads: str, device: str, chart: Path | None, as_json: bool
) -> None:
    """Measure the renderer; see the help text of the command."""
    from ops.device import pick_device
    from ops.rendering.bench.machine import this_machine
    from ops.rendering.bench.scenes import find_sizes

    if chart is not None:
        if chart.suffix.lower() != ".png":
            raise InputError(f"bench: the chart is a .png file, found {str(chart)!r}")
        if not chart.absolute().parent.is_dir():
            raise InputError(f"bench: no folder {str(chart.parent)!r} to write the chart into")
    chosen = find_sizes(_listed(sizes) or None)
    where = pick_device(device or None)
    counts = _whole_numbers(threads) or sorted({1, this_machine(where).cores})

    from ops.rendering.bench.chart import chart as draw_chart
    from ops.rendering.bench.measure import bench as measure
    from ops.rendering.bench.report import tables

    # Lines, not a moving bar: that would take processor time while it is measured.
    def tell(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
        err.print(f"[dim]{done}/{total} {what}[/]", highlight=False)

    result = measure(chosen, threads=counts, repeats=repeats, device=where, progress=tell)
    if chart is not None:
        chart.write_bytes(draw_chart(result))
    if as_json:
        out.print_json(json.dumps(result.as_json()))
        return
    out.print(tables(result))
    if chart is not None:
        out.print(f"wrote {chart}", highlight=False)


def bench_store(repeats: int, as_json: bool) -> None:
    """Measure writing and reading artifacts; see the help text of the command."""
    from assets.bench_store import bench as measure

    if repeats < 1:
        raise InputError(f"bench: --repeats is at least 1, found {repeats}")
    home = Home.find()
    prepare(home)
    home.cache.mkdir(exist_ok=True)
    found = measure(
        repeats=repeats,
        folder=home.cache,  # the disk that artifacts lie on
        tell=lambda case: err.print(f"[dim]{case}[/]", highlight=False),
    )
    rows = [
        {
            "case": row.case,
            "MB": row.megabytes,
            "MB stored": row.stored_megabytes,
            "write, s": row.write,
            "torch.save, s": row.torch_save,
            "read, s": row.read,
            "torch.load, s": row.torch_load,
            "ratio": row.ratio,
        }
        for row in found
    ]
    emit(rows, as_json, "" if as_json else "seconds of processor time; ratio of both together")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in _listed(text)]
    except ValueError:
        raise InputError(
            f"bench: threads are whole numbers with commas between them, found {text!r}"
        ) from None


def ui(host: str, port: int) -> None:
    """Replace this process by the Dagster UI, beside one that keeps it in step."""
    from assets.follow import bring_all_in_step

    home = Home.find()
    home.create()
    bring_all_in_step(home)
    here = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
    # It ends when this process does, which becomes the server.
    command = [sys.executable, "-m", "assets.follow", f"http://{here}:{port}"]
    subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    _serve(
        ["dg", "dev", "--host", host, "--port", str(port)],
        f"Dagster UI: http://{host}:{port}  (Ctrl-C stops it)",
    )


def lab(host: str, port: int) -> None:
    """Replace this process by JupyterLab, opened on the notebooks in the home folder."""
    from assets.cli.own_notebooks import copy_notebooks

    home = Home.find().create()
    for sentence in copy_notebooks(ROOT / "notebooks", home.notebooks):
        out.print(sentence, highlight=False)
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    place = [f"--ip={host}", f"--port={port}", f"--notebook-dir={home.notebooks}"]
    # It would look for newer versions without being asked to.
    quiet = ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    _serve(
        ["jupyter", "lab", *place, *quiet, *as_root],
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
