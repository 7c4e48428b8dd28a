"""Which base belongs to which scale, and which views are adapted to and scored."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ops.cameras import Cameras
from ops.capture.model import Split, Views, indices_of
from ops.errors import InputError
from ops.mipmap.scales import scale_name, scaled_cameras
from ops.mipmap.settings import ProtocolSettings, base_divisor
from ops.mipmap.truth import ScaledViews


@dataclass(frozen=True)
class ViewRoles:
    """Positions among the views of a capture."""

    train: tuple[int, ...]  # the base was trained on
    adapted: tuple[int, ...]  # splats are adapted at their poses
    scored: tuple[int, ...]  # held out, and of those that may be adapted on; else all of training
    extra: tuple[int, ...]  # held out, and never adapted on

    @property
    def transductive(self) -> bool:
        """Whether the scored views' poses (no photo of them) are used in adaptation."""
        return bool(set(self.adapted) & set(self.scored))

    @property
    def fitted(self) -> bool:
        """Whether the scored views are training views, because none is held out."""
        return bool(set(self.scored) & set(self.train))

    @property
    def pictures(self) -> tuple[int, ...]:
        """The views whose pseudo ground truth is needed: adapted, scored or extra, in order."""
        return tuple(sorted({*self.adapted, *self.scored, *self.extra}))


def view_roles(splits: tuple[Split, ...], settings: ProtocolSettings, *, above: bool) -> ViewRoles:
    """What each view of a capture is used for.

    Where no view is held out, splats are adapted and scored at training poses.

    Args:
        splits: Of every view.
        settings: Their ``views`` and ``extra_every``.
        above: Whether the scale is above that of the base.

    Raises:
        InputError: There are no training views, or too few views to adapt on.
    """
    train, test = indices_of(splits, "train"), indices_of(splits, "test")
    if not train:
        raise InputError(
            f"mipmap: expected training views, found none among {len(splits)}; choose another "
            "split for the capture"
        )
    if not test:
        return ViewRoles(tuple(train), _enough(train), tuple(train), ())
    every = settings.extra_every
    extra = test[every - 1 :: every] if every else []
    scored = [i for i in test if i not in extra]
    both = sorted([*scored, *train])
    by_name = {"test": scored, "train": train, "both": both, "auto": train if above else both}
    chosen = by_name[settings.views]
    return ViewRoles(tuple(train), _enough(chosen), tuple(scored), tuple(extra))


def scored_views(splits: tuple[Split, ...]) -> list[int]:
    """Every view that may be scored: the held-out views, or where there are none all views."""
    return indices_of(splits, "test") or list(range(len(splits)))


def _enough(chosen: list[int]) -> tuple[int, ...]:
    if len(chosen) < 2:
        raise InputError(
            f"mipmap: expected at least 2 views to adapt on, found {len(chosen)}; hold out more "
            'views, or set views to "both"'
        )
    return tuple(chosen)


def base_views(views: Views, divisor: int) -> Views:
    """The capture at the size that a base is trained at."""
    return views if divisor == 1 else ScaledViews(views, Fraction(1, divisor))


def cameras_at(cameras: Cameras, scale: Fraction, divisor: int) -> Cameras:
    """The views as they are rendered at a scale of a base.

    Sizes are rounded from those of the capture and not from those of the base, so that they are
    those of :func:`true_views` also where the divisor does not divide the capture's.

    Args:
        cameras: Of the capture at its own size.
        scale: Rendering by base rendering.
        divisor: Of the base, see :func:`ops.mipmap.settings.base_divisor`.
    """
    return scaled_cameras(cameras, scale / divisor)


def true_views(views: Views, scale: Fraction, divisor: int) -> Views | None:
    """The photos that renders of a base at a scale are compared with.

    Args:
        views: The capture at its own size.
        scale: Rendering by base rendering.
        divisor: Of the base, see :func:`ops.mipmap.settings.base_divisor`.

    Returns:
        None where the scale is beyond what the photos show.
    """
    whole = scale / divisor
    if whole > 1:
        return None
    return views if whole == 1 else ScaledViews(views, whole)


def check_sizes(views: Views, settings: ProtocolSettings, scales: tuple[Fraction, ...]) -> None:
    """Refuse scales at which a base or a rendering would have almost no pixels.

    Raises:
        InputError: A base has fewer than 16 pixels along a side, or a rendering fewer than 4.
    """
    short = min(*views.cameras.widths, *views.cameras.heights)
    for scale in scales:
        divisor = base_divisor(scale, settings)
        if short / divisor < 16 or short / divisor * scale < 4:
            raise InputError(
                f"mipmap: at {scale_name(scale)} the base has {short / divisor:.0f} and a render "
                f"{float(short / divisor * scale):.0f} pixels along the shorter side, of at least "
                "16 and 4; choose a smaller enlarge_base_by or shrink_base_by, or leave the scale "
                "out"
            )
