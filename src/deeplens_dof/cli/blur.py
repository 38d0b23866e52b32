"""The command `deeplens blur`: its options, and what they set in motion."""

from __future__ import annotations

import inspect
import json
from dataclasses import Field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deeplens_dof.batch.storage import is_remote
from deeplens_dof.cli.options import Debug
from deeplens_dof.cli.terminal import BatchProgress, Terminal
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Settings, setting_fields

if TYPE_CHECKING:
    from deeplens_dof.batch.engines import Engine
    from deeplens_dof.batch.jobs import Input, Plan
    from deeplens_dof.batch.manifest import Record
    from deeplens_dof.batch.process import JobOptions

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT", help="Photos, folders of photos, patterns such as 'in/**/*.jpg', or @LIST of names."
    ),
]
Lists = Annotated[
    list[str] | None,
    typer.Option(
        "--from", metavar="FILE|-", help="Read names of photos from a file, or from standard input."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, metavar="N", help="Photos that are done at a time: 1, or as many as Ray has cores."
    ),
]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="local|ray", help="What does them: this machine, or a Ray cluster.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Skip what the manifest in OUT says is done.")]
Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Do only share I of N, so that N machines can do one each."),
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on with photos that come into INPUT, until Ctrl-C.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="S", help="Give a photo up that takes more than so many seconds."),
]
MemoryLimit = Annotated[
    float | None,
    typer.Option(min=1, metavar="MB", help="Give a photo up whose process takes more memory than that."),
]
Out = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="OUT", help="Picture to write; a folder for several photos."),
]
Depth = Annotated[
    str,
    typer.Option(
        metavar="auto|embedded|predict|FILE",
        help="Depth: embedded in the photo, predicted, or a depth file (16-bit PNG, TIFF, EXR, npz). "
        "auto takes embedded depth that is fine enough, and predicts otherwise.",
    ),
]
DepthOut = Annotated[Path | None, typer.Option(help="Also write the depth here (png, tiff, exr, npz, ply).")]
Overlay = Annotated[
    Path | None, typer.Option(help="Also write what is in focus: green sharp, blue nearer, red farther.")
]
Film = Annotated[
    bool,
    typer.Option(
        "--sequence", help="INPUT is a film's frames: a folder, or a pattern such as shot.####.png."
    ),
]
Pull = Annotated[
    str | None,
    typer.Option(metavar="'FRAME:X,Y FRAME:X,Y'", help="With --sequence: pull the focus from key to key."),
]
Strip = Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF (GPS too) and XMP out.")]
Embed = Annotated[
    bool,
    typer.Option(
        "--embed-depth", help="Put depth and the untouched photo into the JPEG, to be refocused later."
    ),
]
Report = Annotated[bool, typer.Option("--json", help="Print a report as JSON on standard output.")]


def _blur(
    context: typer.Context,
    inputs: Inputs = None,
    out: Out = None,
    depth: Depth = "auto",
    depth_out: DepthOut = None,
    overlay: Overlay = None,
    strip_metadata: Strip = False,
    embed_depth: Embed = False,
    names_from: Lists = None,
    jobs: Jobs = None,
    engine_name: EngineName = "local",
    resume: Resume = False,
    shard: Shard = None,
    watch: Watch = False,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    sequence: Film = False,
    focus_pull: Pull = None,
    json_report: Report = False,
    debug: Debug = False,
    **values: Any,
) -> None:
    """Give photos a shallow depth of field.

    Without -o a photo NAME.jpg becomes NAME-bokeh.jpg beside it.
    A folder needs -o, which becomes a folder of the same tree.
    Format, bit depth, colour profile, EXIF and XMP are kept.
    Without --f-number, a photo of a phone is blurred at the f-number that it simulated.
    """
    from deeplens_dof.batch.inputs import expand_inputs
    from deeplens_dof.batch.jobs import parse_shard, plan, share
    from deeplens_dof.batch.process import JobOptions
    from deeplens_dof.batch.run import Batch
    from deeplens_dof.batch.watch import watch as keep_watch
    from deeplens_dof.cli.options import check_shape

    arguments, lists = inputs or [], names_from or []
    if not arguments and not lists:
        raise PlanError("Missing argument 'INPUT'; see deeplens blur --help")
    settings = settings_of(values)
    check_shape(settings)
    mine = parse_shard(shard) if shard else None
    source = context.get_parameter_source("f_number")
    as_shot = source is not None and source.name == "DEFAULT"
    order, terminal = JobOptions(settings, depth, strip_metadata, embed_depth, as_shot), Terminal(debug)
    if sequence:
        others = {
            "--depth-out": depth_out,
            "--embed-depth": embed_depth,
            "--overlay": overlay,
            "--jobs": (jobs or 1) > 1,
            "--engine": engine_name != "local",
            "--resume": resume,
            "--shard": shard,
            "--watch": watch,
            "--time-limit": time_limit,
            "--memory-limit": memory_limit,
        }
        if given := [option for option, value in others.items() if value]:
            raise PlanError(
                f"{given[0]} does not go with --sequence, whose frames are done in order; leave it out"
            )
        _end(settings, _film(expand_inputs(arguments, lists), out, order, focus_pull, terminal), json_report)
    if focus_pull:
        raise PlanError("--focus-pull goes with --sequence; for one photo say --focus X,Y")

    def look() -> Plan:
        return plan(expand_inputs(arguments, lists), out, depth, depth_out, overlay, [settings.shape])

    found = look()
    _check_resumable(found, resume, watch, lists)
    folder = found.folder if found.several or resume or watch else None
    todo = share(found.jobs, mine)
    most = jobs if watch or not jobs else min(jobs, max(1, len(todo)))
    engine = _engine(engine_name, most, time_limit, memory_limit)
    with (
        BatchProgress(terminal) as progress,
        Batch(order, progress, engine, folder, resume or watch, mine) as batch,
    ):
        if watch:
            keep_watch(look, lambda some: batch.process(share(some, mine)), terminal.say)
        records = batch.process(todo)
    progress.sum_up()
    _end(settings, records, json_report)


def _film(
    inputs: list[Input], out: str | None, order: JobOptions, focus_pull: str | None, terminal: Terminal
) -> list[Record]:
    """What became of the frames of a film. Raises PlanError."""
    from deeplens_dof.batch.run import Batch
    from deeplens_dof.batch.sequence import FocusPull, InOrder, plan_film

    try:
        pull = FocusPull.parse(focus_pull) if focus_pull else None
    except ValueError as error:
        raise PlanError(f"--focus-pull: {error}") from None
    if pull and order.settings.focus != "subject":
        raise PlanError("--focus and --focus-pull both say what is sharp; leave one of them out")
    film = plan_film(inputs, out, order.depth, pull, [order.settings.shape])
    engine = InOrder(film, pull, terminal.say)
    with BatchProgress(terminal) as progress, Batch(order, progress, engine) as batch:
        records = batch.process(list(film.jobs.values()))
    progress.sum_up()
    return records


def _end(settings: Settings, records: list[Record], json_report: bool) -> NoReturn:
    """The report, and the exit code."""
    if json_report:
        photos = [record.report() for record in records]
        print(json.dumps({"settings": settings.as_dict(), "photos": photos}, indent=1))
    raise typer.Exit(1 if any(record.error for record in records) else 0)


def settings_of(values: dict[str, Any]) -> Settings:
    """Raises PlanError, which names the option, for what is beyond its limits."""
    try:
        return Settings(**values)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise PlanError(f"{_option_name(name)} {rest}") from None


def _engine(name: str, jobs: int | None, seconds: float | None, megabytes: float | None) -> Engine:
    """Locally in this process, unless there are to be several, or one that can be killed. Raises PlanError for an engine
    that is none, or is not installed.
    """
    from deeplens_dof.batch.engines import InProcess, InWorkers

    memory_bytes = None if megabytes is None else round(megabytes * 1e6)
    if name == "ray":
        from deeplens_dof.batch.ray_engine import OnRay

        return OnRay(jobs, seconds, memory_bytes)
    if name != "local":
        raise PlanError(f"--engine is {name!r}, expected local or ray")
    if (jobs or 1) == 1 and seconds is None and memory_bytes is None:
        return InProcess()
    try:
        return InWorkers(jobs or 1, seconds, memory_bytes)
    except ValueError as error:
        raise PlanError(str(error)) from None


def _check_resumable(found: Plan, resume: bool, watch: bool, lists: list[str]) -> None:
    for option, given in (("--resume", resume), ("--watch", watch)):
        if given and found.folder is None:
            raise PlanError(
                f"{option} needs a folder of results, where its manifest is; name it with -o FOLDER/"
            )
    if watch and any(is_remote(path) for job in found.jobs for path in (job.source, job.out)):
        raise PlanError("--watch looks at folders of this machine; say --resume now and then for a store")
    if watch and "-" in lists:
        raise PlanError("--watch looks again and again, and standard input can be read once; name folders")


def _with_settings(command: Any) -> Any:
    """The command with one option for every field of Settings, generated from the field's metadata."""
    parameters = [
        p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind != p.VAR_KEYWORD
    ]
    hints = dict(inspect.get_annotations(command, eval_str=True))
    for each in setting_fields():
        hints[each.name] = _option(each)
        parameters.append(
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
        )

    def generated(**values: Any) -> None:
        command(**values)

    generated.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    generated.__annotations__ = {k: v for k, v in hints.items() if k not in ("values", "return")}
    generated.__doc__ = command.__doc__
    return generated


def _option(setting: Field[Any]) -> Any:
    """The annotation that makes typer offer this setting; `Settings` itself checks the limits."""
    facts = setting.metadata
    limits = "" if facts["low"] is None else f" {facts['low']:g} to {facts['high']:g}."
    option = typer.Option(_option_name(setting.name), help=facts["help"] + limits, metavar=facts["metavar"])
    return Annotated[type(setting.default), option]


def _option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


blur_command = _with_settings(_blur)
