"""Rendering scales: their names, the sizes they give, and cameras at them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from ops.errors import InputError

if TYPE_CHECKING:
    from ops.cameras import Cameras

LARGEST = 64
_NAME = re.compile(r"x?(\d{1,4})(?:[/_](\d{1,4}))?")


def parse_scale(name: str) -> Fraction:
    """The scale that a name stands for: ``x4``, ``x1_8`` (or ``x1/8``), with or without the x.

    A scale is the side of a rendering divided by that of the base rendering.

    Raises:
        InputError: The name is none of a scale, or the scale is not from 1/64 to 64.
    """
    found = _NAME.fullmatch(name.strip())
    parts = (int(found[1]), int(found[2] or 1)) if found else (0, 1)
    if 0 in parts or not Fraction(1, LARGEST) <= Fraction(*parts) <= LARGEST:
        raise InputError(
            f"mipmap: a scale should be written like x4 or x1_8, from x1_{LARGEST} to x{LARGEST}; "
            f"found {name!r}"
        )
    return Fraction(*parts)


def scale_name(scale: Fraction) -> str:
    """The name of a scale that can stand in a path: ``x4``, ``x1_8``."""
    return f"x{scale.numerator}" + (f"_{scale.denominator}" if scale.denominator != 1 else "")


def scale_title(scale: Fraction) -> str:
    """The name of a scale as people read it: ``×4``, ``×1/8``."""
    return f"×{scale}"


def scaled_size(width: int, height: int, scale: Fraction) -> tuple[int, int]:
    """(width, height) in pixels at a scale: rounded exactly, halves up, and at least 1."""
    half = Fraction(1, 2)
    return max(1, (width * scale + half).__floor__()), max(1, (height * scale + half).__floor__())


def scaled_cameras(cameras: Cameras, scale: Fraction) -> Cameras:
    """The same views with more or fewer pixels.

    Poses and fields of view stay: each axis of Ks is multiplied by the true ratio of its sizes,
    which rounding may make differ a little from the scale.
    """
    sizes = [scaled_size(w, h, scale) for w, h in zip(cameras.widths, cameras.heights, strict=True)]
    return cameras.resized([w for w, _ in sizes], [h for _, h in sizes])


def sorted_scales(names: Sequence[str]) -> tuple[Fraction, ...]:
    """The scales of these names, smallest first.

    Raises:
        InputError: A name is none of a scale, a scale is there twice, or there is none.
    """
    scales = [parse_scale(name) for name in names]
    if not scales:
        raise InputError("mipmap: expected at least one scale, found none")
    twice = {scale_name(s) for s in scales if scales.count(s) > 1}
    if twice:
        raise InputError(f"mipmap: scales should differ, found twice: {', '.join(sorted(twice))}")
    return tuple(sorted(scales))
