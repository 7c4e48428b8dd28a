"""Settings of the multi-scale study. Light: drawing the graph reads them without loading torch.

Settings of one scale are those common to all with that scale's own on top, see
:func:`table_for`; nothing else of one scale's settings reaches another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal, Self

from ops.errors import InputError
from ops.mipmap.presets import VALUES
from ops.mipmap.scales import parse_scale, scale_name, sorted_scales

Preset = Literal["preview", "standard", "paper"]
PRESETS: tuple[Preset, ...] = ("preview", "standard", "paper")


@dataclass(frozen=True, kw_only=True)
class _Presets:
    """Settings whose values can start from a preset."""

    @classmethod
    def from_preset(cls, name: str = "standard", **overrides: Any) -> Self:
        """The settings of a preset, with some values of one's own.

        Args:
            name: ``preview`` (all scales of a small scene within minutes on a CPU), ``standard``
                (1,000 iterations), or ``paper`` (1,000 iterations and the choices of the released
                code: from the base as it is, frozen means, growth at every scale, reset on a white
                background).
            **overrides: Any field but ``preset``; these win over the preset.

        Raises:
            InputError: No such preset or field, or a value that makes no sense.
        """
        presets = VALUES[cls.__name__]
        if name not in presets:
            raise InputError(
                f"mipmap: preset should be one of {', '.join(presets)}; found {name!r}"
            )
        known = [f.name for f in fields(cls) if f.name != "preset"]
        unknown = sorted(set(overrides) - set(known))
        if unknown:
            raise InputError(
                f"mipmap: no setting is called {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return cls(**{"preset": name, **presets[name], **overrides})


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings(_Presets):
    """What is trained, rendered and scored; the same for all scales."""

    preset: Preset = "standard"
    """The preset the values started from; a name only, :meth:`from_preset` gives its values."""
    scales: tuple[str, ...] = ("x1_8", "x1_4", "x1_2", "x2", "x4", "x8")
    """The scales to adapt to, rendering by base rendering."""
    shrink_base_by: int = 1
    """The base below x1 is trained on photos of this part of the capture's size: 1 is the whole,
    so the photos are the truth at every scale down to x1_8."""
    enlarge_base_by: int = 8
    """The base above x1 is trained on photos this many times smaller than the capture's. With 8
    photos are the truth up to x8, as in the paper, which trains at 100 and renders at 800 pixels;
    with less only up to that scale, except on the built-in scene, which can be rendered larger."""
    views: Literal["auto", "test", "train", "both"] = "auto"
    """At whose poses splats are adapted: held-out poses (the paper: only their poses are used, no
    photo, but results are transductive in pose), training poses, or both. With few held-out poses
    splats fit these at the cost of all others. ``auto``: both below the base scale; above it
    training poses alone, since there the renders of held-out poses lack what the photos show."""
    train_pictures: Literal["photos", "renders"] = "photos"
    """What is brought to the scale at training poses: the photos that the base was trained on, at
    its size, or renders of the base (the paper, and always so at held-out poses)."""
    tune_iterations: int = 1_000
    """Steps in which a base is fine-tuned behind Mip-Splatting's filters, to compare with; one
    such model serves all scales of a base."""
    antialiased_base: bool = False
    """Whether there is a base trained in gsplat's antialiased mode to compare with as well; takes
    as long as the base."""
    retrain: bool = False
    """Whether splats are trained from the start at every scale on true photos as well: what no
    method that does not see these can have. Takes as long as the base, at every scale."""
    extra_every: int = 3
    """Every so many held-out views, one is never adapted on, and scored apart; 0: none is."""

    def __post_init__(self) -> None:
        sorted_scales(self.scales)
        _check_least(
            self,
            "mipmap",
            {"shrink_base_by": 1, "enlarge_base_by": 1, "extra_every": 0, "tune_iterations": 1},
        )
        if self.extra_every == 1:
            raise InputError(
                "mipmap: extra_every should be 0 (no extra views) or at least 2, found 1, which "
                "leaves no held-out view to adapt on"
            )
        _check_choices(
            self,
            "mipmap",
            {
                "preset": PRESETS,
                "views": ("auto", "test", "train", "both"),
                "train_pictures": ("photos", "renders"),
            },
        )


@dataclass(frozen=True, kw_only=True)
class PriorSettings(_Presets):
    """Where detail above the base scale comes from."""

    preset: Preset = "standard"
    """The preset the values started from; a name only, :meth:`from_preset` gives its values."""
    kind: Literal["internal", "fitted", "bicubic", "pretrained"] = "internal"
    """``internal``: a small network trained on the scene's photos at the base size. ``fitted``: a
    filter fitted to them in seconds. ``bicubic``: no prior at all. ``pretrained``: a checkpoint."""
    iterations: int = 4_000
    """Steps of training of the network; 4,000 take one to two minutes on one CPU core."""
    batch: int = 4
    """Crops per step; few, since many small steps learn more than few large ones."""
    crop: int = 48
    """Side of a crop, pixels."""
    learning_rate: float = 1e-3
    """Of Adam, after 50 steps; falls to 1/50 along a cosine."""
    channels: int = 48
    """Width of the network."""
    blocks: int = 4
    """Residual blocks of the network."""
    levels: int = 1
    """Sizes of the photos to learn from: 1 is as they are, 2 also half as large, and so on."""
    seed: int = 0
    """Seed of the network's weights and of the crops."""
    repository: str = ""
    """Of pretrained weights: a repository of the hub (``owner/name``), or empty for a file."""
    revision: str = ""
    """Commit of the repository, 40 hexadecimal digits; a branch could change its content."""
    files: tuple[str, ...] = ()
    """One file of weights per factor, inside the repository or on disk; which factor a file is
    for, it says itself. Read as safetensors or, where it is none, with weights-only loading."""
    sha256: tuple[str, ...] = ()
    """SHA-256 of each file, 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        least = {"iterations": 1, "batch": 1, "crop": 8, "channels": 1, "blocks": 0, "levels": 1}
        _check_least(self, "mipmap prior", least | {"learning_rate": 0, "seed": 0})
        kinds = ("internal", "fitted", "bicubic", "pretrained")
        _check_choices(self, "mipmap prior", {"preset": PRESETS, "kind": kinds})
        if self.kind == "pretrained":
            _check_weights(self)


@dataclass(frozen=True, kw_only=True)
class PseudoSettings(_Presets):
    """How the pseudo ground truth of one scale is made."""

    preset: Preset = "standard"
    """The preset the values started from; a name only, :meth:`from_preset` gives its values."""
    shrink: Literal["area", "bilinear"] = "area"
    """How base renders become smaller: ``area`` is the mean over each new pixel, ``bilinear`` the
    released code's ``cv2.resize``, which aliases at x1_4 and x1_8."""
    quantise: bool = True
    """Whether the pseudo ground truth is rounded to 8 bits, as the files of the released code."""

    def __post_init__(self) -> None:
        _check_choices(self, "mipmap pseudo", {"preset": PRESETS, "shrink": ("area", "bilinear")})


@dataclass(frozen=True, kw_only=True)
class AdaptSettings(_Presets):
    """How splats are adapted to one scale; the defaults are the ``standard`` preset."""

    preset: Preset = "standard"
    """The preset the values started from; a name only, :meth:`from_preset` gives its values."""
    iterations: int = 1_000
    """Steps, each on one view."""
    seed: int = 0
    """Seed of the order of views and of splitting."""
    loss: Literal["l2", "l1", "l1_ssim"] = "l2"
    """Against the pseudo ground truth: mean squared (the paper), mean absolute, or that of 3DGS."""
    ssim_weight: float = 0.2
    """lambda of ``l1_ssim``: (1 - lambda) L1 + lambda (1 - SSIM)."""
    edge_weight: float = 0.5
    """Weight, beside ``l2``, of how the difference changes between neighbouring pixels, squared:
    fine detail, which the dilation hides, is fitted sooner. 0 in the paper."""

    means_lr: float = 4e-4
    """Learning rate of the means at the start, in units of the cameras' extent. 0 is what the
    released code does without meaning to; the paper lets positions move.

    This rate and the others below are larger than those of 3DGS and fall off, which a thousand
    steps make better use of; ``paper`` has those of 3DGS."""
    means_lr_final: float = 0.01
    """The means' learning rate at the end, as a part of that at the start; falls exponentially."""
    scales_lr: float = 4e-2
    """Learning rate of the logarithm of the scales."""
    quats_lr: float = 4e-3
    """Learning rate of the quaternions."""
    opacities_lr: float = 0.1
    """Learning rate of the opacity logits."""
    sh0_lr: float = 4e-2
    """Learning rate of the constant SH coefficients."""
    shN_lr: float = 8e-3
    """Learning rate of the higher SH coefficients."""
    beta2: float = 0.98
    """Decay of Adam's mean of squared gradients, which fall quickly here; 0.999 in the paper."""
    rate_final: float = 0.05
    """All other learning rates at the end, as a part of those at the start; they fall along a
    cosine. 1 keeps them, as the paper does."""

    start: Literal["base", "balanced"] = "balanced"
    """What to start from: the base as it is (the paper), or with the change of its dilation undone
    in closed form for every Gaussian, which saves most of the steps."""
    phases: int = 8
    """Below the base scale: on how many grids along each axis base pictures are averaged, shifted
    by whole base pixels. A picture at x1_8 can lie on 8 x 8 grids, each of which shows something
    that the others do not; there are never more than base pixels to a pixel. 1 is the one grid of
    the paper."""
    phases_at_once: int = 2
    """How many of these along each axis one step takes, as one picture with as many times more
    pixels."""
    views_at_once: int = 2
    """Views in one step below the base scale, where they are small. 1 in the paper."""
    photo_weight: float = 0.9
    """Above the base scale: weight of the loss of renders averaged to the base size against the
    pictures there (photos at training poses); the rest is that against enlarged pictures. Photos
    of many views tell detail that no single enlarged one does. 0 in the paper."""
    opacity_regularisation: float = 1e-3
    """Weight of the mean opacity in the loss; some makes more Gaussians transparent enough to be
    removed. 0 in the paper."""

    regularise_until: float = 0.6
    """Part of the steps after which opacities are left alone, so that those of the Gaussians that
    are left recover."""

    densify: Literal["above", "always", "never"] = "never"
    """Whether Gaussians are added where the screen-space gradient is large: at every scale (the
    paper), above the base scale, or never. Under a squared loss the threshold is hardly reached in
    a large scene, and in a small one splitting undoes more than the steps that are left mend."""
    densify_gradient: float = 2e-4
    """Mean screen-space gradient above which a Gaussian is cloned or split."""
    max_count: int = 1_000_000
    """No Gaussians are added beyond this number."""
    prune: bool = True
    """Whether Gaussians that have become transparent are removed, to the end."""
    prune_opacity: float = 5e-3
    """Gaussians less opaque than this are removed."""
    control_every: int = 100
    """Steps between two rounds of adding and removing."""
    reset: Literal["white", "always", "never"] = "never"
    """Whether all opacities are cut to ``reset_opacity`` after the second step: on a white
    background only (released code), always, or never. Hundreds of steps must follow one."""
    reset_opacity: float = 0.01
    """The largest opacity that a reset leaves."""
    checkpoint_every: int = 100
    """Steps between two checkpoints; changes nothing in the result."""

    def __post_init__(self) -> None:
        least: dict[str, float] = {
            "iterations": 1,
            "seed": 0,
            "densify_gradient": 0,
            "opacity_regularisation": 0,
            "max_count": 1,
            "phases": 1,
            "phases_at_once": 1,
            "views_at_once": 1,
            "edge_weight": 0,
            "control_every": 1,
            "checkpoint_every": 1,
        }
        least |= {f.name: 0 for f in fields(self) if f.name.endswith("_lr")}
        _check_least(self, "mipmap", least)
        between = {
            "ssim_weight": (0, 1),
            "means_lr_final": (1e-6, 1),
            "rate_final": (0, 1),
            "regularise_until": (0, 1),
            "photo_weight": (0, 1),
            "beta2": (0, 0.99999),
            "prune_opacity": (0, 0.5),
            "reset_opacity": (1e-4, 0.999),
        }
        for name, (low, high) in between.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"mipmap: {name} should lie between {low:g} and {high:g}, found {value}"
                )
        choices: dict[str, tuple[str, ...]] = {
            "preset": PRESETS,
            "loss": ("l2", "l1", "l1_ssim"),
            "start": ("base", "balanced"),
            "densify": ("above", "always", "never"),
            "reset": ("white", "always", "never"),
        }
        _check_choices(self, "mipmap", choices)


def needs_pictures(settings: AdaptSettings, scale: Fraction) -> bool:
    """Whether adaptation looks at pictures of the base size as well."""
    below, above = settings.phases > 1, settings.photo_weight > 0
    return below if scale < 1 else above and scale > 1


def base_divisor(scale: Fraction, settings: ProtocolSettings) -> int:
    """How many times smaller than the capture the photos are that this scale's base is trained on.

    The paper has two bases: one at full size, which is rendered smaller, and one at 1/8 of it,
    which is rendered larger; so photos are the truth at every scale.
    """
    return settings.enlarge_base_by if scale > 1 else settings.shrink_base_by


def table_for(
    scale: str, common: Mapping[str, Any], per_scale: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The values for one scale: the common ones, and over them those that the scale has itself.

    Args:
        scale: Its name, in any spelling.
        common: Values by field name.
        per_scale: By the name of a scale, values by field name.

    Raises:
        InputError: A key of ``per_scale`` is no scale.
    """
    own = {scale_name(parse_scale(name)): values for name, values in per_scale.items()}
    return {**common, **own.get(scale_name(parse_scale(scale)), {})}


def _check_least(settings: object, where: str, at_least: Mapping[str, float]) -> None:
    for name, least in at_least.items():
        value = getattr(settings, name)
        if not (math.isfinite(value) and value >= least):
            raise InputError(f"{where}: {name} should be at least {least:g}, found {value}")


def _check_choices(settings: object, where: str, choices: Mapping[str, tuple[str, ...]]) -> None:
    for name, allowed in choices.items():
        value = getattr(settings, name)
        if value not in allowed:
            raise InputError(
                f"{where}: {name} should be one of {', '.join(allowed)}; found {value!r}"
            )


def _check_weights(s: PriorSettings) -> None:
    """Pretrained weights are named exactly, or not at all."""
    digits = set("0123456789abcdef")
    if not s.files or len(s.files) != len(s.sha256):
        raise InputError(
            "mipmap prior: pretrained weights need files and the sha256 of each, found "
            f"{len(s.files)} files and {len(s.sha256)} sha256"
        )
    wrong = [v for v in s.sha256 if len(v) != 64 or set(v) - digits]
    if wrong:
        raise InputError(
            f"mipmap prior: sha256 should be 64 hexadecimal digits, found {wrong[0]!r}"
        )
    if s.repository and (len(s.revision) != 40 or set(s.revision) - digits):
        raise InputError(
            "mipmap prior: revision should be the 40 digits of a commit of "
            f"{s.repository}, found {s.revision!r}; a branch may change what it holds"
        )
