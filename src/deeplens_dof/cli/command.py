"""The command `deeplens` and its small subcommands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from deeplens_dof import __version__
from deeplens_dof.cli.blur import blur_command
from deeplens_dof.cli.depth import depth_command
from deeplens_dof.cli.doctor import doctor_command
from deeplens_dof.cli.evaluate import evaluate_command
from deeplens_dof.cli.options import Debug, finish
from deeplens_dof.cli.scenes import scenes_command
from deeplens_dof.cli.streams import flushed, unwritten, with_standard_streams
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.cli.train import train_command
from deeplens_dof.runtime.errors import PlanError

# Raised for wrong options and arguments. Typer exports only this subclass of click's UsageError, and newer versions have
# a click of their own, whose errors are not those of the package click.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="deeplens",
    help="Shallow depth of field for ordinary photos: choose focus and aperture after the shot.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("blur")(blur_command)
app.command("depth")(depth_command)


@app.command("models")
def models_command(
    action: Annotated[
        str, typer.Argument(metavar="[list|verify]", help="List the weights, or verify their SHA-256.")
    ] = "list",
    debug: Debug = False,
) -> None:
    """List the trained weights, or verify them."""
    from deeplens_dof.models import list_models, verify

    if action not in ("list", "verify"):
        raise PlanError(f"there is no action {action!r}; say list or verify")
    terminal, failures = Terminal(debug), 0
    for name, model in list_models().items():
        if action == "list":
            size = f"{model.path.stat().st_size / 1e6:.1f} MB" if model.path.is_file() else "missing"
            print(f"{name}: {model.task}; {model.file}, {size}, {model.licence}, SHA-256 {model.sha256}")
        elif terminal.guard(name, partial(verify, name)):
            failures += 1
        else:
            print(f"{name}: {model.file} is intact (SHA-256 {model.sha256})")
    raise typer.Exit(1 if failures else 0)


app.command("doctor")(doctor_command)


@app.command("serve")
def serve_command(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="Require the token in this file with every request.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also accept this host name; repeatable.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Change a limit listed by /v1/limits; repeatable."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve the web page and the HTTP API on this machine."""
    from deeplens_dof.serve.run import serve

    work = partial(serve, host, port, token_file, allow_host or [], limit or [])
    finish(Terminal(debug).guard("serve", work))


app.command("evaluate")(evaluate_command)
app.command("scenes")(scenes_command)
app.command("train")(train_command)


def _version(requested: bool) -> None:
    if requested:
        print(f"deeplens {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit.

    Exit codes: 0 if all inputs were processed, 1 if some failed, 2 for wrong usage, 130 if interrupted.

    Args:
        arguments: of the command line; None takes those of the process.
    """
    with_standard_streams()
    try:
        code = app(args=arguments, prog_name="deeplens", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except PlanError as error:
        print(f"deeplens: {error}", file=sys.stderr)
        code = 2
    except UsageError as error:
        print(f"deeplens: {_usage_message(error)}", file=sys.stderr)
        code = 2
    except OSError as problem:  # of standard output: the commands report all others
        code = unwritten(problem, 0)
    except SystemExit as end:  # by which typer answers a reader that has gone
        if not isinstance(end.__context__, OSError):
            raise
        code = unwritten(end.__context__, 0)
    if code == 130:
        print("deeplens: interrupted; finished results are kept", file=sys.stderr)
    sys.exit(flushed(code))


def _usage_message(error: Any) -> str:
    """Typer's message, and the command that shows the right usage."""
    command = error.ctx.command_path if error.ctx else "deeplens"
    return f"{error.format_message().rstrip('.')}; see {command} --help"
