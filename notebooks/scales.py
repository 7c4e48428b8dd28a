"""Looking at the multi-scale study: tables, curves, and a view by every method at every scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from notebooks.pixels import png
from notebooks.style import Picture
from notebooks.widgets.compare import Comparison, compare
from ops.errors import InputError
from storage.home import Home
from storage.store import Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from pandas.io.formats.style import Styler


def scale_scores(
    evaluation: xr.DataTree,
    metric: str = "psnr",
    views: str = "scored",
    against: str = "photos",
) -> pd.DataFrame:
    """A metric by method and scale.

    Args:
        evaluation: An artifact such as ``demo/mipmap/evaluation``.
        metric: Its full name: ``psnr``, ``ssim``, ``lpips_alex[-1,1]``.
        views: ``scored``, or ``extra``: held out and never adapted on.
        against: ``photos``, or ``pseudo`` for the pseudo ground truth.

    Raises:
        InputError: There is no such number.
    """
    import pandas as pd

    from assets.bridge.mipmap import score_rows

    rows = score_rows(evaluation)
    mine = [r for r in rows if (r["metric"], r["views"], r["against"]) == (metric, views, against)]
    if not mine:
        there = sorted({(r["metric"], r["views"], r["against"]) for r in rows})
        raise InputError(f"no {metric!r} of {views!r} views against {against!r}; there are {there}")
    frame = pd.DataFrame(mine).sort_values("factor", kind="stable")
    table = frame.pivot_table("value", "method", "scale", sort=False)
    scales = list(dict.fromkeys(frame["scale"]))
    return table.reindex(index=list(dict.fromkeys(r["method"] for r in mine)), columns=scales)


def standing(evaluation: xr.DataTree, named: Callable[[str], str] = str) -> dict[str, str]:
    """What the scored and the extra views are to the adaptation; belongs beside every number.

    Where that differs from scale to scale, every sentence names its scales.

    Args:
        evaluation: An artifact such as ``demo/mipmap/evaluation``.
        named: How a scale is written; as it is stored (``x1_8``) where nothing is given.
    """
    from assets.bridge.mipmap import score_rows

    said: dict[str, dict[str, list[str]]] = {}
    for row in sorted(score_rows(evaluation), key=lambda r: float(r["factor"])):
        scales = said.setdefault(row["views"], {}).setdefault(row["standing"], [])
        if (name := named(row["scale"])) not in scales:
            scales.append(name)
    return {
        views: next(iter(sentences))
        if len(sentences) == 1
        else "; ".join(f"{', '.join(scales)}: {words}" for words, scales in sentences.items())
        for views, sentences in said.items()
    }


def scale_curves(evaluation: xr.DataTree, metric: str = "psnr", views: str = "extra") -> Picture:
    """A metric over the scale, a line per method, against photos."""
    from assets.bridge.mipmap import multiscale_from
    from ops.mipmap.figures import curves

    scores = [s for e in multiscale_from(evaluation) for s in e.scores]
    return _picture(curves(scores, metric=metric, views=views), f"{metric} over the scale", 800)


def scale_strip(
    evaluation: xr.DataTree,
    scale: str,
    centre: tuple[float, float] = (0.5, 0.5),
    zoom: float = 4.0,
) -> Picture:
    """One held-out view at a scale by every method, with a magnified part below.

    Args:
        evaluation: An artifact such as ``demo/mipmap/evaluation``.
        scale: ``x4``, ``x1_8``.
        centre: Of the magnified part, in parts of width and height.
        zoom: How many times smaller than the picture that part is.

    Raises:
        InputError: The study has no such scale.
    """
    from assets.bridge.mipmap import multiscale_from
    from ops.mipmap.figures import strip
    from ops.mipmap.scales import scale_name

    found = {scale_name(e.scale): e for e in multiscale_from(evaluation)}
    _expect(scale, found)
    pixels = strip(found[scale], centre=centre, zoom=zoom)
    return _picture(pixels, f"{scale} by every method", 1100)


def compare_scale(
    evaluation: xr.DataTree, scale: str, a: str = "base", b: str = "adapted"
) -> Comparison:
    """Two methods at a scale; all other pictures of it can be chosen in their place.

    Raises:
        InputError: The study has no such scale, or no picture of such a method.
    """
    from assets.bridge.mipmap import scale_pictures

    pictures = scale_pictures(evaluation)
    _expect(scale, {s: None for s, _ in pictures})
    methods = {m: p for (s, m), p in pictures.items() if s == scale}
    for name in (a, b):
        if name not in methods:
            raise InputError(f"{scale}: no picture {name!r}; there are {', '.join(methods)}")
    first = {name: methods.pop(name) for name in (a, b)}
    return compare({**first, **methods})


def costs(scene: str, home: Home | None = None) -> Styler:
    """What the adaptation of each scale cost, and how many Gaussians it left.

    Times are of the run that made the current version, on the machine that ran it.
    """
    import pandas as pd

    store = Store((home or Home.find()).store)
    rows: list[dict[str, Any]] = []
    for key in store.keys():  # noqa: SIM118
        if not (key.startswith(f"{scene}/mipmap/") and key.endswith("/adapted")):
            continue
        tree, version = store.artifact(key).open(), store.artifact(key).resolve()
        before, after = tree.attrs["gaussians_before"], int(tree["splats"].sizes["gaussian"])
        rows.append(
            {
                "scale": tree.attrs["scale"],
                "iterations": tree.attrs["iterations"],
                "seconds": version.provenance.seconds,
                "device": version.provenance.device,
                "Gaussians before": before,
                "after": after,
                "change, %": 100 * (after / before - 1),
            }
        )
    from ops.mipmap.scales import parse_scale

    rows.sort(key=lambda row: parse_scale(row["scale"]))
    return pd.DataFrame(rows).style.hide(axis="index").format(precision=1)


def _picture(pixels: np.ndarray, alt: str, width: int) -> Picture:
    return Picture(png(pixels), width, alt)


def _expect(scale: str, there: Any) -> None:
    if scale not in there:
        raise InputError(f"no scale {scale!r} in this study; there are {', '.join(there)}")
