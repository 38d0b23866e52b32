"""The command `deeplens`: parses, calls, prints."""

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
from deeplens_dof.cli.options import Debug
from deeplens_dof.cli.scenes import scenes_command
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.cli.train import train_command
from deeplens_dof.runtime.errors import PlanError

# Of options and arguments: click's, or the copy that newer typers bring along; typer exports neither.
USAGE_ERROR: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="deeplens",
    help="Shallow depth of field for one ordinary photo: choose the focus and the aperture after the shot.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("blur")(blur_command)
app.command("depth")(depth_command)


@app.command("models")
def models_command(
    action: Annotated[
        str, typer.Argument(metavar="[list|verify]", help="list, or verify the files' SHA-256.")
    ] = "list",
    debug: Debug = False,
) -> None:
    """List the trained weights, or verify them."""
    from deeplens_dof.models import list_models, verify

    if action not in ("list", "verify"):
        raise PlanError(f"there is no action {action!r}; say list or verify")
    reporter, failed = Terminal(debug), False
    for name, model in list_models().items():
        if action == "verify":
            problem = reporter.guard(name, lambda name=name: verify(name))
            failed = failed or problem is not None
            if problem is None:
                print(f"{name}: {model.file} is intact (SHA-256 {model.sha256})")
        else:
            size = f"{model.path.stat().st_size / 1e6:.1f} MB" if model.path.is_file() else "missing"
            print(f"{name}: {model.task}; {model.file}, {size}, {model.licence}, SHA-256 {model.sha256}")
    raise typer.Exit(1 if failed else 0)


app.command("doctor")(doctor_command)


@app.command("serve")
def serve_command(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="Ask every request for the token in this file.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also answer to this name; may be given again.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Change a limit that /v1/limits lists.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve the page to click on and the HTTP API, on this machine."""
    from deeplens_dof.serve.run import serve

    work = partial(serve, host, port, token_file, allow_host or [], limit or [])
    raise typer.Exit(0 if Terminal(debug).guard("serve", work) is None else 1)


app.command("evaluate")(evaluate_command)
app.command("scenes")(scenes_command)
app.command("train")(train_command)


def _version(wanted: bool) -> None:
    if wanted:
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
    """The command. Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 130 interrupted."""
    try:
        code = app(args=arguments, prog_name="deeplens", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except PlanError as error:
        print(f"deeplens: {error}", file=sys.stderr)
        code = 2
    except USAGE_ERROR as error:
        print(f"deeplens: {_usage_sentence(error)}", file=sys.stderr)
        code = 2
    if code == 130:
        print("deeplens: interrupted; what was finished is kept", file=sys.stderr)
    sys.exit(code)


def _usage_sentence(error: Any) -> str:
    """What typer says about an option, and where to read on."""
    command = error.ctx.command_path if error.ctx else "deeplens"
    return f"{error.format_message().rstrip('.')}; see {command} --help"
