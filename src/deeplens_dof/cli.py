"""The command `deeplens`: parses, calls, prints."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import Field
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .jobs import PlanError
from .settings import Settings, setting_fields

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
Strip = Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF (GPS too) and XMP out.")]
Report = Annotated[bool, typer.Option("--json", help="Print a report as JSON on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _blur(
    inputs: Inputs,
    out: Out = None,
    depth: Depth = "auto",
    depth_out: DepthOut = None,
    overlay: Overlay = None,
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
    from .jobs import plan, run

    try:
        settings = Settings(**values)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise PlanError(f"{_option_name(name)} {rest}") from None
    jobs = plan(inputs, out, depth, depth_out, overlay)
    report = run(jobs, settings, depth, strip_metadata, _Reporter(debug))
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

    reporter = _Reporter(debug)
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
    reporter, failed = _Reporter(debug), False
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

    raise typer.Exit(0 if _Reporter(debug).guard("doctor", lambda: examine(warm, print)) is None else 1)


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


class _Reporter:
    """Progress on a terminal, errors as sentences on standard error."""

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        self.on_terminal = sys.stderr.isatty()

    def stage(self, text: str) -> None:
        """What is being done now, on one line that is overwritten; nothing in a pipe."""
        if self.on_terminal:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{_on_one_line(text)[:room]}")
            sys.stderr.flush()

    def done(self, text: str) -> None:
        self.stage("")
        print(_on_one_line(text), file=sys.stderr)

    def guard(self, name: str, work: Any) -> str | None:
        """Does the work; what went wrong is said in one sentence and returned, None when all is well."""
        from .photo.errors import shown

        try:
            work()
        except KeyboardInterrupt:
            self.stage("")
            raise
        except PlanError:
            raise
        except Exception as error:
            sentence = self._sentence(shown(name), error)
            self.stage("")
            if self.debug:
                traceback.print_exc()
            print(f"deeplens: {sentence}", file=sys.stderr)
            return sentence
        return None

    @staticmethod
    def _sentence(name: str, error: Exception) -> str:
        text = " ".join(str(error).split())
        if isinstance(error, MemoryError):
            return (
                f"{name}: there is not enough memory for it; make the picture smaller or close other programs"
            )
        if isinstance(error, (ValueError, OSError)) and text:
            return text if Path(name).name in text else f"{name}: {text}"
        kind = type(error).__name__
        return f"{name}: an error inside deeplens ({kind}: {text}); run it again with --debug and report it"


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


def _on_one_line(text: str) -> str:
    """Names of files may hold line breaks and what moves a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)


_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[
    0
]  # of options and arguments; typer does not export it


def _usage_sentence(error: Any) -> str:
    """What typer says about an option, and where to read on."""
    command = error.ctx.command_path if error.ctx else "deeplens"
    return f"{error.format_message().rstrip('.')}; see {command} --help"


if __name__ == "__main__":
    main()
