"""The ablations of the study: one change of the settings at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.mipmap.looks import ablations_preview
from assets.stage import Reads, Work, stage
from ops.mipmap.settings import AdaptSettings, PriorSettings, ProtocolSettings, PseudoSettings
from storage.home import Home
from storage.schemas import ABLATIONS
from storage.whole import write_whole

if TYPE_CHECKING:
    import xarray as xr

    from ops.mipmap.ablate import Variation

_PROTOCOL = ("shrink_base_by", "enlarge_base_by", "views", "train_pictures", "extra_every")


@dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """Where settings are varied. What they are varied around stands in ``[mipmap_adapt]``,
    ``[mipmap_pseudo]`` and ``[mipmap]``."""

    scales: tuple[str, ...] = ()
    """At which scales of the study, each of which takes about 20 adaptations; none for one below
    the base and one above it."""


def figure_file(tree: xr.DataTree, home: Home, scene: str) -> list[Path]:
    """Where the figure is written for people to find."""
    return [home.exports / scene / "mipmap" / "ablations.png"]


@stage(
    topic="mipmap_ablations",
    schema=ABLATIONS,
    settings=AblationSettings,
    section="mipmap_ablations",
    also_reads=(
        Reads(ProtocolSettings, "mipmap", _PROTOCOL),
        Reads(PseudoSettings, "mipmap_pseudo", ("shrink", "quantise")),
        Reads(AdaptSettings, "mipmap_adapt", tuple(AdaptSettings.__dataclass_fields__)),
        Reads(PriorSettings, "mipmap_prior", ("kind", "repository", "revision", "files", "sha256")),
    ),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    files=figure_file,
    preview=ablations_preview,
)
def table(
    work: Work, settings: AblationSettings, views: xr.DataTree, *others: xr.DataTree
) -> xr.DataTree:
    """What iterations, loss, views, pruning, reset, position rate, start and filter each bring.

    Every row is an adaptation of its own. Interrupted work goes on after the last finished row.
    """
    import numpy as np

    from assets.bridge.mipmap import ablations_tree
    from assets.png import save_png
    from ops.mipmap.ablate import ablations
    from ops.mipmap.figures import ablation_bars

    given = dict(zip(work.inputs[1:], others, strict=True))
    around = (
        ProtocolSettings(**work.also["mipmap"].values()),
        PseudoSettings(**work.also["mipmap_pseudo"].values()),
        AdaptSettings(**work.also["mipmap_adapt"].values()),
    )
    found = _Rows(work.checkpoint)
    variations = ablations(*around)
    scales = work.variant.split(",")
    total = len(variations) * len(scales)
    for name in scales:
        for variation in variations:
            work.progress(len(found.done), total, "ablations")
            if (name, variation.name) not in found.done:
                found.add(name, variation.name, *_row(work, views, given, name, variation))
    work.progress(total, total, "ablations")
    tree = ablations_tree(found.rows, found.labels)
    kinds = {r["views"] for r in found.rows}
    if any(np.isfinite(r["psnr"]) for r in found.rows):
        pixels = ablation_bars(found.rows, views="extra" if "extra" in kinds else "scored")
        save_png(pixels, work.home.exports / work.scene.name / "mipmap" / "ablations.png")
    return tree


def _row(
    work: Work,
    views: xr.DataTree,
    given: Mapping[str, xr.DataTree],
    name: str,
    variation: Variation,
) -> tuple[list[dict[str, Any]], str]:
    """The rows of one variation at a scale, and how its pseudo ground truth was made."""
    from assets.bridge.mipmap import prior_arrays_from
    from assets.mipmap.at_base import base_from, base_of, truth_of
    from assets.mipmap.background import background_of
    from ops.mipmap.prior.dispatch import prior_from
    from ops.mipmap.scales import parse_scale
    from ops.mipmap.study import run_scale

    scale = parse_scale(name)
    direction, base = base_of(scale, given)
    prior = None
    if scale > 1:
        arrays = prior_arrays_from(given["mipmap/prior"])
        prior = prior_from(work.also["mipmap_prior"], arrays, device=work.device)
    result, scores = run_scale(
        base_from(work, views, base, direction),
        scale,
        truth_of(work, views, name, given),
        variation.protocol,
        variation.pseudo,
        variation.adapt,
        prior=prior,
        background=background_of(views),
        device=work.device,
    )
    rows = [
        {
            "scale": name,
            "name": variation.name,
            "question": variation.question,
            "views": kind,
            "psnr": scores.mean("adapted", views=kind),
            "ssim": scores.mean("adapted", views=kind, metric="ssim"),
            "psnr_base": scores.mean("base", views=kind),
            "gaussians": len(result.splats),
            "iterations": result.iterations,
        }
        for kind in dict.fromkeys(s.views for s in scores.scores)
    ]
    return rows, scores.pseudo_label


class _Rows:
    """Finished rows, kept in the checkpoint."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows: list[dict[str, Any]] = []
        self.labels: dict[str, str] = {}
        if file.is_file():
            kept = json.loads(file.read_text())
            self.rows, self.labels = kept["rows"], kept["labels"]

    @property
    def done(self) -> set[tuple[str, str]]:
        return {(r["scale"], r["name"]) for r in self.rows}

    def add(self, scale: str, name: str, rows: list[dict[str, Any]], label: str) -> None:
        self.rows += rows
        self.labels.setdefault(scale, label)
        write_whole(self._file, json.dumps({"rows": self.rows, "labels": self.labels}))
