"""A capture as it is kept: cameras and pictures of the same views, and points to start from."""

from storage.schema import Attribute, Schema, register
from storage.schemas.cameras import CAMERAS
from storage.schemas.images import IMAGES
from storage.schemas.points import POINTS
from storage.schemas.tables import FILES

CAPTURE = register(
    Schema(
        name="capture",
        version=1,
        children={"cameras": CAMERAS, "images": IMAGES, "points": POINTS, "files": FILES},
        optional_children=frozenset({"points", "files"}),
        shared_dims=frozenset({"view"}),
        attrs=(
            Attribute("record", dict, "What was done to the photos, by name.", optional=True),
            Attribute("layout", str, "The dataset's layout, or generated.", optional=True),
            Attribute("world_transform", list, "4 x 4 rows: stored = T @ dataset.", optional=True),
            Attribute("notes", list, "What a user should know, in sentences.", optional=True),
        ),
    )
)
