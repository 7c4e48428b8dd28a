"""Points from photos whose cameras are known: SIFT, matching along epipolar lines, COLMAP's
incremental triangulator. Nothing is random, nothing is adjusted: the cameras stay as given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pycolmap

from ops.cameras import Cameras
from ops.capture.features import Found, Search, find_features, quiet
from ops.capture.matching import Features, fundamental_matrix, match, pairs_to_match
from ops.capture.model import Array, Points, Views
from ops.capture.settings import PointsSettings
from ops.progress import Progress, silent

MIN_MATCHES = 10  # of a pair; fewer are rather accidents


def triangulate(
    views: Views, which: Sequence[int], settings: PointsSettings, progress: Progress = silent
) -> Points:
    """Points that several views agree on.

    Masked pixels and pixels that the object covers by less than a half give no points. Where there
    are more than three views, a point must be seen by three.

    Args:
        views: Undistorted photos with cameras.
        which: Positions of the views to use, at least two.
        settings: How.
        progress: Told while features are found and matched.

    Returns:
        Any number of points, also none; errors in pixels of ``views``.
    """
    cameras = views.cameras[list(which)]
    found = find_features(
        len(which), lambda i: search_of(views, which[i]), settings.max_features, progress
    )
    viewmats = cameras.viewmats.double().cpu().numpy()
    Ks = cameras.Ks.double().cpu().numpy()
    centres = cameras.centers.double().cpu().numpy()
    pairs = pairs_to_match(centres, viewmats[:, 2, :3], settings.neighbours)
    matches = _match_pairs(
        [f.features for f in found], viewmats, Ks, pairs, 2 * settings.max_error, progress
    )
    with quiet():
        reconstruction = _triangulated(cameras, viewmats, Ks, found, pairs, matches, settings)
    return _points(reconstruction, found, min_views=3 if len(which) > 3 else 2)


def search_of(views: Views, index: int) -> Search:
    """A view as features are looked for in it."""
    rgb = views.image(index).numpy()
    alpha, mask = views.alpha(index), views.mask(index)
    usable = None if mask is None else mask.numpy() > 0
    opacity = None if alpha is None else alpha.numpy()
    if opacity is not None:
        covered = opacity > 127
        usable = covered if usable is None else usable & covered
    return Search(rgb, usable, opacity)


def _match_pairs(
    features: Sequence[Features],
    viewmats: Array,
    Ks: Array,
    pairs: Sequence[tuple[int, int]],
    band: float,
    progress: Progress,
) -> list[Array]:
    what = "matching"

    def match_pair(pair: tuple[int, int]) -> Array:
        i, j = pair
        F = fundamental_matrix(Ks[i], viewmats[i], Ks[j], viewmats[j])
        return match(features[i], features[j], F, band)

    matches: list[Array] = []
    progress(0, len(pairs), what)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for found in pool.map(match_pair, pairs):
            matches.append(found)
            progress(len(matches), len(pairs), what)
    return matches


def _triangulated(
    cameras: Cameras,
    viewmats: Array,
    Ks: Array,
    found: Sequence[Found],
    pairs: Sequence[tuple[int, int]],
    matches: Sequence[Array],
    settings: PointsSettings,
) -> pycolmap.Reconstruction:
    reconstruction = pycolmap.Reconstruction()
    graph = pycolmap.CorrespondenceGraph()
    for n, (view, K, viewmat) in enumerate(zip(found, Ks, viewmats, strict=True), start=1):
        reconstruction.add_camera_with_trivial_rig(
            pycolmap.Camera(
                camera_id=n,
                model="PINHOLE",
                width=cameras.widths[n - 1],
                height=cameras.heights[n - 1],
                params=[K[0, 0], K[1, 1], K[0, 2], K[1, 2]],
            )
        )
        image = pycolmap.Image(
            name=cameras.names[n - 1],
            keypoints=view.features.xy.astype(np.float64),
            camera_id=n,
            image_id=n,
        )
        reconstruction.add_image_with_trivial_frame(image, pycolmap.Rigid3d(viewmat[:3].copy()))
        graph.add_image(n, len(view.features.xy))
    for (i, j), matched in zip(pairs, matches, strict=True):
        if len(matched) >= MIN_MATCHES:
            geometry = pycolmap.TwoViewGeometry(
                config=pycolmap.TwoViewGeometryConfiguration.CALIBRATED, inlier_matches=matched
            )
            graph.add_two_view_geometry(i + 1, j + 1, geometry)
    graph.finalize()

    options = pycolmap.IncrementalTriangulatorOptions()
    options.random_seed = 0
    options.min_angle = settings.min_angle
    options.ignore_two_view_tracks = len(found) > 3
    observations = pycolmap.ObservationManager(reconstruction, graph)
    triangulator = pycolmap.IncrementalTriangulator(graph, reconstruction, observations)
    for n in range(1, len(found) + 1):
        triangulator.triangulate_image(options, n)
    triangulator.complete_all_tracks(options)
    triangulator.merge_all_tracks(options)
    triangulator.retriangulate(options)
    observations.filter_all_points3D(settings.max_error, settings.min_angle)
    reconstruction.update_point_3d_errors()
    return reconstruction


def _points(
    reconstruction: pycolmap.Reconstruction, found: Sequence[Found], min_views: int
) -> Points:
    xyz, rgb, errors = [], [], []
    for _, point in sorted(reconstruction.points3D.items()):
        elements = point.track.elements
        if len({e.image_id for e in elements}) < min_views:
            continue
        colours = [found[e.image_id - 1].rgb[e.point2D_idx] for e in elements]
        xyz.append(point.xyz)
        rgb.append(np.rint(np.mean(colours, axis=0)))
        errors.append(point.error)
    return Points(
        xyz=np.array(xyz, np.float32).reshape(-1, 3),
        rgb=np.array(rgb, np.uint8).reshape(-1, 3),
        errors=np.array(errors, np.float32),
        source="triangulated",
    )
