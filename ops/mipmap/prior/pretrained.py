"""Pretrained super-resolution networks, read by spandrel, which knows their architectures.

A checkpoint is named by repository, revision and SHA-256, or by a file on disk and SHA-256. It is
read as safetensors, or with weights-only loading, and nothing it may carry is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ops.errors import InputError, UnavailableError
from ops.evaluation.weights import sha256
from ops.mipmap.settings import PriorSettings

HOW_TO_INSTALL = (
    "pretrained super-resolution needs the package spandrel, which is not installed: run "
    "'pip install -c constraints.txt spandrel' (the extra super-resolution of this project), or "
    "set the prior's kind to internal, fitted or bicubic"
)


@dataclass(frozen=True, kw_only=True)
class PretrainedPrior:
    """One network per factor, always applied to the base image itself."""

    networks: dict[int, Any]  # factor -> spandrel's ImageModelDescriptor, on ``device``
    device: torch.device
    label: str

    @property
    def factors(self) -> tuple[int, ...]:
        """See :class:`~ops.mipmap.prior.interface.Upscaler`."""
        return tuple(sorted(self.networks))

    def __call__(self, image: Tensor, factor: int) -> Tensor:
        """See :class:`~ops.mipmap.prior.interface.Upscaler`. The whole image at once, no tiles."""
        batch = image.permute(2, 0, 1)[None].to(self.device)
        with torch.no_grad():
            # spandrel's descriptor pads to what its network needs, cuts again, and clamps.
            fine = self.networks[factor](batch)
        return fine[0].permute(1, 2, 0).to("cpu", torch.float32).clamp(0, 1).contiguous()


def load_pretrained(
    settings: PriorSettings, *, device: torch.device | str = "cpu", allow_download: bool = False
) -> PretrainedPrior:
    """Load the checkpoints that settings name.

    Args:
        settings: Their ``repository``, ``revision``, ``files`` and ``sha256``.
        device: Where to run the networks.
        allow_download: Fetch files of a repository that are not on the machine; otherwise no
            network is used.

    Raises:
        InputError: A checkpoint is no super-resolution network for colour images, or two are for
            one factor.
        UnavailableError: spandrel or a file is not on the machine, or a file is another one.
    """
    spandrel = _spandrel()
    paths = [
        checkpoint(settings, i, allow_download=allow_download) for i in range(len(settings.files))
    ]
    networks: dict[int, Any] = {}
    names = []
    for path in paths:
        model = _read(spandrel, path)
        if model.input_channels != 3 or model.output_channels != 3 or model.scale < 2:
            raise InputError(
                f"mipmap prior: {path.name} should enlarge colour images, found a network for "
                f"{model.input_channels} to {model.output_channels} channels at x{model.scale}"
            )
        if model.scale in networks:
            raise InputError(
                f"mipmap prior: {path.name} enlarges by {model.scale}, as another of the files does"
            )
        networks[model.scale] = model.to(torch.device(device)).eval()
        names.append(f"{model.architecture.name} x{model.scale}")
    source = f"{settings.repository}@{settings.revision[:8]}" if settings.repository else "file"
    return PretrainedPrior(
        networks=networks,
        device=torch.device(device),
        label=f"{', '.join(names)} (pretrained, {source})",
    )


def missing(settings: PriorSettings) -> str | None:
    """Why the pretrained prior cannot be used here and what to do; None where it can.

    Looks for the package and the files only: nothing is loaded, no network is used.
    """
    try:
        _spandrel()
        for i in range(len(settings.files)):
            checkpoint(settings, i)
    except UnavailableError as error:
        return str(error)
    return None


def checkpoint(settings: PriorSettings, which: int, *, allow_download: bool = False) -> Path:
    """The path of a checkpoint on this machine, whose SHA-256 is that of the settings.

    Raises:
        UnavailableError: It is not there, cannot be fetched, or is another file.
    """
    name = settings.files[which]
    if settings.repository:
        path = _from_hub(settings, name, allow_download)
    else:
        path = Path(name).expanduser()
        if not path.is_file():
            raise UnavailableError(
                f"mipmap prior: the weights {path} are not on this machine; put them there, or set "
                "the prior's kind to internal, fitted or bicubic"
            )
    found = sha256(path)
    if found != settings.sha256[which]:
        raise UnavailableError(
            f"mipmap prior: {path} is not the file that the settings name (its sha256 should be "
            f"{settings.sha256[which]}, found {found}); get it again, or correct sha256"
        )
    return path


def _from_hub(settings: PriorSettings, name: str, allow_download: bool) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = hf_hub_download(
            settings.repository,
            name,
            revision=settings.revision,
            local_files_only=not allow_download,
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UnavailableError(
            f"mipmap prior: {name} of {settings.repository} at {settings.revision[:8]} is not on "
            f"this machine ({type(error).__name__}); with a network run 'hf download "
            f"{settings.repository} {name} --revision {settings.revision}', or set the prior's "
            "kind to internal, fitted or bicubic"
        ) from error
    return Path(found)


def _spandrel() -> ModuleType:
    try:
        import spandrel
    except ImportError as error:
        raise UnavailableError(f"mipmap prior: {HOW_TO_INSTALL}") from error
    return spandrel


def read_tensors(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, read without running code that it may carry.

    Raises:
        UnavailableError: It is damaged or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises whatever its unpickler meets
        raise UnavailableError(
            f"mipmap prior: {path} is damaged or holds more than tensors, and was not read "
            f"({type(error).__name__}); get it again, or one as safetensors"
        ) from error


def _read(spandrel: ModuleType, path: Path) -> Any:
    state = read_tensors(path)
    try:
        model = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise InputError(
            f"mipmap prior: spandrel does not know the architecture of {path.name}"
        ) from error
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise InputError(
            f"mipmap prior: {path.name} should enlarge a single image, found a network for "
            f"{type(model).__name__}"
        )
    return model
