"""The commands, their help, and what each error means for the exit code."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from assets.cli.output import fail
from ops.errors import InputError, UnavailableError
from storage.errors import StorageError
from storage.home import Home, cannot_write

app = typer.Typer(
    name="splatworks",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A workbench for 3D Gaussian splatting: from photos to splats, numbers and files.\n\n"
    "Start with [bold]splatworks materialize demo[/], or bring your own photos with "
    "[bold]splatworks add FOLDER[/].",
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 the work failed, 2 wrong usage or bad input.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
SceneName = Annotated[str, typer.Argument(help="A scene, as `splatworks scenes` lists it.")]
ArtifactName = Annotated[
    str, typer.Argument(help="An artifact: scene/topic/name, as `splatworks status` lists it.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong usage or bad input."""
    try:
        app(args=arguments, standalone_mode=True)
    except InputError as error:
        fail(str(error), 2)
    except (StorageError, UnavailableError) as error:
        fail(str(error), 1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        fail(str(cannot_write(Path(error.filename or Home.find().root), error)), 1)
    except KeyboardInterrupt:
        fail("stopped; what was finished is kept, and the same command goes on from there", 1)


def lazily(module: str, function: str) -> Callable[..., Any]:
    """The named function of a command module, imported when it is called: help stays quick."""
    from importlib import import_module

    found: Callable[..., Any] = getattr(import_module(f"assets.cli.{module}"), function)
    return found


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="A folder with photos, with or without cameras.")],
    name: Annotated[str, typer.Option(help="The scene's name; default: the folder's.")] = "",
    layout: Annotated[
        str,
        typer.Option(help="transforms, blender, colmap, llff or photos; default: as it looks."),
    ] = "",
    max_size: Annotated[
        int, typer.Option(help="Scale photos down to at most so many pixels on the longer side.")
    ] = 480,
    downscale: Annotated[
        int, typer.Option(help="Scale photos down by this whole factor instead of --max-size.")
    ] = 0,
    masks: Annotated[
        str,
        typer.Option(
            help="What masks mean: exclude (pixels not to use), object (all but the object is "
            "background) or none."
        ),
    ] = "exclude",
    preset: Annotated[
        str, typer.Option(help="How long to train: preview, standard (7k) or full (30k).")
    ] = "preview",
    study: Annotated[
        list[str] | None,
        typer.Option(help="A study that the scene has, or study=preset: mipmap, mipmap=paper."),
    ] = None,
) -> None:
    """Add your photos as a scene.

    Reads nerfstudio / instant-ngp transforms.json, Blender transforms_train.json, COLMAP models,
    LLFF poses_bounds.npy and plain photos (cameras are then found with COLMAP). Your folder is
    only read; the scene is one small TOML file that you may edit.
    """
    lazily("scenes", "add")(folder, name, layout, max_size, downscale, masks, preset, study or [])


@app.command()
def scenes(as_json: AsJson = False) -> None:
    """List the scenes and where they come from."""
    lazily("scenes", "scenes")(as_json)


Force = Annotated[
    bool, typer.Option("--force", help="Compute the selected again even if they are fresh.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
ProgressJson = Annotated[
    bool,
    typer.Option(
        "--progress-json", help="Print lines of JSON as it goes on: plan, progress, outcome."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Only show what would be done, and how long.")
]


@app.command()
def materialize(
    selection: Annotated[
        list[str],
        typer.Argument(help="Scenes, scene/topic or scene/topic/name; with what they need."),
    ],
    force: Force = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    progress_json: ProgressJson = False,
) -> None:
    """Make artifacts: only what is stale or missing, with progress.

    A bare scene name makes its core: capture, splats and evaluation; shed/mipmap makes a study of
    scene shed. Interrupted work goes on from its last checkpoint when the command is given again.
    """
    lazily("refreshing", "refresh")(selection, force, dry_run, quiet, as_json, progress_json)


@app.command()
def refresh(
    selection: Annotated[
        list[str] | None,
        typer.Argument(help="Scenes, scene/topic or scene/topic/name; default: everything."),
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    progress_json: ProgressJson = False,
) -> None:
    """Bring artifacts up to date after a change of code, a setting or a photo.

    A bare scene name is its core: capture, splats and evaluation. shed/mipmap is a study of scene
    shed; no name at all is every scene with its studies, also what was never made.

    Runs exactly what is stale or missing of the selection and of what it needs, in order. It looks
    again after each step: where a result turns out as it was, nothing that depends on it runs, and
    a change undone brings the old version back from the store. What fails does not stop what does
    not depend on it. Ctrl-C stops cleanly; the same command goes on from there.
    """
    lazily("refreshing", "refresh")(selection or [], force, dry_run, quiet, as_json, progress_json)


@app.command()
def why(artifact: ArtifactName, as_json: AsJson = False) -> None:
    """Explain one artifact: what made it, what changed since, and what a refresh would run.

    Shows the code, settings and inputs that its current version was made from, the libraries and
    the device, every change since then in words, and the steps in order with an estimate of their
    time from earlier runs.
    """
    lazily("refreshing", "why")(artifact, as_json)


@app.command()
def status(
    selection: Annotated[
        list[str] | None, typer.Argument(help="Scenes or parts of them; default: all scenes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which artifacts are fresh, stale, missing or failed, and why.

    Fresh is what the current code, settings and inputs made; whatever else is said in words: which
    setting went from what to what, which modules changed, which photo. Remarks tell of libraries
    that have other versions now; they make nothing stale.
    """
    lazily("artifacts", "status")(selection, as_json)


@app.command()
def history(artifact: ArtifactName, as_json: AsJson = False) -> None:
    """List the versions of an artifact, newest first, with what made them and their names."""
    lazily("versions", "history")(artifact, as_json)


@app.command()
def diff(
    artifact: ArtifactName,
    old: Annotated[
        str, typer.Argument(help="A version or a name, as `splatworks history` lists it.")
    ],
    new: Annotated[str, typer.Argument(help="Another version; default: the current one.")] = "",
    picture: Annotated[
        Path | None,
        typer.Option(help="Where to write the picture, a .png file; default: in the exports."),
    ] = None,
    no_picture: Annotated[
        bool, typer.Option("--no-picture", help="Compare numbers only; draw nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions: what made them, and what is in them.

    Settings, code and inputs in words; metrics, old and new; how many Gaussians, views or rows;
    and for every variable its range, mean and spread, and how many values differ by how much.
    Where pictures differ, those that differ most are drawn side by side with their difference.
    """
    lazily("versions", "diff")(artifact, old, new, picture, no_picture, as_json)


@app.command()
def tag(
    artifact: ArtifactName,
    name: Annotated[
        str, typer.Argument(help="Letters, digits, '.', '_' and '-', such as cvpr_submission.")
    ],
    version: Annotated[
        str, typer.Option(help="Which version, such as v3; default: the current one.")
    ] = "",
) -> None:
    """Give a version a name, such as the one a paper's numbers come from.

    It is then kept for ever: `splatworks prune` leaves it, and every command that takes a version
    takes the name. A name never moves to another version and is never used twice.
    """
    lazily("versions", "tag")(artifact, name, version)


@app.command()
def prune(
    selection: Annotated[
        list[str] | None,
        typer.Argument(help="Scenes, scene/topic or scene/topic/name; default: the whole store."),
    ] = None,
    keep: Annotated[
        int, typer.Option(min=0, help="How many of the newest old versions to keep as well.")
    ] = 0,
    older_than: Annotated[
        str, typer.Option(help="Keep what is younger: a number with s, m, h, d or w, as in 7d.")
    ] = "1h",
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans", help="Also remove artifacts whose scene or stage is gone, all of them."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Free disk space: drop versions that are neither current nor named.

    Shows first what would go and how much space that frees, then asks. Goes as well: what killed
    programs left, and checkpoints of the last weeks that nothing would go on from. Artifacts that
    are being made or written are skipped, and their scene with them. Orphans, whose scene or stage
    does not exist any more, are listed; they go with --orphans only.
    """
    lazily("versions", "prune")(selection or [], keep, older_than, orphans, yes, dry_run, as_json)


@app.command()
def export(
    scene: SceneName,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="A .ply, .splat, .spz or .compressed.ply file for splats; a folder for --cameras.",
        ),
    ],
    cameras: Annotated[
        str, typer.Option(help="Write cameras and photos instead: transforms or colmap.")
    ] = "",
    version: Annotated[str, typer.Option(help="Which version; default: the current one.")] = "",
) -> None:
    """Write a scene's splats (or cameras) to a file, in the coordinates of its photos' dataset."""
    lazily("files", "export")(scene, to, cameras, version)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .ply, .splat, .spz or .compressed.ply file.")],
    name: Annotated[str, typer.Option(help="The scene's name; default: the file's.")] = "",
) -> None:
    """Bring in a splat file as a scene of its own."""
    lazily("files", "import_")(file, name)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has (GPU, gsplat, weights, disk) and what each missing thing gives."""
    lazily("machine", "doctor")(as_json)


@app.command()
def bench(
    sizes: Annotated[
        str, typer.Option(help="Which scenes: 10k, 50k, 200k, 500k; several with commas.")
    ] = "",
    repeats: Annotated[int, typer.Option(help="How often each stage is timed, at least.")] = 7,
    threads: Annotated[
        str, typer.Option(help="Numbers of threads, with commas; default: 1 and all cores.")
    ] = "",
    device: Annotated[
        str, typer.Option(help="cpu or cuda (gsplat is then measured); default: the best there is.")
    ] = "",
    chart: Annotated[
        Path | None, typer.Option(help="Also write a picture of the result, a .png file.")
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Measure writing and reading artifacts instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine renders and trains, and how near that is to its peak.

    Synthetic scenes like trained ones, drawing, gradients and whole training steps; on the CPU
    also every kernel, beside a tile rasteriser in plain PyTorch. With --store: writing and reading
    artifacts, beside torch.save and torch.load. Takes a minute or two, more on a busy machine;
    other programs that run meanwhile make all numbers worse.
    """
    if store:
        lazily("machine", "bench_store")(repeats, as_json)
        return
    lazily("machine", "bench")(sizes, repeats, threads, device, chart, as_json)


@app.command()
def ui(
    host: Annotated[
        str, typer.Option(help="Who may connect; 127.0.0.1 is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 3000,
) -> None:
    """Open the Dagster UI: the graph of all scenes, runs, previews and checks."""
    lazily("machine", "ui")(host, port)


@app.command()
def lab(
    host: Annotated[
        str, typer.Option(help="Who may connect; 127.0.0.1 is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 8888,
) -> None:
    """Open JupyterLab with the notebooks, copied into the home folder for you to change."""
    lazily("machine", "lab")(host, port)


__all__ = ["app", "main"]
