"""The command `deeplens train`. Imports of the extra `[learn]` happen when it runs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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
from deeplens_dof.cli.terminal import Terminal, format_duration
from deeplens_dof.runtime.errors import PlanError

NO_FRAMES = Path("none")
BAR_WIDTH = 20
LINE_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """The options of `deeplens train` as they were given, unchecked."""

    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A recipe of docs/training.md, such as depth-continue or lens-blur."
        ),
    ]
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run.", show_default="by recipe")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in that folder.")] = False
    init: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Initial weights: ONNX for depth, weights.pt for other recipes."),
    ] = None
    frames: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR|none",
            help="Frames or pairs made by `deeplens scenes`; repeatable. none: train on --rgbd alone.",
        ),
    ] = None
    held_out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pairs to validate with, made of other assets.")
    ] = None
    rgbd: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:DIR", help="Measured depth or masks to mix in; repeatable (docs/training.md)."
        ),
    ] = None
    rgbd_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of samples from --rgbd.")] = 0.3
    on_error: OnError = "refuse"
    threads: Threads = None
    stop_after: Annotated[
        int | None, typer.Option(min=0, help="Stop after this many iterations; --resume continues.")
    ] = None
    curves: Annotated[bool, typer.Option("--curves", help="Only draw the curves of an existing run.")] = False
    debug: Debug = False


def _train(arguments: TrainArguments) -> None:
    """Train a network by a recipe.

    A run can be stopped at any time, with Ctrl-C too, and continued with --resume.
    """
    terminal = Terminal(arguments.debug)
    terminal.stage(f"{arguments.recipe}: loading torch")
    with learn_extra("train"):
        from deeplens_dof.datasets.cache import cache_folder
        from deeplens_dof.learn.training.curves import held_out_scores, write_curves
    _check_recipe(arguments)
    folder = arguments.out or cache_folder() / "runs" / arguments.recipe
    terminal.stage(f"{arguments.recipe} in {folder}: reading data and weights")

    def work() -> None:
        if not arguments.curves:
            try:
                weights = _run_recipe(arguments, folder, terminal)
            except KeyboardInterrupt:
                write_curves(folder)
                raise
            stopped = f"{folder} is kept; go on with --resume"
            for line in held_out_scores(folder):
                terminal.done(line)
            terminal.done(stopped if weights is None else f"weights are in {weights}")
        terminal.done(f"curves are in {write_curves(folder)}")

    finish(terminal.guard(str(folder), work))


def _check_recipe(arguments: TrainArguments) -> None:
    """Raise PlanError if there is no such recipe, or if an option does not go with it."""
    error_policy(arguments.on_error)
    with learn_extra("train"):
        from deeplens_dof.learn.training.depth_recipes import DEPTH_RECIPES
        from deeplens_dof.learn.training.recipes import RECIPES
    recipe = arguments.recipe
    if recipe not in RECIPES:
        raise PlanError(f"there is no recipe {recipe!r}; the recipes are {', '.join(RECIPES)}")
    if recipe not in DEPTH_RECIPES and arguments.rgbd:
        raise PlanError(f"--rgbd goes with the recipes of depth; {recipe} learns from pairs (--frames DIR)")
    if NO_FRAMES in (arguments.frames or ()) and (arguments.frames != [NO_FRAMES] or not arguments.rgbd):
        raise PlanError(
            "--frames none trains on --rgbd alone; name at least one with --rgbd DIR, and no other frames"
        )


def _run_recipe(arguments: TrainArguments, folder: Path, terminal: Terminal) -> Path | None:
    """Train; the path of the weights, or None if the run was stopped before its end."""
    with learn_extra("train"):
        from deeplens_dof.datasets.folder import open_folder
        from deeplens_dof.learn.training.recipes import train
        from deeplens_dof.learn.training.trainer import TrainingData

    policy = error_policy(arguments.on_error)
    measured = [open_folder(name, policy, terminal.done, for_training=True) for name in arguments.rgbd or ()]
    return train(
        arguments.recipe,
        TrainingData(
            None if arguments.frames == [NO_FRAMES] else arguments.frames or (),
            arguments.held_out,
            measured,
            arguments.rgbd_share,
        ),
        folder,
        arguments.resume,
        arguments.init,
        arguments.stop_after,
        arguments.threads,
        _Pace(terminal).show,
    )


class _Pace:
    """Shows the progress of a run: on a terminal a bar with losses and time left, in a pipe a line a minute."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._seconds: float | None = None  # per iteration, smoothed
        self._told = -math.inf

    def show(self, done: int, total: int, last: dict[str, float]) -> None:
        seconds = last["s"] if self._seconds is None else 0.95 * self._seconds + 0.05 * last["s"]
        self._seconds = seconds
        losses = ", ".join(f"{name} {value:.3f}" for name, value in last.items() if name != "s")
        left = format_duration((total - done) * seconds)
        filled = BAR_WIDTH * done // total
        text = f"{done} of {total}, {left} left, {seconds:.2f} s each: {losses}"
        if self.terminal.on_terminal:
            self.terminal.stage(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}")
        elif time.monotonic() - self._told > LINE_EVERY_S:
            self._told = time.monotonic()
            self.terminal.done(f"iteration {text}")


train_command = command_of(TrainArguments, _train)
