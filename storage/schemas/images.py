"""Pictures of views, as photos or as exact pictures of a generated scene."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.cameras import WORLD

PIXELS = ("view", "y", "x")

IMAGES = register(
    Schema(
        name="images",
        version=1,
        sizes={"rgb": 3, "xyz": 3},
        variables=(
            Variable(
                *("images", (*PIXELS, "rgb"), "uint8"),
                units="sRGB, 0 to 255",
                meaning="Colour, not premultiplied by alpha. Views smaller than the largest are "
                "padded with zeros at the right and at the bottom; widths and heights of their "
                "cameras say how large they are.",
            ),
            Variable(
                *("alpha", PIXELS, "uint8"),
                units="0 to 255",
                meaning="Coverage by the object, for captures with alpha.",
                optional=True,
            ),
            Variable(
                *("mask", PIXELS, "uint8"),
                units="0 or 255",
                meaning="255 where a pixel may be used, 0 where not (and in the padding).",
                optional=True,
            ),
            Variable(
                *("depth", PIXELS, "float32"),
                units="world units",
                frame="along the optical axis",
                meaning="Exact depth of a generated scene; 0 in the padding.",
                optional=True,
            ),
            Variable(
                *("normal", (*PIXELS, "xyz"), ("float16", "float32")),
                units="1",
                frame=WORLD,
                meaning="Exact unit normal of a generated scene; 0 in the padding.",
                optional=True,
            ),
            Variable(
                *("label", PIXELS, ("uint8", "int16", "int32")),
                meaning="Semantic label; its name is labels[label] in the attributes.",
                optional=True,
            ),
        ),
        attrs=(
            Attribute("labels", list, "Names of the semantic labels.", optional=True),
            Attribute("white_background", bool, "The dataset's habit with alpha.", optional=True),
            Attribute(
                "downscale", dict, "Factor and filter the photos were scaled by.", optional=True
            ),
        ),
    )
)

PICTURE = register(
    Schema(
        name="picture",
        version=1,
        sizes={"rgb": 3},
        variables=(
            Variable("pixels", ("y", "x", "rgb"), "uint8", "sRGB, 0 to 255", meaning="Colour."),
        ),
        attrs=(
            Attribute("title", str, "What it shows."),
            Attribute("file", str, "Name of its file among the exports.", optional=True),
        ),
    )
)
