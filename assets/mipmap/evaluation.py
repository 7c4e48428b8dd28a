"""Every method at every scale, in one table with its curves and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assets.evaluation.held_out import weights_there
from assets.mipmap.looks import adapted_beats_base, evaluation_preview
from assets.stage import Reads, Work, stage
from ops.evaluation.settings import EvaluationSettings
from ops.mipmap.settings import ProtocolSettings
from storage.home import Home
from storage.schemas import MULTISCALE

if TYPE_CHECKING:
    import xarray as xr

    from ops.mipmap.baselines import Candidate
    from ops.mipmap.evaluate import ScaleEvaluation

_PROTOCOL = ("shrink_base_by", "enlarge_base_by", "views", "extra_every")
FIGURES = "mipmap"
"""Folder of the figures among a scene's exports."""


def figure_files(tree: xr.DataTree, home: Home, scene: str) -> list[Path]:
    """Where the curves and the strips of pictures are written for people to find."""
    folder = home.exports / scene / FIGURES
    return [folder / "curves.png", *(folder / f"{name}.png" for name in tree.attrs["labels"])]


@stage(
    topic="mipmap",
    schema=MULTISCALE,
    settings=EvaluationSettings,
    section="mipmap_evaluation",
    also_reads=(Reads(ProtocolSettings, "mipmap", _PROTOCOL),),
    kinds=frozenset({"pytorch"}),
    heavy=True,
    also_depends_on=weights_there,
    files=figure_files,
    preview=evaluation_preview,
    checks={"adapted_beats_base": adapted_beats_base},
)
def evaluation(
    work: Work, settings: EvaluationSettings, views: xr.DataTree, *others: xr.DataTree
) -> xr.DataTree:
    """Adapted splats and what they are compared with at every scale, on held-out views.

    Against photos where the scale does not go beyond them (the built-in scene is rendered), against
    the pseudo ground truth, and at views whose poses were never adapted on.
    """
    from assets.bridge.mipmap import multiscale_tree
    from ops.mipmap.scales import parse_scale

    given = dict(zip(work.inputs[1:], others, strict=True))
    names = [key.split("/")[1] for key in given if key.endswith("/adapted")]
    found = [_scale(work, settings, views, name, given) for name in sorted(names, key=parse_scale)]
    notes = [f"{e.scale}: {e.pseudo_label}" for e in found if "stand-in" in e.pseudo_label]
    for note in dict.fromkeys(e.pseudo_label for e in found if "stand-in" in e.pseudo_label):
        work.note(f"Pseudo ground truth: {note}.")
    tree = multiscale_tree(found, notes)
    _draw(found, work.home.exports / work.scene.name / FIGURES)
    return tree


def _scale(
    work: Work,
    settings: EvaluationSettings,
    views: xr.DataTree,
    name: str,
    given: Mapping[str, xr.DataTree],
) -> ScaleEvaluation:
    from assets.bridge.mipmap import pseudo_from
    from assets.bridge.splats import splats_from
    from assets.mipmap.at_base import base_of, iterations_of, truth_of, views_at_base
    from assets.mipmap.background import background_of
    from ops.mipmap.baselines import (
        adapted_splats_candidate,
        closed_form_candidates,
        mip_tuned_splats_candidate,
    )
    from ops.mipmap.evaluate import evaluate_scale
    from ops.mipmap.protocol import view_roles

    found = pseudo_from(given[f"mipmap/{name}/pseudo"])
    direction, base = base_of(found.scale, given)
    adapted, tuned = given[f"mipmap/{name}/adapted"], given[f"mipmap/{direction}/mip_tuned"]
    at_base = views_at_base(work, views, direction)
    roles = view_roles(at_base.splits, work.also["mipmap"], above=found.scale > 1)
    cameras = at_base.cameras[list(roles.train)]
    candidates = [
        *closed_form_candidates(splats_from(base), cameras, found.scale),
        mip_tuned_splats_candidate(splats_from(tuned), cameras),
        *_references(name, direction, given),
        adapted_splats_candidate(splats_from(adapted), int(adapted.attrs["iterations"])),
    ]
    return evaluate_scale(
        candidates,
        found,
        roles,
        truth_of(work, views, name, given),
        base_iterations=iterations_of(base),
        settings=settings,
        background=background_of(views),
        device=work.device,
        progress=work.progress,
    )


def _references(name: str, direction: str, given: Mapping[str, xr.DataTree]) -> list[Candidate]:
    """What was trained to compare with at a scale, where that was asked for."""
    from assets.bridge.splats import splats_from
    from assets.mipmap.at_base import iterations_of
    from ops.mipmap.baselines import antialiased_base_candidate, retrained_candidate

    found = []
    if (tree := given.get(f"mipmap/{direction}/antialiased_base")) is not None:
        found.append(antialiased_base_candidate(splats_from(tree)))
    if (tree := given.get(f"mipmap/{name}/retrained")) is not None:
        found.append(retrained_candidate(splats_from(tree), iterations_of(tree)))
    return found


def _draw(found: list[ScaleEvaluation], folder: Path) -> None:
    from assets.png import save_png
    from ops.mipmap.figures import curves, strip
    from ops.mipmap.scales import scale_name

    scores = [s for e in found for s in e.scores]
    views = "extra" if any(s.views == "extra" for s in scores) else "scored"
    if any(s.against == "photos" for s in scores):
        save_png(curves(scores, views=views), folder / "curves.png")
    for evaluation in found:
        save_png(strip(evaluation), folder / f"{scale_name(evaluation.scale)}.png")
