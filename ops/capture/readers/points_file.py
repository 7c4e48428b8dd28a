"""A point cloud in a PLY file beside the cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.capture.model import Points
from ops.errors import InputError
from ops.splats.files.ply_container import read_header
from ops.splats.files.points import read_points


def read_points_ply(path: Path) -> tuple[Points | None, list[str]]:
    """The points of a PLY file that a dataset names; see :func:`read_points`.

    Returns:
        The points, or None where there are none; and notes.

    Raises:
        InputError: The file is damaged or has no vertices with x, y and z.
    """
    try:
        vertex = read_header(path).element("vertex")
        if vertex is not None and vertex.count == 0:
            return None, [f"{path.name} holds no points"]
        cloud = read_points(path)
    except InputError as error:
        raise InputError(
            f"{path}: expected a PLY file of points with x, y, z; {error}. Export it again, or "
            "take ply_file_path out of the JSON file to have points made from the photos."
        ) from error
    errors = np.full(len(cloud.xyz), np.nan, np.float32)
    points = Points(xyz=cloud.xyz, rgb=cloud.rgb, errors=errors, source="dataset")
    return points, [f"{path.name}: {note}" for note in cloud.notes]
