"""The command `deeplens train`.

What it needs of the extra `[learn]` is imported when it runs; where it is missing, that is said in one sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deeplens_dof.cli.options import Debug, OnError, Threads, end, learned, policy_of, spell
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.runtime.errors import PlanError


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
    policy = policy_of(on_error)
    with learned("train"):
        from deeplens_dof.datasets.cache import cache_folder
        from deeplens_dof.datasets.folder import open_folder
        from deeplens_dof.learn.training.curves import write_curves
        from deeplens_dof.learn.training.depth_recipes import DEPTH_RECIPES
        from deeplens_dof.learn.training.recipes import RECIPES, train
        from deeplens_dof.learn.training.trainer import TrainingData
    if recipe not in RECIPES:
        raise PlanError(f"there is no recipe {recipe!r}; the recipes are {', '.join(RECIPES)}")
    if recipe not in DEPTH_RECIPES and rgbd:
        raise PlanError(f"--rgbd goes with the recipes of depth; {recipe} learns from pairs (--frames DIR)")
    folder = out or cache_folder() / "runs" / recipe
    terminal = Terminal(debug)
    pace = _Pace(terminal).tell

    def trained() -> Path | None:
        measured = [open_folder(named, policy, terminal.done, for_training=True) for named in rgbd or ()]
        data = TrainingData(frames or (), held_out, measured, rgbd_share)
        return train(recipe, data, folder, resume, init, stop_after, threads, pace)

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

    end(terminal.guard(str(folder), work))


class _Pace:
    """Progress of a training on one line: the iteration, the losses and how long it will take."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._seconds: float | None = None  # an iteration, smoothed

    def tell(self, done: int, of: int, last: dict[str, float]) -> None:
        seconds = last["s"] if self._seconds is None else 0.95 * self._seconds + 0.05 * last["s"]
        self._seconds = seconds
        losses = ", ".join(f"{name} {value:.3f}" for name, value in last.items() if name != "s")
        left = spell((of - done) * seconds)
        self.terminal.stage(f"iteration {done} of {of}: {losses}; {seconds:.2f} s each, {left} to go")
