"""COLMAP models beside a folder of photos: world-to-camera, OpenCV axes, pixel centres at +0.5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ops.capture.model import Array, Dataset, Points
from ops.capture.paths import inside
from ops.capture.readers.assemble import Entry, Listing, assemble
from ops.capture.readers.colmap_model import (
    ModelCamera,
    ModelImage,
    is_model,
    model_file,
    read_cameras,
    read_images,
    read_points,
)
from ops.capture.readers.lens import Lens
from ops.capture.readers.masks import mask_beside
from ops.errors import InputError

SUPPORTED = "SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL, OPENCV, OPENCV_FISHEYE"
PHOTO_FOLDERS = ("images", "input", "rgb", "photos", "", "images_2", "images_4", "images_8")


def models_in(root: Path) -> list[Path]:
    """Folders with a model, of the first place that has any.

    Places in order: ``sparse/*``, ``sparse``, ``colmap/sparse/*``, ``colmap/sparse``, the folder
    itself, any folder directly in it.
    """
    places: list[Sequence[Path]] = [
        _folders(root / "sparse"),
        [root / "sparse"],
        _folders(root / "colmap" / "sparse"),
        [root / "colmap" / "sparse"],
        [root],
        _folders(root),
    ]
    for place in places:
        models = [folder for folder in place if is_model(folder)]
        if models:
            return models
    return []


def read_colmap(folder: Path) -> Dataset:
    """Read a folder with a COLMAP model; of several models the one with the most images.

    Where ``folder`` is itself a model or named ``sparse``, its photos may be in ``images`` beside
    it or beside the folder that it is in (``x/images`` for ``x/sparse/0``); ``x`` is then the
    dataset folder.

    Raises:
        InputError: The model, a camera or a photo cannot be used; the message says which and why.
    """
    notes: list[str] = []
    model, images = _largest(models_in(folder), folder, notes)
    root = _root_of(folder, model, images)
    camera_path, image_path = _file(model, "cameras"), _file(model, "images")
    cameras = read_cameras(camera_path)
    photos = _photo_folder([root, model, model.parent], root, images)
    if photos.name.startswith("images_"):
        notes.append(f"the photos are those in {photos.name}/")
    entries = []
    for image in images:
        told_by = f"{image_path.name}, image {image.name}"
        if image.camera_id not in cameras:
            raise InputError(
                f"{told_by}: its camera {image.camera_id} is not in {camera_path.name}, which has "
                f"{', '.join(str(c) for c in sorted(cameras)[:10]) or 'none'}. Export the model "
                "again."
            )
        path = inside(root, image.name, photos, told_by=told_by)
        inside_photos = path.is_relative_to(photos)
        entries.append(
            Entry(
                path=path,
                told_by=told_by,
                lens=lens_of(cameras[image.camera_id], f"camera {image.camera_id}"),
                lens_id=str(image.camera_id),
                camtoworld=_camtoworld(image, told_by),
                mask=mask_beside(root, path, photos) if inside_photos else None,
            )
        )
    points, point_files = _points(model, notes)
    return assemble(
        Listing(
            root=root,
            layout="colmap",
            entries=entries,
            points=points,
            notes=notes,
            files=[camera_path, image_path, *point_files],
        )
    )


def lens_of(camera: ModelCamera, told_by: str) -> Lens:
    """The lens of a COLMAP camera.

    Raises:
        InputError: The model is not supported.
    """
    p = camera.params
    distortion: tuple[float, ...] = ()
    if camera.model == "SIMPLE_PINHOLE":
        fx, fy, cx, cy = p[0], p[0], p[1], p[2]
    elif camera.model == "PINHOLE":
        fx, fy, cx, cy = p
    elif camera.model in ("SIMPLE_RADIAL", "RADIAL"):
        fx, fy, cx, cy = p[0], p[0], p[1], p[2]
        distortion = (p[3], p[4] if camera.model == "RADIAL" else 0.0, 0.0, 0.0)
    elif camera.model in ("OPENCV", "OPENCV_FISHEYE"):
        fx, fy, cx, cy = p[:4]
        distortion = p[4:8]
    else:
        raise InputError(
            f"{told_by}: camera model {camera.model} is not supported. Expected one of {SUPPORTED}."
            " Undistort the photos with COLMAP's image_undistorter, which writes PINHOLE cameras."
        )
    if camera.width < 1 or camera.height < 1:
        raise InputError(
            f"{told_by}: expected a size in pixels, found {camera.width}x{camera.height}"
        )
    return Lens(
        model="opencv_fisheye" if camera.model == "OPENCV_FISHEYE" else "opencv",
        width=camera.width,
        height=camera.height,
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        distortion=distortion,
    )


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _file(model: Path, stem: str) -> Path:
    path = model_file(model, stem)
    if path is None:
        raise InputError(f"{model}: expected {stem}.bin or {stem}.txt of a COLMAP model")
    return path


def _largest(
    models: Sequence[Path], folder: Path, notes: list[str]
) -> tuple[Path, list[ModelImage]]:
    if not models:
        raise InputError(
            f"{folder}: expected a COLMAP model (cameras and images, .bin or .txt) in sparse/0, "
            "sparse, colmap/sparse/0 or the folder itself, found none"
        )
    read = [(model, read_images(_file(model, "images"))) for model in models]
    best = max(read, key=lambda pair: len(pair[1]))  # the first of equals
    if len(read) > 1:
        others = ", ".join(f"{m.name} ({len(i)} images)" for m, i in read if m != best[0])
        notes.append(
            f"of {len(read)} COLMAP models the largest is used, {best[0].name} with "
            f"{len(best[1])} images; not used: {others}"
        )
    return best


def _root_of(folder: Path, model: Path, images: Sequence[ModelImage]) -> Path:
    """The dataset folder, where ``folder`` is a model or holds nothing but models."""
    if model != folder and folder.name != "sparse":
        return folder
    candidates = [folder, folder.parent, folder.parent.parent]
    for candidate in candidates:
        if any((candidate / f).is_dir() for f in PHOTO_FOLDERS if f):
            return candidate
    return next((c for c in candidates if any((c / i.name).is_file() for i in images)), folder)


def _photo_folder(places: Sequence[Path], root: Path, images: Sequence[ModelImage]) -> Path:
    """The first usual folder, at one of the places inside ``root``, that has any of the photos."""
    for place in places:
        for name in PHOTO_FOLDERS:
            folder = place / name
            if folder.is_relative_to(root) and any((folder / i.name).is_file() for i in images):
                return folder
    return root / PHOTO_FOLDERS[0]


def _camtoworld(image: ModelImage, told_by: str) -> Array:
    q = np.array(image.quaternion)
    length = float(np.linalg.norm(q))
    if not np.isfinite([*q, *image.translation]).all() or length < 1e-6:
        raise InputError(
            f"{told_by}: the pose holds NaN or infinite numbers, or a quaternion of length 0. "
            "Remove the image or export the model again."
        )
    R = rotation_matrix(q / length)
    pose = np.eye(4)
    pose[:3, :3] = R.T
    pose[:3, 3] = -R.T @ np.array(image.translation)
    return pose


def rotation_matrix(q: Array) -> Array:
    """[3, 3] of a unit quaternion wxyz."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _points(model: Path, notes: list[str]) -> tuple[Points | None, list[Path]]:
    path = model_file(model, "points3D")
    if path is None:
        notes.append("the COLMAP model has no points3D")
        return None, []
    read = read_points(path)
    fine = np.isfinite(read.xyz).all(axis=-1)
    if not fine.all():
        notes.append(f"{int((~fine).sum())} points of the model are not finite and are left out")
    if not fine.any():
        notes.append("the COLMAP model holds no points")
        return None, [path]
    errors = np.where(read.errors >= 0, read.errors, np.nan)  # COLMAP writes -1 for not known
    return (
        Points(
            xyz=read.xyz[fine].astype(np.float32),
            rgb=read.rgb[fine],
            errors=errors[fine].astype(np.float32),
            source="dataset",
        ),
        [path],
    )
