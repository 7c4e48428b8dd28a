"""Artifacts of the multi-scale study: pictures at a scale, the prior, adapted splats, the table."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.cameras import CAMERAS
from storage.schemas.images import PIXELS
from storage.schemas.splats import SPLATS
from storage.schemas.tables import HISTORY, column, table

_SCALE = Attribute("scale", str, "Rendering by base rendering, as x1_8 or x4.")
_LABEL = Attribute("label", str, "How it was made, to stand beside every number made with it.")

SCALED_PICTURES = register(
    Schema(
        name="scaled_pictures",
        version=1,
        children={
            "cameras": CAMERAS,
            "pictures": Schema(
                name="pictures",
                version=1,
                sizes={"rgb": 3},
                variables=(
                    Variable(
                        *("colors", (*PIXELS, "rgb"), ("uint8", "float32")),
                        units="sRGB, 0 to 255, or 0 to 1 where stored as float32",
                        meaning="What each view should show at the scale, padded with zeros at the "
                        "right and at the bottom. Base renders are not clipped at 1.",
                    ),
                    Variable(
                        *("view_index", ("view",), "int64"),
                        meaning="Position of the view in the capture.",
                        values=(0, None),
                    ),
                ),
            ),
        },
        shared_dims=frozenset({"view"}),
        attrs=(_SCALE, _LABEL),
    )
)

PRIOR = register(
    Schema(
        name="super_resolution_prior",
        version=1,
        variables=(
            Variable("values", ("value",), "float64", meaning="All arrays, one after the other."),
            Variable("names", ("array",), "str", meaning="Names of the arrays."),
            Variable("shapes", ("array",), "str", meaning="Their shapes, as 3x3x64."),
            Variable("dtypes", ("array",), "str", meaning="Their dtypes."),
        ),
        attrs=(
            _LABEL,
            Attribute("photos", int, "Held-out photos that it was measured on."),
            Attribute(
                "psnr_bicubic", float, "dB of bicubic enlargement by 2 of these.", optional=True
            ),
            Attribute("psnr_prior", float, "dB of the prior, if it enlarges by 2.", optional=True),
        ),
    )
)

ADAPTED = register(
    Schema(
        name="adapted",
        version=1,
        children={
            "splats": SPLATS,
            "history": HISTORY,
            "opacities": table(
                "opacity_histogram",
                1,
                column("low", "float64", "1", "Lower end of the class of peak opacity."),
                column("high", "float64", "1", "Upper end."),
                column("before", "int64", "1", "Gaussians of the base.", values=(0, None)),
                column("after", "int64", "1", "Gaussians of the result.", values=(0, None)),
            ),
        },
        attrs=(
            _SCALE,
            _LABEL,
            Attribute("iterations", int, "Steps of adaptation."),
            Attribute("gaussians_before", int, "Gaussians of the base."),
        ),
    )
)

SCALE_SCORES = table(
    "scale_scores",
    1,
    column("scale", "str", meaning="x1_8, x4, ..."),
    column("factor", "float64", "1", "The scale as a number."),
    column("method", "str", meaning="base, adapted, mip, ..."),
    column("label", "str", meaning="What the method is."),
    column("views", "str", meaning="scored, or extra: held out and never adapted on."),
    column("standing", "str", meaning="What these views are to the adaptation."),
    column("against", "str", meaning="photos, or the pseudo ground truth."),
    column("metric", "str", meaning="psnr, ssim, lpips_alex[-1,1], ..."),
    column("value", "float64", meaning="Mean over the views; NaN where it cannot be computed."),
    column("units", "str", meaning="dB, or 1 for plain numbers."),
    column("count", "int64", "1", "Views in the mean.", values=(0, None)),
    attrs=(Attribute("unavailable", dict, "Why, by metric, and how to get it."),),
)

SCALE_MODELS = table(
    "scale_models",
    1,
    column("scale", "str", meaning="x1_8, x4, ..."),
    column("method", "str", meaning="base, adapted, mip, ..."),
    column("gaussians", "int64", "1", "Number of Gaussians.", values=(0, None)),
    column("gaussians_base", "int64", "1", "Of the base.", values=(0, None)),
    column("bytes", "int64", "B", "Size of the model in memory.", values=(0, None)),
    column("bytes_base", "int64", "B", "Of the base.", values=(0, None)),
    column("iterations", "int64", "1", "Steps spent on this scale alone.", values=(0, None)),
    column("share", "float64", "1", "Of the iterations of base training."),
)

MULTISCALE = register(
    Schema(
        name="multiscale",
        version=1,
        children={
            "scores": SCALE_SCORES,
            "models": SCALE_MODELS,
            "pictures": Schema(
                name="scale_pictures",
                version=1,
                sizes={"rgb": 3},
                variables=(
                    Variable("scales", ("picture",), "str", meaning="Scale of the picture."),
                    Variable("methods", ("picture",), "str", meaning="Its method, or photo."),
                    Variable("views", ("picture",), "str", meaning="Name of the view shown."),
                    Variable("widths", ("picture",), "int64", "px", meaning="More is padding."),
                    Variable("heights", ("picture",), "int64", "px", meaning="More is padding."),
                    Variable(
                        *("colors", ("picture", "y", "x", "rgb"), "uint8"),
                        units="sRGB, 0 to 255",
                        meaning="One held-out view at every scale by every method, padded.",
                    ),
                ),
            ),
        },
        attrs=(
            Attribute("labels", dict, "How the pseudo ground truth was made, by scale."),
            Attribute("notes", list, "What a user should know.", optional=True),
        ),
    )
)

ABLATIONS = table(
    "scale_ablations",
    1,
    column("scale", "str", meaning="x1_4, x4, ..."),
    column("name", "str", meaning="What differs from the settings: loss=l1. The first is as set."),
    column("question", "str", meaning="What the row belongs to: loss."),
    column("views", "str", meaning="scored, or extra: held out and never adapted on."),
    column("psnr", "float64", "dB", "Mean against photos; NaN where there are none."),
    column("ssim", "float64", "1", "Mean against photos; NaN where there are none."),
    column("psnr_base", "float64", "dB", "The base as it is, at the same views."),
    column("gaussians", "int64", "1", "Number of Gaussians.", values=(0, None)),
    column("iterations", "int64", "1", "Steps of adaptation.", values=(0, None)),
    attrs=(Attribute("labels", dict, "How the pseudo ground truth was made, by scale."),),
)
