"""What a terminal shows while steps run."""

import io
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from assets.progress import _show


def drawn(whole_keys: bool, *keys: str) -> list[str]:
    """The lines of the bars of these artifacts, all of which are being adapted."""
    out = io.StringIO()
    columns = (TextColumn("{task.fields[key]}"), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=out, width=120), auto_refresh=False) as bars:
        tasks: dict[tuple[str, str], Any] = {}
        for key in keys:
            entry = {"key": key, "what": "adapting", "done": 1, "total": 2, "values": {}}
            _show(bars, tasks, entry, whole_keys)
        bars.refresh()
    return [line.strip() for line in out.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("whole_keys", "shown"),
    [
        (True, ["demo/mipmap/x2/adapted adapting", "demo/mipmap/x4/adapted adapting"]),
        (False, ["x2/adapted adapting", "x4/adapted adapting"]),
    ],
)
def test_bars_of_several_scales_can_be_told_apart(whole_keys: bool, shown: list[str]) -> None:
    lines = drawn(whole_keys, "demo/mipmap/x2/adapted", "demo/mipmap/x4/adapted")
    assert list(dict.fromkeys(lines))[-2:] == shown
