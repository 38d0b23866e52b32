"""The command `deeplens evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from deeplens_dof.cli.options import Debug, OnError, Threads, end, learned, policy_of
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.runtime.errors import PlanError

BOKEH = ("blb", "ebb400", "realbokeh", "synthetic", "pairs", "traced")  # benchmarks of `evaluate`

Renderers = Annotated[
    list[str] | None,
    typer.Option(
        "--renderer",
        metavar="NAME",
        help="Bokeh: what renders, or none for the input; may be repeated.",
        show_default="all there are",
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Bokeh: write the scores of each picture here as they come."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Bokeh: leave out what the file of --csv has already.")
]
LpipsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Bokeh: measure LPIPS with this ONNX network of yours.")
]


def evaluate_command(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="What to score: depth; or bokeh: blb, ebb400, realbokeh, synthetic, pairs, traced.",
        ),
    ],
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Its folder. Depth: DIR or KIND:DIR, several; without any, the real photos.",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write every score here.")
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write the tables here.")
    ] = None,
    renderers: Renderers = None,
    csv_file: CsvFile = None,
    resume: Resume = False,
    lpips: LpipsFile = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Depth: score this ONNX network instead.")
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Depth: more photos for the matte; may be repeated."),
    ] = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="Depth: score every stage of the prediction.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Samples of a folder at most, spread evenly.")
    ] = None,
    on_error: OnError = "skip",
    threads: Threads = None,
    debug: Debug = False,
) -> None:
    """Score depth and matte against what was measured, or renderers against true bokeh. Prints Markdown."""
    if benchmark not in ("depth", *BOKEH):
        raise PlanError(
            f"there is no benchmark {benchmark!r}; the benchmarks are: {', '.join(('depth', *BOKEH))}"
        )
    policy = policy_of(on_error)
    of_depth = {"--model": model, "--photos": photos, "--stages": stages}
    of_bokeh = {"--renderer": renderers, "--csv": csv_file, "--resume": resume, "--lpips": lpips}
    for option, value in (of_bokeh if benchmark == "depth" else of_depth).items():
        if value:
            raise PlanError(f"{option} does not go with {benchmark}")
    if resume and csv_file is None:
        raise PlanError("--resume goes on with the file of --csv; name it")
    terminal = Terminal(debug)

    def tell(text: str) -> None:
        (terminal.done if text.startswith("skipped") else terminal.stage)(text)

    def scored_depth() -> tuple[dict[str, Any], str]:
        with learned("evaluate"):
            from deeplens_dof.evaluate.depth.report import markdown
            from deeplens_dof.evaluate.depth.score import DepthOptions, score_depth
            from deeplens_dof.models import MODELS, candidate

        network = candidate(model) if model else MODELS["depth"]
        report = score_depth(
            DepthOptions(network, folders or (), photos or (), stages, limit, threads, policy, tell, _teacher)
        )
        return report, markdown(report)

    def scored_bokeh() -> tuple[dict[str, Any], str]:
        from deeplens_dof.evaluate.bokeh.report import bokeh_markdown
        from deeplens_dof.evaluate.bokeh.score import BokehOptions, score_bokeh

        names = _renderers(renderers)
        source, folder = _bokeh_source(benchmark, folders or [], tell)
        wanted = BokehOptions(names, csv_file, resume, lpips, limit, policy, threads, tell)
        report = score_bokeh(source, folder, wanted)
        return report, bokeh_markdown(report)

    def work() -> None:
        from deeplens_dof.runtime.atomic_write import write_atomically

        report, text = scored_depth() if benchmark == "depth" else scored_bokeh()
        terminal.stage("")
        print(text, end="")
        for path, content in ((json_file, json.dumps(report, indent=1) + "\n"), (report_file, text)):
            if path:
                write_atomically(path, lambda file, content=content: file.write(content.encode()))  # type: ignore[misc]

    end(terminal.guard(f"evaluate {benchmark}", work))


def _teacher() -> Any:
    from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher

    return SubjectTeacher()


def _renderers(asked: list[str] | None) -> list[str]:
    """Each once; all there are where none is asked for."""
    from deeplens_dof.evaluate.bokeh.measure import is_renderer, renderer_names

    for name in asked or ():
        if not is_renderer(name):
            raise PlanError(f"there is no renderer {name!r}; there are: {', '.join(renderer_names())}")
    return list(dict.fromkeys(asked or renderer_names()))


def _bokeh_source(name: str, folders: list[str], tell: Callable[[str], None]) -> tuple[Any, Path]:
    """The benchmark of that name and its folder; the synthetic one is made where none is named."""
    from deeplens_dof.evaluate.bokeh.score import BENCHMARKS

    if len(folders) != 1 and not (name == "synthetic" and not folders):
        raise PlanError(f"evaluate {name} takes one folder, {len(folders)} came; name its folder")
    if folders:
        return BENCHMARKS[name], Path(folders[0]).expanduser()
    with learned("evaluate"):
        from deeplens_dof.learn.scenes.composites.pairs import synthetic_folder

    return BENCHMARKS[name], synthetic_folder(tell)
