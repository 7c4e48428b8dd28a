"""Adaptation: a copy of trained splats is fitted to pictures at one scale."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import gsplat
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.filters import balanced, mip_render_settings, sampling_rates, smooth
from ops.mipmap.losses import adaptation_loss
from ops.mipmap.resample import to_float
from ops.mipmap.settings import AdaptSettings
from ops.progress import Progress, silent
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.checkpoint import load_checkpoint, save_checkpoint
from ops.splats.initialise import as_parameters, as_splats, camera_extent
from ops.splats.losses import regularisation
from ops.splats.model import Splats
from ops.splats.optimise import (
    make_optimisers,
    moments,
    one_torch_thread,
    restore_moments,
    take_step,
)
from ops.splats.settings import TrainSettings
from ops.splats.strategies import Densification
from ops.splats.targets import ViewOrder
from ops.splats.training import History

RESET_AFTER = 2  # steps: Adam's state must be there before it is replaced
HISTOGRAM_EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.95, 1.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Pictures to fit splats to."""

    cameras: Cameras  # V views at the size of their pictures
    colors: Sequence[Tensor]  # V times [H, W, 3], uint8 or float32 in [0, 1]
    weights: Sequence[Tensor | None] | None = None  # V times [H, W], 1 where a pixel counts

    def __post_init__(self) -> None:
        if len(self.colors) != len(self.cameras) or not len(self.cameras):
            raise InputError(
                f"mipmap: expected a picture for each of at least one camera, found "
                f"{len(self.colors)} pictures and {len(self.cameras)} cameras"
            )
        for i, image in enumerate(self.colors):
            expected = (self.cameras.heights[i], self.cameras.widths[i], 3)
            if tuple(image.shape) != expected:
                raise InputError(
                    f"mipmap: the picture for {self.cameras.names[i]} should have shape {expected}"
                    f" like its camera, found {tuple(image.shape)}"
                )


@dataclass(frozen=True, kw_only=True)
class AdaptResult:
    """Splats for one scale; never to be shown at another."""

    splats: Splats  # on the CPU, every value finite
    history: dict[str, NDArray[Any]]  # columns iteration, loss, psnr, count, means_lr
    count_before: int  # Gaussians
    opacity_edges: NDArray[np.float64]  # [B + 1] of the histograms
    opacity_before: NDArray[np.int64]  # [B] Gaussians of the base by peak opacity
    opacity_after: NDArray[np.int64]  # [B] of the result
    iterations: int
    seconds: float  # wall time, of this run only where it continued a checkpoint


def adapt(
    base: Splats,
    targets: Targets,
    settings: AdaptSettings,
    *,
    scale: Fraction = Fraction(1),
    train_cameras: Cameras | None = None,
    mip: bool = False,
    background: Tensor | None = None,
    device: torch.device | str = "cpu",
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> AdaptResult:
    """Fit a copy of splats to pictures at one scale (Mipmap-GS, algorithm 1).

    Every step renders one view as it will be shown, with a dilation of 0.3 px^2 and all of the SH,
    and follows the gradient of the loss against the picture. Adam starts anew; density control goes
    on to the end. On the CPU the same arguments give the same bytes, with any number of threads and
    also where a run was interrupted and taken up again from its checkpoint.

    Args:
        base: As trained; stays as it is.
        targets: The pseudo ground truth, or photos.
        settings: How.
        scale: Size of the pictures by the size the base was trained at.
        train_cameras: Those the base was trained with, at its size; a balanced start and ``mip``
            need them.
        mip: Fit the splats behind Mip-Splatting's two filters instead; the filters are not in the
            result, see :func:`ops.mipmap.filters.mip_filtered`.
        background: [3] RGB behind the splats; None is black. White triggers the reset of opacities
            where the settings leave that to the background.
        device: Where to work.
        checkpoint_path: Where to keep the state of an unfinished run. A checkpoint that is there
            and fits is continued; it is left for the caller to remove.
        progress: Hears loss, PSNR against the pictures and count every few steps.

    Raises:
        InputError: No splats, fewer than two views, all views at one place, or no training cameras
            where they are needed.
        RuntimeError: No Gaussian is left, or the loss is not finite.
    """
    if len(base) == 0:
        raise InputError("mipmap: expected splats to adapt, found a model without any")
    began = time.monotonic()
    background = torch.zeros(3) if background is None else background.detach().to("cpu")
    job = _Job(targets, settings, scale, train_cameras, mip, background)
    run = _Run(base, job, torch.device(device))
    fingerprint = ""
    if checkpoint_path is not None:
        fingerprint = _fingerprint(base, job, device)
        state = load_checkpoint(checkpoint_path, fingerprint)
        if state is not None:
            run.restore(state)
    total = settings.iterations
    progress(run.done, total, "adapting", run.history.latest())
    while run.done < total:
        run.step()
        if run.history.is_due(run.done):
            progress(run.done, total, "adapting", run.history.latest())
        if (
            checkpoint_path is not None
            and run.done % settings.checkpoint_every == 0
            and run.done < total
        ):
            save_checkpoint(checkpoint_path, fingerprint, run.state())
    splats = run.result()
    return AdaptResult(
        splats=splats,
        history=run.history.columns(),
        count_before=len(base),
        opacity_edges=np.array(HISTOGRAM_EDGES),
        opacity_before=opacity_histogram(base),
        opacity_after=opacity_histogram(splats),
        iterations=total,
        seconds=time.monotonic() - began,
    )


def opacity_histogram(splats: Splats) -> NDArray[np.int64]:
    """How many Gaussians lie in each class of peak opacity between ``HISTOGRAM_EDGES``."""
    values = splats.opacity_logits.detach().double().cpu().sigmoid().numpy()
    return np.histogram(values, np.array(HISTOGRAM_EDGES))[0].astype(np.int64)


def splat_bytes(splats: Splats) -> int:
    """Bytes of all parameters as they are held."""
    return sum(value.numel() * value.element_size() for value in splats.tensors().values())


@dataclass(frozen=True)
class _Job:
    """What was asked for; see :func:`adapt`."""

    targets: Targets
    settings: AdaptSettings
    scale: Fraction
    train_cameras: Cameras | None
    mip: bool
    background: Tensor

    def __post_init__(self) -> None:
        balances = self.settings.start == "balanced" and self.scale != 1
        if self.train_cameras is None and (self.mip or balances):
            what = "Mip-Splatting's filters" if self.mip else "a balanced start"
            raise InputError(
                f"mipmap: {what} need the cameras that the base was trained with, at its size; "
                'give train_cameras, or set start to "base"'
            )

    def start(self, base: Splats) -> Splats:
        """The splats to start from."""
        if self.settings.start == "base" or self.mip or self.scale == 1:
            return base
        assert self.train_cameras is not None
        return balanced(base, sampling_rates(base.means, self.train_cameras), self.scale)

    @property
    def resets(self) -> bool:
        """Whether opacities are reset."""
        white = bool((self.background == 1).all())
        return self.settings.reset == "always" or (self.settings.reset == "white" and white)

    @property
    def as_trained(self) -> TrainSettings:
        """The settings in the words of training, for its optimisers and its density control."""
        s = self.settings
        grows = s.densify == "always" or (s.densify == "above" and self.scale > 1)
        return TrainSettings(
            iterations=s.iterations,
            seed=s.seed,
            means_lr=s.means_lr,
            scales_lr=s.scales_lr,
            quats_lr=s.quats_lr,
            opacities_lr=s.opacities_lr,
            sh0_lr=s.sh0_lr,
            shN_lr=s.shN_lr,
            densify=grows or s.prune,
            densify_start=RESET_AFTER,
            densify_stop=s.iterations,
            densify_every=s.control_every,
            densify_gradient=s.densify_gradient,
            max_count=s.max_count if grows else 1,
            prune_opacity=s.prune_opacity if s.prune else 0.0,
            reset_every=0,
        )


class _Run:
    """Everything that changes during adaptation, and one step of it."""

    def __init__(self, base: Splats, job: _Job, device: torch.device) -> None:
        self.done = 0
        self.history = History(job.settings.iterations)
        self._job, self._settings, self._targets = job, job.settings, job.targets
        self._device = device
        ready = job.targets.cameras.to(device, torch.float32)
        self._cameras = [ready[i] for i in range(len(ready))]
        self._rates: Tensor | None = None
        self._extent = camera_extent(job.targets.cameras)
        self._as_trained = job.as_trained
        with one_torch_thread():
            start = job.start(base.to("cpu", torch.float32))
        self._parameters = as_parameters(start.to(device))
        self._optimisers = make_optimisers(self._parameters, self._as_trained, self._extent)
        self._densification = Densification(self._as_trained, self._extent, device)
        self._order = ViewOrder(len(self._cameras), job.settings.seed)
        self._background = job.background.to(device, torch.float32)

    def step(self) -> None:
        """Fit to the next view."""
        s = self._settings
        rate = self._set_rates()
        which = self._order.next()
        target = to_float(self._targets.colors[which].to(self._device))
        weights = None if self._targets.weights is None else self._targets.weights[which]
        splats, how = self._as_rendered()
        rendering = render(splats, self._cameras[which], how, self._background)[0]
        loss = adaptation_loss(rendering.colors, target, s, weights)
        loss.loss.backward()
        self._regularise()
        take_step(self._optimisers)
        self.done += 1
        height, width = target.shape[:2]
        with one_torch_thread():
            self._densification.after_backward(
                self._parameters,
                self._optimisers,
                self.done,
                rendering.screen,
                (width, height),
                rate,
            )
            if self._job.resets and self.done == RESET_AFTER:
                self._densification.reset_opacities(
                    self._parameters, self._optimisers, s.reset_opacity
                )
        self.history.add(self.done, loss, len(self._parameters["means"]), rate)
        self._check(loss.loss)

    def result(self) -> Splats:
        """The splats as they are now, without any that are not finite."""
        splats = as_splats(self._parameters).detach().to("cpu")
        finite = [
            torch.isfinite(value).reshape(len(value), -1).all(dim=1)
            for value in splats.tensors().values()
        ]
        keep: Tensor = torch.stack(finite).all(dim=0)
        if not bool(keep.all()):
            _log.warning("Adaptation removed %d Gaussians that are not finite.", int((~keep).sum()))
        return splats.select(keep)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs to go on as if nothing had happened."""
        return {
            "done": self.done,
            "parameters": {name: value.detach() for name, value in self._parameters.items()},
            "moments": moments(self._optimisers),
            "densification": self._densification.state_dict(),
            "order": self._order.state(),
            "history": self.history.state(),
            "rates": self._rates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the run that gave ``state`` was."""
        self.done = state["done"]
        self._parameters = {
            name: torch.nn.Parameter(value.to(self._device))
            for name, value in state["parameters"].items()
        }
        self._optimisers = make_optimisers(self._parameters, self._as_trained, self._extent)
        restore_moments(self._optimisers, state["moments"])
        self._densification.restore(state["densification"])
        self._order.restore(state["order"])
        self.history.restore(state["history"])
        rates = state["rates"]
        self._rates = None if rates is None else rates.to(self._device)

    def _regularise(self) -> None:
        """Add the gradients of the regularisation, where there is any, to those of the loss."""
        s = self._settings
        active = self.done < s.regularise_until * s.iterations
        with one_torch_thread():
            extra = regularisation(
                self._parameters["opacities"],
                self._parameters["scales"],
                s.opacity_regularisation if active else 0.0,
                0.0,
            )
            if extra is not None:
                extra.backward()

    def _set_rates(self) -> float:
        """Make the next step move at the learning rates of its time; that of the means."""
        s, extent = self._settings, self._extent
        part = self.done / s.iterations
        means_rate = s.means_lr * extent * s.means_lr_final**part
        falling = s.rate_final + (1 - s.rate_final) * 0.5 * (1 + math.cos(math.pi * part))
        for name, optimiser in self._optimisers.items():
            full = getattr(self._as_trained, f"{name}_lr")
            optimiser.param_groups[0]["lr"] = means_rate if name == "means" else full * falling
        return means_rate

    def _as_rendered(self) -> tuple[Splats, RenderSettings]:
        """The splats as this run shows them, and how it renders."""
        splats = as_splats(self._parameters)
        if not self._job.mip:
            return splats, RenderSettings()
        stale = self._rates is None or len(self._rates) != len(splats)
        if stale or self.done % self._settings.control_every == 0:
            assert self._job.train_cameras is not None
            self._rates = sampling_rates(splats.means, self._job.train_cameras)
        assert self._rates is not None
        with one_torch_thread():
            return smooth(splats, self._rates), mip_render_settings()

    def _check(self, loss: Tensor) -> None:
        if not math.isfinite(float(loss.detach())):
            raise RuntimeError(
                f"mipmap: the loss is not finite at step {self.done}; lower the learning rates"
            )
        if len(self._parameters["means"]) == 0:
            raise RuntimeError(
                f"mipmap: no Gaussian is left at step {self.done}; prune_opacity may be too high, "
                "or too few steps followed the reset of opacities"
            )


def _fingerprint(base: Splats, job: _Job, device: torch.device | str) -> str:
    """Of everything that the state of a run follows from."""
    digest = hashlib.blake2b(digest_size=16)
    values = asdict(job.settings)
    del values["checkpoint_every"]
    versions = (torch.__version__, gsplat.__version__, torch.device(device).type)
    plain = [values, str(job.scale), job.mip, versions]
    digest.update(json.dumps(plain, sort_keys=True).encode())
    tensors = [job.background, *base.tensors().values(), *job.targets.colors]
    tensors += [w for w in job.targets.weights or () if w is not None]
    for cameras in (job.targets.cameras, job.train_cameras):
        if cameras is not None:
            digest.update(json.dumps([cameras.names, cameras.widths, cameras.heights]).encode())
            tensors += [cameras.viewmats, cameras.Ks]
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
