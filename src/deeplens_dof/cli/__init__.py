"""The command `deeplens`."""

from deeplens_dof.cli.command import app, main

__all__ = ["app", "main"]
