"""The command `deeplens evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from deeplens_dof.cli.options import (
    Debug,
    OnError,
    Threads,
    command_of,
    error_policy,
    finish,
    learn_extra,
)
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.runtime.errors import PlanError

Report = dict[str, Any]

BOKEH = ("blb", "ebb400", "realbokeh", "synthetic", "pairs", "traced")
BENCHMARKS = ("depth", *BOKEH)

_DEPTH_PANEL, _BOKEH_PANEL = "Depth", "Bokeh"


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """The options of `deeplens evaluate` as they were given, unchecked."""

    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help=f"depth, or a bokeh benchmark: {', '.join(BOKEH)}.")
    ]
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Data of the benchmark. Depth takes several, as DIR or KIND:DIR; without any, the real photos.",
            show_default=False,
        ),
    ] = None
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all scores to this file.")
    ] = None
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write the tables to this file.")
    ] = None
    renderers: Annotated[
        list[str] | None,
        typer.Option(
            "--renderer",
            metavar="NAME",
            help="Renderer to score, or none for the unblurred input; repeatable.",
            show_default="all",
            rich_help_panel=_BOKEH_PANEL,
        ),
    ] = None
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write each picture's scores to this file as they come.",
            rich_help_panel=_BOKEH_PANEL,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Skip pictures that --csv already has.", rich_help_panel=_BOKEH_PANEL),
    ] = False
    lpips: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also measure LPIPS, with this ONNX network of your own.",
            rich_help_panel=_BOKEH_PANEL,
        ),
    ] = None
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score this ONNX network instead.", rich_help_panel=_DEPTH_PANEL),
    ] = None
    photos: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Further photos to score mattes on; repeatable.", rich_help_panel=_DEPTH_PANEL
        ),
    ] = None
    stages: Annotated[
        bool,
        typer.Option("--stages", help="Score every stage of the prediction.", rich_help_panel=_DEPTH_PANEL),
    ] = False
    limit: Annotated[
        int | None, typer.Option(min=1, help="Largest number of samples per folder, spread evenly.")
    ] = None
    on_error: OnError = "skip"
    threads: Threads = None
    debug: Debug = False


def _evaluate(arguments: EvaluateArguments) -> None:
    """Score depth and matte against measurements, or renderers against real bokeh.

    Prints tables in Markdown.
    """
    _check(arguments)
    terminal = Terminal(arguments.debug)
    score = _score_depth if arguments.benchmark == "depth" else _score_bokeh

    def tell(text: str) -> None:
        (terminal.done if text.startswith("skipped") else terminal.stage)(text)

    def work() -> None:
        report, tables = score(arguments, tell)
        terminal.stage("")
        print(tables, end="")
        _write(arguments.json_file, json.dumps(report, indent=1) + "\n")
        _write(arguments.report_file, tables)

    finish(terminal.guard(f"evaluate {arguments.benchmark}", work))


def _check(arguments: EvaluateArguments) -> None:
    """Raise PlanError if there is no such benchmark, or if an option does not go with it."""
    benchmark = arguments.benchmark
    if benchmark not in BENCHMARKS:
        raise PlanError(f"there is no benchmark {benchmark!r}; the benchmarks are: {', '.join(BENCHMARKS)}")
    error_policy(arguments.on_error)
    for_depth = {"--model": arguments.model, "--photos": arguments.photos, "--stages": arguments.stages}
    for_bokeh = {
        "--renderer": arguments.renderers,
        "--csv": arguments.csv_file,
        "--resume": arguments.resume,
        "--lpips": arguments.lpips,
    }
    for option, value in (for_bokeh if benchmark == "depth" else for_depth).items():
        if value:
            raise PlanError(f"{option} does not go with {benchmark}")
    if arguments.resume and arguments.csv_file is None:
        raise PlanError("--resume continues the file of --csv; name it")


def _score_depth(arguments: EvaluateArguments, tell: Callable[[str], None]) -> tuple[Report, str]:
    """The report and its tables."""
    with learn_extra("evaluate"):
        from deeplens_dof.evaluate.depth.report import markdown
        from deeplens_dof.evaluate.depth.score import DepthOptions, score_depth
        from deeplens_dof.models import MODELS, candidate

    request = DepthOptions(
        model=candidate(arguments.model) if arguments.model else MODELS["depth"],
        folders=arguments.folders or (),
        photos=arguments.photos or (),
        every_stage=arguments.stages,
        limit=arguments.limit,
        threads=arguments.threads,
        on_error=error_policy(arguments.on_error),
        tell=tell,
        teacher=_teacher,
    )
    report = score_depth(request)
    return report, markdown(report)


def _score_bokeh(arguments: EvaluateArguments, tell: Callable[[str], None]) -> tuple[Report, str]:
    """The report and its tables."""
    from deeplens_dof.evaluate.bokeh.report import bokeh_markdown
    from deeplens_dof.evaluate.bokeh.score import BokehOptions, score_bokeh

    request = BokehOptions(
        renderers=_renderers(arguments.renderers),
        csv_file=arguments.csv_file,
        resume=arguments.resume,
        lpips=arguments.lpips,
        limit=arguments.limit,
        on_error=error_policy(arguments.on_error),
        threads=arguments.threads,
        tell=tell,
    )
    source, folder = _bokeh_source(arguments.benchmark, arguments.folders or [], tell)
    report = score_bokeh(source, folder, request)
    return report, bokeh_markdown(report)


def _write(path: Path | None, text: str) -> None:
    from deeplens_dof.runtime.atomic_write import write_atomically

    if path:
        write_atomically(path, lambda file: file.write(text.encode()))


def _teacher() -> Any:
    from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher

    return SubjectTeacher()


def _renderers(names: list[str] | None) -> list[str]:
    """The named renderers, each once; all renderers if none is named. Raises PlanError for an unknown name."""
    from deeplens_dof.evaluate.bokeh.measure import is_renderer, renderer_names

    known = renderer_names()
    for name in names or ():
        if not is_renderer(name):
            raise PlanError(f"there is no renderer {name!r}; there are: {', '.join(known)}")
    return list(dict.fromkeys(names or known))


def _bokeh_source(name: str, folders: list[str], tell: Callable[[str], None]) -> tuple[Any, Path]:
    """The benchmark and its folder. The data of `synthetic` is generated if no folder is named."""
    from deeplens_dof.evaluate.bokeh.score import BENCHMARKS as SOURCES

    if len(folders) != 1 and not (name == "synthetic" and not folders):
        raise PlanError(f"evaluate {name} takes one folder, {len(folders)} were given; name its folder")
    if folders:
        return SOURCES[name], Path(folders[0]).expanduser()
    with learn_extra("evaluate"):
        from deeplens_dof.learn.scenes.composites.pairs import synthetic_folder

    return SOURCES[name], synthetic_folder(tell)


evaluate_command = command_of(EvaluateArguments, _evaluate)
