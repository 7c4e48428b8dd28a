"""JupyterLab on loopback, and a Chromium that may talk to nothing else."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

CHROMIUM = next((p for n in ("chromium", "chromium-browser") if (p := shutil.which(n))), None)
ROOT = Path(__file__).parents[3]
_FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
_LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:", "file:")


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    folder: Path
    address: str
    token: str


@contextmanager
def jupyter_lab(folder: Path, environment: dict[str, str]) -> Iterator[Lab]:
    """JupyterLab in a folder, with nothing of the user's own configuration."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    private, token = folder / ".jupyter", secrets.token_hex(16)
    news = private / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (news / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        **{name: str(private / part) for name, part in own.items()},
        "PYTHONPATH": os.pathsep.join(paths),
        **environment,
    }
    log = folder / "jupyter.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, f"{address}/api/status?token={token}", log)
        yield Lab(folder, address, token)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(process: subprocess.Popen[Any], url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except (OSError, HTTPException):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)


@dataclass
class Browser:
    """A page of Chromium; requests to anywhere but this machine are refused and written down."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> Browser:
        """Refuse what goes outside, and collect errors of the page."""

        def route(route: Any) -> None:
            if route.request.url.startswith(_LOCAL):
                route.continue_()
            else:
                self.outside.append(route.request.url)
                route.abort()

        self.page.context.route("**/*", route)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        return self

    def open_file(self, file: Path) -> None:
        """Open a page that was written to a file."""
        self.page.goto(file.as_uri())

    def open_notebook(self, lab: Lab, name: str) -> None:
        """Open a notebook in JupyterLab and wait for its kernel."""
        self.page.goto(f"{lab.address}/lab/tree/{name}?reset&token={lab.token}", timeout=120_000)
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=120_000)
        self.wait_idle()

    def run_all(self) -> None:
        """Run all cells and wait until the kernel has nothing to do."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.wait_idle()

    def wait_idle(self) -> None:
        """Wait until the kernel of the notebook is idle."""
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
            " === 'idle'",
            timeout=180_000,
        )

    def evaluate(self, code: str) -> str:
        """What a line of Python prints in the notebook's kernel."""
        return str(
            self.page.evaluate(
                """async (code) => {
                    const panel = window.jupyterapp.shell.currentWidget;
                    const run = panel.sessionContext.session.kernel.requestExecute({ code });
                    let said = "";
                    run.onIOPub = (m) => {
                        said += m.content.text ?? m.content.traceback?.join("\\n") ?? "";
                    };
                    await run.done;
                    return said;
                }""",
                code,
            )
        )

    def widget(self, index: int = 0) -> Any:
        """A widget, once it has drawn itself."""
        found = self.page.locator(".splatworks[data-state]").nth(index)
        found.wait_for(timeout=120_000)
        self.page.wait_for_function(
            "(e) => !['loading', 'unanswered'].includes(e.dataset.state)",
            arg=found.element_handle(),
            timeout=120_000,
        )
        assert found.get_attribute("data-state") == "ready", found.inner_text()
        return found

    def pixels(self, element: Any) -> np.ndarray:
        """[H, W, 3] uint8, what an element looks like on the screen."""
        element.scroll_into_view_if_needed()
        # A clip of the page: an element's own screenshot waits for an image that stands still.
        shot = self.page.screenshot(clip=element.bounding_box(), timeout=60_000)
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))

    def drag(self, element: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the mouse between two points of an element, in parts of its size."""
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        (ax, ay), (bx, by) = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
        ]
        self.page.mouse.move(ax, ay)
        self.page.mouse.down()
        self.page.mouse.move(bx, by, steps=6)
        self.page.mouse.up()


def new_browser(playwright: Any, width: int = 1280, height: int = 1000) -> Browser:
    """A fresh Chromium with software WebGL."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
    page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
    return Browser(page).watch()


def write_notebook(file: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(  # type: ignore[no-untyped-call]
        cells=[new_code_cell(c) for c in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, file)  # type: ignore[no-untyped-call]
    return file
