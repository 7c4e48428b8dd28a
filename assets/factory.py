"""From stages to Dagster assets: one per stage and scene."""

import errno
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from assets import progress
from assets.checks import as_told, judged
from assets.events import event_tags
from assets.fingerprint import Code
from assets.freshness import code_now, code_version, recipe
from assets.graph import scenes_of, stages_of
from assets.process import die_with_parent
from assets.produce import Outcome, produce
from assets.scenes import Scene
from assets.stage import Stage
from ops.errors import InputError, UnavailableError
from storage.errors import StorageError
from storage.home import Home, cannot_write

# A disk that is full, or a place that may not be written to, is nobody's fault here.
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
USER_ERRORS = (InputError, UnavailableError, StorageError)


class StepConfig(dg.Config):
    """What the Launchpad offers for each artifact."""

    force: bool = False
    """Compute again even where a version made from the same code, settings and inputs is there."""


def scene_assets(scene: Scene) -> Iterator[dg.AssetsDefinition]:
    """The assets of one scene.

    Raises:
        InputError: If its settings cannot be read.
    """
    code = code_now(Home.find())
    for stage in stages_of(scene).values():
        yield _asset(scene, stage, code)


def asset_key(scene: str, key: str) -> dg.AssetKey:
    """``scene/topic/name`` as Dagster has it."""
    return dg.AssetKey([scene, *key.split("/")])


def _asset(scene: Scene, stage: Stage, code: Code) -> dg.AssetsDefinition:
    key, which = asset_key(scene.name, stage.key), _which(stage)

    @dg.asset(
        key=key,
        deps=[asset_key(scene.name, name) for name in stage.inputs],
        group_name=scene.name,
        kinds=set(stage.kinds | {"zarr"}) | ({which} if which else set()),
        description=f"{which}: {stage.description}" if which else stage.description,
        code_version=_code_version(scene, stage, code),
        owners=["team:splatworks"],
        metadata={
            "settings": dg.MetadataValue.json(stage.settings_read(scene)),
            "code": _place(stage),
        },
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=inspect.getdoc(check))
            for name, check in stage.checks.items()
        ],
        output_required=False,
    )
    def step(context: dg.AssetExecutionContext, config: StepConfig) -> Any:
        yield _run(context, scene.name, stage, config.force)

    return step


def _which(stage: Stage) -> str:
    """What tells artifacts of one name apart: the scale (``x4``) or direction of a study.

    A node of the UI's lineage shows the last part of a key only, and the kinds below it.
    """
    return stage.name.rpartition("/")[0]


def _code_version(scene: Scene, stage: Stage, code: Code) -> str:
    """What the UI compares with what the last version was made from."""
    try:
        return code_version(recipe(scene, stage, Home.find(), {}, code))
    except InputError:  # the photos cannot be read now; running the asset says why
        return "source cannot be read"


def _run(
    context: dg.AssetExecutionContext, scene_name: str, stage: Stage, force: bool
) -> dg.MaterializeResult[Any]:
    die_with_parent()
    home = Home.find()
    full = f"{scene_name}/{stage.key}"

    def say(sentence: str) -> None:
        context.log.info(sentence)
        if sentence.startswith("waiting"):  # the rest a terminal is told by the last line
            progress.tell({"say": sentence, "style": "dim"})

    try:
        # Read again: the settings may have changed since the code location was loaded.
        scene = scenes_of(home)[scene_name]
        if isinstance(scene, InputError):
            raise scene
        told = progress.StepProgress(full, context)
        with progress.relayed_log(context):
            outcome = produce(scene, stage, home, told, say, force, f"run {context.run.run_id[:8]}")
    except (*USER_ERRORS, OSError) as error:
        raise dg.Failure(
            description=str(_as_user_error(error, home)),
            metadata={"bad input": isinstance(error, InputError)},
            allow_retries=False,
        ) from error
    checks = [
        dg.AssetCheckResult(check_name=name, **as_told(judged(check, outcome.tree, outcome.inputs)))
        for name, check in stage.checks.items()
    ]
    for check in checks:
        if not check.passed:
            progress.tell({"say": f"{full}: {check.description}", "style": "bad"})
    progress.tell({"say": _line(full, outcome), "style": "good"})
    return dg.MaterializeResult(
        asset_key=context.asset_key,
        data_version=dg.DataVersion(outcome.version.content_hash),
        tags=event_tags(outcome.version),
        metadata=_metadata(stage, scene_name, outcome),
        check_results=checks,
    )


def _as_user_error(error: Exception, home: Home) -> Exception:
    """The error itself, or where a file could not be written, one that says what to do.

    Raises:
        OSError: The error, if it is neither.
    """
    if isinstance(error, USER_ERRORS):
        return error
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        return cannot_write(home.root, error)
    raise error


def _line(full: str, outcome: Outcome) -> str:
    how = {"computed": f"in {outcome.seconds:.1f} s"}.get(outcome.action, outcome.action)
    return f"{full}  {outcome.version.tag}  {how}"


def _metadata(stage: Stage, scene_name: str, outcome: Outcome) -> dict[str, Any]:
    version = outcome.version
    shown: dict[str, Any] = {}
    if stage.preview is not None:
        preview = stage.preview(outcome.tree, scene_name)
        shown |= {k: dg.MetadataValue.md(v) for k, v in preview.markdown.items()}
        shown |= {k: _table(rows) for k, rows in preview.tables.items() if rows}
        shown |= {k: _rounded(v) for k, v in preview.numbers.items()}
    made = version.provenance
    return shown | {
        "version": version.tag,
        "action": outcome.action,
        "seconds": made.seconds,
        "size in bytes": version.nbytes,
        "made from": dg.MetadataValue.json(
            {"code": made.code, "settings": made.settings, "inputs": made.inputs}
        ),
        "made with": dg.MetadataValue.json({"device": made.device, **made.packages}),
        **({"notes": dg.MetadataValue.md("\n\n".join(made.notes))} if made.notes else {}),
    }


def _table(rows: Sequence[Mapping[str, float | int | str]]) -> dg.TableMetadataValue:
    records = [dg.TableRecord({k: _rounded(v) for k, v in row.items()}) for row in rows]
    return dg.MetadataValue.table(records)


def _rounded(value: float | int | str) -> float | int | str:
    """Five digits are enough to be read."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _place(stage: Stage) -> str:
    """``assets/splats/trained.py:18``: where the function stands, for people."""
    return f"{stage.run.__module__.replace('.', '/')}.py:{inspect.getsourcelines(stage.run)[1]}"
