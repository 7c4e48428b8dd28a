"""Which device work runs on."""

from __future__ import annotations

import os

import torch

from ops.errors import InputError, UnavailableError


def pick_device(wanted: str | None = None) -> torch.device:
    """The device to work on: ``cuda`` where there is one, else ``cpu``.

    Args:
        wanted: "cpu", "cuda", "cuda:1" ... or None for the environment variable
            SPLATWORKS_DEVICE, and where that is not set, the best there is.

    Raises:
        InputError: If ``wanted`` is no device's name.
        UnavailableError: If a CUDA device is wanted and there is none.
    """
    wanted = wanted or os.environ.get("SPLATWORKS_DEVICE") or "auto"
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise InputError(f"device: expected cpu, cuda or cuda:N, found {wanted!r}") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnavailableError(
            f"device {wanted!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "devices here; unset SPLATWORKS_DEVICE to use the CPU"
        )
    return device
