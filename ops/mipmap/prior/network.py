"""The weight-free default: a small network that learns from the scene's own photos."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, relu

from ops.mipmap.prior.pairs import FACTOR, Pair
from ops.mipmap.resample import bicubic
from ops.mipmap.settings import PriorSettings
from ops.progress import Progress, silent
from ops.splats.checkpoint import load_checkpoint, save_checkpoint
from ops.threads import one_torch_thread, threads

LABEL = "internal prior: a network trained on this scene's photos (stand-in, no pretrained weights)"
PARTS = 2  # of a batch, that two threads work on; more would be too small to be worth it
AVERAGE_OVER = 200  # steps that the averaged weights look back
REPORT_EVERY = 20
CHECKPOINT_EVERY = 200


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
    pairs: Sequence[Pair],
    settings: PriorSettings,
    progress: Progress = silent,
    *,
    checkpoint_path: Path | None = None,
) -> NetworkPrior:
    """Train on small batches of small crops, L1, Adam with a cosine schedule, averaged weights.

    Many steps on few pixels do better than few steps on many for the same time (measured). A batch
    is always in the same parts, on each of which one thread works, so the same arguments give the
    same bytes whatever the number of threads, and also where training was interrupted and taken up
    again from its checkpoint.

    Args:
        pairs: See :func:`ops.mipmap.prior.pairs.make_pairs`.
        settings: How.
        progress: Told the mean loss every few steps.
        checkpoint_path: Where to keep the state of unfinished training. A checkpoint that is there
            and fits is continued; it is left for the caller to remove.
    """
    total = settings.iterations
    workers = min(PARTS, threads())
    with (
        one_torch_thread(),
        torch.random.fork_rng(devices=[]),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        run = _Training(pairs, settings, pool)
        fingerprint = "" if checkpoint_path is None else _fingerprint(pairs, settings)
        if checkpoint_path is not None:
            state = load_checkpoint(checkpoint_path, fingerprint)
            if state is not None:
                run.restore(state)
        progress(run.done, total, "training the prior")
        while run.done < total:
            run.step()
            if run.done % REPORT_EVERY == 0 or run.done == total:
                progress(run.done, total, "training the prior", {"loss": run.mean_loss()})
            if checkpoint_path is not None and run.done % CHECKPOINT_EVERY == 0 < total - run.done:
                save_checkpoint(checkpoint_path, fingerprint, run.state())
    weights = {name: value.contiguous() for name, value in run.average.items()}
    return NetworkPrior(channels=settings.channels, blocks=settings.blocks, weights=weights)


class _Training:
    """Everything that changes while a network is trained, and one step of it."""

    def __init__(self, pairs: Sequence[Pair], settings: PriorSettings, pool: Executor) -> None:
        self.done = 0
        self._pool = pool
        self._settings = s = settings
        torch.manual_seed(s.seed)
        self._network = _Network(s.channels, s.blocks).to(memory_format=torch.channels_last)
        self.average = {name: value.clone() for name, value in self._network.state_dict().items()}
        parameters = self._network.parameters()
        self._optimiser = torch.optim.Adam(parameters, lr=s.learning_rate, fused=True)
        self._crops = _Crops(pairs, s)
        self._losses: list[float] = []

    def step(self) -> None:
        """Learn from the next crops."""
        s, network = self._settings, self._network
        rate = s.learning_rate * _schedule(self.done, s.iterations)
        self._optimiser.param_groups[0]["lr"] = rate
        fine, blurred = (part.split(-(-s.batch // PARTS)) for part in self._crops.batch())
        found = list(self._pool.map(self._gradients, fine, blurred))
        for i, parameter in enumerate(network.parameters()):
            parameter.grad = functools.reduce(torch.add, (gradients[i] for _, gradients in found))
        self._optimiser.step()
        keep = min(1 - 1 / AVERAGE_OVER, (self.done + 1) / (self.done + 20))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self._losses.append(math.fsum(loss for loss, _ in found))
        self.done += 1

    def _gradients(self, fine: Tensor, blurred: Tensor) -> tuple[float, tuple[Tensor, ...]]:
        """A part's share of the mean loss over the batch, and of its gradients."""
        share = len(fine) / self._settings.batch
        loss = (self._network(blurred) - fine).abs().mean() * share
        gradients = torch.autograd.grad(loss, list(self._network.parameters()))
        return float(loss.detach()), gradients

    def mean_loss(self) -> float:
        """The mean over the steps since it was last asked for."""
        losses, self._losses = self._losses, []
        return math.fsum(losses) / len(losses)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs to go on as if nothing had happened."""
        return {
            "done": self.done,
            "network": self._network.state_dict(),
            "average": self.average,
            "optimiser": self._optimiser.state_dict()["state"],
            "crops": self._crops.state(),
            "losses": list(self._losses),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the training that gave ``state`` was."""
        self.done, self._losses = state["done"], state["losses"]
        self._network.load_state_dict(state["network"])
        self.average = state["average"]
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        self._crops.restore(state["crops"])


def _fingerprint(pairs: Sequence[Pair], settings: PriorSettings) -> str:
    """Of everything that the state of training follows from."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([asdict(settings), torch.__version__], sort_keys=True).encode())
    for image in (image for pair in pairs for image in (pair.fine, pair.blurred)):
        digest.update(f"{tuple(image.shape)}".encode())
        digest.update(image.contiguous().numpy().tobytes())
    return digest.hexdigest()


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

    def state(self) -> dict[str, Any]:
        """Plain values that :meth:`restore` takes."""
        return {"random": json.dumps(self._random.bit_generator.state)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the crops that gave ``state`` were."""
        self._random.bit_generator.state = json.loads(state["random"])

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
