"""Which base belongs to which scale, and which views are adapted to and scored."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ops.capture.model import Split, Views, indices_of
from ops.errors import InputError
from ops.mipmap.scales import scale_name
from ops.mipmap.settings import ProtocolSettings
from ops.mipmap.truth import ScaledViews


@dataclass(frozen=True)
class ViewRoles:
    """Positions among the views of a capture."""

    train: tuple[int, ...]  # the base was trained on
    adapted: tuple[int, ...]  # splats are adapted at their poses
    scored: tuple[int, ...]  # held out, and of those that may be adapted on
    extra: tuple[int, ...]  # held out, and never adapted on

    @property
    def transductive(self) -> bool:
        """Whether the scored views' poses (no photo of them) are used in adaptation."""
        return bool(set(self.adapted) & set(self.scored))

    @property
    def pictures(self) -> tuple[int, ...]:
        """The views whose pseudo ground truth is needed: adapted, scored or extra, in order."""
        return tuple(sorted({*self.adapted, *self.scored, *self.extra}))


def view_roles(splits: tuple[Split, ...], settings: ProtocolSettings) -> ViewRoles:
    """What each view of a capture is used for.

    Raises:
        InputError: There are no training or no held-out views, or too few of them to adapt on.
    """
    train, test = indices_of(splits, "train"), indices_of(splits, "test")
    if not train or not test:
        raise InputError(
            f"mipmap: expected training and held-out views, found {len(train)} and {len(test)}; "
            "choose another split for the capture"
        )
    every = settings.extra_every
    extra = test[every - 1 :: every] if every else []
    scored = [i for i in test if i not in extra]
    chosen = {"test": scored, "train": train, "both": sorted([*scored, *train])}[settings.views]
    if len(chosen) < 2:
        raise InputError(
            f"mipmap: expected at least 2 views to adapt on, found {len(chosen)}; hold out more "
            'views, or set views to "both"'
        )
    return ViewRoles(tuple(train), tuple(chosen), tuple(scored), tuple(extra))


def base_divisor(scale: Fraction, settings: ProtocolSettings) -> int:
    """How many times smaller than the capture the photos are that this scale's base is trained on.

    The paper has two bases: one at full size, which is rendered smaller, and one at 1/8 of it,
    which is rendered larger; so photos are the truth at every scale.
    """
    return settings.enlarge_base_by if scale > 1 else settings.shrink_base_by


def base_views(views: Views, divisor: int) -> Views:
    """The capture at the size that a base is trained at."""
    return views if divisor == 1 else ScaledViews(views, Fraction(1, divisor))


def true_views(views: Views, scale: Fraction, divisor: int) -> Views | None:
    """The photos that renders of a base at a scale are compared with.

    Args:
        views: The capture at its own size.
        scale: Rendering by base rendering.
        divisor: Of the base, see :func:`base_divisor`.

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
