"""A lens as dataset files state it, before the size of the photos is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ops.capture.model import Intrinsics
from ops.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Stated intrinsics; what is None follows from the size of the photo."""

    model: Literal["pinhole", "opencv", "opencv_fisheye"] = "pinhole"
    width: int | None = None  # pixels, of the image that the numbers are for
    height: int | None = None
    fx: float | None = None  # pixels; None: from angle_x
    fy: float | None = None  # None: from angle_y, else equal to fx
    cx: float | None = None  # pixels from the left edge; None: the middle
    cy: float | None = None
    angle_x: float | None = None  # radians, full horizontal field of view
    angle_y: float | None = None
    distortion: tuple[float, ...] = ()

    def for_size(self, width: int, height: int, told_by: str) -> Intrinsics:
        """The intrinsics for photos of a size.

        Photos that are a uniformly scaled version of the stated size scale the intrinsics, each
        axis by its own ratio.

        Raises:
            InputError: The photo's sides are not in the stated ratio, or numbers make no sense.
        """
        w, h = self.width or width, self.height or height
        sx, sy = width / w, height / h
        # One pixel of rounding on either side is no change of shape.
        if abs(width * h - height * w) > max(w, h) * 1.01 + min(width, height):
            turned = " Is it stored turned by a quarter?" if (width, height) == (h, w) else ""
            raise InputError(
                f"{told_by}: expected a photo of {w}x{h} pixels, or a scaled one of the same "
                f"shape, as its camera states; found {width}x{height}.{turned} "
                "Use the photo that the camera was made for."
            )
        fx = self.fx if self.fx is not None else _focal(w, self.angle_x, told_by)
        fy = self.fy if self.fy is not None else fx
        if self.fy is None and self.fx is None and self.angle_y is not None:
            fy = _focal(h, self.angle_y, told_by)
        cx = w / 2 if self.cx is None else self.cx
        cy = h / 2 if self.cy is None else self.cy
        numbers = {"fx": fx, "fy": fy, "cx": cx, "cy": cy}
        numbers.update({f"distortion {i + 1}": d for i, d in enumerate(self.distortion)})
        for name, value in numbers.items():
            if not math.isfinite(value) or (name in ("fx", "fy") and value <= 0):
                raise InputError(
                    f"{told_by}: expected {name} to be a finite number"
                    f"{' above 0' if name in ('fx', 'fy') else ''}, found {value:g}"
                )
        if not (-w < cx < 2 * w and -h < cy < 2 * h):
            raise InputError(
                f"{told_by}: the principal point ({cx:g}, {cy:g}) lies far outside the photo of "
                f"{w}x{h} pixels. Expected pixels from the top left corner."
            )
        model = self.model if any(self.distortion) or self.model == "opencv_fisheye" else "pinhole"
        return Intrinsics(
            model=model,
            width=width,
            height=height,
            fx=fx * sx,
            fy=fy * sy,
            cx=cx * sx,
            cy=cy * sy,
            distortion=() if model == "pinhole" else self.distortion,
        )

    def is_scaled_to(self, width: int, height: int) -> bool:
        """Whether a photo of this size has another size than the numbers are for."""
        return (self.width or width, self.height or height) != (width, height)


def _focal(size: int, angle: float | None, told_by: str) -> float:
    if angle is None or not 0 < angle < math.pi:
        found = "neither" if angle is None else f"an angle of {angle:g}"
        raise InputError(
            f"{told_by}: expected a focal length in pixels (fl_x) or a field of view in radians "
            f"between 0 and pi (camera_angle_x), found {found}"
        )
    return size / 2 / math.tan(angle / 2)
