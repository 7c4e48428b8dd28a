"""Rendered views beside what they should look like."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.images import PIXELS

HALF = ("float16", "float32")

RENDERS = register(
    Schema(
        name="renders",
        version=1,
        sizes={"rgb": 3},
        variables=(
            Variable("names", ("view",), "str", meaning="Name of the view in the capture."),
            Variable("widths", ("view",), "int64", "px", meaning="Width; more is padding."),
            Variable("heights", ("view",), "int64", "px", meaning="Height; more is padding."),
            Variable(
                *("colors", (*PIXELS, "rgb"), "uint8"),
                units="sRGB, 0 to 255",
                meaning="Rendered colour, padded like the images of the capture.",
            ),
            Variable(
                *("truth", (*PIXELS, "rgb"), "uint8"),
                units="sRGB, 0 to 255",
                meaning="What the view should look like, padded.",
                optional=True,
            ),
            Variable(
                *("errors", PIXELS, ("uint8", *HALF)),
                units="1, or 1/255 where stored as uint8",
                meaning="Mean absolute difference of the colours, 0 in the padding.",
                optional=True,
            ),
            Variable(
                *("depth", PIXELS, HALF),
                units="world units",
                frame="along the optical axis",
                meaning="Expected depth, 0 where nothing is.",
                optional=True,
            ),
            Variable(
                *("alpha", PIXELS, ("uint8", *HALF)),
                units="1, or 1/255 where stored as uint8",
                meaning="Opacity of all Gaussians together.",
                optional=True,
            ),
        ),
        attrs=(Attribute("notes", list, "What else a user should know.", optional=True),),
    )
)
