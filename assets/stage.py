"""What a stage is: one function that makes one artifact of a scene, and what to know about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from assets.scenes import Scene
    from ops.progress import Progress
    from storage.home import Home
    from storage.schema import Schema


@dataclass(frozen=True)
class Check:
    """The verdict of a stage on its own result, shown as an asset check in the UI."""

    passed: bool
    numbers: Mapping[str, float | int | str]
    message: str


@dataclass(frozen=True)
class Preview:
    """What the UI shows of an artifact, beside its description."""

    markdown: Mapping[str, str] = field(default_factory=dict)
    """Texts by title; pictures are inline images."""
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    """Figures by title; the UI draws the numeric ones over time."""
    tables: Mapping[str, Sequence[Mapping[str, float | int | str]]] = field(default_factory=dict)
    """Tables by title, as rows of equal keys."""


@dataclass
class Work:
    """What a running stage may use besides its inputs and settings."""

    scene: Scene
    home: Home
    device: str
    progress: Progress
    checkpoint: Path
    """A file that survives interruption of this very computation, and goes when it is done."""
    scratch: Path
    """An empty folder that goes when the result is stored."""
    variant: str = ""
    """Which of several alike artifacts is made, see :class:`Stage`."""
    notes: list[str] = field(default_factory=list)
    inputs: tuple[str, ...] = ()
    """Names of the inputs, as ``topic/name``, in the order that they are given."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """Settings of other sections that the stage declares to read, by section."""

    def note(self, sentence: str) -> None:
        """Keep a sentence with the artifact that a user should read (a stand-in, a loss)."""
        self.notes.append(sentence)


@dataclass(frozen=True)
class Reads:
    """Some settings of a section that a stage reads besides its own."""

    kind: type
    """The settings dataclass of the section."""
    section: str
    fields: tuple[str, ...]
    """The stage depends on these alone, and can read no others."""


class SomeSettings:
    """The fields of settings that a stage declares to read; others cannot be read by mistake."""

    def __init__(self, settings: Any, reads: Reads) -> None:
        self._values = {name: getattr(settings, name) for name in reads.fields}
        self._section = reads.section

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(
                f"the stage does not declare that it reads {name} of [{self._section}]"
            ) from None

    def values(self) -> dict[str, Any]:
        """The fields by name."""
        return dict(self._values)


Inputs = Mapping[str, "xr.DataTree"]
Run = Callable[..., "xr.DataTree"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One artifact of every scene that has it: how it is made, checked and shown."""

    topic: str
    name: str
    run: Run
    """``run(work, settings, *inputs)``, with the inputs as open trees in the declared order."""
    schema: Schema
    inputs: tuple[str, ...] = ()
    """Artifacts of the same scene, as ``topic/name``."""
    settings: type | None = None
    section: str = ""
    """The section of a scene's file that overrides the settings."""
    variant: str = ""
    """Tells artifacts apart that the same function makes (the scales of a study). Its settings are
    those of the section with those of the section's table of this name on top."""
    also_reads: tuple[Reads, ...] = ()
    """Settings of other sections that it reads, found in ``work.also``."""
    kinds: frozenset[str] = frozenset()
    heavy: bool = False
    """Takes the whole machine: one at a time."""
    reads_source: bool = False
    """Reads the scene's folder or file besides its inputs."""
    also_depends_on: Callable[[Any], Mapping[str, str]] | None = None
    """``also_depends_on(settings)``: facts of this machine that the result depends on, by name."""
    preview: Callable[..., Preview] | None = None
    """``preview(tree, scene_name)``; not part of what the artifact depends on."""
    checks: Mapping[str, Callable[..., Check]] = field(default_factory=dict)
    """``check(tree, *inputs)`` by name; not part of what the artifact depends on."""
    files: Callable[[xr.DataTree, Home, str], list[Path]] | None = None
    """Files outside the store that belong to the artifact; if one is gone, it is made again."""

    @property
    def key(self) -> str:
        """``topic/name``."""
        return f"{self.topic}/{self.name}"

    def settings_for(self, scene: Scene) -> Any:
        """The resolved settings that it has in a scene; None where it has none.

        Raises:
            InputError: If one of them cannot be read.
        """
        if self.settings is None:
            return None
        return scene.settings(self.settings, self.section, self.variant)

    def also_for(self, scene: Scene) -> dict[str, SomeSettings]:
        """The settings of other sections that it reads in a scene, by section.

        Raises:
            InputError: If one of them cannot be read.
        """
        return {
            r.section: SomeSettings(scene.settings(r.kind, r.section, self.variant), r)
            for r in self.also_reads
        }

    def settings_read(self, scene: Scene) -> dict[str, Any]:
        """All settings that it reads in a scene, resolved, as plain JSON by section.

        Raises:
            InputError: If one of them cannot be read.
        """
        from assets.settings import as_json

        own = self.settings_for(scene)
        read = {k: as_json(v.values()) for k, v in self.also_for(scene).items()}
        return read | ({} if own is None else {self.section: as_json(own)})

    @property
    def sections(self) -> set[str]:
        """Every section of a scene's file that it reads."""
        return {r.section for r in self.also_reads} | ({self.section} if self.section else set())

    @property
    def description(self) -> str:
        """What the artifact is: the docstring of its function."""
        import inspect

        return inspect.cleandoc(self.run.__doc__ or "")


def stage(**declared: Any) -> Callable[[Run], Stage]:
    """Declare a stage from its function; see :class:`Stage` for what can be declared."""

    def declare(run: Run) -> Stage:
        return Stage(name=declared.pop("name", run.__name__), run=run, **declared)

    return declare


__all__ = [
    "Check",
    "Inputs",
    "Preview",
    "Reads",
    "SomeSettings",
    "Stage",
    "Work",
    "replace",
    "stage",
]
