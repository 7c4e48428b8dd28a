"""Weights of metrics: where they lie, whether they are there, and how to get them.

Nothing here touches the network unless :func:`fetch` is called. From a terminal:
``python -m ops.evaluation.weights lpips_alex niqe``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ops.errors import InputError, UnavailableError
from ops.evaluation.protocols import protocol
from ops.evaluation.settings import EvaluationSettings

_TORCHVISION = "https://download.pytorch.org/models"
_PYIQA = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of weights in torch's hub folder, where lpips and pyiqa themselves keep it."""

    name: str
    """File name."""
    folder: Literal["checkpoints", "pyiqa"]
    """Folder inside the hub folder."""
    url: str
    """Where it comes from."""
    megabytes: float
    """About how large it is."""
    sha256: str = ""
    """First digits of its hash, as its publisher gives them; empty where none are given."""

    @property
    def path(self) -> Path:
        """Where it lies, or would. ``TORCH_HOME`` moves torch's hub folder."""
        return hub_folder() / self.folder / self.name


FILES: dict[str, WeightFile] = {
    "lpips_alex": WeightFile(
        name="alexnet-owt-7be5be79.pth",
        folder="checkpoints",
        url=f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",
        megabytes=233,
        sha256="7be5be79",
    ),
    "lpips_vgg": WeightFile(
        name="vgg16-397923af.pth",
        folder="checkpoints",
        url=f"{_TORCHVISION}/vgg16-397923af.pth",
        megabytes=528,
        sha256="397923af",
    ),
    "niqe": WeightFile(
        name="niqe_modelparameters.mat",
        folder="pyiqa",
        url=f"{_PYIQA}/niqe_modelparameters.mat",
        megabytes=0.01,
    ),
    "ilniqe": WeightFile(
        name="ILNIQE_templateModel.mat",
        folder="pyiqa",
        url=f"{_PYIQA}/ILNIQE_templateModel.mat",
        megabytes=8,
    ),
    "brisque": WeightFile(
        name="brisque_svm_weights.pth",
        folder="pyiqa",
        url=f"{_PYIQA}/brisque_svm_weights.pth",
        megabytes=0.1,
    ),
    "musiq": WeightFile(
        name="musiq_koniq_ckpt-e95806b9.pth",
        folder="pyiqa",
        url=f"{_PYIQA}/musiq_koniq_ckpt-e95806b9.pth",
        megabytes=105,
        sha256="e95806b9",
    ),
    "metaiqa_livec": WeightFile(
        name="Metaiqa_livec.pth", folder="pyiqa", url=f"{_PYIQA}/Metaiqa_livec.pth", megabytes=54
    ),
    "metaiqa_prior": WeightFile(
        name="Metaiqa_prior.pth", folder="pyiqa", url=f"{_PYIQA}/Metaiqa_prior.pth", megabytes=54
    ),
}


def hub_folder() -> Path:
    """Torch's hub folder, found as torch finds it, but without loading torch."""
    if "torch" in sys.modules:
        return Path(sys.modules["torch"].hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{cache}/torch")
    return Path(home).expanduser() / "hub"


def absent(settings: EvaluationSettings) -> list[str]:
    """The files of weights (keys of :data:`FILES`) that settings ask for and that are not here.

    Looks at files only, and loads nothing: every look at what is fresh asks this.
    """
    nets = settings.lpips_nets or protocol(settings.protocol).lpips
    wanted = [f"lpips_{net}" for net in nets] if "lpips" in settings.metrics else []
    wanted += [name for name in settings.no_reference if name in FILES]
    return sorted(name for name in set(wanted) if not FILES[name].path.is_file())


def how_to_get(metric: str) -> str:
    """The sentence that says how to get a metric's weights."""
    file = FILES[metric]
    return (
        f"run 'python -m ops.evaluation.weights {metric}' with a network, or put {file.url} "
        f"({file.megabytes:g} MB) at {file.path}"
    )


def missing(metric: str) -> str | None:
    """Why a metric cannot be computed and what to do about it; None where its file is there."""
    file = FILES.get(metric)
    if file is None or file.path.is_file():
        return None
    return f"its weights ({file.name}) are not on this machine: {how_to_get(metric)}"


def checked(metric: str) -> Path:
    """The path of a metric's file, whose hash is that of its publisher.

    Raises:
        UnavailableError: It is not there, or is another file.
    """
    sentence = missing(metric)
    if sentence is not None:
        raise UnavailableError(f"{metric}: {sentence}")
    file = FILES[metric]
    found = sha256(file.path)
    if not found.startswith(file.sha256):
        raise UnavailableError(
            f"{metric}: {file.path} is not the file expected (its sha256 should begin with "
            f"{file.sha256}, found {found[:8]}): delete it and {how_to_get(metric)}"
        )
    return file.path


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_tensors(metric: str) -> Any:
    """What a PyTorch file holds, read without running code that it may carry.

    Raises:
        UnavailableError: The file is not there, not the one expected, or not plain tensors.
    """
    import torch

    path = checked(metric)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise UnavailableError(
            f"{metric}: {path} is damaged or holds more than tensors, and was not read "
            f"({type(error).__name__}): delete it and {how_to_get(metric)}"
        ) from error


def fetch(metric: str) -> Path:
    """Download a metric's weights, where they are not on the machine.

    Raises:
        InputError: The metric is not known or needs no weights.
        UnavailableError: The download failed.
    """
    import torch

    if metric not in FILES:
        raise InputError(
            f"weights: expected one of {', '.join(FILES)}, found {metric!r}; other metrics need "
            "none"
        )
    file = FILES[metric]
    if not file.path.is_file():
        file.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(
                file.url, str(file.path), hash_prefix=file.sha256 or None, progress=False
            )
        except (OSError, RuntimeError) as error:
            raise UnavailableError(
                f"{metric}: {file.url} could not be downloaded ({error}); check the network, or "
                f"put the file at {file.path} by hand"
            ) from error
    return checked(metric)


def _main(names: list[str]) -> int:
    if not names or set(names) & {"-h", "--help"}:
        sys.stderr.write(f"which weights? some of: {' '.join(FILES)}\n")
        return 2
    try:
        for name in names:
            sys.stdout.write(f"{name}: {fetch(name)}\n")
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except UnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
