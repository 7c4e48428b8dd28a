"""The store to look through: what is fresh, what made each version, and refreshing it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

import traitlets

from assets import background
from assets.background import Job
from notebooks.style import GREEN, INK, ORANGE
from notebooks.widgets import store_report
from notebooks.widgets.base import BrowserWidget
from notebooks.widgets.job_state import JobState
from notebooks.widgets.stills import Cell, table_picture
from ops.errors import InputError
from storage.errors import StorageError
from storage.home import Home

_LOOK_SECONDS = 2.0  # between two looks at the store
_JOB_SECONDS = 0.4  # between two looks at what a refresh says
_COLORS = {"fresh": GREEN, "stale": ORANGE, "missing": INK, "failed": "#c8443c"}
_STILL_ROWS = 30


def store_panel(scene: str = "", *, home: Home | None = None, height: int = 460) -> StorePanel:
    """The artifacts of a scene, or of all scenes, with their versions; see :class:`StorePanel`.

    Args:
        scene: Such as ``demo``; empty for all.
        home: Where to look; None for ``SPLATWORKS_HOME`` or its default.
        height: CSS pixels of the list, at most.

    Raises:
        InputError: There is no such scene, or its file cannot be read.
    """
    scene, home = scene.strip("/"), home or Home.find()
    return StorePanel(scene, home, store_report.report(home, scene), height)


class StorePanel(BrowserWidget):
    """What a scene has, why it is not fresh, and a button that brings it up to date.

    A click on an artifact, or the arrow keys, show what made it, its versions over time, and what
    differs between two of them. *refresh* shows first what would run; it then runs outside the
    kernel, so that it goes on whatever the kernel does, and every panel of this home shows it.

    ``artifact`` and ``version`` say what is chosen; ``running`` what a refresh is doing.
    """

    kind: ClassVar[str] = "store"

    scenes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    broken = traitlets.Dict(help="by scene: why it cannot be read").tag(sync=True)
    artifacts = traitlets.List(traitlets.Dict(), help="state, reasons and versions of each").tag(
        sync=True
    )
    looked = traitlets.Unicode(help="when, ISO 8601").tag(sync=True)
    running = traitlets.Dict(help="the refresh that runs, or the last one").tag(sync=True)
    artifact = traitlets.Unicode(help="the chosen one, scene/topic/name").tag(sync=True)
    version = traitlets.Unicode(help="the chosen version, such as v2").tag(sync=True)
    height = traitlets.Int(460).tag(sync=True)
    stored_details = traitlets.Dict(help="by artifact@version, in a page of its own").tag(sync=True)

    def __init__(self, scene: str, home: Home, found: store_report.Report, height: int) -> None:
        """Show what was found in the store; see :func:`store_panel`."""
        self._scene, self._home = scene, home
        self._job: JobState | None = None
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        about = f"scene {scene}" if scene else "all scenes"
        super().__init__(height=height, alt=f"artifacts of {about}", **self._as_traits(found))
        self._stamp = ""
        self._follow(background.running(home))

    def look(self) -> None:
        """Look at the store again."""
        try:
            found = store_report.report(self._home, self._scene)
        except InputError as error:  # its file is being edited
            self.broken = {self._scene: str(error)}
            return
        with self.hold_sync():
            for name, value in self._as_traits(found).items():
                setattr(self, name, value)

    def begin(self, selection: Sequence[str] = ()) -> None:
        """Start ``splatworks refresh`` of a selection, outside this kernel.

        Raises:
            InputError: The selection names nothing, or a refresh runs already.
        """
        self._follow(background.begin(selection or self._everything(), self._home))
        self._watch()

    def stop(self) -> None:
        """Stop the refresh that runs, as Ctrl-C does; what was finished is kept."""
        job = background.running(self._home)
        if job is not None:
            background.stop(job)
            if self._job is not None:
                self._job.stopping = True
                self.running = self._job.shown(True)

    def still(self) -> bytes:
        """The list, by Matplotlib."""
        rows = self.artifacts[:_STILL_ROWS]
        columns = {
            "artifact": [Cell(a["key"]) for a in rows],
            "state": [Cell(a["state"], color=_COLORS[a["state"]]) for a in rows],
            "version": [Cell(a["version"]) for a in rows],
            "size": [
                Cell("" if a["bytes"] is None else f"{a['bytes'] / 1e6:.1f} MB", right=True)
                for a in rows
            ],
            "why": [Cell("; ".join(a["reasons"])) for a in rows],
        }
        left = len(self.artifacts) - len(rows)
        return table_picture(
            list(columns), list(columns.values()), f"and {left} more" if left else ""
        )

    def complete(self) -> None:
        """Put what made each version into the page."""
        found = {}
        for artifact in self.artifacts:
            for version in artifact["versions"]:
                key, tag = artifact["key"], version["tag"]
                with suppress(StorageError):
                    found[f"{key}@{tag}"] = store_report.details(key, tag, self._home)
        self.stored_details = found

    def release(self) -> None:
        """Keep none of it here."""
        self.stored_details = {}

    def close(self) -> None:
        """Look no longer. A refresh that was begun goes on."""
        self._ended.set()
        self._wake.set()
        super().close()

    def receive(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Answer what the browser asks, and do what its buttons say."""
        kind = content.get("type")
        if kind == "here":
            self._watch()
        elif kind == "look":
            self._answer(content, lambda: self.look())
        elif kind == "details":
            self._answer(
                content,
                lambda: store_report.details(content["key"], content["version"], self._home),
            )
        elif kind == "plan":
            names = content["selection"] or self._everything()
            self._answer(content, lambda: store_report.plan(names, self._home))
        elif kind == "begin":
            self._answer(content, lambda: self.begin(content["selection"]))
        elif kind == "stop":
            self._answer(content, self.stop)
        elif kind == "diff":
            self._answer(
                content,
                lambda: store_report.difference(
                    content["key"], content["old"], content["new"], self._home
                ),
            )

    def _answer(self, content: Mapping[str, Any], work: Callable[[], Any]) -> None:
        answer: dict[str, Any] = {"answers": content["id"]}
        try:
            found = work()
        except Exception as error:
            self.send({**answer, "error": f"{error or type(error).__name__}"})
            if not isinstance(error, InputError | StorageError):
                raise
            return
        told, picture = found if isinstance(found, tuple) else (found, None)
        self.send({**answer, "found": told}, [picture] if picture else [])

    def _as_traits(self, found: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {k: found[k] for k in ("scenes", "broken", "artifacts")} | {"looked": now}

    def _everything(self) -> list[str]:
        return [self._scene] if self._scene else []

    def _follow(self, job: Job | None) -> None:
        """Show a job from now on."""
        if job is not None and (self._job is None or self._job.job != job):
            self._job = JobState(job, self._home)
            self.running = self._job.shown(background.is_running(job))

    def _watch(self) -> None:
        """Look by itself, from a thread: also while the kernel is busy with a cell."""
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._looking, name="store panel", daemon=True)
            self._thread.start()

    def _looking(self) -> None:
        quiet = 0.0
        while not self._ended.is_set():
            busy = self._tell_job()
            quiet += _JOB_SECONDS if busy else _LOOK_SECONDS
            if quiet >= _LOOK_SECONDS:
                quiet = 0.0
                self._look_if_changed()
                self._follow(background.running(self._home))
            self._wake.wait(_JOB_SECONDS if busy else _LOOK_SECONDS)
            self._wake.clear()

    def _look_if_changed(self) -> None:
        try:
            now = store_report.stamp(self._home, self._scene)
            if now != self._stamp:
                self._stamp = now
                self.look()
        except (OSError, StorageError) as error:  # something is being moved: next time
            self.broken = {self._scene or "store": str(error)}

    def _tell_job(self) -> bool:
        """Show what the refresh has said; whether it still runs."""
        state = self._job
        if state is None or state.ended:
            return False
        alive = background.is_running(state.job)  # before its lines, so that none is missed
        if state.read() or not alive:
            self.running = state.shown(alive)
        if not alive:
            self._stamp = ""
            self._look_if_changed()
        return alive
