"""The weight-free default: a small network that learns from the scene's own photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, relu

from ops.mipmap.prior.pairs import FACTOR, Pair
from ops.mipmap.resample import bicubic
from ops.mipmap.settings import PriorSettings
from ops.progress import Progress, silent
from ops.splats.optimise import one_torch_thread

LABEL = "internal prior: a network trained on this scene's photos (stand-in, no pretrained weights)"
AVERAGE_OVER = 200  # steps that the averaged weights look back
REPORT_EVERY = 20


class _Network(nn.Module):
    """Residual over bicubic: blocks of two 3 x 3 convolutions at the coarse size."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        inner = 3 * FACTOR**2
        self.head = nn.Conv2d(inner, channels, 3, padding=1)
        self.first = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )
        self.second = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )
        self.tail = nn.Conv2d(channels, inner, 3, padding=1)
        nn.init.zeros_(self.tail.weight)  # the untrained network is bicubic
        if self.tail.bias is not None:
            nn.init.zeros_(self.tail.bias)

    def forward(self, blurred: Tensor) -> Tensor:
        """[B, 3, H, W] to the same; H and W are multiples of FACTOR."""
        x = self.head(pixel_unshuffle(blurred - 0.5, FACTOR))
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(relu(first(x)))
        return blurred + pixel_shuffle(self.tail(x), FACTOR)


@dataclass(frozen=True, kw_only=True)
class NetworkPrior:
    """A trained network; larger factors are steps of 2, each on the result of the last."""

    channels: int
    blocks: int
    weights: dict[str, Tensor]  # float32, by the network's names
    label: str = LABEL
    factors: tuple[int, ...] = (2, 4, 8, 16, 32, 64)

    def __call__(self, image: Tensor, factor: int) -> Tensor:
        """See :class:`~ops.mipmap.prior.interface.Upscaler`."""
        with torch.device("meta"):  # no random weights, which would move the caller's generator
            network = _Network(self.channels, self.blocks)
        network.load_state_dict(self.weights, assign=True)
        while factor > 1:
            height, width = image.shape[:2]
            blurred = bicubic(image, FACTOR * width, FACTOR * height)
            with torch.no_grad(), one_torch_thread():
                fine = network(blurred.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
            image = fine.clamp(0, 1).contiguous()
            factor //= FACTOR
        return image

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights as arrays, to be stored; :func:`network_from` is the way back."""
        return {name: value.numpy() for name, value in self.weights.items()}


def network_from(arrays: dict[str, NDArray[np.float32]]) -> NetworkPrior:
    """The prior whose :meth:`NetworkPrior.arrays` these are."""
    blocks = sum(name.startswith("first.") and name.endswith(".bias") for name in arrays)
    weights = {
        name: torch.from_numpy(np.array(value, np.float32)) for name, value in arrays.items()
    }
    return NetworkPrior(channels=len(weights["head.bias"]), blocks=blocks, weights=weights)


def train_network(
    pairs: Sequence[Pair], settings: PriorSettings, progress: Progress = silent
) -> NetworkPrior:
    """Train on small batches of small crops, L1, Adam with a cosine schedule, averaged weights.

    Many steps on few pixels do better than few steps on many for the same time (measured). One
    torch thread works, so the same arguments give the same bytes whatever their number.

    Args:
        pairs: See :func:`ops.mipmap.prior.pairs.make_pairs`.
        settings: How.
        progress: Told the mean loss every few steps.
    """
    s = settings
    with one_torch_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)
        network = _Network(s.channels, s.blocks).to(memory_format=torch.channels_last)
        average = {name: value.clone() for name, value in network.state_dict().items()}
        optimiser = torch.optim.Adam(network.parameters(), lr=s.learning_rate, fused=True)
        crops = _Crops(pairs, s)
        losses: list[float] = []
        for step in range(s.iterations):
            optimiser.param_groups[0]["lr"] = s.learning_rate * _schedule(step, s.iterations)
            fine, blurred = crops.batch()
            loss = (network(blurred) - fine).abs().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            keep = min(1 - 1 / AVERAGE_OVER, (step + 1) / (step + 20))
            with torch.no_grad():
                for name, value in network.state_dict().items():
                    average[name].lerp_(value, 1 - keep)
            losses.append(float(loss.detach()))
            if (step + 1) % REPORT_EVERY == 0 or step + 1 == s.iterations:
                mean = math.fsum(losses) / len(losses)
                progress(step + 1, s.iterations, "training the prior", {"loss": mean})
                losses = []
    weights = {name: value.contiguous() for name, value in average.items()}
    return NetworkPrior(channels=s.channels, blocks=s.blocks, weights=weights)


def _schedule(step: int, steps: int) -> float:
    """A short rise, then a cosine down to 1/50."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / 50) * (0.02 + 0.98 * cosine)


class _Crops:
    """Random crops, turned and mirrored; larger images are drawn from more often."""

    def __init__(self, pairs: Sequence[Pair], settings: PriorSettings) -> None:
        self._pairs = pairs
        self._batch = settings.batch
        self._side = min(settings.crop, *(min(p.fine.shape[:2]) for p in pairs))
        self._side -= self._side % FACTOR
        self._random = np.random.default_rng([settings.seed, 3])
        areas = np.array([p.fine.shape[0] * p.fine.shape[1] for p in pairs], np.float64)
        self._weights = np.sqrt(areas) / np.sqrt(areas).sum()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Fine and blurred, [B, 3, side, side] each, channels last."""
        chosen = [self._crop() for _ in range(self._batch)]
        fine, blurred = (torch.stack(part) for part in zip(*chosen, strict=True))
        channels_last = torch.channels_last
        return (
            fine.contiguous(memory_format=channels_last),
            blurred.contiguous(memory_format=channels_last),
        )

    def _crop(self) -> tuple[Tensor, Tensor]:
        r, side = self._random, self._side
        pair = self._pairs[int(r.choice(len(self._pairs), p=self._weights))]
        height, width = pair.fine.shape[:2]
        y = int(r.integers(0, (height - side) // FACTOR + 1)) * FACTOR
        x = int(r.integers(0, (width - side) // FACTOR + 1)) * FACTOR
        turns, mirrored = int(r.integers(4)), bool(r.integers(2))
        out = []
        for image in (pair.fine, pair.blurred):
            crop = image[y : y + side, x : x + side].permute(2, 0, 1)
            crop = torch.rot90(crop, turns, (1, 2))
            out.append(crop.flip(2) if mirrored else crop)
        return out[0], out[1]
