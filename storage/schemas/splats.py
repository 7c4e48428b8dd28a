"""3D Gaussians; the stored form of ``ops.splats.model.Splats``."""

from storage.schema import Attribute, Schema, Variable, register
from storage.schemas.cameras import WORLD

SPLATS = register(
    Schema(
        name="splats",
        version=1,
        sizes={
            **{"xyz": 3, "wxyz": 4, "axis": 3, "sh_constant": 1, "rgb": 3},
            "sh_higher": (0, 3, 8, 15),
        },
        variables=(
            Variable(
                *("means", ("gaussian", "xyz"), "float32"),
                units="world units",
                frame=WORLD,
                meaning="Centre of the Gaussian.",
                finite=True,
            ),
            Variable(
                *("quats", ("gaussian", "wxyz"), "float32"),
                units="1",
                frame=f"Gaussian's axes to {WORLD}",
                meaning="Rotation as a quaternion, real part first, of any length but 0.",
                finite=True,
            ),
            Variable(
                *("log_scales", ("gaussian", "axis"), "float32"),
                units="log(world units)",
                meaning="Natural logarithm of the standard deviation along each axis.",
                finite=True,
            ),
            Variable(
                *("opacity_logits", ("gaussian",), "float32"),
                units="1",
                meaning="Inverse sigmoid of the peak opacity.",
                finite=True,
            ),
            Variable(
                *("sh0", ("gaussian", "sh_constant", "rgb"), "float32"),
                units="1",
                meaning="Coefficient of the constant spherical harmonic, without the 0.5 that is "
                "added for the colour.",
                finite=True,
            ),
            Variable(
                *("shN", ("gaussian", "sh_higher", "rgb"), "float32"),
                units="1",
                frame=WORLD,
                meaning="Coefficients of the real spherical harmonics of degree 1 and more, in the "
                "order of 3DGS and gsplat.",
                finite=True,
            ),
            Variable(
                *("features", ("gaussian", "feature"), "float32"),
                meaning="Anything else that is blended like colour.",
                optional=True,
            ),
        ),
        attrs=(
            Attribute(
                "world_transform",
                list,
                "4 x 4 similarity T, as rows: stored coordinates = T @ dataset coordinates. Its "
                "inverse is applied on export.",
                optional=True,
            ),
            Attribute("render_mode", str, "classic or antialiased, as trained.", optional=True),
            Attribute("feature_names", list, "What the features are.", optional=True),
            Attribute("notes", list, "What else a user should know.", optional=True),
        ),
    )
)
