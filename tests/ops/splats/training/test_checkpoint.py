import errno
import io
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ops.splats.checkpoint import load_checkpoint, save_checkpoint

STATE: dict[str, Any] = {
    "done": 7,
    "parameters": {"means": torch.arange(3000.0).reshape(1000, 3)},
    "moments": {"means": {}},
    "rows": [[1.0, 2.0], [3.0, 4.0]],
    "random": torch.Generator().manual_seed(3).get_state(),
    "nothing": None,
}


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "training.pt"
    save_checkpoint(path, "abc", STATE)
    found = load_checkpoint(path, "abc")
    assert found is not None
    assert torch.equal(found["parameters"]["means"], STATE["parameters"]["means"])
    assert torch.equal(found["random"], STATE["random"])
    assert (found["done"], found["rows"], found["nothing"]) == (7, STATE["rows"], None)
    assert [p.name for p in path.parent.iterdir()] == ["training.pt"], "nothing else is left"


def test_none_where_there_is_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_checkpoint(tmp_path / "training.pt", "abc") is None
    assert not caplog.records


def test_checkpoint_of_something_else_is_ignored_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_checkpoint(tmp_path / "training.pt", "abc", STATE)
    assert load_checkpoint(tmp_path / "training.pt", "other") is None
    assert "other settings" in caplog.text


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped", "not ours"])
def test_damaged_checkpoint_is_ignored_with_a_reason(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "training.pt"
    save_checkpoint(path, "abc", STATE)
    whole = bytearray(path.read_bytes())
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        path.write_text("no checkpoint at all")
    elif damage == "flipped":
        whole[whole.index(STATE["parameters"]["means"].numpy().tobytes()[:400]) + 100] ^= 0x40
        path.write_bytes(whole)
    else:
        torch.save({"weights": torch.zeros(3)}, path)
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(path, "abc") is None
    assert "Training starts anew" in caplog.text
    assert "damaged" in caplog.text
    assert str(path) in caplog.text


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"format": 1, "fingerprint": "abc", "state": Evil()}, tmp_path / "training.pt")
    assert load_checkpoint(tmp_path / "training.pt", "abc") is None
    assert not (tmp_path / "ran").exists()


def test_full_disk_keeps_the_last_checkpoint_and_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "training.pt"
    save_checkpoint(path, "abc", STATE)

    def full(whole: object, file: Any) -> None:
        file.write(b"some bytes")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    save_checkpoint(path, "abc", STATE | {"done": 8})
    monkeypatch.undo()
    assert "goes on without a new checkpoint" in caplog.text
    assert "No space left" in caplog.text
    found = load_checkpoint(path, "abc")
    assert found is not None
    assert found["done"] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]


def test_interruption_while_writing_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training.pt"
    save_checkpoint(path, "abc", STATE)

    def interrupted(whole: object, file: Any) -> None:
        file.write(b"some bytes")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, "abc", STATE | {"done": 8})
    monkeypatch.undo()
    found = load_checkpoint(path, "abc")
    assert found is not None
    assert found["done"] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]


def test_interruption_within_torch_is_not_taken_for_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training.pt"
    save_checkpoint(path, "abc", STATE)
    writes = _Writes()
    monkeypatch.setattr(os, "fdopen", writes.open)
    save_checkpoint(path, "abc", STATE)
    assert writes.seen > 20
    for at in range(1, writes.seen + 1):  # torch closes its archive after it, which fails
        writes.seen, writes.stop_at = 0, at
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(path, "abc", STATE | {"done": 8})
        assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]
    monkeypatch.undo()
    found = load_checkpoint(path, "abc")
    assert found is not None
    assert found["done"] == 7


class _Writes:
    """Counts what is written to files; Ctrl-C comes at one of the writes."""

    def __init__(self) -> None:
        self.seen, self.stop_at = 0, 0

    def open(self, descriptor: int, mode: str) -> Any:
        return _Counted(io.FileIO(descriptor, mode), self)


class _Counted(io.BufferedWriter):
    def __init__(self, raw: io.RawIOBase, writes: _Writes) -> None:
        super().__init__(raw)
        self.writes = writes

    def write(self, data: Any) -> int:
        self.writes.seen += 1
        if self.writes.seen == self.writes.stop_at:
            raise KeyboardInterrupt
        return super().write(data)
