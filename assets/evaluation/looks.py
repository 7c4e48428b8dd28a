"""What the UI shows of evaluations, and the verdict on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.stage import Check, Preview

if TYPE_CHECKING:
    import xarray as xr


def evaluation_preview(tree: xr.DataTree, scene: str) -> Preview:
    """Renders beside photos, and the table of means."""
    import numpy as np

    from assets.bridge.evaluation import mean_scores, view_table
    from assets.bridge.trees import group
    from assets.previews import inline_image, spread, tile

    renders = group(tree, "renders")
    pictures = []
    for i in spread(renders.sizes["view"], 4):
        height, width = int(renders["heights"][i]), int(renders["widths"][i])
        pair = [renders[n][i, :height, :width].values for n in ("truth", "colors")]
        pictures.append(np.hstack(pair))
    picture = inline_image(tile(pictures, 2, 180), "photo and render")
    lost = tree["metrics"].attrs.get("unavailable", {})
    means = mean_scores(tree)
    return Preview(
        {f"held-out views of {scene}: photo, render": picture},
        {"protocol": tree["metrics"].attrs["protocol"], **means},
        {
            "means over held-out views": [{"metric": k, "mean": v} for k, v in means.items()],
            "every view": view_table(tree),
            "not available": [{"metric": k, "why": v} for k, v in lost.items()],
        },
    )


def contact_sheet_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The sheet itself."""
    from assets.bridge.trees import group
    from assets.previews import inline_image

    return Preview(
        {tree.attrs["title"]: inline_image(group(tree)["pixels"].values, "contact sheet", 1100)}
    )


def beats_blurred_mean(tree: xr.DataTree, views: xr.DataTree, splats: xr.DataTree) -> Check:
    """The held-out PSNR lies above that of the blurred mean of the training photos."""
    from assets.bridge.evaluation import mean_scores
    from assets.bridge.views import StoredViews
    from ops.evaluation.baseline import blurred_mean_psnr

    white = bool(views["images"].attrs.get("white_background", False))
    baseline = blurred_mean_psnr(StoredViews(views), white_background=white)
    psnr = mean_scores(tree).get("psnr")
    if psnr is None:
        return Check(True, {"psnr of the blurred mean": baseline}, "PSNR was not computed")
    verdict = "above" if psnr > baseline else "not above"
    return Check(
        psnr > baseline,
        {"psnr": psnr, "psnr of the blurred mean": baseline},
        f"held-out PSNR {psnr:.2f} dB, {verdict} that of the blurred mean photo, {baseline:.2f} dB",
    )
