"""Options and checks that several commands share, and commands generated from dataclasses of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from typing import Annotated, Any, NoReturn, get_type_hints

import typer

from deeplens_dof.runtime.errors import PlanError, install_extra

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
OnError = Annotated[
    str, typer.Option(metavar="skip|refuse", help="Skip broken and foreign files, or stop at the first.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Number of threads (default: one per core).")]


def command_of(
    arguments: type[Any], run: Callable[..., None], more: Sequence[inspect.Parameter] = ()
) -> Callable[..., None]:
    """A typer command with one option for each field of a dataclass.

    Args:
        arguments: a dataclass whose fields are annotated with typer's options and arguments.
        run: called with an instance of it, and with the values of `more` by name; its docstring is the help text.
        more: further keyword parameters, shown before the fields.
    """
    hints = get_type_hints(arguments, include_extras=True)
    own = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(arguments)
    ]

    def command(**values: Any) -> None:
        run(arguments(**{field.name: values.pop(field.name) for field in fields(arguments)}), **values)

    command.__signature__ = inspect.Signature([*more, *own])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*more, *own]}
    command.__doc__ = run.__doc__
    return command


def error_policy(on_error: str) -> Any:
    """Check the value of --on-error, "skip" or "refuse". Raises PlanError for anything else."""
    if on_error not in ("skip", "refuse"):
        raise PlanError(f"--on-error is {on_error!r}, expected skip or refuse")
    return on_error


@contextmanager
def learn_extra(command: str) -> Iterator[None]:
    """Raise PlanError, one sentence, if an import fails because the extra [learn] is not installed."""
    try:
        yield
    except ImportError as error:
        if error.name and error.name.split(".")[0] == "deeplens_dof":
            raise
        raise PlanError(
            f"deeplens {command} needs {error.name or error}, which is not installed; run "
            f"{install_extra('learn')}"
        ) from error


def finish(problem: str | None) -> NoReturn:
    """End the command with exit code 0, or 1 if there was a problem."""
    raise typer.Exit(0 if problem is None else 1)
