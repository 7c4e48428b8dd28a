"""Scores of an image alone, through the package ``pyiqa``, with weights that are checked."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ops.errors import UnavailableError
from ops.evaluation import weights
from ops.evaluation.settings import NoReference


@dataclass(frozen=True, kw_only=True)
class NoReferenceSpec:
    """What there is to know of a score before it is loaded."""

    pyiqa: str
    """Its name in pyiqa."""
    weights: str
    """What its numbers depend on besides the method; goes into the table."""
    lower_better: bool
    """Whether small is good."""
    smallest: tuple[int, int]
    """The shorter and the longer side an image needs, pixels."""


SPECS: dict[NoReference, NoReferenceSpec] = {
    # Mittal et al. 2013; blocks of 96 x 96, and a covariance over at least two of them.
    "niqe": NoReferenceSpec(
        pyiqa="niqe", weights="original", lower_better=True, smallest=(96, 192)
    ),
    # Zhang et al. 2015; resizes to 524 x 524.
    "ilniqe": NoReferenceSpec(
        pyiqa="ilniqe", weights="original", lower_better=True, smallest=(16, 16)
    ),
    # Mittal et al. 2012; statistics at full and half size.
    "brisque": NoReferenceSpec(
        pyiqa="brisque", weights="original", lower_better=True, smallest=(16, 16)
    ),
    # Venkatanath et al. 2015; blocks of 16 x 16, no weights.
    "piqe": NoReferenceSpec(pyiqa="piqe", weights="", lower_better=True, smallest=(16, 16)),
    # Ke et al. 2021.
    "musiq": NoReferenceSpec(
        pyiqa="musiq", weights="koniq10k", lower_better=False, smallest=(32, 32)
    ),
    # Zhu et al. 2020; pyiqa's default is the network tuned on LIVE-C, the authors' is the prior.
    "metaiqa_livec": NoReferenceSpec(
        pyiqa="metaiqa", weights="livec", lower_better=False, smallest=(32, 32)
    ),
    "metaiqa_prior": NoReferenceSpec(
        pyiqa="metaiqa", weights="prior", lower_better=False, smallest=(32, 32)
    ),
}


def load_no_reference(name: NoReference, device: torch.device) -> Callable[[Tensor], float]:
    """A score of an image [H, W, 3] in [0, 1].

    Raises:
        UnavailableError: Its weights are not on the machine, or not the right ones.
    """
    spec = SPECS[name]
    options: dict[str, Any] = {}
    state: Any = None
    if name in weights.FILES:
        path = weights.checked(name)
        if path.suffix != ".mat":
            # pyiqa reads with the unsafe loader; what the safe one reads is safe for both.
            state = weights.load_tensors(name)
        # With the path given, pyiqa never looks for the file, nor downloads it.
        options["pretrained_model_path"] = str(path)
    if spec.pyiqa == "metaiqa":
        options = {"pretrained": False}  # pyiqa would load it without insisting on every key
    try:
        model = _create(spec.pyiqa, device, options)
        if spec.pyiqa == "metaiqa":
            _fill_metaiqa(model.net, name, state)
        score = _scorer(model, device)
        # A file of wrong contents may fail only when it is used: use it before any long work.
        probe = score(torch.rand(*spec.smallest, 3, generator=torch.Generator().manual_seed(0)))
        if not math.isfinite(probe):
            raise ValueError(f"it scores an image of noise as {probe}")
    except UnavailableError:
        raise
    except Exception as error:  # a file that is not what its name says fails in many ways
        what = f"({type(error).__name__}: {error})"
        if name not in weights.FILES:
            raise UnavailableError(f"{name}: pyiqa fails on this machine {what}") from error
        raise UnavailableError(
            f"{name}: pyiqa cannot use {weights.FILES[name].path} {what}: delete it and "
            f"{weights.how_to_get(name)}"
        ) from error
    return score


def _scorer(model: Any, device: torch.device) -> Callable[[Tensor], float]:
    # Some of pyiqa's metrics keep what they find of a picture in themselves until they are done:
    # PIQE mixes pictures up that are scored at once.
    one_by_one = threading.Lock()

    def score(image: Tensor) -> float:
        batch = image.to(device, torch.float32).clamp(0, 1).permute(2, 0, 1)[None]
        with one_by_one, torch.no_grad():
            # The last digits depend on the number of threads; none of them means anything.
            return round(float(model(batch)), 6)

    return score


def _create(name: str, device: torch.device, options: dict[str, Any]) -> Any:
    """pyiqa's metric, made without its talk and without touching the global random state."""
    import pyiqa

    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
            return pyiqa.create_metric(name, device=device, **options)
    finally:
        logging.disable(before)


def _fill_metaiqa(net: Any, name: NoReference, state: Any) -> None:
    """Load MetaIQA's weights, every one of them."""
    for wrapper in ("params", "state_dict"):
        if isinstance(state, dict) and wrapper in state:
            state = state[wrapper]
    named = {}
    for key, value in dict(state).items():
        for old, new in (("module.", ""), ("net_g.", ""), ("net.", "head.")):
            if key.startswith(old):
                key = new + key.removeprefix(old)
        named[key] = value
    own = net.state_dict()
    for buffer in ("mean", "std"):  # of ImageNet; part of the module, not of every file
        named.setdefault(buffer, own[buffer])
    try:
        net.load_state_dict(named, strict=True)
    except RuntimeError as error:
        raise UnavailableError(
            f"{name}: {weights.FILES[name].path} does not hold the weights of MetaIQA "
            f"({str(error).splitlines()[-1].strip()[:200]}): delete it and "
            f"{weights.how_to_get(name)}"
        ) from error
