"""A coloured point cloud to start splats from; the stored form of ``ops.capture.model.Points``."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.cameras import WORLD

POINTS = register(
    Schema(
        name="points",
        version=1,
        sizes={"xyz": 3, "rgb": 3},
        variables=(
            Variable(
                *("xyz", ("point", "xyz"), "float32"),
                units="world units",
                frame=WORLD,
                meaning="Position.",
                finite=True,
            ),
            Variable("rgb", ("point", "rgb"), "uint8", "sRGB, 0 to 255", meaning="Colour."),
            Variable(
                *("errors", ("point",), "float32"),
                units="px",
                meaning="Mean reprojection error; NaN where it is not known.",
            ),
        ),
        attrs=(
            Attribute("source", str, "dataset, triangulated, random or exact."),
            Attribute("notes", list, "What else a user should know.", optional=True),
        ),
    )
)
