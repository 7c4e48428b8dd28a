"""Checkpoints of training: one file that is either whole or not there."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT = 1
_log = logging.getLogger(__name__)


def save_checkpoint(path: Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Replace the checkpoint at ``path``; whatever happens, a whole one is there afterwards.

    A disk that is full or read-only costs the checkpoint, not the training: it is logged.

    Args:
        path: Its folder is made where it is not there.
        fingerprint: Of everything that ``state`` follows from.
        state: Nested dicts, lists and tuples of tensors and plain values.
    """
    whole = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "digest": _digest(state),
        "state": state,
    }
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part"
        )
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            torch.save(whole, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        temporary = None
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
        # It does so too where Ctrl-C stopped the write, and would take the Ctrl-C away with it.
        stopped = _interruption(error)
        if stopped is not None:
            raise stopped from None
        _log.warning(
            "Training goes on without a new checkpoint: %s could not be written (%s).", path, error
        )
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _interruption(error: BaseException) -> BaseException | None:
    """What stopped the program while ``error`` came up; None if it is no more than an error."""
    found: BaseException | None = error
    while isinstance(found, Exception):
        found = found.__cause__ or found.__context__
    return found


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state saved at ``path``, on the CPU; None, and a sentence in the log, if it is no use.

    Args:
        path: As given to :func:`save_checkpoint`.
        fingerprint: What the state must follow from.
    """
    if not path.exists():
        return None
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
        if whole["format"] != FORMAT:
            _log.warning("Training starts anew: the checkpoint %s is of another version.", path)
            return None
        if whole["fingerprint"] != fingerprint:
            _log.warning(
                "Training starts anew: the checkpoint %s was made with other settings, other "
                "views or points, or another version of torch or gsplat.",
                path,
            )
            return None
        state: dict[str, Any] = whole["state"]
        if whole["digest"] != _digest(state):
            raise ValueError("its contents do not match its checksum")
    except Exception as error:  # a damaged file makes torch.load raise almost anything
        _log.warning(
            "Training starts anew: the checkpoint %s is damaged (%s: %s).",
            path,
            type(error).__name__,
            str(error).splitlines()[0] if str(error) else "no message",
        )
        return None
    return state


def _digest(value: Any) -> str:
    """Checksum of nested values; torch.load does not notice flipped bits of a tensor."""
    digest = hashlib.blake2b(digest_size=16)
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    elif isinstance(value, dict):
        for key, item in value.items():
            digest.update(f"{key}:".encode())
            _add(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)}[".encode())
        for item in value:
            _add(digest, item)
    else:
        digest.update(repr(value).encode())
