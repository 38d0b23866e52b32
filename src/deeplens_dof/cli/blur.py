"""The command `deeplens blur`."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import Field
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deeplens_dof.batch.storage import is_remote
from deeplens_dof.cli.blur_arguments import BlurArguments
from deeplens_dof.cli.options import command_of
from deeplens_dof.cli.standard_files import check_standard_streams, standard_files, uses_standard_streams
from deeplens_dof.cli.terminal import BatchProgress, Terminal
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Settings, setting_fields

if TYPE_CHECKING:
    from deeplens_dof.batch.engines import Engine
    from deeplens_dof.batch.jobs import Input, Plan
    from deeplens_dof.batch.manifest import Record
    from deeplens_dof.batch.process import JobOptions


def _blur(arguments: BlurArguments, context: typer.Context, **values: Any) -> None:
    """Give photos a shallow depth of field.

    Without -o, NAME.jpg becomes NAME-bokeh.jpg beside it. A folder needs -o; its tree is mirrored in OUT.
    Format, bit depth, colour profile, EXIF and XMP are kept.
    Without --f-number, a phone photo uses the f-number the phone simulated.
    """
    from deeplens_dof.batch.process import JobOptions

    if not arguments.inputs and not arguments.names_from:
        raise PlanError("Missing argument 'INPUT'; see deeplens blur --help")
    check_standard_streams(arguments)
    settings = settings_of(values)
    _check_aperture(settings)
    options = JobOptions(
        settings,
        arguments.depth,
        arguments.strip_metadata,
        arguments.embed_depth,
        f_number_as_shot=_is_default(context, "f_number"),
        allow_truncated=arguments.allow_truncated,
        quality=arguments.quality,
        keep_time=arguments.keep_time,
        far_is_bright=arguments.far_is_bright,
    )
    if uses_standard_streams(arguments):
        with standard_files(arguments) as (staged, names):
            records = _process_batch(staged, options, Terminal(arguments.debug, names))
    else:
        process = _process_sequence if arguments.sequence else _process_batch
        records = process(arguments, options, Terminal(arguments.debug))
    _finish(settings, records, arguments.json_report)


def _process_batch(arguments: BlurArguments, options: JobOptions, terminal: Terminal) -> list[Record]:
    from deeplens_dof.batch.jobs import parse_shard, share
    from deeplens_dof.batch.run import Batch
    from deeplens_dof.batch.watch import watch

    if arguments.focus_pull:
        raise PlanError("--focus-pull goes with --sequence; for one photo use --focus X,Y")
    shard = parse_shard(arguments.shard) if arguments.shard else None
    planned = _plan(arguments, options)
    _check_resumable(arguments, planned)
    resume = arguments.resume or arguments.watch
    folder = planned.folder if planned.several or resume else None
    jobs = share(planned.jobs, shard)
    with (
        BatchProgress(terminal) as progress,
        Batch(options, progress, _engine(arguments, len(jobs)), folder, resume, shard) as batch,
    ):
        if arguments.watch:
            watch(
                lambda: _plan(arguments, options), lambda new: batch.process(share(new, shard)), terminal.say
            )
        records = batch.process(jobs)
    progress.sum_up()
    return records


def _process_sequence(arguments: BlurArguments, options: JobOptions, terminal: Terminal) -> list[Record]:
    from deeplens_dof.batch.run import Batch
    from deeplens_dof.batch.sequence import FocusPull, InOrder, plan_film

    _check_sequence(arguments)
    try:
        pull = FocusPull.parse(arguments.focus_pull) if arguments.focus_pull else None
    except ValueError as error:
        raise PlanError(f"--focus-pull: {error}") from None
    if options.settings.focus == "faces":
        raise PlanError(
            "--focus faces does not go with --sequence, which follows one thing; use --focus face"
        )
    if pull and options.settings.focus != "subject":
        raise PlanError("--focus and --focus-pull both set the focus; leave one of them out")
    film = plan_film(_inputs(arguments), arguments.out, options.depth, pull, [options.settings.shape])
    engine = InOrder(film, pull, terminal.say)
    with BatchProgress(terminal) as progress, Batch(options, progress, engine) as batch:
        records = batch.process(list(film.jobs.values()))
    progress.sum_up()
    return records


def _inputs(arguments: BlurArguments) -> list[Input]:
    from deeplens_dof.batch.inputs import expand_inputs

    return expand_inputs(arguments.inputs or [], arguments.names_from or [], arguments.exclude or [])


def _plan(arguments: BlurArguments, options: JobOptions) -> Plan:
    from deeplens_dof.batch.jobs import plan

    files = (arguments.depth_out, arguments.overlay)
    shape, exclude = [options.settings.shape], arguments.exclude or []
    return plan(_inputs(arguments), arguments.out, options.depth, *files, shape, exclude)


def _engine(arguments: BlurArguments, job_count: int) -> Engine:
    """The engine for so many jobs: this process, unless several processes or limits are asked for. Raises PlanError."""
    from deeplens_dof.batch.engines import InProcess, InWorkers

    jobs, seconds, megabytes = arguments.jobs, arguments.time_limit, arguments.memory_limit
    if jobs and not arguments.watch:
        jobs = min(jobs, max(1, job_count))
    memory_bytes = None if megabytes is None else round(megabytes * 1e6)
    if arguments.engine_name == "ray":
        from deeplens_dof.batch.ray_engine import OnRay

        return OnRay(jobs, seconds, memory_bytes)
    if arguments.engine_name != "local":
        raise PlanError(f"--engine is {arguments.engine_name!r}, expected local or ray")
    if (jobs or 1) == 1 and seconds is None and memory_bytes is None:
        return InProcess()
    try:
        return InWorkers(jobs or 1, seconds, memory_bytes)
    except ValueError as error:
        raise PlanError(str(error)) from None


def _check_resumable(arguments: BlurArguments, planned: Plan) -> None:
    """Raise PlanError if --resume or --watch is given where it cannot work."""
    for option, given in (("--resume", arguments.resume), ("--watch", arguments.watch)):
        if given and planned.folder is None:
            raise PlanError(
                f"{option} needs a folder of results, which holds the manifest; name it with -o FOLDER/"
            )
    if not arguments.watch:
        return
    if any(is_remote(path) for job in planned.jobs for path in (job.source, job.out)):
        raise PlanError("--watch looks at folders of this machine; for remote folders run --resume regularly")
    if "-" in (arguments.names_from or []):
        raise PlanError("--watch scans repeatedly, but standard input can be read once; name folders")


def _check_sequence(arguments: BlurArguments) -> None:
    """Raise PlanError if an option does not go with --sequence."""
    excluded = {
        "--depth-out": arguments.depth_out,
        "--embed-depth": arguments.embed_depth,
        "--overlay": arguments.overlay,
        "--jobs": (arguments.jobs or 1) > 1,
        "--engine": arguments.engine_name != "local",
        "--resume": arguments.resume,
        "--shard": arguments.shard,
        "--watch": arguments.watch,
        "--time-limit": arguments.time_limit,
        "--memory-limit": arguments.memory_limit,
    }
    if given := [option for option, value in excluded.items() if value]:
        raise PlanError(
            f"{given[0]} does not go with --sequence, which processes frames in order; leave it out"
        )


def _check_aperture(settings: Settings) -> None:
    """Read the picture of an aperture, once for all photos. Raises PlanError if it cannot be used."""
    if settings.shape_file:
        from deeplens_dof.photo.aperture_picture import aperture_of

        try:
            aperture_of(settings)
        except (ValueError, OSError) as error:
            raise PlanError(f"--shape: {error}") from None


def _finish(settings: Settings, records: list[Record], json_report: bool) -> NoReturn:
    """Print the report if asked for, and end with the exit code."""
    if json_report:
        photos = [record.report() for record in records]
        print(json.dumps({"settings": settings.as_dict(), "photos": photos}, indent=1))
    raise typer.Exit(1 if any(record.error for record in records) else 0)


def _is_default(context: typer.Context, parameter: str) -> bool:
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "DEFAULT"


def settings_of(values: dict[str, Any]) -> Settings:
    """The settings with these values. Raises PlanError, which names the option, for a value outside its limits."""
    try:
        return Settings(**values)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise PlanError(f"{_option_name(name)} {rest}") from None


def _setting_parameter(setting: Field[Any]) -> inspect.Parameter:
    """The option of a setting, generated from its metadata; `Settings` checks the limits."""
    facts = setting.metadata
    limits = "" if facts["low"] is None else f" {facts['low']:g} to {facts['high']:g}."
    option = typer.Option(
        _option_name(setting.name),
        help=facts["help"] + limits,
        metavar=facts["metavar"],
        rich_help_panel=facts["group"],
        parser=_f_number if facts["unit"] == "f/" else None,
    )
    annotation: Any = Annotated[type(setting.default), option]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, kind, default=setting.default, annotation=annotation)


def _f_number(text: str) -> float:
    """The number in 1.8, f/1.8 or F1.8. Raises PlanError for anything else."""
    number = re.fullmatch(r"\s*(?:[fFƒ]\s*/?)?\s*([0-9.]+)\s*", str(text))
    try:
        return float(number[1] if number else text)
    except ValueError:
        raise PlanError(f"--f-number is {text!r}, expected a number such as 1.8 or f/1.8") from None


def _option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
blur_command = command_of(
    BlurArguments, _blur, [_CONTEXT, *(_setting_parameter(setting) for setting in setting_fields())]
)
