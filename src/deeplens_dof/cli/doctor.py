"""The command `deeplens doctor`: reports what is installed and checks that it works."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from deeplens_dof import __version__
from deeplens_dof.cli.options import Debug, finish
from deeplens_dof.cli.terminal import Terminal

PACKAGES = ("numpy", "numba", "onnxruntime", "pillow", "OpenImageIO")


def examine(warm: bool, say: Callable[[str], None]) -> None:
    """Report versions, verify the weights and blur a test picture. Raises the error of whichever step fails.

    Args:
        warm: compile all kernels first, as `compile_blur` does.
        say: receives each line of the report.
    """
    from deeplens_dof.models import list_models, runtime, verify
    from deeplens_dof.warmup import compile_blur, try_out

    say(
        f"deeplens {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores"
    )
    for package in PACKAGES:
        try:
            say(f"{package} {version(package)}")
        except PackageNotFoundError:
            say(f"{package} is missing; reinstall deeplens-dof")
    for name, model in list_models().items():
        verify(name)
        say(f"weights {name}: {model.file} is intact")
    say(f"networks run in {runtime()}")
    if warm:
        say("compiling the inner loops; this takes a minute or two the first time")
        compile_blur(say)
    started = time.monotonic()
    try_out((600, 900) if warm else (90, 120), warm)
    say(
        f"a test picture went through in {time.monotonic() - started:.1f} s"
        + ("; all inner loops are compiled" if warm else "")
    )


def doctor_command(
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything now, so that the first photo is fast.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Report what is installed, and check that it works."""
    finish(Terminal(debug).guard("doctor", lambda: examine(warm, print)))
