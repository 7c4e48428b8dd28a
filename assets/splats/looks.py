"""What the UI shows of trained splats, and the verdicts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.stage import Check, Preview

if TYPE_CHECKING:
    import xarray as xr


def training_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The curves of training, and the last figures."""
    from assets.bridge.trees import group
    from assets.previews import curves

    history = group(tree, "history")
    psnr, loss = "PSNR of training views, dB", "loss"
    panels = {
        psnr: history["psnr"].values,
        loss: history["loss"].values,
        "Gaussians": history["count"].values,
    }
    picture = curves(
        history["iteration"].values,
        panels,
        "iteration",
        f"training of {scene}",
        noisy={psnr: 10, loss: 10},
    )
    last = history.isel(row=slice(-10, None))
    return Preview(
        {"training": picture},
        {
            "Gaussians": int(tree["splats"].sizes["gaussian"]),
            "training PSNR": float(last["psnr"].mean()),
            "loss": float(last["loss"].mean()),
        },
    )


def splats_preview(tree: xr.DataTree, scene: str) -> Preview:
    """Counts and ranges of splats that were not trained here."""
    import numpy as np

    from assets.bridge.trees import group

    means = group(tree, "splats")["means"].values
    extent = np.ptp(means, axis=0)
    return Preview(
        numbers={
            "Gaussians": len(means),
            "SH degree": {0: 0, 3: 1, 8: 2, 15: 3}[tree["splats"].sizes["sh_higher"]],
            "extent": f"{extent[0]:.3g} x {extent[1]:.3g} x {extent[2]:.3g}",
        }
    )


def finite(tree: xr.DataTree, *_: xr.DataTree) -> Check:
    """No parameter is NaN or infinite."""
    import numpy as np

    from assets.bridge.trees import group

    splats = group(tree, "splats")
    bad = {
        str(name): int((~np.isfinite(values)).sum())
        for name, values in splats.data_vars.items()
        if not np.isfinite(values).all()
    }
    message = f"not finite: {bad}" if bad else "all parameters are finite"
    return Check(not bad, {"values not finite": sum(bad.values())}, message)


def opacity_not_collapsed(tree: xr.DataTree, *_: xr.DataTree) -> Check:
    """At least a tenth of the Gaussians is more than a tenth opaque."""
    import numpy as np

    from assets.bridge.trees import group

    logits = group(tree, "splats")["opacity_logits"].values.astype(np.float64)
    opacities = 1 / (1 + np.exp(-logits))
    share = float((opacities > 0.1).mean()) if len(opacities) else 0.0
    return Check(
        share >= 0.1,
        {"share above 0.1": share, "median opacity": float(np.median(opacities))},
        f"{share:.0%} of the Gaussians are more than a tenth opaque",
    )


def files_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The files and their sizes."""
    from assets.bridge.trees import group

    table = group(tree)
    paths, sizes = table["path"].values, table["bytes"].values
    rows = [
        {"file": f"exports/{scene}/{p}", "size": f"{n / 1e6:.2f} MB"}
        for p, n in zip(paths, sizes, strict=True)
    ]
    return Preview(numbers={"bytes": int(sizes.sum())}, tables={"files": rows})
