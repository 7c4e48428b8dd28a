"""The prior that settings ask for, made ready, and how good it is on held-out photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ops.capture.model import Views
from ops.errors import InputError
from ops.evaluation.metrics import psnr
from ops.mipmap.prior.bicubic import BicubicPrior
from ops.mipmap.prior.fitted import FittedPrior, fit_filters, fitted_from
from ops.mipmap.prior.interface import Upscaler
from ops.mipmap.prior.network import NetworkPrior, network_from, train_network
from ops.mipmap.prior.pairs import FACTOR, make_pairs
from ops.mipmap.prior.pretrained import load_pretrained
from ops.mipmap.resample import shrink
from ops.mipmap.settings import PriorSettings
from ops.mipmap.truth import photo
from ops.progress import Progress, silent

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class PriorQuality:
    """PSNR on photos the prior was not trained on, shrunk by 2 and enlarged again."""

    bicubic: float  # dB, mean over photos; NaN where there are none
    prior: float  # dB; NaN where the prior cannot enlarge by 2
    photos: int


def make_prior(
    views: Views,
    train: Sequence[int],
    settings: PriorSettings,
    *,
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    allow_download: bool = False,
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> Upscaler:
    """Train, fit or load the prior.

    Args:
        views: The capture at the base size; nothing finer is looked at.
        train: The views to learn from, the training views.
        settings: Which prior, and how.
        background: [3] RGB behind photos with alpha; None is black.
        device: Where pretrained networks run; others run on the CPU.
        allow_download: Fetch pretrained weights that are not on the machine.
        checkpoint_path: Where to keep the state of unfinished training of a network; see
            :func:`ops.mipmap.prior.network.train_network`.
        progress: Told now and then.

    Raises:
        InputError: The photos are too small to learn from, or a checkpoint is of no use.
        UnavailableError: Pretrained weights, or the package that reads them, are not there.
    """
    if settings.kind == "bicubic":
        return BicubicPrior()
    if settings.kind == "pretrained":
        return load_pretrained(settings, device=device, allow_download=allow_download)
    pairs = make_pairs([photo(views, i, background) for i in train], settings.levels)
    if settings.kind == "fitted":
        return fit_filters(pairs, progress)
    return train_network(pairs, settings, progress, checkpoint_path=checkpoint_path)


def prior_arrays(prior: Upscaler) -> Arrays:
    """What has to be stored of a prior; nothing of bicubic and pretrained ones."""
    return prior.arrays() if isinstance(prior, NetworkPrior | FittedPrior) else {}


def prior_from(
    settings: PriorSettings, arrays: Arrays, *, device: torch.device | str = "cpu"
) -> Upscaler:
    """The prior that was made by the settings and whose :func:`prior_arrays` these are.

    Raises:
        InputError: The arrays are not of such a prior.
        UnavailableError: See :func:`make_prior`.
    """
    if settings.kind == "bicubic":
        return BicubicPrior()
    if settings.kind == "pretrained":
        return load_pretrained(settings, device=device)
    wanted = "head.bias" if settings.kind == "internal" else "filters"
    if wanted not in arrays:
        raise InputError(
            f"mipmap prior: expected the arrays of a prior of kind {settings.kind!r}, found "
            f"{', '.join(sorted(arrays)) or 'none'}; make the prior again"
        )
    return network_from(dict(arrays)) if settings.kind == "internal" else fitted_from(dict(arrays))


def prior_quality(
    prior: Upscaler, views: Views, held_out: Sequence[int], *, background: Tensor | None = None
) -> PriorQuality:
    """How well a prior brings back held-out photos that were shrunk by 2.

    Args:
        prior: The prior.
        views: The capture at the base size.
        held_out: Views it has not learned from; may be none.
        background: [3] RGB behind photos with alpha; None is black.

    Raises:
        InputError: All photos are too small.
    """
    if not held_out:
        return PriorQuality(bicubic=float("nan"), prior=float("nan"), photos=0)
    pairs = make_pairs([photo(views, i, background) for i in held_out], levels=1)
    plain = [psnr(pair.blurred.clamp(0, 1), pair.fine) for pair in pairs]
    better = [float("nan")]
    if FACTOR in prior.factors:
        better = []
        for pair in pairs:
            height, width = pair.fine.shape[:2]
            coarse = shrink(pair.fine, width // FACTOR, height // FACTOR)
            better.append(psnr(prior(coarse, FACTOR), pair.fine))
    return PriorQuality(
        bicubic=float(np.mean(plain)), prior=float(np.mean(better)), photos=len(pairs)
    )
