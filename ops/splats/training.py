"""Training: splats from views of a scene and points to start from."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gsplat
import numpy as np
import torch
from torch import Tensor

from ops.capture.model import Points, Views
from ops.errors import InputError
from ops.progress import Progress, silent
from ops.rendering.interface import ScreenSpace
from ops.rendering.render import CheckedViews, checked, differentiate
from ops.rendering.settings import RenderSettings
from ops.splats.checkpoint import load_checkpoint, save_checkpoint
from ops.splats.initialise import as_parameters, as_splats, camera_extent, splats_from_points
from ops.splats.losses import PhotoLoss, photo_loss_gradient, regularisation
from ops.splats.model import Splats
from ops.splats.optimise import (
    make_optimisers,
    means_rate,
    moments,
    restore_moments,
    set_means_rate,
    take_step,
)
from ops.splats.settings import TrainSettings
from ops.splats.strategies import Densification
from ops.splats.targets import Target, TrainingPhotos, ViewOrder
from ops.threads import one_torch_thread

REPORT_EVERY = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What training yields."""

    splats: Splats  # on the CPU, every value finite
    history: dict[str, np.ndarray]  # columns of one length, see :class:`History`
    extent: float  # world units, the scene scale that rates and thresholds were relative to
    dropped: int  # Gaussians that were removed because a value was not finite


@one_torch_thread()
def train(
    views: Views,
    points: Points,
    settings: TrainSettings,
    *,
    device: torch.device | str = "cpu",
    checkpoint_path: Path | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train splats on the views of the split "train" (Kerbl et al. 2023).

    On the CPU the same arguments give the same bytes, with any number of threads, and also where
    training was interrupted and taken up again from its checkpoint. The caller's random state is
    left alone.

    Args:
        views: Photos and cameras; others than the training views are never looked at.
        points: Where the Gaussians start.
        settings: How to train.
        device: Where to train.
        checkpoint_path: Where to keep the state of unfinished training. A checkpoint that is there
            and fits is continued; it is left for the caller to remove.
        progress: Hears loss, PSNR (means over the last steps) and count every few steps.

    Raises:
        InputError: No training views, cameras that are all at one place, no points, values that
            are not finite, photos of another size than their cameras.
        RuntimeError: Training lost all Gaussians or yields no finite loss.
    """
    device = torch.device(device)
    photos = TrainingPhotos(views, device)
    if not photos:
        raise InputError(
            f"training: expected views of the split 'train', found none among {len(views)}; "
            "choose another split protocol for the capture"
        )
    extent = camera_extent(views.cameras[photos.indices])
    run = _Run(photos, points, settings, extent, device)
    fingerprint = ""
    if checkpoint_path is not None:
        fingerprint = _fingerprint(photos, views, points, settings, device)
        state = load_checkpoint(checkpoint_path, fingerprint)
        if state is not None:
            run.restore(state)
            _log.info("Training continues at step %d of %d.", run.done, settings.iterations)
    progress(run.done, settings.iterations, "training", run.history.latest())
    while run.done < settings.iterations:
        run.step()
        if run.history.is_due(run.done):
            progress(run.done, settings.iterations, "training", run.history.latest())
        if (
            checkpoint_path is not None
            and run.done % settings.checkpoint_every == 0
            and run.done < settings.iterations
        ):
            save_checkpoint(checkpoint_path, fingerprint, run.state())
    return run.result()


class History:
    """The curves of training: a row every few steps, means over the steps since the last.

    Wall time is not among them: what is kept must be the same whenever the same is trained.
    """

    COLUMNS = ("iteration", "loss", "psnr", "count", "means_lr")

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self.rows: list[list[float]] = []
        self._pending: list[list[float]] = []

    def is_due(self, done: int) -> bool:
        """Whether a row ends after this many steps."""
        return done % REPORT_EVERY == 0 or done == self._iterations

    def add(self, done: int, loss: PhotoLoss, count: int, rate: float) -> None:
        """Note one step; ``done`` counts it."""
        self._pending.append([float(loss.loss.detach()), loss.psnr])
        if self.is_due(done):
            steps = len(self._pending)
            means = [math.fsum(column) / steps for column in zip(*self._pending, strict=True)]
            self.rows.append([done, *means, count, rate])
            self._pending = []

    def latest(self) -> dict[str, float]:
        """What to show of the last row; nothing before the first."""
        if not self.rows:
            return {}
        row = dict(zip(self.COLUMNS, self.rows[-1], strict=True))
        return {name: row[name] for name in ("loss", "psnr", "count")}

    def columns(self) -> dict[str, np.ndarray]:
        """The columns: integers for iteration and count, float64 for the others."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, len(self.COLUMNS))
        whole = ("iteration", "count")
        return {
            name: table[:, i].astype(np.int64 if name in whole else np.float64)
            for i, name in enumerate(self.COLUMNS)
        }

    def state(self) -> dict[str, Any]:
        """Plain values that :meth:`restore` takes."""
        return {"rows": [list(r) for r in self.rows], "pending": [list(r) for r in self._pending]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.rows, self._pending = state["rows"], state["pending"]


class _Run:
    """Everything that changes while training, and one step of it."""

    def __init__(
        self,
        photos: TrainingPhotos,
        points: Points,
        settings: TrainSettings,
        extent: float,
        device: torch.device,
    ) -> None:
        self.done = 0
        self.dropped = 0
        self.history = History(settings.iterations)
        self._settings = settings
        self._extent = extent
        self._device = device
        self._photos = photos
        self._rendering = RenderSettings(mode=settings.mode, absgrad=settings.absgrad)
        start = splats_from_points(
            points,
            sh_degree=settings.sh_degree,
            opacity=settings.initial_opacity,
            scale=settings.initial_scale,
            extent=extent,
        )
        self._parameters = as_parameters(start.to(device))
        self._views = [
            checked(as_splats(self._parameters), camera, self._rendering, None)
            for camera in photos.cameras()
        ]
        self._optimisers = make_optimisers(self._parameters, settings, extent)
        self._densification = Densification(settings, extent, device)
        self._order = ViewOrder(len(photos), settings.seed)
        self._background = torch.tensor(settings.background, dtype=torch.float32, device=device)
        self._backgrounds = torch.Generator("cpu").manual_seed(settings.seed + 1)

    def step(self) -> None:
        """Train on the next view."""
        s, step = self._settings, self.done
        rate = means_rate(s, self._extent, step)
        set_means_rate(self._optimisers, rate)
        which = self._order.next()
        target = self._photos.target(
            which, self._background, self._backgrounds if s.random_background else None
        )
        degree = min(step // s.sh_interval, s.sh_degree)
        view = replace(self._views[which], degree=degree, backgrounds=[target.background])
        loss, screen = photo_step(as_splats(self._parameters), view, self._rendering, target, s)
        self._regularise()
        take_step(self._optimisers)
        height, width = target.colors.shape[:2]
        self._densification.after_backward(
            self._parameters, self._optimisers, step, screen, (width, height), rate
        )
        self.done += 1
        self.history.add(self.done, loss, len(self._parameters["means"]), rate)
        self._check(loss)

    def result(self) -> TrainResult:
        """The splats as they are now."""
        self._drop_non_finite()
        return TrainResult(
            splats=as_splats(self._parameters).detach().to("cpu"),
            history=self.history.columns(),
            extent=self._extent,
            dropped=self.dropped,
        )

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs to go on as if nothing had happened."""
        return {
            "done": self.done,
            "dropped": self.dropped,
            "parameters": {name: value.detach() for name, value in self._parameters.items()},
            "moments": moments(self._optimisers),
            "densification": self._densification.state_dict(),
            "order": self._order.state(),
            "backgrounds": self._backgrounds.get_state(),
            "history": self.history.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the run that gave ``state`` was."""
        self.done, self.dropped = state["done"], state["dropped"]
        self._parameters = {
            name: torch.nn.Parameter(value.to(self._device))
            for name, value in state["parameters"].items()
        }
        self._optimisers = make_optimisers(self._parameters, self._settings, self._extent)
        restore_moments(self._optimisers, state["moments"])
        self._densification.restore(state["densification"])
        self._order.restore(state["order"])
        self._backgrounds.set_state(state["backgrounds"])
        self.history.restore(state["history"])

    def _regularise(self) -> None:
        """Add the gradients of the regularisation, where there is any, to those of the loss."""
        s = self._settings
        extra = regularisation(
            self._parameters["opacities"],
            self._parameters["scales"],
            s.opacity_regularisation,
            s.scale_regularisation,
        )
        if extra is not None:
            extra.backward()

    def _check(self, loss: PhotoLoss) -> None:
        """Remove what poisons the loss; give up where nothing is left to remove."""
        if not math.isfinite(float(loss.loss.detach())) and not self._drop_non_finite():
            raise RuntimeError(
                f"training: the loss is not finite at step {self.done} although every Gaussian "
                "is; lower the learning rates"
            )
        if len(self._parameters["means"]) == 0:
            raise RuntimeError(
                f"training: no Gaussian is left at step {self.done}; the photos may be empty or "
                "the poses wrong, or prune_opacity is too high"
            )

    def _drop_non_finite(self) -> int:
        """Remove Gaussians of which any value is NaN or infinite; how many there were."""
        finite = [
            torch.isfinite(value.detach()).reshape(len(value), -1).all(dim=1)
            for value in self._parameters.values()
        ]
        bad: Tensor = ~torch.stack(finite).all(dim=0)
        count = int(bad.sum())
        if count:
            self._densification.remove(self._parameters, self._optimisers, bad)
            self.dropped += count
            _log.warning("Training removed %d Gaussians with values that are not finite.", count)
        return count


def photo_step(
    splats: Splats,
    view: CheckedViews,
    rendering: RenderSettings,
    target: Target,
    settings: TrainSettings,
) -> tuple[PhotoLoss, ScreenSpace]:
    """Adds the gradients of the loss of one view to those of the splats' tensors."""
    found: list[PhotoLoss] = []

    def by_colors(colors: Tensor) -> Tensor:
        loss, gradient = photo_loss_gradient(
            colors, target.colors, target.weights, settings.ssim_weight
        )
        found.append(loss)
        return gradient

    screen = differentiate(splats, view, rendering, by_colors)
    return found[0], screen


def _fingerprint(
    photos: TrainingPhotos,
    views: Views,
    points: Points,
    settings: TrainSettings,
    device: torch.device,
) -> str:
    """Of everything that the state of training follows from."""
    digest = hashlib.blake2b(digest_size=16)
    values = asdict(settings)
    del values["checkpoint_every"]
    cameras = views.cameras[photos.indices]
    plain = {
        "settings": values,
        "names": cameras.names,
        "sizes": (cameras.widths, cameras.heights),
        "versions": (torch.__version__, gsplat.__version__, device.type),
    }
    digest.update(json.dumps(plain, sort_keys=True).encode())
    for array in (cameras.viewmats.cpu().numpy(), cameras.Ks.cpu().numpy(), points.xyz, points.rgb):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    photos.add_to(digest)
    return digest.hexdigest()
