"""The command `deeplens scenes`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from deeplens_dof.cli.options import Debug, end, learned, spell
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.runtime.errors import PlanError


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
        terminal.stage(f"{done} of {count} {what}, {spell(time.monotonic() - started)}")

    def work() -> None:
        try:
            with learned("scenes"):
                if pairs:
                    from deeplens_dof.learn.scenes.composites.pairs import make_pairs

                    made = make_pairs(out, count, seed, workers, held_out, progress)
                else:
                    from deeplens_dof.learn.scenes.generate import make_scenes

                    made = make_scenes(out, count, seed, workers, progress)
        except RuntimeError as error:  # assets or OpenGL are missing, which its sentence says
            raise OSError(str(error)) from error
        terminal.done(f"{out}: {made['made']} {what} made, {made['kept']} kept")

    end(terminal.guard(str(out), work))
