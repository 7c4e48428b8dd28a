"""What the presets of the multi-scale study set; everything else is as the fields say."""

from __future__ import annotations

from typing import Any

RATES_OF_3DGS = {
    "means_lr": 1.6e-4,
    "scales_lr": 5e-3,
    "quats_lr": 1e-3,
    "opacities_lr": 5e-2,
    "sh0_lr": 2.5e-3,
    "shN_lr": 1.25e-4,
}
"""Learning rates of Kerbl et al. 2023 that differ from those here."""

_PROTOCOLS: dict[str, dict[str, Any]] = {
    "preview": {"enlarge_base_by": 4, "tune_iterations": 600},
    "standard": {},
    "paper": {"extra_every": 0, "views": "test", "train_pictures": "renders"},
}
_PRIORS: dict[str, dict[str, Any]] = {
    "preview": {"iterations": 500},
    "standard": {},
    "paper": {},
}
_PSEUDO: dict[str, dict[str, Any]] = {
    "preview": {},
    "standard": {},
    "paper": {"shrink": "bilinear"},
}
_ADAPTATIONS: dict[str, dict[str, Any]] = {
    "preview": {"iterations": 600, "control_every": 50},
    "standard": {},
    "paper": {
        **RATES_OF_3DGS,
        "means_lr": 0.0,
        "rate_final": 1.0,
        "beta2": 0.999,
        "edge_weight": 0.0,
        "phases": 1,
        "phases_at_once": 1,
        "views_at_once": 1,
        "photo_weight": 0.0,
        "start": "base",
        "densify": "always",
        "opacity_regularisation": 0.0,
        "reset": "white",
    },
}
VALUES: dict[str, dict[str, dict[str, Any]]] = {
    "ProtocolSettings": _PROTOCOLS,
    "PriorSettings": _PRIORS,
    "PseudoSettings": _PSEUDO,
    "AdaptSettings": _ADAPTATIONS,
}
"""By the name of the settings, by preset."""
