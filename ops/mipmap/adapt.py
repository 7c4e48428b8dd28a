"""Adaptation: a copy of trained splats is fitted to pictures at one scale."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.filters import mip_render_settings, sampling_rates, smooth
from ops.mipmap.job import RESET_AFTER, Job
from ops.mipmap.losses import adaptation_loss, mean_loss
from ops.mipmap.resample import Shrink, area_average, to_float
from ops.mipmap.settings import AdaptSettings
from ops.mipmap.targets import Shot, Shots, Targets
from ops.progress import Progress, silent
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.checkpoint import load_checkpoint, save_checkpoint
from ops.splats.initialise import as_parameters, as_splats, camera_extent
from ops.splats.losses import PhotoLoss, regularisation
from ops.splats.model import Splats
from ops.splats.optimise import (
    Optimisers,
    make_optimisers,
    moments,
    restore_moments,
    take_step,
)
from ops.splats.strategies import Densification
from ops.splats.targets import ViewOrder
from ops.splats.training import History
from ops.threads import one_torch_thread

HISTOGRAM_EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.95, 1.0)
_log = logging.getLogger(__name__)


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


@one_torch_thread()
def adapt(
    base: Splats,
    targets: Targets,
    settings: AdaptSettings,
    *,
    scale: Fraction = Fraction(1),
    train_cameras: Cameras | None = None,
    mip: bool = False,
    background: Tensor | None = None,
    shrink: Shrink = "area",
    device: torch.device | str = "cpu",
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> AdaptResult:
    """Fit a copy of splats to pictures at one scale (Mipmap-GS, algorithm 1).

    Every step renders one view or a few as they will be shown, with a dilation of 0.3 px^2 and all
    of the SH, and follows the gradient of the loss against the pictures. Below 1 the pictures may
    be those of all grids that the base pictures can be averaged on, see
    :class:`ops.mipmap.targets.Phase`; above 1 renders may also have to agree with the base pictures
    when averaged to their size, as in SRGS (Feng et al., arXiv 2404.10318, section 3.3) and, for
    images, Irani and Peleg (1991). Adam starts anew; density control goes
    on to the end. On the CPU the same arguments give the same bytes, with any number of threads and
    also where a run was interrupted and taken up again from its checkpoint.

    Args:
        base: As trained; stays as it is.
        targets: The pseudo ground truth, or photos. Phases and agreement with the base need those
            at the base size too.
        settings: How.
        scale: Size of the pictures by the size the base was trained at.
        train_cameras: Those the base was trained with, at its size; a balanced start and ``mip``
            need them.
        mip: Fit the splats behind Mip-Splatting's two filters instead; the filters are not in the
            result, see :func:`ops.mipmap.filters.mip_filtered`.
        background: [3] RGB behind the splats; None is black. White triggers the reset of opacities
            where the settings leave that to the background.
        shrink: The filter that made the pictures below 1.
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
    job = Job(targets, settings, scale, train_cameras, mip, background, shrink)
    run = _Run(base, job, torch.device(device))
    fingerprint = ""
    if checkpoint_path is not None:
        fingerprint = job.fingerprint(base, device)
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


class _Run:
    """Everything that changes during adaptation, and one step of it."""

    def __init__(self, base: Splats, job: Job, device: torch.device) -> None:
        self.done = 0
        self._seen = 0  # pictures
        self.history = History(job.settings.iterations)
        self._job, self._settings, self._targets = job, job.settings, job.targets
        self._device = device
        self._shots = Shots(
            job.targets,
            job.scale,
            phases=job.settings.phases,
            fine=job.settings.phases_at_once,
            how=job.shrink,
            device=device,
        )
        self._rates: Tensor | None = None
        self._extent = camera_extent(job.targets.cameras)
        self._as_trained = job.as_trained
        start = job.start(base.to("cpu", torch.float32))
        self._parameters = as_parameters(start.to(device))
        self._optimisers = self._new_optimisers()
        self._densification = Densification(self._as_trained, self._extent, device)
        self._order = ViewOrder(len(self._shots), job.settings.seed)
        self._background = job.background.to(device, torch.float32)

    def step(self) -> None:
        """Fit to the next views."""
        s = self._settings
        rate = self._set_rates()
        losses = []
        for _ in range(self._job.views_at_once):
            which = self._order.next()
            shot = self._shots.at(which, self._seen)
            splats, how = self._as_rendered(shot)
            rendering = render(splats, shot.camera, how, self._background)[0]
            loss = adaptation_loss(rendering.colors, shot.colors, s, shot.weights, shot.fine)
            losses.append(self._with_photo(loss, rendering.colors, which))
            losses[-1].loss.backward()
            self._seen += 1
        self._regularise()
        take_step(self._optimisers)
        self.done += 1
        height, width = shot.colors.shape[:2]
        self._densification.after_backward(
            *(self._parameters, self._optimisers, self.done, rendering.screen),
            *((width, height), rate),
        )
        if self._job.resets and self.done == RESET_AFTER:
            self._densification.reset_opacities(self._parameters, self._optimisers, s.reset_opacity)
        self.history.add(self.done, mean_loss(losses), len(self._parameters["means"]), rate)
        self._check(losses)

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
        self._seen = self.done * self._job.views_at_once
        self._parameters = {
            name: torch.nn.Parameter(value.to(self._device))
            for name, value in state["parameters"].items()
        }
        self._optimisers = self._new_optimisers()
        restore_moments(self._optimisers, state["moments"])
        self._densification.restore(state["densification"])
        self._order.restore(state["order"])
        self.history.restore(state["history"])
        rates = state["rates"]
        self._rates = None if rates is None else rates.to(self._device)

    def _new_optimisers(self) -> Optimisers:
        made = make_optimisers(self._parameters, self._as_trained, self._extent)
        for optimiser in made.values():
            for group in optimiser.param_groups:
                group["betas"] = (group["betas"][0], self._settings.beta2)
        return made

    def _with_photo(self, loss: PhotoLoss, image: Tensor, which: int) -> PhotoLoss:
        """The loss with that of the rendering, averaged to the base size, against its picture."""
        part, whole = self._settings.photo_weight, self._targets.at_base
        if self._job.scale <= 1 or not part:
            return loss
        assert whole is not None
        target = to_float(whole.colors[which].to(self._device))
        averaged = area_average(image, target.shape[1], target.shape[0])
        photo = adaptation_loss(averaged, target, self._settings, whole.weight(which))
        return PhotoLoss((1 - part) * loss.loss + part * photo.loss, loss.mse)

    def _regularise(self) -> None:
        """Add the gradients of the regularisation, where there is any, to those of the loss.

        These are sums over the views of the step, which Adam does not tell from means.
        """
        s = self._settings
        active = self.done < s.regularise_until * s.iterations
        extra = regularisation(
            self._parameters["opacities"],
            self._parameters["scales"],
            s.opacity_regularisation * self._job.views_at_once if active else 0.0,
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

    def _as_rendered(self, shot: Shot) -> tuple[Splats, RenderSettings]:
        """The splats as this run shows them, and how it renders."""
        splats = as_splats(self._parameters)
        if not self._job.mip:
            return splats, shot.settings
        stale = self._rates is None or len(self._rates) != len(splats)
        if stale or self.done % self._settings.control_every == 0:
            assert self._job.train_cameras is not None
            self._rates = sampling_rates(splats.means, self._job.train_cameras)
        assert self._rates is not None
        return smooth(splats, self._rates), mip_render_settings()

    def _check(self, losses: list[PhotoLoss]) -> None:
        if not all(math.isfinite(float(found.loss.detach())) for found in losses):
            raise RuntimeError(
                f"mipmap: the loss is not finite at step {self.done}; lower the learning rates"
            )
        if len(self._parameters["means"]) == 0:
            raise RuntimeError(
                f"mipmap: no Gaussian is left at step {self.done}; prune_opacity may be too high, "
                "or too few steps followed the reset of opacities"
            )
