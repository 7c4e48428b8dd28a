"""The Dagster instance in the home folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from filelock import FileLock

from storage.home import Home

if TYPE_CHECKING:
    import dagster as dg

# No telemetry, no pop-up over the page, and runs whose process died are marked as failed.
_CONFIG = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  poll_interval_seconds: 10
python_logs:
  python_log_level: INFO
code_servers:
  local_startup_timeout: 180
"""


def prepare(home: Home) -> None:
    """Make the home's Dagster folder and point DAGSTER_HOME to it."""
    home.create()
    config = home.dagster / "dagster.yaml"
    if not config.exists():
        config.write_text(_CONFIG, "utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)


def instance(home: Home) -> dg.DagsterInstance:
    """The home's Dagster instance; where runs and events are kept."""
    import dagster as dg

    prepare(home)
    # Two processes that make its databases at the same moment spoil them for each other.
    with FileLock(home.dagster / "opening.lock"):
        return dg.DagsterInstance.get()
