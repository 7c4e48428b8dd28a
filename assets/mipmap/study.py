"""Which stages the multi-scale study of a scene has: its scales are a setting."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from assets.mipmap import ablations, bases, evaluation, scales, truth
from assets.mipmap.ablations import AblationSettings
from assets.scenes import Scene
from assets.settings import Section
from assets.stage import Stage
from ops.errors import InputError
from ops.mipmap.scales import parse_scale, scale_name, sorted_scales
from ops.mipmap.settings import ProtocolSettings

PROTOCOL, PSEUDO, ADAPT = "mipmap", "mipmap_pseudo", "mipmap_adapt"
"""Sections of a scene's file. The last two may have a table per scale: ``[mipmap_adapt.x4]``."""
ABLATIONS = "mipmap_ablations"
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
    beyond: tuple[str, ...] = ()
    if scene.source.kind == "demo":  # which can be rendered larger than its photos are
        beyond = tuple(n for n in chosen if parse_scale(n) > settings.enlarge_base_by)
    own_base = settings.shrink_base_by != 1
    return [*_stages(chosen, own_base, beyond), *_ablations(scene, chosen, own_base, beyond)]


def _ablations(
    scene: Scene, names: tuple[str, ...], own_base: bool, beyond: tuple[str, ...]
) -> list[Stage]:
    """The table of ablations, at some of the scales; its own topic, because it takes long."""
    settings: AblationSettings = scene.settings(AblationSettings, ABLATIONS)
    if settings.scales:
        chosen = [scale_name(s) for s in sorted_scales(settings.scales)]
    else:
        sides = [[n for n in names if (parse_scale(n) > 1) == larger] for larger in (False, True)]
        chosen = [side[len(side) // 2] for side in sides if side]
    inputs = ["capture/views"]
    for name in chosen:
        if name not in names:
            place = Section(ABLATIONS, scene.file).place("scales")
            raise InputError(f"{place}: no such scale: {name}; there are {', '.join(names)}")
        zoom_in = parse_scale(name) > 1
        inputs.append(_base("zoom_in" if zoom_in else "zoom_out", own_base))
        inputs += ["mipmap/prior"] if zoom_in else []
        inputs += [f"mipmap/{name}/truth"] if name in beyond else []
    made = {"inputs": tuple(dict.fromkeys(inputs)), "variant": ",".join(chosen)}
    return [replace(ablations.table, **made)]  # type: ignore[arg-type]


@cache
def _stages(names: tuple[str, ...], own_base: bool, beyond: tuple[str, ...]) -> tuple[Stage, ...]:
    found: list[Stage] = [
        replace(truth.truth, name=f"{name}/truth", variant=name) for name in beyond
    ]
    below = [n for n in names if parse_scale(n) <= 1]
    above = [n for n in names if parse_scale(n) > 1]
    for direction, mine in (("zoom_out", below), ("zoom_in", above)):
        if mine:
            found += _direction(direction, mine, own_base or direction == "zoom_in")
    inputs = ["capture/views"]
    for direction, mine in (("zoom_out", below), ("zoom_in", above)):
        if mine:
            inputs += [_base(direction, own_base), f"mipmap/{direction}/mip_tuned"]
            inputs += [f"mipmap/{n}/{part}" for n in mine for part in ("pseudo", "adapted")]
    inputs += [f"mipmap/{name}/truth" for name in beyond]
    found.append(replace(evaluation.evaluation, inputs=tuple(inputs)))
    return tuple(found)


def _base(direction: str, own_base: bool) -> str:
    """Where the base of a direction comes from."""
    own = own_base or direction == "zoom_in"
    return f"mipmap/{direction}/base" if own else "splats/trained"


def _direction(direction: str, names: list[str], own_base: bool) -> list[Stage]:
    base = f"mipmap/{direction}/base" if own_base else "splats/trained"
    pictures = f"mipmap/{direction}/base_renders"
    found = []
    if own_base:
        found.append(replace(bases.base, name=f"{direction}/base", variant=direction))
    found += [
        replace(
            bases.base_renders,
            name=f"{direction}/base_renders",
            variant=direction,
            inputs=("capture/views", base),
        ),
        replace(
            bases.mip_tuned,
            name=f"{direction}/mip_tuned",
            variant=direction,
            inputs=("capture/views", base),
        ),
    ]
    if direction == "zoom_in":
        found.append(scales.prior)
    for name in names:
        prior = ("mipmap/prior",) if direction == "zoom_in" else ()
        found += [
            replace(scales.pseudo, name=f"{name}/pseudo", variant=name, inputs=(pictures, *prior)),
            replace(
                scales.adapted,
                name=f"{name}/adapted",
                variant=name,
                inputs=("capture/views", base, f"mipmap/{name}/pseudo"),
            ),
        ]
    return found
