"""The command `deeplens`: parses, calls, prints."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import Field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from . import __version__
from .jobs import PlanError
from .school import evaluate_command, scenes_command, train_command
from .settings import Settings, setting_fields
from .terminal import Terminal

app = typer.Typer(
    name="deeplens",
    help="Shallow depth of field for one ordinary photo: choose the focus and the aperture after the shot.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Inputs = Annotated[list[Path], typer.Argument(metavar="INPUT", help="Photos, or folders of photos.")]
Out = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="OUT", help="Picture to write; a folder for several photos."),
]
Depth = Annotated[
    str,
    typer.Option(
        metavar="auto|predict|FILE", help="Predict depth, or read a depth file (16-bit PNG, TIFF, EXR, npz)."
    ),
]
DepthOut = Annotated[Path | None, typer.Option(help="Also write the depth here (png, tiff, exr, npz).")]
Overlay = Annotated[
    Path | None, typer.Option(help="Also write what is in focus: green sharp, blue nearer, red farther.")
]
Film = Annotated[
    bool,
    typer.Option(
        "--sequence", help="INPUT is a film's frames: a folder, or a pattern such as shot.####.png."
    ),
]
Pull = Annotated[
    str | None,
    typer.Option(metavar="'FRAME:X,Y FRAME:X,Y'", help="With --sequence: pull the focus from key to key."),
]
Strip = Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF (GPS too) and XMP out.")]
Report = Annotated[bool, typer.Option("--json", help="Print a report as JSON on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _blur(
    inputs: Inputs,
    out: Out = None,
    depth: Depth = "auto",
    depth_out: DepthOut = None,
    overlay: Overlay = None,
    sequence: Film = False,
    focus_pull: Pull = None,
    strip_metadata: Strip = False,
    json_report: Report = False,
    debug: Debug = False,
    **values: Any,
) -> None:
    """Give photos a shallow depth of field.

    Without -o a photo NAME.jpg becomes NAME-bokeh.jpg beside it.
    A folder needs -o, which becomes a folder of the same tree.
    Format, bit depth, colour profile, EXIF and XMP are kept.
    """
    from .jobs import check_shape, plan, run

    try:
        settings = Settings(**values)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise PlanError(f"{_option_name(name)} {rest}") from None
    check_shape(settings.shape)
    if focus_pull and not sequence:
        raise PlanError("--focus-pull goes with --sequence; for one photo say --focus X,Y")
    if sequence:
        if depth_out or overlay:
            raise PlanError("--depth-out and --overlay name one file, so they do not go with --sequence")
        report = _film(inputs, out, depth, focus_pull, settings, strip_metadata, Terminal(debug))
        _end(settings, report, json_report)
    jobs = plan(inputs, out, depth, depth_out, overlay, [settings.shape])
    report = run(jobs, settings, depth, strip_metadata, Terminal(debug))
    _end(settings, report, json_report)


def _film(
    inputs: list[Path],
    out: str | None,
    depth: str,
    focus_pull: str | None,
    settings: Settings,
    strip_metadata: bool,
    reporter: Terminal,
) -> list[dict[str, Any]]:
    """The report on the frames of a film. Raises PlanError."""
    from .sequence import FocusPull, plan_film, run_film

    try:
        pull = FocusPull.parse(focus_pull) if focus_pull else None
    except ValueError as error:
        raise PlanError(f"--focus-pull: {error}") from None
    if pull and settings.focus != "subject":
        raise PlanError("--focus and --focus-pull both say what is sharp; leave one of them out")
    film = plan_film(inputs, out, depth, pull, [settings.shape])
    return run_film(film, settings, depth, strip_metadata, pull, reporter)


def _end(settings: Settings, report: list[dict[str, Any]], json_report: bool) -> NoReturn:
    if json_report:
        print(json.dumps({"settings": settings.as_dict(), "photos": report}, indent=1))
    raise typer.Exit(1 if any(entry["error"] for entry in report) else 0)


def _with_settings(command: Any) -> Any:
    """The command with one option for every field of Settings, generated from the field's metadata."""
    parameters = [
        p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind != p.VAR_KEYWORD
    ]
    hints = dict(inspect.get_annotations(command, eval_str=True))
    for each in setting_fields():
        hints[each.name] = _option(each)
        parameters.append(
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
        )

    def generated(**values: Any) -> None:
        command(**values)

    generated.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    generated.__annotations__ = {k: v for k, v in hints.items() if k not in ("values", "return")}
    generated.__doc__ = command.__doc__
    return generated


def _option(setting: Field[Any]) -> Any:
    """The annotation that makes typer offer this setting; `Settings` itself checks the limits."""
    facts = setting.metadata
    limits = "" if facts["low"] is None else f" {facts['low']:g} to {facts['high']:g}."
    option = typer.Option(_option_name(setting.name), help=facts["help"] + limits, metavar=facts["metavar"])
    return Annotated[type(setting.default), option]


def _option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


app.command("blur")(_with_settings(_blur))


@app.command("depth")
def depth_command(
    photo: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo.")],
    out: Annotated[
        str,
        typer.Option("-o", "--out", metavar="OUT", help="File to write: png, tiff, exr or npz; or a folder."),
    ],
    debug: Debug = False,
) -> None:
    """Write the predicted inverse depth of a photo: near is bright, relative (npz holds the unit)."""
    from .jobs import write_depth

    reporter = Terminal(debug)
    if reporter.guard(str(photo), lambda: reporter.done(str(write_depth(photo, out)))) is not None:
        raise typer.Exit(1)


@app.command("models")
def models_command(
    action: Annotated[
        str, typer.Argument(metavar="[list|verify]", help="list, or verify the files' SHA-256.")
    ] = "list",
    debug: Debug = False,
) -> None:
    """List the trained weights, or verify them."""
    from .models import list_models, verify

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


@app.command("doctor")
def doctor_command(
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything now, so that the first photo is quick.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Say what is installed and whether it works."""
    from .doctor import examine

    raise typer.Exit(0 if Terminal(debug).guard("doctor", lambda: examine(warm, print)) is None else 1)


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
    from .serve.run import serve

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
    except _USAGE_ERROR as error:
        print(f"deeplens: {_usage_sentence(error)}", file=sys.stderr)
        code = 2
    if code == 130:
        print("deeplens: interrupted; what was finished is kept", file=sys.stderr)
    sys.exit(code)


_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[
    0
]  # of options and arguments; typer does not export it


def _usage_sentence(error: Any) -> str:
    """What typer says about an option, and where to read on."""
    command = error.ctx.command_path if error.ctx else "deeplens"
    return f"{error.format_message().rstrip('.')}; see {command} --help"


if __name__ == "__main__":
    main()
