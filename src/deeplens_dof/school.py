"""The commands of those who train and measure: `deeplens scenes`, `train`, `evaluate`.

What they need of the extra `[learn]` is imported when they run; where it is missing, that is said in one sentence.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.terminal import Terminal

BOKEH = ("blb", "ebb400", "realbokeh", "synthetic", "pairs", "traced")  # benchmarks of `evaluate`
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
OnError = Annotated[
    str,
    typer.Option(
        metavar="skip|refuse", help="What becomes of broken and foreign files: named, and left or refused."
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of one step; without it, one a core.")]

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


def scenes_command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for them.")],
    count: Annotated[int, typer.Option(min=1, help="How many the folder is to hold.")],
    seed: Annotated[int, typer.Option(min=0, help="The frames depend on it and their number alone.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 1,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Composed pairs for the lens blur: sharp, depth and true bokeh.")
    ] = False,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Pairs of assets that are never trained on, to test with.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Draw synthetic scenes with exact depth, to train on or to test with. What is there already is kept."""
    if held_out and not pairs:
        raise PlanError("--held-out goes with --pairs; frames are held out by the training itself")
    terminal, started = Terminal(debug), time.monotonic()
    what = "pairs" if pairs else "frames"

    def progress(done: int) -> None:
        terminal.stage(f"{done} of {count} {what}, {_spell(time.monotonic() - started)}")

    def work() -> None:
        try:
            with _learned("scenes"):
                if pairs:
                    from deeplens_dof.learn.scenes.pairs import make_pairs

                    made = make_pairs(out, count, seed, workers, held_out, progress)
                else:
                    from deeplens_dof.learn.scenes.generate import make_scenes

                    made = make_scenes(out, count, seed, workers, progress)
        except RuntimeError as error:  # assets or OpenGL are missing, which its sentence says
            raise OSError(str(error)) from error
        terminal.done(f"{out}: {made['made']} {what} made, {made['kept']} kept")

    _end(terminal.guard(str(out), work))


def train_command(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="One of docs/training.md, such as depth-continue or lens-blur."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder.", show_default="by recipe")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    init: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What to start from: ONNX of depth, weights.pt of others."),
    ] = None,
    frames: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Frames or pairs of `deeplens scenes`; may be repeated."),
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pairs to validate with, of other assets.")
    ] = None,
    rgbd: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:DIR",
            help="Measured depth, or masks, to mix in; may be repeated (docs/training.md).",
        ),
    ] = None,
    rgbd_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Their part of the samples.")] = 0.3,
    on_error: OnError = "refuse",
    threads: Threads = None,
    stop_after: Annotated[
        int | None, typer.Option(min=0, help="Iterations after which to stop; go on later.")
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Only draw the curves of the run as it stands.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Train a network by a recipe. Stopped at any moment (Ctrl-C too), a run goes on with --resume."""
    policy = _policy(on_error)
    with _learned("train"):
        from deeplens_dof.datasets.cache import cache_folder
        from deeplens_dof.datasets.folder import open_folder
        from deeplens_dof.learn import blur_loop, light_loop, loop
        from deeplens_dof.learn.blur_recipes import BLUR_RECIPES
        from deeplens_dof.learn.curves import write_curves
        from deeplens_dof.learn.recipes import RECIPES
    from_pairs = dict.fromkeys(BLUR_RECIPES, blur_loop.train_blur) | dict.fromkeys(
        light_loop.LIGHT_RECIPES, light_loop.train_light
    )
    if recipe not in RECIPES and recipe not in from_pairs:
        known = ", ".join((*RECIPES, *from_pairs))
        raise PlanError(f"there is no recipe {recipe!r}; the recipes are {known}")
    if recipe in from_pairs and rgbd:
        raise PlanError(f"--rgbd goes with the recipes of depth; {recipe} learns from pairs (--frames DIR)")
    folder = out or cache_folder() / "runs" / recipe
    terminal = Terminal(debug)
    pace = _Pace(terminal).tell

    def trained() -> Path | None:
        if recipe in from_pairs:
            pairs = cache_folder() / "pairs"
            given = frames or [pairs / "train"]
            if recipe in light_loop.LIGHT_RECIPES and not frames:
                given.append(cache_folder() / "scenes" / "train")
            return from_pairs[recipe](
                recipe, given, held_out or pairs / "held_out", folder, resume, init,
                stop_after, threads, pace,
            )  # fmt: skip
        measured = [open_folder(named, policy, terminal.done, for_training=True) for named in rgbd or ()]
        sources = frames or [cache_folder() / "scenes" / "train"]
        return loop.train(
            recipe, sources, folder, resume, init, stop_after, threads, measured, rgbd_share, pace
        )  # fmt: skip

    def work() -> None:
        if not curves:
            try:
                weights = trained()
            except KeyboardInterrupt:
                write_curves(folder)
                raise
            kept = (
                f"{folder} is kept; go on with --resume" if weights is None else f"weights are in {weights}"
            )
            terminal.done(kept)
        terminal.done(f"curves are in {write_curves(folder)}")

    _end(terminal.guard(str(folder), work))


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
    policy = _policy(on_error)
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
        with _learned("evaluate"):
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

    _end(terminal.guard(f"evaluate {benchmark}", work))


def _teacher() -> Any:
    from deeplens_dof.learn.scenes.pictures import SubjectTeacher

    return SubjectTeacher()


def _renderers(asked: list[str] | None) -> list[str]:
    """Each once; all there are where none is asked for."""
    from deeplens_dof.evaluate.bokeh.measure import renderer_names

    for name in asked or ():
        if name not in renderer_names():
            raise PlanError(f"there is no renderer {name!r}; there are: {', '.join(renderer_names())}")
    return list(dict.fromkeys(asked or renderer_names()))


def _bokeh_source(name: str, folders: list[str], tell: Callable[[str], None]) -> tuple[Any, Path]:
    """The benchmark of that name and its folder; the synthetic one is made where none is named."""
    from deeplens_dof.evaluate.bokeh.score import BENCHMARKS

    if len(folders) != 1 and not (name == "synthetic" and not folders):
        raise PlanError(f"evaluate {name} takes one folder, {len(folders)} came; name its folder")
    if folders:
        return BENCHMARKS[name], Path(folders[0]).expanduser()
    with _learned("evaluate"):
        from deeplens_dof.learn.scenes.pairs import synthetic_folder

    return BENCHMARKS[name], synthetic_folder(tell)


class _Pace:
    """Progress of a training on one line: the iteration, the losses and how long it will take."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._seconds: float | None = None  # an iteration, smoothed

    def tell(self, done: int, of: int, last: dict[str, float]) -> None:
        seconds = last["s"] if self._seconds is None else 0.95 * self._seconds + 0.05 * last["s"]
        self._seconds = seconds
        losses = ", ".join(f"{name} {value:.3f}" for name, value in last.items() if name != "s")
        left = _spell((of - done) * seconds)
        self.terminal.stage(f"iteration {done} of {of}: {losses}; {seconds:.2f} s each, {left} to go")


def _spell(seconds: float) -> str:
    """A duration as one reads it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _policy(on_error: str) -> Any:
    if on_error not in ("skip", "refuse"):
        raise PlanError(f"--on-error is {on_error!r}, expected skip or refuse")
    return on_error


@contextmanager
def _learned(command: str) -> Iterator[None]:
    """Imports of what the extra [learn] brings. Raises PlanError, one sentence, where it is missing."""
    try:
        yield
    except ImportError as error:
        if error.name and error.name.split(".")[0] == __package__:
            raise
        raise PlanError(
            f"deeplens {command} needs {error.name or error}, which is not installed; run "
            "pip install 'deeplens-dof[learn]'"
        ) from error


def _end(problem: str | None) -> None:
    raise typer.Exit(0 if problem is None else 1)
