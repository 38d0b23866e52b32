"""Options and checks that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Settings


def check_shape(settings: Settings) -> None:
    """Reads the picture of an aperture, once for all photos. Raises PlanError when it cannot be used."""
    if settings.shape_file:
        from deeplens_dof.pipeline import aperture_of

        try:
            aperture_of(settings)
        except (ValueError, OSError) as error:
            raise PlanError(f"--shape: {error}") from None


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
OnError = Annotated[
    str,
    typer.Option(
        metavar="skip|refuse", help="What becomes of broken and foreign files: named, and left or refused."
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of one step; without it, one a core.")]


def spell(seconds: float) -> str:
    """A duration as one reads it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def policy_of(on_error: str) -> Any:
    """What becomes of broken files, "skip" or "refuse". Raises PlanError for another word."""
    if on_error not in ("skip", "refuse"):
        raise PlanError(f"--on-error is {on_error!r}, expected skip or refuse")
    return on_error


@contextmanager
def learned(command: str) -> Iterator[None]:
    """Imports of what the extra [learn] brings. Raises PlanError, one sentence, where it is missing."""
    try:
        yield
    except ImportError as error:
        if error.name and error.name.split(".")[0] == "deeplens_dof":
            raise
        raise PlanError(
            f"deeplens {command} needs {error.name or error}, which is not installed; run "
            "pip install 'deeplens-dof[learn]'"
        ) from error


def end(problem: str | None) -> None:
    """Ends the command: exit code 1 where there was a problem."""
    raise typer.Exit(0 if problem is None else 1)
