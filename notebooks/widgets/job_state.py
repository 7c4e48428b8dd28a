"""What a refresh in the background is doing, from the lines it writes."""

from __future__ import annotations

from typing import Any

from assets import background
from assets.background import Job
from storage.home import Home

_LINES = 40  # that are kept of what it said


class JobState:
    """Follows one refresh: its plan, its bars, its sentences and how it ended."""

    def __init__(self, job: Job, home: Home) -> None:
        """Read all that it has said so far."""
        self.job = job
        self.stopping = False
        self.ended = False
        self._home = home
        self._offset = 0
        self._plan: dict[str, Any] = {}
        self._bars: dict[tuple[str, str], dict[str, Any]] = {}
        self._said: list[dict[str, str]] = []
        self._end: dict[str, Any] = {}
        self.read()

    def read(self) -> bool:
        """Read what is new; whether there was anything."""
        entries, self._offset = background.lines(self.job, self._home, self._offset)
        for entry in entries:
            if "plan" in entry:
                self._plan = entry["plan"]
            elif "say" in entry:
                self._said.append({"text": entry["say"], "style": entry.get("style", "")})
            elif "done" in entry:
                self._bars[(entry["key"], entry["what"])] = entry
            else:
                self._end = entry
        del self._said[:-_LINES]
        return bool(entries)

    def shown(self, alive: bool) -> dict[str, Any]:
        """All of it, for the browser."""
        self.ended = not alive
        state = "stopping" if self.stopping else "running"
        return {
            "command": self.job.command,
            "selection": list(self.job.selection),
            "begun": self.job.begun,
            "process": self.job.process.partition("-")[0],
            "state": state if alive else self._how(),
            "words": "" if alive else self._words(),
            "failed": self._end.get("outcome", {}).get("failed", []),
            "steps": [
                {"key": s["artifact"], "how": s["to do"], "seconds": s["seconds"]}
                for s in self._plan.get("steps", [])
            ],
            "bars": list(self._bars.values()),
            "said": list(self._said),
        }

    def _how(self) -> str:
        if "stopped" in self._end:
            return "stopped"
        outcome = self._end.get("outcome")
        if outcome is None or outcome["failed"] or outcome["skipped"]:
            return "failed"
        return "done"

    def _words(self) -> str:
        """How it ended, in a sentence."""
        if "stopped" in self._end:
            return str(self._end["stopped"])
        outcome = self._end.get("outcome")
        if outcome is None:
            last = background.complaint(self.job, self._home)
            return f"it ended before it was done: {last or 'it was killed'}"
        counts = {
            "computed": len(outcome["ran"]),
            "restored": len(outcome["restored"]),
            "fresh": len(outcome["fresh"]),
            "failed": len(outcome["failed"]),
            "not made, because something they need failed": len(outcome["skipped"]),
        }
        if not any(n for name, n in counts.items() if name != "fresh"):
            return f"all {counts['fresh']} artifacts were fresh, nothing was done"
        told = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        return f"{told}, in {outcome['seconds']:.0f} s"
