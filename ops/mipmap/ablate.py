"""The ablations of the study: variations of the settings, one change at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ops.mipmap.settings import AdaptSettings, ProtocolSettings, PseudoSettings

ITERATIONS = (100, 250, 500, 1_000)


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Settings of one row of the table of ablations."""

    name: str  # unique: loss=l1
    question: str  # what the row belongs to: loss
    protocol: ProtocolSettings
    pseudo: PseudoSettings
    adapt: AdaptSettings


def ablations(
    protocol: ProtocolSettings, pseudo: PseudoSettings, adapt: AdaptSettings
) -> tuple[Variation, ...]:
    """Variations around settings: iterations, loss, views, pruning, reset and more.

    The first is the settings themselves; others that would be the same as it are left out.

    Args:
        protocol: Around which to vary.
        pseudo: Around which to vary.
        adapt: Around which to vary.
    """
    whole = Variation(
        name="as set", question="as set", protocol=protocol, pseudo=pseudo, adapt=adapt
    )
    found = [whole]
    for field, values in _ADAPT.items():
        found += [_with(whole, field, adapt=replace(adapt, **{field: v}), value=v) for v in values]
    for field, choices in _PROTOCOL.items():
        found += [
            _with(whole, field, protocol=replace(protocol, **{field: v}), value=v) for v in choices
        ]
    found += [
        _with(whole, "shrink", pseudo=replace(pseudo, shrink=how), value=how)
        for how in ("area", "bilinear")
    ]
    settings = [(v.protocol, v.pseudo, v.adapt) for v in found]
    return tuple(v for i, v in enumerate(found) if settings.index(settings[i]) == i)


_ADAPT: dict[str, tuple[Any, ...]] = {
    "iterations": ITERATIONS,
    "loss": ("l2", "l1", "l1_ssim"),
    "edge_weight": (0.0, 0.5),
    "phases": (1, 8),
    "views_at_once": (1, 2),
    "photo_weight": (0.0, 0.5, 0.9),
    "prune": (True, False),
    "reset": ("never", "always"),
    "means_lr": (0.0, 1.6e-4),
    "start": ("base", "balanced"),
    "densify": ("above", "always", "never"),
}
_PROTOCOL: dict[str, tuple[Any, ...]] = {
    "views": ("test", "train", "both"),
    "train_pictures": ("photos", "renders"),
}


def _with(whole: Variation, question: str, *, value: object, **changed: Any) -> Variation:
    shown = f"{value:g}" if isinstance(value, float) else str(value).lower()
    return replace(whole, name=f"{question}={shown}", question=question, **changed)
