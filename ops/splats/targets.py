"""What renderings are compared with while training: photos, what covers them, and their order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.capture.model import Views, indices_of
from ops.errors import InputError

CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Target:
    """What one training step aims at."""

    colors: Tensor  # [H, W, 3] float32 in [0, 1], over ``background`` where the photo has alpha
    weights: Tensor | None  # [H, W] float32, 1 where a pixel counts, 0 where not; None: all count
    background: Tensor  # [3] float32 RGB to render on


class TrainingPhotos:
    """The training views of a capture, kept in memory as uint8 as far as they fit.

    Photos beyond the limit are read again every time they are needed.
    """

    def __init__(self, views: Views, device: torch.device, cache_bytes: int = CACHE_BYTES) -> None:
        self.indices = indices_of(views.splits, "train")
        self._views = views
        self._device = device
        self._room = cache_bytes
        self._kept: dict[int, tuple[Tensor | None, ...]] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def cameras(self) -> list[Cameras]:
        """One batch of one camera per training view, ready to render."""
        ready = self._views.cameras[self.indices].to(self._device, torch.float32)
        return [ready[i] for i in range(len(ready))]

    def target(self, which: int, background: Tensor, random: torch.Generator | None) -> Target:
        """The photo of a training view to aim at.

        Args:
            which: Position among the training views.
            background: [3] RGB behind photos that have alpha.
            random: Where given, photos with alpha get a background drawn from it instead.
        """
        image, alpha, mask = self._photo(which)
        assert image is not None
        colors = image / 255  # float32, in one go
        if alpha is not None:
            if random is not None:
                background = torch.rand(3, generator=random, dtype=torch.float32, device="cpu").to(
                    background.device
                )
            cover = (alpha.to(torch.float32) / 255)[..., None]
            colors = colors * cover + background * (1 - cover)
        weights = None if mask is None else (mask > 127).to(torch.float32)
        return Target(colors, weights, background)

    def add_to(self, digest: hashlib.blake2b) -> None:
        """Add everything that training sees of the photos to a digest, in order."""
        for which in range(len(self)):
            for part in self._photo(which):
                digest.update(b"-" if part is None else part.cpu().numpy().tobytes())

    def _photo(self, which: int) -> tuple[Tensor | None, ...]:
        if which in self._kept:
            return self._kept[which]
        index = self.indices[which]
        parts = (self._views.image(index), self._views.alpha(index), self._views.mask(index))
        camera = self._views.cameras
        expected = (camera.heights[index], camera.widths[index])
        for name, part in zip(("image", "alpha", "mask"), parts, strict=True):
            if part is not None and tuple(part.shape[:2]) != expected:
                raise InputError(
                    f"training: the {name} of view {camera.names[index]} should be "
                    f"{expected[1]}x{expected[0]} pixels like its camera, found "
                    f"{part.shape[1]}x{part.shape[0]}; prepare the capture again"
                )
        moved = tuple(None if p is None else p.to(self._device) for p in parts)
        size = sum(p.numel() for p in moved if p is not None)
        if size <= self._room:
            self._room -= size
            self._kept[which] = moved
        return moved


class ViewOrder:
    """All views in a new random order, again and again."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._random = torch.Generator().manual_seed(seed)
        self._left: list[int] = []

    def next(self) -> int:
        """The position of the view to take."""
        if not self._left:
            self._left = torch.randperm(self._count, generator=self._random).tolist()
        return self._left.pop()

    def state(self) -> dict[str, Any]:
        """Plain values that :meth:`restore` takes."""
        return {"left": list(self._left), "random": self._random.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the order that gave ``state`` was."""
        self._left = list(state["left"])
        self._random.set_state(state["random"])
