"""What an adaptation was asked to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction

import gsplat
import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.mipmap.filters import balanced, sampling_rates
from ops.mipmap.resample import Shrink
from ops.mipmap.settings import AdaptSettings, needs_pictures
from ops.mipmap.targets import Targets
from ops.splats.model import Splats
from ops.splats.settings import TrainSettings

RESET_AFTER = 2  # steps: Adam's state must be there before it is replaced


@dataclass(frozen=True)
class Job:
    """What was asked for; see :func:`adapt`."""

    targets: Targets
    settings: AdaptSettings
    scale: Fraction
    train_cameras: Cameras | None
    mip: bool
    background: Tensor
    shrink: Shrink

    def __post_init__(self) -> None:
        if self.targets.at_base is None and needs_pictures(self.settings, self.scale):
            name = "phases" if self.scale < 1 else "photo_weight"
            off = 1 if self.scale < 1 else 0
            raise InputError(
                f"mipmap: {name} {getattr(self.settings, name)} needs pictures of the base size, "
                f"found none; give targets with at_base, or set {name} to {off}"
            )
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
    def views_at_once(self) -> int:
        """In a step."""
        return self.settings.views_at_once if self.scale < 1 else 1

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

    def fingerprint(self, base: Splats, device: torch.device | str) -> str:
        """Of everything that the state of a run follows from."""
        digest = hashlib.blake2b(digest_size=16)
        values = asdict(self.settings)
        del values["checkpoint_every"]
        versions = (torch.__version__, gsplat.__version__, torch.device(device).type)
        plain = [values, str(self.scale), self.mip, self.shrink, versions]
        digest.update(json.dumps(plain, sort_keys=True).encode())
        tensors = [self.background, *base.tensors().values()]
        all_cameras = [self.train_cameras]
        for targets in (self.targets, self.targets.at_base):
            if targets is not None:
                tensors += [*targets.colors, *(w for w in targets.weights or () if w is not None)]
                all_cameras.append(targets.cameras)
        for cameras in all_cameras:
            if cameras is not None:
                digest.update(json.dumps([cameras.names, cameras.widths, cameras.heights]).encode())
                tensors += [cameras.viewmats, cameras.Ks]
        for tensor in tensors:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
