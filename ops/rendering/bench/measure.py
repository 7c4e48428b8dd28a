"""The benchmark: every stage of every size with every number of threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from ops.cameras import Cameras
from ops.errors import InputError
from ops.progress import Progress, silent
from ops.rendering.bench import kernels
from ops.rendering.bench.machine import this_machine
from ops.rendering.bench.peak import fma_peak
from ops.rendering.bench.results import (
    GSPLAT,
    OURS,
    STAGES,
    TORCH_TILES,
    BenchResult,
    KernelRow,
    SceneRow,
    StageRow,
)
from ops.rendering.bench.scenes import EXTENT, BenchScene, Size, make_scene
from ops.rendering.bench.timing import Task, measure, summary, torch_threads
from ops.rendering.bench.torch_tiles import render_torch_tiles
from ops.rendering.fisher import fisher_information
from ops.rendering.render import checked, render
from ops.rendering.settings import RenderSettings
from ops.splats.initialise import as_parameters, as_splats
from ops.splats.losses import photo_loss
from ops.splats.model import Splats
from ops.splats.optimise import make_optimisers, means_rate, set_means_rate, take_step
from ops.splats.settings import TrainSettings
from ops.splats.targets import Target
from ops.splats.training import photo_step

TORCH_REPEATS = 3  # at most; it is slow, and needs no precision
AT_LEAST_S = 2.0  # for the stages of a size together, unless each is wanted once

Draw = Callable[[Splats, Cameras], Tensor]  # to colours [H, W, 3]


def bench(
    sizes: list[Size],
    *,
    threads: list[int],
    repeats: int,
    device: torch.device,
    progress: Progress = silent,
) -> BenchResult:
    """Measures rendering and training steps.

    Args:
        sizes: Scenes to measure with.
        threads: Numbers of threads for torch and the renderer; on a GPU only the first is used.
        repeats: How often each stage is timed at least, after a first time that does not count;
            if it is not 1, the stages of a size take turns for two seconds.
        device: The CPU, or a GPU, on which gsplat renders.
        progress: Hears what is measured next.

    Raises:
        InputError: Fewer than one thread or repeat.
    """
    if repeats < 1 or not threads or min(threads) < 1:
        raise InputError(
            f"bench: expected at least 1 repeat and 1 thread, found {repeats} repeats and "
            f"threads {threads}"
        )
    on_cpu = device.type == "cpu"
    threads = list(dict.fromkeys(threads)) if on_cpu else threads[:1]
    found = BenchResult(
        machine=this_machine(device),
        device=device.type,
        peaks={count: fma_peak(count) for count in threads} if on_cpu else {},
        scenes=[],
        stages=[],
        kernels=[],
    )
    total = len(sizes) * len(threads)
    for i, size in enumerate(sizes):
        scene = make_scene(size).to(device)
        found.scenes.append(_scene_row(scene))
        for j, count in enumerate(threads):
            progress(i * len(threads) + j, total, f"{size.name}, threads: {count}")
            with torch_threads(count):
                _measure_size(found, scene, count, repeats, device)
    for count in found.peaks:  # once more: a neighbour may have slowed the first measurement
        found.peaks[count] = max(found.peaks[count], fma_peak(count))
    progress(total, total, "done")
    return found


def _measure_size(
    found: BenchResult, scene: BenchScene, threads: int, repeats: int, device: torch.device
) -> None:
    """Adds the rows of one scene on one number of threads."""
    on_cpu = device.type == "cpu"
    measured = [(OURS if on_cpu else GSPLAT, draw, repeats)]
    if scene.size.compared and on_cpu:
        measured.append((TORCH_TILES, render_torch_tiles, min(repeats, TORCH_REPEATS)))
    for renderer, drawing, times in measured:
        work = _Work(scene, drawing)
        stages: tuple[str, ...] = STAGES if renderer == OURS else STAGES[:-1]
        if scene.size.forward_only:
            stages = stages[:1]
        watched = {stage for stage in stages if renderer == OURS and stage != "iteration"}
        tasks = [
            Task(
                getattr(work, stage),
                work.prepare_backward if stage == "backward" else None,
                kernels.recorded if stage in watched else nullcontext,
            )
            for stage in stages
        ]
        seconds = 0.0 if renderer == TORCH_TILES or repeats == 1 else AT_LEAST_S
        for stage, found_out in zip(stages, measure(tasks, times, device, seconds), strict=True):
            row = StageRow(
                size=scene.size.name,
                stage=stage,
                renderer=renderer,
                threads=threads,
                repeats=found_out.repeats,
                time=found_out.timing,
            )
            found.stages.append(row)
            if stage in watched:
                known = {k.kernel for k in found.kernels if (k.size, k.threads) == row.place}
                new = _kernel_rows(row, found_out.given, found.scenes[-1])
                found.kernels.extend(k for k in new if k.kernel not in known)


def draw(splats: Splats, cameras: Cameras) -> Tensor:
    """[H, W, 3] colours of one view, as everything here renders."""
    return render(splats, cameras)[0].colors


class _Work:
    """The stages of one scene with one renderer."""

    def __init__(self, scene: BenchScene, drawing: Draw) -> None:
        self._scene, self._draw = scene, drawing
        self._settings = TrainSettings()
        self._parameters = as_parameters(scene.splats)
        self._trained = as_parameters(scene.splats)  # apart, since these move on
        self._optimisers = make_optimisers(self._trained, self._settings, EXTENT)
        # Any gradient of the image will do; this one is none of the easy ones.
        self._gradient = scene.target - scene.target.mean()
        self._colors = scene.target
        self._view = checked(scene.splats, scene.cameras, RenderSettings(), None)
        self._target = Target(scene.target, None, torch.zeros(3))

    def forward(self) -> None:
        """Draw, as for looking at it."""
        with torch.no_grad():
            self._draw(self._scene.splats, self._scene.cameras)

    def prepare_backward(self) -> None:
        """Draw, as for training."""
        for parameter in self._parameters.values():
            parameter.grad = None
        self._colors = self._draw(as_splats(self._parameters), self._scene.cameras)

    def backward(self) -> None:
        """From the gradient of the image to that of every parameter."""
        self._colors.backward(self._gradient)

    def fisher(self) -> None:
        """How much the view says about every parameter, exactly."""
        fisher_information(self._scene.splats, self._scene.cameras)

    def iteration(self) -> None:
        """One step of training, as ``ops.splats.training`` does it, without densification."""
        set_means_rate(self._optimisers, means_rate(self._settings, EXTENT, 0))
        splats, scene, settings = as_splats(self._trained), self._scene, self._settings
        if self._draw is draw:
            loss, _ = photo_step(splats, self._view, RenderSettings(), self._target, settings)
        else:
            colors = self._draw(splats, scene.cameras)
            loss = photo_loss(colors, scene.target, None, settings.ssim_weight)
            loss.loss.backward()
        take_step(self._optimisers)
        float(loss.loss.detach())  # training looks at it after every step


def _scene_row(scene: BenchScene) -> SceneRow:
    """How expensive a scene is; the inside is known of our own renderer only."""
    splats = replace(scene.splats, means=scene.splats.means.detach().requires_grad_())
    rendering = render(splats, scene.cameras)[0]
    on_cpu = scene.target.device.type == "cpu"
    return SceneRow(
        size=scene.size.name,
        count=scene.size.count,
        width=scene.size.width,
        height=scene.size.height,
        transmittance=1 - float(rendering.alphas.detach().mean()),
        facts=kernels.view_facts(kernels.view_of(rendering)) if on_cpu else None,
    )


def _kernel_rows(
    stage: StageRow, seen: list[dict[str, kernels.KernelTime]], scene: SceneRow
) -> list[KernelRow]:
    """The kernels of a stage in the order they run, and the rest, from what each repeat took."""
    assert scene.facts is not None
    rows = []
    for name in seen[0]:
        counted = name in kernels.FLOPS
        rows.append(
            KernelRow(
                size=stage.size,
                stage=stage.stage,
                kernel=name,
                threads=stage.threads,
                time=summary([(times[name].wall, times[name].cpu) for times in seen]),
                flops=kernels.nominal_flops(name, scene.facts.lanes) if counted else None,
            )
        )
    return rows
