"""What a benchmark found, and the numbers that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ops.rendering.bench.kernels import FORWARD, ViewFacts
from ops.rendering.bench.machine import Machine
from ops.rendering.bench.peak import Peak
from ops.rendering.bench.timing import Timing

# An iteration is a whole step of training; Fisher is the exact information of one view.
STAGES = ("forward", "backward", "iteration", "fisher")
OURS, GSPLAT, TORCH_TILES = "splatworks", "gsplat", "torch tiles"


@dataclass(frozen=True, kw_only=True)
class SceneRow:
    """One scene; ``facts`` only for our renderer on the CPU."""

    size: str
    count: int  # Gaussians
    width: int  # pixels
    height: int  # pixels
    transmittance: float  # mean over the image of what is seen of the background
    facts: ViewFacts | None


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """How long one stage takes."""

    size: str
    stage: str  # one of STAGES
    renderer: str  # OURS, GSPLAT or TORCH_TILES
    threads: int
    repeats: int
    time: Timing

    @property
    def place(self) -> tuple[str, int]:
        """Size and number of threads."""
        return self.size, self.threads


@dataclass(frozen=True, kw_only=True)
class KernelRow:
    """How long one kernel takes inside a stage."""

    size: str
    stage: str  # "forward" or "backward"
    kernel: str  # its name
    threads: int
    time: Timing
    flops: int | None  # nominal, of the raster kernels


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """All of one run."""

    machine: Machine
    device: str
    peaks: dict[int, Peak]  # of fma, by number of threads; empty on a GPU
    scenes: list[SceneRow]
    stages: list[StageRow]
    kernels: list[KernelRow]

    @property
    def most_threads(self) -> int:
        """The largest number of threads that was measured."""
        return max((row.threads for row in self.stages), default=1)

    @property
    def disturbed(self) -> dict[int, float]:
        """The cores that threads were given, where others took some: that spoils numbers.

        Seen by processor time per wall time of work that all threads share evenly.
        """
        cores = {threads: peak.cores for threads, peak in self.peaks.items()}
        for row in self.kernels:
            if row.flops is not None and row.time.wall_ms > 1:
                given = row.time.cpu_ms / row.time.wall_ms
                cores[row.threads] = min(cores[row.threads], given)
        return {threads: given for threads, given in cores.items() if given < 0.85 * threads}

    def stage(self, size: str, stage: str, renderer: str, threads: int) -> StageRow | None:
        """The row of these, where it was measured."""
        wanted = (size, stage, renderer, threads)
        found = [r for r in self.stages if (r.size, r.stage, r.renderer, r.threads) == wanted]
        return found[0] if found else None

    def kernel(self, size: str, kernel: str, threads: int) -> KernelRow | None:
        """The row of a kernel, where it was measured."""
        wanted = (size, kernel, threads)
        found = [r for r in self.kernels if (r.size, r.kernel, r.threads) == wanted]
        return found[0] if found else None

    def speedup(self, row: StageRow) -> float | None:
        """How many times faster than on one thread, in wall time."""
        one = self.stage(row.size, row.stage, row.renderer, 1)
        if one is None or row.threads == 1:
            return None
        return one.time.wall_ms / row.time.wall_ms

    def torch_time(self, row: StageRow) -> Timing | None:
        """The stage in plain PyTorch, on as many threads or fewer, whichever took it least."""
        others = (
            self.stage(row.size, row.stage, TORCH_TILES, threads)
            for threads in self.peaks
            if threads <= row.threads
        )
        return min((o.time for o in others if o is not None), key=_wall, default=None)

    def torch_ratio(self, row: StageRow) -> float | None:
        """How many times longer :meth:`torch_time` is, in wall time."""
        other = self.torch_time(row)
        if other is None or row.renderer == TORCH_TILES:
            return None
        return other.wall_ms / row.time.wall_ms

    def gflops(self, row: KernelRow) -> float | None:
        """Nominal GFLOP/s of a raster kernel."""
        return None if row.flops is None else row.flops / row.time.wall_ms / 1e6

    def peak_share(self, row: KernelRow) -> float | None:
        """What part of the machine's fma peak, on as many threads, a raster kernel reaches."""
        gflops = self.gflops(row)
        return None if gflops is None else gflops / self.peaks[row.threads].gflops

    def stage_share(self, row: KernelRow) -> float:
        """What part of its stage's wall time a kernel takes."""
        whole = self.stage(row.size, row.stage, OURS, row.threads)
        assert whole is not None
        return row.time.wall_ms / whole.time.wall_ms

    def forward_over_raster(self, size: str, threads: int) -> float | None:
        """How many times longer a whole forward takes than its raster kernel."""
        row = self.kernel(size, FORWARD, threads)
        return None if row is None else 1 / self.stage_share(row)

    def fisher_over_gradient(self, size: str, threads: int) -> float | None:
        """How many times longer the information of a view takes than drawing it and gradients."""
        rows = [self.stage(size, s, OURS, threads) for s in ("fisher", "forward", "backward")]
        walls = [row.time.wall_ms for row in rows if row is not None]
        return walls[0] / (walls[1] + walls[2]) if len(walls) == 3 else None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values for a script, flat rows with what follows from them."""
        return {
            "machine": asdict(self.machine),
            "device": self.device,
            "fma_peak_gflops": {str(k): v.gflops for k, v in self.peaks.items()},
            "disturbed": {str(k): v for k, v in self.disturbed.items()},
            "scenes": [self._scene(row) for row in self.scenes],
            "stages": [
                {
                    **_flat(row),
                    "speedup_over_1_thread": self.speedup(row),
                    "torch_tiles_ratio": self.torch_ratio(row),
                }
                for row in self.stages
            ],
            "kernels": [
                {
                    **_flat(row),
                    "share_of_stage": self.stage_share(row),
                    "gflops": self.gflops(row),
                    "share_of_fma_peak": self.peak_share(row),
                }
                for row in self.kernels
            ],
        }

    def _scene(self, row: SceneRow) -> dict[str, Any]:
        values = asdict(row)
        facts = values.pop("facts")
        if row.facts is not None:
            lanes = row.facts.lanes
            del facts["lanes"]
            values |= facts | {f"lanes_{k}": v for k, v in lanes._asdict().items()}
            values["useful_lanes"] = lanes.useful
            values["forward_over_raster"] = {
                str(t): self.forward_over_raster(row.size, t) for t in self.peaks
            }
            values["fisher_over_gradient"] = {
                str(t): self.fisher_over_gradient(row.size, t) for t in self.peaks
            }
        return values


def _wall(timing: Timing) -> float:
    return timing.wall_ms


def _flat(row: StageRow | KernelRow) -> dict[str, Any]:
    """The fields of a row, with those of its timing among them."""
    values = asdict(row)
    return values | values.pop("time")
