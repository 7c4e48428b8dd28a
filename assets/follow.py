"""Keeping a running Dagster UI in step: it reloads when code, settings, scenes or photos change.

Dagster's code location is a process of its own that has read everything once. Its "unsynced" marks
are exact as of then, so it has to look again when something changed; and versions that became
current without a run (restored, pruned, damaged, made elsewhere) have to be told to its event log.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from assets.fingerprint import Code
from assets.freshness import scene_status
from assets.graph import scenes_of
from assets.instance import instance
from assets.process import die_with_parent
from assets.scenes import Scene
from assets.sources import listing
from storage.home import Home
from storage.store import Store

_SECONDS = 3.0
_RELOAD = {"query": "mutation { reloadWorkspace { __typename } }"}


def follow(home: Home, url: str, say: Callable[[str], None]) -> None:
    """Watch for ever; every look costs some milliseconds.

    Args:
        home: Whose scenes and store.
        url: The address of the UI, ``http://127.0.0.1:3000``.
        say: Told what was done.
    """
    loaded = definitions_now(home)
    stored = ""
    while True:
        time.sleep(_SECONDS)
        try:
            if (now := definitions_now(home)) != loaded and _reload(url):
                loaded = now
                say("code, settings, scenes or photos changed: the page was reloaded")
            if (now := store_now(home)) != stored:
                bring_all_in_step(home)
                stored = now
        except Exception as error:
            say(f"the page could not be brought in step: {type(error).__name__}: {error}")


def definitions_now(home: Home) -> str:
    """One hash of all that the code location reads: code, scenes and the looks of their photos."""
    scenes = scenes_of(home)
    told: list[object] = [Code.read().stamp]
    for name, scene in scenes.items():
        if isinstance(scene, Scene):
            tables = json.dumps(scene.tables, sort_keys=True, default=str)
            told += [name, tables, vars(scene.source), listing(scene)]
        else:
            told += [name, str(scene)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def store_now(home: Home) -> str:
    """One hash of which versions are current, and of files that tell of damage."""
    store = Store(home.store)
    told = []
    for key in store.keys():  # noqa: SIM118
        artifact = store.artifact(key)
        main = artifact.repository / "refs" / "branch.main" / "ref.json"
        damaged = sorted(p.name for p in artifact.records.glob("*.damaged"))
        told.append((key, main.read_text() if main.is_file() else "", damaged))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def bring_all_in_step(home: Home) -> list[str]:
    """Tell Dagster what is current of every artifact; the keys that it was told of."""
    from assets.events import bring_in_step

    store = Store(home.store)
    current = {}
    for scene in scenes_of(home).values():
        if isinstance(scene, Scene):
            for status in scene_status(scene, home, store).values():
                lost = any(r.startswith(("damaged:", "files:")) for r in status.reasons)
                current[status.key] = None if lost else status.version
    with instance(home) as dagster:
        return bring_in_step(dagster, home, current)


def _reload(url: str) -> bool:
    request = urllib.request.Request(  # noqa: S310
        f"{url}/graphql", json.dumps(_RELOAD).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            told: Any = json.loads(answer.read())
    except (urllib.error.URLError, OSError, ValueError):
        return False  # it is still starting, or busy: next time
    return not told.get("errors")


if __name__ == "__main__":
    die_with_parent()
    try:
        follow(Home.find(), sys.argv[1], lambda words: print(words, file=sys.stderr))  # noqa: T201
    except KeyboardInterrupt:
        sys.exit(0)
