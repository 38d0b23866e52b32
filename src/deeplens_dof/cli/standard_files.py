"""A photo from standard input and its result to standard output, both named "-", through files of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deeplens_dof.cli.blur_arguments import BlurArguments
from deeplens_dof.photo.codecs import formats
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS
from deeplens_dof.runtime.errors import PlanError

STANDARD = "-"
_INPUT, _OUTPUT = "standard input", "standard output"
_HEAD_BYTES = 1 << 16  # enough to tell a format, that of a camera RAW too


def uses_standard_streams(arguments: BlurArguments) -> bool:
    """Whether the photo comes from standard input, or the result goes to standard output."""
    return STANDARD in (arguments.inputs or []) or arguments.out == STANDARD


def check_standard_streams(arguments: BlurArguments) -> None:
    """Raises PlanError where "-" or --format cannot be meant, and for streams that are terminals."""
    inputs, written = arguments.inputs or [], arguments.out in (STANDARD, None)
    if not uses_standard_streams(arguments):
        if arguments.format:
            raise PlanError("--format goes with -o -; the name of a file tells its format")
        return
    if len(inputs) != 1 or arguments.names_from:
        raise PlanError("'-' stands for one photo, so it goes with a single INPUT and without --from")
    excluded = {
        "--sequence": arguments.sequence,
        "--resume": arguments.resume,
        "--shard": arguments.shard,
        "--watch": arguments.watch,
        "--json": arguments.json_report and written,
        "--format": arguments.format and not written,
    }
    if given := [option for option, value in excluded.items() if value]:
        raise PlanError(f"{given[0]} does not go with {_OUTPUT if written else _INPUT}; leave it out")
    if inputs[0] == STANDARD and sys.stdin.isatty():
        raise PlanError(
            f"{_INPUT} is a terminal, expected a photo, as in: deeplens blur - -o out.jpg < in.jpg"
        )
    if written and sys.stdout.isatty():
        raise PlanError(
            f"{_OUTPUT} is a terminal, expected a file or a pipe, as in: deeplens blur in.jpg -o - > out.jpg"
        )


@contextmanager
def standard_files(arguments: BlurArguments) -> Iterator[tuple[BlurArguments, dict[str, str]]]:
    """The arguments with files in place of "-", and what messages call these. The result is written at the end.

    Raises PlanError for a format that is not written, OSError where standard output cannot be written.
    """
    with TemporaryDirectory(prefix="deeplens-") as name:
        folder, names = Path(name), dict[str, str]()
        source = (arguments.inputs or [])[0]
        if source == STANDARD:
            data = sys.stdin.buffer.read(COMMAND_LINE_LIMITS.max_bytes + 1)
            file = folder / f"photo{_suffix(data, '')}"
            file.write_bytes(data)
            source = str(file)
            names |= {source: _INPUT, file.name: _INPUT}
        arguments = replace(arguments, inputs=[source])
        result: Path | None = None
        if arguments.out in (STANDARD, None):
            result = folder / f"result{_result_suffix(arguments.format, Path(source))}"
            arguments = replace(arguments, out=str(result), format=None)
            names |= {str(result): _OUTPUT, result.name: _OUTPUT}
        yield arguments, names
        if result is not None and result.exists():
            sys.stdout.buffer.write(result.read_bytes())


def _result_suffix(format_name: str | None, source: Path) -> str:
    if format_name:
        try:
            return formats.by_name(format_name).suffixes[0]
        except PhotoError as problem:
            raise PlanError(f"--format: {problem}") from None
    try:
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError):  # reading the photo reports it
        head = b""
    return formats.written_as(_suffix(head, ".png"))


def _suffix(data: bytes, otherwise: str) -> str:
    try:
        return formats.by_content(data, _INPUT).suffixes[0]
    except PhotoError:  # reading the photo reports it
        return otherwise
