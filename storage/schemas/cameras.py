"""Pinhole cameras; the stored form of ``ops.cameras.Cameras`` with the split of each view."""

from storage.schema import Attribute, Schema, Variable, register

WORLD = "world of the capture"
CAMERA = "camera: OpenCV axes, x right, y down, z forward"
FLOAT = ("float32", "float64")

CAMERAS = register(
    Schema(
        name="cameras",
        version=1,
        sizes={"camera_xyzw": 4, "world_xyzw": 4, "image_xyw": 3, "camera_xyz": 3},
        variables=(
            Variable(
                *("viewmats", ("view", "camera_xyzw", "world_xyzw"), FLOAT),
                units="world units",
                frame=f"{WORLD} to {CAMERA}",
                meaning="Rigid world-to-camera matrix: x_camera = viewmats @ [x_world, 1].",
                finite=True,
            ),
            Variable(
                *("Ks", ("view", "image_xyw", "camera_xyz"), FLOAT),
                units="px",
                frame="image: x right, y down, the centre of the top left pixel is (0.5, 0.5)",
                meaning="Intrinsics [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] for widths x heights.",
                finite=True,
            ),
            Variable(
                "widths", ("view",), "int64", "px", "", "Width of the image.", values=(1, None)
            ),
            Variable(
                "heights", ("view",), "int64", "px", "", "Height of the image.", values=(1, None)
            ),
            Variable(
                *("names", ("view",), "str"),
                meaning="Unique name of the view; the photo's path inside its dataset.",
            ),
            Variable(
                *("splits", ("view",), "str"),
                meaning="train or test; test views are held out from training.",
                optional=True,
            ),
            Variable(
                *("times", ("view",), FLOAT),
                units="1",
                meaning="Time from 0 to 1, for scenes that move.",
                optional=True,
                values=(0, 1),
                finite=True,
            ),
        ),
        attrs=(
            Attribute("split_protocol", str, "How views were held out, by name.", optional=True),
            Attribute("notes", list, "What else a user should know.", optional=True),
        ),
    )
)
