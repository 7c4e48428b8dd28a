"""Which stages the multi-scale study of a scene has: its scales are a setting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from assets.mipmap import ablations, bases, evaluation, references, scales, truth
from assets.mipmap.ablations import AblationSettings
from assets.mipmap.at_base import SIZES, direction_of
from assets.scenes import Scene
from assets.settings import Section
from assets.stage import Stage
from ops.errors import InputError
from ops.mipmap.scales import parse_scale, scale_name, sorted_scales
from ops.mipmap.settings import ProtocolSettings, base_divisor

PROTOCOL, PSEUDO, ADAPT = "mipmap", "mipmap_pseudo", "mipmap_adapt"
"""Sections of a scene's file. The last two may have a table per scale: ``[mipmap_adapt.x4]``."""
ABLATIONS = "mipmap_ablations"
SETTINGS = ProtocolSettings
"""Those of the section that has the name of the study."""
SECTIONS = (
    *(PROTOCOL, "mipmap_base", "mipmap_prior", PSEUDO, ADAPT),
    *("mipmap_evaluation", ABLATIONS),
)


def stages_of_study(scene: Scene) -> list[Stage]:
    """The stages of a scene, in topological order.

    Raises:
        InputError: If the scales cannot be read, or there are settings of a scale that is none of
            them.
    """
    settings: ProtocolSettings = scene.settings(ProtocolSettings, PROTOCOL)
    chosen = tuple(scale_name(s) for s in sorted_scales(settings.scales))
    for section in (PSEUDO, ADAPT):
        for name in scene.variants(section):
            if name not in chosen:
                place = Section(f"{section}.{name}", scene.file).place()
                raise InputError(f"{place}: no such scale; there are {', '.join(chosen)}")
    plan = _Plan(
        names=chosen,
        own_base=settings.shrink_base_by != 1,
        beyond=tuple(
            n for n in chosen if parse_scale(n) / base_divisor(parse_scale(n), settings) > 1
        ),
        rendered=scene.source.kind == "demo",  # which can be rendered larger than its photos are
        antialiased_base=settings.antialiased_base,
        retrain=settings.retrain,
    )
    return [*_stages(plan), *_ablations(scene, plan)]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What the settings of a study come to."""

    names: tuple[str, ...]  # of the scales, smallest first
    own_base: bool  # whether scales below x1 have a base of their own
    beyond: tuple[str, ...]  # scales that go beyond the photos
    rendered: bool  # whether there is truth there nevertheless
    antialiased_base: bool
    retrain: bool

    def base(self, direction: str) -> str:
        """Where the base of a direction comes from."""
        return f"mipmap/{direction}/base" if self.has_base(direction) else "splats/trained"

    def has_base(self, direction: str) -> bool:
        """Whether a direction has a base of its own."""
        return self.own_base or direction == "zoom_in"

    def section(self, direction: str) -> str:
        """Of the settings of a base."""
        return "mipmap_base" if self.has_base(direction) else "train"

    def scales_of(self, direction: str) -> list[str]:
        """The scales of a direction."""
        return [n for n in self.names if direction_of(parse_scale(n)) == direction]

    def directions(self) -> list[str]:
        """Those that have scales."""
        return [d for d in SIZES if self.scales_of(d)]

    def retrained(self, direction: str) -> list[str]:
        """The scales of a direction at which splats are trained from the start as well."""
        found = [n for n in self.scales_of(direction) if n not in (*self.beyond, "x1")]
        return found if self.retrain else []


def _ablations(scene: Scene, plan: _Plan) -> list[Stage]:
    """The table of ablations, at some of the scales; its own topic, because it takes long."""
    settings: AblationSettings = scene.settings(AblationSettings, ABLATIONS)
    if settings.scales:
        chosen = [scale_name(s) for s in sorted_scales(settings.scales)]
    else:
        sides = [plan.scales_of(d) for d in plan.directions()]
        chosen = [side[len(side) // 2] for side in sides]
    inputs = ["capture/views"]
    for name in chosen:
        if name not in plan.names:
            place = Section(ABLATIONS, scene.file).place("scales")
            raise InputError(f"{place}: no such scale: {name}; there are {', '.join(plan.names)}")
        direction = direction_of(parse_scale(name))
        inputs.append(plan.base(direction))
        inputs += ["mipmap/prior"] if direction == "zoom_in" else []
        inputs += [f"mipmap/{name}/truth"] if plan.rendered and name in plan.beyond else []
    made = {"inputs": tuple(dict.fromkeys(inputs)), "variant": ",".join(chosen)}
    return [replace(ablations.table, **made)]  # type: ignore[arg-type]


@cache
def _stages(plan: _Plan) -> tuple[Stage, ...]:
    rendered = plan.beyond if plan.rendered else ()
    found = [replace(truth.truth, name=f"{name}/truth", variant=name) for name in rendered]
    inputs = ["capture/views"]
    for direction in plan.directions():
        found += _direction(plan, direction)
        inputs += [plan.base(direction), f"mipmap/{direction}/mip_tuned"]
        inputs += [f"mipmap/{direction}/antialiased_base"] if plan.antialiased_base else []
        inputs += [f"mipmap/{n}/retrained" for n in plan.retrained(direction)]
        inputs += [
            f"mipmap/{n}/{part}"
            for n in plan.scales_of(direction)
            for part in ("pseudo", "adapted")
        ]
    inputs += [f"mipmap/{name}/truth" for name in rendered]
    found.append(replace(evaluation.evaluation, inputs=tuple(inputs)))
    return tuple(found)


def _direction(plan: _Plan, direction: str) -> list[Stage]:
    base, pictures = plan.base(direction), f"mipmap/{direction}/base_renders"
    found = []
    if plan.has_base(direction):
        found.append(replace(bases.base, name=f"{direction}/base", variant=direction))
    for made in (bases.base_renders, bases.mip_tuned):
        name, inputs = f"{direction}/{made.name}", ("capture/views", base)
        found.append(replace(made, name=name, variant=direction, inputs=inputs))
    found += _references(plan, direction)
    if direction == "zoom_in":
        found.append(scales.prior)
    for name in plan.scales_of(direction):
        prior = ("mipmap/prior",) if direction == "zoom_in" else ()
        found += [
            replace(
                scales.pseudo,
                name=f"{name}/pseudo",
                variant=name,
                inputs=("capture/views", pictures, *prior),
            ),
            replace(
                scales.adapted,
                name=f"{name}/adapted",
                variant=name,
                inputs=("capture/views", base, f"mipmap/{name}/pseudo", pictures),
            ),
        ]
    return found


def _references(plan: _Plan, direction: str) -> list[Stage]:
    """What is trained to compare with, where that is asked for."""
    section, found = plan.section(direction), []
    if plan.antialiased_base:
        name = f"{direction}/antialiased_base"
        made = replace(references.antialiased_base, name=name, variant=direction, section=section)
        found.append(made)
    for scale in plan.retrained(direction):
        name = f"{scale}/retrained"
        found.append(replace(references.retrained, name=name, variant=scale, section=section))
    return found
