"""The command `deeplens doctor`: what is installed, whether it is whole, and whether it works."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from deeplens_dof import __version__
from deeplens_dof.cli.options import Debug
from deeplens_dof.cli.terminal import Terminal

PARTS = ("numpy", "numba", "onnxruntime", "pillow", "OpenImageIO")


def examine(warm: bool, say: Callable[[str], None]) -> None:
    """Says versions, verifies weights and blurs a small picture; warm: compiles every inner loop before.

    Raises what the failing part raises.
    """
    from deeplens_dof.models import list_models, runtime, verify
    from deeplens_dof.warmup import compile_blur, try_out

    say(
        f"deeplens {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores"
    )
    for part in PARTS:
        try:
            say(f"{part} {version(part)}")
        except PackageNotFoundError:
            say(f"{part} is missing; reinstall deeplens-dof")
    for name, model in list_models().items():
        verify(name)
        say(f"weights {name}: {model.file} is intact")
    say(f"networks are run by {runtime()}")
    if warm:
        say("compiling the inner loops; the first time it takes a minute or two")
        compile_blur(say)
    started = time.monotonic()
    try_out((600, 900) if warm else (90, 120), warm)
    say(
        f"a test picture went through in {time.monotonic() - started:.1f} s"
        + ("; all inner loops are compiled" if warm else "")
    )


def doctor_command(
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything now, so that the first photo is quick.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Say what is installed and whether it works."""
    raise typer.Exit(0 if Terminal(debug).guard("doctor", lambda: examine(warm, print)) is None else 1)
