"""What the UI shows of the multi-scale study, and the verdicts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.stage import Check, Preview

if TYPE_CHECKING:
    import xarray as xr


def pictures_preview(tree: xr.DataTree, scene: str) -> Preview:
    """Some of the pictures, and how they were made."""
    import numpy as np

    from assets.bridge.mipmap import pictures_from
    from assets.previews import inline_image, spread, tile

    images, cameras = pictures_from(tree)
    chosen = [images[i].numpy() for i in spread(len(images), 6)]
    shown = [c if c.dtype == np.uint8 else (c.clip(0, 1) * 255).astype(np.uint8) for c in chosen]
    title = f"{tree.attrs['scale']} of {scene}"
    return Preview(
        {title: inline_image(tile(shown, 3, 160), f"{len(shown)} of {len(images)} views")},
        {
            "views": len(images),
            "size": f"{cameras.widths[0]}x{cameras.heights[0]}",
            "how": tree.attrs["label"],
        },
    )


def prior_preview(tree: xr.DataTree, scene: str) -> Preview:
    """How much it adds to bicubic enlargement on photos it has not seen."""
    numbers: dict[str, float | int | str] = {
        "prior": tree.attrs["label"],
        "held-out photos": tree.attrs["photos"],
    }
    plain, better = tree.attrs.get("psnr_bicubic"), tree.attrs.get("psnr_prior")
    if plain is not None:
        numbers["bicubic, dB"] = plain
    if plain is not None and better is not None:
        numbers |= {"prior, dB": better, "gain, dB": better - plain}
    return Preview(numbers=numbers)


def adapted_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The curves of the adaptation, and what became of the Gaussians."""
    from assets.bridge.trees import group
    from assets.previews import curves

    history = group(tree, "history")
    psnr = "PSNR against pseudo ground truth, dB"
    panels = {psnr: history["psnr"].values, "Gaussians": history["count"].values}
    title = f"adaptation of {scene} to {tree.attrs['scale']}"
    picture = curves(history["iteration"].values, panels, "iteration", title, noisy={psnr: 10})
    opacities = group(tree, "opacities")
    rows: list[dict[str, float | int | str]] = [
        {
            "peak opacity": f"{float(low):g} to {float(high):g}",
            "before": int(before),
            "after": int(after),
        }
        for low, high, before, after in zip(
            *(opacities[n].values for n in ("low", "high", "before", "after")), strict=True
        )
    ]
    numbers = {
        "Gaussians": int(tree["splats"].sizes["gaussian"]),
        "Gaussians of the base": tree.attrs["gaussians_before"],
        "iterations": tree.attrs["iterations"],
        "of a training of 30,000, %": tree.attrs["iterations"] / 300,
        "pseudo ground truth": tree.attrs["label"],
    }
    return Preview({title: picture}, numbers, {"opacities": rows})


def evaluation_preview(tree: xr.DataTree, scene: str) -> Preview:
    """Curves over the scale, a strip of pictures per scale, and the tables."""
    from assets.bridge.mipmap import model_rows, multiscale_from, score_rows
    from assets.previews import inline_image
    from ops.mipmap.figures import curves, strip
    from ops.mipmap.scales import scale_title

    rows, found = score_rows(tree), multiscale_from(tree)
    scores = [s for e in found for s in e.scores]
    texts = {}
    for views in ("extra", "scored"):
        if any((s.views, s.against) == (views, "photos") for s in scores):
            texts[f"PSNR over the scale, {views} views"] = inline_image(
                curves(scores, views=views), "PSNR over the scale"
            )
    for evaluation in found:
        title = f"{scale_title(evaluation.scale)} by every method"
        texts[title] = inline_image(strip(evaluation, dpi=70), title, 1400)
    numbers: dict[str, float | int | str] = dict(mean_gains(rows))
    tables: dict[str, Any] = {
        "PSNR against photos, dB": psnr_table(rows),
        "every number": rows,
        "size of the models": model_rows(tree),
    }
    lost = tree["scores"].attrs.get("unavailable", {})
    tables["not available"] = [{"metric": k, "why": v} for k, v in lost.items()]
    return Preview(texts, numbers, tables)


def ablations_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The bars and the table."""
    from assets.bridge.mipmap import table_rows
    from assets.previews import inline_image
    from ops.mipmap.figures import ablation_bars

    rows = table_rows(tree)
    texts = {}
    for views in dict.fromkeys(r["views"] for r in rows):
        if any(r["psnr"] == r["psnr"] for r in rows if r["views"] == views):
            texts[f"ablations of {scene}, {views} views"] = inline_image(
                ablation_bars(rows, views=views), "what each change gains", 1100
            )
    return Preview(texts, {"rows": len(rows)}, {"ablations": rows})


def psnr_table(rows: list[dict[str, Any]], views: str = "scored") -> list[dict[str, Any]]:
    """Methods down, scales across: PSNR against photos."""
    table = _psnr(rows, views)
    methods = list(dict.fromkeys(m for m, _ in table))
    return [
        {"method": method, **{s: v for (m, s), v in table.items() if m == method}}
        for method in methods
    ]


def mean_gains(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean PSNR of adapted over other methods, below and above the base, in dB."""
    table, factors = _psnr(rows), {r["scale"]: r["factor"] for r in rows}
    gains = {}
    for side in ("zoom-out", "zoom-in"):
        scales = [s for s, f in factors.items() if (f < 1 if side == "zoom-out" else f > 1)]
        for method in ("base", "antialiased", "mip", "mip_tuned", "antialiased_base", "retrained"):
            pairs = [(table.get(("adapted", s)), table.get((method, s))) for s in scales]
            known = [a - b for a, b in pairs if a is not None and b is not None]
            if known:
                gains[f"{side}: adapted over {method}, dB"] = sum(known) / len(known)
    return gains


def _psnr(rows: list[dict[str, Any]], views: str = "scored") -> dict[tuple[str, str], float]:
    """PSNR against photos by (method, scale)."""
    wanted = ("psnr", views, "photos")
    return {
        (r["method"], r["scale"]): r["value"]
        for r in rows
        if (r["metric"], r["views"], r["against"]) == wanted
    }


def adapted_beats_base(tree: xr.DataTree, *_: xr.DataTree) -> Check:
    """At every scale but x1, adapted splats are nearer to the photos than the base is."""
    from assets.bridge.mipmap import score_rows

    table = _psnr(score_rows(tree))
    gains = {s: table["adapted", s] - table["base", s] for m, s in table if m == "adapted"}
    lost = [s for s, gain in gains.items() if s != "x1" and not gain > 0]
    numbers = {f"gain at {s}, dB": gain for s, gain in gains.items()}
    said = f"not better than the base at {', '.join(lost)}" if lost else "better at every scale"
    return Check(not lost, numbers, f"adapted splats against photos: {said}")


def fewer_when_smaller(tree: xr.DataTree, *_: xr.DataTree) -> Check:
    """Below the base scale fewer Gaussians are left than the base has."""
    from ops.mipmap.scales import parse_scale

    count, before = int(tree["splats"].sizes["gaussian"]), tree.attrs["gaussians_before"]
    passed = parse_scale(tree.attrs["scale"]) >= 1 or count < before
    numbers = {"Gaussians": count, "of the base": before}
    return Check(passed, numbers, f"{count} Gaussians, {before} in the base")
