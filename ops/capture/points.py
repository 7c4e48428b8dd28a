"""The points that splats start from: the dataset's own, triangulated, or random."""

from __future__ import annotations

import numpy as np

from ops.capture.model import Array, Points, Views, indices_of
from ops.capture.settings import PointsSettings
from ops.capture.triangulate import triangulate
from ops.errors import InputError
from ops.progress import Progress, silent


def initial_points(
    views: Views,
    dataset_points: Points | None,
    settings: PointsSettings,
    progress: Progress = silent,
    *,
    full: Views | None = None,
) -> Points:
    """Points to start from, made from the training views only.

    ``auto`` takes the dataset's own points where it brings some, else triangulates, and where
    fewer than ``min_points`` come out, takes random ones; ``source`` says which it was.

    Args:
        views: Prepared views.
        dataset_points: What the dataset brings.
        settings: How.
        progress: Told what is being done.
        full: The same views at a larger size, where features are found better; see
            ``PreparedViews.at_size``.

    Raises:
        InputError: The source that was asked for yields nothing, or ``full`` shows other views.
    """
    own = dataset_points if dataset_points is not None and len(dataset_points.xyz) else None
    if own is not None and settings.source in ("auto", "dataset"):
        return own
    if settings.source == "dataset":
        raise InputError(
            'the dataset brings no points. Set source to "auto" or "triangulated", or add a point '
            "cloud (ply_file_path in transforms.json)."
        )
    train = indices_of(views.splits, "train")
    if settings.source in ("auto", "triangulated"):
        large = views if full is None else full
        if large.cameras.names != views.cameras.names:
            raise InputError("expected the larger views to show the same photos in the same order")
        if len(train) > 1:
            points = triangulate(large, train, settings, progress)
            if len(points.xyz) >= (settings.min_points if settings.source == "auto" else 1):
                return points
        if settings.source == "triangulated":
            raise InputError(
                f"no point could be triangulated from {len(train)} training photos. They may show "
                'too little texture or overlap; set source to "random".'
            )
    return random_points(views, train, settings, progress)


def random_points(
    views: Views, train: list[int], settings: PointsSettings, progress: Progress = silent
) -> Points:
    """Random points where many of the training views look.

    A first round of candidates lies at random pixels of random views, at depths up to twice the
    distance at which the optical axes come together (or three spreads of the cameras, where they
    do not). A second round fills the box around what is kept of it evenly. Kept are points inside
    at least half as many views as the best of them; of a capture with alpha, those that every
    view which sees them sees on the object (its visual hull). Their colours are the mean of the
    pixels they fall on.

    Returns:
        At most ``settings.random_points`` points.

    Raises:
        InputError: Nothing lies in the views, which only broken cameras bring about.
    """
    rng = np.random.default_rng(settings.seed)
    cameras = views.cameras[train]
    viewmats = cameras.viewmats.double().cpu().numpy()
    Ks = cameras.Ks.double().cpu().numpy()
    sizes = np.stack([cameras.widths, cameras.heights], axis=-1)
    first = _candidates(rng, viewmats, Ks, sizes, settings.random_points)

    def seen_well(candidates: Array) -> tuple[Array, Array]:
        seen = np.zeros(len(candidates), np.int64)
        on_object = np.zeros(len(candidates), np.int64)
        colour = np.zeros((len(candidates), 3))
        for n, index in enumerate(train):
            progress(n, len(train), "placing random points")
            rows, column, row = _project(candidates, viewmats[n], Ks[n], sizes[n])
            alpha = views.alpha(index)
            seen[rows] += 1
            on_object[rows] += 1 if alpha is None else alpha.numpy()[row, column] > 0
            colour[rows] += views.image(index).numpy()[row, column]
        progress(len(train), len(train), "placing random points")
        keep = (seen > 0) & (2 * seen >= seen.max(initial=1)) & (on_object == seen)
        mean = np.rint(colour[keep] / seen[keep, None]).astype(np.uint8)
        return candidates[keep], mean

    xyz, rgb = seen_well(first)
    if not len(xyz):
        raise InputError(
            "no random point lies where the training views look together; check that the cameras "
            "look at one scene, and that masks or alpha leave something of it"
        )
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    more, their_rgb = seen_well(rng.uniform(low, high, (4 * settings.random_points, 3)))
    xyz = np.concatenate([more, xyz])[: settings.random_points]
    rgb = np.concatenate([their_rgb, rgb])[: settings.random_points]
    return Points(
        xyz=xyz.astype(np.float32),
        rgb=rgb,
        errors=np.full(len(xyz), np.nan, np.float32),
        source="random",
    )


def _candidates(
    rng: np.random.Generator, viewmats: Array, Ks: Array, sizes: Array, count: int
) -> Array:
    """[count, 3] points in front of cameras."""
    R, t = viewmats[:, :3, :3], viewmats[:, :3, 3]
    centres = -np.einsum("cji,cj->ci", R, t)
    depth = _scene_depth(centres, R[:, 2])
    view = rng.integers(len(viewmats), size=count)
    pixels = rng.random((count, 2)) * sizes[view]
    z = rng.uniform(0.05, 2, count) * depth
    K = Ks[view]
    x = (pixels[:, 0] - K[:, 0, 2]) / K[:, 0, 0]
    y = (pixels[:, 1] - K[:, 1, 2]) / K[:, 1, 1]
    in_camera = np.stack([x, y, np.ones(count)], axis=-1) * z[:, None]
    return np.einsum("cji,cj->ci", R[view], in_camera) + centres[view]


def _scene_depth(centres: Array, forwards: Array) -> float:
    """How far away the cameras look, in world units."""
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=-1).max())
    # The point nearest to all optical axes: sum of (I - d d^T) (x - c) = 0.
    projectors = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]
    system = projectors.sum(axis=0)
    if np.linalg.cond(system) < 1e4:
        point = np.linalg.solve(system, np.einsum("cij,cj->i", projectors, centres))
        depths = np.einsum("ci,ci->c", point - centres, forwards)
        if np.median(depths) > 0.1 * spread:
            return float(np.median(depths))
    return 3 * spread if spread > 0 else 1.0


def _project(points: Array, viewmat: Array, K: Array, size: Array) -> tuple[Array, Array, Array]:
    """Positions of the points that a view sees, and their pixels."""
    in_camera = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    rows = np.flatnonzero(in_camera[:, 2] > 0)
    in_camera = in_camera[rows]
    pixel = np.floor((in_camera @ K.T)[:, :2] / in_camera[:, 2:])
    inside = ((pixel >= 0) & (pixel < size)).all(axis=-1)
    column, row = pixel[inside].astype(int).T
    return rows[inside], column, row
