"""What the UI shows of captures, and the verdicts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.stage import Check, Preview

if TYPE_CHECKING:
    import xarray as xr


def views_preview(tree: xr.DataTree, scene: str) -> Preview:
    """Some of the pictures, and the figures of the capture."""
    from assets.bridge.views import StoredViews
    from assets.previews import inline_image, spread, tile

    views = StoredViews(tree)
    chosen = spread(len(views), 12)
    sheet = tile([views.image(i).numpy() for i in chosen], 6)
    sizes = sorted(set(zip(views.cameras.widths, views.cameras.heights, strict=True)))
    held_out = views.splits.count("test")
    record = tree.attrs.get("record", {})
    plain = [{"what": k, "value": str(v)} for k, v in record.items() if not isinstance(v, list)]
    texts = {f"views of {scene}": inline_image(sheet, f"{len(chosen)} of {len(views)} views")}
    return Preview(
        texts,
        {
            "views": len(views),
            "training views": len(views) - held_out,
            "held-out views": held_out,
            "sizes": ", ".join(f"{w}x{h}" for w, h in sizes[:4]),
        },
        {"how they were made": plain},
    )


def points_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The cloud from above and from two sides, and its figures."""
    import numpy as np

    from assets.bridge.trees import group
    from assets.previews import inline_image, scatter_three_ways

    cloud = group(tree)
    xyz, rgb, errors = (cloud[name].values for name in ("xyz", "rgb", "errors"))
    known = errors[np.isfinite(errors)]
    numbers: dict[str, float | int | str] = {"points": len(xyz), "source": tree.attrs["source"]}
    if len(known):
        numbers["median reprojection error, px"] = float(np.median(known))
    picture = inline_image(scatter_three_ways(xyz, rgb), f"points of {scene}")
    return Preview({"points": picture}, numbers)


def structure_preview(tree: xr.DataTree, scene: str) -> Preview:
    """The points that were found, and the figures."""
    from assets.bridge.trees import group
    from assets.previews import inline_image, scatter_three_ways

    numbers: dict[str, float | int | str] = {
        "registered photos": group(tree, "cameras").sizes["view"]
    }
    texts = {"notes": "\n\n".join(tree.attrs["notes"])}
    if "points" in tree.children:
        cloud = group(tree, "points")
        numbers["points"] = cloud.sizes["point"]
        picture = scatter_three_ways(cloud["xyz"].values, cloud["rgb"].values)
        texts["points"] = inline_image(picture, f"points of {scene}")
    return Preview(texts, numbers)


def no_photo_missing(tree: xr.DataTree, *_: xr.DataTree) -> Check:
    """Every photo that the dataset lists is there."""
    missing = tree.attrs.get("record", {}).get("missing", [])
    if not missing:
        return Check(True, {"missing": 0}, "every listed photo is there")
    names = ", ".join(missing[:20]) + (", ..." if len(missing) > 20 else "")
    return Check(
        False,
        {"missing": len(missing)},
        f"{len(missing)} listed photos do not exist and are left out: {names}",
    )


def cameras_look_at_the_scene(tree: xr.DataTree, views: xr.DataTree, *_: xr.DataTree) -> Check:
    """The points lie in front of the cameras and inside their pictures, seen by several."""
    from assets.bridge.points import points_from
    from assets.bridge.views import cameras_from
    from ops.capture.checks import check_cameras

    found = check_cameras(cameras_from(views), points_from(tree))
    numbers: dict[str, float | int | str] = {
        "share of the points in two views or more": found.seen_by_two,
        "share of the cameras that see points": found.seeing,
        "spread of the cameras": found.spread,
        "distance to the points": found.distance,
    }
    return Check(found.passed, numbers, found.verdict)
