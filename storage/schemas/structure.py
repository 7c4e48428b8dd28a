"""Cameras found for photos that came without: what structure from motion leaves."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.cameras import WORLD
from storage.schemas.points import POINTS

LENSES = register(
    Schema(
        name="lenses",
        version=1,
        sizes={"camera_xyzw": 4, "world_xyzw": 4, "focal": 2, "center": 2},
        variables=(
            Variable(
                *("camtoworlds", ("view", "world_xyzw", "camera_xyzw"), "float64"),
                units="world units",
                frame=f"camera (OpenCV axes) to {WORLD}; its origin and scale are arbitrary",
                meaning="Rigid camera-to-world matrix.",
                finite=True,
            ),
            Variable("names", ("view",), "str", meaning="The photo's path inside its folder."),
            Variable("models", ("view",), "str", meaning="pinhole, opencv or opencv_fisheye."),
            Variable("widths", ("view",), "int64", "px", meaning="Width of the photo."),
            Variable("heights", ("view",), "int64", "px", meaning="Height of the photo."),
            Variable(*("focals", ("view", "focal"), "float64"), units="px", meaning="fx and fy."),
            Variable(
                *("centers", ("view", "center"), "float64"),
                units="px",
                meaning="cx and cy; the centre of the top left pixel is (0.5, 0.5).",
            ),
            Variable(
                *("distortions", ("view", "coefficient"), "float64"),
                meaning="OpenCV's coefficients in OpenCV's order, zeros behind the last.",
            ),
        ),
    )
)

STRUCTURE = register(
    Schema(
        name="structure",
        version=1,
        children={"cameras": LENSES, "points": POINTS},
        optional_children=frozenset({"points"}),
        attrs=(Attribute("notes", list, "What a user should know, in sentences."),),
    )
)
