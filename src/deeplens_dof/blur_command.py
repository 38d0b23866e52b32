"""The command `deeplens blur`: its options, and what they set in motion."""

from __future__ import annotations

import inspect
import json
from dataclasses import Field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .jobs import PlanError
from .settings import Settings, setting_fields
from .terminal import BatchProgress, Terminal

if TYPE_CHECKING:
    from .batch import Engine
    from .jobs import Plan

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
Jobs = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Photos that are done at a time.")]
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
        metavar="auto|predict|FILE", help="Predict depth, or read a depth file (16-bit PNG, TIFF, EXR, npz)."
    ),
]
DepthOut = Annotated[Path | None, typer.Option(help="Also write the depth here (png, tiff, exr, npz).")]
Overlay = Annotated[
    Path | None, typer.Option(help="Also write what is in focus: green sharp, blue nearer, red farther.")
]
Strip = Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF (GPS too) and XMP out.")]
Report = Annotated[bool, typer.Option("--json", help="Print a report as JSON on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _blur(
    inputs: Inputs = None,
    out: Out = None,
    depth: Depth = "auto",
    depth_out: DepthOut = None,
    overlay: Overlay = None,
    strip_metadata: Strip = False,
    names_from: Lists = None,
    jobs: Jobs = 1,
    resume: Resume = False,
    shard: Shard = None,
    watch: Watch = False,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    json_report: Report = False,
    debug: Debug = False,
    **values: Any,
) -> None:
    """Give photos a shallow depth of field.

    Without -o a photo NAME.jpg becomes NAME-bokeh.jpg beside it.
    A folder needs -o, which becomes a folder of the same tree.
    Format, bit depth, colour profile, EXIF and XMP are kept.
    """
    from .batch import Batch
    from .inputs import named
    from .jobs import check_shape, parse_shard, plan, share
    from .one_job import Order
    from .watch import watch as keep_watch

    arguments, lists = inputs or [], names_from or []
    if not arguments and not lists:
        raise PlanError("Missing argument 'INPUT'; see deeplens blur --help")
    settings = _settings(values)
    check_shape(settings.shape)
    mine = parse_shard(shard) if shard else None

    def look() -> Plan:
        return plan(named(arguments, lists), out, depth, depth_out, overlay, [settings.shape])

    found = look()
    _check_resumable(found, resume, watch, lists)
    folder = found.folder if found.several or resume or watch else None
    todo = share(found.jobs, mine)
    engine = _engine(jobs if watch else min(jobs, len(todo)), time_limit, memory_limit)
    terminal = Terminal(debug)
    order = Order(settings, depth, strip_metadata)
    with (
        BatchProgress(terminal) as progress,
        Batch(order, progress, engine, folder, resume or watch, mine) as batch,
    ):
        if watch:
            keep_watch(look, lambda some: batch.do(share(some, mine)), terminal.say)
        records = batch.do(todo)
    progress.sum_up()
    if json_report:
        photos = [record.report() for record in records]
        print(json.dumps({"settings": settings.as_dict(), "photos": photos}, indent=1))
    raise typer.Exit(1 if any(record.error for record in records) else 0)


def _settings(values: dict[str, Any]) -> Settings:
    """Raises PlanError, which names the option, for what is beyond its limits."""
    try:
        return Settings(**values)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise PlanError(f"{_option_name(name)} {rest}") from None


def _engine(jobs: int, time_limit: float | None, memory_limit: float | None) -> Engine:
    """In this process, unless there are to be several, or one that can be killed."""
    from .batch import InProcess, InWorkers

    if jobs <= 1 and time_limit is None and memory_limit is None:
        return InProcess()
    try:
        return InWorkers(
            max(1, jobs), time_limit, None if memory_limit is None else round(memory_limit * 1e6)
        )
    except ValueError as error:
        raise PlanError(str(error)) from None


def _check_resumable(found: Plan, resume: bool, watch: bool, lists: list[str]) -> None:
    for option, given in (("--resume", resume), ("--watch", watch)):
        if given and found.folder is None:
            raise PlanError(
                f"{option} needs a folder of results, where its manifest is; name it with -o FOLDER/"
            )
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
