"""Cameras for photos that come without: structure from motion by pycolmap.

The world is left as COLMAP makes it: its origin, axes and scale are arbitrary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pycolmap

from ops.capture.features import Found, Search, find_features, quiet
from ops.capture.images import decode, decode_mask, verify
from ops.capture.matching import Features
from ops.capture.model import Array, Dataset, Frame, Points
from ops.capture.readers.colmap import lens_of
from ops.capture.readers.colmap_model import ModelCamera
from ops.capture.settings import StructureSettings
from ops.errors import InputError
from ops.progress import Progress, silent

FEWEST = 3  # photos; two alone rarely give a model that holds
_PAIRS_AT_ONCE = 50
_ADVICE = (
    "Photos should overlap by two thirds, be sharp, and show texture that does not move; "
    "take more of them between those that do not connect."
)


def find_cameras(
    dataset: Dataset,
    settings: StructureSettings,
    progress: Progress = silent,
    workspace: Path | None = None,
) -> Dataset:
    """The dataset with intrinsics, poses and points for the photos that could be registered.

    Pixels are those of the stored grid, EXIF orientation not applied; the focal length of the
    EXIF data, where there is one, is where the search starts. Masked pixels give no features.
    Nothing is written into the dataset's folder. COLMAP gives the same result each time on one
    thread only, so it matches and adjusts on one.

    Args:
        dataset: Photos; cameras that it has are ignored.
        settings: How.
        progress: Told while features are found, matched, and photos registered.
        workspace: An existing folder for the database; a temporary one by default.

    Returns:
        The frames of the largest model, its points (seen in all photos, held-out ones too), and
        notes that name the photos that were left out.

    Raises:
        InputError: Too few photos, a damaged one, or too few that fit together.
    """
    frames = dataset.frames
    if len(frames) < FEWEST:
        raise InputError(
            f"{dataset.root}: expected at least {FEWEST} photos to find cameras from, "
            f"found {len(frames)}. Take more photos from different places."
        )
    verify([f.image_path for f in frames], progress)
    found = _features(frames, settings, progress)
    with tempfile.TemporaryDirectory(prefix="structure-", dir=workspace) as temporary, quiet():
        database = Path(temporary) / "database.db"
        _write_database(database, frames, found, settings)
        _match(database, frames, settings, progress)
        model = _largest_model(database, len(frames), settings, progress)
    registered = {} if model is None else _registered(model)
    needed = max(FEWEST, settings.min_share * len(frames))
    if model is None or len(registered) < needed:
        fit = f"{len(registered)} of {len(frames)} photos fit together" if registered else "no two"
        raise InputError(
            f"{dataset.root}: cameras could not be found: {fit}, expected at least "
            f"{round(needed)}. {_ADVICE}"
        )
    return _with_model(dataset, model, registered, found)


def _features(
    frames: Sequence[Frame], settings: StructureSettings, progress: Progress
) -> list[Found]:
    scales: list[Array] = []

    def photo(index: int) -> Search:
        frame = frames[index]
        rgb, alpha = decode(frame.image_path)
        mask = None if frame.mask_path is None else decode_mask(frame.mask_path)
        height, width = rgb.shape[:2]
        ratio = min(1.0, settings.max_size / max(height, width))
        size = (round(width * ratio), round(height * ratio))
        scales.append(np.array([width / size[0], height / size[1]], np.float32))
        usable = None
        if mask is not None:
            kept = _shrink(np.where(mask > 0, 255, 0).astype(np.uint8), size)
            usable = kept == 255
        opacity = None if alpha is None else _shrink(alpha, size)
        return Search(_shrink(rgb, size), usable, opacity)

    found = find_features(len(frames), photo, settings.max_features, progress)
    return [
        Found(Features(f.features.xy * scale, f.features.descriptors), f.rgb)
        for f, scale in zip(found, scales, strict=True)
    ]


def _shrink(image: Array, size: tuple[int, int]) -> Array:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _write_database(
    path: Path, frames: Sequence[Frame], found: Sequence[Found], settings: StructureSettings
) -> None:
    cameras: dict[object, int] = {}
    with pycolmap.Database.open(path) as database:
        for n, (frame, features) in enumerate(zip(frames, found, strict=True), start=1):
            camera = _first_guess(frame, settings)
            key: object = {
                "all": "all",
                "each": n,
                "auto": (camera.width, camera.height, tuple(camera.params)),
            }[settings.shared_camera]
            if key not in cameras:
                cameras[key] = database.write_camera(camera)
            image = pycolmap.Image(name=_plain_name(n), camera_id=cameras[key], image_id=n)
            database.write_image(image, use_image_id=True)
            database.write_keypoints(n, features.features.xy)
            database.write_descriptors(
                n,
                pycolmap.FeatureDescriptors(
                    pycolmap.FeatureExtractorType.SIFT, features.features.descriptors
                ),
            )


def _plain_name(image_id: int) -> str:
    """What a photo is called in the database: lists of pairs know no names with spaces."""
    return f"{image_id:06d}"


def _first_guess(frame: Frame, settings: StructureSettings) -> pycolmap.Camera:
    """A camera with the focal length of the EXIF data, or 1.2 of the longer side."""
    options = pycolmap.ImageReaderOptions()
    options.camera_model = settings.camera_model
    return pycolmap.infer_camera_from_image(frame.image_path, options)


def _match(
    path: Path, frames: Sequence[Frame], settings: StructureSettings, progress: Progress
) -> None:
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    matching.num_threads = 1
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = settings.seed
    reach = settings.neighbours or len(frames)
    count = len(frames)
    pairs = [
        f"{_plain_name(i)} {_plain_name(j)}"
        for i in range(1, count + 1)
        for j in range(i + 1, min(i + reach, count) + 1)
    ]
    done = 0
    progress(done, len(pairs), "matching photos")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        chunk = pairs[start : start + _PAIRS_AT_ONCE]
        listed = path.with_name("pairs.txt")
        listed.write_text("\n".join(chunk))
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = listed
        pycolmap.match_image_pairs(
            path, matching, pairing, verification, device=pycolmap.Device.cpu
        )
        done += len(chunk)
        progress(done, len(pairs), "matching photos")


def _largest_model(
    database: Path, photos: int, settings: StructureSettings, progress: Progress
) -> pycolmap.Reconstruction | None:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = FEWEST
    options.num_threads = 1
    options.random_seed = settings.seed
    options.mapper.random_seed = settings.seed
    options.triangulation.random_seed = settings.seed
    options.triangulation.ignore_two_view_tracks = photos > FEWEST
    options.mapper.num_threads = 1
    options.extract_colors = False
    registered = 0

    def started() -> None:
        nonlocal registered
        registered = 2
        progress(registered, photos, "registering photos")

    def next_photo() -> None:
        nonlocal registered
        registered = min(registered + 1, photos)
        progress(registered, photos, "registering photos")

    progress(0, photos, "registering photos")
    models = pycolmap.incremental_mapping(
        database,
        database.parent,
        database.parent,
        options=options,
        initial_image_pair_callback=started,
        next_image_callback=next_photo,
    )
    progress(photos, photos, "registering photos")
    by_size = sorted(models.items(), key=lambda item: (-item[1].num_reg_images(), item[0]))
    return by_size[0][1] if by_size else None


def _registered(model: pycolmap.Reconstruction) -> dict[int, pycolmap.Image]:
    """Images with a pose by id, which is the position of their frame plus 1."""
    return {i.image_id: i for i in model.images.values() if i.has_pose}


def _with_model(
    dataset: Dataset,
    model: pycolmap.Reconstruction,
    registered: dict[int, pycolmap.Image],
    found: Sequence[Found],
) -> Dataset:
    frames = []
    for n, frame in enumerate(dataset.frames, start=1):
        image = registered.get(n)
        if image is None:
            continue
        stated = model.cameras[image.camera_id]
        camera = ModelCamera(
            stated.model_name, stated.width, stated.height, tuple(stated.params.tolist())
        )
        camtoworld = np.eye(4)
        camtoworld[:3] = image.cam_from_world().inverse().matrix()
        lens = lens_of(camera, frame.name)
        intrinsics = lens.for_size(camera.width, camera.height, frame.name)
        frames.append(replace(frame, intrinsics=intrinsics, camtoworld=camtoworld))
    notes = [n for n in dataset.notes if "without cameras" not in n]
    notes.append(
        f"cameras were found from the photos ({len(frames)} of {len(dataset.frames)}); origin, "
        "axes and scale of the world are arbitrary"
    )
    left_out = [f.name for n, f in enumerate(dataset.frames, 1) if n not in registered]
    if left_out:
        notes.append(f"photos that could not be registered: {', '.join(left_out)}")
    return replace(dataset, frames=tuple(frames), points=_points(model, found), notes=tuple(notes))


def _points(model: pycolmap.Reconstruction, found: Sequence[Found]) -> Points | None:
    model.update_point_3d_errors()
    points = [point for _, point in sorted(model.points3D.items())]
    if not points:
        return None
    colours = [
        np.mean([found[e.image_id - 1].rgb[e.point2D_idx] for e in p.track.elements], axis=0)
        for p in points
    ]
    return Points(
        xyz=np.array([p.xyz for p in points], np.float32),
        rgb=np.rint(colours).astype(np.uint8),
        errors=np.array([p.error for p in points], np.float32),
        source="triangulated",
    )
