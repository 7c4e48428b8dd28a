"""Scoring the splats on the views they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from assets.evaluation.looks import beats_blurred_mean, evaluation_preview
from assets.stage import Work, stage
from ops.evaluation.settings import EvaluationSettings
from storage.schemas import EVALUATION

if TYPE_CHECKING:
    import xarray as xr


def weights_there(settings: EvaluationSettings) -> Mapping[str, str]:
    """Which of the wanted metrics can be computed here: fetched weights make others possible."""
    from ops.evaluation.weights import absent

    return {"metrics without weights": ", ".join(absent(settings)) or "none"}


@stage(
    topic="evaluation",
    schema=EVALUATION,
    inputs=("capture/views", "splats/trained"),
    settings=EvaluationSettings,
    section="evaluation",
    kinds=frozenset({"pytorch"}),
    heavy=True,
    also_depends_on=weights_there,
    preview=evaluation_preview,
    checks={"beats_blurred_mean": beats_blurred_mean},
)
def held_out(
    work: Work, settings: EvaluationSettings, views: xr.DataTree, splats: xr.DataTree
) -> xr.DataTree:
    """Metrics of the held-out views under a named protocol, with renders, errors and depth.

    PSNR, SSIM, LPIPS (net and input range in the name) and scores without a reference. Metrics
    whose weights are not on the machine are listed as not available, with how to get them.
    """
    from assets.bridge.evaluation import RenderFile, evaluation_tree
    from assets.bridge.splats import render_mode, splats_from
    from assets.bridge.views import StoredViews
    from ops.capture.model import indices_of
    from ops.evaluation.evaluate import evaluate
    from ops.rendering.settings import RenderSettings

    stored = StoredViews(views)
    renders = RenderFile(stored, indices_of(stored.splits, "test"), work.scratch)
    found = evaluate(
        splats_from(splats),
        stored,
        settings,
        RenderSettings(mode=render_mode(splats)),  # type: ignore[arg-type]
        white_background=bool(views["images"].attrs.get("white_background", False)),
        device=work.device,
        progress=work.progress,
        keep=renders.keep,
    )
    for name, sentence in found.unavailable.items():
        work.note(f"{name} is not available: {sentence}")
    return evaluation_tree(found, renders)
