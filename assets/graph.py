"""Which artifacts a scene has: the stages by the kind of its source."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from assets.scenes import STUDIES, Scene, Source, all_scenes
from assets.stage import Stage
from ops.errors import InputError
from storage.home import Home

CORE_TOPICS = ("capture", "splats", "evaluation")  # what a bare scene name selects


@cache
def stages(kind: str) -> dict[str, Stage]:
    """The stages of a scene of this kind, by ``topic/name``, in topological order."""
    from assets.capture import demo, points, structure, views
    from assets.evaluation import contact_sheet, held_out
    from assets.splats import exports, imported, trained

    common = [trained.trained, held_out.held_out, contact_sheet.contact_sheet, exports.exports]
    by_kind = {
        "demo": [demo.views, demo.points, *common],
        "dataset": [views.views, points.points, *common],
        "photos": [
            structure.structure,
            views.views_with_found_cameras,
            points.points_with_found_cameras,
            *common,
        ],
        "splats": [imported.imported, exports.exports_of_imported],
    }
    return {s.key: s for s in by_kind[kind]}


@cache
def known_sections() -> frozenset[str]:
    """Every section that some stage reads."""
    kinds = ("demo", "dataset", "photos", "splats")
    core = (s.sections for k in kinds for s in stages(k).values())
    return frozenset[str]().union(*core, *(study.SECTIONS for study in _studies().values()))


def sections_of(source: Source) -> list[str]:
    """The sections of a scene's file that the core of such a scene reads, in the graph's order."""
    found = (sorted(stage.sections) for stage in stages(_kind(source)).values())
    return list(dict.fromkeys(name for names in found for name in names))


def study_sections() -> dict[str, tuple[str, ...]]:
    """The sections of a scene's file that each study reads besides those of the core."""
    return {name: tuple(study.SECTIONS) for name, study in _studies().items()}


def _kind(source: Source) -> str:
    bare_photos = source.kind == "dataset" and source.layout == "photos"
    return "photos" if bare_photos else source.kind


def stages_of(scene: Scene) -> dict[str, Stage]:
    """The stages of a scene by ``topic/name``, in topological order."""
    found = stages(_kind(scene.source))
    for name in scene.studies:
        if scene.source.kind == "splats":
            raise InputError(
                f"{scene.name}: study {name!r} needs photos, which a splat file does not have; "
                "take it out of studies in the scene's file"
            )
        found = found | {s.key: s for s in _studies()[name].stages_of_study(scene)}
    return found


@cache
def _studies() -> dict[str, ModuleType]:
    """The module of each study: its sections, and its stages in a scene."""
    from assets.mipmap import study as mipmap

    return {"mipmap": mipmap}


def study_settings(study: str) -> type:
    """The settings common to a study, in the section of its name."""
    found: type = _studies()[study].SETTINGS
    return found


def scenes_of(home: Home) -> dict[str, Scene | InputError]:
    """Every scene in a home by name; one whose file or studies cannot be read is its error."""
    found = all_scenes(home, known_sections())
    for name, scene in found.items():
        if isinstance(scene, Scene):
            try:
                stages_of(scene)
            except InputError as error:
                found[name] = error
    return found


def find_scene(name: str, home: Home) -> Scene:
    """The scene that a name, ``scene`` or ``scene/topic/name``, begins with.

    Raises:
        InputError: If there is none, with those there are, or if it cannot be read.
    """
    found = scenes_of(home)
    name = name.strip("/").partition("/")[0]
    scene = found.get(name)
    if scene is None:
        raise InputError(f"no scene {name!r}; there are: {', '.join(sorted(found))}")
    if isinstance(scene, InputError):
        raise scene
    return scene


def select(scene: Scene, selection: str) -> list[Stage]:
    """The stages that ``scene``, ``scene/topic`` or ``scene/topic/name`` names.

    A bare scene name selects its core topics: capture, splats and evaluation.

    Raises:
        InputError: If it names nothing, with what there is.
    """
    everything = stages_of(scene)
    _, _, rest = selection.strip("/").partition("/")
    if not rest:
        return [s for s in everything.values() if s.topic in CORE_TOPICS]
    chosen = [s for s in everything.values() if f"{s.key}/".startswith(f"{rest}/")]
    if not chosen:
        if rest.partition("/")[0] in STUDIES:
            study, place = rest.partition("/")[0], scene.file or f"scenes/{scene.name}.toml"
            if study not in scene.studies:
                raise InputError(
                    f"{scene.name} has no study {study!r} yet; add it to {place}, above the first "
                    f'section: studies = ["{study}"]'
                )
        known = ", ".join(f"{scene.name}/{key}" for key in everything)
        raise InputError(f"{selection!r} names no artifact; there are: {known}")
    return chosen


def find_stage(scene: Scene, artifact: str) -> Stage:
    """The one stage whose artifact this is.

    Raises:
        InputError: If it names none or several, with what there is.
    """
    chosen = select(scene, artifact)
    if len(chosen) != 1 or artifact.strip("/") != f"{scene.name}/{chosen[0].key}":
        names = ", ".join(f"{scene.name}/{s.key}" for s in chosen)
        raise InputError(f"{artifact!r} is not the name of one artifact; choose one of: {names}")
    return chosen[0]


def with_inputs(scene: Scene, chosen: list[Stage]) -> list[Stage]:
    """The chosen stages and all they depend on, in topological order."""
    everything = stages_of(scene)
    wanted = {s.key for s in chosen}
    for key in reversed(everything):
        if key in wanted:
            wanted |= set(everything[key].inputs)
    return [s for key, s in everything.items() if key in wanted]


def dependents(scene: Scene, stage: Stage) -> list[str]:
    """``topic/name`` of all that depends on a stage, directly or not, in topological order."""
    found = {stage.key}
    for key, other in stages_of(scene).items():
        if found & set(other.inputs):
            found.add(key)
    return [key for key in stages_of(scene) if key in found - {stage.key}]
