"""The command `deeplens scenes`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from deeplens_dof.cli.options import Debug, finish, learn_extra
from deeplens_dof.cli.terminal import Terminal, format_duration
from deeplens_dof.runtime.errors import PlanError


def scenes_command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    count: Annotated[int, typer.Option(min=1, help="Number of scenes the folder should hold.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed; a scene depends on it and on its number only.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes to draw in.")] = 1,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Make composed pairs of sharp picture, depth and exact bokeh.")
    ] = False,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Make pairs from assets never used for training, for testing.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Draw synthetic scenes with exact depth, for training and testing. Existing scenes are kept."""
    if held_out and not pairs:
        raise PlanError("--held-out goes with --pairs; frames are held out by the training itself")
    terminal, started = Terminal(debug), time.monotonic()
    kind = "pairs" if pairs else "frames"

    def progress(done: int) -> None:
        terminal.stage(f"{done} of {count} {kind}, {format_duration(time.monotonic() - started)}")

    def work() -> None:
        try:
            with learn_extra("scenes"):
                if pairs:
                    from deeplens_dof.learn.scenes.composites.pairs import make_pairs

                    made = make_pairs(out, count, seed, workers, held_out, progress)
                else:
                    from deeplens_dof.learn.scenes.generate import make_scenes

                    made = make_scenes(out, count, seed, workers, progress)
        except RuntimeError as error:  # missing assets or OpenGL; the message says which
            raise OSError(str(error)) from error
        terminal.done(f"{out}: {made['made']} {kind} made, {made['kept']} kept")

    finish(terminal.guard(str(out), work))
